package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// analyzeOptions are the flags of analyze.
type analyzeOptions struct {
	readOptions
	trackOptions
	filterOptions
	failOptions
	outputOptions
	format   *report.Format
	all      bool
	limit    int
	separate bool
}

func newAnalyze() *cobra.Command {
	o := &analyzeOptions{}
	cmd := &cobra.Command{
		Use:   "analyze [FILE…]",
		Short: "Say what state every connection is in, and what is stuck",
		Long: `Reads captures and reports the state of both sides of every flow, and what is
wrong: who owes the next packet, and since when. A capture is pcap, pcapng or
snoop, also compressed (gzip, zstd, xz, lz4, bzip2) and several joined by cat. -
is standard input; it and named pipes are read as they are written.

Several captures, given in any order, are one: merged by time, so that flows go on
from one file of a rotated ring (tcpdump -C, -G) to the next, and frames are named
with their capture. A packet that two captures have, recorded within 2 ms, counts
once. With --separate each capture is read for itself, and the flow numbers go on:
for several taps of the same connections, whose clocks differ, or captures that have
nothing to do with each other.

--filter takes the language of tcpdump and decides frame by frame, before anything
else: what it leaves out, no flow has. As with tcpdump, "port 80" misses frames with
a VLAN tag ("port 80 or (vlan and port 80)" has both) and later IP fragments.

The tables list the flows that have a finding; --all, or a filter on flows
(--flow, --host, --port, --state), lists every flow that is chosen. json and
ndjson always do. Filters also decide what is counted and what --fail-on sees;
listeners and findings across flows rest on all flows that the filters on flows
leave, of all captures.

Exit code: 0 done; 1 done, with findings that --fail-on names; 2 not done or not
wholly (then what could be read is reported all the same).`,
		Example: `  tcpflow-states analyze edge.pcap
  tcpflow-states analyze edge.pcap --state CLOSE_WAIT@server --all
  tcpflow-states analyze edge.pcap -f 'net 10.0.0.0/8 and tcp port 443'
  tcpflow-states analyze ring.pcap*
  tcpflow-states analyze --separate client.pcap server.pcap
  tcpflow-states analyze edge.pcap -o ndjson | jq 'select(.type=="flow").findings[]'
  tcpflow-states analyze edge.pcap --stuck-after 5s --stuck-after SYN_SENT=1s
  tcpflow-states analyze test.pcap --fail-on error,connection-refused
  tcpflow-states analyze edge.pcap.zst
  ssh gw tcpdump -i eth0 -U -w - tcp | tcpflow-states analyze -o ndjson -`,
		RunE: func(_ *cobra.Command, args []string) error { return analyze(o, args) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	formatFlag(fs, &o.format)
	fs.BoolVar(&o.all, "all", false, "list every flow, not only those with findings")
	fs.IntVar(&o.limit, "limit", 50, "list `N` flows at most; 0: all")
	fs.BoolVar(&o.separate, "separate", false, "read several captures each for itself, not as one")
	o.filterOptions.flags(fs)
	o.failOptions.flags(fs)
	o.readOptions.flags(fs)
	o.trackOptions.flags(fs)
	o.outputOptions.flags(fs)
	completeFlags(cmd)
	return cmd
}

// analysis is one run of analyze.
type analysis struct {
	o        *analyzeOptions
	in       *inputs
	renderer report.Renderer
	tally    *report.Tally
	rollup   *analyzer.Rollup
	shown    analyzer.Flow // the flow at hand, with the findings that are chosen
	failed   map[string]int
	numbers  int   // flows of the captures before
	err      error // of the renderer: nothing more can be written

	// Of the capture at hand.
	src  capture.Source
	file string
}

func analyze(o *analyzeOptions, args []string) error {
	if o.limit < 0 {
		return fmt.Errorf("--limit %d: give 0 (all) or more", o.limit)
	}
	if err := o.trackOptions.check(); err != nil {
		return err
	}
	in, stop, err := newInputs(args, &o.readOptions, !o.quiet)
	if err != nil {
		return err
	}
	defer stop()
	out, err := o.open(in.names)
	if err != nil {
		return err
	}
	if o.verbose && !o.quiet {
		o.readOptions.remark()
	}
	a := &analysis{o: o, in: in, tally: report.NewTally(), rollup: analyzer.NewRollup(nil), failed: map[string]int{}}
	if o.format.Name == "ndjson" && out == os.Stdout && onTerminal(out) {
		in.progress = false // flows and the bar would mix
	}
	a.renderer = o.format.New(out, a.meta(), report.Options{
		Width: columns(out), Color: o.color(out),
		All: o.all || o.onFlows(), Limit: o.limit, Flush: in.piped(), Origin: a.origin, Captures: a.captures(),
	})
	files := a.files()
	a.across()
	summary := a.tally.Summary()
	summary.AddRollup(a.rollup)
	for _, f := range files {
		summary.AddFile(f)
	}
	if a.err == nil {
		a.err = a.renderer.Close(summary)
	}
	if out != os.Stdout {
		a.err = errors.Join(a.err, out.Close())
	}
	return a.verdict(summary)
}

// together reports whether several captures are read as one.
func (a *analysis) together() bool { return len(a.in.names) > 1 && !a.o.separate }

// captures are the names of those that are read as one.
func (a *analysis) captures() []string {
	if !a.together() {
		return nil
	}
	return a.in.titles()
}

// files reads the captures: as one, or one after the other.
func (a *analysis) files() []report.File {
	if a.together() {
		return a.readTogether()
	}
	var files []report.File
	for _, name := range a.in.names {
		file, err := a.read(name)
		if err != nil {
			complain(err)
		}
		files = append(files, file)
		if a.err != nil || a.in.stopped.Load() {
			break
		}
	}
	return files
}

// read takes one capture through a Tracker of its own.
func (a *analysis) read(name string) (report.File, error) {
	start := time.Now()
	src, err := a.in.open(name, a.in.options)
	if err != nil {
		return describe(name, nil, nil, err), err
	}
	defer src.Close()
	a.file = ""
	if len(a.in.names) > 1 {
		a.file = src.Stats().Name
	}
	t := a.follower(src)
	err = a.in.read(src, t, func() bool { return a.err != nil })
	t.Close()
	totals := t.Totals()
	a.numbers += totals.Flows
	a.lose(src.Stats())
	if a.o.verbose && !a.o.quiet {
		a.remark(src.Stats(), time.Since(start))
	}
	return describe(name, src.Stats(), &totals, err), err
}

// follower is a Tracker, or several.
type follower interface {
	Observe(*analyzer.Segment)
	ObserveUnreachable(*analyzer.Unreachable)
	Close()
	Totals() analyzer.Totals
}

// follower returns what follows the flows of a source: all cores, where there
// is much to do, and nobody waits for a flow as soon as it ends.
func (a *analysis) follower(src capture.Source) follower {
	if src.Size() < much {
		return a.tracker(src)
	}
	s := analyzer.NewShards(a.config(src), 0)
	if e, ok := a.renderer.(report.Encoder); ok {
		s.Render(a.encoding(e))
	}
	return s
}

// much is from where on the work is for all cores, octets of a capture.
const much = 1 << 20

// encoding returns what encodes a flow, on any goroutine, and what takes it then.
func (a *analysis) encoding(e report.Encoder) (func([]byte, *analyzer.Flow) []byte, func(*analyzer.Flow, []byte)) {
	shown := sync.Pool{New: func() any { return new(analyzer.Flow) }}
	encode := func(b []byte, f *analyzer.Flow) []byte {
		if !a.o.wants(f) {
			return b
		}
		room := shown.Get().(*analyzer.Flow)
		if f = a.o.withFindings(f, room); f != nil {
			b = e.Append(b, f)
		}
		shown.Put(room)
		return b
	}
	return encode, func(f *analyzer.Flow, text []byte) {
		if f = a.count(f); f != nil {
			a.err = e.Put(f.Number, text)
		}
	}
}

// tracker returns a Tracker for the flows of a source.
func (a *analysis) tracker(src capture.Source) *analyzer.Tracker {
	return analyzer.New(a.config(src))
}

func (a *analysis) config(src capture.Source) analyzer.Config {
	a.src = src
	cfg := a.o.config()
	cfg.FirstNumber = a.numbers
	cfg.OnFlow, cfg.Peers = a.flow, a.o.format.Peers
	return cfg
}

// readTogether takes all captures through one Tracker.
func (a *analysis) readTogether() []report.File {
	start := time.Now()
	m := a.in.merge()
	defer m.Close()
	told := tellEarly(m)
	t := a.tracker(m)
	a.in.shares = newShares(t, len(a.in.names))
	a.in.read(m, t, func() bool { return a.err != nil }) // faults has its error
	a.in.shares.settle()
	t.Close()
	if a.o.verbose && !a.o.quiet {
		a.remark(m.Stats(), time.Since(start))
	}
	faults := a.in.faults(m)
	var files []report.File
	for i, p := range m.Parts() {
		files = append(files, describe(p.Name, &p.Stats, &a.in.shares.of[i+1], faults[i]))
		a.lose(&p.Stats)
		if told[i] {
			faults[i] = nil
		}
	}
	for _, err := range brief(faults) {
		complain(err)
	}
	return files
}

// tellEarly says what is wrong with captures that cannot be read at all, before
// the others are.
func tellEarly(m *capture.Merge) (told []bool) {
	for _, p := range m.Parts() {
		tell := p.Err != nil && !errors.Is(p.Err, errInterrupted)
		if tell {
			complain(p.Err)
		}
		told = append(told, tell)
	}
	return told
}

// remark says what reading a capture took.
func (a *analysis) remark(s *capture.Stats, spent time.Duration) {
	fmt.Fprintf(os.Stderr, "tcpflow-states: %s: %s frames, %s segments in %.2f s (%s frames/s)\n", report.Clean(s.Name),
		report.Thousands(s.Frames), report.Thousands(s.Segments), spent.Seconds(),
		report.Thousands(uint64(float64(s.Frames)/max(spent.Seconds(), 1e-6))))
}

// flow takes a flow that has ended.
func (a *analysis) flow(f *analyzer.Flow) {
	if f = a.count(f); f != nil {
		a.err = a.renderer.Flow(f)
	}
}

// count adds a flow to the totals, and returns it as it is to be shown; nil when
// it is not.
func (a *analysis) count(f *analyzer.Flow) *analyzer.Flow {
	if a.err != nil {
		return nil
	}
	if f = a.choose(f); f == nil {
		return nil
	}
	a.tally.Add(f)
	for i := range f.Findings {
		a.judge(&f.Findings[i])
	}
	return f
}

// judge takes a finding that is shown: does --fail-on name it?
func (a *analysis) judge(n *analyzer.Finding) {
	if a.o.matches(n) {
		a.failed[n.Detector.Name]++
	}
}

// lose takes what a capture says that it lost. It counts from the beginning, and
// says nothing of when: so the flows cannot be told what is doubtful.
func (a *analysis) lose(s *capture.Stats) {
	if s.Dropped > 0 && s.LastTime != 0 {
		a.rollup.Lose(s.Name, analyzer.Loss{From: s.FirstTime, To: s.LastTime, Frames: s.Frames + s.Dropped, Dropped: s.Dropped})
	}
}

// across takes the findings across flows and about captures, once all flows have ended.
func (a *analysis) across() {
	all := a.rollup.Findings()
	for i := range all {
		if n := &all[i]; a.o.wantsFinding(n) {
			a.tally.AddAcross(n)
			a.judge(n)
		}
	}
}

// choose returns the flow as the filters leave it, nil when they do not. What
// flows add up to does not depend on the filters on findings.
func (a *analysis) choose(f *analyzer.Flow) *analyzer.Flow {
	if a.o.wants(f) {
		a.rollup.Add(f)
		if chosen := a.o.withFindings(f, &a.shown); chosen != nil {
			return chosen
		}
	}
	a.tally.Pass()
	if s, ok := a.renderer.(report.Skipper); ok {
		a.err = s.Skip(f.Number)
	}
	return nil
}

func (a *analysis) origin(f *analyzer.Flow) report.Origin {
	return report.Origin{File: a.file, Link: linkOf(a.src, f)}
}

// meta says what is about to be done.
func (a *analysis) meta() *report.Meta {
	o := a.o
	m := &report.Meta{
		Type: "meta", Schema: report.Schema, Tool: "tcpflow-states", Version: version(),
		Files:   []report.Text{},
		Options: metaOptions(&o.trackOptions, &o.readOptions, &o.filterOptions),
	}
	for _, name := range a.in.titles() {
		m.Files = append(m.Files, report.Text(name))
	}
	m.Options.Separate = o.separate && len(a.in.names) > 1
	return m
}

// metaOptions are the settings that decide what a result says.
func metaOptions(t *trackOptions, r *readOptions, f *filterOptions) report.MetaOptions {
	m := report.MetaOptions{
		OS: t.profile.Name, StuckAfter: map[string]report.Seconds{}, MaxFlows: t.maxFlows,
		Filter: report.Text(r.filter), BPFProgram: report.Text(r.program), Flow: f.flows, Host: f.text["host"], Port: f.text["port"], State: f.text["state"], Finding: f.text["finding"],
	}
	if len(f.text["min-severity"]) > 0 {
		m.MinSeverity = f.minSeverity.String()
	}
	for s, d := range t.limits() {
		switch analyzer.State(s) {
		case analyzer.Unknown, analyzer.Closed, analyzer.Listen: // nothing to wait for
		default:
			m.StuckAfter[analyzer.State(s).String()] = report.Seconds(d)
		}
	}
	return m
}

// verdict is the command's result: trouble outweighs findings.
func (a *analysis) verdict(s *report.Summary) error {
	switch {
	case a.err != nil:
		return fmt.Errorf("writing the result: %w", a.err)
	case !s.Complete:
		return errReported
	case len(a.failed) == 0:
		return nil
	}
	var list []string
	for name, n := range a.failed {
		list = append(list, fmt.Sprintf("%s (%d)", name, n))
	}
	slices.Sort(list)
	return &findingsError{strings.Join(list, ", ")}
}
