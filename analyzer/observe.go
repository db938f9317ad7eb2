package analyzer

import "fmt"

// take lets one segment of side s act on the flow, in the order of RFC 9293
// 3.10.7.4: first what it proves about what its sender has received, then what
// its sender did, then what it promises the peer: RST, SYN, ACK, data, FIN.
func (f *Flow) take(s Side, x *Segment) (facts Facts) {
	if len(f.Transitions) > maxTransitions {
		f.forget()
	}
	e := &f.Sides[s]
	switch seen := e.copies.seen(x); {
	case seen == FactCaptureDuplicate && (x.marked() || f.duplicated()):
		e.Counters.CaptureDuplicates++
		return seen
	case seen == FactLateCopy:
		e.Counters.Segments++
		return seen
	}
	e.Counters.Segments++
	predicted := f.plain && f.predicts(s, x)
	if predicted {
		facts = f.takePredicted(s, x)
	} else {
		facts = f.takeAny(s, x)
	}
	if d := int32(x.Options.TSVal - e.tsMax); x.Options.Set&OptTimestamps != 0 && (d != 0 || !e.hasTS) {
		if !e.hasTS || d > 0 {
			e.tsMax, e.hasTS = x.Options.TSVal, true
		} else {
			facts |= f.stale(s, x)
		}
	}
	if d := int16(x.IPID - e.topID); d > 0 || d <= -nearID {
		e.nextID(x)
	}
	e.LastSent, e.LastFrame = x.Time, x.Frame
	if x.Flags&RST == 0 {
		e.marks.follow(x)
	}
	e.obliging = 0
	if !predicted {
		f.plain = f.predictable()
	}
	return facts
}

// takeAny takes a segment about which nothing is known yet.
func (f *Flow) takeAny(s Side, x *Segment) (facts Facts) {
	e := &f.Sides[s]
	f.release(0, x.Time, false)
	f.release(1, x.Time, false)
	switch {
	case x.Flags&RST != 0:
		facts = f.takeRST(s, x)
	case x.Flags&(SYN|ACK) == SYN:
		facts = f.takeSYN(s, x)
	case x.Flags&SYN != 0:
		facts = f.takeSYNACK(s, x)
	default:
		facts = f.takeOrdinary(s, x)
		if e.Counters.Resets != 0 {
			facts |= f.afterRST(s, x)
		}
	}
	if e.trouble != nil {
		f.refuses(s, x, facts)
	}
	return facts
}

// note keeps the flow's own dates.
func (f *Flow) note(s Side, x *Segment) {
	switch {
	case f.Frames == 0:
		f.Start, f.FirstFrame, f.Link = x.Time, x.Frame, x.Link
	case x.Time-f.End >= idleAfter || f.idle != nil:
		f.noteIdle(s, x)
	}
	f.Frames++
	f.End, f.LastFrame = max(f.End, x.Time), x.Frame
}

// takeOrdinary handles a segment with neither SYN nor RST. One without ACK is
// dropped by its receiver, whatever else it carries (RFC 9293 3.10.7.4, fifth
// step); as the first of a flow it opens nothing, and is its sender's probe.
func (f *Flow) takeOrdinary(s Side, x *Segment) Facts {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if x.Flags&ACK == 0 {
		if f.Frames == 1 {
			f.Client, f.probe = s, x.Flags
		}
		return FactNoACK
	}
	if !e.started && !p.started {
		f.meetOpen(s, x)
	}
	if p.proven == SynSent && p.hasISN && !e.hasISN && !plausibleAnswer(p, x) {
		// The answer of an older connection to this SYN: the peer resets it.
		p.badSYNACK, p.hasBad = x.Ack, true
		return FactChallengeACK
	}
	e.sample(x)
	facts := f.measure(s, x)
	f.ownGap(s, x)
	f.receivedAfterAll(s, x)
	f.settle(s, x, facts&FactRetransmission != 0)
	f.synchronize(s, x)
	f.resolveDoubt(s, x)
	f.ownUnseenFIN(s, x)
	before := e.window
	facts |= f.acknowledge(s, x)
	facts |= f.challengeACK(s, x, facts)
	facts |= f.takePayload(s, x, facts)
	if x.occupies() || facts&FactACK != 0 || e.window != before {
		e.idle = 0
		return facts
	}
	return facts | f.idleACK(s, x)
}

// idleACK follows ACKs of nothing, each sent at once in answer to such a one
// of the peer's. No two sound ends do that for long: an acceptable ACK is
// never answered (RFC 9293 3.10.7.4).
func (f *Flow) idleACK(s Side, x *Segment) Facts {
	const most = int64(500e6) // below the cadence of keep-alives
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if p.idle == 0 || x.Time-p.LastSent > min(e.threshold(), most) || e.window == 0 || p.window == 0 {
		e.idle = 1
		return 0
	}
	e.idle = p.idle + 1
	if e.idle < stormAfter {
		return 0
	}
	e.idle = stormAfter // it does not wrap
	return FactACKStorm
}

// stormAfter is how many such ACKs make a storm.
const stormAfter = 10

// challengeACK recognises the answer of RFC 5961 3.2 and 4.2 to a RST or SYN
// that was in window but not exact: an ACK of nothing new, at once. Whoever
// sends it has not obeyed.
func (f *Flow) challengeACK(s Side, x *Segment, facts Facts) Facts {
	e := &f.Sides[s]
	if e.provokedAt == 0 {
		return 0
	}
	soon := x.Time-e.provokedAt <= e.threshold()
	e.provokedAt = 0
	f.dropRST(s, RcvRST, x)
	f.dropRST(s.Peer(), SndRST, x)
	if soon && !x.occupies() && facts&FactACK == 0 {
		return FactChallengeACK
	}
	return 0
}

// dropRST takes a RST in window back that side s, or its peer, has not obeyed.
func (f *Flow) dropRST(s Side, on Event, x *Segment) {
	e := &f.Sides[s]
	if i := e.find(on); i >= 0 && e.inbox[i].hold == holdEnd {
		f.remove(s, i, fmt.Sprintf("frame %s does not obey it", FrameText(x.Frame)), x.Frame)
	}
}

// measure compares a segment's numbers with what its sender has sent so far.
func (f *Flow) measure(s Side, x *Segment) (facts Facts) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if !e.started {
		e.started, e.nxt, e.contig = true, x.Seq, x.Seq
		return 0
	}
	if e.loose && x.Seq == e.nxt.Add(1) {
		// That was a keep-alive, or a FIN went unseen between the two.
		e.loose, e.nxt, e.contig, e.mayHaveFIN = false, x.Seq, x.Seq, true
	}
	if x.Len > 1 {
		e.loose = false
	}
	before := x.Seq.Less(e.nxt)
	switch {
	case x.Len <= 1 && x.Seq == e.nxt-1 && x.Flags&FIN == 0 && (x.Len == 0 || p.hasACK && p.ack == e.nxt):
		if p.window == 0 && p.hasACK {
			e.repeats(FactWindowProbe, x, p)
			return FactWindowProbe
		}
		e.keepAlives++
		e.repeats(FactKeepAlive, x, p)
		return FactKeepAlive
	case x.Len == 1 && x.Seq == e.nxt && p.hasACK && p.window == 0:
		e.repeats(FactWindowProbe, x, p)
		facts |= FactWindowProbe
	case !x.occupies():
	case e.nxt.Less(x.Seq):
		facts |= FactHole
	case before && e.contig.LessEq(x.Seq) && e.spans.covered(x.Seq, x.end()) == 0 &&
		(x.Time-e.LastSent < reorderWithin || e.order(x) < 0):
		facts |= FactOutOfOrder | f.overtaken(s, x)
	case before && !(e.hasFIN && !e.finSeen && x.Flags&FIN != 0 && x.end() == e.fin.Add(1)):
		e.repeated++
		facts |= FactRetransmission | f.resend(s, x)
		e.repeats(FactRetransmission, x, p)
		f.sentAgain(s, x)
	}
	return facts
}

// reorderWithin tells reordering from retransmission where a segment fills a
// hole and its marks do not tell: Wireshark's 3 ms for a round trip not yet
// known.
const reorderWithin = int64(3e6)

// acknowledge takes x's ACK as proof of what the peer sent, and as a promise
// to the peer.
func (f *Flow) acknowledge(s Side, x *Segment) (facts Facts) {
	if x.Flags&ACK == 0 {
		return 0
	}
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	facts = f.ackFacts(s, x)
	if x.Options.Set&OptSACK != 0 {
		facts |= f.sacked(s, x)
	}
	if !p.started {
		p.started, p.nxt, p.contig = true, x.Ack, x.Ack
		p.mayHaveFIN = true
	}
	if p.nxt.Less(x.Ack) {
		facts |= FactACKUnseen
		f.peerUnseen(s, x)
	} else if lost := p.ackedTo(x.Ack); lost > 0 && p.LastSent != 0 && !p.partial {
		facts |= FactACKUnseen
		p.Counters.CaptureLostBytes += uint64(lost)
	}
	moved := e.ack
	if !e.hasACK || e.ack.Less(x.Ack) {
		e.ack, e.hasACK = x.Ack, true
		if p.hasFIN && p.fin.Less(x.Ack) {
			f.finAcknowledged(s.Peer(), x)
		}
	}
	f.scaleWindow(s, x, uint32(e.ack-moved))
	if f.deliverFIN(s.Peer(), x) {
		f.settle(s, x, false) // the ACK filled the hole before the FIN, and covers it
	}
	f.ackEvents(s, x)
	return facts
}

// ackEvents promises the peer what x's ACK acknowledges of its SYN and FIN.
func (f *Flow) ackEvents(s Side, x *Segment) {
	p := &f.Sides[s.Peer()]
	if x.Flags&SYN == 0 && p.hasISN && p.isn.Less(x.Ack) &&
		(p.proven == SynReceived || p.proven == SynSent && f.Sides[s].hasISN) {
		if f.establishedAt == 0 {
			f.establishedAt = x.Time
		}
		f.promise(s.Peer(), RcvACKofSYN, x, input{basis: Inferred, end: x.end(), hasEnd: x.occupies()})
	}
	if p.hasFIN && p.fin.Less(x.Ack) && (p.find(SndFIN) >= 0 || next[p.proven][RcvACKofFIN] != Unknown) {
		basis := Inferred
		if e := &f.Sides[s]; !p.finSeen || e.hasFIN && !e.finSeen || e.mayHaveFIN {
			basis = Assumed // there was no such FIN; or one of its peer's may have come before
		}
		f.promise(s.Peer(), RcvACKofFIN, x, input{basis: basis, end: x.end(), hasEnd: x.occupies()})
	}
}

// ackFacts says what an ACK does, by its numbers.
func (f *Flow) ackFacts(s Side, x *Segment) Facts {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	switch {
	case !e.hasACK || e.ack.Less(x.Ack):
		return FactACK
	case x.occupies() || x.Seq != e.nxt || x.Ack != e.ack || e.ack == p.nxt:
		return 0
	case uint32(x.Window)<<e.shift != e.window:
		return 0
	}
	e.duplicateACKs++
	e.lacks(x.Ack)
	return FactDuplicateACK
}

// scaleWindow keeps the window that a side advertises; its ACK has moved by so
// many octets.
func (f *Flow) scaleWindow(s Side, x *Segment, moved uint32) {
	e := &f.Sides[s]
	w := uint32(x.Window)
	if x.Flags&SYN == 0 {
		w <<= e.shift
		f.windowEdge(s, x, x.Ack.Add(w), moved)
	}
	e.window = w
	e.maxWindow = max(e.maxWindow, w)
	if w == 0 && x.Flags&(SYN|FIN|RST) == 0 {
		e.windowMoves(x)
	} else if e.stalls != nil {
		e.windowMoves(x)
	}
}

// takePayload handles the data and FIN of an ordinary segment.
func (f *Flow) takePayload(s Side, x *Segment, measured Facts) (facts Facts) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if e.window == 0 && x.Flags&(SYN|FIN|RST|ACK) == ACK && e.hasACK {
		facts |= FactZeroWindow
	}
	if measured&(FactKeepAlive|FactWindowProbe) != 0 && x.Seq.Less(e.nxt) {
		p.oblige(x.Time)
		f.noteDark(s.Peer(), x)
		return facts
	}
	if !x.occupies() {
		f.bareAt(s, x)
		return facts
	}
	fin := x.Flags&FIN != 0
	if fin && f.finOutOfWindow(s, x) {
		return facts | FactFINIgnored
	}
	facts |= f.towardsClosed(s, x)
	if mss := uint32(p.Offered.MSS); mss != 0 && x.Len > mss && f.oversize(s, x) {
		facts |= FactOversize
		e.largest = max(e.largest, x.Len)
	}
	facts |= f.takeData(s, x, measured&FactRetransmission != 0)
	if fin {
		facts |= f.takeFIN(s, x)
	}
	if i := e.find(SndFIN); i >= 0 && e.finSeen && e.fin.Less(e.contig) && e.inbox[i].basis == Inferred {
		f.certify(s, SndFIN, x)
	}
	f.deliverFIN(s, x)
	if measured&FactRetransmission != 0 {
		p.rttStart = 0
	} else {
		f.time(s.Peer(), x)
	}
	p.oblige(x.Time)
	f.noteDark(s.Peer(), x)
	return facts
}

// takeData handles the payload of an ordinary segment; again says that it was
// sent before.
func (f *Flow) takeData(s Side, x *Segment, again bool) (facts Facts) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if x.HeaderSum != 0 && !again {
		e.payloads.add(x)
	}
	if x.Len > 0 && p.shift != 0 && !p.scaleUsed {
		f.rawEdge(s, x)
	}
	if f.countPayload(s, x) > 0 {
		if f.alien(s, x) {
			e.noteAlien(x)
		}
		facts = FactData
		e.LastData = x.Time
		if f.talker != s+1 {
			f.talker = s + 1
			e.Turns++
		}
	}
	if x.Len >= e.fullFrom {
		e.full, e.fullFrom = x.Seq, noFull
	}
	return facts
}

// towardsClosed says when data or a FIN goes to a side that cannot take it.
func (f *Flow) towardsClosed(s Side, x *Segment) (facts Facts) {
	p := &f.Sides[s.Peer()]
	if p.State == Closed {
		facts |= FactToClosed
	}
	if p.hasFIN && x.Len > 0 && f.Sides[s].contig.Less(x.end()) {
		facts |= FactDataAfterFIN // legal in a half-close; a reset in answer tells
	}
	if p.State == TimeWait {
		facts |= FactTimeWait
		p.timeWaitFrom(x.Time)
	}
	return facts
}

// timeWaitFrom restarts 2 MSL (RFC 9293 3.10.7.4, eighth step).
func (e *Endpoint) timeWaitFrom(now int64) { e.timeWait = now }

// countPayload notes the payload of x and returns how much of it is new.
func (f *Flow) countPayload(s Side, x *Segment) uint32 {
	e := &f.Sides[s]
	from := x.Seq
	if x.Flags&SYN != 0 {
		from = from.Add(1)
	}
	if x.Fragment {
		e.partial = true
	}
	if x.Len == 0 {
		return 0
	}
	e.found(from, from.Add(x.Len))
	fresh := e.cover(from, from.Add(x.Len))
	if x.Flags&SYN != 0 {
		fresh = x.Len // startAt has covered it
	}
	e.Counters.Bytes += uint64(fresh)
	return fresh
}

// time starts to time the answer of a side to x, unless one is being timed.
func (f *Flow) time(to Side, x *Segment) {
	if e := &f.Sides[to]; e.rttStart == 0 && x.occupies() {
		e.rttStart, e.rttEnd = x.Time, x.end()
	}
}
