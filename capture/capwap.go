package capture

import "encoding/binary"

const (
	capwapLeast     = 8 // RFC 5415 4.3
	capwapDTLS      = 1 // the type in the preamble
	capwapNative    = 0x01
	capwapFragment  = 0x80
	capwapKeepAlive = 0x08
	capwapReserved  = 0x07
	capwapOffset    = 0xfff8
)

// decodeCAPWAP reads the header between a wireless access point and its
// controller: an 802.3 frame or an 802.11 frame follows.
func decodeCAPWAP(f *frame) (layer, Reason) {
	b := f.data
	if len(b) < capwapLeast {
		return 0, f.short(capwapLeast, SkippedUDP)
	}
	size := int(b[1]>>3) * 4
	flags := binary.BigEndian.Uint16(b[2:])
	switch {
	case b[0] == capwapDTLS && b[1]|b[2]|b[3] == 0: // 4.2
		return 0, SkippedEncrypted
	case b[0] != 0 || size < capwapLeast || size > f.wire || flags&capwapReserved != 0:
		return 0, SkippedUDP
	case flags&capwapKeepAlive != 0:
		return 0, SkippedNotIP
	case flags&capwapFragment != 0 && binary.BigEndian.Uint16(b[6:])&capwapOffset != 0:
		return 0, SkippedFragment
	}
	native := flags>>8&capwapNative != 0
	if len(b) < size {
		return 0, f.short(size, SkippedMalformedTunnel)
	}
	f.advance(size)
	if reason := f.push(tunnelCAPWAP.hop()); reason != delivered {
		return 0, reason
	}
	if native {
		return f.swappedDot11()
	}
	return etherEthernet, delivered
}

// swappedDot11 reads an 802.11 frame of which many controllers swap the octets
// of the frame control field. As data frames of an access point are to or from
// the distribution system, the first octet is no data frame's then.
func (f *frame) swappedDot11() (layer, Reason) {
	if len(f.data) < 2 {
		return 0, f.short(2, SkippedMalformedLink)
	}
	first, second := f.data[0], f.data[1]
	if first&dot11TypeBits != dot11Data && second&dot11TypeBits == dot11Data {
		first, second = second, first
	}
	return f.dot11Frame(first, second, false)
}

const (
	tzspLen      = 4
	tzspVersion  = 1
	tzspTransmit = 1 // or 0, received; others carry nothing
	tzspPadding  = 0 // the tags without a length
	tzspEnd      = 1
)

// tzspProtocols are what TZSP carries that can be decoded, as Wireshark's
// packet-tzsp.c lists it.
var tzspProtocols = map[uint16]layer{
	1:   etherEthernet,
	18:  linkLayer + linkDot11,
	119: linkLayer + 119,
	127: linkLayer + 163,
}

// decodeTZSP reads the TaZmen Sniffer Protocol's header and tags.
func decodeTZSP(f *frame) (layer, Reason) {
	b := f.data
	if len(b) < tzspLen {
		return 0, f.short(tzspLen, SkippedUDP)
	}
	next, known := tzspProtocols[binary.BigEndian.Uint16(b[2:])]
	if b[0] != tzspVersion || b[1] > tzspTransmit || !known {
		return 0, SkippedUDP
	}
	f.advance(tzspLen)
	for {
		if len(f.data) == 0 {
			return 0, f.short(1, SkippedMalformedTunnel)
		}
		switch f.data[0] {
		case tzspEnd:
			f.advance(1)
			return next, f.push(tunnelTZSP.hop())
		case tzspPadding:
			f.advance(1)
			continue
		}
		if len(f.data) < 2 {
			return 0, f.short(2, SkippedMalformedTunnel)
		}
		size := 2 + int(f.data[1])
		if len(f.data) < size {
			return 0, f.short(size, SkippedMalformedTunnel)
		}
		f.advance(size)
	}
}
