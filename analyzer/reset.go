package analyzer

// takeRST handles a RST: whose it is, and what it does to the side that it
// goes to.
func (f *Flow) takeRST(s Side, x *Segment) Facts {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	e.Counters.Resets++
	if e.hasBad && x.Seq == e.badSYNACK {
		// The answer to a SYN+ACK (or an old connection's ACK) that acknowledged
		// no SYN of this side: it closes nothing here (RFC 9293 3.10.7.3).
		e.hasBad = false
		return FactRSTIgnored
	}
	if !e.hasISN && p.hasISN && p.proven == SynSent && e.proven != SynReceived {
		return f.takeRefusal(s, x)
	}
	own := f.ownRST(s, x)
	facts := f.judgeRST(s, x)
	switch {
	case own:
		f.sendRST(s, x)
	case facts == FactRSTInWindow && x.Flags&ACK != 0:
		// Beyond what its sender was seen to send: forged, or the capture lost
		// what came before. If both sides are silent from here on, it was that.
		f.promise(s, SndRST, x, input{basis: Inferred, hold: holdEnd})
	}
	return facts
}

// takeRefusal handles a RST from a side that has sent no SYN, to one in
// SYN_SENT: acceptable when it acknowledges the SYN. The port was CLOSED.
func (f *Flow) takeRefusal(s Side, x *Segment) Facts {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if x.Flags&ACK == 0 || !p.isn.Less(x.Ack) || p.nxt.Less(x.Ack) {
		return FactRSTIgnored
	}
	if e.proven == Listen || e.proven == Unknown {
		f.begin(s, Closed, Observed, x.Time)
	}
	now := f.passing(s, x)
	f.promise(s.Peer(), RcvRST, x, input{basis: Inferred, first: now, last: now})
	return FactRST | FactRefused
}

// ownRST reports whether a RST is its sender's own: its number is the sender's
// SND.NXT, or between what the peer has acknowledged and that. A port without
// a socket takes the number from the segment that offended it (3.10.7.1),
// which is the peer's last ACK, so that this cannot tell the two apart; only
// the missing ACK bit can.
func (f *Flow) ownRST(s Side, x *Segment) bool {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if !e.started || e.proven == Listen || e.proven == Unknown {
		return false
	}
	low := e.nxt
	if p.hasACK && p.ack.Less(low) {
		low = p.ack
	}
	if e.hasISN && !p.hasACK {
		low = e.isn.Add(1)
	}
	if e.hasFIN && x.Seq == e.fin && x.Flags&ACK == 0 {
		return true // the offender had not yet acknowledged the FIN
	}
	return low.LessEq(x.Seq) && x.Seq.LessEq(e.nxt)
}

// sendRST takes a RST as its sender's own. It stays provisional, since an
// exact forgery looks alike.
func (f *Flow) sendRST(s Side, x *Segment) {
	e := &f.Sides[s]
	if x.Flags&ACK == 0 {
		f.withoutSocket(s, x)
	} else {
		f.settle(s, x, false)
	}
	if e.State == Closed {
		return
	}
	now := f.passing(s, x)
	f.promise(s, SndRST, x, input{basis: Inferred, first: now, last: now})
}

// withoutSocket handles a RST without ACK: a port without a socket sent it, or
// a socket in TIME_WAIT. What was promised to the side and not proved was
// never accepted; only a pending ACK of its FIN, or a RST, explains the end.
func (f *Flow) withoutSocket(s Side, x *Segment) {
	e := &f.Sides[s]
	for i := 0; i < len(e.inbox); {
		in := &e.inbox[i]
		had := e.hasACK && in.hasEnd && in.end.LessEq(e.ack) // the side has acknowledged it
		if (in.on == RcvSYNACK || in.on == RcvFIN) && !had {
			f.remove(s, i, "reset by a port without a socket", x.Frame)
			continue
		}
		i++
	}
	for i := e.solid() - 1; i >= 0; i-- {
		if on := e.inbox[i].on; on == RcvACKofFIN || on == RcvRST {
			e.inbox[i].hold = holdNot
			f.prove(s, i+1, x)
			break
		}
	}
}

// judgeRST decides what a RST does to the side that it goes to, by RFC 9293
// 3.10.7.4 as RFC 5961 3.2 has it: obeyed at exactly RCV.NXT, challenged
// elsewhere in the window, ignored outside it. A tap knows RCV.NXT only to lie
// between the side's last ACK and the highest contiguous octet sent to it.
func (f *Flow) judgeRST(s Side, x *Segment) Facts {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if p.State == Closed && p.find(RcvRST) < 0 && p.proven == Closed {
		return FactToClosed
	}
	in := input{basis: Inferred}
	high := e.contig
	low := high
	if p.hasACK && p.ack.Less(high) {
		low = p.ack
	}
	switch {
	case p.proven == SynSent && p.find(RcvSYNACK) < 0 && x.Flags&ACK != 0 && p.hasISN:
		if !p.isn.Less(x.Ack) || p.nxt.Less(x.Ack) {
			return FactRSTIgnored
		}
	case !e.started:
		return FactRSTIgnored
	case e.hasFIN && x.Seq == e.fin && (p.State == CloseWait || p.State == LastAck || p.State == Closing):
		// Linux takes RCV.NXT-1 after a FIN for exact (tcp_reset_check).
	case low.LessEq(x.Seq) && x.Seq.LessEq(high):
	case low.Less(x.Seq) && x.Seq.Less(low.Add(p.reach())):
		in.hold = holdEnd
		p.provokedAt = x.Time
		f.promise(s.Peer(), RcvRST, x, in)
		return FactRSTInWindow
	default:
		return FactRSTIgnored
	}
	f.promise(s.Peer(), RcvRST, x, in)
	return FactRST
}

// takeUnreachable handles an ICMP error about a segment of side s. It ends a
// connection attempt (RFC 1122 4.2.3.9 and what stacks do in SYN_SENT); for an
// established connection it is only a hint (RFC 5927 4.1).
func (f *Flow) takeUnreachable(s Side, u *Unreachable) {
	e := &f.Sides[s]
	f.Frames++
	f.End, f.LastFrame = max(f.End, u.Time), u.Frame
	if f.Unreached == nil || !f.Unreached.ends() || u.ends() {
		last := *u // but one that says no stays
		f.Unreached = &last
	}
	f.remark(FactUnreachable, s, u.Time, u.Frame)
	if e.proven != SynSent || u.Seq != e.isn || !u.ends() {
		return
	}
	now := passing{time: u.Time, frame: u.Frame}
	if i := e.find(RcvICMP); i >= 0 {
		e.inbox[i].again(now)
		return
	}
	f.queue(s, input{on: RcvICMP, basis: Inferred, first: now, last: now})
}

// ends reports whether the error says that the segment cannot be delivered, as
// against not in that size or not in that time.
func (u *Unreachable) ends() bool {
	if u.V6 {
		return u.Type == 1
	}
	const fragmentationNeeded = 4
	return u.Type == 3 && u.Code != fragmentationNeeded
}
