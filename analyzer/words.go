package analyzer

import (
	"encoding/binary"
	"math/bits"
)

// Words are written in blocks of 64:
//
//	which are not 0 | a code of 4 bits for each of these | their octets
//
// Codes 1 to 8 say how many octets a word has. Times, ns since 1970, are all
// but alike in one flow: codeTime is that of a word with the epoch in its upper
// three octets, and five of its own.
const (
	wordBlock = 64
	codeTime  = 9
	timeBits  = 40 // of a word's own, of a time: 18 min
	wordSlack = 8  // a word is read and written whole, and the next begins before its end
)

// wordWriter writes words.
type wordWriter struct {
	b     []byte
	at    int
	epoch uint32
	block [wordBlock]uint64
	n     int
}

// begin starts anew, for words among which there are times near start.
func (w *wordWriter) begin(start int64) {
	w.at, w.n, w.epoch = 0, 0, uint32(uint64(start)>>timeBits)
}

// put writes words.
func (w *wordWriter) put(list []uint64) {
	for len(list) > 0 {
		n := copy(w.block[w.n:], list)
		list = list[n:]
		if w.n += n; w.n == wordBlock {
			w.flush()
		}
	}
}

// end returns what was written, valid until the next begin.
func (w *wordWriter) end() []byte {
	if w.n > 0 {
		clear(w.block[w.n:])
		w.flush()
	}
	return w.b[:w.at+wordSlack]
}

// flush writes a block.
func (w *wordWriter) flush() {
	const most = 8 + wordBlock/2 + 8*wordBlock + wordSlack
	if len(w.b)-w.at < most {
		w.b = append(w.b, make([]byte, len(w.b)+most)...)
	}
	var which uint64
	for i, v := range &w.block {
		if v != 0 {
			which |= 1 << i
		}
	}
	b := w.b[w.at:]
	binary.LittleEndian.PutUint64(b, which)
	at := 8 + (bits.OnesCount64(which)+1)/2
	for n := 0; which != 0; n++ {
		v := w.block[bits.TrailingZeros64(which)%wordBlock]
		which &= which - 1
		octets := (71 - bits.LeadingZeros64(v)) / 8
		code := byte(octets)
		if uint32(v>>timeBits) == w.epoch && w.epoch != 0 {
			octets, code = timeBits/8, codeTime
		}
		if n%2 == 0 {
			b[8+n/2] = code
		} else {
			b[8+n/2] |= code << 4
		}
		binary.LittleEndian.PutUint64(b[at:], v)
		at += octets
	}
	w.at, w.n = w.at+at, 0
}

// wordReader reads what a wordWriter has written.
type wordReader struct {
	b     []byte
	at    int
	epoch uint32
	block [wordBlock]uint64
	n     int // how many of the block have been read
}

func (r *wordReader) begin(b []byte, epoch uint32) { r.b, r.at, r.epoch, r.n = b, 0, epoch, wordBlock }

// get reads as many words as the list has elements.
func (r *wordReader) get(list []uint64) {
	for len(list) > 0 {
		if r.n == wordBlock {
			r.fill()
		}
		n := copy(list, r.block[r.n:])
		list = list[n:]
		r.n += n
	}
}

// fill reads a block.
func (r *wordReader) fill() {
	clear(r.block[:])
	b := r.b[r.at:]
	which := binary.LittleEndian.Uint64(b)
	at := 8 + (bits.OnesCount64(which)+1)/2
	for n := 0; which != 0; n++ {
		code := b[8+n/2] >> (n % 2 * 4) & 15
		v := binary.LittleEndian.Uint64(b[at:])
		if code == codeTime {
			v = v&(1<<timeBits-1) | uint64(r.epoch)<<timeBits
			at += timeBits / 8
		} else {
			v &= 1<<(8*code) - 1
			at += int(code)
		}
		r.block[bits.TrailingZeros64(which)%wordBlock] = v
		which &= which - 1
	}
	r.at, r.n = r.at+at, 0
}
