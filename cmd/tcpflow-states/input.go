package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
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
	options   capture.Options
}

// newInputs takes the names of the command line. The first Ctrl-C ends the
// reading, and what was read is reported; the second ends the program.
func newInputs(args []string, r *readOptions, progress bool) (*inputs, func(), error) {
	names, err := expand(args)
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	in := &inputs{names: names, options: r.Options, interrupt: ctx, progress: progress && onTerminal(os.Stderr)}
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
func openOne(command, name string, r *readOptions, o *outputOptions) (*oneCapture, error) {
	in, stop, err := newInputs([]string{name}, r, !o.quiet)
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

// piped reports whether standard input is among the captures: then they may
// come while they are made.
func (in *inputs) piped() bool {
	for _, name := range in.names {
		if name == "-" {
			return true
		}
	}
	return false
}

// open opens a capture.
func (in *inputs) open(name string) (capture.Source, error) {
	if name == "-" {
		return capture.NewReader(newPipe(os.Stdin, in.interrupt), "standard input", in.options)
	}
	return capture.Open(name, in.options)
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
	f.Name, f.Format = report.Text(s.Name), s.Format
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
	f.SnapNeeded = uint64(s.SnapNeeded)
	return f
}

// pipe reads standard input so that Ctrl-C can end it: a read that waits for
// a silent producer cannot be called back, but it can be left alone.
type pipe struct {
	chunks    chan chunk
	rest      []byte
	err       error
	interrupt context.Context
	grace     time.Duration
}

type chunk struct {
	b   []byte
	err error
}

// grace is how long a producer that got the same Ctrl-C may take to write out
// what it still holds.
const grace = time.Second

func newPipe(r io.Reader, interrupt context.Context) *pipe {
	p := &pipe{chunks: make(chan chunk, 4), interrupt: interrupt, grace: grace}
	go func() {
		for {
			b := make([]byte, 64<<10)
			n, err := r.Read(b)
			p.chunks <- chunk{b[:n], err}
			if err != nil {
				return
			}
		}
	}()
	return p
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
