package analyzer

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
		e.repeated++
		e.rttStart, p.rttStart = 0, 0
		if e.proven == SynSent {
			f.settle(s, x, true)
			e.resent.sent(x.Time)
			f.synRetransmits++
			if f.synackAt == 0 {
				f.synAt = x.Time
			}
			f.askedAt = x.Time
			p.oblige(x.Time)
			f.noteDark(s.Peer(), x)
		}
		if e.Offered.Set&OptFastOpen != 0 && x.Options.Set&(OptFastOpen|OptTruncated) == 0 && x.Len == 0 {
			facts |= FactPlainSYN
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
		f.synAt, f.askedAt = x.Time, x.Time
	}
	f.countPayload(s, x)
	if f.Client == s {
		f.synData = x.Len
	}
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
	e.fullFrom, p.fullFrom = fullSize(e, p), fullSize(p, e)
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
		f.meetAnswer(s, x)
	} else if p.hasISN && !(p.isn.Less(x.Ack) && x.Ack.LessEq(p.nxt)) || e.hasISN && e.isn != x.Seq {
		p.badSYNACK, p.hasBad = x.Ack, true
		p.oblige(x.Time)
		return FactBadSYNACK
	}
	again := e.hasISN && e.Counters.SYN > 1 && e.proven != SynSent
	e.sample(x)
	facts |= f.settleAgain(s, x, again)
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
		e.repeated++
		f.synackRetransmits++
		p.rttStart = 0
	} else {
		f.time(s.Peer(), x)
	}
	if f.establishedAt == 0 {
		f.synackAt = x.Time
		if f.askedAt != 0 && x.Time >= f.askedAt { // else the server's own timer repeats it
			f.serverHalf, f.answered, f.askedAt = x.Time-f.askedAt, true, 0
		}
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

// settleAgain settles what a SYN+ACK shows, and says when it belies an ACK of
// the one before that a listener takes unless its accept queue is full: with
// data or a FIN. TCP_DEFER_ACCEPT ignores a bare one, once more after the end of its
// time, and takes the next.
func (f *Flow) settleAgain(s Side, x *Segment, again bool) (facts Facts) {
	e := &f.Sides[s]
	i, broken := e.find(RcvACKofSYN), e.broken[RcvACKofSYN]
	bare := i >= 0 && !e.inbox[i].hasEnd
	f.settle(s, x, again)
	if e.broken[RcvACKofSYN] > broken && (!bare || broken > 0) {
		facts |= FactNotAccepted
	}
	return facts
}

// meetAnswer begins a flow with the answer, SYN+ACK or refusal, to a SYN that
// the capture missed.
func (f *Flow) meetAnswer(s Side, x *Segment) {
	p := &f.Sides[s.Peer()]
	f.Client, f.Guessed = s.Peer(), false
	f.move(s.Peer(), FoundOpened, Assumed, passing{time: x.Time, frame: x.Frame})
	p.isn, p.hasISN, p.started = x.Ack-1, true, true
	p.nxt, p.contig = x.Ack, x.Ack
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
