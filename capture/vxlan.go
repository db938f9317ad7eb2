package capture

import "encoding/binary"

const (
	vxlanLen       = 8 // RFC 7348 5
	vxlanHasID     = 0x08
	vxlanID        = 4 // where the identifier begins, of 3 octets
	vxlanReserved  = 7
	gpeVersion     = 0x30 // draft-ietf-nvo3-vxlan-gpe 3
	gpeNext        = 0x04
	gpeOAM         = 0x01
	gpeProtocol    = 3
	geneveVersion  = 0xc0 // RFC 8926 3.4
	geneveOptions  = 0x3f // in 4 octets
	geneveReserved = 0x3f
)

// decodeVXLAN reads RFC 7348's header. Its reserved bits are in use by
// extensions (group policy), but for the last octet.
func decodeVXLAN(f *frame) (layer, Reason) {
	b := f.data
	if len(b) < vxlanLen {
		return 0, f.short(vxlanLen, SkippedUDP)
	}
	if b[0]&vxlanHasID == 0 || b[vxlanReserved] != 0 || f.wire < vxlanLen+etherHeaderLen {
		return 0, SkippedUDP
	}
	f.advance(vxlanLen)
	return etherEthernet, f.push(tunnelVXLAN.with(binary.BigEndian.Uint32(b[vxlanID:]) >> 8))
}

func decodeVXLANGPE(f *frame) (layer, Reason) {
	b := f.data
	if len(b) < vxlanLen {
		return 0, f.short(vxlanLen, SkippedUDP)
	}
	if b[0]&vxlanHasID == 0 || b[0]&gpeVersion != 0 || b[vxlanReserved] != 0 {
		return 0, SkippedUDP
	}
	if b[0]&gpeOAM != 0 {
		return 0, SkippedNotIP
	}
	next, known := layer(etherEthernet), true
	if b[0]&gpeNext != 0 {
		next, known = nextProtocols[b[gpeProtocol]]
	}
	if !known {
		return 0, SkippedNotIP
	}
	f.advance(vxlanLen)
	return next, f.push(tunnelVXLANGPE.with(binary.BigEndian.Uint32(b[vxlanID:]) >> 8))
}

// decodeGENEVE reads RFC 8926's header, whatever options it has.
func decodeGENEVE(f *frame) (layer, Reason) {
	b := f.data
	if len(b) < vxlanLen {
		return 0, f.short(vxlanLen, SkippedUDP)
	}
	next := layer(binary.BigEndian.Uint16(b[2:]))
	if b[0]&geneveVersion != 0 || b[1]&geneveReserved != 0 || b[vxlanReserved] != 0 || next < etherLowest {
		return 0, SkippedUDP
	}
	if reason := f.push(tunnelGENEVE.with(binary.BigEndian.Uint32(b[vxlanID:]) >> 8)); reason != delivered {
		return 0, reason
	}
	return f.past(vxlanLen+int(b[0]&geneveOptions)*4, next, SkippedMalformedTunnel)
}
