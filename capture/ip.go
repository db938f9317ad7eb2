package capture

import (
	"encoding/binary"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// IP protocol numbers (IANA "Assigned Internet Protocol Numbers").
const (
	protoHopByHop    = 0
	protoICMP        = 1
	protoIPv4        = 4
	protoTCP         = 6
	protoUDP         = 17
	protoIPv6        = 41
	protoRouting     = 43
	protoFragment    = 44
	protoAH          = 51
	protoICMPv6      = 58
	protoDestOptions = 60
	protoMobility    = 135
	protoHIP         = 139
	protoShim6       = 140
)

const (
	ipv4HeaderLen     = 20 // without options
	ipv6HeaderLen     = 40
	extensionUnit     = 8
	fragmentHeaderLen = 8
	dontFragment      = 0x4000 // IPv4 flags and fragment offset, RFC 791 3.1
	moreFragments     = 0x2000
	fragmentOffset    = 0x1fff
	moreFragments6    = 0x0001 // IPv6 Fragment header, RFC 8200 4.5
	fragmentOffset6   = 0xfff8
)

// ipv4 decodes RFC 791's header.
func (f *frame) ipv4(p *Packet) Reason {
	b := f.data
	if len(b) < ipv4HeaderLen {
		return f.short(ipv4HeaderLen, SkippedMalformedIP)
	}
	header := int(b[0]&0x0f) * 4
	if b[0]>>4 != 4 || header < ipv4HeaderLen {
		return SkippedMalformedIP
	}
	total := int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 {
		// Segmentation offload: the network card would have filled it in, one
		// packet after the other. The frame's length is the only one there is.
		total = f.wire
	}
	if total < header {
		return SkippedMalformedIP
	}
	s := &p.Segment
	s.IPID = binary.BigEndian.Uint16(b[4:])
	s.TTL = b[8]
	setAddr4(&s.Src, b[12:16])
	setAddr4(&s.Dst, b[16:20])
	place := binary.BigEndian.Uint16(b[6:])
	s.Fragment = false
	s.DontFragment = place&dontFragment != 0

	if len(b) < header {
		return f.short(header, SkippedMalformedIP)
	}
	if f.verify {
		if badHeader(b[:header]) {
			return SkippedHeaderChecksum
		}
		// A source route (RFC 791 3.1) has the last address in an option.
		f.rerouted, f.whole = header > ipv4HeaderLen, nil
	}
	// What comes after the total length is Ethernet padding.
	f.data = b[header:min(max(total, header), len(b))]
	f.wire = total - header
	proto := b[9]
	if place&(moreFragments|fragmentOffset) != 0 {
		return f.setPart4(b, place, proto)
	}
	if proto == protoTCP {
		return f.tcp(p)
	}
	return f.transport(proto, p, false)
}

// setAddr4 is analyzer.AddrFrom4 in two stores: the processor stalls for some
// nanoseconds on a value put together from bytes and copied at once.
func setAddr4(a *analyzer.Addr, b []byte) {
	binary.LittleEndian.PutUint64(a[:8], 0)
	binary.LittleEndian.PutUint64(a[8:], uint64(binary.LittleEndian.Uint32(b))<<32|0xffff0000)
}

// ipv6 decodes RFC 8200's header and its extension headers.
func (f *frame) ipv6(p *Packet) Reason {
	b := f.data
	if len(b) < ipv6HeaderLen {
		return f.short(ipv6HeaderLen, SkippedMalformedIP)
	}
	if b[0]>>4 != 6 {
		return SkippedMalformedIP
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length == 0 {
		length = f.jumbo()
	}
	s := &p.Segment
	s.IPID = 0
	s.TTL = b[7]
	s.Src = analyzer.Addr(b[8:24])
	s.Dst = analyzer.Addr(b[24:40])
	s.Fragment = false
	s.DontFragment = true

	if f.verify {
		f.rerouted, f.whole = false, nil
	}
	f.data = b[ipv6HeaderLen:min(ipv6HeaderLen+length, len(b))]
	f.wire = length
	if b[6] == protoTCP {
		return f.tcp(p)
	}
	return f.transport(b[6], p, true)
}

const (
	optPad1        = 0 // the IPv6 option without a length, RFC 8200 4.2
	optJumbo       = 0xc2
	jumboLen       = 4
	maxPlainLength = 0xffff
)

// jumbo is the length of what follows an IPv6 header that says 0: what a Jumbo
// Payload option says (RFC 2675 2), else, as segmentation offload leaves it, the
// frame's. A snap length makes the two differ in captures of writers that do not
// record what was on the wire.
func (f *frame) jumbo() int {
	b := f.data[ipv6HeaderLen:]
	whole := f.wire - ipv6HeaderLen
	if f.data[6] != protoHopByHop || len(b) < extensionUnit {
		return whole
	}
	for o := b[2:min((int(b[1])+1)*extensionUnit, len(b))]; len(o) >= 2; {
		if o[0] == optPad1 {
			o = o[1:]
			continue
		}
		size := int(o[1])
		if len(o) < 2+size {
			break
		}
		if o[0] == optJumbo && size == jumboLen {
			if n := binary.BigEndian.Uint32(o[2:]); n > maxPlainLength && n <= maxRecord {
				return int(n)
			}
			break
		}
		o = o[2+size:]
	}
	return whole
}

// transport decodes what follows the IP header when that is not plainly TCP.
func (f *frame) transport(proto uint8, p *Packet, v6 bool) Reason {
	f.v6 = v6
	proto, reason := f.extensions(proto)
	if reason != delivered {
		return reason
	}
	switch {
	case proto == protoTCP:
		return f.tcp(p)
	case proto == protoUDP:
		return f.udp()
	case proto == protoICMP && !v6, proto == protoICMPv6 && v6:
		return f.icmp(p, v6)
	}
	return f.tunnel(proto)
}

// extensions moves past IPv6 extension headers (RFC 8200 4) and AH, which IPv4
// carries too. It returns the protocol after them, and stops behind the header
// of a fragment that is not all of its datagram (RFC 6946), which f.part then
// is. Every header takes 8 octets of the frame at the least, so the loop ends.
func (f *frame) extensions(proto uint8) (next uint8, reason Reason) {
	for {
		var size int
		switch proto {
		case protoHopByHop, protoRouting, protoDestOptions, protoMobility, protoHIP, protoShim6, protoAH, protoFragment:
			if len(f.data) < extensionUnit {
				return 0, f.short(extensionUnit, SkippedMalformedIP)
			}
		default:
			return proto, delivered
		}
		switch proto {
		case protoFragment:
			if b := f.data; binary.BigEndian.Uint16(b[2:])&(fragmentOffset6|moreFragments6) != 0 {
				f.setPart6(b)
				return b[0], fragmented
			}
			size = fragmentHeaderLen
		case protoAH:
			size = (int(f.data[1]) + 2) * 4 // RFC 4302 2.2
		default:
			size = (int(f.data[1]) + 1) * extensionUnit
		}
		if len(f.data) < size {
			return 0, f.short(size, SkippedMalformedIP)
		}
		// Where a Routing header or the Home Address option (RFC 6275 6.3) is,
		// the addresses may be others on the way.
		f.rerouted = f.rerouted || proto == protoRouting || proto == protoDestOptions
		proto = f.data[0]
		f.advance(size)
	}
}

// laterFragment is the reason to pass over a fragment that is not the first;
// of TCP it has a reason of its own, as it is payload that goes uncounted.
func laterFragment(proto uint8, v6 bool) Reason {
	switch {
	case proto == protoUDP:
		return SkippedUDP
	case proto == protoICMP && !v6, proto == protoICMPv6 && v6:
		return SkippedICMP
	case proto == protoTCP, proto == protoDestOptions, proto == protoAH:
		return SkippedFragment
	}
	return SkippedIPProtocol
}
