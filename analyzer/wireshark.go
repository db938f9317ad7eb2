package analyzer

// Wireshark is what Wireshark and tshark say of a flow.
type Wireshark struct {
	Stream       int   // tcp.stream of the flow's first frame; -1: it reads none of them
	Completeness uint8 // tcp.completeness of that stream, when the flow ended
}

// The bits of tcp.completeness.
const (
	completeSYN = 1 << iota
	completeSYNACK
	completeACK
	completeData
	completeFIN
	completeRST
)

// conversations are Wireshark's: it tells connections apart by addresses and
// ports alone, whatever the VLAN or tunnel, and not where our flows begin and
// end. So they have a table of their own.
//
// Wireshark forgets none. Here those of flows that are held are kept, and the
// last conversationsKept of the others.
type conversations struct {
	of    map[Key]*conversation // by the key without its path
	next  int                   // the next stream
	done  []*conversation       // of no flow that is held: a ring, in the order in which they became so
	at    int
	spare []*conversation
}

// conversationsKept bounds those of no flow that is held.
const conversationsKept = 1 << 16

// conversation is one stream.
type conversation struct {
	key          Key
	stream       int
	flows        int  // that are held and began in it
	parked       bool // it stands in conversations.done
	completeness uint8
	later        uint8 // what its first segment adds once there is another
	multipath    uint8 // what of Segment.MPTCP has been seen of either side
	lastSYN      int64 // time of the last SYN without ACK; 0: none
	firstRTT     int64 // from that to the first ACK without SYN; 0: not known
	sides        [2]streamSide
}

// find returns the conversation of a segment's addresses and ports, and
// whether it is a new one.
func (c *conversations) find(k Key) (v *conversation, fresh bool) {
	k = k.plain()
	if v = c.of[k]; v != nil {
		return v, false
	}
	return c.begin(k), true
}

// begin makes the next stream the conversation of its key.
func (c *conversations) begin(k Key) *conversation {
	v := c.take()
	v.key, v.stream = k, c.next
	c.next++
	c.of[k] = v
	c.park(v)
	return v
}

// take returns an empty conversation.
func (c *conversations) take() *conversation {
	n := len(c.spare)
	if n == 0 {
		return new(conversation)
	}
	v := c.spare[n-1]
	c.spare = c.spare[:n-1]
	*v = conversation{}
	return v
}

// park keeps a conversation of no flow, until as many others have come.
func (c *conversations) park(v *conversation) {
	if v.parked {
		return
	}
	v.parked = true
	if len(c.done) < conversationsKept {
		c.done = append(c.done, v)
		return
	}
	old := c.done[c.at]
	c.done[c.at] = v
	c.at = (c.at + 1) % conversationsKept
	old.parked = false
	if old.flows == 0 {
		c.forget(old)
	}
}

func (c *conversations) forget(v *conversation) {
	if c.of[v.key] == v {
		delete(c.of, v.key)
	}
	c.spare = append(c.spare, v)
}

// hold and release count the flows of a conversation.
func (c *conversations) hold(v *conversation) { v.flows++ }

func (c *conversations) release(v *conversation) {
	if v.flows--; v.flows == 0 {
		c.park(v)
	}
}

// segment gives a segment of side s to its conversation, and says what
// Wireshark makes of it. The conversation is nil where it makes nothing of it.
func (c *conversations) segment(k Key, s Side, x *Segment) (*conversation, streamFlags) {
	if x.Fragment {
		return nil, 0 // it reads datagrams that are whole
	}
	v, fresh := c.find(k)
	v, reused := c.resume(v, fresh, s, x.Flags, x.Seq)
	flags := v.analyse(s, x)
	if x.Options.Set&OptTruncated != 0 {
		flags = 0 // what it finds, it does not say where it cannot read the options
	}
	v.advance(fresh && !reused, x.Flags, x.Len)
	v.clock(x.Flags, x.Time)
	return v, flags
}

// quote gives a segment that an ICMP error quotes up to its window: to Wireshark
// it is one of the conversation, but for its analysis.
func (c *conversations) quote(k Key, s Side, u *Unreachable) {
	v, fresh := c.find(k)
	v, reused := c.resume(v, fresh, s, u.Flags, u.Seq)
	v.advance(fresh && !reused, u.Flags, 0)
	v.clock(u.Flags, u.Time)
}

// resume returns the conversation that a SYN belongs to: another one than its
// pair's when it has another number than the SYN before.
func (c *conversations) resume(v *conversation, fresh bool, s Side, flags Flags, seq Seq) (*conversation, bool) {
	e := &v.sides[s]
	if fresh || !e.hasBase || flags&SYN == 0 || flags&ACK != 0 && seq == e.base {
		return v, false
	}
	switch {
	case flags&ACK != 0:
		e.base = seq // which of two SYN+ACKs counts, the last says
	case seq == e.base:
		e.next = e.unbroken // a RST may have moved it
	default:
		v = c.begin(v.key)
		v.completeness = completeSYN
		return v, true
	}
	return v, false
}

// advance adds to the completeness what a segment shows. The first one of a
// conversation shows at first only that it is a SYN: the rest is added when
// Wireshark looks at the packets again, and seen beside the next.
func (v *conversation) advance(first bool, flags Flags, payload uint32) {
	syn := first && flags&(SYN|ACK) == SYN
	plain := flags&(SYN|ACK) == ACK
	var shown uint8
	for _, is := range [...]struct {
		bit uint8
		yes bool
	}{
		{completeSYN, syn},
		{completeSYNACK, flags.Has(SYN | ACK)},
		{completeData, (plain || syn) && payload > 0}, // a SYN's: Fast Open
		{completeACK, plain && payload == 0},
		{completeFIN, flags.Has(FIN | ACK)},
		{completeRST, flags&RST != 0},
	} {
		if is.yes {
			shown |= is.bit
		}
	}
	if first && !syn {
		v.later = shown
		return
	}
	v.completeness |= v.later | shown
}

// clock takes the initial round trip: from the last SYN to the first ACK of
// either side.
func (v *conversation) clock(flags Flags, now int64) {
	switch {
	case flags&(SYN|ACK) == SYN:
		v.lastSYN = now
	case flags&(SYN|ACK) == ACK && v.lastSYN != 0 && v.firstRTT == 0:
		v.firstRTT = now - v.lastSYN
	}
}
