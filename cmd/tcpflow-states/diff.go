package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/internal/compare"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// diffOptions are the flags of diff.
type diffOptions struct {
	readOptions
	trackOptions
	filterOptions
	outputOptions
	format string
	all    bool
	rules  []diffRule // of --fail-on; none: any difference counts
	never  bool       // --fail-on never
	names  []string   // of the captures read
}

// diffFormats are what -o takes.
var diffFormats = []string{"table", "json", "markdown"}

func newDiff() *cobra.Command {
	o := &diffOptions{}
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say what changed between two captures of a service",
		Long: `Compares two captures, listener by listener (server address and port): findings,
states at the end, results of handshakes and closes, the histories of states that
both sides went through, and how long handshakes took. Flows that have the same
endpoints in both are compared one by one, too. Listeners whose addresses are in
one capture alone are paired by port: containers get other addresses in each run.
So is the one listener on an ephemeral port that each capture has on an address.

What only one of the captures has is new or gone. Shares that both have are
compared by Fisher's exact test, and handshakes by the Mann-Whitney test, which
takes 8 of them in each: what chance explains has not changed (p of 0.01, corrected
for the number of tests by Holm's method). The shift of latency is the
Hodges-Lehmann estimate with its 95 % interval.

OLD and NEW are captures as analyze takes them; a quoted pattern is several, read
as one. Filters on flows choose what is compared, --finding and --min-severity
which findings are.

Any difference makes the exit code 1, as with diff(1). --fail-on says which ones
do; it takes, separated by commas:
  new-finding    a finding that OLD has none of; new-finding=NAME for one
  more-finding   the same, or the share of flows with it grew; =NAME for one
  gone-finding   a finding that NEW has none of; =NAME for one
  state          sides end in a state, at a listener, in which OLD has none, or
                 their share grew; state=CLOSE_WAIT for one, @client or @server
  changed-history  a history that only one of the captures has, or of a pair of
                 flows that went another way
  latency+20%    handshakes are slower, by test, and by so much of OLD's median
  latency+5ms    the same, by so much
  gone-listener  a listener that NEW does not have
  any            anything that the table shows: what counts without --fail-on
  never          nothing; alone

Exit code: 0 no difference that counts; 1 there is one; 2 not done or not wholly,
also where a capture has no flows to compare.`,
		Example: `  tcpflow-states diff before.pcap after.pcap
  tcpflow-states diff main.pcap branch.pcap --fail-on new-finding,latency+20%
  tcpflow-states diff old.pcap new.pcap --port 5432 --min-severity warning
  tcpflow-states diff 'old/ring.pcap*' 'new/ring.pcap*' -o markdown --fail-on never`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("which two captures? tcpflow-states diff OLD NEW; several make one by a quoted pattern: 'old/*.pcap'")
			}
			if args[0] == "-" && args[1] == "-" {
				return errors.New("standard input (-) can be read only once: name a file for OLD or NEW")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return diff(o, args) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	formatNameFlag(fs, &o.format, diffFormats)
	fs.BoolVar(&o.all, "all", false, "show what has not changed, too")
	fs.Var(&value{kind: "RULE", list: true, take: o.takeRule, all: diffRuleNames}, "fail-on",
		"exit with 1 only when this has changed: new-finding[=NAME], more-finding[=NAME], gone-finding[=NAME], state[=S[@client|@server]], "+
			"changed-history, latency+N%, latency+DUR, gone-listener, any; never")
	o.filterOptions.flags(fs)
	o.readOptions.flags(fs)
	o.trackOptions.flags(fs)
	o.outputOptions.flags(fs)
	completeFlags(cmd)
	return cmd
}

func diff(o *diffOptions, args []string) error {
	if err := o.trackOptions.check(); err != nil {
		return err
	}
	if o.never && len(o.rules) > 0 {
		return errors.New("--fail-on never stands alone: with other rules, leave it out")
	}
	old, oldFiles, err1 := o.collect(args[0])
	if old == nil || errors.Is(err1, errInterrupted) {
		return err1 // half a capture is no measure of another one
	}
	new, newFiles, err2 := o.collect(args[1])
	if new == nil || errors.Is(err2, errInterrupted) {
		return errors.Join(err1, err2)
	}
	for i, c := range []*compare.Capture{old, new} {
		if c.Flows() == 0 {
			return errors.Join(err1, err2, fmt.Errorf("%s: no TCP flow to compare: check the capture, --filter and the filters on flows", title(args[i])))
		}
	}
	d := compare.Diff(old, new)
	d.Tool, d.Version, d.Options = "tcpflow-states", version(), metaOptions(&o.trackOptions, &o.readOptions, &o.filterOptions)
	d.Old.Files, d.New.Files = oldFiles, newFiles
	d.Complete = err1 == nil && err2 == nil
	for i := range o.rules {
		d.Failed = append(d.Failed, o.rules[i].met(d)...)
	}
	if err := o.write(d); err != nil {
		return errors.Join(err1, err2, fmt.Errorf("writing the result: %w", err))
	}
	o.remark(d)
	switch {
	case !d.Complete:
		return errors.Join(err1, err2)
	case len(d.Failed) > 0:
		return &findingsError{few(d.Failed)}
	case o.rules == nil && !o.never && len((&diffRule{kind: ruleAny}).met(d)) > 0:
		return errDiffers
	}
	return nil
}

// few joins the first of many sentences; -o json and markdown have all.
func few(list []string) string {
	const most = 10
	if more := len(list) - most; more > 0 {
		list = append(list[:most:most], fmt.Sprintf("and %s more", report.Thousands(more)))
	}
	return strings.Join(list, "; ")
}

// remark says where a rule could not be judged, so that nobody takes silence for
// a pass.
func (o *diffOptions) remark(d *report.Diff) {
	tested := func(l report.DiffListener) bool { return l.Latency != nil && l.Latency.Test != nil }
	latency := func(r diffRule) bool { return r.kind == ruleLatency }
	if !o.quiet && slices.ContainsFunc(o.rules, latency) && !slices.ContainsFunc(d.Listeners, tested) {
		fmt.Fprintf(os.Stderr, "tcpflow-states: --fail-on latency: not tested: no listener has %d handshakes in both captures\n", compare.MinSamples)
	}
}

// collect reads one of the two captures; nil when it cannot be read at all. What
// could be read is compared in spite of an error.
func (o *diffOptions) collect(arg string) (*compare.Capture, []report.File, error) {
	in, stop, err := newInputs([]string{arg}, &o.readOptions, !o.quiet)
	if err != nil {
		return nil, nil, err
	}
	defer stop()
	o.names = append(o.names, in.names...)
	if o.verbose && !o.quiet {
		o.readOptions.remark()
	}
	start := time.Now()
	src, err := in.openAll()
	if err != nil {
		return nil, nil, err
	}
	defer src.Close()
	c, across := compare.NewCapture(), analyzer.NewRollup(nil)
	cfg := o.config()
	cfg.OnFlow = func(f *analyzer.Flow) {
		if o.wants(f) {
			across.Add(f)
			c.Add(f, o.wantsFinding)
		}
	}
	t := o.tracker(cfg, src)
	if m, several := src.(*capture.Merge); several {
		in.shares = newShares(t.(*analyzer.Tracker), len(m.Parts()))
	}
	err = in.read(src, t, func() bool { return false })
	t.Close()
	list := across.Findings()
	for i := range list {
		if o.wantsFinding(&list[i]) {
			c.AddAcross(&list[i])
		}
	}
	if s := src.Stats(); o.verbose && !o.quiet {
		fmt.Fprintf(os.Stderr, "tcpflow-states: %s: %s frames, %s segments in %.2f s\n", report.Clean(title(arg)),
			report.Thousands(s.Frames), report.Thousands(s.Segments), time.Since(start).Seconds())
	}
	return c, in.describe(src, t, err), err
}

// tracker follows on all cores where there is much to do, as analyze does.
func (o *diffOptions) tracker(cfg analyzer.Config, src capture.Source) follower {
	if _, several := src.(*capture.Merge); several || src.Size() < much {
		return analyzer.New(cfg)
	}
	return analyzer.NewShards(cfg, 0)
}

// describe is what was read, a capture each.
func (in *inputs) describe(src capture.Source, t follower, err error) []report.File {
	m, several := src.(*capture.Merge)
	if !several {
		totals := t.Totals()
		return []report.File{describe(in.names[0], src.Stats(), &totals, err)}
	}
	in.shares.settle()
	faults := in.faults(m)
	var files []report.File
	for i, p := range m.Parts() {
		files = append(files, describe(p.Name, &p.Stats, &in.shares.of[i+1], faults[i]))
	}
	return files
}

// write writes the result.
func (o *diffOptions) write(d *report.Diff) error {
	out, err := o.open(o.names)
	if err != nil {
		return err
	}
	switch o.format {
	case "json":
		err = d.JSON(out)
	case "markdown":
		err = d.Markdown(out, o.all)
	default:
		err = d.Table(out, columns(out), o.color(out), o.all)
	}
	if out != os.Stdout {
		err = errors.Join(err, out.Close())
	}
	return err
}

// diffRule is one part of --fail-on.
type diffRule struct {
	kind     string
	name     string // a finding, or a state with its side; empty: any
	relative float64
	by       time.Duration // of latency, where relative is 0
}

// The kinds of rules.
const (
	ruleNew     = "new-finding"
	ruleMore    = "more-finding"
	ruleGone    = "gone-finding"
	ruleState   = "state"
	ruleHistory = "changed-history"
	ruleLatency = "latency"
	ruleGoneAt  = "gone-listener"
	ruleAny     = "any"
	ruleNever   = "never"
)

func diffRuleNames() []string {
	return []string{ruleNew, ruleMore, ruleGone, ruleState, ruleHistory, "latency+20%", ruleGoneAt, ruleAny, ruleNever}
}

func (o *diffOptions) takeRule(s string) error {
	if s == ruleNever {
		o.never = true
		return nil
	}
	r, err := parseRule(s)
	o.rules = append(o.rules, r)
	return err
}

func parseRule(s string) (diffRule, error) {
	if by, ok := strings.CutPrefix(s, ruleLatency); ok {
		return parseLatency(s, by)
	}
	kind, name, one := strings.Cut(s, "=")
	r := diffRule{kind: kind, name: name}
	switch {
	case one && (kind == ruleNew || kind == ruleMore || kind == ruleGone):
		if !slices.Contains(findingNames(), name) {
			return r, unknown("finding", name, findingNames())
		}
	case one && kind == ruleState:
		if !slices.Contains(statePatterns(), name) {
			return r, unknown("state", name, stateNames())
		}
	case one, !slices.Contains(diffRuleNames(), kind):
		return r, unknown("rule", s, diffRuleNames())
	}
	return r, nil
}

// parseLatency reads what is behind latency: +20% or +5ms.
func parseLatency(s, by string) (diffRule, error) {
	r := diffRule{kind: ruleLatency}
	by, more := strings.CutPrefix(by, "+")
	percent, isPercent := strings.CutSuffix(by, "%")
	var err error
	if isPercent {
		r.relative, err = strconv.ParseFloat(percent, 64)
		r.relative /= 100
	} else {
		r.by, err = time.ParseDuration(by)
	}
	if err != nil || !more || !(r.relative > 0 && r.relative < 1e6 || r.by > 0) {
		return r, fmt.Errorf("%q is no limit: give how much slower handshakes may get, as in latency+20%% or latency+5ms", s)
	}
	return r, nil
}

// met says what of a comparison a rule names, a sentence each.
func (r *diffRule) met(d *report.Diff) (list []string) {
	for i := range d.Listeners {
		list = append(list, r.metAt(&d.Listeners[i])...)
	}
	for i := range d.Across {
		if c := &d.Across[i]; r.meets("finding", c) {
			list = append(list, fmt.Sprintf("%s %s across flows (%s to %s subjects)", c.Change, c.Name, report.Thousands(c.Old), report.Thousands(c.New)))
		}
	}
	if r.kind == ruleGoneAt || r.kind == ruleAny {
		for i := range d.Gone {
			list = append(list, "gone listener "+d.Gone[i].Name())
		}
	}
	if r.kind == ruleAny {
		for i := range d.Appeared {
			list = append(list, "new listener "+d.Appeared[i].Name())
		}
	}
	return list
}

// metAt says what of one listener a rule names.
func (r *diffRule) metAt(l *report.DiffListener) (list []string) {
	for _, group := range l.Groups() {
		for i := range group.Counts {
			if c := &group.Counts[i]; r.meets(group.Kind, c) {
				list = append(list, fmt.Sprintf("%s %s %s at %s (%s to %s flows)", c.Change, group.Kind, c, l.Name(),
					report.Thousands(c.Old), report.Thousands(c.New)))
			}
		}
	}
	if r.kind == ruleHistory || r.kind == ruleAny {
		if n := len(l.Histories); n > 0 {
			list = append(list, fmt.Sprintf("changed histories at %s (%d)", l.Name(), n))
		}
		if l.Flows != nil && l.Flows.Changed > 0 {
			list = append(list, fmt.Sprintf("%s of %s flows went another way at %s", report.Thousands(l.Flows.Changed), report.Thousands(l.Flows.Paired), l.Name()))
		}
	}
	if t := l.Latency; t != nil && r.slower(t) {
		list = append(list, fmt.Sprintf("latency at %s: %s by %s (%+.0f%%)", l.Name(), t.Verdict, time.Duration(t.Test.Shift), 100*t.Test.Relative))
	}
	return list
}

// meets reports whether a rule names the change of a count.
func (r *diffRule) meets(what string, c *report.DiffCount) bool {
	named := r.name == "" || r.name == c.Name || r.name == c.String()
	grew := c.Change == "new" || c.Change == "more"
	switch r.kind {
	case ruleNew:
		return what == "finding" && named && c.Change == "new"
	case ruleMore:
		return what == "finding" && named && grew
	case ruleGone:
		return what == "finding" && named && c.Change == "gone"
	case ruleState:
		return what == "state" && named && grew
	case ruleAny:
		return c.Change != "same"
	}
	return false
}

// slower reports whether a rule names a change of latency.
func (r *diffRule) slower(t *report.DiffLatency) bool {
	switch {
	case r.kind == ruleAny:
		return t.Verdict == "slower" || t.Verdict == "faster"
	case r.kind != ruleLatency || t.Verdict != "slower":
		return false
	case r.relative > 0:
		return t.Test.Relative >= r.relative
	}
	return time.Duration(t.Test.Shift) >= r.by
}
