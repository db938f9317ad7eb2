package analyzer

import "time"

// trouble is what a side has sent again, late or in the wrong order, and what
// it has told its peer of the like. Few flows have any.
type trouble struct {
	// Of what it sent.
	resent     [numResends]int
	octets     uint64 // sent again
	needless   int    // of the segments sent again, those that its peer had
	needlessOf uint64 // octets of these
	unseen     int    // of the segments sent again, those never seen before
	rounds     int    // losses that began after the one before was over
	roundEnd   Seq    // what it had sent when the last round began
	timedOut   bool   // a timeout was part of that round
	probes     int    // of the needless ones, those that probed the tail
	recent     [8]resent
	recentAt   uint8
	overtaken  uint16 // the most packets that overtook one, by IP ID
	afterACK   int    // segments recorded after their own ACK
	alien      span   // data in its name without the timestamps of all its others
	alienFrame uint64
	alienBy    uint64 // the frame with which it sent that range itself

	// Of what it received.
	missing  Seq   // the ACK with which it last said that something is missing
	misses   bool  // missing means something
	staleAt  int64 // when an old duplicate passed towards it; 0: none waits for its answer
	staleAge uint32
	refused  int // old duplicates that it answered with a bare ACK
	refusal  uint64
}

// resent is a segment sent again.
type resent struct {
	span
	cause resendCause
}

// resendCause is what made a side send something again.
type resendCause uint8

const (
	resentRTO   resendCause = iota // the retransmission timer ran out: RFC 6298 5.4
	resentFast                     // the peer said that it is missing: RFC 5681 3.2, RFC 8985 6
	resentTLP                      // a probe of the tail: RFC 8985 7
	resentFIN                      // a FIN without data
	resentOther                    // the peer's word was not captured
	numResends
)

var resendNames = [numResends]string{"RTO", "fast", "TLP", "FIN", "of unknown cause"}

// troubled returns the side's trouble, which begins with the first.
func (e *Endpoint) troubled() *trouble {
	if e.trouble == nil {
		e.trouble = new(trouble)
	}
	return e.trouble
}

// lacks notes that the side says, by a duplicate ACK or by SACK, that what
// follows ack is missing.
func (e *Endpoint) lacks(ack Seq) {
	t := e.troubled()
	t.missing, t.misses = ack, true
}

// asks reports whether it has said so of what it acknowledges now.
func (e *Endpoint) asks() bool {
	return e.trouble != nil && e.trouble.misses && e.hasACK && e.trouble.missing == e.ack
}

// nearID is how near IP IDs of one side are that count its packets. Those of
// stacks that draw them at random lie anywhere.
const nearID = 1024

// order says whether the side sent x before the latest of its segments (below
// 0) or after it (above 0), by timestamp and IP ID; 0 when these do not say.
// What is sent again is sent later.
func (e *Endpoint) order(x *Segment) int32 {
	if e.hasTS && x.Options.Set&OptTimestamps != 0 && x.Options.TSVal != e.tsMax {
		return int32(x.Options.TSVal - e.tsMax)
	}
	if d := int32(int16(x.IPID - e.topID)); x.IPID != 0 && e.topID != 0 && -nearID < d && d < nearID {
		return d
	}
	return 0
}

// nextID keeps the highest IP ID of the side's count. 0 stands for none.
func (e *Endpoint) nextID(x *Segment) {
	if x.IPID != 0 {
		e.topID = x.IPID
	}
}

// overtaken handles a segment that fills a hole soon after the segments beyond
// it: sent first and captured last, unless its marks say that it was sent
// later. Without marks its sender cannot have known what is missing before the
// peer said so.
func (f *Flow) overtaken(s Side, x *Segment) Facts {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	switch d := e.order(x); {
	case d > 0 && p.asks():
		return f.resend(s, x)
	case d > 0 || d == 0 && (p.LastSent == 0 || p.asks()):
		return 0
	}
	t := e.troubled()
	if d := int16(e.topID - x.IPID); x.IPID != 0 && e.topID != 0 && d > 0 {
		t.overtaken = max(t.overtaken, uint16(d))
	}
	return FactReordered
}

// resend notes that side s sends x again, and says what more there is to that.
// Late copies, an octet into a closed window, what brings new octets besides,
// what has no timestamp where all have one (RFC 7323 3.2: forged), and what the
// capture misplaced were not sent again.
func (f *Flow) resend(s Side, x *Segment) Facts {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if x.Len > 1 && (f.conflicts(s, x) || e.alienated(x)) {
		return FactConflict
	}
	if e.order(x) < 0 || p.stall() != nil || x.Len <= 1 && x.Flags&FIN == 0 || e.nxt.Less(x.end()) ||
		f.alien(s, x) {
		return 0
	}
	t := e.troubled()
	lost := overlap(e.gap, span{x.Seq, x.Seq.Add(x.Len)}) // by the capture, the first time
	if x.Len > 0 && lost == x.Len && x.Time-p.LastSent < reorderWithin {
		t.afterACK++
		return 0
	}
	first := t.rounds == 0 || t.roundEnd.LessEq(x.Seq)
	if first {
		t.rounds++
		t.roundEnd, t.timedOut = e.nxt, false
	}
	cause := f.resendCause(s, x, first)
	t.resent[cause]++
	t.octets += uint64(x.end() - x.Seq)
	if e.contig.LessEq(x.Seq) && e.spans.covered(x.Seq, x.end()) == 0 {
		t.unseen++
	}
	if x.Len == 0 {
		return 0
	}
	if lost == 0 && p.hasACK && x.end().LessEq(p.ack) && x.Time-p.LastSent > e.threshold() {
		t.wasted(resent{span{x.Seq, x.end()}, cause})
		return FactNeedless
	}
	t.recent[t.recentAt] = resent{span{x.Seq, x.end()}, cause}
	t.recentAt = (t.recentAt + 1) % uint8(len(t.recent))
	return 0
}

// alien reports whether x lacks the timestamps that all segments of a
// connection have on which both sides offered them (RFC 7323 3.2): whoever made
// it knew neither clock.
func (f *Flow) alien(s Side, x *Segment) bool {
	return f.Sides[s].hasTS && f.Sides[s.Peer()].hasTS && x.Options.Set&(OptTimestamps|OptTruncated) == 0
}

// noteAlien keeps the range of such data, to see whether the side sends it too.
func (e *Endpoint) noteAlien(x *Segment) {
	t := e.troubled()
	t.alien, t.alienFrame, t.alienBy = span{x.Seq, x.end()}, x.Frame, 0
}

// alienated reports whether x is the side's own data where an alien segment had
// some before.
func (e *Endpoint) alienated(x *Segment) bool {
	t := e.trouble
	if t == nil || x.Options.Set&OptTimestamps == 0 || overlap(t.alien, span{x.Seq, x.end()}) == 0 {
		return false
	}
	t.alien, t.alienBy = span{}, x.Frame
	return true
}

// wasted counts a segment sent again that its receiver had.
func (t *trouble) wasted(r resent) {
	t.needless++
	t.needlessOf += uint64(r.to - r.from)
	if r.cause == resentTLP {
		t.probes++
	}
}

// resendCause says why side s sends x again, as the first of a round or later.
// A sender repeats what its peer asks for as soon as the peer's word reaches it,
// and what else the round lost as the ACKs come; timers run out in silence: that
// of RFC 8985 for the tail, that of RFC 6298, longer, for what comes first.
func (f *Flow) resendCause(s Side, x *Segment, first bool) resendCause {
	const shortestRTO = int64(200 * time.Millisecond) // of today's stacks; RFC 6298 2.4 says 1 s
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	t := e.trouble
	quiet := x.Time - max(e.LastSent, p.LastSent)
	switch {
	case x.Len == 0:
		return resentFIN
	case p.LastSent == 0:
		return resentOther
	case t.timedOut:
		return resentRTO
	case (p.asks() || !first) && x.Time-p.LastSent <= max(e.threshold(), shortestRTO/2):
		return resentFast
	case x.end() == e.nxt && (p.ack.Less(x.Seq) || quiet < shortestRTO):
		return resentTLP
	}
	t.timedOut, t.roundEnd = true, e.nxt
	return resentRTO
}

// sacked reads the first block of side s's SACK: what it has beyond a hole, or,
// below its ACK, what it was sent twice (RFC 2883 4). The network may double a
// packet too: only what was sent again counts.
func (f *Flow) sacked(s Side, x *Segment) Facts {
	block := span{x.SACK[0], x.SACK[1]}
	if !block.from.Less(block.to) {
		return 0
	}
	if x.Ack.Less(block.to) {
		f.Sides[s].lacks(x.Ack)
		return 0
	}
	t := f.Sides[s.Peer()].trouble
	if t == nil {
		return 0
	}
	for i, r := range t.recent {
		if overlap(r.span, block) > 0 {
			t.wasted(r)
			t.recent[i] = resent{}
			return FactDSACK
		}
	}
	return 0
}

// stale recognises data whose TSVal is older than the highest that its sender
// has sent, by more than reordering explains: a second and two
// round trips, or since before its own SYN. After a long silence the clock may
// have gone round (RFC 7323 5.5). Where the clock's pace is not known, it is
// taken for the fastest in use.
func (f *Flow) stale(s Side, x *Segment) Facts {
	const longSilence = int64(30 * time.Minute) // 2^31 us
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if !x.occupies() || x.Flags&(SYN|RST) != 0 || x.Time-e.LastSent > longSilence {
		return 0
	}
	ticks := e.tsMax - x.Options.TSVal
	tick, first := int64(time.Microsecond), f.synAt
	if s != f.Client {
		first = f.synackAt
	}
	before := false
	if e.Offered.Set&OptTimestamps != 0 && first != 0 {
		before = int32(x.Options.TSVal-e.Offered.TSVal) < 0
		if d := int64(e.tsMax - e.Offered.TSVal); d > 0 && e.LastSent-first > int64(time.Second) {
			tick = (e.LastSent - first) / d
		}
	}
	if !before && int64(ticks)*tick < int64(time.Second)+2*(e.rtt+p.rtt) {
		return 0
	}
	t := p.troubled()
	t.staleAt, t.staleAge = x.Time, max(t.staleAge, ticks)
	return FactStale
}

// refuses notes a bare ACK of nothing new at once after an old duplicate: the
// receiver dropped that and says where it stands (RFC 7323 5.3 R1).
func (f *Flow) refuses(s Side, x *Segment, facts Facts) {
	t := f.Sides[s].trouble
	if t.staleAt == 0 {
		return
	}
	if !x.occupies() && x.Flags&(SYN|RST) == 0 && facts&FactACK == 0 && x.Time-t.staleAt <= f.Sides[s].threshold() {
		t.refused++
		t.refusal = x.Frame
	}
	t.staleAt = 0
}
