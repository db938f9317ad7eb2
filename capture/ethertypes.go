package capture

import "encoding/binary"

// Ethertypes (IANA "IEEE 802 Numbers") that other files name; etherTypes has
// the others. The ethertype that Ethernet frames have as a payload is that of
// RFC 1701, "transparent Ethernet bridging".
const (
	etherIPv4     = 0x0800
	etherARP      = 0x0806
	etherEthernet = 0x6558
	etherRARP     = 0x8035
	etherVLAN     = 0x8100 // 802.1Q
	etherIPv6     = 0x86dd
	etherPPP      = 0x880b
	etherMPLS     = 0x8847
	etherMPLS2    = 0x8848 // multicast, or labels that the upstream assigned (RFC 5332)
	etherPPPoE    = 0x8864 // session stage, RFC 2516
	etherService  = 0x88a8 // 802.1ad
	etherNSH      = 0x894f
	etherQinQ     = 0x9100 // before 802.1ad
	// Below this the field is an 802.3 length and an LLC header follows.
	etherLowest = 0x0600
	etherLLC    = 0x0004 // Linux's number for it; any below etherLowest would do
)

// etherType is a header between link and IP that an ethertype names.
type etherType struct {
	number uint16
	name   string
	// decode moves the frame past the header and returns what follows.
	decode func(*frame) (layer, Reason)
}

// etherTypes is the list of all headers that are stepped over, the common ones
// first.
var etherTypes = []etherType{
	{etherVLAN, "802.1Q VLAN", decodeVLAN},
	{etherService, "802.1ad service VLAN", decodeVLAN},
	{etherARP, "ARP", decodeARP},
	{etherRARP, "RARP", decodeARP},
	{etherMPLS, "MPLS", decodeMPLS},
	{etherMPLS2, "MPLS multicast", decodeMPLS},
	{etherPPPoE, "PPPoE session", decodePPPoE},
	{etherQinQ, "QinQ before 802.1ad", decodeVLAN},
	{0x9200, "QinQ before 802.1ad", decodeVLAN},
	{0x9300, "QinQ before 802.1ad", decodeVLAN},
	{etherEthernet, "Ethernet", decodeEthernet},
	{etherPPP, "PPP", decodePPP},
	{0x88e5, "MACsec", decodeMACsec},
	{0x88e7, "provider backbone bridge", decodeBackbone},
	{0x8903, "FabricPath", decodeFabricPath},
	{0x8909, "Cisco MetaData", decodeMetaData},
	{0x8926, "VNTag", decodeVNTag},
	{0x892f, "HSR", decodeHSR},
	{0x893f, "802.1BR E-TAG", decodeETag},
	{etherNSH, "network service header", decodeNSH},
}

const (
	vlanTagLen    = 4
	vlanIDBits    = 0x0fff
	backboneLen   = 4 // flags and I-SID; the customer's Ethernet header follows
	backboneID    = 0x00ffffff
	fabricPathLen = 2
	metaDataLen   = 8
	vnTagLen      = 6
	hsrLen        = 6
	eTagLen       = 8
)

func decodeARP(*frame) (layer, Reason) { return 0, SkippedARP }

// decodeVLAN reads a tag. VLAN 0 is no VLAN: the tag is there for its priority
// bits only (802.1Q 9.6), and often in one direction only.
func decodeVLAN(f *frame) (layer, Reason) {
	if len(f.data) < vlanTagLen {
		return 0, f.short(vlanTagLen, SkippedMalformedLink)
	}
	id := hop(binary.BigEndian.Uint16(f.data) & vlanIDBits)
	next := layer(binary.BigEndian.Uint16(f.data[2:]))
	f.advance(vlanTagLen)
	if id != 0 {
		return next, f.push(id)
	}
	return next, delivered
}

// tagged moves past a tag of n octets of which the last two are an ethertype.
func (f *frame) tagged(n int) (layer, Reason) {
	if len(f.data) < n {
		return 0, f.short(n, SkippedMalformedLink)
	}
	next := layer(binary.BigEndian.Uint16(f.data[n-2:]))
	f.advance(n)
	return next, delivered
}

func decodeMetaData(f *frame) (layer, Reason) { return f.tagged(metaDataLen) }
func decodeVNTag(f *frame) (layer, Reason)    { return f.tagged(vnTagLen) }
func decodeHSR(f *frame) (layer, Reason)      { return f.tagged(hsrLen) } // IEC 62439-3
func decodeETag(f *frame) (layer, Reason)     { return f.tagged(eTagLen) }

func decodeFabricPath(f *frame) (layer, Reason) {
	return f.past(fabricPathLen, etherEthernet, SkippedMalformedLink)
}

// decodeBackbone reads an I-TAG (802.1Q 9.7, once 802.1ah): a customer's frame
// in one of the provider's. Two customers may use the same addresses, so that
// the service identifier is part of the path.
func decodeBackbone(f *frame) (layer, Reason) {
	if len(f.data) < backboneLen {
		return 0, f.short(backboneLen, SkippedMalformedLink)
	}
	id := binary.BigEndian.Uint32(f.data) & backboneID
	f.advance(backboneLen)
	return etherEthernet, f.push(tunnelBackbone.with(id))
}

const (
	macsecLen       = 6    // 802.1AE 9.3: TCI and AN, short length, packet number
	macsecLenSCI    = 14   // the same with a secure channel identifier
	macsecVersion   = 0x80 // bits of the TCI, 9.5
	macsecSCI       = 0x20
	macsecEncrypted = 0x08
	macsecChanged   = 0x04
)

// decodeMACsec reads a SecTAG. The integrity check value at the frame's end is
// padding to the IP layer.
func decodeMACsec(f *frame) (layer, Reason) {
	if len(f.data) < macsecLen {
		return 0, f.short(macsecLen, SkippedMalformedLink)
	}
	tci := f.data[0]
	if tci&macsecVersion != 0 {
		return 0, SkippedMalformedLink
	}
	if tci&(macsecEncrypted|macsecChanged) != 0 {
		return 0, SkippedEncrypted
	}
	if tci&macsecSCI != 0 {
		return f.tagged(macsecLenSCI + 2)
	}
	return f.tagged(macsecLen + 2)
}

const (
	nshLeast    = 8
	nshVersion  = 0xc0
	nshLength   = 0x3f // in 4 octets
	nshProtocol = 3
)

// decodeNSH reads the network service header of RFC 8300. Its service path
// differs by direction, so it stays out of the path.
func decodeNSH(f *frame) (layer, Reason) {
	if len(f.data) < nshLeast {
		return 0, f.short(nshLeast, SkippedMalformedTunnel)
	}
	size := int(f.data[1]&nshLength) * 4
	if f.data[0]&nshVersion != 0 || size < nshLeast {
		return 0, SkippedMalformedTunnel
	}
	next, known := nextProtocols[f.data[nshProtocol]]
	if !known {
		return 0, SkippedNotIP
	}
	return f.past(size, next, SkippedMalformedTunnel)
}

// nextProtocols are the next protocols of NSH (RFC 8300 2.2) and of VXLAN-GPE,
// which numbers them alike (draft-ietf-nvo3-vxlan-gpe 3.2).
var nextProtocols = map[byte]layer{
	1: etherIPv4,
	2: etherIPv6,
	3: etherEthernet,
	4: etherNSH,
	5: etherMPLS,
}
