package capture

import (
	"encoding/binary"
	"math/bits"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

const (
	tcpHeaderLen    = 20 // without options
	maxTCPHeaderLen = 60
	tcpLeast        = 14 // ports, both numbers, data offset and flags: without these there is no segment
	// unknownWindow stands for one that the snap length cut: 0 would be a
	// receiver that lets nothing through, this rules out nothing.
	unknownWindow  = 0xffff
	tcpWindowEnd   = 16
	tcpChecksumEnd = 18
)

// TCP option kinds (IANA "TCP Option Kind Numbers").
const (
	optEnd           = 0
	optNoOperation   = 1
	optMSS           = 2
	optWindowScale   = 3
	optSACKPermitted = 4
	optSACK          = 5
	optTimestamps    = 8
	optMultipath     = 30
	optFastOpen      = 34
	optExperiment    = 254
	// fastOpenMagic marks Fast Open in the experimental option (RFC 7413
	// 4.1.1, RFC 6994).
	fastOpenMagic = 0xf989
	// maxWindowScale: a larger shift means this one (RFC 7323 2.3).
	maxWindowScale = 14
)

// tcp decodes RFC 9293's header (3.1) into p. f.wire is the IP packet's payload
// length, whatever of it was captured. The IP layer has set the addresses.
func (f *frame) tcp(p *Packet) Reason {
	b := f.data
	if f.wire < tcpHeaderLen {
		if p.Segment.Fragment {
			return SkippedFragment // the rest is in the next one
		}
		return SkippedMalformedTCP
	}
	if len(b) < tcpLeast {
		f.cut(0)
		return SkippedCut
	}
	header := int(b[12]>>4) * 4
	if header < tcpHeaderLen || header > f.wire {
		return SkippedMalformedTCP
	}
	p.Kind = KindSegment
	s := &p.Segment
	s.Frame = f.number
	s.Time = f.time
	s.SrcPort = binary.BigEndian.Uint16(b)
	s.DstPort = binary.BigEndian.Uint16(b[2:])
	s.Seq = analyzer.Seq(binary.BigEndian.Uint32(b[4:]))
	s.Ack = analyzer.Seq(binary.BigEndian.Uint32(b[8:]))
	s.Flags = analyzer.Flags(b[13])
	s.Len = uint32(f.wire - header)
	s.Window, s.Checksum, s.HeaderSum, s.MPTCP = unknownWindow, 0, 0, 0
	s.Options, s.SACK = analyzer.Options{}, [2]analyzer.Seq{}
	if len(b) >= tcpChecksumEnd {
		s.Window = binary.BigEndian.Uint16(b[14:])
		s.Checksum = binary.BigEndian.Uint16(b[16:])
	} else if len(b) >= tcpWindowEnd {
		s.Window = binary.BigEndian.Uint16(b[14:])
	}
	if s.Len > 0 && len(b) >= header && !s.Fragment {
		s.HeaderSum = headerSum(b[:header], f.wire)
	}
	if f.verify && f.badSegment(s) {
		return SkippedTCPChecksum
	}
	if header == tcpHeaderLen {
		return delivered
	}
	if len(b) < header {
		s.Options.Set = analyzer.OptTruncated
		header = len(b)
	}
	if header > tcpHeaderLen {
		parseOptions(s, b[tcpHeaderLen:header])
	}
	return delivered
}

// headerSum returns analyzer.Segment.HeaderSum of a TCP header and the length
// of header and payload. The order of octets only turns such a sum round (RFC
// 1071 2 B), so it is the one that costs least.
func headerSum(b []byte, length int) uint64 {
	const low = 1<<32 - 1
	le := binary.LittleEndian
	v, w := le.Uint64(b), le.Uint64(b[8:])
	acc := uint64(bits.ReverseBytes32(uint32(length))) + v>>32 + v&low + w>>32 + w&low + uint64(le.Uint32(b[16:]))
	for b = b[tcpHeaderLen:]; len(b) >= 4; b = b[4:] {
		acc += uint64(le.Uint32(b))
	}
	return acc
}

// parseOptions reads TCP options (RFC 9293 3.2). A length that cannot be true
// ends the list: what was read before it stands.
func parseOptions(s *analyzer.Segment, b []byte) {
	// Nearly every segment of nearly every stack: NOP, NOP, timestamps (RFC
	// 7323 appendix A).
	if len(b) == 12 && binary.BigEndian.Uint32(b) == 0x0101080a {
		o := &s.Options
		o.Set |= analyzer.OptTimestamps
		o.TSVal = binary.BigEndian.Uint32(b[4:])
		o.TSEcr = binary.BigEndian.Uint32(b[8:])
		return
	}
	for len(b) > 0 {
		kind := b[0]
		if kind == optEnd {
			return
		}
		if kind == optNoOperation {
			b = b[1:]
			continue
		}
		if len(b) < 2 {
			return
		}
		size := int(b[1])
		if size < 2 || size > len(b) {
			return
		}
		parseOption(s, kind, b[2:size])
		b = b[size:]
	}
}

// parseOption reads one option's value; one of a wrong length says nothing.
func parseOption(s *analyzer.Segment, kind byte, v []byte) {
	o := &s.Options
	switch {
	case kind == optMSS && len(v) == 2:
		o.Set |= analyzer.OptMSS
		o.MSS = binary.BigEndian.Uint16(v)
	case kind == optWindowScale && len(v) == 1:
		o.Set |= analyzer.OptWindowScale
		o.WindowScale = min(v[0], maxWindowScale)
	case kind == optSACKPermitted && len(v) == 0:
		o.Set |= analyzer.OptSACKPermitted
	case kind == optSACK:
		o.Set |= analyzer.OptSACK
		if len(v) >= 8 {
			s.SACK = [2]analyzer.Seq{analyzer.Seq(binary.BigEndian.Uint32(v)), analyzer.Seq(binary.BigEndian.Uint32(v[4:]))}
		}
	case kind == optTimestamps && len(v) == 8:
		o.Set |= analyzer.OptTimestamps
		o.TSVal = binary.BigEndian.Uint32(v)
		o.TSEcr = binary.BigEndian.Uint32(v[4:])
	case kind == optMultipath && len(v) > 0 && v[0]>>4 < 8:
		s.MPTCP |= 1 << (v[0] >> 4)
	case kind == optFastOpen,
		kind == optExperiment && len(v) >= 2 && binary.BigEndian.Uint16(v) == fastOpenMagic:
		o.Set |= analyzer.OptFastOpen
	}
}
