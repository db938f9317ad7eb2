package analyzer

// oddWindows is what is odd about the windows that a side advertises. Few have
// anything.
type oddWindows struct {
	shrunk   oddity // the right edge moved left
	unscaled oddity // as it narrowed, the header's field counted octets
	overrun  oddity // the peer sent beyond it
	stopped  oddity // the peer sent up to the header's field, unscaled, and waited

	was Seq     // where the edge stood before it moved left in doubt
	in  Segment // the segment that moved it; Frame 0: none waits for the next one to say the same
}

// oddity counts one odd thing.
type oddity struct {
	n                int
	first, last      int64
	frame, lastFrame uint64
	octets           uint32 // the most that it was about
}

func (o *oddity) note(x *Segment, octets uint32) {
	if o.n == 0 {
		o.first, o.frame = x.Time, x.Frame
	}
	o.n++
	o.last, o.lastFrame = x.Time, x.Frame
	o.octets = max(o.octets, octets)
}

// oddities returns the record of what is odd about the side's windows.
func (e *Endpoint) oddities() *oddWindows {
	if e.odd == nil {
		e.odd = new(oddWindows)
	}
	return e.odd
}

// windowEdge follows the right edge of side s's window, and what its peer has
// sent beyond. It may move left by one unit of the scale, by rounding (RFC 7323
// 2.4). An edge that one segment alone has named, which may be forged, is not
// held against the next.
func (f *Flow) windowEdge(s Side, x *Segment, edge Seq, moved uint32) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if !e.hasEdge {
		e.edge, e.edgeBefore, e.hasEdge = edge, edge, true
	}
	if e.odd != nil && e.odd.in.Frame != 0 {
		e.odd.confirm(edge, 1<<e.shift)
	}
	switch d := e.edge.Distance(edge); {
	case d > 0:
		e.edgeBefore, e.edge = e.edge, edge
	case d < -(1 << e.shift):
		f.edgeLeft(s, x, edge, moved)
	default:
		e.edgeBefore = e.edge
	}
	if e.shiftKnown && e.edge.Less(p.nxt-1) { // an octet may be a probe, or a FIN
		e.oddities().overrun.note(x, uint32(p.nxt-e.edge))
	}
}

// edgeLeft judges a window that was narrowed by more than what it took in. It
// counts where x is newer than all that its side sent before: where the two
// were swapped on the way, it says nothing. After a FIN nobody needs a window.
func (f *Flow) edgeLeft(s Side, x *Segment, edge Seq, moved uint32) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	newer := moved > 0 || x.Options.Set&OptTimestamps != 0 && e.hasTS && int32(x.Options.TSVal-e.tsMax) > 0
	if !newer || !e.shiftKnown || !p.shiftKnown || e.hasFIN || p.hasFIN || x.Flags&FIN != 0 {
		return
	}
	field := e.window >> e.shift
	switch {
	case e.shift > 0 && moved > 0 && field-uint32(x.Window) == moved:
		e.oddities().unscaled.note(x, moved)
	case edge.Distance(e.edgeBefore) > 1<<e.shift:
		o := e.oddities()
		o.was, o.in = e.edgeBefore, *x
	}
	e.edge, e.edgeBefore = edge, edge
}

// confirm takes the side's next segment for a witness: where the edge is back
// in its place, the one between was not of this side, or one of its whims.
func (o *oddWindows) confirm(edge Seq, unit int32) {
	if d := edge.Distance(o.was); d > unit {
		o.shrunk.note(&o.in, uint32(d))
	}
	o.in.Frame = 0
}

// rawEdge compares how far side s sends with the field of its peer's window as
// the header has it. Whoever goes beyond knows of the scale. Whoever stops
// exactly there, again and again, with more to send as soon as that is
// acknowledged, takes the field for octets.
func (f *Flow) rawEdge(s Side, x *Segment) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if !p.hasEdge {
		return
	}
	d := p.ack.Add(p.window >> p.shift).Distance(x.end())
	if d > 0 {
		p.scaleUsed = true
	}
	if d != 0 || x.Seq.Less(e.nxt) || x.Time-p.LastSent > e.threshold() || p.LastData == p.LastSent {
		return
	}
	o := &p.oddities().stopped
	if o.n > 0 && p.LastData > o.last {
		*o = oddity{} // request and answer: it waits for those, and not for room
	}
	o.note(x, p.window>>p.shift)
}
