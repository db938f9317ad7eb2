package capture

import "encoding/binary"

const (
	l2tpControl   = 0x8000 // RFC 2661 3.1
	l2tpLength    = 0x4000
	l2tpSequence  = 0x0800
	l2tpOffset    = 0x0200
	l2tpReserved  = 0x34f0
	l2tpVersion   = 0x000f
	l2tpLeast     = 6 // flags, tunnel and session
	l2tp3UDPLen   = 4 // flags and two reserved octets before what IP carries, RFC 3931 4.1.2.1
	l2tp3Session  = 4
	l2tp3MostMore = 12 // a cookie of up to 8 octets and a sublayer of 4
)

// decodeL2TP reads versions 2 and 3 over UDP. Identifiers of tunnels and
// sessions are the receiver's and so stay out of the path.
func decodeL2TP(f *frame) (layer, Reason) {
	b := f.data
	if len(b) < l2tpLeast {
		return 0, f.short(l2tpLeast, SkippedUDP)
	}
	flags := binary.BigEndian.Uint16(b)
	if flags&l2tpControl != 0 || flags&l2tpReserved != 0 {
		return 0, SkippedUDP
	}
	if flags&l2tpVersion == 3 {
		if binary.BigEndian.Uint16(b[2:]) != 0 {
			return 0, SkippedUDP
		}
		f.advance(l2tp3UDPLen)
		return decodeL2TPv3(f)
	}
	if flags&l2tpVersion != 2 {
		return 0, SkippedUDP
	}
	size := l2tpLeast
	if flags&l2tpLength != 0 {
		if int(binary.BigEndian.Uint16(b[2:])) > f.wire {
			return 0, SkippedUDP
		}
		size += 2
	}
	if flags&l2tpSequence != 0 {
		size += 4
	}
	if flags&l2tpOffset != 0 {
		if size += 2; len(b) < size {
			return 0, f.short(size, SkippedMalformedTunnel)
		}
		size += int(binary.BigEndian.Uint16(b[size-2:]))
	}
	if reason := f.push(tunnelL2TP.hop()); reason != delivered {
		return 0, reason
	}
	return f.past(size, etherPPP, SkippedMalformedTunnel)
}

// decodeL2TPv3 reads RFC 3931 4.1.1. How long a session's cookie is, whether a
// sublayer follows it and what the payload is, only the session's setup says: so
// the beginning of an Ethernet frame, or of PPP or HDLC with IP, is looked for
// where one can be.
func decodeL2TPv3(f *frame) (layer, Reason) {
	if len(f.data) < l2tp3Session {
		return 0, f.short(l2tp3Session, SkippedMalformedTunnel)
	}
	if binary.BigEndian.Uint32(f.data) == 0 {
		return 0, SkippedIPProtocol // a control message
	}
	f.advance(l2tp3Session)
	for at := 0; at <= l2tp3MostMore; at += 4 {
		if f.ethernetAt(at) {
			f.advance(at)
			return etherEthernet, f.push(tunnelL2TP.hop())
		}
		if next := f.serialAt(at); next != 0 {
			f.advance(at + hdlcLen)
			return next, f.push(tunnelL2TP.hop())
		}
	}
	if most := l2tp3MostMore + unnamedLen; len(f.data) < most {
		return 0, f.short(most, SkippedNotIP)
	}
	return 0, SkippedNotIP
}

// serialAt is what a PPP or HDLC header at an offset has follow it: IP, or 0.
func (f *frame) serialAt(offset int) layer {
	if len(f.data) <= offset+hdlcLen {
		return 0
	}
	next := layer(0)
	switch binary.BigEndian.Uint32(f.data[offset:]) {
	case 0xff030021, 0x0f000800, 0x8f000800:
		next = etherIPv4
	case 0xff030057, 0x0f0086dd, 0x8f0086dd:
		next = etherIPv6
	}
	if f.ipAt(offset+hdlcLen) != next {
		return 0
	}
	return next
}
