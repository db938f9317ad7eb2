package capture

import (
	"bytes"
	"encoding/binary"
)

// Headers that capturing systems put before what they captured: none of this
// was on the wire.

// Link types that headers name.
const (
	linkEthernet = 1
	linkRaw      = 101
	linkDot11    = 105
)

const (
	ppiLen       = 8
	ppiDLT       = 4
	pktapLeast   = 108
	pktapMost    = 4096 // Apple's have some 160 octets
	pktapNext    = 4
	pktapPacket  = 1 // a packet follows the header
	pktapDLT     = 8
	pktapName    = 12
	pktapNameLen = 24
)

// named goes on with a link type that a header gives as a DLT, the number that
// the capturing system has for it. Those that differ from a file's, for raw IP,
// are in linkTypes too.
func named(dlt uint32) (layer, Reason) {
	if dlt > 0xffff {
		return 0, SkippedLinkType
	}
	return linkLayer + layer(dlt), delivered
}

// decodePPI reads the Per-Packet Information header of CACE Technologies.
func decodePPI(f *frame) (layer, Reason) {
	if len(f.data) < ppiLen {
		return 0, f.short(ppiLen, SkippedMalformedLink)
	}
	size := int(binary.LittleEndian.Uint16(f.data[2:]))
	if size < ppiLen {
		return 0, SkippedMalformedLink
	}
	next, reason := named(binary.LittleEndian.Uint32(f.data[ppiDLT:]))
	if reason != delivered {
		return 0, reason
	}
	return f.past(size, next, SkippedMalformedLink)
}

// decodePKTAP reads the header of macOS's pktap interface: lengths and link
// type in little endian, and the interface's name.
func decodePKTAP(f *frame) (layer, Reason) {
	b := f.data
	if len(b) < pktapLeast {
		return 0, f.short(pktapLeast, SkippedMalformedLink)
	}
	size := binary.LittleEndian.Uint32(b)
	if size < pktapLeast || size > pktapMost {
		return 0, SkippedMalformedLink
	}
	if binary.LittleEndian.Uint32(b[pktapNext:]) != pktapPacket {
		return 0, SkippedNotIP
	}
	next, reason := named(binary.LittleEndian.Uint32(b[pktapDLT:]))
	if reason != delivered {
		return 0, reason
	}
	name, _, _ := bytes.Cut(b[pktapName:pktapName+pktapNameLen], []byte{0})
	if len(name) > 0 {
		f.ifName = name
	}
	return f.past(int(size), next, SkippedMalformedLink)
}

const (
	nflogLen     = 4
	nflogTLVLen  = 4
	nflogPayload = 9 // NFULA_PAYLOAD
)

// decodeNFLOG reads the attributes of a netfilter log message up to the packet.
// Their lengths are in the byte order of the machine that logged.
func decodeNFLOG(f *frame) (layer, Reason) {
	if len(f.data) < nflogLen {
		return 0, f.short(nflogLen, SkippedMalformedLink)
	}
	f.advance(nflogLen)
	for {
		if len(f.data) < nflogTLVLen {
			return 0, f.short(nflogTLVLen, SkippedMalformedLink)
		}
		size, kind := binary.LittleEndian.Uint16(f.data), binary.LittleEndian.Uint16(f.data[2:])
		if kind > 0xff {
			size, kind = binary.BigEndian.Uint16(f.data), binary.BigEndian.Uint16(f.data[2:])
		}
		if size < nflogTLVLen {
			return 0, SkippedMalformedLink
		}
		if kind == nflogPayload {
			f.advance(nflogTLVLen)
			return decodeRawIP(f)
		}
		padded := (int(size) + 3) &^ 3
		if len(f.data) < padded {
			return 0, f.short(padded, SkippedMalformedLink)
		}
		f.advance(padded)
	}
}

const (
	juniperLen       = 4 // magic number and flags
	juniperExtended  = 0x80
	juniperNoLink    = 0x02
	juniperExtension = 2 // its length, without these two octets
	juniperFamily    = 4 // octets that stand for the link header
)

// decodeJuniper returns a decoder of Junos' header before frames of a link type.
func decodeJuniper(link uint16) func(*frame) (layer, Reason) {
	return func(f *frame) (layer, Reason) {
		b := f.data
		if len(b) < juniperLen {
			return 0, f.short(juniperLen, SkippedMalformedLink)
		}
		if string(b[:3]) != "MGC" {
			return 0, SkippedMalformedLink
		}
		size := juniperLen
		if b[3]&juniperExtended != 0 {
			if size += juniperExtension; len(b) < size {
				return 0, f.short(size, SkippedMalformedLink)
			}
			size += int(binary.BigEndian.Uint16(b[juniperLen:]))
		}
		if b[3]&juniperNoLink != 0 {
			return f.past(size+juniperFamily, linkLayer+linkRaw, SkippedMalformedLink)
		}
		return f.past(size, linkLayer+layer(link), SkippedMalformedLink)
	}
}

const (
	ipnetLen     = 24
	ipnetVersion = 1
	ipoibLen     = 44 // global route header, ethertype and two octets of nothing (RFC 4391 6)
	ipoibType    = 40
)

// decodeIPNET reads the header of Solaris' IP observability devices.
func decodeIPNET(f *frame) (layer, Reason) {
	if len(f.data) > 0 && f.data[0] != ipnetVersion {
		return 0, SkippedMalformedLink
	}
	return f.past(ipnetLen, linkLayer+linkRaw, SkippedMalformedLink)
}

func decodeIPoIB(f *frame) (layer, Reason) {
	if len(f.data) < ipoibLen {
		return 0, f.short(ipoibLen, SkippedMalformedLink)
	}
	next := layer(binary.BigEndian.Uint16(f.data[ipoibType:]))
	f.advance(ipoibLen)
	return next, delivered
}
