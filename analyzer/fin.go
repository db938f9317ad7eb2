package analyzer

import (
	"fmt"
	"time"
)

// takeFIN handles a FIN that counts.
func (f *Flow) takeFIN(s Side, x *Segment) Facts {
	e := &f.Sides[s]
	at := x.Seq.Add(x.Len)
	e.Counters.FIN++
	if x.Fragment {
		// The rest of the payload is in later fragments: its number is not known.
		e.mayHaveFIN = true
		return FactFIN
	}
	if e.hasFIN && at == e.fin {
		return FactFIN | f.finAgain(s, x)
	}
	if e.hasFIN && e.finSeen {
		return FactFINIgnored
	}
	if e.hasFIN {
		f.denyFIN(s, x, fmt.Sprintf("the FIN itself came in frame %s", FrameText(x.Frame)))
	}
	e.fin, e.hasFIN, e.finSeen = at, true, true
	e.cover(at, at.Add(1))
	e.resent.sent(x.Time)
	f.closing(s, x)
	now := f.passing(s, x)
	e.finLast = now
	switch {
	case f.doubtful(s, x):
		f.queue(s, input{on: SndFIN, basis: Assumed, first: now, last: now})
	case e.contig != at.Add(1):
		// Past a hole it is a promise until the hole fills.
		f.queue(s, input{on: SndFIN, basis: Inferred, first: now, last: now})
	default:
		f.move(s, SndFIN, Observed, now)
	}
	return FactFIN
}

// doubtful reports whether what side s has acknowledged may hold a FIN of its
// peer that the tap never saw, so that its own FIN means FIN_WAIT_1 or
// LAST_ACK.
func (f *Flow) doubtful(s Side, x *Segment) bool {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if p.mayHaveFIN && x.Flags&ACK != 0 {
		return true
	}
	for i := range e.inbox {
		if e.inbox[i].basis == Assumed {
			return true
		}
	}
	return false
}

// finAgain handles a further copy of a FIN, or the first sight of one that was
// assumed.
func (f *Flow) finAgain(s Side, x *Segment) Facts {
	e := &f.Sides[s]
	e.finLast = f.passing(s, x)
	if x.Flags&ACK != 0 {
		e.ackAtFIN = e.ackAtFIN.Max(x.Ack)
	}
	if !e.finSeen {
		e.finSeen = true
		e.resent.sent(x.Time)
		f.confirmSight(s, x)
		return 0
	}
	e.resent.sent(x.Time)
	e.finPassed = false // offer it to the peer once more
	f.noteHidden(s, x)
	return 0
}

// noteHidden takes back what a FIN did to a peer whose direction the tap does
// not see, once it has been repeated twice: were it acknowledged, it would not
// be. A peer that is seen, and silent, is noteDark's.
func (f *Flow) noteHidden(s Side, x *Segment) {
	const copies = 3
	p := &f.Sides[s.Peer()]
	i := p.find(RcvFIN)
	if p.LastSent != 0 || f.Sides[s].Counters.FIN < copies || i < 0 || p.inbox[i].hold != holdNot {
		return
	}
	p.inbox[i].hold = holdProof
	f.rewalk(s.Peer(), fmt.Sprintf("FIN sent again in frame %s, as if not acknowledged", FrameText(x.Frame)), x.Frame)
}

// confirmSight takes the first sight of an assumed FIN: it exists. Whether its
// sender had then received the peer's is certain only when this copy does not
// acknowledge that; a later copy acknowledges more than the first did.
func (f *Flow) confirmSight(s Side, x *Segment) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if i := p.find(RcvFIN); i >= 0 && !p.mayHaveFIN && !(p.hasFIN && p.fin.Less(x.Ack)) {
		p.inbox[i].basis = Inferred
		if p.inbox[i].end.LessEq(p.ack) && i < p.solid() {
			f.prove(s.Peer(), i+1, x)
			f.sureFIN(s.Peer(), x)
		}
	}
	own := e.find(SndFIN)
	if own < 0 {
		return
	}
	r := e.find(RcvFIN)
	if r < 0 && p.mayHaveFIN {
		return // it may have acknowledged one that went unseen
	}
	if r < 0 || x.Ack.Less(e.inbox[r].end) {
		e.inbox[own].basis = Inferred
		f.certify(s, SndFIN, x)
		f.sureACKofFIN(s)
		return
	}
	if own < r && !e.crossed {
		e.moveTo(r, own)
		f.rewalk(s, fmt.Sprintf("the FIN in frame %s acknowledges the peer's", FrameText(x.Frame)), x.Frame)
	}
}

// deliverFIN promises side s's FIN to the peer once everything before it has
// gone past the tap or been acknowledged, and reports whether it did.
func (f *Flow) deliverFIN(s Side, x *Segment) bool {
	e := &f.Sides[s]
	if !e.hasFIN || e.finPassed || !e.finSeen || e.contig.Less(e.fin.Add(1)) {
		return false
	}
	e.finPassed = true
	p := &f.Sides[s.Peer()]
	if p.hasReceivedFIN() {
		return false
	}
	basis := Inferred
	if p.mayHaveFIN && !p.hasFIN {
		basis = Assumed // CLOSE_WAIT, or TIME_WAIT after a FIN of its own that went unseen
	}
	in := input{basis: basis, end: e.fin.Add(1), hasEnd: true}
	if a := p.find(RcvACKofFIN); a >= 0 && p.fin.Less(e.ackAtFIN) {
		// One segment, one fate: it carries that ACK too.
		in.hold, in.until = p.inbox[a].hold, p.inbox[a].until
	}
	f.ackWithFIN(s.Peer(), f.passing(s, x), in)
	f.promise(s.Peer(), RcvFIN, x, in)
	f.orderFIN(s.Peer(), x)
	return true
}

// ackWithFIN promises a side the ACK of its own FIN that its peer's FIN
// carried, where no other segment has: the two arrive together.
func (f *Flow) ackWithFIN(s Side, p passing, in input) {
	e := &f.Sides[s]
	if e.hasFIN && e.fin.Less(f.Sides[s.Peer()].ackAtFIN) && e.find(RcvACKofFIN) < 0 {
		in.on, in.first, in.last = RcvACKofFIN, p, p
		f.queue(s, in)
	}
}

// hasReceivedFIN reports whether the side is proved to have taken its peer's
// FIN, or to be beyond taking one.
func (e *Endpoint) hasReceivedFIN() bool {
	switch e.proven {
	case CloseWait, Closing, LastAck, TimeWait, Closed:
		return true
	}
	return false
}

// orderFIN puts a FIN that does not acknowledge the side's own before the ACK
// that does, whichever was captured first: numbers decide, not capture order.
func (f *Flow) orderFIN(s Side, x *Segment) {
	e := &f.Sides[s]
	i := e.find(RcvFIN)
	a := e.find(RcvACKofFIN)
	if a < 0 || i < a || !e.hasFIN || e.fin.Less(f.Sides[s.Peer()].ackAtFIN) {
		return
	}
	if f.sentBy(s.Peer(), x) && x.Flags&ACK != 0 && e.fin.Less(x.Ack) {
		return // it came into order only now, with a segment that acknowledges ours
	}
	e.moveTo(i, a)
	f.rewalk(s, "the FIN was sent before the ACK", x.Frame)
}

// finOutOfWindow reports whether a FIN lies where its receiver's window cannot
// reach, or before what its sender has sent already: it counts for neither
// side, since it may be forged.
func (f *Flow) finOutOfWindow(s Side, x *Segment) bool {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	at := x.Seq.Add(x.Len)
	if e.hasFIN && at == e.fin {
		return false
	}
	if at.Less(e.contig) && !x.Fragment {
		return true
	}
	return p.hasACK && p.LastSent != 0 && p.ack.Add(p.reach()).Less(at)
}

// reach is the widest window that a side has advertised, in octets; at the
// widest scale where its SYN was not captured (RFC 7323 2.3).
func (e *Endpoint) reach() uint32 {
	if e.shiftKnown {
		return e.maxWindow
	}
	return e.maxWindow << 14
}

// bareAt looks at the numbers of a segment without data: a FIN in a hole that
// its sender does not stand behind was not its own.
func (f *Flow) bareAt(s Side, x *Segment) {
	e := &f.Sides[s]
	if x.Seq.LessEq(e.gap.from) {
		e.found(e.gap.from, e.gap.to) // it never sent what its peer acknowledged
	}
	if i := e.find(SndFIN); i >= 0 && e.finSeen && e.inbox[i].basis == Inferred && x.Seq == e.contig && x.Seq.Less(e.fin) {
		e.hasFIN, e.finSeen, e.finPassed = false, false, false
		e.nxt = e.contig
		e.spans = spanSet{s: e.spans.s[:0]}
		f.remove(s, i, fmt.Sprintf("its sender stands before it in frame %s", FrameText(x.Frame)), x.Frame)
	}
}

// ownGap looks for a bare segment that stands beyond what its sender was seen
// to send. A FIN may lie between, and nothing tells whether that came before or
// after what the segment acknowledges: neither order can be proved by it.
func (f *Flow) ownGap(s Side, x *Segment) {
	e := &f.Sides[s]
	const sane = 1 << 24
	if d := e.nxt.Distance(x.Seq); e.hasFIN || x.occupies() || d <= 0 || d > sane || e.partial || e.loose {
		return
	}
	if x.Seq != e.nxt.Add(1) {
		e.mayHaveFIN = true
	}
	if i := e.find(RcvFIN); i >= 0 {
		e.inbox[i].basis = Assumed
		f.rewalk(s, "", x.Frame)
	}
}

// ownUnseenFIN applies "a gap of exactly one is a FIN" to a side's own
// segment without payload.
func (f *Flow) ownUnseenFIN(s Side, x *Segment) {
	e := &f.Sides[s]
	if e.hasFIN || x.occupies() || x.Seq != e.nxt.Add(1) || e.proven < Established || e.nxt != e.contig || e.partial {
		return
	}

	f.assumeFIN(s, x)
}

// finAcknowledged notes that the peer of side s acknowledges its FIN: one sent
// past a hole is proved, and one that the tap never saw was received.
func (f *Flow) finAcknowledged(s Side, x *Segment) {
	e := &f.Sides[s]
	if i := e.find(SndFIN); i >= 0 && e.finSeen && e.inbox[i].basis == Inferred {
		f.certify(s, SndFIN, x)
	}
	if !e.finSeen && !e.finPassed {
		f.unseenReceived(s, x)
	}
}

// receivedAfterAll puts the peer's FIN back into the inbox of side s, which
// acknowledges it with x: what was taken for lost came through, or came again
// and went unseen.
func (f *Flow) receivedAfterAll(s Side, x *Segment) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if !p.finSeen || !p.finPassed || x.Flags&ACK == 0 || x.Ack.LessEq(p.fin) || e.find(RcvFIN) >= 0 || e.hasReceivedFIN() {
		return
	}
	in := input{basis: Inferred, first: p.finLast, last: p.finLast, end: p.fin.Add(1), hasEnd: true}
	f.ackWithFIN(s, p.finLast, in)
	in.on = RcvFIN
	f.queue(s, in)
	f.orderFIN(s, x)
}

// peerUnseen takes an ACK of what the tap never saw the peer send: more than
// one octet is lost to the capture, exactly one is a FIN.
func (f *Flow) peerUnseen(s Side, x *Segment) {
	p := &f.Sides[s.Peer()]
	p.spokeUnseen()
	f.rewalk(s.Peer(), "", x.Frame)
	if p.hasFIN && !p.finSeen && p.fin.Add(1).Less(x.Ack) {
		f.denyFIN(s.Peer(), x, fmt.Sprintf("frame %s acknowledges more than that", FrameText(x.Frame)))
	}
	one := x.Ack == p.nxt.Add(1) && p.nxt == p.contig && !p.hasFIN && !p.partial && !p.loose
	alive := p.loose && x.Ack == p.nxt.Add(1) // its only segment was a keep-alive, one below
	p.loose = false
	if one && next[p.State][SndFIN] != Unknown && p.State != SynReceived {
		f.assumeFIN(s.Peer(), x)
		f.unseenReceived(s.Peer(), x)
		return
	}
	lost := p.ackedTo(x.Ack)
	if p.LastSent != 0 && !p.partial && !alive {
		p.Counters.CaptureLostBytes += uint64(lost)
	}
	p.mayHaveFIN = true
	if i := p.find(RcvFIN); i >= 0 {
		p.inbox[i].basis = Assumed
		f.rewalk(s.Peer(), "", x.Frame)
	}
}

// spokeUnseen takes it that the side is not dark: it has sent what the capture
// does not have.
func (e *Endpoint) spokeUnseen() {
	e.obliging = 0
	for i := range e.inbox {
		if e.inbox[i].hold == holdProof {
			e.inbox[i].hold = holdNot
		}
	}
}

// assumeFIN notes a FIN of side s that the tap never saw, just above what it
// did see.
func (f *Flow) assumeFIN(s Side, x *Segment) {
	e := &f.Sides[s]
	e.fin, e.hasFIN, e.finPassed = e.nxt, true, false
	e.cover(e.fin, e.fin.Add(1))
	e.mayHaveFIN = false
	f.closing(s, x)
	now := passing{time: x.Time, frame: x.Frame}
	f.queue(s, input{on: SndFIN, basis: Assumed, first: now, last: now})
	i := e.find(RcvFIN)
	if i < 0 {
		return
	}
	e.inbox[i].basis = Assumed // which of the two came first, nothing proves
	if e.answersAtOnce(&e.inbox[i], x) && f.sentBy(s, x) {
		e.crossed = true
		e.moveTo(len(e.inbox)-1, i)
		f.rewalk(s, "", x.Frame)
	}
}

// answersAtOnce reports whether the side's bare segment x is the answer to the
// peer's FIN itself. Its own FIN had left then: from CLOSE_WAIT it would have
// come with x or after it, and from LAST_ACK nothing bare leaves unasked.
func (e *Endpoint) answersAtOnce(fin *input, x *Segment) bool {
	once := fin.first.frame == fin.last.frame
	return once && fin.hasEnd && e.ack.Less(fin.end) && fin.end.LessEq(x.Ack) && x.Time-fin.first.time <= e.threshold()
}

// unseenReceived notes that the peer received an assumed FIN of side s, since
// it acknowledges it.
func (f *Flow) unseenReceived(s Side, x *Segment) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	e.finPassed = true
	now := passing{time: x.Time, frame: x.Frame}
	if p.State == FinWait1 && (e.LastSent == 0 || e.State == LastAck) {
		// A side in LAST_ACK had acknowledged our FIN with its own; of a
		// hidden peer that is the usual story.
		if i := p.find(RcvACKofFIN); i >= 0 {
			f.remove(s.Peer(), i, "", x.Frame)
		}
		f.queue(s.Peer(), input{on: RcvACKofFIN, basis: Assumed, first: now, last: now})
	}
	f.queue(s.Peer(), input{on: RcvFIN, basis: Assumed, first: now, last: now, end: e.fin.Add(1), hasEnd: true})
	if i := p.find(SndFIN); i >= 0 && p.inbox[i].basis == Assumed && p.finSeen {
		f.finAfter(s.Peer(), i, x)
	}
}

// finAfter puts the peer's FIN, just assumed, before the side's own: the
// side's FIN acknowledged it already, so it was in LAST_ACK.
func (f *Flow) finAfter(s Side, own int, x *Segment) {
	e := &f.Sides[s]
	last := len(e.inbox) - 1
	if !e.inbox[last].end.LessEq(e.ack) || e.ackAtFIN.Less(e.inbox[last].end) {
		return
	}
	e.moveTo(last, own)
	f.rewalk(s, fmt.Sprintf("the peer's FIN had come before, as frame %s shows", FrameText(x.Frame)), x.Frame)
}

// denyFIN takes an assumed FIN of side s back.
func (f *Flow) denyFIN(s Side, x *Segment, why string) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	e.hasFIN, e.finPassed = false, false
	if i := e.find(SndFIN); i >= 0 {
		f.remove(s, i, why, x.Frame)
	}
	if i := e.find(RcvACKofFIN); i >= 0 {
		f.remove(s, i, why, x.Frame)
	}
	if i := p.find(RcvFIN); i >= 0 && p.inbox[i].basis == Assumed {
		f.remove(s.Peer(), i, why, x.Frame)
	}
	if i := e.find(RcvFIN); i >= 0 && p.finSeen && !e.mayHaveFIN {
		e.inbox[i].basis = Inferred // nothing of its own stands in doubt before it
		if f.sentBy(s, x) {
			f.settle(s, x, false)
		}
	}
}

// resolveDoubt uses data or the FIN of side s that reaches as far as anything
// it has sent: there was no FIN before that.
func (f *Flow) resolveDoubt(s Side, x *Segment) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if !x.occupies() || x.end().Less(e.nxt) || f.finOutOfWindow(s, x) {
		return
	}
	denied := e.hasFIN && !e.finSeen && e.fin.Less(x.end()) && x.Len > 0
	if denied {
		f.denyFIN(s, x, fmt.Sprintf("its sender goes on in frame %s", FrameText(x.Frame)))
	}
	if !e.mayHaveFIN && !denied {
		return
	}
	e.mayHaveFIN = false
	if i := e.find(RcvFIN); i >= 0 && p.finSeen {
		e.inbox[i].basis = Inferred // it had not closed yet
		f.settle(s, x, false)
	}
	if i := p.find(SndFIN); i >= 0 && p.finSeen && p.inbox[i].basis == Assumed {
		f.certify(s.Peer(), SndFIN, x)
	}
	f.sureACKofFIN(s.Peer())
}

// sureFIN proves a side's own FIN that was in doubt only for the peer's, which
// is now proved to have come before it.
func (f *Flow) sureFIN(s Side, x *Segment) {
	e := &f.Sides[s]
	if e.find(SndFIN) == 0 && e.finSeen && !f.Sides[s.Peer()].mayHaveFIN {
		e.inbox[0].basis = Inferred
		f.certify(s, SndFIN, x)
		f.sureACKofFIN(s)
	}
}

// sureACKofFIN makes a promise of an assumed ACK of a side's FIN, once that
// FIN has been seen, and none of the peer's can have come before it unseen.
func (f *Flow) sureACKofFIN(s Side) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if i := e.find(RcvACKofFIN); i >= 0 && e.finSeen && !p.mayHaveFIN && (!p.hasFIN || p.finSeen) {
		e.inbox[i].basis = Inferred
		f.rewalk(s, "", 0)
	}
}

// closing notes what a side had acknowledged when it closed.
func (f *Flow) closing(s Side, x *Segment) {
	e := &f.Sides[s]
	e.ackAtFIN = e.ack
	if x.Flags&ACK != 0 && e.ack.Less(x.Ack) {
		e.ackAtFIN = x.Ack
	}
}

// hiddenACK assumes that a FIN was acknowledged where the tap sees only its
// sender, which has not sent it again for longer than any stack waits.
func (f *Flow) hiddenACK(s Side, now int64) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if p.LastSent != 0 || !e.finSeen || !e.hasACK || now-e.LastSent <= fullRTO || e.find(RcvACKofFIN) >= 0 {
		return
	}
	if st := e.State; st != FinWait1 && st != LastAck {
		return
	}
	at := passing{time: e.resent.last, frame: e.LastFrame}
	f.queue(s, input{on: RcvACKofFIN, basis: Assumed, first: at, last: at})
}

// fullRTO is the first retransmission timeout of a path without samples
// (RFC 6298 2.1); with samples it is shorter.
const fullRTO = int64(time.Second)
