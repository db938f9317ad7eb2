package capture

import "encoding/binary"

const (
	greLen      = 4
	greProtocol = 2
	greField    = 4 // octets of each optional field
	// Flags and version, RFC 2784 2, RFC 2890 2 and, for version 1, RFC 2637 4.1.
	greChecksum = 0x8000
	greRouting  = 0x4000
	greKey      = 0x2000
	greSequence = 0x1000
	greAck      = 0x0080 // version 1
	greVersion  = 0x0007
)

// Protocol types that only GRE carries.
const (
	greERSPAN  = 0x88be // types I and II
	greERSPAN3 = 0x22eb
)

// lowestSegment is the lowest virtual subnet of NVGRE (RFC 7637 3.2).
const lowestSegment = 0x1000

// decodeGRE reads RFC 2784's header with the fields of RFC 2890.
func decodeGRE(f *frame) (layer, Reason) {
	b := f.data
	if len(b) < greLen {
		return 0, f.short(greLen, SkippedMalformedTunnel)
	}
	flags, protocol := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[greProtocol:])
	if flags&greVersion == 1 {
		return f.pptp(flags)
	}
	if flags&greVersion != 0 || flags&greRouting != 0 {
		return 0, SkippedMalformedTunnel // to be discarded, RFC 2784 2.3
	}
	size := greLen
	if flags&greChecksum != 0 {
		size += greField
	}
	key := size
	if flags&greKey != 0 {
		size += greField
	}
	if flags&greSequence != 0 {
		size += greField
	}
	if len(b) < size {
		return 0, f.short(size, SkippedMalformedTunnel)
	}
	f.advance(size)
	if protocol == greERSPAN || protocol == greERSPAN3 {
		return f.erspan(protocol, flags)
	}
	where := tunnelGRE.hop()
	if flags&greKey != 0 {
		where = greHop(binary.BigEndian.Uint32(b[key:]), protocol, flags)
	}
	return layer(protocol), f.push(where)
}

// greHop is the path of GRE with a key. NVGRE (RFC 7637 3.2) is an Ethernet
// frame with nothing but a key, of which the last octet tells flows apart; so is
// Ethernet over GRE of old, whose keys are small numbers, which NVGRE reserves.
func greHop(key uint32, protocol, flags uint16) hop {
	if segment := key >> 8; protocol == etherEthernet && flags&(greChecksum|greSequence) == 0 && segment >= lowestSegment {
		return tunnelNVGRE.with(segment)
	}
	return tunnelGRE.with(key)
}

// pptp reads version 1, RFC 2637 4.1, whose key is a payload length and the
// receiver's call number.
func (f *frame) pptp(flags uint16) (layer, Reason) {
	if flags&greKey == 0 || binary.BigEndian.Uint16(f.data[greProtocol:]) != etherPPP {
		return 0, SkippedMalformedTunnel
	}
	size := greLen + greField
	if flags&greAck != 0 {
		size += greField
	}
	if flags&greSequence == 0 {
		return 0, SkippedNotIP // an acknowledgment alone
	}
	if reason := f.push(tunnelPPTP.hop()); reason != delivered {
		return 0, reason
	}
	return f.past(size+greField, etherPPP, SkippedMalformedTunnel)
}

const (
	erspanLen      = 8 // type II, draft-foschiano-erspan 4.2
	erspan3Len     = 12
	erspanPlatform = 8 // the platform specific subheader of type III
	erspanOptional = 0x01
	erspanSession  = 0x03ff
	erspan3Flags   = 11
	erspan3IsIP    = 2
	erspanVersion3 = 2 // in the version field
)

// erspan reads the header of a mirrored frame. Type I has none, nor a sequence
// number, by which it is known.
func (f *frame) erspan(protocol, flags uint16) (layer, Reason) {
	if protocol == greERSPAN && flags&greSequence == 0 {
		return etherEthernet, f.push(tunnelERSPAN.hop())
	}
	b := f.data
	size := erspanLen
	if len(b) > 0 && b[0]>>4 == erspanVersion3 {
		size = erspan3Len
	}
	if len(b) < size {
		return 0, f.short(size, SkippedMalformedTunnel)
	}
	next := layer(etherEthernet)
	session := binary.BigEndian.Uint16(b[2:]) & erspanSession
	if size == erspan3Len {
		// Hw ID, direction, granularity and the O bit share the last octet.
		if b[erspan3Flags]&erspanOptional != 0 {
			size += erspanPlatform
		}
		if binary.BigEndian.Uint16(b[erspan3Flags-1:])>>10&0x1f == erspan3IsIP {
			next = linkLayer + linkRaw
		}
	}
	if reason := f.push(tunnelERSPAN.with(uint32(session))); reason != delivered {
		return 0, reason
	}
	return f.past(size, next, SkippedMalformedTunnel)
}
