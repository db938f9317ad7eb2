package capture

import (
	"encoding/binary"
	"strconv"
)

// snoopMagic begins a file of Solaris' snoop (RFC 1761, "Identification
// Pattern"). All integers are in network byte order.
const snoopMagic = "snoop\x00\x00\x00"

const (
	snoopHeaderLen = 16
	snoopRecordLen = 24
	snoopVersion   = 2
	snoopSurveyor  = 5 // versions 3 to 5 are Shomiti Surveyor's, with trailers in the padding
)

// snoopLinkTypes are the link types by datalink type: RFC 1761 and dlpi.h. 10,
// 12, 19 and 11 are Surveyor's; what others write under these numbers cannot be
// decoded anyway.
var snoopLinkTypes = map[uint32]uint16{
	0:          1,   // IEEE 802.3
	2:          6,   // IEEE 802.5 Token Ring
	4:          1,   // Ethernet
	5:          104, // HDLC
	8:          10,  // FDDI
	10:         1,   // Surveyor: Fast Ethernet
	11:         6,   // Surveyor: 4 Mbit/s Token Ring
	12:         1,   // Surveyor: Gigabit Ethernet
	14:         0,   // software loopback
	19:         1,   // Surveyor: 10 Gigabit Ethernet
	25:         1,   // 100Base-T
	0x80000005: 226, // ipnet, the loopback of Solaris 11
}

// snoopReader reads snoop files.
type snoopReader struct {
	*stream
	port port
}

func newSnoop(s *stream) (reader, error) {
	first := s.atStart()
	h := s.w.peek(snoopHeaderLen)
	if len(h) < snoopHeaderLen {
		return nil, s.cutHeader("snoop file header", int64(len(h)), snoopHeaderLen)
	}
	if v := binary.BigEndian.Uint32(h[8:]); v < snoopVersion || v > snoopSurveyor {
		return nil, &Error{
			File:        s.stats.Name,
			Offset:      s.w.offset() + 8,
			Problem:     "snoop version " + strconv.FormatUint(uint64(v), 10) + "; this program reads version 2 (RFC 1761)",
			Remedy:      s.hint(viaEditcap),
			Compression: s.stats.Compression,
		}
	}
	r := &snoopReader{stream: s}
	number := binary.BigEndian.Uint32(h[12:])
	if mapped, known := snoopLinkTypes[number]; known {
		r.port.link, r.port.number = linkTypeOf(mapped), mapped
	}
	if r.port.link == nil && first {
		return nil, &Error{
			File:    s.stats.Name,
			Problem: "snoop datalink type " + strconv.FormatUint(uint64(number), 10) + " has no decoder here",
			Remedy:  "capture on an interface that carries IP; the numbers are in RFC 1761",
		}
	}
	s.w.discard(snoopHeaderLen)
	s.stats.Bytes = uint64(s.w.offset())
	return r, nil
}

// snoopFollows looks for a version.
func snoopFollows(s *stream) bool {
	h := s.w.peek(snoopHeaderLen)
	return len(h) == snoopHeaderLen && h[8] == 0 && h[9] == 0 && h[10] == 0 && h[11] >= snoopVersion && h[11] <= snoopSurveyor
}

// Next implements Source.
func (r *snoopReader) Next(p *Packet) error {
	for r.err == nil && r.joined == nil {
		if r.waited(p) || r.record(p) {
			return nil
		}
	}
	return r.follow(p)
}

// record reads one record: original length, included length, record length,
// cumulative drops, seconds, microseconds, the packet, padding.
func (r *snoopReader) record(p *Packet) bool {
	h := r.w.peek(snoopRecordLen)
	if len(h) < snoopRecordLen {
		r.err = r.ended("record", len(h), snoopRecordLen)
		return false
	}
	wire, captured, size := binary.BigEndian.Uint32(h), binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[8:])
	if size < snoopRecordLen || size > maxRecord || captured > size-snoopRecordLen {
		if !r.join() {
			r.err = r.damaged("record claims %s bytes, of them %s of the packet", thousands(uint64(size)), thousands(uint64(captured)))
		}
		return false
	}
	r.at = r.w.offset()
	drops := uint64(binary.BigEndian.Uint32(h[12:]))
	time := int64(binary.BigEndian.Uint32(h[16:]))*nanosPerSecond + int64(binary.BigEndian.Uint32(h[20:]))*nanosPerMicro
	held := min(int(size), len(r.w.buf))
	b := r.w.peek(held)
	if len(b) < held {
		r.err = r.cut("record", r.w.offset(), int64(len(b)), int64(size))
		return false
	}
	data := b[snoopRecordLen:min(snoopRecordLen+int(captured), len(b))]
	reason := r.d.decode(r.begin(&r.port, data, wire, time), p)
	if !r.consume("record", int(size)) {
		return false
	}
	r.stats.Dropped += max(drops, r.port.dropped) - r.port.dropped
	r.port.dropped = max(drops, r.port.dropped)
	r.clock(time)
	return r.count(reason, captured < wire, p)
}
