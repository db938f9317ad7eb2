package capture

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"github.com/tcpflow-states/tcpflow-states/capture/filter"
	"github.com/tcpflow-states/tcpflow-states/internal/shell"
)

// Error says why a source cannot go on: which file, where in it, what was
// found there and what would help. Frames that a capture holds but that are
// not TCP are never an Error; Stats counts them.
type Error struct {
	File    string // as given to Open, or the name given to NewReader
	Frame   uint64 // the frame that could not be read, from 1; 0 when the trouble is not in a frame
	Offset  int64  // byte of the capture at which that frame, or the trouble, begins
	Problem string // what was found
	Remedy  string // what would help, or what the results still cover
	Err     error  // the cause, for errors.Is and errors.As; not printed

	// Compression is how the file is compressed, as in Stats: then Offset counts
	// decompressed bytes. Empty without compression.
	Compression string
}

// Error is one line:
//
//	edge.pcap: frame 1042 at byte 88,310: record claims 4,294,967,295 bytes: capture is damaged from here; results cover frames 1-1041
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(oneLine(e.File))
	if e.Frame > 0 {
		fmt.Fprintf(&b, ": frame %d", e.Frame)
	} else if e.Offset > 0 {
		b.WriteByte(':')
	}
	if e.Frame > 0 || e.Offset > 0 {
		fmt.Fprintf(&b, " at byte %s", thousands(uint64(e.Offset)))
		if e.Compression != "" {
			b.WriteString(" decompressed")
		}
	}
	b.WriteString(": " + e.Problem)
	if e.Remedy != "" {
		b.WriteString(": " + e.Remedy)
	}
	return b.String()
}

// Unwrap returns the cause, so that errors.Is(err, fs.ErrNotExist) and
// errors.Is(err, io.ErrUnexpectedEOF) work; nil when there is none.
func (e *Error) Unwrap() error { return e.Err }

// openError words a failure to open a file.
func openError(path string, err error) *Error {
	e := &Error{File: path, Problem: cause(err), Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Remedy = "check the name and the directory"
	case errors.Is(err, fs.ErrPermission):
		e.Remedy = "make it readable for this user, or: sudo cat " + shellWord(path) + " | tcpflow-states analyze -"
	case errors.Is(err, syscall.EISDIR):
		e.Remedy = "name the captures in it: tcpflow-states analyze " + shellWord(strings.TrimRight(path, "/")) + "/*.pcap"
	default:
		e.Remedy = "check that the file can be read"
	}
	return e
}

// cause is the innermost text of an error: without "open x.pcap: ", as the
// line names the file already.
func cause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// covered words what of the capture the results still cover.
func covered(frames uint64) string {
	switch frames {
	case 0:
		return "nothing before it could be read"
	case 1:
		return "results cover frame 1"
	}
	return "results cover frames 1-" + strconv.FormatUint(frames, 10)
}

// damaged is the Error for a record or block that cannot be true.
func (s *stream) damaged(format string, args ...any) *Error {
	return &Error{
		File:        s.stats.Name,
		Frame:       s.stats.Frames + 1,
		Offset:      s.w.offset(),
		Problem:     fmt.Sprintf(format, args...),
		Remedy:      "capture is damaged from here; " + covered(s.stats.Frames),
		Compression: s.stats.Compression,
	}
}

// cut is the Error for an input that ends, or stops being readable, got bytes
// into a record or block of want bytes that begins at byte offset.
func (s *stream) cut(what string, offset, got, want int64) *Error {
	e := &Error{File: s.stats.Name, Frame: s.stats.Frames + 1, Offset: offset, Compression: s.stats.Compression}
	if s.w.err != nil && s.w.err != io.EOF {
		s.unreadable(e, "capture is unreadable from here; "+covered(s.stats.Frames))
		return e
	}
	e.Err = io.ErrUnexpectedEOF
	e.Problem = fmt.Sprintf("file ends inside the %s (%s of %s bytes)", what, thousands(uint64(got)), thousands(uint64(want)))
	e.Remedy = "capture was cut off here, or is still being written; " + covered(s.stats.Frames)
	return e
}

// unreadable words an input that stops being readable: remedy is what helps
// where the input itself does.
func (s *stream) unreadable(e *Error, remedy string) {
	e.Err = s.w.err
	var packed *unpackError
	if errors.As(s.w.err, &packed) {
		e.Problem, e.Remedy = packed.words(s)
		return
	}
	e.Problem = "reading failed: " + cause(s.w.err)
	e.Remedy = remedy
}

// filterError is the Error for a frame of a link type that the filter cannot be
// compiled for.
func (s *stream) filterError(err error) *Error {
	e := &Error{File: s.stats.Name, Frame: s.stats.Frames + 1, Offset: s.at, Err: err, Compression: s.stats.Compression}
	var wrong *filter.Error
	if errors.As(err, &wrong) {
		e.Problem = fmt.Sprintf("filter %q cannot be applied: %s", wrong.Part(), wrong.Problem)
		e.Remedy = wrong.Remedy
		return e
	}
	e.Problem = err.Error()
	return e
}

// thousands writes a number with commas, as in 88,310.
func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// oneLine keeps a file name with control characters from breaking the line.
func oneLine(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return strconv.Quote(name)
	}
	return name
}

// shellWord quotes a file name for the command lines in remedies.
func shellWord(name string) string { return shell.Word(oneLine(name)) }
