package analyzer

// step moves the state of the sending endpoint, and sometimes its peer's.
func (z *zeek) step(s Side, x *Segment) {
	e, p := &z.sides[s], &z.sides[s.Peer()]
	switch e.state {
	case zeekInactive:
		z.fromInactive(s, x)
	case zeekSYNSent, zeekSYNACKSent:
		z.end(s, x)
	case zeekEstablished, zeekPartial:
		if x.Flags&(SYN|ACK) == SYN && e.state == zeekPartial && p.state == zeekInactive {
			e.enter(zeekSYNSent)
		}
		if x.Flags&(FIN|RST) == FIN && p.state == zeekReset && p.before == zeekClosed {
			e.enter(zeekClosed)
			p.enter(zeekClosed) // FIN, RST, and now the peer's FIN: closed normally
		}
		z.end(s, x)
	case zeekClosed:
		if x.Flags&RST != 0 && p.state != zeekClosed {
			e.enter(zeekReset)
			z.close(s)
		}
	}
	if !z.handshakeEnded && !(e.state.handshaking() && p.state.handshaking()) {
		z.handshakeEnded = true
	}
}

// end takes a FIN or RST of an endpoint that has spoken before.
func (z *zeek) end(s Side, x *Segment) {
	e := &z.sides[s]
	if x.Flags&FIN != 0 && (x.Flags&RST == 0 || e.state.handshaking()) {
		e.enter(zeekClosed)
		z.close(s)
	}
	if x.Flags&RST != 0 {
		e.enter(zeekReset)
		z.close(s)
	}
}

// fromInactive takes the first segment of an endpoint, or the first after
// those that say nothing of it.
func (z *zeek) fromInactive(s Side, x *Segment) {
	e, p := &z.sides[s], &z.sides[s.Peer()]
	if x.Flags&SYN != 0 {
		z.opened(s, x)
	}
	if x.Flags&FIN != 0 {
		e.enter(zeekClosed)
		z.close(s)
	}
	if x.Flags&RST != 0 {
		e.enter(zeekReset)
		z.close(s)
	}
	switch {
	case e.state != zeekInactive:
	case s != z.orig && x.Len == 0 && p.state == zeekSYNSent:
		// A bare ACK before the SYN+ACK: some stacks do that.
	case x.Flags&ACK != 0 && p.state == zeekEstablished:
		e.enter(zeekEstablished) // its SYN was missed
		z.partial = false
	default:
		e.enter(zeekPartial)
	}
}

// opened takes the first SYN or SYN+ACK of an endpoint.
func (z *zeek) opened(s Side, x *Segment) {
	e, p := &z.sides[s], &z.sides[s.Peer()]
	if s == z.orig {
		e.enter(zeekSYNSent)
		if x.Flags&ACK != 0 {
			e.enter(zeekSYNACKSent)
		}
		return
	}
	if x.Flags&ACK == 0 && p.state == zeekSYNACKSent && x.Seq == e.start {
		z.flip() // SYN and SYN+ACK were captured in the wrong order
		p.enter(zeekEstablished)
	}
	if p.state == zeekSYNSent {
		p.enter(zeekEstablished)
	}
	e.enter(zeekEstablished)
}

// close notes that an endpoint has ended the connection for itself; when that
// ends it for both, only a timer is left.
func (z *zeek) close(s Side) {
	e, p := &z.sides[s], &z.sides[s.Peer()]
	if e.closed {
		return
	}
	e.closed = true
	if e.state == zeekReset || p.closed || p.state == zeekInactive {
		z.closing, z.removeAt = true, z.last+zeekCloseDelay
	}
}
