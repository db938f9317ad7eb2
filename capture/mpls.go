package capture

import "encoding/binary"

const (
	labelLen       = 4
	labelBottom    = 0x01 // of the third octet: the last of the stack, RFC 3032 2.1
	controlWordLen = 4
	// unnamedLen is how much it may take to know Ethernet.
	unnamedLen = controlWordLen + etherHeaderLen + 3
)

// decodeMPLS reads a label stack. The labels are not part of the path: each
// direction has its own.
func decodeMPLS(f *frame) (layer, Reason) {
	for {
		if len(f.data) < labelLen {
			return 0, f.short(labelLen, SkippedMalformedLink)
		}
		bottom := f.data[2]&labelBottom != 0
		f.advance(labelLen)
		if bottom {
			return f.unlabelled()
		}
	}
}

// unlabelled finds out what a label stack carries, of which it says nothing
// (RFC 4928): IP by the version; 1 is the associated channel of RFC 4385, which
// carries no user's data; 0 begins a pseudowire's control word, or an address of
// Ethernet without one, as do the others. An address that begins with 4 or 6
// would be taken for IP, but for the lengths that an IP header has.
func (f *frame) unlabelled() (layer, Reason) {
	if len(f.data) == 0 {
		return 0, f.short(1, SkippedNotIP)
	}
	switch f.data[0] >> 4 {
	case 1:
		return 0, SkippedNotIP
	case 0:
		if f.ethernetAt(controlWordLen) {
			f.advance(controlWordLen)
			return etherEthernet, delivered
		}
	}
	return f.unnamed()
}

// unnamed finds out what follows a header that does not say it: IP by the
// version, or Ethernet.
func (f *frame) unnamed() (layer, Reason) {
	if len(f.data) == 0 {
		return 0, f.short(1, SkippedNotIP)
	}
	ip := f.ipAt(0)
	if ip != 0 && !(ipHeaderFails(f.data, f.wire) && f.ethernetAt(0)) {
		return ip, delivered
	}
	if f.ethernetAt(0) {
		return etherEthernet, delivered
	}
	if len(f.data) < unnamedLen {
		return 0, f.short(unnamedLen, SkippedNotIP)
	}
	return 0, SkippedNotIP
}

// ipAt is the ethertype of the IP header that an octet looks to begin, 0 when
// it does not.
func (f *frame) ipAt(offset int) layer {
	if offset < len(f.data) {
		switch f.data[offset] >> 4 {
		case 4:
			return etherIPv4
		case 6:
			return etherIPv6
		}
	}
	return 0
}

// ipHeaderFails reports whether b, that begins with an IP version and has wire
// octets, cannot be an IP packet. It does not know of a header that is cut.
func ipHeaderFails(b []byte, wire int) bool {
	if b[0]>>4 == 4 {
		if len(b) < ipv4HeaderLen {
			return false
		}
		total := int(binary.BigEndian.Uint16(b[2:]))
		return b[0]&0x0f < ipv4HeaderLen/4 || total > wire || total > 0 && total < ipv4HeaderLen
	}
	return len(b) >= ipv6HeaderLen && int(binary.BigEndian.Uint16(b[4:]))+ipv6HeaderLen > wire
}

// ethernetAt reports whether an Ethernet header that carries what we may be
// looking for begins at an offset: where a header's own length is not written
// down, this finds its end.
func (f *frame) ethernetAt(offset int) bool {
	payload := offset + etherHeaderLen
	if len(f.data) <= payload {
		return false
	}
	b := f.data[payload:]
	switch ether := layer(binary.BigEndian.Uint16(f.data[offset+etherTypeStart:])); ether {
	case etherIPv4, etherIPv6:
		return f.ipAt(payload) == ether && !ipHeaderFails(b, f.wire-payload)
	case etherVLAN, etherService, etherQinQ, etherARP, etherMPLS, etherPPPoE:
		return true
	default:
		return ether < etherLowest && int(ether) <= f.wire-payload && len(b) >= 3 && b[2] == llcUnnumbered
	}
}
