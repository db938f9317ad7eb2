package analyzer

import "slices"

// span is a half-open range of sequence numbers.
type span struct{ from, to Seq }

// spanSet keeps the ranges that a side sent beyond a hole, in order and apart
// from each other. Few flows have any.
type spanSet struct {
	s []span
	// full: there were more than maxSpans, so that what the set does not hold
	// may have gone past all the same.
	full bool
}

// maxSpans bounds the holes of one side: a window of 64 MB that lost one in
// twenty of its segments has more.
const maxSpans = 512

// add inserts [from, to) and returns how many of its octets were not covered
// yet.
func (ss *spanSet) add(from, to Seq) (fresh uint32) {
	fresh = uint32(to - from)
	i := len(ss.s)
	for i > 0 && from.LessEq(ss.s[i-1].to) { // new ones lie near the end
		i--
	}
	j := i
	for ; j < len(ss.s) && ss.s[j].from.LessEq(to); j++ {
		fresh -= overlap(ss.s[j], span{from, to})
		from = minSeq(from, ss.s[j].from)
		to = to.Max(ss.s[j].to)
	}
	switch {
	case j > i: // merged with [i, j)
		ss.s[i] = span{from, to}
		ss.s = slices.Delete(ss.s, i+1, j)
	case len(ss.s) < maxSpans:
		ss.s = slices.Insert(ss.s, i, span{from, to})
	default:
		ss.full = true
	}
	return fresh
}

// absorb joins the ranges that contig has reached and returns the new contig.
func (ss *spanSet) absorb(contig Seq) Seq {
	n := 0
	for n < len(ss.s) && ss.s[n].from.LessEq(contig) {
		contig = contig.Max(ss.s[n].to)
		n++
	}
	ss.s = slices.Delete(ss.s, 0, n)
	ss.full = ss.full && len(ss.s) > 0
	return contig
}

// covered returns how many octets of [from, to) the set holds.
func (ss *spanSet) covered(from, to Seq) (n uint32) {
	for i := len(ss.s) - 1; i >= 0 && from.Less(ss.s[i].to); i-- {
		n += overlap(ss.s[i], span{from, to})
	}
	return n
}

func overlap(a, b span) uint32 {
	from, to := a.from.Max(b.from), minSeq(a.to, b.to)
	if !from.Less(to) {
		return 0
	}
	return uint32(to - from)
}

func minSeq(a, b Seq) Seq {
	if a.Less(b) {
		return a
	}
	return b
}

// cover notes that [from, to) went past the tap and returns how many of its
// octets are new.
func (s *Endpoint) cover(from, to Seq) (fresh uint32) {
	if s.nxt.Less(to) {
		s.nxt = to
	}
	if to.LessEq(s.contig) {
		return 0
	}
	if from.Less(s.contig) {
		from = s.contig
	}
	if s.contig.Less(from) {
		return s.spans.add(from, to)
	}
	fresh = uint32(to-from) - s.spans.covered(from, to)
	s.contig = to
	if len(s.spans.s) > 0 {
		s.contig = s.spans.absorb(to)
	}
	return fresh
}

// ackedTo notes that the peer acknowledged everything below ack and returns
// how many octets of that the tap never saw.
func (s *Endpoint) ackedTo(ack Seq) (unseen uint32) {
	if ack.LessEq(s.contig) {
		return 0
	}
	unseen = uint32(ack-s.contig) - s.spans.covered(s.contig, ack)
	if s.spans.full {
		unseen = 0
	}
	if unseen > 0 {
		s.gap = span{s.contig, ack}
	}
	s.contig = ack
	if len(s.spans.s) > 0 {
		s.contig = s.spans.absorb(ack)
	}
	if s.nxt.Less(ack) {
		s.nxt = ack
	}
	return unseen
}

// found takes back that the capture lost [from, to) of what the side sent: here
// it is, recorded after its ACK or sent again, or never sent at all.
func (e *Endpoint) found(from, to Seq) {
	n := overlap(e.gap, span{from, to})
	if n == 0 {
		return
	}
	e.Counters.CaptureLostBytes -= min(e.Counters.CaptureLostBytes, uint64(n))
	switch {
	case e.gap.from.Less(from):
		e.gap.to = from
	case to.Less(e.gap.to):
		e.gap.from = to
	default:
		e.gap = span{}
	}
}
