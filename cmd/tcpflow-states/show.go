package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// showOptions are the flags of show.
type showOptions struct {
	readOptions
	trackOptions
	outputOptions
	flow int
}

func newShow() *cobra.Command {
	o := &showOptions{}
	cmd := &cobra.Command{
		Use:   "show FILE… --flow N",
		Short: "Draw one connection, segment by segment, between both sides' states",
		Long: `Draws one flow as a ladder: a line for each segment with its time, flags,
relative sequence and acknowledgment numbers and length, both sides' states
beside it (? what is inferred, ~ what is assumed), and findings where they arise.
Flow numbers are those of analyze for the same captures: several are one, merged
by time, and frame 12 of the second is 2:12. (With analyze --separate, numbers went
on from one capture to the next: show wants that capture alone, with its own.)
- is standard input.`,
		Example: `  tcpflow-states show edge.pcap --flow 17
  tcpflow-states show edge.pcap --flow 17 | less
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
	o.flow = -1
	fs.Var(&value{kind: "N", take: func(s string) (err error) {
		o.flow, err = flowNumber(s)
		return err
	}}, "flow", "number of the flow, as analyze lists it")
	o.readOptions.flags(fs)
	o.trackOptions.flags(fs)
	o.outputOptions.flags(fs)
	completeFlags(cmd)
	return cmd
}

func show(o *showOptions, args []string) error {
	if o.flow < 0 {
		return errors.New("which flow? give --flow N with a number from: tcpflow-states analyze --all " + strings.Join(args, " "))
	}
	if err := o.check(); err != nil {
		return err
	}
	all, err := openTogether(args, &o.readOptions, &o.outputOptions)
	if err != nil {
		return err
	}
	d := &drawing{o: o, src: all.src, out: all.out}
	if len(all.in.names) > 1 {
		d.captures = all.in.titles()
	}
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

// drawing is one run of show.
type drawing struct {
	o        *showOptions
	src      capture.Source
	captures []string // names, where there are several
	out      *os.File
	ladder   report.Ladder
	first    uint64 // first frame of the flow that the ladder is of
	key      analyzer.Key
	done     bool
	err      error
}

// step keeps the steps of the flow that is asked for.
func (d *drawing) step(s *analyzer.Step) {
	if s.Flow.Number != d.o.flow {
		if d.first != 0 && s.Flow.Key == d.key && s.Flow.Number > d.o.flow {
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
	if f.Number != d.o.flow {
		return
	}
	d.done = true
	d.err = d.ladder.Write(d.out, f, report.Options{
		Width: columns(d.out), Color: d.o.color(d.out), Captures: d.captures,
		Origin: func(f *analyzer.Flow) report.Origin { return report.Origin{Link: linkOf(d.src, f)} },
	})
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
