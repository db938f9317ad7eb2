package capture

// Variants of the classic format that no magic number tells: what is known of
// them is what Wireshark's developers found in files (wiretap/libpcap.c).

const (
	// layoutRecords is how many records are looked at to tell a layout.
	layoutRecords = 3
	// layoutWire bounds the original length of a record that makes sense.
	layoutWire = 128 << 20
	// layoutSeconds is how far two records next to each other may be apart.
	layoutSeconds   = 366 * 86400
	microsPerSecond = 1_000_000
	aixFDDIPad      = 3
)

// layout returns the first of some lengths of record headers with which the
// first records make sense: Red Hat 6.1 (24), SuSE 6.3 (28) and Nokia's firewalls
// (20) wrote longer ones under the magic numbers of others. It looks only at what
// the window holds, so that a pipe is not waited for. The first length is the
// common one: another one has to prove itself.
func (r *pcapReader) layout(lengths ...int) int {
	b := r.w.buf[r.w.start:r.w.end]
	for i, n := range lengths {
		least := 0
		if i > 0 {
			least = 2
		}
		if r.fits(b, n, least) {
			return n
		}
	}
	return lengths[0]
}

// fits reports whether b begins with records that have headers of n octets: at
// least so many, and none among the first layoutRecords that contradicts it.
func (r *pcapReader) fits(b []byte, n, least int) bool {
	before := uint32(0)
	for k := range layoutRecords {
		if len(b) < n {
			return k >= least
		}
		seconds, micros := r.order.u32(b), r.order.u32(b[4:])
		captured, wire := r.order.u32(b[8:]), r.order.u32(b[12:])
		if r.swapped && captured > wire {
			captured, wire = wire, captured
		}
		apart := max(seconds, before) - min(seconds, before)
		if micros >= microsPerSecond ||
			captured-1 >= min(wire, maxRecord) || wire > layoutWire || k > 0 && apart > layoutSeconds {
			return false
		}
		if len(b)-n < int(captured) {
			return k >= least
		}
		before = seconds
		b = b[n+int(captured):]
	}
	return true
}

// ixiaFraction tells nanoseconds from microseconds in IXIA's files: Wireshark
// takes both their magic numbers for microseconds, but hardware captures are said
// to be finer. A fraction that no second has room for decides.
func (r *pcapReader) ixiaFraction() {
	b := r.w.buf[r.w.start:r.w.end]
	for len(b) >= pcapRecordLen {
		if r.order.u32(b[4:]) >= microsPerSecond {
			r.fraction = 1
			return
		}
		captured := int64(r.order.u32(b[8:]))
		if captured > int64(len(b)-pcapRecordLen) {
			return
		}
		b = b[pcapRecordLen+captured:]
	}
}

// aixLinkTypes are the link types by ifType (RFC 1573), which AIX writes.
var aixLinkTypes = map[uint32]uint16{
	6:  1,  // ethernetCsmacd
	9:  6,  // iso88025TokenRing
	15: 10, // fddi
	24: 0,  // softwareLoopback
}

// aix reports whether a file header is AIX's, which is version 2.2 of the
// format, with nanoseconds, and sets the link type then. The ifTypes are numbers
// that other systems' version 2.2 is not known to have been written with.
func (r *pcapReader) aix(h []byte) bool {
	number, known := aixLinkTypes[r.order.u32(h[pcapLinkTypeStart:])]
	if r.order.u32(h) != pcapMagicMicros || !known || r.order.u16(h[4:]) != 2 || r.order.u16(h[6:]) != 2 {
		return false
	}
	r.port.link, r.port.number = linkTypeOf(number), number
	if fddi := r.port.link; fddi != nil && number == 10 {
		r.port.link = &linkType{fddi.number, fddi.name, func(f *frame) (layer, Reason) {
			if len(f.data) < aixFDDIPad {
				return 0, f.short(aixFDDIPad, SkippedMalformedLink)
			}
			f.advance(aixFDDIPad)
			return fddi.decode(f)
		}}
	}
	return true
}
