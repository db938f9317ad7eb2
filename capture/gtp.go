package capture

import "encoding/binary"

const (
	gtpLen         = 8    // 3GPP TS 29.281 5.1
	gtpOptionalLen = 4    // sequence number, N-PDU number, type of the first extension
	gtpVersion     = 0xf0 // version 1, protocol type GTP
	gtpVersion1    = 0x30
	gtpOptional    = 0x07 // any of the three bits brings all optional fields
	gtpExtended    = 0x04
	gtpPacket      = 255 // the message type of a G-PDU
)

// decodeGTP reads the header of a user's packet. Its tunnel endpoint identifier
// is the receiver's and so stays out of the path.
func decodeGTP(f *frame) (layer, Reason) {
	b := f.data
	if len(b) < gtpLen {
		return 0, f.short(gtpLen, SkippedUDP)
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	if b[0]&gtpVersion != gtpVersion1 || b[1] != gtpPacket || length > f.wire-gtpLen {
		return 0, SkippedUDP
	}
	optional := b[0] & gtpOptional
	f.advance(gtpLen)
	if optional != 0 {
		if reason := f.gtpExtensions(optional&gtpExtended != 0); reason != delivered {
			return 0, reason
		}
	}
	if reason := f.push(tunnelGTP.hop()); reason != delivered {
		return 0, reason
	}
	return f.unnamed()
}

// gtpExtensions moves past the optional fields and the extension headers (5.2),
// each of a multiple of 4 octets and with the type of the next at its end.
func (f *frame) gtpExtensions(more bool) Reason {
	size := gtpOptionalLen
	for {
		if len(f.data) < size {
			return f.short(size, SkippedMalformedTunnel)
		}
		more = more && f.data[size-1] != 0
		f.advance(size)
		if !more {
			return delivered
		}
		if len(f.data) == 0 {
			return f.short(1, SkippedMalformedTunnel)
		}
		if size = int(f.data[0]) * 4; size == 0 {
			return SkippedMalformedTunnel
		}
	}
}
