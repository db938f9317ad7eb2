package analyzer

// Header prediction, as in the receivers of TCP stacks (Van Jacobson; RFC 1323
// 4.2.1 has its history): nearly all segments of an established connection are
// the next data in order, or acknowledge some. What such a segment does is little,
// and always the same; all else takes the way through takeOrdinary, which does
// the same with these.

// predictable reports whether the next segment may be predicted: both sides are
// proved ESTABLISHED, and nothing waits: in an inbox, for a FIN, to be filled or
// to be answered.
func (f *Flow) predictable() bool {
	if f.older != nil || f.Key.self() || len(f.Transitions) > maxTransitions {
		return false
	}
	for s := range f.Sides {
		e := &f.Sides[s]
		switch {
		case e.State != Established || e.proven != Established || len(e.inbox) > 0:
			return false
		case !e.started || !e.hasACK || e.nxt != e.contig || len(e.spans.s) > 0 || e.hasFIN || e.finSeen:
			return false
		case e.loose || e.partial || e.window == 0 || e.provokedAt != 0 || e.Counters.Resets != 0:
			return false
		case e.trouble != nil && e.trouble.staleAt != 0:
			return false
		}
	}
	return true
}

// predicts reports whether x, of side s of a flow that is plain, is the next
// data in order or acknowledges some, with nothing odd about it.
func (f *Flow) predicts(s Side, x *Segment) bool {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if x.Flags&(FIN|SYN|RST|ACK) != ACK || x.Options.Set&OptSACK != 0 || x.Window == 0 || x.Fragment {
		return false
	}
	if x.Seq != e.nxt || x.Ack.Less(e.ack) || p.nxt.Less(x.Ack) || x.Len == 0 && x.Ack == e.ack {
		return false
	}
	if mss := uint32(p.Offered.MSS); mss != 0 && x.Len > mss || x.Len > 0 && e.mayHaveFIN {
		return false
	}
	if x.Options.Set&OptTimestamps != 0 {
		return !e.hasTS || int32(x.Options.TSVal-e.tsMax) >= 0
	}
	return !f.alien(s, x)
}

// takePredicted takes a segment that was predicted.
func (f *Flow) takePredicted(s Side, x *Segment) (facts Facts) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	e.sample(x)
	moved := uint32(x.Ack - e.ack)
	if moved != 0 {
		e.ack = x.Ack
		facts = FactACK
	}
	f.scaleWindow(s, x, moved)
	e.idle = 0
	if x.Len == 0 {
		f.bareAt(s, x)
		return facts
	}
	facts |= f.takeData(s, x, false)
	f.time(s.Peer(), x)
	p.oblige(x.Time)
	return facts
}
