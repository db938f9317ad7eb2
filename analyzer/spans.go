package analyzer

// span is a half-open range of sequence numbers.
type span struct{ from, to Seq }

// spanSet keeps the few ranges that a side sent beyond a hole, in order and
// apart from each other. A sender with more holes than that is tracked by its
// peer's ACKs.
type spanSet struct {
	n int
	s [4]span
}

// add inserts [from, to) and returns how many of its octets were not covered
// yet.
func (ss *spanSet) add(from, to Seq) (fresh uint32) {
	fresh = uint32(to - from)
	i := 0
	for i < ss.n && ss.s[i].to.Less(from) {
		i++
	}
	j := i
	for ; j < ss.n && ss.s[j].from.LessEq(to); j++ {
		fresh -= overlap(ss.s[j], span{from, to})
		from = minSeq(from, ss.s[j].from)
		to = to.Max(ss.s[j].to)
	}
	switch {
	case j > i: // merged with [i, j)
		ss.s[i] = span{from, to}
		copy(ss.s[i+1:], ss.s[j:ss.n])
		ss.n -= j - i - 1
	case ss.n < len(ss.s):
		copy(ss.s[i+1:ss.n+1], ss.s[i:ss.n])
		ss.s[i] = span{from, to}
		ss.n++
	}
	return fresh
}

// absorb joins the ranges that contig has reached and returns the new contig.
func (ss *spanSet) absorb(contig Seq) Seq {
	n := 0
	for n < ss.n && ss.s[n].from.LessEq(contig) {
		contig = contig.Max(ss.s[n].to)
		n++
	}
	copy(ss.s[:], ss.s[n:ss.n])
	ss.n -= n
	return contig
}

// covered returns how many octets of [from, to) the set holds.
func (ss *spanSet) covered(from, to Seq) (n uint32) {
	for _, s := range ss.s[:ss.n] {
		n += overlap(s, span{from, to})
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
func (s *sender) cover(from, to Seq) (fresh uint32) {
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
	if s.spans.n > 0 {
		s.contig = s.spans.absorb(to)
	}
	return fresh
}

// ackedTo notes that the peer acknowledged everything below ack and returns
// how many octets of that the tap never saw.
func (s *sender) ackedTo(ack Seq) (unseen uint32) {
	if ack.LessEq(s.contig) {
		return 0
	}
	unseen = uint32(ack-s.contig) - s.spans.covered(s.contig, ack)
	if unseen > 0 {
		s.gap = span{s.contig, ack}
	}
	s.contig = ack
	if s.spans.n > 0 {
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
