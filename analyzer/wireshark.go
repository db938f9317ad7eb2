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
// last so many of the others. They have no pointers: the garbage collector
// looks at none of them.
type conversations struct {
	of    map[Key]uint32 // ids, by the key without its path
	all   []*[conversationsChunk]conversation
	last  uint32   // the highest id that was ever used; 0 is no id
	spare []uint32 // ids that are free
	next  int      // the next stream
	share *share   // numbers streams where this is one of several; else nil
	keep  int      // how many of no flow that is held
	done  []uint32 // those: a ring, in the order in which they became so
	at    int
}

const (
	// conversationsKept bounds those of no flow that is held.
	conversationsKept = 1 << 16
	// conversationsChunk is how many are allocated at once.
	conversationsChunk = 1 << 8
)

func newConversations(keep int, share *share) *conversations {
	return &conversations{of: make(map[Key]uint32), keep: keep, share: share}
}

// conversation is one stream.
type conversation struct {
	key          Key
	id           uint32
	flows        int32 // that are held and began in it
	stream       int
	lastSYN      int64 // time of the last SYN without ACK; 0: none
	firstRTT     int64 // from that to the first ACK without SYN; 0: not known
	current      bool  // it is its key's
	parked       bool  // it stands in conversations.done
	completeness uint8
	later        uint8 // what its first segment adds once there is another
	multipath    uint8 // what of Segment.MPTCP has been seen of either side
	sides        [2]streamSide
}

// get returns a conversation. It does not move.
func (c *conversations) get(id uint32) *conversation {
	return &c.all[id/conversationsChunk][id%conversationsChunk]
}

// find returns the conversation of a segment's addresses and ports, and
// whether it is a new one. Nearly always it is that in which the flow of the
// same pair began, if there is one.
func (c *conversations) find(k *Key, f *Flow) (v *conversation, fresh bool) {
	if f != nil && f.stream != 0 {
		if v = c.get(f.stream); v.current {
			return v, false
		}
	}
	plain := k.plain()
	if id := c.of[plain]; id != 0 {
		return c.get(id), false
	}
	return c.begin(plain), true
}

// begin makes the next stream the conversation of its key.
func (c *conversations) begin(k Key) *conversation {
	v := c.take()
	v.key, v.current = k, true
	if c.share != nil {
		v.stream = c.share.streams.add(c.share.place, v.id)
	} else {
		v.stream = c.next
		c.next++
	}
	c.of[k] = v.id
	c.park(v)
	return v
}

// take returns an empty conversation.
func (c *conversations) take() *conversation {
	if n := len(c.spare); n > 0 {
		v := c.get(c.spare[n-1])
		c.spare = c.spare[:n-1]
		*v = conversation{id: v.id}
		return v
	}
	c.last++
	if int(c.last/conversationsChunk) >= len(c.all) {
		c.all = append(c.all, new([conversationsChunk]conversation))
	}
	v := c.get(c.last)
	v.id = c.last
	return v
}

// park keeps a conversation of no flow, until as many others have come.
func (c *conversations) park(v *conversation) {
	if v.parked {
		return
	}
	v.parked = true
	if len(c.done) < c.keep {
		c.done = append(c.done, v.id)
		return
	}
	old := c.get(c.done[c.at])
	c.done[c.at] = v.id
	c.at = (c.at + 1) % c.keep
	old.parked = false
	if old.flows == 0 {
		c.forget(old)
	}
}

func (c *conversations) forget(v *conversation) {
	if v.current {
		delete(c.of, v.key)
	}
	if provisional(v.stream) {
		c.share.streams.of(v.stream).id = 0
	}
	c.spare = append(c.spare, v.id)
}

// hold says that a flow that is held began in a conversation, and release that
// it is held no more.
func (c *conversations) hold(f *Flow, v *conversation) {
	f.stream = v.id
	v.flows++
}

func (c *conversations) release(f *Flow) {
	if f.stream == 0 {
		return
	}
	v := c.get(f.stream)
	if v.flows--; v.flows == 0 {
		c.park(v)
	}
}

// result is what Wireshark says of a flow that ends.
func (c *conversations) result(f *Flow) Wireshark {
	if f.stream == 0 {
		return Wireshark{Stream: -1}
	}
	v := c.get(f.stream)
	return Wireshark{v.stream, v.completeness}
}

// segment gives a segment of side s to its conversation, and says what
// Wireshark makes of it. The conversation is nil where it makes nothing of it.
// f is the youngest flow of the pair, if any.
func (c *conversations) segment(k *Key, f *Flow, s Side, x *Segment) (*conversation, streamFlags) {
	if x.Fragment {
		return nil, 0 // it reads datagrams that are whole
	}
	v, fresh := c.find(k, f)
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
func (c *conversations) quote(k *Key, s Side, u *Unreachable) {
	v, fresh := c.find(k, nil)
	v, reused := c.resume(v, fresh, s, u.Flags, u.Seq)
	v.advance(fresh && !reused, u.Flags, 0)
	v.clock(u.Flags, u.Time)
}

// resume returns the conversation that a SYN belongs to: another one than its
// pair's when it has another number than the SYN before.
func (c *conversations) resume(v *conversation, fresh bool, s Side, flags Flags, seq Seq) (*conversation, bool) {
	if fresh || flags&SYN == 0 {
		return v, false
	}
	e := &v.sides[s]
	if !e.hasBase || flags&ACK != 0 && seq == e.base {
		return v, false
	}
	switch {
	case flags&ACK != 0:
		e.base = seq // which of two SYN+ACKs counts, the last says
	case seq == e.base:
		e.next = e.unbroken // a RST may have moved it
	default:
		v.current = false
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
