package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
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
	format *report.Format
	all    bool
	limit  int
}

func newAnalyze() *cobra.Command {
	o := &analyzeOptions{}
	cmd := &cobra.Command{
		Use:   "analyze [FILE…]",
		Short: "Say what state every connection is in, and what is stuck",
		Long: `Reads captures (pcap, pcapng) and reports the state of both sides of every
flow, and what is wrong: who owes the next packet, and since when. - is standard
input. Several captures are read one after the other, each for itself; the flow
numbers go on.

The tables list the flows that have a finding; --all, or a filter on flows
(--flow, --host, --port, --state), lists every flow that is chosen. json and
ndjson always do. Filters also decide what is counted and what --fail-on sees;
listeners and findings across flows rest on all flows that the filters on flows
leave, of all captures.

Exit code: 0 done; 1 done, with findings that --fail-on names; 2 not done or not
wholly (then what could be read is reported all the same).`,
		Example: `  tcpflow-states analyze edge.pcap
  tcpflow-states analyze edge.pcap --state CLOSE_WAIT@server --all
  tcpflow-states analyze *.pcap -o ndjson | jq 'select(.type=="flow").findings[]'
  tcpflow-states analyze edge.pcap --stuck-after 5s --stuck-after SYN_SENT=1s
  tcpflow-states analyze test.pcap --fail-on error,connection-refused
  ssh gw tcpdump -i eth0 -w - tcp | tcpflow-states analyze -`,
		RunE: func(_ *cobra.Command, args []string) error { return analyze(o, args) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	formatFlag(fs, &o.format)
	fs.BoolVar(&o.all, "all", false, "list every flow, not only those with findings")
	fs.IntVar(&o.limit, "limit", 50, "list `N` flows at most; 0: all")
	o.filterOptions.flags(fs)
	o.failOptions.flags(fs)
	o.trackOptions.flags(fs)
	o.readOptions.flags(fs)
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
	a := &analysis{o: o, in: in, tally: report.NewTally(), rollup: analyzer.NewRollup(nil), failed: map[string]int{}}
	if o.format.Name == "ndjson" && out == os.Stdout && onTerminal(out) {
		in.progress = false // flows and the bar would mix
	}
	a.renderer = o.format.New(out, a.meta(), report.Options{
		Width: columns(out), Color: o.color(out),
		All: o.all || o.onFlows(), Limit: o.limit, Flush: in.piped(), Origin: a.origin,
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

// files reads one capture after the other.
func (a *analysis) files() []report.File {
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
	src, err := a.in.open(name)
	if err != nil {
		return describe(name, nil, analyzer.Totals{}, err), err
	}
	defer src.Close()
	a.src, a.file = src, ""
	if len(a.in.names) > 1 {
		a.file = src.Stats().Name
	}
	cfg := a.o.config()
	cfg.FirstNumber = a.numbers
	cfg.OnFlow = a.flow
	t := analyzer.New(cfg)
	err = a.in.read(src, t, func() bool { return a.err != nil })
	t.Close()
	totals := t.Totals()
	a.numbers += totals.Flows
	if a.o.verbose && !a.o.quiet {
		a.remark(src.Stats(), time.Since(start))
	}
	return describe(name, src, totals, err), err
}

// remark says what reading a capture took.
func (a *analysis) remark(s *capture.Stats, spent time.Duration) {
	fmt.Fprintf(os.Stderr, "tcpflow-states: %s: %s frames, %s segments in %.2f s (%s frames/s)\n", report.Clean(s.Name),
		report.Thousands(s.Frames), report.Thousands(s.Segments), spent.Seconds(),
		report.Thousands(uint64(float64(s.Frames)/max(spent.Seconds(), 1e-6))))
}

// flow takes a flow that has ended.
func (a *analysis) flow(f *analyzer.Flow) {
	if a.err != nil {
		return
	}
	if f = a.choose(f); f == nil {
		return
	}
	a.tally.Add(f)
	for i := range f.Findings {
		a.judge(&f.Findings[i])
	}
	a.err = a.renderer.Flow(f)
}

// judge takes a finding that is shown: does --fail-on name it?
func (a *analysis) judge(n *analyzer.Finding) {
	if a.o.matches(n) {
		a.failed[n.Detector.Name]++
	}
}

// across takes the findings across flows, once all flows have ended.
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
	o := &a.o.filterOptions
	wanted := o.wants(f)
	if wanted {
		a.rollup.Add(f)
	}
	if wanted && o.onFindings() {
		kept := a.shown.Findings[:0]
		for i := range f.Findings {
			if o.wantsFinding(&f.Findings[i]) {
				kept = append(kept, f.Findings[i])
			}
		}
		a.shown = *f
		a.shown.Findings = kept
		f, wanted = &a.shown, len(kept) > 0
	}
	if wanted {
		return f
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
		Files: []report.Text{},
		Options: report.MetaOptions{
			OS: o.profile.Name, StuckAfter: map[string]report.Seconds{}, MaxFlows: o.maxFlows,
			Flow: o.flows, Host: o.text["host"], Port: o.text["port"], State: o.text["state"], Finding: o.text["finding"],
		},
	}
	if len(o.text["min-severity"]) > 0 {
		m.Options.MinSeverity = o.minSeverity.String()
	}
	for _, name := range a.in.names {
		if name == "-" {
			name = "standard input"
		}
		m.Files = append(m.Files, report.Text(name))
	}
	for s, d := range o.limits() {
		switch analyzer.State(s) {
		case analyzer.Unknown, analyzer.Closed, analyzer.Listen: // nothing to wait for
		default:
			m.Options.StuckAfter[analyzer.State(s).String()] = report.Seconds(d)
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
