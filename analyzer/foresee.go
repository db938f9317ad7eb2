package analyzer

// Among many flows, each segment's is in memory that no cache has: the slot of
// the index, the entry, and what the flow consists of, each of which is found by
// the one before. A processor waits for several such at once where it need not
// know one to ask for the next. So a batch is looked through ahead, step by step,
// for some segments together.

// foreseen is how many segments are looked at ahead.
const foreseen = 16

// sighting is where a segment that was looked at ahead belongs.
type sighting struct {
	key  Key
	side Side
	tag  uint32
	id   uint32
}

// foresee looks at the next segments, and reads a little of what they will need.
// What it finds out but for keys and tags is no more than a guess.
func (t *Tracker) foresee(next []Segment, ahead *[foreseen]sighting) {
	next = next[:min(len(next), foreseen)]
	for i := range next {
		a := &ahead[i]
		a.key, a.side = KeyOf(&next[i])
		a.tag = t.index.tag(&a.key)
	}
	for i := range next {
		ahead[i].id = t.index.guess(ahead[i].tag)
	}
	var dormant [foreseen]bool
	var where [foreseen]uint32
	for i := range next {
		if id := ahead[i].id; id != 0 {
			e := t.entry(id)
			dormant[i], where[i] = e.dormant, e.where
		}
	}
	sum := t.touched
	for i := range next {
		switch {
		case ahead[i].id == 0:
		case dormant[i]:
			sum += t.arena.touch(where[i])
		default:
			sum += t.awake[where[i]].touch(ahead[i].side)
		}
	}
	t.touched = sum
}

// foreseeExpiry looks at the flows that will expire next, of the same list as one
// that does now.
func (t *Tracker) foreseeExpiry(l *list) {
	if t.expected > 0 {
		t.expected--
		return
	}
	sum := t.touched
	for id := l.front; id != 0 && t.expected < foreseen/2; t.expected++ {
		e := t.entry(id)
		if e.dormant {
			sum += t.arena.touch(e.where)
		}
		id = e.after
	}
	t.touched = sum
}

// foreseeDelivery looks at flows that are about to be delivered: they were worked
// with on other cores.
func (p *parcel) foreseeDelivery(from int) (sum uint64) {
	for _, f := range p.flows[from:min(from+foreseen/2, len(p.flows))] {
		sum += f.touch(f.Client) + uint64(f.Handshake.RTT) + uint64(f.Close.Duration) + uint64(len(f.Findings))
		for i := range f.Transitions {
			sum += f.Transitions[i].Frame
		}
	}
	return sum
}

// touch reads of each part of a flow that an ordinary segment needs.
func (f *Flow) touch(s Side) uint64 {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	return f.turn + f.Frames + uint64(e.LastSent) + uint64(e.rtt) + uint64(e.nxt) + uint64(e.copies.at[7]) +
		uint64(e.payloads.pos) + e.Counters.Bytes + uint64(p.LastSent) + uint64(p.rtt) + uint64(p.nxt)
}

// touch reads of a piece.
func (a *arena) touch(ref uint32) (sum uint64) {
	const line, lines = 64, 8
	b, from := a.extents[ref/extentUnits].b, int(ref%extentUnits)*pieceUnit
	for at := from; at < min(from+lines*line, extentSize); at += line {
		sum += uint64(b[at])
	}
	return sum
}
