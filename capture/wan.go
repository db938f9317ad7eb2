package capture

import "encoding/binary"

// PPP's protocol numbers (IANA "PPP DLL Protocol Numbers").
const (
	pppIPv4       = 0x0021
	pppVJ         = 0x002d // RFC 1144, compressed and not
	pppVJFull     = 0x002f
	pppEncrypted  = 0x0053 // RFC 1968
	pppEncrypted2 = 0x0055 // below a multilink
	pppIPv6       = 0x0057
	pppCompressed = 0x00fd // RFC 1962; MPPE encrypts under it (RFC 3078)
	pppMPLS       = 0x0281
	pppMPLS2      = 0x0283
)

const (
	pppAddress   = 0xff
	pppControl   = 0x03
	pppoeLen     = 6
	pppoeSession = 0 // the code of a frame that carries PPP, RFC 2516 4
	hdlcLen      = 4
	hdlcUnicast  = 0x0f // the address octet of Cisco's HDLC
	hdlcMulti    = 0x8f
	slipLen      = 16 // direction and 15 octets of a compressed TCP header
)

// decodePPP reads RFC 1661's protocol field, of one octet where its value
// allows that (6.5), after address and control if they are there.
func decodePPP(f *frame) (layer, Reason) {
	if len(f.data) >= 2 && f.data[0] == pppAddress && f.data[1] == pppControl {
		f.advance(2)
	}
	b := f.data
	if len(b) > 0 && b[0]&1 != 0 && b[0] != pppAddress {
		f.advance(1)
		return pppLayer(uint16(b[0]))
	}
	if len(b) < 2 {
		return 0, f.short(2, SkippedMalformedLink)
	}
	f.advance(2)
	return pppLayer(binary.BigEndian.Uint16(b))
}

func pppLayer(protocol uint16) (layer, Reason) {
	switch protocol {
	case pppIPv4:
		return etherIPv4, delivered
	case pppIPv6:
		return etherIPv6, delivered
	case pppMPLS, pppMPLS2:
		return etherMPLS, delivered
	case pppVJ, pppVJFull, pppEncrypted, pppEncrypted2, pppCompressed:
		return 0, SkippedEncrypted
	}
	return 0, SkippedNotIP
}

// decodeSerial reads what a serial line has in HDLC's framing: PPP, or Cisco's
// HDLC, by the address octet.
func decodeSerial(f *frame) (layer, Reason) {
	if f.data[0] == hdlcUnicast || f.data[0] == hdlcMulti {
		return decodeCiscoHDLC(f)
	}
	return decodePPP(f)
}

// decodeCiscoHDLC reads address, control and ethertype.
func decodeCiscoHDLC(f *frame) (layer, Reason) { return f.tagged(hdlcLen) }

func decodePPPoE(f *frame) (layer, Reason) {
	if len(f.data) < pppoeLen {
		return 0, f.short(pppoeLen, SkippedMalformedLink)
	}
	if f.data[1] != pppoeSession {
		return 0, SkippedNotIP
	}
	f.advance(pppoeLen)
	return etherPPP, delivered
}

// decodeDirected returns a decoder of frames that an octet for the direction
// precedes. That of pppd (166) stands in place of the address: what follows is
// the control octet, with which nothing else here begins.
func decodeDirected(decode func(*frame) (layer, Reason)) func(*frame) (layer, Reason) {
	return func(f *frame) (layer, Reason) {
		f.advance(1)
		if len(f.data) > 0 && f.data[0] == pppControl {
			f.advance(1)
		}
		return decode(f)
	}
}

// decodeSLIP reads the header that BSD systems put before a SLIP packet.
func decodeSLIP(f *frame) (layer, Reason) {
	if len(f.data) <= slipLen {
		return 0, f.short(slipLen+1, SkippedMalformedLink)
	}
	f.advance(slipLen)
	return decodeRawIP(f)
}

// The network layer protocol identifiers of RFC 2427 and ISO/IEC 9577.
const (
	nlpidPadding = 0x00
	nlpidSNAP    = 0x80
	nlpidIPv6    = 0x8e
	nlpidIPv4    = 0xcc
	nlpidPPP     = 0xcf // RFC 1973
)

const (
	frameRelayLeast = 2 // octets of address, Q.922
	frameRelayMost  = 4
	frameRelayLast  = 0x01 // in the last one
)

// decodeFrameRelay reads the address and what RFC 2427 has follow it, or
// Cisco's ethertype.
func decodeFrameRelay(f *frame) (layer, Reason) {
	size := 1
	for size <= len(f.data) && f.data[size-1]&frameRelayLast == 0 {
		size++
	}
	if size > frameRelayMost || size <= len(f.data) && size < frameRelayLeast {
		return 0, SkippedMalformedLink
	}
	if len(f.data) < size+2 {
		return 0, f.short(size+2, SkippedMalformedLink)
	}
	f.advance(size)
	if f.data[0] != llcUnnumbered {
		return f.tagged(2)
	}
	f.advance(1)
	if f.data[0] == nlpidPadding {
		f.advance(1)
	}
	if len(f.data) == 0 {
		return 0, f.short(1, SkippedMalformedLink)
	}
	id := f.data[0]
	f.advance(1)
	switch id {
	case nlpidIPv4:
		return etherIPv4, delivered
	case nlpidIPv6:
		return etherIPv6, delivered
	case nlpidPPP:
		return etherPPP, delivered
	case nlpidSNAP:
		return f.snap()
	}
	return 0, SkippedNotIP
}
