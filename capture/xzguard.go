package capture

import (
	"encoding/binary"
	"io"
	"math"
)

// xzGuard passes an xz file on and follows its structure (The .xz File Format
// 1.2, sections 2 to 4) to look at the one field in it that the library takes on
// trust: the dictionary size of each block, of which it allocates up to 4 GiB at
// once. On the way it adds up what the chunks come to. What is wrong otherwise is left to the library to find.
type xzGuard struct {
	r        io.Reader
	state    xzState
	head     []byte // collected of the field at hand
	want     int    // how much of it is needed
	skip     int64  // bytes to pass on before the next field
	unpacked uint64 // what the chunks come to whose headers were passed on
	part     int64  // length so far of the block's data or of the index, which are padded
	check    int64  // length of the check after each block
	left     uint64 // fields left in the index
	vli      uint64 // the one at hand
	shift    uint
}

type xzState uint8

const (
	xzStream xzState = iota // stream header, or padding
	xzBlock                 // size of a block header, or 0 for the index
	xzHeader                // block header
	xzChunk                 // LZMA2 chunk header
	xzCount                 // number of index records
	xzRecord                // the integers in them
)

const (
	xzStreamHeader = 12
	xzFooter       = 4 + 12 // CRC of the index and stream footer
	xzLZMA2        = 0x21
)

// Read implements io.Reader.
func (g *xzGuard) Read(b []byte) (int, error) {
	n, err := g.r.Read(b)
	if bad := g.follow(b[:n]); bad != nil {
		return 0, bad
	}
	return n, err
}

func (g *xzGuard) follow(b []byte) error {
	if g.want == 0 {
		g.want = 4
	}
	for len(b) > 0 {
		if g.skip > 0 {
			k := min(g.skip, int64(len(b)))
			g.skip -= k
			b = b[k:]
			continue
		}
		k := min(g.want-len(g.head), len(b))
		g.head = append(g.head, b[:k]...)
		b = b[k:]
		if len(g.head) < g.want {
			continue
		}
		if err := g.field(); err != nil {
			return err
		}
	}
	return nil
}

// next goes to a state that wants so many bytes after others that are skipped.
func (g *xzGuard) next(state xzState, want int, skip int64) {
	g.state, g.want, g.skip = state, want, skip
	g.head = g.head[:0]
}

// field takes the field that was collected.
func (g *xzGuard) field() error {
	switch g.state {
	case xzStream:
		g.streamHeader()
	case xzBlock:
		if g.head[0] == 0 {
			g.part = 1
			g.next(xzCount, 1, 0)
			break
		}
		g.state, g.want = xzHeader, (int(g.head[0])+1)*4
	case xzHeader:
		if dictionary(g.head) > maxDictionary {
			return errDictionary
		}
		g.part = 0
		g.next(xzChunk, 1, 0)
	case xzChunk:
		g.chunk()
	case xzCount, xzRecord:
		g.index(g.head[0])
	}
	return nil
}

// streamHeader takes a stream header, or four bytes of the padding before one.
func (g *xzGuard) streamHeader() {
	if string(g.head) == "\x00\x00\x00\x00" {
		g.next(xzStream, 4, 0)
		return
	}
	if g.want == 4 {
		g.want = xzStreamHeader
		return
	}
	if id := int64(g.head[7] & 0x0f); id > 0 {
		g.check = 4 << ((id - 1) / 3) // 2.1.1.2
	} else {
		g.check = 0
	}
	g.next(xzBlock, 1, 0)
}

// chunk takes the header of an LZMA2 chunk: its control byte, two or four bytes
// of lengths, and properties with some.
func (g *xzGuard) chunk() {
	control := g.head[0]
	switch {
	case control == 0:
		g.next(xzBlock, 1, -(g.part+1)&3+g.check)
	case control < 0x80 && g.want == 1:
		g.want = 3
	case control >= 0x80 && g.want == 1:
		g.want = 5
	case control < 0x80:
		g.unpacked += uint64(binary.BigEndian.Uint16(g.head[1:])) + 1
		g.body(int64(binary.BigEndian.Uint16(g.head[1:])) + 1)
	default:
		g.unpacked += uint64(control&0x1f)<<16 + uint64(binary.BigEndian.Uint16(g.head[1:])) + 1
		size := int64(binary.BigEndian.Uint16(g.head[3:])) + 1
		if control >= 0xc0 {
			size++ // new properties
		}
		g.body(size)
	}
}

func (g *xzGuard) body(size int64) {
	g.part += int64(len(g.head)) + size
	g.next(xzChunk, 1, size)
}

// index takes one byte of the integers that the index consists of.
func (g *xzGuard) index(b byte) {
	g.part++
	g.vli |= uint64(b&0x7f) << min(g.shift, 63)
	g.shift += 7
	g.head = g.head[:0]
	if b&0x80 != 0 {
		return
	}
	if g.state == xzCount {
		g.left = min(g.vli, math.MaxUint64/2) * 2
	} else {
		g.left--
	}
	g.vli, g.shift = 0, 0
	if g.left > 0 {
		g.next(xzRecord, 1, 0)
		return
	}
	g.next(xzStream, 4, -g.part&3+xzFooter)
}

// dictionary is the size that a block header says for LZMA2's (3.1, 5.3.1), 0
// when it does not.
func dictionary(header []byte) uint64 {
	flags, rest := header[1], header[2:]
	for _, size := range []byte{0x40, 0x80} {
		if flags&size != 0 {
			_, n := binary.Uvarint(rest)
			rest = rest[max(n, 0):]
		}
	}
	for range flags&3 + 1 {
		id, n := binary.Uvarint(rest)
		rest = rest[max(n, 0):]
		size, m := binary.Uvarint(rest)
		rest = rest[max(m, 0):]
		if id == xzLZMA2 && size == 1 && len(rest) > 0 {
			return uint64(2|rest[0]&1) << (min(rest[0], 40)/2 + 11)
		}
		rest = rest[min(size, uint64(len(rest))):]
	}
	return 0
}
