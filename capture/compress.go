package capture

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

const (
	// maxLayers is how many compressions may lie around one another.
	maxLayers = 3
	// maxDictionary bounds the window that compressed data may ask for: what
	// zstd grants without --long, and twice what xz -9 takes.
	maxDictionary = 128 << 20
	// A decompressor is ahead of the analysis by unpackBuffers at the most.
	unpackBuffers = 4
	unpackBuffer  = 256 << 10
	inputBuffer   = 64 << 10
)

// compression is one way of compressing whole files.
type compression struct {
	name   string
	magics []string
	// unpack writes to w what it decompresses from r, as soon as it has it, to
	// the end of all that is concatenated in r. It reads no more of r than it
	// needs.
	unpack func(w io.Writer, r *bufio.Reader) error
	hint   string // printf format for the file's name as a shell word
}

// compressions is the list of all compressions.
var compressions = []compression{
	{"gzip", []string{"\x1f\x8b"}, unpackGzip, "gzip -dc %s"},
	{"zstd", zstdMagics, unpackZstd, "zstd -dc --long=31 %s"},
	{"xz", []string{"\xfd7zXZ\x00"}, unpackXZ, "xz -dc %s"},
	{"lz4", []string{"\x04\x22\x4d\x18", "\x02\x21\x4c\x18"}, unpackLZ4, "lz4 -dc %s"}, // frames, and those before them
	{"bzip2", bzip2Magics, unpackBzip2, "bzip2 -dc %s"},
}

var (
	// pzstd begins with a skippable frame (RFC 8878 3.1.2), of which there are
	// sixteen; it uses the first.
	zstdMagics = []string{"\x28\xb5\x2f\xfd", "\x50\x2a\x4d\x18"}
	// The digit is the block size; without it, text could begin so.
	bzip2Magics = strings.Fields("BZh1 BZh2 BZh3 BZh4 BZh5 BZh6 BZh7 BZh8 BZh9")
)

// Why decompression cannot go on, where the library does not say it well.
var (
	errDictionary = errors.New("needs too large a window")
	errTrailing   = errors.New("something else follows its end")
)

// decompress puts decompressors between the input and the window, as long as
// what comes out is compressed.
func (s *stream) decompress() error {
	for layers := 0; ; layers++ {
		c := s.compressed()
		if c == nil {
			return nil
		}
		if layers == maxLayers {
			return &Error{
				File:    s.stats.Name,
				Problem: fmt.Sprintf("file is compressed more than %d times over (%s in %s)", maxLayers, c.name, s.stats.Compression),
				Remedy:  "decompress it first",
			}
		}
		s.unpack(c)
	}
}

// compressed is the compression that the input begins with, nil when none.
func (s *stream) compressed() *compression {
	// All magic numbers but one are that short, and a pipe may hold no more yet.
	if len(s.w.peek(4)) == 0 {
		return nil
	}
	head := string(s.w.peek(6))
	for i := range compressions {
		for _, magic := range compressions[i].magics {
			if strings.HasPrefix(head, magic) {
				return &compressions[i]
			}
		}
	}
	return nil
}

// unpack starts the decompression of what the window holds and what follows it,
// and has the window begin anew with its result.
func (s *stream) unpack(c *compression) {
	w := &s.w
	in := &input{head: bytes.NewReader(w.buf[w.start:w.end]), r: w.r, end: w.err}
	u := &unpacker{
		compression: c, input: in, inside: s.stats.Compression, outer: s.packed,
		full: make(chan []byte, unpackBuffers), free: make(chan []byte, unpackBuffers+1), done: make(chan struct{}),
	}
	if s.input == nil {
		s.input = in
	}
	s.packed = u
	s.stats.Compression = c.name
	if u.inside != "" {
		s.stats.Compression += " in " + u.inside
	}
	w.r, w.buf = u, make([]byte, len(w.buf))
	w.start, w.end, w.base, w.err = 0, 0, 0, nil
	go u.run()
}

// input counts what a decompressor reads.
type input struct {
	head *bytes.Reader // what the window had read already
	r    io.Reader
	end  error // what r ended with already, nil when it has not
	read atomic.Int64
	err  error // what reading failed with, for the decompressor's goroutine
}

// Read implements io.Reader.
func (in *input) Read(b []byte) (n int, err error) {
	switch {
	case in.head.Len() > 0:
		n, _ = in.head.Read(b)
	case in.end != nil:
		err = in.end
	default:
		n, err = in.r.Read(b)
	}
	in.read.Add(int64(n))
	if err != nil && err != io.EOF {
		in.err = err
	}
	return n, err
}

// unpacker decompresses beside the analysis, in a goroutine of its own: its
// results are handed over in a few large buffers, each as soon as the
// decompressor has written it, so that a live capture is not held up.
type unpacker struct {
	*compression
	input  *input
	inside string    // the compressions around this one
	outer  *unpacker // the nearest of them

	full chan []byte   // to the reader; closed at the end, after err is set
	free chan []byte   // back
	done chan struct{} // closed when nobody reads any more
	once sync.Once
	made int   // buffers
	err  error // why full was closed

	whole, rest []byte // the reader's buffer, and what of it is not read yet
}

func (u *unpacker) close() {
	u.once.Do(func() { close(u.done) })
	if u.outer != nil {
		u.outer.close()
	}
}

// run decompresses all there is.
func (u *unpacker) run() {
	defer close(u.full)
	r := bufio.NewReaderSize(u.input, inputBuffer)
	err := u.guarded(r)
	switch {
	case err == nil:
		u.err = io.EOF
	case u.input.err != nil:
		u.err = u.input.err
	default:
		u.err = &unpackError{u.compression, u.inside, u.input.read.Load() - int64(r.Buffered()), err}
	}
}

// guarded keeps a decompressor's panic over damaged data from ending the
// program.
func (u *unpacker) guarded(r *bufio.Reader) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decompressor fails: %v", p)
		}
	}()
	return u.unpack(u, r)
}

// Write implements io.Writer for the decompressor.
func (u *unpacker) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		buf, err := u.buffer()
		if err != nil {
			return n - len(b), err
		}
		k := copy(buf, b)
		b = b[k:]
		select {
		case u.full <- buf[:k]:
		case <-u.done:
			return n - len(b), io.ErrClosedPipe
		}
	}
	return n, nil
}

// buffer returns an empty buffer, when none is free only after waiting.
func (u *unpacker) buffer() ([]byte, error) {
	select {
	case buf := <-u.free:
		return buf, nil
	default:
	}
	if u.made < unpackBuffers {
		u.made++
		return make([]byte, unpackBuffer), nil
	}
	select {
	case buf := <-u.free:
		return buf, nil
	case <-u.done:
		return nil, io.ErrClosedPipe
	}
}

// Read implements io.Reader for the window.
func (u *unpacker) Read(b []byte) (int, error) {
	if len(u.rest) == 0 {
		if u.whole != nil {
			u.free <- u.whole[:cap(u.whole)]
			u.whole = nil
		}
		full, ok := <-u.full
		if !ok {
			return 0, u.err
		}
		u.whole, u.rest = full, full
	}
	n := copy(b, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

// unpackError is why compressed data could not be decompressed to their end.
type unpackError struct {
	*compression
	inside string
	at     int64 // byte of the compressed data
	err    error
}

// Error is for programs that unwrap an Error: words has the sentence.
func (e *unpackError) Error() string { return e.name + ": " + e.err.Error() }
func (e *unpackError) Unwrap() error { return e.err }

// words says what is wrong with the data and what would help.
func (e *unpackError) words(s *stream) (problem, remedy string) {
	at := "byte " + thousands(uint64(e.at)) + " of the file"
	if e.inside != "" {
		at = "byte " + thousands(uint64(e.at)) + " of what is in the " + e.inside + " data"
	}
	results := covered(s.stats.Frames)
	switch {
	case errors.Is(e.err, io.ErrUnexpectedEOF):
		return e.name + " data end too early, at " + at, "file was cut off, or is still being written; " + results
	case errors.Is(e.err, errDictionary):
		return fmt.Sprintf("%s data need a window of more than %d MiB, at %s", e.name, maxDictionary>>20, at),
			s.hint("decompress apart, where the memory is: " + e.hint + " | tcpflow-states analyze -")
	case errors.Is(e.err, errTrailing):
		return e.name + " data are followed by something else, at " + at, "remove what does not belong there; " + results
	}
	problem = fmt.Sprintf("%s data are damaged near %s (%s)", e.name, at, strings.TrimPrefix(e.err.Error(), e.name+": "))
	return problem, "copy the file again; " + results
}

// unexpected makes of a bare end of the input the error that it is within data.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// unpackGzip goes from member to member itself, to tell what may follow them:
// nothing, or the zeros that a tape or a block device is filled up with.
func unpackGzip(w io.Writer, r *bufio.Reader) error {
	z := new(gzip.Reader)
	for {
		if err := z.Reset(r); err != nil {
			return unexpected(err)
		}
		z.Multistream(false)
		if _, err := io.Copy(w, z); err != nil {
			return unexpected(err)
		}
		next, err := skipZeros(r)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case next != 0x1f:
			return errTrailing
		}
	}
}

// skipZeros returns the first byte that is none, and leaves it in r.
func skipZeros(r *bufio.Reader) (byte, error) {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		if b != 0 {
			return b, r.UnreadByte()
		}
	}
}

// unpackZstd decodes in one goroutine: this one runs beside the analysis
// already, and waits for no more than a block.
func unpackZstd(w io.Writer, r *bufio.Reader) error {
	// Hiding the type keeps the decoder from reading ahead.
	z, err := zstd.NewReader(struct{ io.Reader }{r}, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxDictionary))
	if err != nil {
		return unexpected(err)
	}
	defer z.Close()
	_, err = z.WriteTo(w)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return errDictionary
	}
	return err
}

func unpackLZ4(w io.Writer, r *bufio.Reader) error {
	_, err := lz4.NewReader(r).WriteTo(w) // Read would wait for its buffer to be full
	return err
}

func unpackBzip2(w io.Writer, r *bufio.Reader) error {
	_, err := io.Copy(w, bzip2.NewReader(r))
	return err
}

// unpackXZ reads what the chunks begun so far come to, or the first byte of the
// next one: the library waits until it can fill a piece whole.
func unpackXZ(w io.Writer, r *bufio.Reader) error {
	guard := &xzGuard{r: r}
	z, err := xz.NewReader(guard)
	if err != nil {
		return unexpected(err)
	}
	piece := make([]byte, inputBuffer)
	for done := uint64(0); ; {
		begun := max(guard.unpacked-done, 1)
		n, err := z.Read(piece[:min(begun, uint64(len(piece)))])
		done += uint64(n)
		if _, err := w.Write(piece[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
