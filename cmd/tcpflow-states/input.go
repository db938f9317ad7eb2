package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	pipes     map[string]*pipe // those of names that are no files
	options   capture.Options
	shares    *shares // of several captures that are read as one; may be nil
	interrupt context.Context
	stopped   atomic.Bool // the same as a flag, for the packet loop
	progress  bool
}

// newInputs takes the names of the command line. The first Ctrl-C ends the
// reading, and what was read is reported; the second ends the program.
func newInputs(args []string, o *readOptions, progress bool) (*inputs, func(), error) {
	if err := o.compile(); err != nil {
		return nil, nil, err
	}
	names, err := expand(args)
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	in := &inputs{names: names, pipes: map[string]*pipe{}, options: o.capture, interrupt: ctx, progress: progress && onTerminal(os.Stderr)}
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
	case len(names) > analyzer.MaxCaptures:
		return nil, fmt.Errorf("%s captures: at most %s can be told apart, so join some first: mergecap -w joined.pcapng",
			report.Thousands(len(names)), report.Thousands(analyzer.MaxCaptures))
	case stdin > 1:
		return nil, errors.New("standard input (-) can be read only once: name it once")
	case stdin == 1 && onTerminal(os.Stdin):
		return nil, errors.New("no capture to read: name a file, or pipe one in: tcpdump -w - tcp | tcpflow-states analyze -")
	}
	return names, nil
}

// together is the captures that a command reads as one, and where its result
// goes.
type together struct {
	in   *inputs
	src  capture.Source
	out  *os.File
	stop func()
}

// openTogether opens them.
func openTogether(args []string, r *readOptions, o *outputOptions) (*together, error) {
	in, stop, err := newInputs(args, r, !o.quiet)
	if err != nil {
		return nil, err
	}
	if o.verbose && !o.quiet {
		r.remark()
	}
	c := &together{in: in, stop: stop, out: os.Stdout}
	if c.src, err = in.openAll(); err != nil {
		stop()
		return nil, err
	}
	if c.out, err = o.open(in.names); err != nil {
		c.src.Close()
		stop()
		return nil, err
	}
	return c, nil
}

// close ends both; the error is of the result's file.
func (c *together) close() error {
	defer c.stop()
	c.src.Close()
	if c.out == os.Stdout {
		return nil
	}
	return c.out.Close()
}

// growing reports whether a capture may have to be waited for, while it is made:
// standard input, named pipes, what the shell makes of <(…), terminals and other
// devices.
func growing(name string) bool {
	if name == "-" {
		return true
	}
	info, err := os.Stat(name)
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket|os.ModeCharDevice) != 0
}

// piped reports whether a capture may come while it is made.
func (in *inputs) piped() bool { return slices.ContainsFunc(in.names, growing) }

// title is what reports call a capture.
func title(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

// titles are those of all captures.
func (in *inputs) titles() []string {
	var list []string
	for _, name := range in.names {
		list = append(list, title(name))
	}
	return list
}

// open opens a capture.
func (in *inputs) open(name string, o capture.Options) (capture.Source, error) {
	if !growing(name) {
		return capture.Open(name, o)
	}
	p := in.pipe(name)
	src, err := capture.NewReader(p, title(name), o)
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

// pipe begins to read a capture that is no file, or returns what has begun to.
func (in *inputs) pipe(name string) *pipe {
	p := in.pipes[name]
	if p == nil {
		if name == "-" {
			p = newPipe(os.Stdin, in.interrupt)
		} else {
			p = newNamedPipe(name, in.interrupt)
		}
		in.pipes[name] = p
	}
	return p
}

// openAll opens the captures as one; its error is that of a single one, or of
// all.
func (in *inputs) openAll() (capture.Source, error) {
	if len(in.names) == 1 {
		return in.open(in.names[0], in.options)
	}
	m := in.merge()
	for _, p := range m.Parts() {
		if p.Stats.Format != "" {
			return m, nil
		}
	}
	return nil, in.end(m, nil)
}

// merge opens several captures as one. What is wrong with any is known from
// faults.
func (in *inputs) merge() *capture.Merge {
	var parts []capture.Input
	for _, name := range in.names {
		if growing(name) {
			in.pipe(name) // all at once: one producer may feed several
		}
		parts = append(parts, capture.Input{Name: title(name), Once: growing(name),
			Open: func(o capture.Options) (capture.Source, error) {
				if in.stopped.Load() && !growing(name) {
					return nil, interrupted(title(name), 0)
				}
				return in.open(name, o)
			}})
	}
	return capture.NewMerge(parts, in.options)
}

// read reads a capture, or several as one, to its end, or as far as that goes,
// into a Tracker. It does not close the Tracker: the caller may know more about
// the end.
func (in *inputs) read(src capture.Source, t follower, enough func() bool) error {
	if in.progress {
		defer startProgress(src.Stats().Name, src.Position, src.Size)()
	}
	var p capture.Packet
	for !in.stopped.Load() && !enough() {
		if err := src.Next(&p); err != nil {
			return in.end(src, err)
		}
		if in.shares != nil {
			in.shares.take(&p)
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
	if m, several := src.(*capture.Merge); several {
		return errors.Join(brief(in.faults(m))...)
	}
	piped := src.Size() == 0
	switch {
	case err == io.EOF, piped && in.stopped.Load():
		return nil
	case err == errInterrupted:
		return interrupted(src.Stats().Name, src.Stats().Frames)
	}
	return err
}

func interrupted(name string, frames uint64) error {
	if frames == 0 {
		return fmt.Errorf("%s: %w before it was read", name, errInterrupted)
	}
	return fmt.Errorf("%s: %w after frame %d: results cover what was read so far", name, errInterrupted, frames)
}

// faults says of each of several captures that were read as one what is wrong
// with it, nil where nothing is.
func (in *inputs) faults(m *capture.Merge) []error {
	parts := m.Parts()
	faults := make([]error, len(parts))
	for i, p := range parts {
		// Once a capture has a format, its source was opened.
		ended := in.stopped.Load() && growing(in.names[i]) && p.Stats.Format != ""
		switch {
		case p.Err != nil && !(ended && errors.Is(p.Err, io.ErrUnexpectedEOF)):
			faults[i] = p.Err
		case !p.Done && !ended:
			faults[i] = interrupted(p.Name, p.Stats.Frames)
		}
	}
	return faults
}

// brief leaves out what is not there, and makes one of the captures that were
// interrupted: Ctrl-C may leave thousands unread.
func brief(faults []error) (list []error) {
	var unread []error
	for _, err := range faults {
		switch {
		case err == nil:
		case errors.Is(err, errInterrupted):
			unread = append(unread, err)
		default:
			list = append(list, err)
		}
	}
	if len(unread) > 1 {
		unread = []error{fmt.Errorf("%w: %s of %s captures were not read to their end: results cover what was read so far",
			errInterrupted, report.Thousands(len(unread)), report.Thousands(len(faults)))}
	}
	return append(list, unread...)
}

// shares says from which of several captures comes what a Tracker has counted.
type shares struct {
	t      *analyzer.Tracker
	at     int // number of the capture at hand
	before analyzer.Totals
	of     []analyzer.Totals // by the captures' numbers; 0 is none
}

func newShares(t *analyzer.Tracker, captures int) *shares {
	return &shares{t: t, of: make([]analyzer.Totals, captures+1)}
}

// take is told of each packet before the Tracker is.
func (s *shares) take(p *capture.Packet) {
	frame := p.Segment.Frame
	if p.Kind == capture.KindUnreachable {
		frame = p.Unreachable.Frame
	}
	if of, _ := analyzer.SplitFrame(frame); of != s.at {
		s.settle()
		s.at = of
	}
}

// settle counts what has come since the capture at hand was taken up.
func (s *shares) settle() {
	now, of := s.t.Totals(), &s.of[s.at]
	of.CaptureDuplicates += now.CaptureDuplicates - s.before.CaptureDuplicates
	of.Strays += now.Strays - s.before.Strays
	of.Evicted += now.Evicted - s.before.Evicted
	s.before = now
}

// linkOf is where a flow was first seen.
func linkOf(src capture.Source, f *analyzer.Flow) analyzer.Link {
	if links := src.Links(); int(f.Link) < len(links) {
		return links[f.Link]
	}
	return analyzer.Link{}
}

// describe fills what the summary says of a capture; without a format it could
// not be opened.
func describe(name string, s *capture.Stats, totals *analyzer.Totals, err error) report.File {
	f := report.File{Name: report.Text(name), Skipped: report.Counts{}}
	if err != nil {
		f.Error = report.Text(err.Error())
	}
	if s == nil || s.Format == "" {
		return f
	}
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
	f.SnapNeeded = uint64(s.SnapNeeded)
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
