package capture

import (
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"strconv"
	"strings"
)

// pcapMagics are the first bytes of a pcap file in both byte orders
// (draft-ietf-opsawg-pcap 4) and those of its variants.
var pcapMagics = []string{
	"\xa1\xb2\xc3\xd4", "\xd4\xc3\xb2\xa1", // microseconds
	"\xa1\xb2\x3c\x4d", "\x4d\x3c\xb2\xa1", // nanoseconds
	"\xa1\xb2\xcd\x34", "\x34\xcd\xb2\xa1", // Kuznetzov's, with longer record headers
	"\x1c\x00\x01\xac", "\xac\x01\x00\x1c", // IXIA's lcap of hardware captures
	"\x1c\x00\x01\xab", "\xab\x01\x00\x1c", // and of software captures
}

const (
	pcapHeaderLen     = 24
	ixiaHeaderLen     = 28 // 24 and: the length of all records
	pcapRecordLen     = 16
	nokiaLen          = 20         // 16 and: four octets that only Nokia knows
	kuznetzovLen      = 24         // 16 and: interface index, protocol, packet type, padding
	suseLen           = 28         // the same with two CPU numbers and more padding
	pcapMagicMicros   = 0xa1b2c3d4 // in the file's byte order
	pcapMagicNanos    = 0xa1b23c4d
	pcapMagicKuznetz  = 0xa1b2cd34
	pcapMagicIxiaHard = 0x1c0001ac
	pcapMagicIxiaSoft = 0x1c0001ab
	nanosPerSecond    = 1_000_000_000
	nanosPerMicro     = 1_000
	pcapLinkTypeBits  = 0xffff // the bits above are about the frame check sequence
	pcapLinkTypeStart = 20
	pcapMajor         = 2
	pcapMinor         = 4
)

// byteOrder reads the integers of a capture written in either order. Little
// endian is the common case and costs one predictable branch.
type byteOrder struct{ big bool }

func (o byteOrder) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if o.big {
		v = bits.ReverseBytes32(v)
	}
	return v
}

func (o byteOrder) u16(b []byte) uint16 {
	v := binary.LittleEndian.Uint16(b)
	if o.big {
		v = bits.ReverseBytes16(v)
	}
	return v
}

// pcapReader reads the classic format. Its snap length field is not looked at:
// there are writers that leave it 0 or wrong, and every record has its own
// length.
type pcapReader struct {
	*stream
	order     byteOrder
	fraction  int64 // nanoseconds per unit of a record's second time field
	recordLen int   // length of a record's header
	swapped   bool  // the lengths may be the other way round
	port      port
}

func newPcap(s *stream) (reader, error) {
	r := &pcapReader{stream: s, fraction: nanosPerMicro, recordLen: pcapRecordLen}
	size := pcapHeaderLen
	if head := s.w.peek(4); len(head) == 4 && (head[0] == 0x1c || head[3] == 0x1c) {
		size = ixiaHeaderLen
	}
	h := s.w.peek(size)
	if len(h) < size {
		return nil, s.cutHeader("pcap file header", int64(len(h)), int64(size))
	}
	r.order.big = h[0] == 0xa1 || h[0] == 0x1c
	number := uint16(r.order.u32(h[pcapLinkTypeStart:]) & pcapLinkTypeBits)
	r.port.link, r.port.number = linkTypeOf(number), number
	aix := r.aix(h)
	if r.port.link == nil && s.atStart() {
		return nil, unsupportedLink(s.stats.Name, number)
	}
	magic := r.order.u32(h)
	major, minor := r.order.u16(h[4:]), r.order.u16(h[6:])
	r.swapped = major == pcapMajor && minor < pcapMinor || major == 543
	s.w.discard(int64(size))
	s.stats.Bytes = uint64(s.w.offset())
	switch {
	case magic == pcapMagicNanos || aix:
		r.fraction = 1
	case magic == pcapMagicKuznetz:
		r.recordLen = r.layout(kuznetzovLen, suseLen)
	case magic == pcapMagicMicros:
		r.recordLen = r.layout(pcapRecordLen, kuznetzovLen, nokiaLen)
	default:
		r.ixiaFraction()
	}
	return r, nil
}

// pcapFollows looks for a version that libpcap has written since 1994.
func pcapFollows(s *stream) bool {
	h := s.w.peek(pcapHeaderLen)
	if len(h) < pcapHeaderLen {
		return false
	}
	order := byteOrder{big: h[0] == 0xa1 || h[0] == 0x1c}
	return order.u16(h[4:]) == pcapMajor && order.u16(h[6:]) <= pcapMinor
}

// cutHeader is the Error for an input that ends inside a file's header, which is
// the first header or that of a file joined to others.
func (s *stream) cutHeader(what string, got, want int64) *Error {
	e := s.cut(what, 0, got, want)
	e.Frame = 0
	e.Offset = s.w.offset() + got
	var packed *unpackError
	switch {
	case s.stats.Frames > 0:
		e.Remedy = "results cover the files before it: " + strings.TrimPrefix(covered(s.stats.Frames), "results cover ")
	case !errors.As(e.Err, &packed):
		e.Remedy = "nothing could be read; copy or capture it again"
	}
	return e
}

// unsupportedLink is the Error for a capture of which no frame can be decoded.
func unsupportedLink(file string, number uint16) *Error {
	return &Error{
		File:    file,
		Problem: "link type " + strconv.Itoa(int(number)) + " has no decoder here",
		Remedy:  "capture on an interface that carries IP (tcpdump -L lists link types); the numbers are at tcpdump.org/linktypes.html",
	}
}

// Next implements Source.
func (r *pcapReader) Next(p *Packet) error {
	for r.err == nil && r.joined == nil {
		if r.waited(p) || r.record(p) {
			return nil
		}
	}
	return r.follow(p)
}

// record reads one record and reports whether p was filled. It sets r.err at
// the end.
func (r *pcapReader) record(p *Packet) bool {
	h := r.w.peek(r.recordLen)
	if len(h) < r.recordLen {
		r.err = r.ended("record", len(h), r.recordLen)
		return false
	}
	captured, wire := r.order.u32(h[8:]), r.order.u32(h[12:])
	if captured-1 >= min(wire, maxRecord) { // 0 wraps around
		var ok bool
		if captured, wire, ok = r.oddLengths(captured, wire); !ok {
			return false
		}
	}
	r.at = r.w.offset()
	// 2^32 seconds and 2^32 fractions are well below 2^63 ns.
	time := int64(r.order.u32(h))*nanosPerSecond + int64(r.order.u32(h[4:]))*r.fraction
	size := r.recordLen + int(captured)
	held := min(size, len(r.w.buf))
	b := r.w.peek(held)
	if len(b) < held {
		r.err = r.cut("record", r.w.offset(), int64(len(b)), int64(size))
		return false
	}
	reason := r.d.decode(r.begin(&r.port, b[r.recordLen:], wire, time), p)
	if !r.consume("record", size) {
		return false
	}
	r.clock(time)
	return r.count(reason, captured < wire, p)
}

// oddLengths takes lengths that no common record has: none captured, more than
// there was on the wire, or absurdly much. Another file may begin here; files
// before version 2.3, and some of it, have the two the other way round, as
// DG/UX's version 543 has. It is false when there is no record.
func (r *pcapReader) oddLengths(captured, wire uint32) (uint32, uint32, bool) {
	if r.join() {
		return 0, 0, false
	}
	if r.swapped && captured > wire {
		captured, wire = wire, captured
	}
	if captured > maxRecord {
		r.err = r.damaged("record claims %s bytes", thousands(uint64(captured)))
		return 0, 0, false
	}
	return captured, wire, true
}

// consume moves over a record of which at least the beginning is in the window;
// false means that the input ended inside it.
func (s *stream) consume(what string, size int) bool {
	if size <= s.w.end-s.w.start {
		s.w.start += size
		return true
	}
	offset := s.w.offset()
	if got := s.w.discard(int64(size)); got < int64(size) {
		s.err = s.cut(what, offset, got, int64(size))
		return false
	}
	return true
}

// ended is the error for an input that has only got of the want bytes that a
// record's header takes: whole's when it is none at all.
func (s *stream) ended(what string, got, want int) error {
	if got == 0 && s.w.err == io.EOF {
		return s.whole()
	}
	return s.cut(what+"'s header", s.w.offset(), int64(got), int64(want))
}
