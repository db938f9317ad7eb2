package oddity

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

var be, le = binary.BigEndian, binary.LittleEndian

// What a packet's octets are: an ethertype, or one of these with a number.
const (
	ofIP   = 1 << 16 // and the number of an IP protocol
	ofLink = 2 << 16 // and a link type
)

const (
	kindIPv4  = 0x0800
	kindIPv6  = 0x86dd
	kindEther = 0x6558
	kindTCP   = ofIP | 6
	kindUDP   = ofIP | 17
)

// packet is octets with what they are. The headers around them are put on by
// the layers.
type packet struct {
	data []byte
	kind int

	src, dst analyzer.Addr // of the innermost IP header
	ttl      uint8
	id       uint16
	df       bool
	backward bool // from the side with the higher address
	inner    bool // the innermost IP header is on
}

// segment is a TCP segment of a script with its words for the wire. Its payload
// is the octet that the script's `payload` names; `sum` makes the checksum wrong.
func segment(x *analyzer.Segment, words map[string]string, v6 bool) (packet, error) {
	options, err := options(x, words["opt"])
	if err != nil {
		return packet{}, err
	}
	b := make([]byte, 20, 20+len(options)+int(x.Len))
	be.PutUint16(b, x.SrcPort)
	be.PutUint16(b[2:], x.DstPort)
	be.PutUint32(b[4:], uint32(x.Seq))
	be.PutUint32(b[8:], uint32(x.Ack))
	b[12] = byte(20+len(options)) / 4 << 4
	b[13] = byte(x.Flags)
	be.PutUint16(b[14:], x.Window)
	if text := words["urg"]; text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return packet{}, err
		}
		be.PutUint16(b[18:], uint16(n))
	}
	b = append(b, options...)
	b = append(b, slices.Repeat([]byte{byte(x.HeaderSum)}, int(x.Len))...)
	if len(b) > 65000 {
		return packet{}, fmt.Errorf("%d octets are more than an IP packet holds", len(b))
	}
	p := packet{data: b, kind: kindTCP, src: x.Src, dst: x.Dst, ttl: x.TTL, id: x.IPID, df: x.DontFragment,
		backward: keyLess(x.Dst, x.Src)}
	be.PutUint16(b[16:], checksum(p.pseudo(v6, 6), b))
	if x.Checksum != 0 && x.HeaderSum == 0 {
		be.PutUint16(b[16:], x.Checksum)
	}
	return p, nil
}

// keyLess orders addresses as flows' keys do.
func keyLess(a, b analyzer.Addr) bool { return slices.Compare(a[:], b[:]) < 0 }

// options encodes a segment's options, as Linux orders them, padded with NOPs.
func options(x *analyzer.Segment, more string) ([]byte, error) {
	o := &x.Options
	var b []byte
	if o.Set&analyzer.OptMSS != 0 {
		b = append(b, 2, 4, byte(o.MSS>>8), byte(o.MSS))
	}
	if o.Set&analyzer.OptSACKPermitted != 0 {
		b = append(b, 4, 2)
	}
	if o.Set&analyzer.OptTimestamps != 0 {
		b = be.AppendUint32(be.AppendUint32(append(b, 8, 10), o.TSVal), o.TSEcr)
	}
	if o.Set&analyzer.OptWindowScale != 0 {
		b = append(b, 3, 3, o.WindowScale)
	}
	if o.Set&analyzer.OptFastOpen != 0 {
		b = append(b, 34, 10, 1, 2, 3, 4, 5, 6, 7, 8) // RFC 7413: a cookie
	}
	if o.Set&analyzer.OptSACK != 0 {
		b = be.AppendUint32(be.AppendUint32(append(b, 5, 10), uint32(x.SACK[0])), uint32(x.SACK[1]))
	}
	raw, err := hex.DecodeString(more)
	if err != nil {
		return nil, fmt.Errorf("opt %s: %w", more, err)
	}
	b = append(b, raw...)
	for len(b)%4 != 0 {
		b = append(b, 1)
	}
	if len(b) > 40 {
		return nil, fmt.Errorf("%d octets of options: the header has room for 40", len(b))
	}
	return b, nil
}

// icmpError is an error of a router that quotes so many octets of TCP.
func icmpError(u *analyzer.Unreachable, sent packet, quote int, v6 bool) packet {
	head := ip4
	if v6 {
		head = ip6
	}
	sent.ttl--
	quoted := head("", sent)[0]
	cut := len(quoted.data) - len(sent.data) + min(quote, len(sent.data))
	b := append([]byte{u.Type, u.Code, 0, 0, 0, 0, 0, 0}, quoted.data[:cut]...)
	if v6 && u.Type == 2 {
		be.PutUint32(b[4:], u.MTU)
	} else {
		be.PutUint16(b[6:], uint16(u.MTU))
	}
	p := packet{data: b, kind: ofIP | 1, src: u.From, dst: sent.src, ttl: 63, id: 7, backward: !sent.backward}
	if v6 {
		p.kind = ofIP | 58
		be.PutUint16(b[2:], checksum(p.pseudo(true, 58), b))
	} else {
		be.PutUint16(b[2:], checksum(0, b))
	}
	return p
}

// v6 is an address as IPv6 has it: fd00:: and the octets of IPv4.
func v6(a analyzer.Addr) []byte {
	if !a.Netip().Is4() {
		return a[:]
	}
	b := make([]byte, 16)
	b[0] = 0xfd
	copy(b[12:], a[12:])
	return b
}

// pseudo sums the pseudo header of a payload.
func (p *packet) pseudo(six bool, proto uint32) uint32 {
	n := uint32(len(p.data)) + proto
	if six {
		return sum(sum(n, v6(p.src)), v6(p.dst))
	}
	return sum(sum(n, p.src[12:]), p.dst[12:])
}

func sum(s uint32, b []byte) uint32 {
	for i, c := range b {
		if i%2 == 0 {
			s += uint32(c) << 8
		} else {
			s += uint32(c)
		}
	}
	return s
}

// checksum is RFC 1071's of octets whose own checksum is still 0.
func checksum(from uint32, b []byte) uint16 {
	s := sum(from, b)
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}
