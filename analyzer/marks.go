package analyzer

// marks are what a side's IP layer puts on its segments, so that one that is
// not its own stands out.
type marks struct {
	ttl      uint8 // of its last segment
	low      uint8 // lowest and highest TTL so far; 0: none yet
	high     uint8
	id       uint16 // IP ID of its last segment
	ordinals uint8  // how many of its last IP IDs followed the one before
}

// ordinalsMost bounds that count.
const ordinalsMost = 8

// follow takes the marks of one more segment.
func (m *marks) follow(x *Segment) {
	if x.TTL != m.ttl {
		m.newTTL(x.TTL)
	}
	const stride = 64 // segments that offload cut out of one
	if step := x.IPID - m.id; step-1 >= stride {
		m.ordinals = 0
	} else if m.ordinals < ordinalsMost {
		m.ordinals++
	}
	m.id = x.IPID
}

func (m *marks) newTTL(ttl uint8) {
	m.ttl = ttl
	if m.low == 0 || ttl < m.low {
		m.low = ttl
	}
	m.high = max(m.high, ttl)
}

// foreign reports whether a TTL is of another origin than these: further away
// than parallel paths explain (a hop or two), and by another number of hops,
// in case that a host begins RSTs with another TTL than its data.
func (m *marks) foreign(ttl uint8) bool {
	const paths = 2
	if m.high == 0 || int(ttl) >= int(m.low)-paths && int(ttl) <= int(m.high)+paths {
		return false
	}
	return apart(hops(ttl), hops(m.low)) > paths && apart(hops(ttl), hops(m.high)) > paths
}

// hops is how many routers a packet has passed, by the initial TTLs of today's
// stacks.
func hops(ttl uint8) uint8 {
	switch {
	case ttl <= 64:
		return 64 - ttl
	case ttl <= 128:
		return 128 - ttl
	}
	return 255 - ttl
}

// outOfSeries reports whether an IP ID does not belong to these, which count.
// Zero is that of a host that answers without a socket.
func (m *marks) outOfSeries(id uint16) bool {
	const stride = 1024
	return m.ordinals >= 3 && id != 0 && id-m.id > stride
}

// resetMarks is what is odd about the first RST in a side's name that its peer
// was to obey.
type resetMarks struct {
	frame     uint64
	ttl       uint8
	breaks    resetBreak
	low, high uint8 // TTLs of the side's other segments
}

// resetBreak says how a RST breaks with the segments of the side that it names.
type resetBreak uint8

const (
	breakTTL   resetBreak = 1 << iota // comes from elsewhere
	breakID                           // IP ID out of series
	breakTS                           // RST+ACK without the timestamps that all others carry
	breakAlone                        // RST without ACK that answers nothing
	breakBoth                         // the other side was reset at the same time
)

// breaks tells how a RST breaks with its side's segments. A host without a socket
// answers without ACK and options, and at once.
func (f *Flow) breaks(s Side, x *Segment) (b resetBreak) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if e.foreign(x.TTL) {
		b |= breakTTL
	}
	if e.outOfSeries(x.IPID) {
		b |= breakID
	}
	switch {
	case x.Flags&ACK == 0 && x.Time-p.LastSent > max(e.threshold(), darkAfter):
		b |= breakAlone
	case x.Flags&ACK != 0 && e.hasTS && x.Options.Set&(OptTimestamps|OptTruncated) == 0:
		b |= breakTS
	}
	other := f.Remark(FactRST, s.Peer())
	if other != nil && x.Time-other.Last <= max(e.threshold(), p.threshold()) {
		b |= breakBoth
	}
	return b
}

// afterRST reports whether side s goes on after a RST in its name that its
// peer was to obey: x left later than reordering explains.
func (f *Flow) afterRST(s Side, x *Segment) Facts {
	e, r := &f.Sides[s], f.Remark(FactRST, s)
	if r == nil {
		return 0
	}
	after := x.Time - r.First
	if after > e.threshold() {
		return FactAfterRST
	}
	if after > reorderWithin && e.hasTS && x.Options.Set&OptTimestamps != 0 && int32(x.Options.TSVal-e.tsMax) > 0 {
		return FactAfterRST
	}
	return 0
}
