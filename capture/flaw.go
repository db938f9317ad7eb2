package capture

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrFlawed is wrapped by the *Error that stands for io.EOF where a capture was
// read to its end and something in it is wrong: its time runs backwards, or a
// record is empty.
var ErrFlawed = errors.New("capture is flawed")

// maxBack is how far a frame's time may lie before that of the frame before it
// without being a flaw: the queues of one interface, and the interfaces of one
// capture, are written out of order by less. Beyond it a clock was set back or
// files were joined in the wrong order, and every duration across the place is
// wrong.
const maxBack = int64(time.Second)

// flaw is the first thing in a capture that can be read over and is wrong all
// the same. The zero value is none.
type flaw struct {
	frame  uint64 // from 1
	offset int64  // byte at which its record begins
	back   int64  // ns that its time lies before the frame's before; 0: it is empty
}

// flawed remembers the record at hand, of which nothing is counted yet, if it
// is the first with a flaw.
func (s *stream) flawed(back int64) {
	if s.flaw.frame == 0 {
		s.flaw = flaw{s.stats.Frames + 1, s.at, back}
	}
}

// whole is what a source ends with that was read to its end: io.EOF, or what
// is wrong with it nevertheless.
func (s *stream) whole() error {
	f, st := &s.flaw, &s.stats
	if f.frame == 0 {
		return io.EOF
	}
	e := &Error{File: st.Name, Frame: f.frame, Offset: f.offset, Err: ErrFlawed, Compression: st.Compression}
	if f.back > 0 {
		by := time.Duration(f.back)
		if by = by.Round(time.Millisecond); by > time.Minute {
			by = by.Round(time.Second)
		}
		e.Problem = "time runs backwards by " + by.String()
		e.Remedy = fmt.Sprintf("results cover all frames, but no duration across this place is right; sort them first: %s", s.hint("reordercap %s sorted.pcap"))
		return e
	}
	e.Problem = "record is empty"
	if n := st.Skipped[SkippedEmpty]; n > 1 {
		e.Problem += ", the first of " + thousands(n)
	}
	e.Remedy = "results cover the other frames; capture again with a snap length that leaves the headers (tcpdump -s 128)"
	return e
}
