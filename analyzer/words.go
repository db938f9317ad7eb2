package analyzer

import (
	"encoding/binary"
	"math/bits"
)

// Words are written in runs of 64, and a last shorter one:
//
//	a bit for each: it is not 0 | 4 bits for each of these: how | their octets
//
// Codes 1 to 8 say how many octets a word has. Times, ns since 1970, are all
// but alike in one flow: codeTime is that of a word with the epoch in its upper
// three octets, and five of its own. And many are equal: a side's last segment was
// the one that changed its state. codeAgain is that of a word that was there
// before; its octet says which of those that are not 0 it was.
//
// Which words are 0, long, times, or again has no pattern that a processor could
// learn: the loops have no branch that depends on it.
const (
	wordRun   = 64
	codeTime  = 9
	codeAgain = 10
	timeBits  = 40      // of a word's own, of a time: 18 min
	noEpoch   = 1 << 31 // of no word
	wordSlack = 8       // a word is read and written whole, and the next begins before its end
	runMost   = 8 + wordRun/2 + 8*wordRun + wordSlack
	nameable  = 256 // words that can be said to be there again
)

// wordWriter gathers words, and writes them.
type wordWriter struct {
	words []uint64
	b     []byte
	epoch uint32
	said  [nameable]uint64 // the first words that are not 0
	n     int              // how many there have been
	where [64]uint8        // by a hash of a word, the last such of said
}

// begin starts anew, for words among which there are times near start.
func (w *wordWriter) begin(start int64) {
	w.words, w.b, w.n, w.epoch = w.words[:0], w.b[:0], 0, uint32(uint64(start)>>timeBits)
	if w.epoch == 0 {
		w.epoch = noEpoch
	}
}

// put adds words.
func (w *wordWriter) put(list []uint64) { w.words = append(w.words, list...) }

// end returns the words as written, valid until the next begin.
func (w *wordWriter) end() []byte {
	list := w.words
	for ; len(list) > wordRun; list = list[wordRun:] {
		w.run(list[:wordRun])
	}
	w.run(list)
	w.b = append(w.b, make([]byte, wordSlack)...)
	return w.b
}

// run appends one run.
func (w *wordWriter) run(list []uint64) {
	var full [wordRun]uint64 // those that are not 0
	var which uint64
	n := uint(0)
	for i, v := range list {
		full[n%wordRun] = v
		some := notZero(v)
		which |= some << (uint(i) % wordRun)
		n += uint(some)
	}
	from := len(w.b)
	w.b = grownBy(w.b, runMost)
	b := w.b[from : from+runMost]
	binary.LittleEndian.PutUint64(b, which)
	codes := b[(len(list)+7)/8:]
	at := (n + 1) / 2
	epoch, pair := uint64(w.epoch), uint64(0)
	for i := uint(0); i < n; i++ {
		v := full[i%wordRun]
		size := uint64(bits.Len64(v)+7) / 8
		time := notZero(v>>timeBits^epoch) - 1 // of a time, all ones
		code := size ^ (size^codeTime)&time
		size ^= (size ^ timeBits/8) & time
		old, again := w.say(v)
		code ^= (code ^ codeAgain) & again
		size ^= (size ^ 1) & again
		pair = pair>>4 | code<<4
		codes[i/2] = byte(pair >> (^i % 2 * 4))
		binary.LittleEndian.PutUint64(codes[at:], v^(v^old)&again)
		at += uint(size)
	}
	w.b = w.b[:from+(len(list)+7)/8+int(at)]
}

// say notes the next word that is not 0. Where it is one of said, its place there,
// and all ones.
func (w *wordWriter) say(v uint64) (old, again uint64) {
	at := &w.where[v*0x9e3779b97f4a7c15>>58]
	old = uint64(*at)
	known := uint64(old-uint64(w.n)) >> 63 // of this flow
	again = -(known &^ notZero(w.said[old]^v))
	if w.n < nameable {
		w.said[w.n] = v
		*at = uint8(w.n)
	}
	w.n++
	return old, again
}

// notZero is 1 for every word but 0.
func notZero(v uint64) uint64 { return (v | -v) >> 63 }

// grownBy returns b with n octets more.
func grownBy(b []byte, n int) []byte {
	if cap(b)-len(b) < n {
		b = append(make([]byte, 0, 2*cap(b)+n), b...)
	}
	return b[:len(b)+n]
}

// wordReader reads what a wordWriter has written.
type wordReader struct {
	words []uint64
	at    int
	epoch [16]uint64 // by code, the bits of a word that are not its own
	said  [nameable]uint64
	n     int
}

// By code: how many octets a word has, the mask of these, and all ones where they
// say which word is there again.
var (
	codeSize  = [16]uint8{1: 1, 2, 3, 4, 5, 6, 7, 8, codeTime: timeBits / 8, codeAgain: 1}
	codeMask  = [16]uint64{1: 1<<8 - 1, 1<<16 - 1, 1<<24 - 1, 1<<32 - 1, 1<<40 - 1, 1<<48 - 1, 1<<56 - 1, 1<<64 - 1, codeTime: 1<<timeBits - 1, codeAgain: nameable - 1}
	codeNames = [16]uint64{codeAgain: 1<<64 - 1}
)

// begin reads n words, for get.
func (r *wordReader) begin(b []byte, n int, epoch uint32) {
	r.epoch[codeTime] = uint64(epoch) << timeBits
	if cap(r.words) < n {
		r.words = make([]uint64, 2*n)
	}
	r.words, r.at, r.n = r.words[:n], 0, 0
	clear(r.words)
	for i := 0; i < n; i += wordRun {
		b = r.run(b, r.words[i:min(i+wordRun, n)])
	}
}

// get copies words into a list.
func (r *wordReader) get(list []uint64) { r.at += copy(list, r.words[r.at:]) }

// run reads one run into a list, all 0, and returns what is behind it.
func (r *wordReader) run(b []byte, list []uint64) []byte {
	size := (len(list) + 7) / 8
	which := binary.LittleEndian.Uint64(b) & (1<<(8*size) - 1)
	codes := b[size:]
	at := uint(bits.OnesCount64(which)+1) / 2
	for n := uint(0); which != 0; n++ {
		code := codes[n/2] >> (n % 2 * 4) % 16
		v := binary.LittleEndian.Uint64(codes[at:])&codeMask[code] | r.epoch[code]
		v ^= (v ^ r.said[v%nameable]) & codeNames[code]
		list[bits.TrailingZeros64(which)] = v
		if r.n < nameable {
			r.said[r.n] = v
		}
		r.n++
		at += uint(codeSize[code])
		which &= which - 1
	}
	return codes[at:]
}
