package analyzer

import "encoding/binary"

// arena holds dormant flows: octets in slabs that the garbage collector does not
// look into. It is a log: pieces are written one behind the other, and are given
// back in any order. Where much of it is holes, the slab with the most of them is
// emptied: its pieces are written again, and whoever holds them learns where.
//
//	slab: | id, length | piece | id, length | piece | … free
//
// The id is that of the piece's flow; 0 of a piece that was given back.
type arena struct {
	slabs []slab
	at    int   // the slab that is written
	empty []int // slabs that hold nothing
	live  int   // octets that somebody holds, of all slabs
	moved func(id, ref uint32)
}

type slab struct {
	b    []byte
	used int // octets written
	live int // octets of these that somebody holds
}

const (
	pieceUnit = 8 // octets: what a reference counts, and what pieces are rounded to
	pieceHead = 8
	slabSize  = 1 << 18 // octets
	slabUnits = slabSize / pieceUnit
	// pieceMost is the longest piece: a flow's longest records take less.
	pieceMost = 1 << 15
)

// roomFor is what a piece of n octets takes.
func roomFor(n int) int { return pieceHead + (n+pieceUnit-1)/pieceUnit*pieceUnit }

// take returns a piece of n octets, at most pieceMost, for a flow.
func (a *arena) take(id uint32, n int) (ref uint32, piece []byte) {
	if len(a.slabs) == 0 || a.slabs[a.at].used+roomFor(n) > slabSize {
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
	if a.slabs[a.at].used+room > slabSize {
		a.begin()
	}
	s := &a.slabs[a.at]
	b := s.b[s.used : s.used+room]
	binary.LittleEndian.PutUint32(b, id)
	binary.LittleEndian.PutUint32(b[4:], uint32(n))
	ref = uint32(a.at*slabUnits + (s.used+pieceHead)/pieceUnit)
	s.used += room
	s.live += room
	a.live += room
	return ref, b[pieceHead : pieceHead+n]
}

// begin begins an empty slab.
func (a *arena) begin() {
	n := len(a.empty)
	switch {
	case n > 0:
		a.at, a.empty = a.empty[n-1], a.empty[:n-1]
	case len(a.slabs) > 0 && a.slabs[a.at].live == 0:
		a.slabs[a.at].used = 0
	default:
		a.at = len(a.slabs)
		a.slabs = append(a.slabs, slab{})
	}
	if s := &a.slabs[a.at]; s.b == nil {
		s.b = make([]byte, slabSize)
	}
}

// holey reports whether more than a quarter of what is written is holes.
func (a *arena) holey() bool {
	full := len(a.slabs) - len(a.empty) - 1 // but for the one that has just begun
	return full > 1 && a.live < full*slabSize/4*3
}

// evacuate empties the slab with the most holes.
func (a *arena) evacuate() {
	from := -1
	for i := range a.slabs {
		if s := &a.slabs[i]; i != a.at && s.used > 0 && (from < 0 || s.live < a.slabs[from].live) {
			from = i
		}
	}
	s := a.slabs[from]
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

// release makes a slab of which nobody holds anything an empty one. Of many such
// some are let go of.
func (a *arena) release(i int) {
	s := &a.slabs[i]
	s.used, s.live = 0, 0
	if a.empty = append(a.empty, i); len(a.empty) > 4+len(a.slabs)/2 {
		s.b = nil
	}
}

// piece returns a piece. It is valid until the next one is taken.
func (a *arena) piece(ref uint32) []byte {
	b := a.slabs[ref/slabUnits].b[ref%slabUnits*pieceUnit-pieceHead:]
	n := binary.LittleEndian.Uint32(b[4:])
	return b[pieceHead : pieceHead+n]
}

// give takes a piece back.
func (a *arena) give(ref uint32) {
	i := int(ref / slabUnits)
	s := &a.slabs[i]
	b := s.b[ref%slabUnits*pieceUnit-pieceHead:]
	room := roomFor(int(binary.LittleEndian.Uint32(b[4:])))
	binary.LittleEndian.PutUint32(b, 0)
	s.live -= room
	a.live -= room
	if s.live == 0 && i != a.at {
		a.release(i)
	}
}
