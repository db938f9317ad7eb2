package analyzer

import "math"

// zeekLetters are what the history has of one endpoint.
type zeekLetters struct {
	seen          uint8 // a bit for each kind
	syn, fin, rst Seq   // relative: the last of each
	counts        [numZeekCounts]uint32
	next          [numZeekCounts]uint32 // at which count the letter comes again; 0: at the first
}

// The kinds of packets whose first is always told.
const (
	zeekSawSYN = 1 << iota
	zeekSawFIN
	zeekSawRST
	zeekSawFINRST
	zeekSawMulti
	zeekSawData
	zeekSawACK
)

// The letters that come at the 1st, 10th, 100th … time.
const (
	zeekRetransmission = iota
	zeekZeroWindow
	zeekGap
	numZeekCounts
)

var zeekCountLetters = [numZeekCounts]byte{'T', 'W', 'G'}

// record adds a letter, in the case that says who.
func (z *zeek) record(s Side, letter byte) {
	if s != z.orig {
		letter |= 0x20
	}
	z.write(letter)
}

// zeekHistory is a history that is not long.
type zeekHistory struct {
	short   [23]byte
	letters uint8 // of short
}

// write adds a letter to the history.
func (z *zeek) write(letter byte) {
	switch n := int(z.letters); {
	case n < len(z.short):
		z.short[n] = letter
		z.letters++
	case len(z.long) == 0:
		z.long = append(append(z.long, z.short[:]...), letter)
	default:
		z.long = append(z.long, letter)
	}
}

func (z *zeek) history() []byte {
	if len(z.long) > 0 {
		return z.long
	}
	return z.short[:z.letters]
}

// once adds the letter of a kind unless its side has it already.
func (z *zeek) once(s Side, kind uint8, letter byte) (already bool) {
	l := &z.sides[s].letters
	if already = l.seen&kind != 0; !already {
		l.seen |= kind
		z.record(s, letter)
	}
	return already
}

// again adds the letter of a kind, and once more whenever its number is another
// than the last one's.
func (z *zeek) again(s Side, kind uint8, letter byte, last *Seq, rel Seq) {
	if z.once(s, kind, letter) && rel != *last {
		z.record(s, letter)
	}
	*last = rel
}

func (z *zeek) recordCount(s Side, what int) {
	l := &z.sides[s].letters
	if l.counts[what] < math.MaxUint32 {
		l.counts[what]++
	}
	if l.counts[what] == max(1, l.next[what]) {
		l.next[what] = l.counts[what] * 10
		z.record(s, zeekCountLetters[what])
	}
}

// recordFlags adds what a segment is by its flags.
func (z *zeek) recordFlags(s Side, x *Segment, rel Seq) {
	l := &z.sides[s].letters
	switch control := x.Flags & (SYN | FIN | RST); {
	case control.Has(FIN | RST):
		z.once(s, zeekSawFINRST, 'I')
	case control.Has(SYN|FIN) || control.Has(SYN|RST):
		z.once(s, zeekSawMulti, 'Q')
	case control == SYN && x.Flags&ACK != 0:
		z.again(s, zeekSawSYN, 'H', &l.syn, rel)
	case control == SYN:
		z.again(s, zeekSawSYN, 'S', &l.syn, rel)
	case control == FIN:
		z.again(s, zeekSawFIN, 'F', &l.fin, rel.Add(x.Len))
	case control == RST:
		z.again(s, zeekSawRST, 'R', &l.rst, rel)
	case x.Len > 0:
		z.once(s, zeekSawData, 'D')
	case x.Flags&ACK != 0:
		z.once(s, zeekSawACK, 'A')
	}
}
