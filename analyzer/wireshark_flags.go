package analyzer

// streamFlags are what Wireshark's TCP analysis says of one segment: those of
// its tcp.analysis fields that are counted, or that decide over those.
type streamFlags uint8

const (
	streamZeroWindow streamFlags = 1 << iota
	streamZeroWindowProbe
	streamKeepAlive
	streamAnswersProbe // tcp.analysis.keep_alive_ack, or zero_window_probe_ack
	streamDuplicateACK
	streamRetransmission // spurious_retransmission and fast_retransmission too
	streamOutOfOrder
)

// streamSide is what Wireshark keeps of one side of a conversation. A number of
// 0 is one that it has not seen, as in Wireshark.
type streamSide struct {
	base      Seq         // of the SYN, or as if there had been one
	next      Seq         // after the highest number sent
	nextAt    int64       // when that was sent
	ackAt     int64       // time of its last segment
	ack       Seq         // of its last segment
	unbroken  Seq         // as next, up to the first segment that it misses
	same      int32       // duplicate ACKs in a row; -1: it acknowledged what was not captured
	window    uint16      // of its last segment, not scaled
	last      streamFlags // of its last segment
	multipath uint8       // conversation.multipath at its last segment
	hasBase   bool
	heard     bool // it has sent something: there is a window
}

// The times with which Wireshark tells segments apart, ns.
const (
	streamFast     = int64(20e6) // a fast retransmission follows its duplicate ACK within this
	streamReorder  = int64(3e6)  // out of order within this, where the round trip is not known
	streamDupFirst = 2           // duplicate ACKs that ask for a fast retransmission
)

// analyse takes a segment of side s, in the order of tcp_analyze_sequence_number
// of Wireshark 4.0.
func (v *conversation) analyse(s Side, x *Segment) (flags streamFlags) {
	e, p := &v.sides[s], &v.sides[s.Peer()]
	e.begin(p, x)
	flags = e.ofNumbers(p, x, v.multipath)
	if x.Ack != e.ack {
		e.same = 0
	}
	p.ackedTo(x)
	if x.occupies() && flags&streamKeepAlive == 0 {
		flags |= v.again(s, x)
	}
	e.follow(x, flags)
	e.multipath = v.multipath
	v.multipath |= x.MPTCP
	return flags
}

// begin sets the numbers that relative ones count from.
func (e *streamSide) begin(p *streamSide, x *Segment) {
	if !e.hasBase {
		e.base, e.hasBase = x.Seq, true
		if x.Flags&SYN == 0 {
			e.base--
		}
	}
	if !p.hasBase && x.Flags&ACK != 0 {
		p.base, p.hasBase = x.Ack-1, true
	}
}

// ofNumbers is what a segment's numbers and window say. What Multipath TCP has
// to tell may take an ACK of its own, which is then no duplicate (RFC 8684 4).
func (e *streamSide) ofNumbers(p *streamSide, x *Segment, multipath uint8) (flags streamFlags) {
	if x.Len == 1 && x.Seq == e.next && p.heard && p.window == 0 {
		return streamZeroWindowProbe
	}
	if x.Flags&(SYN|FIN|RST) != 0 {
		return 0
	}
	if x.Window == 0 {
		flags |= streamZeroWindow
	}
	if x.Len <= 1 && x.Seq == e.next-1 {
		flags |= streamKeepAlive
	}
	if x.Len != 0 || !e.heard || x.Window != e.window || x.Seq != e.next || x.Ack != e.ack {
		return flags
	}
	switch {
	case x.Window != 0 && p.last&streamKeepAlive != 0, x.Window == 0 && p.last&streamZeroWindowProbe != 0:
		flags |= streamAnswersProbe
	case x.Window != 0 && multipath == e.multipath:
		flags |= streamDuplicateACK
		e.same = max(e.same, 0) + 1
	}
	return flags
}

// ackedTo notes the ACK of the peer's segment, beyond what was captured: once
// per hole, and then as if the side had been asked by any number of duplicates
// (there -1 in an unsigned count).
func (e *streamSide) ackedTo(x *Segment) {
	if e.unbroken == 0 || !e.unbroken.Less(x.Ack) || x.Flags&ACK == 0 {
		return
	}
	if e.unbroken.Less(e.next) {
		e.unbroken = e.next
		return
	}
	e.same = -1
}

// again says whether a segment that takes sequence space repeats some, or comes
// out of order.
func (v *conversation) again(s Side, x *Segment) streamFlags {
	e, p := &v.sides[s], &v.sides[s.Peer()]
	if x.Len > 0 && p.ack != 0 && x.Seq.Add(x.Len).LessEq(p.ack) {
		return streamRetransmission // spurious: acknowledged before
	}
	back := e.next != 0 && x.Seq.Less(e.next)
	if !back || x.Len > 1 && e.next-1 == x.Seq {
		return 0 // it begins with the octet of a window probe
	}
	// Where the clock goes back the times wrap round, as there.
	if (p.same >= streamDupFirst || p.same < 0) && p.ack == x.Seq && uint64(x.Time-p.ackAt) < uint64(streamFast) {
		return streamRetransmission // fast
	}
	within := v.firstRTT
	if within == 0 {
		within = streamReorder
	}
	end := x.Seq.Add(x.Len)
	if x.Flags&(SYN|FIN) != 0 {
		end++
	}
	if uint64(x.Time-e.nextAt) < uint64(within) && e.next != end {
		return streamOutOfOrder
	}
	return streamRetransmission
}

// follow keeps what the next segments are compared with.
func (e *streamSide) follow(x *Segment, flags streamFlags) {
	end := x.Seq.Add(x.Len)
	if x.Flags&(SYN|FIN) != 0 {
		end++
	}
	if flags&streamZeroWindowProbe == 0 {
		if e.next == 0 || e.next.Less(end) {
			e.next, e.nextAt = end, x.Time
		}
		if e.unbroken == 0 || e.unbroken == x.Seq {
			e.unbroken = e.next
		}
	}
	e.heard = true
	e.window, e.ack, e.ackAt, e.last = x.Window, x.Ack, x.Time, flags
}

// count adds what Wireshark says of a segment to its sender's counters.
func (c *Counters) count(flags streamFlags) {
	if flags == 0 {
		return
	}
	for _, of := range [...]struct {
		flag streamFlags
		n    *uint32
	}{
		{streamRetransmission, &c.Retransmitted},
		{streamOutOfOrder, &c.OutOfOrder},
		{streamDuplicateACK, &c.DuplicateACK},
		{streamKeepAlive, &c.KeepAlive},
		{streamZeroWindow, &c.ZeroWindow},
	} {
		if flags&of.flag != 0 {
			*of.n++
		}
	}
}

// addWireshark adds what Wireshark says of other segments of the same side.
func (c *Counters) addWireshark(o *Counters) {
	c.Retransmitted += o.Retransmitted
	c.OutOfOrder += o.OutOfOrder
	c.DuplicateACK += o.DuplicateACK
	c.KeepAlive += o.KeepAlive
	c.ZeroWindow += o.ZeroWindow
}
