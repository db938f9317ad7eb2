package analyzer

import "encoding/binary"

// arena holds dormant flows: octets in extents that the garbage collector does not
// look into. It is a log: pieces are written one behind the other, and are given
// back in any order. Where much of it is holes, the extent with the most of them is
// emptied: its pieces are written again, and whoever holds them learns where.
//
//	extent: | id, length | piece | id, length | piece | … free
//
// The id is that of the piece's flow; 0 of a piece that was given back.
type arena struct {
	extents []extent
	at      int   // the extent that is written
	empty   []int // extents that hold nothing
	live    int   // octets that somebody holds, of all extents
	moved   func(id, ref uint32)
}

type extent struct {
	b    []byte
	used int // octets written
	live int // octets of these that somebody holds
}

const (
	pieceUnit   = 8 // octets: what a reference counts, and what pieces are rounded to
	pieceHead   = 8
	extentSize  = 1 << 18 // octets
	extentUnits = extentSize / pieceUnit
)

// roomFor is what a piece of n octets takes.
func roomFor(n int) int { return pieceHead + (n+pieceUnit-1)/pieceUnit*pieceUnit }

// take returns a piece of n octets for a flow, fewer than an extent has: the longest
// record of one takes a tenth of that.
func (a *arena) take(id uint32, n int) (ref uint32, piece []byte) {
	if len(a.extents) == 0 || a.extents[a.at].used+roomFor(n) > extentSize {
		a.begin()
		if a.holey() {
			a.evacuate()
		}
	}
	return a.write(id, n)
}

// write writes a piece behind what was written last.
func (a *arena) write(id uint32, n int) (ref uint32, piece []byte) {
	room := roomFor(n)
	if a.extents[a.at].used+room > extentSize {
		a.begin()
	}
	s := &a.extents[a.at]
	b := s.b[s.used : s.used+room]
	binary.LittleEndian.PutUint32(b, id)
	binary.LittleEndian.PutUint32(b[4:], uint32(n))
	ref = uint32(a.at*extentUnits + (s.used+pieceHead)/pieceUnit)
	s.used += room
	s.live += room
	a.live += room
	return ref, b[pieceHead : pieceHead+n]
}

// begin begins an empty extent.
func (a *arena) begin() {
	n := len(a.empty)
	switch {
	case n > 0:
		a.at, a.empty = a.empty[n-1], a.empty[:n-1]
	case len(a.extents) > 0 && a.extents[a.at].live == 0:
		a.extents[a.at].used = 0
	default:
		a.at = len(a.extents)
		a.extents = append(a.extents, extent{})
	}
	if s := &a.extents[a.at]; s.b == nil {
		s.b = make([]byte, extentSize)
	}
}

// holey reports whether more than a quarter of what is written is holes.
func (a *arena) holey() bool {
	full := len(a.extents) - len(a.empty) - 1 // but for the one that has just begun
	return full > 1 && a.live < full*extentSize/4*3
}

// evacuate empties the extent with the most holes.
func (a *arena) evacuate() {
	from := -1
	for i := range a.extents {
		if s := &a.extents[i]; i != a.at && s.used > 0 && (from < 0 || s.live < a.extents[from].live) {
			from = i
		}
	}
	s := a.extents[from]
	for at := 0; at < s.used; {
		id, n := binary.LittleEndian.Uint32(s.b[at:]), int(binary.LittleEndian.Uint32(s.b[at+4:]))
		if id != 0 {
			ref, piece := a.write(id, n)
			copy(piece, s.b[at+pieceHead:])
			a.moved(id, ref)
			a.live -= roomFor(n)
		}
		at += roomFor(n)
	}
	a.release(from)
}

// release makes an extent of which nobody holds anything an empty one. Of many such
// some are let go of.
func (a *arena) release(i int) {
	s := &a.extents[i]
	s.used, s.live = 0, 0
	if a.empty = append(a.empty, i); len(a.empty) > 4+len(a.extents)/2 {
		s.b = nil
	}
}

// piece returns a piece. It is valid until the next one is taken.
func (a *arena) piece(ref uint32) []byte {
	b := a.extents[ref/extentUnits].b[ref%extentUnits*pieceUnit-pieceHead:]
	n := binary.LittleEndian.Uint32(b[4:])
	return b[pieceHead : pieceHead+n]
}

// give takes a piece back.
func (a *arena) give(ref uint32) {
	i := int(ref / extentUnits)
	s := &a.extents[i]
	b := s.b[ref%extentUnits*pieceUnit-pieceHead:]
	room := roomFor(int(binary.LittleEndian.Uint32(b[4:])))
	binary.LittleEndian.PutUint32(b, 0)
	s.live -= room
	a.live -= room
	if s.live == 0 && i != a.at {
		a.release(i)
	}
}
