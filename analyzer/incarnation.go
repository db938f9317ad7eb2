package analyzer

// One address pair may carry one connection after another, and while they
// overlap, segments of both. The table holds the youngest flow of a pair; a
// flow that it has not yet replaced for certain is its `older`.

// choose returns the flow that x belongs to, nil when it belongs to none.
func (t *Tracker) choose(f *Flow, k Key, s Side, x *Segment) *Flow {
	if f == nil {
		t.room()
		return t.open(k, s, x)
	}
	if x.Flags&(SYN|ACK|RST) == SYN {
		return t.chooseSYN(f, k, s, x)
	}
	old := f.older
	if old != nil && !f.fits(s, x) && old.near(s, x) {
		f.belongsToOld(s, x)
		return old
	}
	if old == nil && f.reopens(s, x) {
		return t.replace(f, k, s, x)
	}
	return f
}

// reopens reports whether x is of a new connection whose SYN the capture
// missed, or that looked like a late copy: the old flow is over, and a SYN+ACK
// has a new number, or an ordinary segment stands far from where both sides
// were.
func (f *Flow) reopens(s Side, x *Segment) bool {
	e := &f.Sides[s]
	switch x.Flags & (SYN | ACK | RST) {
	case SYN | ACK:
		return e.started && f.over() && !(e.hasISN && e.isn == x.Seq)
	case ACK:
		return e.started && f.Sides[s.Peer()].started && f.over() && !f.near(s, x)
	}
	return false
}

// over reports whether a side of the flow is closed, or waits in TIME_WAIT: a
// new SYN is then the start of a new flow.
func (f *Flow) over() bool {
	for i := range f.Sides {
		if st := f.Sides[i].State; st == Closed && f.Sides[i].proven != Unknown || st == TimeWait {
			return true
		}
	}
	return false
}

// chooseSYN decides what a SYN on a pair in use is: a copy of the flow's own,
// the other half of a simultaneous open, the start of a new flow, or a
// candidate for one.
func (t *Tracker) chooseSYN(f *Flow, k Key, s Side, x *Segment) *Flow {
	for g := f; g != nil; g = g.older {
		if e := &g.Sides[s]; e.hasISN && e.isn == x.Seq {
			return g
		}
	}
	if e := &f.Sides[s]; !e.hasISN && f.Sides[s.Peer()].proven == SynSent {
		return f // simultaneous open, or a split handshake
	}
	return t.replace(f, k, s, x)
}

// replace begins a flow on a pair that f holds. Where f lives, the new one is
// a candidate: it has taken over when its SYN is answered.
func (t *Tracker) replace(f *Flow, k Key, s Side, x *Segment) *Flow {
	if old := f.older; old != nil {
		if f.candidate { // another SYN, and still no answer: the old flow lives
			t.dissolve(f)
		} else {
			t.finish(old)
		}
	}
	t.room()
	f = t.find(&k) // unless it had to go
	g := t.open(k, s, x)
	if f == nil {
		return g
	}
	if f.zeek != nil {
		f.zeek.take(s, x) // to Zeek, its record ends here
	}
	g.older, g.paired, f.paired = f, true, true
	f.plain = false
	g.candidate = !f.over()
	g.reuseOf, g.reuseAge = f.lastChange(), x.Time
	if g.candidate {
		f.Sides[s.Peer()].provokedAt = x.Time
	} else {
		g.takeOver()
	}
	return g
}

// takeOver settles that the new flow is one.
func (f *Flow) takeOver() {
	f.candidate = false
	if f.older != nil && !f.older.replaced() {
		f.older.ReplacedBy = f.Number
	}
}

// replaced reports whether another flow has taken over the pair; its number may
// still be provisional.
func (f *Flow) replaced() bool { return f.ReplacedBy != -1 }

// refuted reports whether the flow is a candidate that came to nothing: its
// SYN was a forgery or a late copy, since the flow it came upon goes on.
func (f *Flow) refuted() bool {
	return f.candidate && f.older != nil && (f.denied || f.challenged && !f.older.over())
}

// dissolve gives the SYN of a refuted candidate to the flow that it came upon.
func (t *Tracker) dissolve(f *Flow) {
	old := f.older
	old.paired = false
	t.index.put(t, &f.Key, old.id)
	t.unlist(f.id)
	if CompareFrames(f.LastFrame, f.End, old.LastFrame, old.End) > 0 {
		old.End, old.LastFrame = f.End, f.LastFrame
	}
	for s := range Side(2) {
		old.Sides[s].Counters.addWireshark(&f.Sides[s].Counters)
		if n := f.Sides[s].Counters; n.SYN > 0 {
			old.remark(FactSYNInWindow, s, f.Start, f.FirstFrame)
			old.Sides[s].Counters.Segments += n.Segments
			old.Sides[s].Counters.SYN += n.SYN
		}
	}
	old.Frames += f.Frames
	t.streams.release(f)
	t.takeBack(f.Number)
	t.drop(f)
}

// belongsToOld notes that side s goes on with the old flow of a candidate's
// pair. When it is the candidate's peer, it challenges the SYN, and may yet be
// reset by a host that has restarted; when it is the side that the SYN names,
// that side never sent it.
func (f *Flow) belongsToOld(s Side, x *Segment) {
	if !f.candidate {
		return
	}
	e := &f.Sides[s]
	if x.Flags&RST != 0 {
		if f.challenged && e.hasISN && x.Seq == e.badSYNACK {
			f.remark(FactRSTIgnored, s, x.Time, x.Frame) // the answer to the challenge
		}
		return
	}
	if !f.challenged && !e.hasISN && x.Flags&(SYN|ACK) == ACK {
		f.Sides[s.Peer()].badSYNACK = x.Ack
		f.remark(FactChallengeACK, s, x.Time, x.Frame)
	}
	f.challenged = true
	f.denied = f.denied || e.hasISN
}

// fits reports whether x can be of this flow by its numbers. Towards a half
// that has only sent its SYN, near is too loose: ISNs of one pair may be close
// (RFC 6528 3).
func (f *Flow) fits(s Side, x *Segment) bool {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if e.hasISN && x.Flags&SYN != 0 {
		return x.Seq == e.isn
	}
	ackFits := x.Flags&ACK != 0 && p.started && p.isn.Less(x.Ack) && x.Ack.LessEq(p.nxt)
	if !e.hasISN {
		return ackFits
	}
	if !p.hasISN {
		return x.Seq == e.isn.Add(1) && (x.Flags&ACK == 0 || ackFits || !p.started)
	}
	seqFits := e.isn.Less(x.Seq) && x.Seq.LessEq(e.nxt.Add(max(p.maxWindow, 1<<16)))
	return seqFits && (x.Flags&ACK == 0 || p.isn.Less(x.Ack) && x.Ack.LessEq(p.nxt.Add(1<<16)))
}

// near reports whether x is where this flow's numbers stand.
func (f *Flow) near(s Side, x *Segment) bool {
	const reach = 1 << 22
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	near := func(a, b Seq) bool { d := a.Distance(b); return -reach < d && d < reach }
	if e.started && !near(e.nxt, x.Seq) {
		return false
	}
	return x.Flags&ACK == 0 || !p.started || near(p.nxt, x.Ack)
}

// lastChange returns when either side last changed state.
func (f *Flow) lastChange() int64 {
	return max(f.Sides[0].Since, f.Sides[1].Since)
}
