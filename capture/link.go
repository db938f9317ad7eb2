package capture

import (
	"encoding/binary"
	"strconv"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// linkType is one link-layer header type that captures name by number.
type linkType struct {
	number uint16 // as listed at tcpdump.org/linktypes.html
	name   string
	// decode moves the frame past the link header and returns the ethertype of
	// what follows.
	decode func(*frame) (uint16, Reason)
}

// linkTypes is the list of all link types that can be decoded.
var linkTypes = []linkType{
	{0, "BSD loopback", decodeNull},
	{1, "Ethernet", decodeEthernet},
	{12, "raw IP", decodeRawIP}, // DLT_RAW of most systems, found in files all the same
	{14, "raw IP", decodeRawIP}, // DLT_RAW of OpenBSD
	{101, "raw IP", decodeRawIP},
	{108, "OpenBSD loopback", decodeNull},
	{113, "Linux cooked v1", decodeCooked1},
	{226, "Solaris ipnet", decodeIPNet},
	{228, "IPv4", decodeRawIP},
	{229, "IPv6", decodeRawIP},
	{276, "Linux cooked v2", decodeCooked2},

	// By way of gopacket (rare.go); these allocate.
	{9, "PPP", viaGopacket(rarePPP)},
	{10, "FDDI", viaGopacket(rareFDDI)},
	{50, "PPP with HDLC framing", viaGopacket(rarePPP)},
	{51, "PPPoE", decodePPPoE},
	{104, "Cisco HDLC", decodeCiscoHDLC},
	{105, "802.11", viaGopacket(rareDot11)},
	{117, "OpenBSD pflog", viaGopacket(rarePFLog)},
	{119, "802.11 with Prism header", viaGopacket(rarePrism)},
	{127, "802.11 with radiotap header", viaGopacket(rareRadioTap)},
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

// Ethertypes (IANA "IEEE 802 Numbers").
const (
	etherIPv4    = 0x0800
	etherARP     = 0x0806
	etherRARP    = 0x8035
	etherVLAN    = 0x8100 // 802.1Q
	etherIPv6    = 0x86dd
	etherMPLS    = 0x8847
	etherPPPoE   = 0x8864 // session stage, RFC 2516
	etherService = 0x88a8 // 802.1ad
	etherQinQ    = 0x9100 // before 802.1ad
	etherQinQ2   = 0x9200
	// Below this the field is an 802.3 length and an LLC header follows.
	etherLowest = 0x0600
)

const (
	etherHeaderLen   = 14
	etherTypeStart   = 12
	vlanTagLen       = 4
	vlanIDBits       = 0x0fff
	snapLen          = 8
	cooked1Len       = 16
	cooked1TypeStart = 14
	cooked2Len       = 20
	cooked2IfStart   = 4
	nullLen          = 4
	maxVLANDepth     = 16 // tags of one frame; what has more is malformed
)

// port is one interface of a capture, as its file describes it.
type port struct {
	link  *linkType // nil when there is no decoder
	name  uint32    // index into linkTable.names
	snap  uint32    // pcapng: the interface's snap length, 0 for none
	clock clock     // pcapng: how it writes times

	dropped uint64 // pcapng: what Interface Statistics say that it lost
	lost    uint64 // pcapng: the same by its packets' own counts
}

// path is where a frame was seen, in a form that compares without pointers.
type path struct {
	name    uint32 // of the interface, index into linkTable.names
	ifIndex uint32 // Linux cooked v2's interface index, 0 when not said
	depth   uint8  // how many of vlans are used
	vlans   [maxVLANDepth]uint16
}

// frame is one record on its way through the decoder. Each step moves data and
// wire past the header that it has read.
type frame struct {
	data   []byte // captured and not yet decoded
	wire   int    // how many octets of that there were on the wire, >= len(data)
	port   *port
	number uint64
	time   int64
	path   path
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
		return SkippedCut
	}
	return malformed
}

// decoder turns frames into packets.
type decoder struct {
	frame       frame // the current one; here so that it is not allocated
	unreachable bool  // the last packet delivered was an ICMP error
	links       linkTable
}

// decode fills p from a frame, or says why the frame is passed over.
func (d *decoder) decode(f *frame, p *Packet) Reason {
	if len(f.data) == 0 {
		return SkippedEmpty
	}
	if f.port.link == nil {
		return SkippedLinkType
	}
	ether, reason := f.port.link.decode(f)
	if reason != delivered {
		return reason
	}
	switch ether {
	case etherIPv4:
		reason = f.ipv4(p)
	case etherIPv6:
		reason = f.ipv6(p)
	case etherARP, etherRARP:
		return SkippedARP
	default:
		return SkippedNotIP
	}
	if reason != delivered {
		return reason
	}
	link := d.links.number(&f.path)
	d.unreachable = p.Kind == KindUnreachable
	if d.unreachable {
		p.Unreachable.Link = link
	} else {
		p.Segment.Link = link
	}
	return delivered
}

func decodeEthernet(f *frame) (uint16, Reason) {
	if len(f.data) < etherHeaderLen {
		return 0, f.short(etherHeaderLen, SkippedMalformedLink)
	}
	ether := binary.BigEndian.Uint16(f.data[etherTypeStart:])
	f.advance(etherHeaderLen)
	if ether == etherIPv4 || ether == etherIPv6 {
		return ether, delivered
	}
	return f.tags(ether)
}

// tags moves past VLAN tags, LLC/SNAP, PPPoE and MPLS.
func (f *frame) tags(ether uint16) (uint16, Reason) {
	for {
		switch ether {
		case etherVLAN, etherService, etherQinQ, etherQinQ2:
			if len(f.data) < vlanTagLen {
				return 0, f.short(vlanTagLen, SkippedMalformedLink)
			}
			// VLAN 0 is no VLAN: the tag is there for its priority bits only
			// (802.1Q 9.6), and often in one direction only.
			if id := binary.BigEndian.Uint16(f.data) & vlanIDBits; id != 0 {
				if f.path.depth == maxVLANDepth {
					return 0, SkippedMalformedLink
				}
				f.path.vlans[f.path.depth] = id
				f.path.depth++
			}
			ether = binary.BigEndian.Uint16(f.data[2:])
			f.advance(vlanTagLen)
		case etherPPPoE:
			return decodePPPoE(f)
		case etherMPLS:
			return decodeMPLS(f)
		default:
			if ether < etherLowest {
				return f.snap()
			}
			return ether, delivered
		}
	}
}

// snap reads an 802.2 LLC header with a SNAP extension that carries an
// ethertype (RFC 1042); other LLC carries no IP.
func (f *frame) snap() (uint16, Reason) {
	if len(f.data) < snapLen {
		return 0, f.short(snapLen, SkippedNotIP)
	}
	if string(f.data[:6]) != "\xaa\xaa\x03\x00\x00\x00" {
		return 0, SkippedNotIP
	}
	ether := binary.BigEndian.Uint16(f.data[6:])
	f.advance(snapLen)
	return ether, delivered
}

// decodeCooked1 reads LINKTYPE_LINUX_SLL: packet type, ARPHRD, address length,
// 8 octets of address, protocol.
func decodeCooked1(f *frame) (uint16, Reason) {
	if len(f.data) < cooked1Len {
		return 0, f.short(cooked1Len, SkippedMalformedLink)
	}
	ether := binary.BigEndian.Uint16(f.data[cooked1TypeStart:])
	f.advance(cooked1Len)
	return f.tags(ether)
}

// decodeCooked2 reads LINKTYPE_LINUX_SLL2, which `tcpdump -i any` writes today:
// protocol, reserved, interface index, ARPHRD, packet type, address.
func decodeCooked2(f *frame) (uint16, Reason) {
	if len(f.data) < cooked2Len {
		return 0, f.short(cooked2Len, SkippedMalformedLink)
	}
	ether := binary.BigEndian.Uint16(f.data)
	f.path.ifIndex = binary.BigEndian.Uint32(f.data[cooked2IfStart:])
	f.advance(cooked2Len)
	return f.tags(ether)
}

// decodeNull reads LINKTYPE_NULL, the address family in the byte order of the
// machine that captured, and LINKTYPE_LOOP, the same in network order. Families
// are small, so the order shows. AF_INET6 is 24 on NetBSD and OpenBSD, 28 on
// FreeBSD, 30 on macOS, 10 on Linux.
func decodeNull(f *frame) (uint16, Reason) {
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
func decodeRawIP(f *frame) (uint16, Reason) {
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

const (
	// maxLinks bounds what a hostile capture can make linkTable hold; the links
	// after it share one number.
	maxLinks = 1 << 16
	// maxLinkName is twice what the longest interface names take (Windows'
	// device paths).
	maxLinkName = 128
)

// linkTable numbers the links that a capture shows, in the order in which they
// first deliver something.
type linkTable struct {
	list    []analyzer.Link
	numbers map[path]uint32
	names   []string // of interfaces
	byName  map[string]uint32
	last    path // the path asked for last, and its number: nearly always the next one
	lastNum uint32
}

// number returns the number of a path. It allocates only for a new one.
func (t *linkTable) number(p *path) uint32 {
	if *p == t.last && len(t.list) > 0 {
		return t.lastNum
	}
	n, known := t.numbers[*p]
	if !known {
		n = t.add(p)
	}
	t.last, t.lastNum = *p, n
	return n
}

func (t *linkTable) add(p *path) uint32 {
	if len(t.list) >= maxLinks {
		return maxLinks - 1
	}
	var l analyzer.Link
	switch {
	case len(t.list) == maxLinks-1:
		l.Interface = "other"
	case p.ifIndex != 0:
		l.Interface = "if" + strconv.FormatUint(uint64(p.ifIndex), 10)
	case int(p.name) < len(t.names):
		l.Interface = t.names[p.name]
	}
	if p.depth > 0 && l.Interface != "other" {
		l.VLAN = append(l.VLAN, p.vlans[:p.depth]...)
	}
	if t.numbers == nil {
		t.numbers = make(map[path]uint32)
	}
	n := uint32(len(t.list))
	t.numbers[*p] = n
	t.list = append(t.list, l)
	return n
}

// intern numbers an interface name, so that an interface of the same name in a
// later section of a pcapng file is the same link. A pcap file has one
// interface without a name, number 0.
func (t *linkTable) intern(name string) uint32 {
	if n, known := t.byName[name]; known {
		return n
	}
	if t.byName == nil {
		t.names, t.byName = []string{""}, map[string]uint32{"": 0}
	}
	if name == "" || len(t.names) >= maxLinks {
		return 0
	}
	n := uint32(len(t.names))
	t.names = append(t.names, name)
	t.byName[name] = n
	return n
}
