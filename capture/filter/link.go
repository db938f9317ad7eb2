package filter

import "golang.org/x/net/bpf"

// link is one link type that the built-in language compiles for.
type link struct {
	number  uint16 // as listed at tcpdump.org/linktypes.html
	dlt     string // as tcpdump -y takes it
	name    string
	kind    linkKind
	typeAt  uint32 // where the number of the next protocol is
	payload uint32 // where that begins
}

// linkKind is how a link type names the protocol that it carries.
type linkKind uint8

const (
	byEtherType linkKind = iota // or by 802.2 behind a length
	byCooked                    // the same, with a number that stands for 802.2
	byPlainType                 // by an ethertype alone
	byVersion                   // by the first bits of the IP header
	onlyIPv4
	onlyIPv6
	byFamily        // by an address family, in the byte order of a host
	byNetworkFamily // in network order
	byPPP
)

// links is the list of the link types that are compiled for.
var links = []link{
	{1, "EN10MB", "Ethernet", byEtherType, 12, 14},
	{113, "LINUX_SLL", "Linux cooked v1", byCooked, 14, 16},
	{276, "LINUX_SLL2", "Linux cooked v2", byPlainType, 0, 20},
	{101, "RAW", "raw IP", byVersion, 0, 0},
	{12, "RAW", "raw IP", byVersion, 0, 0},
	{14, "RAW", "raw IP", byVersion, 0, 0},
	{228, "IPV4", "IPv4", onlyIPv4, 0, 0},
	{229, "IPV6", "IPv6", onlyIPv6, 0, 0},
	{0, "NULL", "BSD loopback", byFamily, 0, 4},
	{108, "LOOP", "OpenBSD loopback", byNetworkFamily, 0, 4},
	{9, "PPP", "PPP", byPPP, 2, 4},
	{50, "PPP_SERIAL", "PPP with HDLC framing", byPPP, 2, 4},
	{51, "PPP_ETHER", "PPPoE", byPPP, 6, 8},
	{166, "PPP_PPPD", "PPP with direction of pppd", byPPP, 2, 4},
	{104, "C_HDLC", "Cisco HDLC", byPlainType, 2, 4},
}

// foreignLinks are what tcpdump -y calls the link types that only it compiles for.
var foreignLinks = map[uint16]string{
	6: "IEEE802", 8: "SLIP", 10: "FDDI", 105: "IEEE802_11", 107: "FRELAY", 117: "PFLOG", 119: "PRISM_HEADER",
	127: "IEEE802_11_RADIO", 163: "IEEE802_11_RADIO_AVS", 192: "PPI", 226: "IPNET",
	178: "JUNIPER_ETHER", 179: "JUNIPER_PPP", 180: "JUNIPER_FRELAY", 181: "JUNIPER_CHDLC",
}

// pppInEthernet is what is behind a PPPoE header.
var pppInEthernet = link{name: "PPP", kind: byPPP}

func linkOf(number uint16) *link {
	for i := range links {
		if links[i].number == number {
			return &links[i]
		}
	}
	return nil
}

// isEthernet reports whether the link header at hand has MAC addresses.
func (g *generator) isEthernet() bool { return g.link.kind == byEtherType }

// maxLength is the largest number that is the length of an Ethernet frame; those
// above are ethertypes (IEEE 802.3 clause 3.2.6, as libpcap has it).
const maxLength = 1500

// carries tests for a protocol by its ethertype, or by its 802.2 service access
// point where that is small. s is what asks for it.
func (g *generator) carries(s span, proto uint32) *cond {
	if g.labels > 0 {
		return g.inMPLS(s, proto)
	}
	switch g.link.kind {
	case byEtherType:
		length := invert(compare(g.fromType, 0, 2, bpf.JumpGreaterThan, maxLength))
		return g.byType(proto, length, and(length, or(g.snap(0, etherIPX), equal(g.fromPayload, 0, 1, sapIPX), equal(g.fromPayload, 0, 2, 0xffff))))
	case byCooked:
		const raw8023, by8022 = 1, 4 // LINUX_SLL_P_802_3 and _802_2
		by := equal(g.fromType, 0, 2, by8022)
		return g.byType(proto, by, or(equal(g.fromType, 0, 2, raw8023), and(by, or(equal(g.fromPayload, 0, 1, sapIPX), g.snap(0, etherIPX)))))
	case byVersion:
		if version, ok := versions[proto]; ok {
			return masked(g.fromLink, 0, 1, version, 0xf0)
		}
		return never
	case onlyIPv4:
		return constant(proto == etherIPv4)
	case onlyIPv6:
		return constant(proto == etherIPv6)
	case byFamily, byNetworkFamily:
		return g.family(proto)
	case byPPP:
		if v, ok := pppTypes[proto]; ok {
			proto = v
		}
	case byPlainType:
		if proto == sapISO && g.link.dlt == "C_HDLC" {
			proto = sapISO<<8 | sapISO
		}
	}
	return equal(g.fromType, 0, 2, proto)
}

// versions are the first bits of the two IP headers.
var versions = map[uint32]uint32{etherIPv4: 0x40, etherIPv6: 0x60}

// pppTypes are the numbers that PPP has for what has an ethertype.
var pppTypes = map[uint32]uint32{etherIPv4: 0x21, etherIPv6: 0x57, etherDECnet: 0x27, etherAppleTalk: 0x29, etherXNS: 0x25,
	sapISO: 0x23, sapSTP: 0x31, sapIPX: 0x2b}

// byType tests a frame whose header has an ethertype, or says that an 802.2
// header follows; ipx is where IPX may be then.
func (g *generator) byType(proto uint32, has8022, ipx *cond) *cond {
	is := equal(g.fromType, 0, 2, proto)
	switch {
	case proto == sapISO || proto == sapIP || proto == sapNetBEUI:
		return and(has8022, equal(g.fromPayload, 0, 2, proto<<8|proto))
	case proto == sapIPX:
		return or(equal(g.fromType, 0, 2, etherIPX), ipx)
	case proto == etherAppleTalk:
		return or(is, and(has8022, g.snap(0x080007, proto)))
	case proto == etherAARP:
		return or(is, and(has8022, g.snap(0, proto)))
	case proto > maxLength:
		return is
	case g.link.kind == byCooked:
		return and(has8022, equal(g.fromLink, g.payload, 1, proto))
	}
	return and(has8022, equal(g.fromType, 2, 1, proto))
}

// snap tests for an 802.2 SNAP header.
func (g *generator) snap(organization, proto uint32) *cond {
	return bytesEqual(g.fromPayload, 0, []byte{sapSNAP, sapSNAP, 3,
		byte(organization >> 16), byte(organization >> 8), byte(organization), byte(proto >> 8), byte(proto)})
}

// family tests the address family. That of IPv6 differs between systems: 10 is
// Linux's, 24 that of NetBSD, OpenBSD and Npcap, 28 FreeBSD's, 30 Apple's. The
// numbers of DLT_NULL are in the byte order of the host that captured, which may
// have been another one.
func (g *generator) family(proto uint32) *cond {
	numbers := map[uint32][]uint32{etherIPv4: {2}, etherIPv6: {30, 24, 28, 10}}[proto]
	one := never
	for _, n := range numbers {
		if g.link.kind == byFamily {
			one = or(one, equal(g.fromLink, 0, 4, n<<24))
		}
		one = or(one, equal(g.fromLink, 0, 4, n))
	}
	return one
}

// inMPLS tests behind the last label, whose bottom-of-stack bit is set, for what
// the first bits there say.
func (g *generator) inMPLS(s span, proto uint32) *cond {
	version, ok := versions[proto]
	if !ok {
		return g.fail(s, "behind mpls only IPv4 and IPv6 can be told", "put this condition before mpls")
	}
	const bottom = ^uint32(1) // two bytes before the network header
	return and(masked(g.fromNetwork, bottom, 1, 1, 1), masked(g.fromNetwork, 0, 1, version, 0xf0))
}
