package analyzer

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// Flags are the control bits of a TCP header (RFC 9293 3.1, RFC 3168 6.1),
// with the bit values of header octet 13.
type Flags uint8

// The control bits.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Has reports whether every bit of want is set.
func (f Flags) Has(want Flags) bool { return f&want == want }

// flagLetters has tcpdump's letters in header order.
const flagLetters = "FSRP.UEW"

// String spells the flags as tcpdump does: S for SYN, S. for SYN+ACK, "none"
// for a segment without any.
func (f Flags) String() string {
	if f == 0 {
		return "none"
	}
	var b strings.Builder
	for i := range len(flagLetters) {
		if f&(1<<i) != 0 {
			b.WriteByte(flagLetters[i])
		}
	}
	return b.String()
}

// Addr is an IPv4 address (in its IPv4-mapped form) or an IPv6 address. It
// holds no pointer, so that a table of flows costs the garbage collector
// nothing.
type Addr [16]byte

// AddrFrom4 returns the IPv4-mapped form of an IPv4 address.
func AddrFrom4(a [4]byte) Addr {
	return Addr{10: 0xff, 11: 0xff, 12: a[0], 13: a[1], 14: a[2], 15: a[3]}
}

// halves are an address as two numbers that order addresses as its octets do.
func (a *Addr) halves() [2]uint64 {
	return [2]uint64{binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])}
}

// Netip returns the address for printing and matching; an IPv4-mapped address
// comes back as plain IPv4.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

// OptionSet says which TCP options a segment carried.
type OptionSet uint8

// The options that the analyzer looks at.
const (
	OptMSS           OptionSet = 1 << iota // RFC 9293 3.7.1
	OptWindowScale                         // RFC 7323 2
	OptSACKPermitted                       // RFC 2018 2
	OptSACK                                // RFC 2018 3
	OptTimestamps                          // RFC 7323 3
	OptFastOpen                            // RFC 7413 4.1.1
	// OptTruncated: the capture's snaplen cut the options, so that an option
	// that is not in the set may have been there all the same.
	OptTruncated
)

// Options are the TCP options of one segment. A field says something only
// when Set has its bit.
type Options struct {
	Set         OptionSet
	WindowScale uint8  // shift count, 0-14
	MSS         uint16 // octets
	TSVal       uint32 // RFC 7323 3.2, the sender's clock
	TSEcr       uint32 // the last TSVal that the sender accepted
}

// Segment is one TCP segment as captured: a value without pointers, all that
// the analyzer ever sees of a packet.
type Segment struct {
	Frame uint64 // number of the frame in the capture, from 1; of several captures, as FrameIn makes it
	Time  int64  // capture time, ns since 1970-01-01 UTC

	Src, Dst         Addr
	SrcPort, DstPort uint16

	Seq, Ack Seq
	Len      uint32 // payload octets by the IP header, whatever the snaplen cut
	Window   uint16 // as on the wire, not yet scaled; the largest when the snaplen cut it
	Flags    Flags

	// Fragment: the first fragment of an IP datagram of which the capture has
	// not all. Len counts only what this fragment carries; more payload follows
	// that the tap may see but cannot attribute.
	Fragment bool
	// DontFragment: routers must not fragment it; so it is with all of IPv6.
	DontFragment bool

	TTL      uint8  // or IPv6 hop limit
	IPID     uint16 // IPv4 identification; 0 for IPv6
	Checksum uint16 // TCP checksum as on the wire; 0 when cut
	MPTCP    uint8  // a bit for each subtype below 8 of the Multipath TCP option that it has (RFC 8684 3)

	// HeaderSum is the ones' complement sum (RFC 1071) of the TCP header, its
	// checksum among it, and the TCP length, not folded, with the octets of
	// each pair turned round. The checksum covers that, the addresses and the
	// payload: so two segments of one direction and length differ in payload
	// when their HeaderSums differ, whatever the snaplen cut. 0 when not known:
	// no payload, a header that was cut, or a fragment.
	HeaderSum uint64

	Link    uint32 // the source's number for interface, VLAN and tunnel path
	Path    uint32 // its number for VLANs and tunnels alone, 0 for none: what a flow's key may hold
	Options Options
	SACK    [2]Seq // the first block of OptSACK, from and to; equal when it has none
}

// end is the sequence number after everything that the segment occupies:
// payload, SYN and FIN (SEG.SEQ + SEG.LEN in RFC 9293 3.3).
func (s *Segment) end() Seq {
	n := s.Len
	if s.Flags&SYN != 0 {
		n++
	}
	if s.Flags&FIN != 0 {
		n++
	}
	return s.Seq.Add(n)
}

// occupies reports whether the segment takes sequence space, so that its
// receiver must acknowledge it.
func (s *Segment) occupies() bool { return s.Len > 0 || s.Flags&(SYN|FIN) != 0 }

// Unreachable is an ICMP or ICMPv6 error that quotes a TCP segment: the word
// of a router or host that it will not deliver it (RFC 792, RFC 4443).
type Unreachable struct {
	Frame uint64
	Time  int64 // capture time, ns since 1970-01-01 UTC
	From  Addr  // who says so
	Link  uint32
	Path  uint32 // of the error itself; what it quotes may have had another
	V6    bool   // Type and Code are ICMPv6's
	Type  uint8
	Code  uint8
	MTU   uint32 // of the next hop, where the packet was too big; 0: not told

	// What the quoted segment says of itself.
	Src, Dst         Addr
	SrcPort, DstPort uint16
	Seq              Seq
	HasFlags         bool  // the quote reaches to the end of the window: 16 octets of TCP
	Flags            Flags // when HasFlags
}

// Link names where a flow was seen. A source numbers the links that it meets;
// Segment.Link is that number.
type Link struct {
	Interface string // as the capture names it; empty when it does not
	// VLAN has the VLAN identifiers, outermost first: those before the first
	// tunnel and those inside, in one list.
	VLAN []uint16
	// Tunnel has the tunnels, outermost first: "vxlan:42", "gre". Identifiers
	// that may differ between the two directions of a flow (a GTP TEID, an MPLS
	// label) are left out.
	Tunnel []string
}
