package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// showOptions are the flags of show.
type showOptions struct {
	readOptions
	trackOptions
	filterOptions
	outputOptions
	flow int // the one that is drawn
}

func newShow() *cobra.Command {
	o := &showOptions{}
	cmd := &cobra.Command{
		Use:   "show FILE… --flow N",
		Short: "Draw one connection, segment by segment, between both sides' states",
		Long: `Draws one flow as a ladder: a line for each segment with its time, flags,
relative sequence and acknowledgment numbers and length, both sides' states
beside it (? what is inferred, ~ what is assumed), and findings where they arise.
Instead of its number, --host, --port, --state and --finding may say which flow it
is, if they leave one: then the captures are read twice.
Flow numbers are those of analyze for the same captures: several are one, merged
by time, and frame 12 of the second is 2:12. (With analyze --separate, numbers went
on from one capture to the next: show wants that capture alone, with its own.)
- is standard input.`,
		Example: `  tcpflow-states show edge.pcap --flow 17
  tcpflow-states show edge.pcap --host 10.0.0.5 --port 51544
  tcpflow-states show ring.pcap* --flow 17`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("which capture? give one, or several: tcpflow-states show FILE --flow N")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return show(o, args) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	o.filterOptions.flags(fs)
	o.readOptions.flags(fs)
	o.trackOptions.flags(fs)
	o.outputOptions.flags(fs)
	completeFlags(cmd)
	return cmd
}

func show(o *showOptions, args []string) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := o.choose(args); err != nil {
		return err
	}
	all, err := openTogether(args, &o.readOptions, &o.outputOptions)
	if err != nil {
		return err
	}
	ro := report.Options{Width: columns(all.out), Color: o.color(all.out),
		Origin: func(f *analyzer.Flow) report.Origin { return report.Origin{Link: linkOf(all.src, f)} }}
	if len(all.in.names) > 1 {
		ro.Captures = all.in.titles()
	}
	d := &drawing{number: o.flow, out: all.out, o: ro}
	cfg := o.config()
	cfg.OnStep, cfg.OnFlow = d.step, d.flow
	t := analyzer.New(cfg)
	err = all.in.read(all.src, t, func() bool { return d.done })
	t.Close()
	d.err = errors.Join(d.err, all.close())
	if !d.done {
		return errors.Join(err, noFlow(o.flow, all.in.titles(), t.Totals().Flows))
	}
	return errors.Join(err, d.err)
}

// choose finds the number of the flow that is asked for: without any other filter
// that is the one of --flow.
func (o *showOptions) choose(args []string) error {
	others := o.hosts != nil || o.ports != nil || o.states != nil || o.onFindings()
	switch {
	case len(o.flows) > 1:
		return errors.New("--flow: show draws one flow: give one number")
	case len(o.flows) == 1 && !others:
		o.flow = o.flows[0]
		return nil
	case !others:
		return errors.New("which flow? give --flow N with a number from: tcpflow-states analyze --all " + strings.Join(args, " "))
	case slices.ContainsFunc(args, growing):
		return errors.New("which flow? a pipe can be read only once: give --flow N alone, or save the capture to a file first")
	}
	found, err := o.matching(args)
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		return errors.New("no flow passes the filters: tcpflow-states analyze --all " + strings.Join(args, " ") + " lists what there is")
	case len(found) > 1:
		return fmt.Errorf("%s flows pass the filters: give --flow N with one of %s", report.Thousands(len(found)), numbers(found))
	}
	o.flow = found[0]
	return nil
}

// matching reads the captures for the numbers of the flows that pass the filters.
// What is wrong with the captures is said when they are read again.
func (o *showOptions) matching(args []string) (found []int, err error) {
	all, err := openTogether(args, &o.readOptions, &outputOptions{quiet: o.quiet})
	if err != nil {
		return nil, err
	}
	cfg := o.config()
	cfg.OnFlow = func(f *analyzer.Flow) {
		shown := func(n analyzer.Finding) bool { return o.wantsFinding(&n) }
		if o.wants(f) && (!o.onFindings() || slices.ContainsFunc(f.Findings, shown)) {
			found = append(found, f.Number)
		}
	}
	t := analyzer.New(cfg)
	all.in.read(all.src, t, func() bool { return false })
	t.Close()
	if all.in.stopped.Load() {
		return nil, errors.Join(errInterrupted, all.close())
	}
	slices.Sort(found)
	return found, all.close()
}

// numbers lists the first of them.
func numbers(list []int) string {
	const most = 10
	var b strings.Builder
	for i, n := range list[:min(len(list), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Itoa(n))
	}
	if len(list) > most {
		b.WriteString(", …")
	}
	return b.String()
}

// drawing draws the flow of a number.
type drawing struct {
	number int
	out    io.Writer
	o      report.Options
	ladder report.Ladder
	first  uint64 // first frame of the flow that the ladder is of
	key    analyzer.Key
	done   bool
	err    error
}

// step keeps the steps of the flow that is asked for.
func (d *drawing) step(s *analyzer.Step) {
	if s.Flow.Number != d.number {
		if d.first != 0 && s.Flow.Key == d.key && s.Flow.Number > d.number {
			d.ladder.Aside(s)
		}
		return
	}
	// The tracker may find that a flow was none, and give its number to the next.
	if s.Flow.FirstFrame != d.first {
		d.ladder, d.first, d.key = report.Ladder{}, s.Flow.FirstFrame, s.Flow.Key
	}
	d.ladder.Step(s)
}

// flow draws the flow when it has ended.
func (d *drawing) flow(f *analyzer.Flow) {
	if f.Number == d.number {
		d.done = true
		d.err = d.ladder.Write(d.out, f, d.o)
	}
}

// noFlow says which flows there are instead.
func noFlow(n int, captures []string, flows int) error {
	have, hint := captures[0]+" has", ""
	if len(captures) > 1 {
		have = fmt.Sprintf("the %d captures together have", len(captures))
	} else {
		hint = " (analyze of several captures has other numbers: name the same here)"
	}
	switch flows {
	case 0:
		return fmt.Errorf("%s no TCP flow", have)
	case 1:
		return fmt.Errorf("%s no flow %d: the only one is flow 0", have, n)
	}
	return fmt.Errorf("%s no flow %d: there are flows 0-%d%s", have, n, flows-1, hint)
}
