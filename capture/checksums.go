package capture

import (
	"encoding/binary"
	"math/bits"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Checksums are verified when Options.VerifyChecksums asks for it. What has a
// wrong one is dropped by its receiver, so it is not delivered. But a capture on
// the sending host has packets before the network card has filled the checksum
// in, and one where segments were put together has none for the whole: those
// say nothing and are delivered.

// plainMTU is the largest packet that is taken to have been on the wire as it
// was captured. Larger ones are of offload, or jumbo frames.
const plainMTU = 1500

// badHeader reports whether an IPv4 header's checksum is wrong (RFC 1071). A
// card that fills it in finds 0.
func badHeader(header []byte) bool {
	return binary.BigEndian.Uint16(header[10:]) != 0 && onesSum(header) != 0
}

// badSegment reports whether the checksum of the segment in f.data, which s is,
// is wrong as far as that can be known.
func (f *frame) badSegment(s *analyzer.Segment) bool {
	var sum uint16
	joined := f.whole != nil && f.whole.end == f.wire
	switch {
	case s.Fragment, f.rerouted:
		return false
	case joined:
		sum = f.whole.sum
	case len(f.data) < f.wire:
		return false
	default:
		sum = onesSum(f.data)
	}
	// An IPv4 address in its mapped form has the sum that it has alone.
	pseudo := uint64(onesSum(s.Src[:])) + uint64(onesSum(s.Dst[:])) + protoTCP + uint64(f.wire)
	if fold(uint64(sum)+pseudo) == 0 {
		return false
	}
	offloaded := !joined && f.wire > plainMTU-ipv4HeaderLen
	return !offloaded && !s.ChecksumUnfilled()
}

// onesSum is the ones' complement sum of RFC 1071, 0 where that is 0xffff. It
// adds 8 octets at once, in the order that costs least: another one only turns
// the sum round (RFC 1071 2 B).
func onesSum(b []byte) uint16 {
	var acc, carry uint64
	for ; len(b) >= 32; b = b[32:] {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[8:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[16:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[24:]), carry)
	}
	for ; len(b) >= 8; b = b[8:] {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b), carry)
	}
	var rest [8]byte
	copy(rest[:], b)
	acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(rest[:]), carry)
	return bits.ReverseBytes16(fold(acc>>32 + acc&(1<<32-1) + carry))
}

// fold makes 16 bits of a ones' complement sum, 0 of 0xffff.
func fold(sum uint64) uint16 { return uint16(sum % 0xffff) }
