package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// errInterrupted ends the reading of a file that Ctrl-C cut short.
var errInterrupted = errors.New("interrupted")

// inputs are the captures that a command reads, with what stops it early.
type inputs struct {
	names     []string
	interrupt context.Context
	stopped   atomic.Bool // the same as a flag, for the packet loop
	progress  bool
}

// newInputs takes the names of the command line. The first Ctrl-C ends the
// reading, and what was read is reported; the second ends the program.
func newInputs(args []string, progress bool) (*inputs, func(), error) {
	names, err := expand(args)
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	in := &inputs{names: names, interrupt: ctx, progress: progress && onTerminal(os.Stderr)}
	context.AfterFunc(ctx, func() {
		in.stopped.Store(true)
		stop()
	})
	return in, stop, nil
}

// expand makes a list of files of the arguments: patterns that the shell left
// alone are expanded, no argument is standard input where something is piped.
func expand(args []string) ([]string, error) {
	if len(args) == 0 {
		args = []string{"-"}
	}
	var names []string
	stdin := 0
	for _, arg := range args {
		if arg == "-" {
			stdin++
		}
		_, there := os.Lstat(arg)
		matches, noPattern := filepath.Glob(arg)
		if arg == "-" || there == nil || noPattern != nil || !strings.ContainsAny(arg, "*?[") {
			names = append(names, arg)
			continue
		}
		if len(matches) == 0 {
			return nil, fmt.Errorf("%s: no file matches: check the pattern and the directory", arg)
		}
		names = append(names, matches...)
	}
	switch {
	case stdin > 1:
		return nil, errors.New("standard input (-) can be read only once: name it once")
	case stdin == 1 && onTerminal(os.Stdin):
		return nil, errors.New("no capture to read: name a file, or pipe one in: tcpdump -w - tcp | tcpflow-states analyze -")
	}
	return names, nil
}

// oneCapture is the single capture that a command reads, and where its result
// goes.
type oneCapture struct {
	in   *inputs
	src  capture.Source
	out  *os.File
	stop func()
}

// openOne opens them for a command of that name.
func openOne(command, name string, o *outputOptions) (*oneCapture, error) {
	in, stop, err := newInputs([]string{name}, !o.quiet)
	if err != nil {
		return nil, err
	}
	one := &oneCapture{in: in, stop: stop, out: os.Stdout}
	if len(in.names) != 1 {
		stop()
		return nil, fmt.Errorf("%s matches %d files: %s takes one", name, len(in.names), command)
	}
	if one.src, err = in.open(in.names[0]); err != nil {
		stop()
		return nil, err
	}
	if one.out, err = o.open(in.names); err != nil {
		one.src.Close()
		stop()
		return nil, err
	}
	return one, nil
}

// close ends both; the error is of the result's file.
func (c *oneCapture) close() error {
	defer c.stop()
	c.src.Close()
	if c.out == os.Stdout {
		return nil
	}
	return c.out.Close()
}

// piped reports whether standard input or a named pipe is among the captures:
// then they may come while they are made.
func (in *inputs) piped() bool {
	return slices.ContainsFunc(in.names, isPipe)
}

// isPipe reports whether a capture may have to be waited for: standard input,
// named pipes, what the shell makes of <(…), terminals and other devices.
func isPipe(name string) bool {
	if name == "-" {
		return true
	}
	info, err := os.Stat(name)
	return err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice|fs.ModeSocket) != 0
}

// open opens a capture.
func (in *inputs) open(name string) (capture.Source, error) {
	if !isPipe(name) {
		return capture.Open(name, capture.Options{})
	}
	shown, p := "standard input", newPipe(os.Stdin, in.interrupt)
	if name != "-" {
		shown, p = name, newNamedPipe(name, in.interrupt)
	}
	src, err := capture.NewReader(p, shown, capture.Options{})
	if err != nil {
		p.Close()
		return nil, err
	}
	return &pipedSource{src, p}, nil
}

// pipedSource closes the pipe with the Source that reads it.
type pipedSource struct {
	capture.Source
	pipe *pipe
}

func (s *pipedSource) Close() error {
	return errors.Join(s.Source.Close(), s.pipe.Close())
}

// read reads a capture to its end, or as far as that goes, into a Tracker. It
// does not close the Tracker: the caller may know more about the end.
func (in *inputs) read(src capture.Source, t *analyzer.Tracker, enough func() bool) error {
	if in.progress {
		defer startProgress(src.Stats().Name, src.Position, src.Size)()
	}
	var p capture.Packet
	for !in.stopped.Load() && !enough() {
		if err := src.Next(&p); err != nil {
			return in.end(src, err)
		}
		if p.Kind == capture.KindSegment {
			t.Observe(&p.Segment)
		} else {
			t.ObserveUnreachable(&p.Unreachable)
		}
	}
	if enough() {
		return nil
	}
	return in.end(src, errInterrupted)
}

// end judges why the reading ended. Ctrl-C is how a pipe ends, even within a
// packet; a file that it cuts short is not wholly read.
func (in *inputs) end(src capture.Source, err error) error {
	piped := src.Size() == 0
	switch {
	case err == io.EOF, piped && in.stopped.Load():
		return nil
	case err == errInterrupted:
		return fmt.Errorf("%s: %w after frame %d: results cover what was read so far", src.Stats().Name, err, src.Stats().Frames)
	}
	return err
}

// linkOf is where a flow was first seen.
func linkOf(src capture.Source, f *analyzer.Flow) analyzer.Link {
	if links := src.Links(); int(f.Link) < len(links) {
		return links[f.Link]
	}
	return analyzer.Link{}
}

// describe fills what the summary says of a capture; src is nil when it could
// not be opened.
func describe(name string, src capture.Source, totals analyzer.Totals, err error) report.File {
	f := report.File{Name: report.Text(name), Skipped: report.Counts{}}
	if err != nil {
		f.Error = report.Text(err.Error())
	}
	if src == nil {
		return f
	}
	s := src.Stats()
	f.Name, f.Format, f.Compression = report.Text(s.Name), s.Format, s.Compression
	f.Frames, f.Segments, f.ICMPErrors = s.Frames, s.Segments, s.Unreachable
	for reason, n := range s.Skipped {
		if n > 0 {
			f.Skipped[capture.Reason(reason).String()] = n
		}
	}
	if s.FirstTime != 0 || s.LastTime != 0 {
		first, last := report.Time(s.FirstTime), report.Time(s.LastTime)
		f.First, f.Last = &first, &last
	}
	f.Duplicates, f.Strays, f.Evicted = totals.CaptureDuplicates, totals.Strays, totals.Evicted
	f.Truncated, f.TimeBackwards, f.Dropped = s.Truncated, s.TimeBackwards, s.Dropped
	return f
}

// pipe reads standard input or a named pipe so that Ctrl-C can end it: a read
// that waits for a silent producer cannot be called back, but it can be left
// alone. So can the opening of a named pipe that nobody writes to.
type pipe struct {
	chunks    chan chunk
	rest      []byte
	err       error
	interrupt context.Context
	grace     time.Duration
	closed    context.Context
	close     context.CancelFunc
}

type chunk struct {
	b   []byte
	err error
}

// grace is how long a producer that got the same Ctrl-C may take to write out
// what it still holds.
const grace = time.Second

func newPipe(r io.Reader, interrupt context.Context) *pipe {
	p := idlePipe(interrupt)
	go p.fill(r)
	return p
}

// newNamedPipe opens the pipe beside the reading: open(2) waits for a producer.
func newNamedPipe(name string, interrupt context.Context) *pipe {
	p := idlePipe(interrupt)
	go func() {
		f, err := os.Open(name)
		if err != nil {
			p.send(chunk{err: err})
			return
		}
		context.AfterFunc(p.closed, func() { f.Close() })
		p.fill(f)
	}()
	return p
}

func idlePipe(interrupt context.Context) *pipe {
	p := &pipe{chunks: make(chan chunk, 4), interrupt: interrupt, grace: grace}
	p.closed, p.close = context.WithCancel(context.Background())
	return p
}

// fill hands on what r gives as soon as it gives it.
func (p *pipe) fill(r io.Reader) {
	for {
		b := make([]byte, 64<<10)
		n, err := r.Read(b)
		if !p.send(chunk{b[:n], err}) || err != nil {
			return
		}
	}
}

// send reports whether somebody may still read.
func (p *pipe) send(c chunk) bool {
	select {
	case p.chunks <- c:
		return true
	case <-p.closed.Done():
		return false
	}
}

// Close ends the reading of a named pipe, so that its producer sees it.
func (p *pipe) Close() error {
	p.close()
	return nil
}

// Read implements io.Reader.
func (p *pipe) Read(b []byte) (int, error) {
	for len(p.rest) == 0 && p.err == nil {
		p.next()
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	if n > 0 {
		return n, nil
	}
	return 0, p.err
}

// next waits for the next chunk, after Ctrl-C not for long.
func (p *pipe) next() {
	select {
	case c := <-p.chunks:
		p.rest, p.err = c.b, c.err
		return
	case <-p.interrupt.Done():
	}
	select {
	case c := <-p.chunks:
		p.rest, p.err = c.b, c.err
	case <-time.After(p.grace):
		p.err = io.EOF
	}
}
