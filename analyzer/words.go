package analyzer

import (
	"encoding/binary"
	"math/bits"
)

// Words are written in runs of 64 or fewer, as the lists come:
//
//	a bit for each: it is not 0 | 4 bits for each of these: how | their octets
//
// Codes 1 to 8 say how many octets a word has. Times, ns since 1970, are all
// but alike in one flow: codeTime is that of a word with the epoch in its upper
// three octets, and five of its own.
const (
	wordRun   = 64
	codeTime  = 9
	timeBits  = 40 // of a word's own, of a time: 18 min
	wordSlack = 8  // a word is read and written whole, and the next begins before its end
)

// wordWriter writes words.
type wordWriter struct {
	b     []byte
	at    int
	epoch uint32
}

// begin starts anew, for words among which there are times near start.
func (w *wordWriter) begin(start int64) {
	w.at, w.epoch = 0, uint32(uint64(start)>>timeBits)
}

// end returns what was written, valid until the next begin.
func (w *wordWriter) end() []byte { return w.b[:w.at+wordSlack] }

// put writes words.
func (w *wordWriter) put(list []uint64) {
	for ; len(list) > wordRun; list = list[wordRun:] {
		w.run(list[:wordRun])
	}
	w.run(list)
}

func (w *wordWriter) run(list []uint64) {
	const most = 8 + wordRun/2 + 8*wordRun + wordSlack
	if len(w.b)-w.at < most {
		w.b = append(w.b, make([]byte, len(w.b)+most)...)
	}
	var which uint64
	for i, v := range list {
		if v != 0 {
			which |= 1 << i
		}
	}
	b := w.b[w.at : w.at+most]
	binary.LittleEndian.PutUint64(b, which)
	codes := b[(len(list)+7)/8:]
	at := (bits.OnesCount64(which) + 1) / 2
	for n := 0; which != 0; n++ {
		v := list[bits.TrailingZeros64(which)]
		which &= which - 1
		octets := (71 - bits.LeadingZeros64(v)) / 8
		code := byte(octets)
		if uint32(v>>timeBits) == w.epoch && w.epoch != 0 {
			octets, code = timeBits/8, codeTime
		}
		if n%2 == 0 {
			codes[n/2] = code
		} else {
			codes[n/2] |= code << 4
		}
		binary.LittleEndian.PutUint64(codes[at:], v)
		at += octets
	}
	w.at += (len(list)+7)/8 + at
}

// wordReader reads what a wordWriter has written.
type wordReader struct {
	b     []byte
	epoch uint64 // where it is in a word
}

func (r *wordReader) begin(b []byte, epoch uint32) { r.b, r.epoch = b, uint64(epoch)<<timeBits }

// get reads words into a list of the same length, all 0.
func (r *wordReader) get(list []uint64) {
	for ; len(list) > wordRun; list = list[wordRun:] {
		r.run(list[:wordRun])
	}
	r.run(list)
}

func (r *wordReader) run(list []uint64) {
	size := (len(list) + 7) / 8
	which := binary.LittleEndian.Uint64(r.b) & (1<<(8*size) - 1)
	codes := r.b[size:]
	at := (bits.OnesCount64(which) + 1) / 2
	for n := 0; which != 0; n++ {
		code := codes[n/2] >> (n % 2 * 4) & 15
		v := binary.LittleEndian.Uint64(codes[at:])
		if code == codeTime {
			v = v&(1<<timeBits-1) | r.epoch
			at += timeBits / 8
		} else {
			v &= 1<<(8*code) - 1
			at += int(code)
		}
		list[bits.TrailingZeros64(which)] = v
		which &= which - 1
	}
	r.b = codes[at:]
}
