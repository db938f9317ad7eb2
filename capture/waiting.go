package capture

// maxWaiting is how many packets are held back behind a first fragment that may
// yet become a whole datagram.
const maxWaiting = 1024

// waitingPacket is a packet whose turn it is not yet.
type waitingPacket struct {
	packet Packet
	of     *datagram // its first fragment, not to be delivered yet; nil: deliver
	gone   bool      // not to be delivered at all
}

// waitingList holds packets back, in order, a first fragment at its front: it
// is empty unless there is one.
type waitingList struct {
	ring  []waitingPacket // maxWaiting of them, made at the first use
	front uint64          // turn of the first one
	n     int
}

func (l *waitingList) at(turn uint64) *waitingPacket { return &l.ring[turn%maxWaiting] }

// push adds a packet at the end; of is the datagram for which it waits. There
// must be room.
func (l *waitingList) push(p *Packet, of *datagram) {
	if l.ring == nil {
		l.ring = make([]waitingPacket, maxWaiting)
	}
	turn := l.front + uint64(l.n)
	*l.at(turn) = waitingPacket{packet: *p, of: of}
	l.n++
	if of != nil {
		of.turn, of.waits = turn, true
	}
}

// resolve ends the waiting for a datagram: its first fragment is delivered, or
// is not.
func (l *waitingList) resolve(t *datagram, deliver bool) *Packet {
	w := l.at(t.turn)
	w.of, w.gone = nil, !deliver
	t.waits = false
	return &w.packet
}

// pop fills p with the front packet if it is to be delivered.
func (l *waitingList) pop(p *Packet) bool {
	for l.n > 0 {
		w := l.at(l.front)
		if w.of != nil {
			return false
		}
		l.front++
		l.n--
		if !w.gone {
			*p = w.packet
			return true
		}
	}
	return false
}

// settle takes a counted frame's part in the fragments up, and reports whether p
// is to be delivered now; p may have become another packet by then.
func (g *fragments) settle(r Reason, p *Packet, st *Stats, now int64) bool {
	for _, t := range g.completed {
		g.release(t, r, st)
	}
	g.completed = g.completed[:0]
	ready := r == delivered
	if t := g.current; t != nil {
		g.current = nil
		switch {
		case r == SkippedJoined:
			t.frames++
			if g.first && g.alone == delivered {
				ready = g.queue(p, t, st)
			} else if g.first {
				t.why = g.alone
			}
		case r == SkippedBadFragment:
			t.state = contradicts
			g.recount(t, r, st)
		}
	}
	g.first = false
	g.expire(now, st)
	if r == delivered && g.waiting.n > 0 {
		return g.queue(p, nil, st)
	}
	return ready
}

// expire gives up the datagrams that have waited too long, or are too many.
func (g *fragments) expire(now int64, st *Stats) {
	for g.oldest != nil && (now-g.oldest.first > g.lasts || g.n > maxDatagrams) {
		g.giveUp(g.oldest, st)
	}
}

// queue puts p at the end of the waiting list, or, as it is full, makes it the
// packet that is at its front; then that is to be delivered.
func (g *fragments) queue(p *Packet, of *datagram, st *Stats) bool {
	l := &g.waiting
	var front Packet
	full := l.n == maxWaiting
	if full {
		if t := l.at(l.front).of; t != nil {
			g.handOn(t, st)
		}
		full = l.pop(&front)
	}
	l.push(p, of)
	if full {
		*p = front
	}
	return full
}

// release ends a datagram that is whole: its frames have led to what the last
// one did.
func (g *fragments) release(t *datagram, r Reason, st *Stats) {
	if r != delivered && r != SkippedJoined {
		g.recount(t, r, st)
	}
	if t.waits {
		g.waiting.resolve(t, false)
	}
	t.newer, g.free = g.free, t
}

// recount counts the frames of a datagram under another reason. What waits to
// be delivered is not.
func (g *fragments) recount(t *datagram, r Reason, st *Stats) {
	st.Skipped[SkippedJoined] -= t.frames
	st.Skipped[r] += t.frames
	t.frames = 0
	if t.waits {
		g.waiting.resolve(t, false)
	}
}

// handOn delivers a datagram's first fragment alone.
func (g *fragments) handOn(t *datagram, st *Stats) {
	switch {
	case t.why != delivered:
		t.frames--
		st.Skipped[SkippedJoined]--
		st.Skipped[t.why]++
	case t.waits:
		p := g.waiting.resolve(t, true)
		t.frames--
		st.Skipped[SkippedJoined]--
		if p.Kind == KindUnreachable {
			st.Unreachable++
		} else {
			st.Segments++
		}
	}
	g.recount(t, laterFragment(t.proto, t.key.v6), st)
	t.state = handedOn
}

// giveUp ends a datagram that is not whole.
func (g *fragments) giveUp(t *datagram, st *Stats) {
	if t.state == gathering {
		g.noneLater = g.noneLater || t.waits && t.later == g.later
		g.handOn(t, st)
	}
	g.forget(t)
	t.newer, g.free = g.free, t
}

// next fills p with the next packet that has waited, and reports whether there
// is one. At the capture's end nothing waits longer.
func (g *fragments) next(p *Packet, end bool, st *Stats) bool {
	for _, t := range g.completed { // by a frame in which the input ended
		g.handOn(t, st)
	}
	g.completed = g.completed[:0]
	for end && g.oldest != nil {
		g.giveUp(g.oldest, st)
	}
	return g.waiting.pop(p)
}
