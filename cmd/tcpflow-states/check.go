package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/capture/filter"
	"github.com/tcpflow-states/tcpflow-states/internal/expect"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// checkOptions are the flags of check.
type checkOptions struct {
	outputOptions
	format  *report.CheckFormat
	update  bool
	strict  bool
	workers int

	ladder  report.Options // how flows that fail are drawn
	stopped atomic.Bool    // Ctrl-C came
}

func newCheck() *cobra.Command {
	o := &checkOptions{format: report.CheckFormats[0]}
	cmd := &cobra.Command{
		Use:   "check [FILE|DIR…]",
		Short: "Hold captures against what is expected of them, for CI",
		Long: `Holds each capture against the expectation file beside it: NAME.expect.yaml for
NAME.pcap, NAME.pcapng or one of them compressed. The file says why the capture is
kept and what must come out: how many flows open and close, which findings there
must and must not be, the states that both sides of a flow go through, how long it
takes. docs/expect.md has all keys, docs/expect.schema.json is for editors.

Directories are searched for such pairs, hidden ones left out; without an argument
the current one is. Captures without an expectation file are passed over, or fail
with --strict.

--update writes an expectation file of what is seen for each capture without one,
and brings those that fail up to what is seen: their reasons and comments, and all
that holds, stay. Look at the difference before you commit it.

The result is the same for any number of workers. Ctrl-C ends with the captures
that are finished. Exit code: 0 all is as expected; 1 something is not; 2 a capture
or an expectation file could not be read, not all were checked, or there was nothing
to check.`,
		Example: `  tcpflow-states check testdata/pcaps
  tcpflow-states check --update leak.pcap         write leak.expect.yaml, then edit it
  tcpflow-states check --strict -o junit --output check.xml captures
  tcpflow-states check -o github .                annotations in GitHub Actions`,
		RunE: func(_ *cobra.Command, args []string) error { return check(o, args) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.VarP(&value{kind: "FORMAT", text: o.format.Name, all: checkFormatNames, take: func(s string) error {
		f, ok := report.CheckFormatNamed(s)
		if !ok {
			return unknown("format", s, checkFormatNames())
		}
		o.format = f
		return nil
	}}, "format", "o", "format of the result: "+strings.Join(checkFormatNames(), ", "))
	fs.BoolVar(&o.update, "update", false, "write missing expectation files, and bring failing ones up to what is seen")
	fs.BoolVar(&o.strict, "strict", false, "fail on captures without an expectation file")
	fs.IntVar(&o.workers, "workers", 0, "check `N` captures at once; 0: as many as there are cores")
	o.outputOptions.flags(fs)
	completeFlags(cmd)
	return cmd
}

func checkFormatNames() (names []string) {
	for _, f := range report.CheckFormats {
		names = append(names, f.Name)
	}
	return names
}

func check(o *checkOptions, args []string) error {
	if o.workers < 0 {
		return fmt.Errorf("--workers %d: give 0 (as many as there are cores) or more", o.workers)
	}
	if len(args) == 0 {
		args = []string{"."}
	}
	pairs, err := findPairs(args)
	if err == nil {
		err = o.something(pairs, args)
	}
	if err != nil {
		return err
	}
	if o.update {
		refuseShared(pairs)
	}
	var inputs []string
	for _, p := range pairs {
		inputs = append(inputs, p.capture, p.expectation)
	}
	out, err := o.open(inputs)
	if err != nil {
		return err
	}
	o.ladder = report.Options{}
	if o.format == report.CheckFormats[0] {
		o.ladder = report.Options{Width: columns(out), Color: o.color(out)}
	}
	run := &report.CheckRun{Version: version(), Cases: o.all(pairs)}
	err = o.format.Write(out, run, report.Options{Width: columns(out), Color: o.color(out)})
	if out != os.Stdout {
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return o.verdict(run, out)
}

// something refuses to pass because there was nothing to check.
func (o *checkOptions) something(pairs []pair, args []string) error {
	where := strings.Join(args, ", ")
	expects := func(p pair) bool { return p.expectation != "" || p.err != nil }
	switch {
	case len(pairs) == 0:
		return fmt.Errorf("%s: no captures there: they are known by their names, NAME%s, also compressed", where, strings.Join(captureSuffixes, ", NAME"))
	case !o.update && !o.strict && !slices.ContainsFunc(pairs, expects):
		return fmt.Errorf("%s: nothing to check: there are captures (%s), but no NAME%s beside any: write them with tcpflow-states check --update %s",
			where, report.Thousands(len(pairs)), expectSuffix, shellLine(args))
	}
	return nil
}

// verdict says on standard error what no person reads on standard output, and
// returns what the exit code is made of.
func (o *checkOptions) verdict(run *report.CheckRun, out *os.File) error {
	for i := range run.Cases {
		if c := &run.Cases[i]; c.Outcome == report.CheckError {
			complain(errors.New(c.Error))
		}
	}
	if (!o.format.People || out != os.Stdout) && !o.quiet {
		fmt.Fprintln(os.Stderr, "tcpflow-states: "+run.Summary())
	}
	switch {
	case run.Count(report.CheckError) > 0:
		return errReported
	case run.Count(report.CheckFailed) > 0:
		return errDiffers
	}
	return nil
}

// all checks every pair, several at once, and returns what came of them in their
// order. The first Ctrl-C ends it: what is not finished by then is left out. The
// second ends the program.
func (o *checkOptions) all(pairs []pair) []report.CheckCase {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, func() {
		o.stopped.Store(true)
		stop()
	})()
	return o.each(pairs)
}

func (o *checkOptions) each(pairs []pair) []report.CheckCase {
	workers := o.workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	cases := make([]*report.CheckCase, len(pairs))
	next := make(chan int)
	var done sync.WaitGroup
	for range min(workers, len(pairs)) {
		done.Go(func() {
			for i := range next {
				cases[i] = o.one(pairs[i])
			}
		})
	}
	for i := range pairs {
		next <- i
	}
	close(next)
	done.Wait()
	return finished(cases, pairs)
}

// finished are the cases that there are; the first of those that Ctrl-C left out
// stands for all of them, as an error in every format.
func finished(cases []*report.CheckCase, pairs []pair) (list []report.CheckCase) {
	first, missing := -1, 0
	for i, c := range cases {
		switch {
		case c != nil:
			list = append(list, *c)
		case first < 0:
			first = len(list)
			list = append(list, report.CheckCase{Capture: filepath.ToSlash(pairs[i].capture),
				Expectation: filepath.ToSlash(pairs[i].expectation), Outcome: report.CheckError})
			fallthrough
		default:
			missing++
		}
	}
	if first >= 0 {
		c := &list[first]
		c.Error = c.Capture + ": " + errInterrupted.Error() + " before it was checked"
		if missing > 1 {
			c.Error += ", as were " + report.Thousands(missing-1) + " more"
		}
	}
	return list
}

// one checks a pair, and with --update makes it pass; nil when Ctrl-C came first.
func (o *checkOptions) one(p pair) *report.CheckCase {
	t := &trial{o: o, pair: p, c: report.CheckCase{Capture: filepath.ToSlash(p.capture), Expectation: filepath.ToSlash(p.expectation)}}
	err := p.err
	switch {
	case err != nil:
	case o.stopped.Load():
		return nil
	case p.expectation == "" && o.update:
		err = t.draft()
	case p.expectation == "":
		t.without()
	default:
		err = t.run()
	}
	switch {
	case errors.Is(err, errInterrupted):
		return nil
	case err != nil:
		t.c.Outcome, t.c.Error, t.c.Failures = report.CheckError, err.Error(), nil
	}
	return &t.c
}

// trial is the check of one pair.
type trial struct {
	o    *checkOptions
	pair pair
	file *expect.File
	c    report.CheckCase
}

// without is for a capture of which nothing is expected.
func (t *trial) without() {
	t.c.Outcome = report.CheckSkipped
	if t.o.strict {
		t.c.Outcome = report.CheckFailed
		t.c.Failures = []expect.Failure{{Flow: -1, Expected: "an expectation file", Got: "none",
			Note: "write one with: tcpflow-states check --update " + shellLine([]string{t.pair.capture})}}
	}
}

// run holds the capture against its file.
func (t *trial) run() error {
	limit := expect.DefaultLimit
	if t.o.update {
		limit = 1 << 30 // all count
	}
	judge, err := t.judge(limit)
	if err != nil {
		return err
	}
	if t.c.Outcome == report.CheckFailed && t.o.update {
		return t.refresh(judge)
	}
	return t.draw()
}

// maxExpectFile bounds what is read of an expectation file.
const maxExpectFile = 4 << 20

// judge reads both files.
func (t *trial) judge(limit int) (*expect.Judge, error) {
	f, err := os.Open(t.pair.expectation)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxExpectFile))
	if err == nil {
		t.file, err = expect.Parse(t.c.Expectation, text)
	}
	if err != nil {
		return nil, err
	}
	t.c.Reason = strings.Join(strings.Fields(string(t.file.Reason)), " ")
	j := expect.NewJudge(t.file, limit)
	if err := t.feed(t.file.Config(), j); err != nil {
		return nil, err
	}
	t.c.Flows = j.Flows()
	t.c.Failures, t.c.LeftOut = j.Failures()
	t.c.Outcome = report.CheckPassed
	if t.c.Failures != nil {
		t.c.Outcome = report.CheckFailed
	}
	return j, nil
}

// taker is an expect.Judge or an expect.Draft.
type taker interface {
	Flow(*analyzer.Flow)
	Across(*analyzer.Finding)
}

// feed hands on what the capture has: its flows, then the findings across them.
func (t *trial) feed(cfg analyzer.Config, to taker) error {
	rollup := analyzer.NewRollup(nil)
	cfg.OnFlow = func(f *analyzer.Flow) {
		rollup.Add(f)
		to.Flow(f)
	}
	if err := t.read(cfg); err != nil {
		return err
	}
	for _, n := range rollup.Findings() {
		to.Across(&n)
	}
	return nil
}

// read takes the capture through a Tracker.
func (t *trial) read(cfg analyzer.Config) error {
	o, err := t.options()
	if err != nil {
		return err
	}
	src, err := openCheck(t.pair, o)
	if err != nil {
		return err
	}
	defer src.Close()
	tracker := analyzer.New(cfg)
	var p capture.Packet
	for {
		switch err := src.Next(&p); {
		case t.o.stopped.Load():
			return errInterrupted
		case err == io.EOF:
			tracker.Close()
			return nil
		case err != nil:
			return err // what was read may be as expected by chance
		case p.Kind == capture.KindSegment:
			tracker.Observe(&p.Segment)
		default:
			tracker.ObserveUnreachable(&p.Unreachable)
		}
	}
}

// options say how the capture is read.
func (t *trial) options() (o capture.Options, err error) {
	if t.file == nil {
		return o, nil
	}
	e := &t.file.Options
	o.IgnoreVLAN, o.IgnoreTunnel, o.VerifyChecksums = bool(e.IgnoreVLAN), bool(e.IgnoreTunnel), bool(e.VerifyChecksums)
	if e.Filter != "" {
		if o.Filter, err = filter.Parse(string(e.Filter), filter.Options{}); err != nil {
			err = fmt.Errorf("%s:%d: options.filter: %w", t.c.Expectation, t.file.Line("options.filter"), err)
		}
	}
	return o, err
}

// refresh brings the file up to what was seen.
func (t *trial) refresh(j *expect.Judge) error {
	text, keys, err := j.Update(t.c.Failures)
	if err == nil {
		err = t.write(text, "updated "+strings.Join(keys, ", "))
	}
	return err
}

// draft writes a file where there is none.
func (t *trial) draft() error {
	d := expect.NewDraft()
	if err := t.feed(new(expect.File).Config(), d); err != nil {
		return err
	}
	name, _ := stem(t.pair.capture)
	t.pair.expectation = name + expectSuffix
	t.c.Expectation = filepath.ToSlash(t.pair.expectation)
	return t.write(d.Text(filepath.Base(t.pair.capture)), "written "+t.c.Expectation)
}

// write writes the file and looks whether it holds.
func (t *trial) write(text []byte, what string) error {
	if err := os.WriteFile(t.pair.expectation, text, 0o666); err != nil {
		return err
	}
	if _, err := t.judge(expect.DefaultLimit); err != nil {
		return err
	}
	t.c.Update = what
	return nil
}

// drawn is how many flows are drawn for one capture, and how many lines of each.
const (
	drawn      = 2
	drawnLines = 60
)

// draw draws the first flows that fail.
func (t *trial) draw() error {
	var list []*drawing
	var texts []*bytes.Buffer
	for _, f := range t.c.Failures {
		if f.Flow >= 0 && !isDrawn(list, f.Flow) && len(list) < drawn && !t.sameKey(list, f.Key) {
			b := new(bytes.Buffer)
			texts = append(texts, b)
			list = append(list, &drawing{number: f.Flow, out: b, o: t.o.ladder})
		}
	}
	if list == nil {
		return nil
	}
	cfg := t.file.Config()
	cfg.OnStep = func(s *analyzer.Step) {
		for _, d := range list {
			d.step(s)
		}
	}
	cfg.OnFlow = func(f *analyzer.Flow) {
		for _, d := range list {
			d.flow(f)
		}
	}
	err := t.read(cfg)
	for i, d := range list {
		t.c.Ladders = append(t.c.Ladders, report.CheckLadder{Flow: d.number, Text: shortened(texts[i].String())})
	}
	for _, f := range t.c.Failures {
		if f.Flow >= 0 && !isDrawn(list, f.Flow) {
			t.c.Show = fmt.Sprintf("tcpflow-states show %s --flow %d", shellLine(append([]string{t.pair.capture}, t.flags()...)), f.Flow)
			break
		}
	}
	return err
}

func isDrawn(list []*drawing, flow int) bool {
	return slices.ContainsFunc(list, func(d *drawing) bool { return d.number == flow })
}

// sameKey reports whether a flow that is drawn fails in the same way.
func (t *trial) sameKey(list []*drawing, key string) bool {
	return slices.ContainsFunc(t.c.Failures, func(f expect.Failure) bool {
		return f.Key == key && isDrawn(list, f.Flow)
	})
}

// shortened leaves out the middle of a long drawing.
func shortened(text string) string {
	lines := strings.SplitAfter(text, "\n")
	if left := len(lines) - drawnLines; left > 0 {
		const half = drawnLines / 2
		lines = slices.Concat(lines[:half], []string{fmt.Sprintf("… %d lines are left out\n", left)}, lines[len(lines)-half:])
	}
	return strings.Join(lines, "")
}

// flags are those of show that do what the file's options do.
func (t *trial) flags() (list []string) {
	o := &t.file.Options
	if o.Filter != "" {
		list = append(list, "-f", string(o.Filter))
	}
	if o.OS != "" {
		list = append(list, "--os", string(o.OS))
	}
	if d := o.StuckAfter.Default; d != nil {
		list = append(list, "--stuck-after", d.String())
	}
	for s := range analyzer.State(analyzer.NumStates) {
		if d, ok := o.StuckAfter.PerState[s]; ok {
			list = append(list, "--stuck-after", s.String()+"="+d.String())
		}
	}
	for _, f := range []struct {
		on   expect.Flag
		name string
	}{{o.IgnoreVLAN, "--ignore-vlan"}, {o.IgnoreTunnel, "--ignore-tunnel"}, {o.VerifyChecksums, "--verify-checksums"}} {
		if f.on {
			list = append(list, f.name)
		}
	}
	return list
}

// shellLine writes arguments for a shell.
func shellLine(args []string) string {
	var list []string
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n\\'\"`$&|;<>()*?[]#~!{}") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		list = append(list, a)
	}
	return strings.Join(list, " ")
}
