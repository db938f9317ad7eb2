package capture

import "encoding/binary"

// What is encrypted is a tunnel, or part of one, that nobody can look into.

func decodeEncrypted(*frame) (layer, Reason) { return 0, SkippedEncrypted }

const (
	wireGuardLeast    = 32 // an empty packet of data: header and tag
	wireGuardData     = 4  // message types and their lengths, wireguard.com/protocol
	wireGuardInitiate = 1
	wireGuardRespond  = 2
	wireGuardCookie   = 3
)

// decodeWireGuard knows a message by its type, the zeros after it and its
// length.
func decodeWireGuard(f *frame) (layer, Reason) {
	b := f.data
	if len(b) < 4 || b[1]|b[2]|b[3] != 0 {
		return 0, SkippedUDP
	}
	ok := false
	switch b[0] {
	case wireGuardInitiate:
		ok = f.wire == 148
	case wireGuardRespond:
		ok = f.wire == 92
	case wireGuardCookie:
		ok = f.wire == 64
	case wireGuardData:
		ok = f.wire >= wireGuardLeast && f.wire%16 == 0
	}
	if !ok {
		return 0, SkippedUDP
	}
	return 0, SkippedEncrypted
}

const (
	espLeast  = 16  // identifier, sequence number and the least that a cipher makes of nothing
	lowestSPI = 256 // those below are reserved, RFC 4303 2.1
)

// decodeUDPESP tells ESP from IKE, which has four zeros in its place, and from
// keep-alives of one octet (RFC 3948 2).
func decodeUDPESP(f *frame) (layer, Reason) {
	if f.wire < espLeast || len(f.data) < 4 || binary.BigEndian.Uint32(f.data) < lowestSPI {
		return 0, SkippedUDP
	}
	return 0, SkippedEncrypted
}
