package capture

import (
	"encoding/binary"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

const (
	icmpHeaderLen = 8
	quotedWindow  = 16 // what reaches to the end of the window: enough for Wireshark to follow it
	quotedTCPLen  = 8  // ports and sequence number: what RFC 792 has every error quote
)

// icmpError reports whether an ICMP type says that a packet did not arrive:
// Destination Unreachable, which includes Fragmentation Needed, and Time
// Exceeded (RFC 792).
func icmpError(kind uint8) bool { return kind == 3 || kind == 11 }

// icmp6Error is icmpError for RFC 4443: Destination Unreachable, Packet Too Big
// and Time Exceeded.
func icmp6Error(kind uint8) bool { return kind >= 1 && kind <= 3 }

// icmp fills p.Unreachable from an ICMP or ICMPv6 error that quotes a TCP
// segment. The IP layer has set p.Segment's addresses.
func (f *frame) icmp(p *Packet, v6 bool) Reason {
	b := f.data
	if len(b) < icmpHeaderLen || p.Segment.Fragment {
		return SkippedICMP
	}
	if v6 && !icmp6Error(b[0]) || !v6 && !icmpError(b[0]) {
		return SkippedICMP
	}
	u := &p.Unreachable
	*u = analyzer.Unreachable{
		Frame: f.number,
		Time:  f.time,
		From:  p.Segment.Src,
		V6:    v6,
		Type:  b[0],
		Code:  b[1],
		MTU:   nextHopMTU(b, v6),
	}
	f.advance(icmpHeaderLen)
	ok := false
	if v6 {
		ok = f.quoted6(u)
	} else {
		ok = f.quoted4(u)
	}
	if !ok || len(f.data) < quotedTCPLen {
		return SkippedICMP
	}
	u.SrcPort = binary.BigEndian.Uint16(f.data)
	u.DstPort = binary.BigEndian.Uint16(f.data[2:])
	u.Seq = analyzer.Seq(binary.BigEndian.Uint32(f.data[4:]))
	if len(f.data) >= quotedWindow {
		u.HasFlags, u.Flags = true, analyzer.Flags(f.data[13])
	}
	p.Kind = KindUnreachable
	return delivered
}

// nextHopMTU returns what Fragmentation Needed (RFC 1191 4) or Packet Too Big
// (RFC 4443 3.2) tells of the next hop; 0 when the error is another, or a
// router older than RFC 1191 made it.
func nextHopMTU(b []byte, v6 bool) uint32 {
	switch {
	case v6 && b[0] == 2:
		return binary.BigEndian.Uint32(b[4:])
	case !v6 && b[0] == 3 && b[1] == 4:
		return uint32(binary.BigEndian.Uint16(b[6:]))
	}
	return 0
}

// quoted4 moves past the IPv4 header that an error quotes and reports whether a
// TCP header follows.
func (f *frame) quoted4(u *analyzer.Unreachable) bool {
	b := f.data
	if len(b) < ipv4HeaderLen || b[0]>>4 != 4 || b[9] != protoTCP {
		return false
	}
	header := int(b[0]&0x0f) * 4
	if header < ipv4HeaderLen || header > len(b) || binary.BigEndian.Uint16(b[6:])&fragmentOffset != 0 {
		return false
	}
	setAddr4(&u.Src, b[12:16])
	setAddr4(&u.Dst, b[16:20])
	f.advance(header)
	return true
}

// quoted6 is quoted4 for IPv6.
func (f *frame) quoted6(u *analyzer.Unreachable) bool {
	b := f.data
	if len(b) < ipv6HeaderLen || b[0]>>4 != 6 {
		return false
	}
	u.Src = analyzer.Addr(b[8:24])
	u.Dst = analyzer.Addr(b[24:40])
	f.advance(ipv6HeaderLen)
	proto, reason := f.extensions(b[6])
	for reason == fragmented && f.part.offset == 0 {
		proto, reason = f.extensions(proto)
	}
	return reason == delivered && proto == protoTCP
}
