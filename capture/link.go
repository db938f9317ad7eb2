package capture

import (
	"encoding/binary"

	"github.com/google/gopacket/layers"

	"github.com/tcpflow-states/tcpflow-states/capture/filter"
)

// linkType is one link-layer header type that captures name by number.
type linkType struct {
	number uint16 // as listed at tcpdump.org/linktypes.html
	name   string
	// decode moves the frame past the link header and returns what follows.
	decode func(*frame) (layer, Reason)
}

// layer names what follows a header: an ethertype, or linkLayer and the number
// of a link type. What is below etherLowest stands for an 802.2 LLC header, as
// it does in the type field of an Ethernet frame.
type layer uint32

const linkLayer layer = 1 << 16

// linkTypes is the list of all link types that can be decoded.
var linkTypes = []linkType{
	{0, "BSD loopback", decodeNull},
	{1, "Ethernet", decodeEthernet},
	{6, "Token Ring", decodeTokenRing},
	{8, "SLIP", decodeSLIP},
	{9, "PPP", decodePPP},
	{12, "raw IP", decodeRawIP}, // DLT_RAW of most systems, found in files all the same
	{14, "raw IP", decodeRawIP}, // DLT_RAW of OpenBSD
	{50, "PPP with HDLC framing", decodeSerial},
	{51, "PPPoE", decodePPPoE},
	{101, "raw IP", decodeRawIP},
	{104, "Cisco HDLC", decodeCiscoHDLC},
	{105, "802.11", decodeDot11},
	{107, "Frame Relay", decodeFrameRelay},
	{108, "OpenBSD loopback", decodeNull},
	{113, "Linux cooked v1", decodeCooked1},
	{119, "802.11 with Prism header", decodePrism},
	{127, "802.11 with radiotap header", decodeRadioTap},
	{149, "PKTAP", decodePKTAP}, // DLT_USER2, which Apple's libpcap uses for it
	{163, "802.11 with AVS header", decodeAVS},
	{166, "PPP with direction of pppd", decodeDirected(decodePPP)},
	{178, "Juniper Ethernet", decodeJuniper(1)},
	{179, "Juniper PPP", decodeJuniper(9)},
	{180, "Juniper Frame Relay", decodeJuniper(107)},
	{181, "Juniper Cisco HDLC", decodeJuniper(104)},
	{192, "PPI", decodePPI},
	{204, "PPP with direction", decodeDirected(decodePPP)},
	{205, "Cisco HDLC with direction", decodeDirected(decodeCiscoHDLC)},
	{206, "Frame Relay with direction", decodeDirected(decodeFrameRelay)},
	{219, "MPLS", decodeMPLS},
	{226, "Solaris IPNET", decodeIPNET},
	{228, "IPv4", decodeRawIP},
	{229, "IPv6", decodeRawIP},
	{239, "NFLOG", decodeNFLOG},
	{242, "IP over InfiniBand", decodeIPoIB},
	{258, "PKTAP", decodePKTAP},
	{276, "Linux cooked v2", decodeCooked2},

	// By way of gopacket (rare.go); these allocate.
	{10, "FDDI", viaGopacket(layers.LayerTypeFDDI)},
	{117, "OpenBSD pflog", viaGopacket(layers.LayerTypePFLog)},
}

// linkTypeOf returns the link type of that number, nil when it is not in the
// list.
func linkTypeOf(number uint16) *linkType {
	for i := range linkTypes {
		if linkTypes[i].number == number {
			return &linkTypes[i]
		}
	}
	return nil
}

const (
	etherHeaderLen   = 14
	etherTypeStart   = 12
	cooked1Len       = 16
	cooked1TypeStart = 14
	cooked2Len       = 20
	cooked2IfStart   = 4
	nullLen          = 4
	// maxHeaders is how many headers between two IP headers, or before the
	// first, one frame may have: far more than any network stacks up, and a
	// bound to the work that a frame of nothing but tags can make.
	maxHeaders = 64
)

// port is one interface of a capture, as its file describes it.
type port struct {
	link   *linkType // nil when there is no decoder
	number uint16    // of its link type
	name   uint32    // index into linkTable.names
	snap   uint32    // pcapng: the interface's snap length, 0 for none
	clock  clock     // pcapng: how it writes times

	program *filter.Program // nil before the first frame, and without a filter

	dropped uint64 // pcapng: what Interface Statistics say that it lost
	lost    uint64 // pcapng: the same by its packets' own counts
}

// frame is one record on its way through the decoder. Each step moves data and
// wire past the header that it has read.
type frame struct {
	data   []byte // captured and not yet decoded
	wire   int    // how many octets of that there were on the wire, >= len(data)
	size   int    // captured, all of it
	port   *port
	number uint64
	time   int64
	path   path

	inner   layer  // what the tunnel carries that ended the IP layer: see encapsulated
	v6      bool   // the last IP header was IPv6, set where more than TCP follows it
	headers uint8  // read since the frame's beginning or the last IP header
	tunnels uint8  // entered
	verify  bool   // Options.VerifyChecksums
	refused bool   // by the filter
	lone    bool   // a first fragment is decoded for itself, and so are those in it
	ifName  []byte // the interface as a header of the frame names it

	part       part   // where the IP layer has stopped: see fragmented
	snapNeeded uint32 // of a frame that is SkippedCut

	// For badSegment, and not set where nothing is verified.
	rerouted bool      // the addresses of the last IP header may not be those of the segment's ends
	whole    *datagram // the frame goes on as this, all of which was captured
}

// past moves past a header of n octets that is followed by next.
func (f *frame) past(n int, next layer, malformed Reason) (layer, Reason) {
	if len(f.data) < n {
		return 0, f.short(n, malformed)
	}
	f.advance(n)
	return next, delivered
}

// advance moves past a header of n captured bytes.
func (f *frame) advance(n int) {
	f.data = f.data[n:]
	f.wire -= n
}

// short is the reason to give up on a frame that has less than n bytes left:
// cut by the snap length, or never that long.
func (f *frame) short(n int, malformed Reason) Reason {
	if f.wire >= n {
		f.cut(n)
		return SkippedCut
	}
	return malformed
}

// cut notes the snap length that would have left the n bytes that are missing,
// and a TCP header, in the steps in which people give it. More headers may be
// between the two.
func (f *frame) cut(n int) {
	const leastSnap, snapStep = 96, 32
	n += max(f.size-len(f.data), 0) + maxTCPHeaderLen // a joined datagram may have more than its last frame
	f.snapNeeded = max(leastSnap, uint32(n+snapStep-1)&^(snapStep-1))
}

// decoder turns frames into packets.
type decoder struct {
	frame       frame // the current one; here so that it is not allocated
	unreachable bool  // the last packet delivered was an ICMP error
	links       *linkTable
	last        lastPlace
	frags       *fragments // nil until there is a fragment
	patience    int64      // ns that a datagram waits for its fragments; 0: fragmentsLast
}

// decode fills p from a frame, or says why the frame is passed over.
func (d *decoder) decode(f *frame, p *Packet) Reason {
	if len(f.data) == 0 {
		return SkippedEmpty
	}
	if f.port.link == nil {
		return SkippedLinkType
	}
	if f.refused {
		return SkippedFilter
	}
	next, reason := f.port.link.decode(f)
	for reason == delivered {
		if next != etherIPv4 && next != etherIPv6 {
			next, reason = f.shim(next)
			continue
		}
		if next == etherIPv4 {
			reason = f.ipv4(p)
		} else {
			reason = f.ipv6(p)
		}
		for reason == fragmented {
			reason = d.fragment(f, p)
		}
		if reason != encapsulated {
			break
		}
		next, reason = f.inner, delivered
		f.headers = 0
	}
	if reason == delivered {
		d.place(f, p)
	}
	if f.lone {
		return d.frags.firstFragment(f, reason)
	}
	return reason
}

// name takes the interface that a header of the frame has named.
func (d *decoder) name(f *frame) {
	if f.ifName != nil {
		f.path.name = d.links.internBytes(f.ifName)
	}
}

// place fills in where a packet was seen.
func (d *decoder) place(f *frame, p *Packet) {
	d.name(f)
	link, path := d.number(&f.path)
	d.unreachable = p.Kind == KindUnreachable
	if d.unreachable {
		p.Unreachable.Link, p.Unreachable.Path = link, path
	} else {
		p.Segment.Link, p.Segment.Path = link, path
	}
}

// shim moves past one header that stands before IP.
func (f *frame) shim(next layer) (layer, Reason) {
	if f.headers++; f.headers > maxHeaders {
		return 0, SkippedTooDeep
	}
	if next < etherLowest {
		return f.llc()
	}
	if next >= linkLayer {
		l := linkTypeOf(uint16(next - linkLayer))
		switch {
		case l == nil:
			return 0, SkippedLinkType
		case len(f.data) == 0:
			return 0, f.short(1, SkippedMalformedLink)
		}
		return l.decode(f)
	}
	for i := range etherTypes {
		if etherTypes[i].number == uint16(next) {
			return etherTypes[i].decode(f)
		}
	}
	return 0, SkippedNotIP
}

func decodeEthernet(f *frame) (layer, Reason) {
	if len(f.data) < etherHeaderLen {
		return 0, f.short(etherHeaderLen, SkippedMalformedLink)
	}
	next := layer(binary.BigEndian.Uint16(f.data[etherTypeStart:]))
	f.advance(etherHeaderLen)
	return next, delivered
}

// decodeCooked1 reads LINKTYPE_LINUX_SLL: packet type, ARPHRD, address length,
// 8 octets of address, protocol.
func decodeCooked1(f *frame) (layer, Reason) {
	if len(f.data) < cooked1Len {
		return 0, f.short(cooked1Len, SkippedMalformedLink)
	}
	next := layer(binary.BigEndian.Uint16(f.data[cooked1TypeStart:]))
	f.advance(cooked1Len)
	return next, delivered
}

// decodeCooked2 reads LINKTYPE_LINUX_SLL2, which `tcpdump -i any` writes today:
// protocol, reserved, interface index, ARPHRD, packet type, address.
func decodeCooked2(f *frame) (layer, Reason) {
	if len(f.data) < cooked2Len {
		return 0, f.short(cooked2Len, SkippedMalformedLink)
	}
	next := layer(binary.BigEndian.Uint16(f.data))
	f.path.ifIndex = binary.BigEndian.Uint32(f.data[cooked2IfStart:])
	f.advance(cooked2Len)
	return next, delivered
}

// decodeNull reads LINKTYPE_NULL, the address family in the byte order of the
// machine that captured, and LINKTYPE_LOOP, the same in network order. Families
// are small, so the order shows. AF_INET6 is 24 on NetBSD and OpenBSD, 28 on
// FreeBSD, 30 on macOS, 10 on Linux.
func decodeNull(f *frame) (layer, Reason) {
	if len(f.data) < nullLen {
		return 0, f.short(nullLen, SkippedMalformedLink)
	}
	family := binary.LittleEndian.Uint32(f.data)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(f.data)
	}
	f.advance(nullLen)
	switch family {
	case 2:
		return etherIPv4, delivered
	case 10, 24, 28, 30:
		return etherIPv6, delivered
	}
	return 0, SkippedNotIP
}

// decodeRawIP tells IPv4 from IPv6 by the version.
func decodeRawIP(f *frame) (layer, Reason) {
	if len(f.data) == 0 {
		return 0, f.short(1, SkippedMalformedIP)
	}
	switch f.data[0] >> 4 {
	case 4:
		return etherIPv4, delivered
	case 6:
		return etherIPv6, delivered
	}
	return 0, SkippedMalformedIP
}
