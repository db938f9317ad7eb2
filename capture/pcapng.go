package capture

import (
	"fmt"
	"io"
	"math"
	"math/bits"
	"strings"
)

// Block types and option codes of draft-ietf-opsawg-pcapng, sections 4 and
// appendix A (the obsolete Packet Block).
const (
	blockSection    = 0x0a0d0d0a // 4.1, the same in either byte order
	blockInterface  = 1          // 4.2
	blockPacket     = 2          // appendix A
	blockSimple     = 3          // 4.3
	blockStatistics = 5          // 4.6
	blockEnhanced   = 6          // 4.4

	optionEnd       = 0
	optionIfName    = 2
	optionTSResol   = 9
	optionTSOffset  = 14
	optionIfDrop    = 5 // of Interface Statistics
	optionOSDrop    = 7
	optionDropCount = 4 // of Enhanced Packet Blocks
	byteOrderMagic  = 0x1a2b3c4d
	pcapngMajor     = 1
	blockEdges      = 12 // type and length before, length after the body
	blockBodyStart  = 8
	sectionLeast    = 28
	interfaceLeast  = 20
	simpleLeast     = 16
	packetLeast     = 32 // Enhanced and obsolete Packet Blocks alike
	statisticsLeast = 24
	packetDataStart = 28
	packetDrops     = 10     // of the obsolete Packet Block: its drops count
	dropsUnknown    = 0xffff // what stands there then
	simpleDataStart = 12
	maxInterfaces   = 1 << 16 // of one section; the obsolete block could not even name more
	noDefaultResol  = 6       // if_tsresol without the option: microseconds
)

// pcapngReader reads the block format.
type pcapngReader struct {
	*stream
	order       byteOrder
	ports       []port // interfaces of the current section
	unsupported uint16 // the first link type met that has no decoder
}

func newPcapng(s *stream) (reader, error) {
	r := &pcapngReader{stream: s}
	first := s.atStart()
	s.d.links.intern("")
	h := s.w.peek(sectionLeast)
	if len(h) < sectionLeast {
		return nil, s.cutHeader("pcapng section header", int64(len(h)), sectionLeast)
	}
	if !r.record(new(Packet)) && r.err != nil {
		e := r.err.(*Error)
		if first {
			e.Frame = 0
		}
		return nil, e
	}
	return r, nil
}

// pcapngFollows looks for the byte-order magic.
func pcapngFollows(s *stream) bool {
	h := s.w.peek(blockEdges)
	return len(h) == blockEdges &&
		(byteOrder{}.u32(h[blockBodyStart:]) == byteOrderMagic || byteOrder{big: true}.u32(h[blockBodyStart:]) == byteOrderMagic)
}

// Next implements Source.
func (r *pcapngReader) Next(p *Packet) error {
	for r.err == nil && r.joined == nil {
		if r.waited(p) || r.record(p) {
			return nil
		}
	}
	return r.follow(p)
}

// record reads one block.
func (r *pcapngReader) record(p *Packet) bool {
	h := r.w.peek(blockEdges)
	if len(h) < blockEdges {
		r.err = r.finished(len(h))
		return false
	}
	kind := r.order.u32(h)
	if kind == blockSection && !r.setOrder(h[blockBodyStart:]) {
		return false
	}
	claimed := r.order.u32(h[4:])
	// Blocks are a multiple of 4 octets long; some writers forget the padding
	// in the length but not in the file.
	size := (int64(claimed) + 3) &^ 3
	if claimed < blockEdges {
		r.err = r.damaged("block claims %d bytes", claimed)
		return false
	}
	if kind == blockEnhanced {
		return r.packet(kind, claimed, size, p)
	}
	return r.otherBlock(kind, claimed, size, p)
}

// setOrder takes the byte order from a Section Header Block's body.
func (r *pcapngReader) setOrder(body []byte) bool {
	for _, order := range []byteOrder{{big: false}, {big: true}} {
		if order.u32(body) == byteOrderMagic {
			r.order = order
			return true
		}
	}
	r.err = r.damaged("section header has the byte-order magic % x", body[:4])
	return false
}

// otherBlock handles all blocks but the common Enhanced Packet Block.
func (r *pcapngReader) otherBlock(kind, claimed uint32, size int64, p *Packet) bool {
	switch kind {
	case blockPacket, blockSimple:
		return r.packet(kind, claimed, size, p)
	case blockSection:
		r.describe(claimed, size, sectionLeast, r.section)
	case blockInterface:
		r.describe(claimed, size, interfaceLeast, r.addInterface)
	case blockStatistics:
		r.describe(claimed, size, statisticsLeast, r.statistics)
	default:
		if !r.join() {
			r.close(claimed, size)
		}
	}
	return false
}

// describe hands the beginning of a block without packets to take, as much of
// it as the window holds, and moves past it. The slice has at least least bytes
// but the 4 of the length at the block's end.
func (r *pcapngReader) describe(claimed uint32, size int64, least int, take func(b []byte)) {
	if size < int64(least) {
		r.err = r.damaged("block claims %d bytes, its kind takes %d", claimed, least)
		return
	}
	held := int(min(size, int64(len(r.w.buf))))
	b := r.w.peek(held)
	if len(b) < held {
		r.err = r.cut("block", r.w.offset(), int64(len(b)), size)
		return
	}
	if take(b[:held-4]); r.err == nil {
		r.close(claimed, size)
	}
}

// close moves past the current block after checking that its length stands at
// its end too: where that is not so, the next block does not begin there.
func (r *pcapngReader) close(claimed uint32, size int64) bool {
	w := &r.w
	offset := w.offset()
	if size <= int64(w.end-w.start) {
		w.start += int(size) - 4
	} else if got := w.discard(size - 4); got < size-4 {
		r.err = r.cut("block", offset, got, size)
		return false
	}
	b := w.peek(4)
	if len(b) < 4 {
		r.err = r.cut("block", offset, size-4+int64(len(b)), size)
		return false
	}
	if after := r.order.u32(b); after != claimed && int64(after) != size {
		r.err = r.lengthsDiffer(offset, claimed, after)
		return false
	}
	w.start += 4
	r.stats.Bytes = uint64(w.offset())
	return true
}

// lengthsDiffer is the Error for a block that begins at byte offset.
func (r *pcapngReader) lengthsDiffer(offset int64, before, after uint32) *Error {
	e := r.damaged("block claims %s bytes at its start, %s at its end", thousands(uint64(before)), thousands(uint64(after)))
	e.Offset = offset
	return e
}

// section begins a new section: interfaces are numbered afresh (4.1).
func (r *pcapngReader) section(b []byte) {
	if major := r.order.u16(b[12:]); major != pcapngMajor {
		r.err = r.damaged("pcapng version %d.%d; this program reads version 1", major, r.order.u16(b[14:]))
		return
	}
	r.ports = r.ports[:0]
}

// addInterface takes an Interface Description Block.
func (r *pcapngReader) addInterface(b []byte) {
	if len(r.ports) >= maxInterfaces {
		r.err = r.damaged("section describes more than %s interfaces", thousands(maxInterfaces))
		return
	}
	number := r.order.u16(b[8:])
	in := port{link: linkTypeOf(number), number: number, snap: r.order.u32(b[12:])}
	if in.link == nil && r.unsupported == 0 {
		r.unsupported = number
	}
	resolution, offset, name := uint8(noDefaultResol), int64(0), ""
	r.options(b[16:], func(code uint16, v []byte) {
		switch {
		case code == optionIfName:
			name = strings.ToValidUTF8(string(v[:min(len(v), maxLinkName)]), "")
		case code == optionTSResol && len(v) >= 1:
			resolution = v[0]
		case code == optionTSOffset && len(v) >= 8:
			offset = int64(r.u64(v))
		}
	})
	if name == "" && len(r.ports) > 0 {
		// mergecap writes several interfaces without names; they are different
		// places all the same.
		name = fmt.Sprintf("interface %d", len(r.ports))
	}
	in.name = r.d.links.intern(name)
	in.clock = newClock(resolution, offset)
	r.ports = append(r.ports, in)
}

// statistics takes the drop counters of an Interface Statistics Block: what the
// interface could not receive, and what the system could not hand over. They
// count from the capture's start, so a later block replaces an earlier one.
func (r *pcapngReader) statistics(b []byte) {
	number := r.order.u32(b[8:])
	if int64(number) >= int64(len(r.ports)) {
		return
	}
	dropped := uint64(0)
	r.options(b[20:], func(code uint16, v []byte) {
		if (code == optionIfDrop || code == optionOSDrop) && len(v) >= 8 {
			dropped += r.u64(v)
		}
	})
	in := &r.ports[number]
	r.drops(in, dropped, in.lost)
}

// drops takes an interface's count of lost packets by Interface Statistics and
// by its packets' own counts: they are of the same packets.
func (r *pcapngReader) drops(in *port, dropped, lost uint64) {
	r.stats.Dropped += max(dropped, lost) - max(in.dropped, in.lost)
	in.dropped, in.lost = dropped, lost
}

// packetOptions takes what was lost before a packet from its block's options
// (epb_dropcount, 4.3).
func (r *pcapngReader) packetOptions(in *port, b []byte) {
	r.options(b, func(code uint16, v []byte) {
		if code == optionDropCount && len(v) >= 8 {
			r.drops(in, in.dropped, in.lost+r.u64(v))
		}
	})
}

// options calls take for each option of a block (3.5). A length that cannot be
// true ends the list.
func (r *pcapngReader) options(b []byte, take func(code uint16, value []byte)) {
	for len(b) >= 4 {
		code, size := r.order.u16(b), int(r.order.u16(b[2:]))
		if code == optionEnd || size > len(b)-4 {
			return
		}
		take(code, b[4:4+size])
		b = b[min(4+(size+3)&^3, len(b)):]
	}
}

// u64 reads a 64-bit value in the section's byte order. (Timestamps are not
// one: their upper half comes first in either order.)
func (r *pcapngReader) u64(b []byte) uint64 {
	first, second := uint64(r.order.u32(b)), uint64(r.order.u32(b[4:]))
	if r.order.big {
		return first<<32 | second
	}
	return second<<32 | first
}

// packet reads a block with a packet.
func (r *pcapngReader) packet(kind, claimed uint32, size int64, p *Packet) bool {
	least := packetLeast
	if kind == blockSimple {
		least = simpleLeast
	}
	if size > maxRecord || size < int64(least) {
		r.err = r.damaged("packet block claims %s bytes", thousands(uint64(claimed)))
		return false
	}
	held := min(int(size), len(r.w.buf))
	b := r.w.peek(held)
	if len(b) < held {
		r.err = r.cut("packet block", r.w.offset(), int64(len(b)), size)
		return false
	}
	r.at = r.w.offset()
	var q packetFields
	r.fields(&q, kind, b, size)
	if room := size - 4 - int64(q.start); int64(q.captured) > room {
		r.err = r.damaged("packet claims %s bytes in a block that has room for %s", thousands(uint64(q.captured)), thousands(uint64(room)))
		return false
	}
	data := b[q.start:min(q.start+int(q.captured), len(b))]
	reason := SkippedNoInterface
	if q.port != nil {
		reason = r.d.decode(r.begin(q.port, data, q.wire, q.time), p)
		if options := q.start + (len(data)+3)&^3; kind == blockEnhanced && options+8 <= len(b) {
			r.packetOptions(q.port, b[options:len(b)-4])
		}
	}
	if !r.close(claimed, size) {
		return false
	}
	if q.timed {
		r.clock(q.time)
	}
	return r.count(reason, q.captured < q.wire, p)
}

// packetFields are the fields in which the packet blocks differ.
type packetFields struct {
	port     *port // nil when the section does not describe it
	start    int   // of the packet's bytes
	captured uint32
	wire     uint32
	time     int64
	timed    bool // time is its own, not that of the frame before
}

// fields reads into q the header of a packet block of size bytes of which b is
// the beginning.
func (r *pcapngReader) fields(q *packetFields, kind uint32, b []byte, size int64) {
	q.time = r.prev
	number := uint32(0)
	switch kind {
	case blockEnhanced:
		number = r.order.u32(b[8:])
	case blockPacket:
		number = uint32(r.order.u16(b[8:]))
	}
	if int64(number) < int64(len(r.ports)) {
		q.port = &r.ports[number]
	}
	if kind == blockSimple {
		// No time and no captured length: that is the least of the original
		// length and the interface's snap length (4.3), but there are writers
		// that cut without having said so.
		q.start = simpleDataStart
		q.wire = r.order.u32(b[8:])
		q.captured = q.wire
		if q.port != nil && q.port.snap > 0 {
			q.captured = min(q.captured, q.port.snap)
		}
		q.captured = min(q.captured, uint32(size)-simpleLeast)
		return
	}
	q.start = packetDataStart
	q.captured = r.order.u32(b[20:])
	q.wire = r.order.u32(b[24:])
	if q.port != nil {
		if drops := r.order.u16(b[packetDrops:]); kind == blockPacket && drops != dropsUnknown {
			r.drops(q.port, q.port.dropped, q.port.lost+uint64(drops))
		}
		q.timed = true
		q.time = q.port.clock.nanos(uint64(r.order.u32(b[12:]))<<32 | uint64(r.order.u32(b[16:])))
	}
}

// finished is the error for an input that ends where a block could begin.
func (r *pcapngReader) finished(got int) error {
	st := &r.stats
	switch {
	case got > 0 || r.w.err != io.EOF || st.Frames == 0:
	case st.Skipped[SkippedLinkType] == st.Frames && r.unsupported != 0:
		return unsupportedLink(st.Name, r.unsupported)
	case st.Skipped[SkippedNoInterface] == st.Frames:
		return &Error{
			File:    st.Name,
			Problem: "no packet block names an interface that the capture describes",
			Remedy:  "its Interface Description Blocks are lost; capture or convert it again",
		}
	}
	return r.ended("block", got, blockEdges)
}

// clock turns an interface's timestamps into nanoseconds: ticks * mul, then
// divided by div or shifted right, plus offset. Resolutions may be absurd (if_
// tsresol has room for 2^-127); times that do not fit are clamped.
type clock struct {
	mul    uint64
	div    uint64
	shift  uint8
	offset int64 // ns
}

// newClock takes if_tsresol, a negative power of 10 or with the highest bit set
// of 2, and if_tsoffset in seconds (4.2).
func newClock(resolution uint8, offset int64) clock {
	c := clock{mul: 1, div: 1, offset: clampSeconds(offset)}
	exponent := resolution & 0x7f
	switch {
	case resolution&0x80 != 0:
		c.mul, c.shift = nanosPerSecond, exponent
	case exponent <= 9:
		c.mul = pow10(9 - exponent)
	case exponent <= 28:
		c.div = pow10(exponent - 9)
	default:
		c.mul = 0 // 2^64 ticks are less than a nanosecond
	}
	return c
}

// nanos converts a timestamp.
func (c *clock) nanos(ticks uint64) int64 {
	hi, lo := bits.Mul64(ticks, c.mul)
	if c.shift > 0 {
		hi, lo = shiftRight(hi, lo, c.shift)
	}
	if c.div > 1 {
		lo /= c.div // mul is 1, so hi is 0
	}
	if hi != 0 || lo > math.MaxInt64 {
		lo = math.MaxInt64
	}
	t := int64(lo)
	if c.offset > 0 && t > math.MaxInt64-c.offset {
		return math.MaxInt64
	}
	return t + c.offset // t is not negative, so a negative offset cannot overflow
}

// shiftRight shifts a 128-bit number.
func shiftRight(hi, lo uint64, n uint8) (uint64, uint64) {
	if n >= 64 {
		return 0, hi >> (n - 64)
	}
	return hi >> n, lo>>n | hi<<(64-n)
}

// pow10 returns 10^n for n up to 19.
func pow10(n uint8) uint64 {
	v := uint64(1)
	for range n {
		v *= 10
	}
	return v
}

// clampSeconds turns seconds into nanoseconds, as far as they fit.
func clampSeconds(s int64) int64 {
	s = max(min(s, math.MaxInt64/nanosPerSecond), math.MinInt64/nanosPerSecond)
	return s * nanosPerSecond
}
