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
	switch seen := e.copies.seen(x); seen {
	case FactCaptureDuplicate:
		e.Counters.CaptureDuplicates++
		return seen
	case FactLateCopy:
		e.Counters.Segments++
		return seen
	}
	f.release(0, x.Time, false)
	f.release(1, x.Time, false)
	e.Counters.Segments++
	switch {
	case x.Flags&RST != 0:
		facts = f.takeRST(s, x)
	case x.Flags&(SYN|ACK) == SYN:
		facts = f.takeSYN(s, x)
	case x.Flags&SYN != 0:
		facts = f.takeSYNACK(s, x)
	default:
		facts = f.takeOrdinary(s, x)
	}
	e.LastSent, e.LastFrame = x.Time, x.Frame
	if x.Flags&RST == 0 {
		e.ttl = x.TTL
	}
	e.obliging = 0
	if x.Options.Set&OptTimestamps != 0 && (!e.hasTS || int32(x.Options.TSVal-e.tsMax) > 0) {
		e.tsMax, e.hasTS = x.Options.TSVal, true
	}
	return facts
}

// note keeps the flow's own dates.
func (f *Flow) note(x *Segment) {
	if f.Frames == 0 {
		f.Start, f.FirstFrame, f.Link = x.Time, x.Frame, x.Link
	}
	f.Frames++
	f.End, f.LastFrame = max(f.End, x.Time), x.Frame
}

// takeSYN handles a SYN without ACK: the first of its side, or a copy of it.
// Whether a SYN with another number belongs to this flow has been decided
// before (see incarnation.go).
func (f *Flow) takeSYN(s Side, x *Segment) Facts {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	facts := FactSYN
	e.Counters.SYN++
	now := passing{time: x.Time, frame: x.Frame}
	if e.hasISN {
		facts |= FactRetransmission
		e.Counters.Retransmitted++
		e.rttStart, p.rttStart = 0, 0
		if e.proven == SynSent {
			f.settle(s, x, true)
			e.resent.sent(x.Time)
			f.synRetransmits++
			if f.synackAt == 0 {
				f.synAt = x.Time
			}
			p.oblige(x.Time)
			f.noteDark(s.Peer(), x)
		}
		return facts
	}
	e.startAt(x)
	e.resent.sent(x.Time)
	f.learnOffer(s, x)
	if e.proven == Unknown || e.proven == Listen {
		f.begin(s, Closed, Observed, 0)
	}
	f.move(s, SndSYN, Observed, now)
	if p.proven == Unknown {
		f.begin(s.Peer(), Listen, Assumed, 0)
		f.Client, f.Guessed = s, false
	}
	if f.synAt == 0 {
		f.synAt = x.Time
	}
	f.countPayload(s, x)
	f.time(s.Peer(), x)
	p.oblige(x.Time)
	return facts
}

// startAt sets a side's numbers from its SYN.
func (e *Endpoint) startAt(x *Segment) {
	e.isn, e.hasISN, e.started = x.Seq, true, true
	e.nxt = x.end()
	e.contig = e.nxt
	e.mayHaveFIN = false
	e.window = uint32(x.Window) // never scaled on a SYN (RFC 7323 2.2)
	e.maxWindow = max(e.maxWindow, e.window)
}

// learnOffer keeps the options of a SYN or SYN+ACK. Scaling is on only when
// both offered it (RFC 7323 2.2).
func (f *Flow) learnOffer(s Side, x *Segment) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	e.Offered = Negotiated{Known: x.Options.Set&OptTruncated == 0, Options: x.Options}
	e.shiftKnown = e.Offered.Known
	if x.Flags&ACK == 0 {
		if x.Options.Set&OptWindowScale != 0 {
			e.shift = x.Options.WindowScale
		}
		return
	}
	if x.Options.Set&OptWindowScale != 0 && p.Offered.Set&OptWindowScale != 0 {
		e.shift = x.Options.WindowScale
		return
	}
	e.shift = 0
	if e.Offered.Known {
		p.shift = 0
	}
}

// takeSYNACK handles a SYN+ACK. One that acknowledges no SYN of the peer is
// not the answer: the peer will reset it, and its sender's numbers and state
// stay as they are (RFC 9293 3.10.7.3, first step).
func (f *Flow) takeSYNACK(s Side, x *Segment) Facts {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	facts := FactSYNACK
	e.Counters.SYN++
	now := passing{time: x.Time, frame: x.Frame}
	if !p.started {
		f.meetSYNACK(s, x)
	} else if p.hasISN && !(p.isn.Less(x.Ack) && x.Ack.LessEq(p.nxt)) || e.hasISN && e.isn != x.Seq {
		p.badSYNACK, p.hasBad = x.Ack, true
		p.oblige(x.Time)
		return FactBadSYNACK
	}
	again := e.hasISN && e.Counters.SYN > 1 && e.proven != SynSent
	e.sample(x)
	f.settle(s, x, again)
	if !e.hasISN {
		e.startAt(x)
		f.learnOffer(s, x)
		if e.proven == Closed && !f.moved(s) {
			f.begin(s, Listen, Assumed, 0) // it refused before, and listens now
		}
	}
	f.move(s, SndSYNACK, Observed, now)
	e.resent.sent(x.Time)
	if again {
		facts |= FactRetransmission
		e.Counters.Retransmitted++
		f.synackRetransmits++
		p.rttStart = 0
	} else {
		f.time(s.Peer(), x)
	}
	if f.establishedAt == 0 {
		f.synackAt = x.Time
	}
	f.fastOpen = f.fastOpen || p.hasISN && p.isn.Add(1).Less(x.Ack)
	facts |= f.acknowledge(s, x)
	if st := p.proven; st == SynSent || st == SynReceived {
		f.promise(s.Peer(), RcvSYNACK, x, input{basis: Inferred, end: e.isn.Add(1), hasEnd: true})
	}
	p.oblige(x.Time)
	f.noteDark(s.Peer(), x)
	return facts
}

// meetSYNACK begins a flow whose SYN the capture missed.
func (f *Flow) meetSYNACK(s Side, x *Segment) {
	p := &f.Sides[s.Peer()]
	f.Client, f.Guessed = s.Peer(), false
	f.move(s.Peer(), FoundOpened, Assumed, passing{time: x.Time, frame: x.Frame})
	p.isn, p.hasISN, p.started = x.Ack-1, true, true
	p.nxt, p.contig = x.Ack, x.Ack
}

// takeOrdinary handles a segment with neither SYN nor RST.
func (f *Flow) takeOrdinary(s Side, x *Segment) Facts {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
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
	f.settle(s, x, facts&FactRetransmission != 0)
	if x.Flags&ACK != 0 {
		f.synchronize(s, x)
	}
	f.resolveDoubt(s, x)
	f.ownUnseenFIN(s, x)
	facts |= f.acknowledge(s, x)
	facts |= f.challengeACK(s, x, facts)
	facts |= f.takePayload(s, x, facts)
	return facts
}

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
	if i := e.find(RcvRST); i >= 0 && e.inbox[i].hold == holdEnd {
		f.remove(s, i, fmt.Sprintf("the side goes on in frame %d", x.Frame), x.Frame)
	}
	if soon && !x.occupies() && facts&FactACK == 0 {
		return FactChallengeACK
	}
	return 0
}

// plausibleAnswer reports whether an ordinary segment's ACK can be of the
// connection that a side's SYN began, rather than of an older one: it covers
// the SYN, and no more data than can have gone by unseen.
func plausibleAnswer(p *Endpoint, x *Segment) bool {
	const unseen = 1 << 24
	return p.isn.Less(x.Ack) && x.Ack.Less(p.nxt.Add(unseen))
}

// meetOpen begins a flow in the middle: both sides are taken for ESTABLISHED.
func (f *Flow) meetOpen(s Side, x *Segment) {
	now := passing{time: x.Time, frame: x.Frame}
	f.move(s, FoundOpen, Assumed, now)
	f.move(s.Peer(), FoundOpen, Assumed, now)
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	e.started, e.nxt, e.contig = true, x.Seq, x.Seq
	e.mayHaveFIN = x.Len == 0
	e.loose = x.Len <= 1 && x.Flags&FIN == 0
	if x.Flags&ACK != 0 {
		p.started, p.nxt, p.contig = true, x.Ack, x.Ack
		p.mayHaveFIN = true
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
			return FactWindowProbe
		}
		e.Counters.KeepAlive++
		return FactKeepAlive
	case x.Len == 1 && x.Seq == e.nxt && p.hasACK && p.window == 0:
		facts |= FactWindowProbe
	case !x.occupies():
	case e.nxt.Less(x.Seq):
		facts |= FactHole
	case before && e.contig.LessEq(x.Seq) && e.spans.covered(x.Seq, x.end()) == 0 && x.Time-e.LastSent < reorderWithin:
		e.Counters.OutOfOrder++
		facts |= FactOutOfOrder
	case before && !(e.hasFIN && !e.finSeen && x.Flags&FIN != 0 && x.end() == e.fin.Add(1)):
		e.Counters.Retransmitted++
		facts |= FactRetransmission
	}
	return facts
}

// reorderWithin tells reordering from retransmission where a segment fills a
// hole: Wireshark's 3 ms for a round trip not yet known.
const reorderWithin = int64(3e6)

// synchronize brings a side whose own ordinary segment shows that the opening
// is behind it to ESTABLISHED, where the segments that took it there were
// never captured.
func (f *Flow) synchronize(s Side, x *Segment) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	now := passing{time: x.Time, frame: x.Frame}
	switch e.proven {
	case SynSent:
		if !p.started || p.proven == Listen {
			p.started, p.nxt, p.contig = true, x.Ack, x.Ack
			p.isn, p.hasISN = x.Ack-1, !x.occupies()
			p.mayHaveFIN = true
			f.begin(s.Peer(), Listen, Assumed, 0)
			f.move(s.Peer(), SndSYNACK, Assumed, now)
			f.move(s, RcvSYNACK, Assumed, now)
		} else if p.hasISN && p.isn.Less(x.Ack) {
			f.move(s, RcvSYNACK, Observed, now)
		}
	case Listen, SynReceived:
		if e.proven == Listen && !(p.hasISN && p.isn.Less(x.Ack)) {
			return
		}
		// A bare ACK may be SYN_RECEIVED's answer to what is not acceptable
		// (3.10.7.4, first step); data, a FIN, and an ACK of data come after
		// the handshake, but with Fast Open.
		if !x.occupies() && !p.isn.Add(1).Less(x.Ack) || f.fastOpen {
			return
		}
		f.move(s, SndSYNACK, Assumed, now)
		f.move(s, RcvACKofSYN, Assumed, now)
	}
	if i := p.find(RcvSYNACK); i >= 0 && e.proven >= Established && p.LastSent == 0 {
		f.prove(s.Peer(), i+1, x) // a hidden client: its ACK came, so the SYN+ACK had
	}
}

// acknowledge takes x's ACK as proof of what the peer sent, and as a promise
// to the peer.
func (f *Flow) acknowledge(s Side, x *Segment) (facts Facts) {
	if x.Flags&ACK == 0 {
		return 0
	}
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	facts = f.ackFacts(s, x)
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
	if !e.hasACK || e.ack.Less(x.Ack) {
		e.ack, e.hasACK = x.Ack, true
		if p.hasFIN && p.fin.Less(x.Ack) {
			f.finAcknowledged(s.Peer(), x)
		}
	}
	f.scaleWindow(s, x)
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
	e.Counters.DuplicateACK++
	return FactDuplicateACK
}

// scaleWindow keeps the window that a side advertises.
func (f *Flow) scaleWindow(s Side, x *Segment) {
	e := &f.Sides[s]
	w := uint32(x.Window)
	if x.Flags&SYN == 0 {
		w <<= e.shift
	}
	e.window = w
	e.maxWindow = max(e.maxWindow, w)
	if w == 0 && x.Flags&(SYN|FIN|RST) == 0 {
		e.Counters.ZeroWindow++
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
	if f.countPayload(s, x) > 0 {
		facts |= FactData
		e.LastData = x.Time
	}
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
