package main

import (
	"errors"
	"fmt"
	"os"

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
		Use:   "show FILE --flow N",
		Short: "Draw one connection, segment by segment, between both sides' states",
		Long: `Draws one flow as a ladder: a line for each segment with its time, flags,
relative sequence and acknowledgment numbers and length, both sides' states
beside it (? what is inferred, ~ what is assumed), and findings where they arise.
Flow numbers are those of analyze for this capture alone: where several were
analyzed together, numbers went on from one to the next. - is standard input.`,
		Example: `  tcpflow-states show edge.pcap --flow 17
  tcpflow-states show edge.pcap --flow 17 | less`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("show takes one capture, not %d: tcpflow-states show FILE --flow N", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return show(o, args[0]) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	o.flow = -1
	fs.Var(&value{kind: "N", take: func(s string) (err error) {
		o.flow, err = flowNumber(s)
		return err
	}}, "flow", "number of the flow, as analyze lists it")
	o.trackOptions.flags(fs)
	o.readOptions.flags(fs)
	o.outputOptions.flags(fs)
	completeFlags(cmd)
	return cmd
}

func show(o *showOptions, name string) error {
	if o.flow < 0 {
		return errors.New("which flow? give --flow N with a number from: tcpflow-states analyze --all " + name)
	}
	if err := o.check(); err != nil {
		return err
	}
	one, err := openOne("show", name, &o.readOptions, &o.outputOptions)
	if err != nil {
		return err
	}
	d := &drawing{o: o, src: one.src, out: one.out}
	cfg := o.config()
	cfg.OnStep, cfg.OnFlow = d.step, d.flow
	t := analyzer.New(cfg)
	err = one.in.read(one.src, t, func() bool { return d.done })
	t.Close()
	d.err = errors.Join(d.err, one.close())
	if !d.done {
		return errors.Join(err, noFlow(o.flow, one.src.Stats().Name, t.Totals().Flows))
	}
	return errors.Join(err, d.err)
}

// drawing is one run of show.
type drawing struct {
	o      *showOptions
	src    capture.Source
	out    *os.File
	ladder report.Ladder
	first  uint64 // first frame of the flow that the ladder is of
	key    analyzer.Key
	done   bool
	err    error
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
		Width: columns(d.out), Color: d.o.color(d.out),
		Origin: func(f *analyzer.Flow) report.Origin { return report.Origin{Link: linkOf(d.src, f)} },
	})
}

// noFlow says which flows there are instead.
func noFlow(n int, name string, flows int) error {
	switch flows {
	case 0:
		return fmt.Errorf("%s has no TCP flow", name)
	case 1:
		return fmt.Errorf("%s has no flow %d: its only one is flow 0", name, n)
	}
	return fmt.Errorf("%s has no flow %d: it has flows 0-%d (the numbers of an analyze of several captures go on from one to the next)", name, n, flows-1)
}
