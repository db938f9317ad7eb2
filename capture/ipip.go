package capture

import "encoding/binary"

// Tunnels that put IP, or Ethernet, into IP with next to no header of their own.

const (
	etherIPLen     = 2
	etherIPVersion = 3      // RFC 3378 3
	prefix6to4     = 0x2002 // the first two octets of 6to4 addresses, RFC 3056 2
	ipv6Source     = 8      // where the addresses begin
	ipv6Dest       = ipv6Source + 16
)

// decodeIPv4InIP is RFC 2003, and RFC 2473 for IPv4 in IPv6.
func decodeIPv4InIP(f *frame) (layer, Reason) {
	where := tunnelIPIP
	if f.v6 {
		where = tunnel4in6
	}
	return etherIPv4, f.push(where.hop())
}

// decodeIPv6InIP is RFC 4213, RFC 3056 where one of the addresses is of 6to4,
// and RFC 2473 for IPv6 in IPv6.
func decodeIPv6InIP(f *frame) (layer, Reason) {
	where := tunnel6in4
	b := f.data
	switch {
	case f.v6:
		where = tunnel6in6
	case len(b) >= ipv6HeaderLen && (binary.BigEndian.Uint16(b[ipv6Source:]) == prefix6to4 || binary.BigEndian.Uint16(b[ipv6Dest:]) == prefix6to4):
		where = tunnel6to4
	}
	return etherIPv6, f.push(where.hop())
}

func decodeEtherIP(f *frame) (layer, Reason) {
	if len(f.data) > 0 && f.data[0]>>4 != etherIPVersion {
		return 0, SkippedMalformedTunnel
	}
	if reason := f.push(tunnelEtherIP.hop()); reason != delivered {
		return 0, reason
	}
	return f.past(etherIPLen, etherEthernet, SkippedMalformedTunnel)
}

// decodeMPLSInIP is RFC 4023. Other labels are not in the path, but this is a
// tunnel between two addresses.
func decodeMPLSInIP(f *frame) (layer, Reason) {
	return etherMPLS, f.push(tunnelMPLS.hop())
}

// decodeMPLSInUDP is RFC 7510. A label stack of which the last is not within
// reach is none.
func decodeMPLSInUDP(f *frame) (layer, Reason) {
	b := f.data
	for depth := 0; depth < maxHeaders; depth++ {
		if len(b) < labelLen {
			return 0, f.short(len(f.data)-len(b)+labelLen, SkippedUDP)
		}
		if b[2]&labelBottom != 0 {
			return etherMPLS, f.push(tunnelMPLS.hop())
		}
		b = b[labelLen:]
	}
	return 0, SkippedUDP
}

const (
	teredoMark       = 8 // octets of an origin indication, RFC 4380 5.1.1
	teredoAuthLeast  = 13
	teredoAuthKind   = 0x0001
	teredoOriginKind = 0x0000
)

// decodeTeredo reads the two optional headers of RFC 4380 5.1.1 before an IPv6
// packet.
func decodeTeredo(f *frame) (layer, Reason) {
	at := 0
	if b := f.data; len(b) >= 4 && binary.BigEndian.Uint16(b) == teredoAuthKind {
		at = teredoAuthLeast + int(b[2]) + int(b[3]) // of client identifier and authentication value
	}
	if b := f.data; len(b) >= at+2 && binary.BigEndian.Uint16(b[at:]) == teredoOriginKind {
		at += teredoMark
	}
	if len(f.data) < at+ipv6HeaderLen {
		return 0, f.short(at+ipv6HeaderLen, SkippedUDP)
	}
	if b := f.data[at:]; f.ipAt(at) != etherIPv6 || ipHeaderFails(b, f.wire-at) {
		return 0, SkippedUDP
	}
	f.advance(at)
	return etherIPv6, f.push(tunnelTeredo.hop())
}

const (
	ayiyaLen     = 8
	ayiyaForward = 1 // the operation code of a packet to forward
)

// decodeAYIYA reads draft-massar-v6ops-ayiya 3: identity and signature have
// lengths that the first octets say, as a power of two and in 4 octets.
func decodeAYIYA(f *frame) (layer, Reason) {
	b := f.data
	if len(b) < ayiyaLen {
		return 0, f.short(ayiyaLen, SkippedUDP)
	}
	next := layer(etherIPv4)
	switch {
	case b[2]&0x0f != ayiyaForward, b[3] != protoIPv4 && b[3] != protoIPv6:
		return 0, SkippedUDP
	case b[3] == protoIPv6:
		next = etherIPv6
	}
	size := ayiyaLen + 1<<(b[0]>>4) + int(b[1]>>4)*4
	if len(b) <= size {
		return 0, f.short(size+1, SkippedUDP)
	}
	if f.ipAt(size) != next {
		return 0, SkippedUDP
	}
	f.advance(size)
	return next, f.push(tunnelAYIYA.hop())
}
