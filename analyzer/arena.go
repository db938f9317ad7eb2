package analyzer

// arena holds dormant flows: octets in slabs that the garbage collector does
// not look into. A piece is a multiple of pieceUnit long; free pieces of each
// length are used again before a slab is begun.
type arena struct {
	slabs [][]byte
	used  int                // of the last slab
	free  [maxPiece][]uint32 // by length in units, the pieces that nobody holds
}

const (
	pieceUnit = 32      // octets
	slabSize  = 1 << 20 // octets
	slabUnits = slabSize / pieceUnit
	maxPiece  = 1 << 10 // units; a flow's longest records take fewer
)

// units is how many units hold n octets.
func units(n int) int { return (n + pieceUnit - 1) / pieceUnit }

// take returns a piece for n octets, fewer than maxPiece units.
func (a *arena) take(n int) (ref uint32, piece []byte) {
	u := units(n)
	if list := a.free[u]; len(list) > 0 {
		ref, a.free[u] = list[len(list)-1], list[:len(list)-1]
		return ref, a.at(ref, n)
	}
	if len(a.slabs) == 0 || a.used+u > slabUnits {
		a.slabs = append(a.slabs, make([]byte, slabSize))
		a.used = 0
	}
	ref = uint32((len(a.slabs)-1)*slabUnits + a.used)
	a.used += u
	return ref, a.at(ref, n)
}

// at returns the first n octets of a piece.
func (a *arena) at(ref uint32, n int) []byte {
	from := int(ref%slabUnits) * pieceUnit
	return a.slabs[ref/slabUnits][from : from+n : from+n]
}

// give takes a piece of n octets back.
func (a *arena) give(ref uint32, n int) {
	u := units(n)
	a.free[u] = append(a.free[u], ref)
}
