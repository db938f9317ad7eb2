package capture

import (
	"encoding/binary"
	"io"
	"math/bits"
	"strconv"
)

// pcapMagics are the first bytes of a pcap file in both byte orders
// (draft-ietf-opsawg-pcap 4).
var pcapMagics = []string{
	"\xa1\xb2\xc3\xd4", "\xd4\xc3\xb2\xa1", // microseconds
	"\xa1\xb2\x3c\x4d", "\x4d\x3c\xb2\xa1", // nanoseconds
	"\xa1\xb2\xcd\x34", "\x34\xcd\xb2\xa1", // Kuznetzov's, with longer record headers
}

const (
	pcapHeaderLen     = 24
	pcapRecordLen     = 16
	kuznetzovLen      = 24         // 16 and: interface index, protocol, packet type, padding
	pcapMagicNanos    = 0xa1b23c4d // in the file's byte order
	pcapMagicKuznetz  = 0xa1b2cd34
	nanosPerSecond    = 1_000_000_000
	nanosPerMicro     = 1_000
	pcapLinkTypeBits  = 0xffff // the bits above are about the frame check sequence
	pcapLinkTypeStart = 20
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
	port      port
}

func newPcap(s *stream) (Source, error) {
	h := s.w.peek(pcapHeaderLen)
	if len(h) < pcapHeaderLen {
		return nil, s.cutHeader("pcap file header", int64(len(h)), pcapHeaderLen)
	}
	r := &pcapReader{stream: s, fraction: nanosPerMicro, recordLen: pcapRecordLen}
	r.order.big = h[0] == 0xa1
	switch r.order.u32(h) {
	case pcapMagicNanos:
		r.fraction = 1
	case pcapMagicKuznetz:
		r.recordLen = kuznetzovLen
	}
	number := uint16(r.order.u32(h[pcapLinkTypeStart:]) & pcapLinkTypeBits)
	r.port.link = linkTypeOf(number)
	if r.port.link == nil {
		return nil, unsupportedLink(s.stats.Name, number)
	}
	s.w.discard(pcapHeaderLen)
	s.stats.Bytes = pcapHeaderLen
	return r, nil
}

// cutHeader is the Error for an input that ends before its first frame could
// begin.
func (s *stream) cutHeader(what string, got, want int64) *Error {
	e := s.cut(what, 0, got, want)
	e.Frame = 0
	e.Offset = got
	e.Remedy = "nothing could be read; copy or capture it again"
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

func (r *pcapReader) Next(p *Packet) error {
	for !r.waited(p) {
		if r.err != nil {
			return r.err
		}
		if r.record(p) {
			return nil
		}
	}
	return nil
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
	if captured > maxRecord {
		r.err = r.damaged("record claims %s bytes", thousands(uint64(captured)))
		return false
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
