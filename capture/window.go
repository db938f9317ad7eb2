package capture

import (
	"io"
	"sync/atomic"
)

const (
	// windowSize is large enough that one read call serves thousands of
	// frames and that any frame of a sane capture lies in it whole.
	windowSize = 1 << 20
	// minWindow holds the largest frame head that the decoder looks at: an
	// IPv6 packet may spend some thousand bytes on extension headers.
	minWindow = 16 << 10
	// maxRecord is the largest record that counts as sane. Offload makes
	// frames of some 512 KiB (Linux BIG TCP); what claims more than 16 MiB is
	// damage.
	maxRecord = 16 << 20
)

// window is a sliding view of a byte stream: one buffer of fixed size, so that
// no length field of a capture can make it allocate. Bytes returned by peek are
// valid until the next call. It needs nothing but Read and so works on pipes,
// where it never waits for more than what was asked.
type window struct {
	r          io.Reader
	buf        []byte
	start, end int          // buf[start:end] is read but not consumed
	base       int64        // offset in the input of buf[0]
	read       atomic.Int64 // bytes read so far, for Position
	err        error        // why the input ended: io.EOF or the reader's error
}

// offset is the place in the input of the next byte to consume.
func (w *window) offset() int64 { return w.base + int64(w.start) }

// peek returns the next n bytes without consuming them: fewer when the input
// ends before (w.err says why). n is at most the window's size.
func (w *window) peek(n int) []byte {
	if w.end-w.start >= n {
		return w.buf[w.start : w.start+n]
	}
	return w.fill(n)
}

// fill reads until n bytes are there or the input ends.
func (w *window) fill(n int) []byte {
	copy(w.buf, w.buf[w.start:w.end])
	w.base += int64(w.start)
	w.start, w.end = 0, w.end-w.start
	for idle := 0; w.end < n && w.err == nil; {
		got, err := w.r.Read(w.buf[w.end:])
		w.end += got
		w.err = err
		w.read.Add(int64(got))
		if got > 0 {
			idle = 0
		} else if idle++; idle > 100 && err == nil {
			w.err = io.ErrNoProgress
		}
	}
	return w.buf[:min(n, w.end)]
}

// discard consumes n bytes, however many, and returns how many there were.
func (w *window) discard(n int64) int64 {
	left := n
	for left > 0 {
		have := int64(w.end - w.start)
		if have == 0 {
			if len(w.peek(1)) == 0 {
				break
			}
			continue
		}
		step := min(have, left)
		w.start += int(step)
		left -= step
	}
	return n - left
}
