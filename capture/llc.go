package capture

import "encoding/binary"

const (
	llcLen        = 3
	llcUnnumbered = 0x03 // the control field of unnumbered information
	snapLen       = 8
	sapSNAP       = 0xaa
	sapIP         = 0x06
	ouiStart      = 3
	ouiEthernet   = 0x000000 // RFC 1042: an ethertype follows
	ouiTunnel     = 0x0000f8 // 802.1H: the same, from a bridge
	ouiBridged    = 0x0080c2 // 802.1: a whole frame follows
	bridgedFCS    = 0x0001   // RFC 2427 4.2: Ethernet with its checksum
	bridged       = 0x0007   // and without
)

// llc reads an 802.2 LLC header, with SNAP in nearly all that carries IP.
func (f *frame) llc() (layer, Reason) {
	b := f.data
	if len(b) < llcLen {
		return 0, f.short(llcLen, SkippedNotIP)
	}
	if b[0] == sapIP && b[1] == sapIP && b[2] == llcUnnumbered {
		f.advance(llcLen)
		return etherIPv4, delivered
	}
	if b[0] != sapSNAP || b[1] != sapSNAP || b[2] != llcUnnumbered {
		return 0, SkippedNotIP
	}
	if len(b) < snapLen {
		return 0, f.short(snapLen, SkippedNotIP)
	}
	f.advance(ouiStart)
	return f.snap()
}

// snap reads an organisation's code and a protocol number of its own.
func (f *frame) snap() (layer, Reason) {
	const size = snapLen - ouiStart
	if len(f.data) < size {
		return 0, f.short(size, SkippedNotIP)
	}
	oui := uint32(binary.BigEndian.Uint16(f.data))<<8 | uint32(f.data[2])
	id := binary.BigEndian.Uint16(f.data[3:])
	f.advance(size)
	switch {
	case oui == ouiEthernet || oui == ouiTunnel:
		if id < etherLowest {
			return 0, SkippedNotIP
		}
		return layer(id), delivered
	case oui == ouiBridged && (id == bridged || id == bridgedFCS):
		return etherEthernet, delivered
	}
	return 0, SkippedNotIP
}

const (
	tokenRingLen    = 14   // access control, frame control, two addresses
	tokenRingSource = 8    // where the source address begins
	tokenRingRouted = 0x80 // in its first octet: routing information follows
	tokenRingRoute  = 0x1f // in the first octet of that: its length
	tokenRingType   = 0xc0 // of the frame control
	tokenRingLLC    = 0x40
)

// decodeTokenRing reads 802.5, with source routing.
func decodeTokenRing(f *frame) (layer, Reason) {
	if len(f.data) < tokenRingLen {
		return 0, f.short(tokenRingLen, SkippedMalformedLink)
	}
	if f.data[1]&tokenRingType != tokenRingLLC {
		return 0, SkippedNotIP
	}
	routed := f.data[tokenRingSource]&tokenRingRouted != 0
	f.advance(tokenRingLen)
	if !routed {
		return etherLLC, delivered
	}
	if len(f.data) == 0 {
		return 0, f.short(1, SkippedMalformedLink)
	}
	size := int(f.data[0] & tokenRingRoute)
	if size < 2 {
		return 0, SkippedMalformedLink
	}
	return f.past(size, etherLLC, SkippedMalformedLink)
}
