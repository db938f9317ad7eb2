package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/capture/filter"
	"github.com/tcpflow-states/tcpflow-states/capture/live"
	"github.com/tcpflow-states/tcpflow-states/internal/privilege"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// liveOptions are the flags of live. What analyze has, means the same.
type liveOptions struct {
	analyzeOptions
	device      string
	promiscuous bool
	duration    time.Duration
	count       uint64
	interval    time.Duration
	events      bool
	owners      bool
	kernelCheck bool
	user        string
	metrics     string
}

func newLive() *cobra.Command {
	o := &liveOptions{}
	cmd := &cobra.Command{
		Use:   "live -i INTERFACE",
		Short: "Sniff an interface, and say what goes wrong as it does",
		Long: `Captures on an interface until Ctrl-C, --duration or --count, and writes a line for
each finding as soon as it is known: a side that is stuck when its threshold has
passed, though no packet comes. At the end it says what analyze says of a capture.

--events writes each change of state of both sides as it happens, with its basis.
--interval writes how many sides are in each state. -o ndjson writes flows as they
end, and the summary.

--filter is attached in the kernel before the first packet is taken. It needs
CAP_NET_RAW: tcpflow-states interfaces says what is missing.`,
		Example: `  tcpflow-states live -i eth0
  tcpflow-states live -i any -f 'tcp port 5432' --events
  tcpflow-states live -i eth0 --interval 10s --duration 1h`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return sniff(o) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&o.device, "interface", "i", "", "capture on this `INTERFACE`; any: on all")
	fs.BoolVar(&o.promiscuous, "promiscuous", false, "also take frames that are addressed to others")
	fs.DurationVar(&o.duration, "duration", 0, "end after so long")
	fs.Uint64Var(&o.count, "count", 0, "end after `N` frames")
	fs.BoolVar(&o.events, "events", false, "write each change of state of both sides")
	fs.DurationVar(&o.interval, "interval", 0, "write how many sides are in each state, every so often")
	fs.BoolVar(&o.owners, "owners", true, "name the process, container or pod that holds a socket of this host")
	fs.BoolVar(&o.kernelCheck, "kernel-check", false, "every 10 s, lay the states of this host's sockets beside the kernel's, and say where they differ")
	fs.StringVar(&o.user, "user", "", "become this `USER` once the interface is open")
	fs.StringVar(&o.metrics, "metrics", "", "serve metrics for Prometheus at `ADDRESS:PORT`; a port alone: of loopback")
	formatFlag(fs, &o.format)
	fs.IntVar(&o.limit, "limit", 50, "list `N` flows at most at the end; 0: all")
	o.filterOptions.flags(fs)
	o.failOptions.flags(fs)
	o.readOptions.flags(fs)
	o.trackOptions.flags(fs)
	o.outputOptions.flags(fs)
	completeFlags(cmd)
	return cmd
}

// sniffer is one run of live.
type sniffer struct {
	*analysis
	around
	o       *liveOptions
	src     live.Source
	tracker *analyzer.Tracker
	log     *report.Log // nil: flows are written as they end, for a program
	now     int64       // the capture's clock
	census  int64       // when the next is due
	ending  bool        // what is told now, the summary tells
}

func sniff(o *liveOptions) error {
	if err := o.trackOptions.check(); err != nil {
		return err
	}
	src, err := o.openInterface()
	if err != nil {
		return err
	}
	defer src.Close()
	out, err := o.open(nil)
	if err != nil {
		return err
	}
	s := &sniffer{o: o, src: src, analysis: &analysis{o: &o.analyzeOptions, in: &inputs{names: []string{o.device}},
		tally: report.NewTally(), rollup: analyzer.NewRollup(nil), failed: map[string]int{}, src: src}}
	s.renderer = o.format.New(out, s.meta(), report.Options{
		Width: columns(out), Color: o.color(out), All: o.all || o.onFlows(), Limit: o.limit, Flush: true, Origin: s.origin})
	if o.format == report.Formats[0] {
		s.log = report.NewLog(out, o.color(out))
	}
	s.tracker = analyzer.New(s.watching())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := s.around.open(ctx, o); err != nil {
		return err
	}
	runErr := s.run(ctx)
	s.ending = true
	s.tracker.Close()
	s.around.close(runErr)
	return s.finish(out, runErr)
}

// openInterface opens what is to be captured on.
func (o *liveOptions) openInterface() (live.Source, error) {
	cfg := live.Config{Interface: o.device, Promiscuous: o.promiscuous, Decode: o.capture, Notice: func(text string) {
		if !o.quiet {
			fmt.Fprintln(os.Stderr, "tcpflow-states: "+report.Clean(text))
		}
	}}
	if o.filter != "" {
		f, err := filter.Parse(o.filter, live.FilterOptions)
		if err != nil {
			return nil, fmt.Errorf("--filter: %w", err)
		}
		cfg.Filter = f
	}
	src, err := live.Open(cfg)
	if err != nil {
		return nil, privilege.Explain(err)
	}
	return src, nil
}

// watching is how the Tracker works.
func (s *sniffer) watching() analyzer.Config {
	cfg := s.o.config()
	cfg.Peers = s.o.format.Peers
	cfg.OnFlow = func(f *analyzer.Flow) {
		s.ended(f)
		s.flow(f)
	}
	cfg.OnFinding = func(f *analyzer.Flow, n *analyzer.Finding) {
		s.found(f, n)
		if s.log != nil && !s.ending && s.o.wants(f) && s.o.wantsFinding(n) {
			s.log.Finding(s.now, f, n, s.owner(f, n.Side))
		}
	}
	if s.o.events && s.log != nil {
		cfg.OnStep = s.step
	}
	return cfg
}

// step logs what one segment has moved.
func (s *sniffer) step(st *analyzer.Step) {
	f := st.Flow
	if !s.o.wants(f) {
		return
	}
	for i := range f.Transitions {
		t := &f.Transitions[i]
		if t.Frame == st.Segment.Frame && t.Withdrawn == nil || t.Withdrawn != nil && t.Withdrawn.Frame == st.Segment.Frame {
			s.log.Transition(s.now, f, t)
		}
	}
}

// run captures until there is an end.
func (s *sniffer) run(ctx context.Context) error {
	if s.o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.o.duration)
		defer cancel()
	}
	defer context.AfterFunc(ctx, s.src.Stop)()
	var p capture.Packet
	for s.err == nil {
		if err := s.src.Next(&p); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		s.take(&p)
		if s.o.count > 0 && s.src.Stats().Frames >= s.o.count {
			s.src.Stop()
		}
	}
	return nil
}

// take takes one packet, or that none came.
func (s *sniffer) take(p *capture.Packet) {
	switch p.Kind {
	case capture.KindSegment:
		s.now = max(s.now, p.Segment.Time)
		s.tracker.Observe(&p.Segment)
	case capture.KindUnreachable:
		s.now = max(s.now, p.Unreachable.Time)
		s.tracker.ObserveUnreachable(&p.Unreachable)
	case capture.KindTick:
		s.now = max(s.now, p.Tick)
		s.tracker.Advance(p.Tick)
	}
	s.update(s)
	if s.err = s.check(s); s.err != nil {
		return
	}
	if s.log == nil {
		return
	}
	if every := int64(s.o.interval); every > 0 && s.now >= s.census {
		if s.census > 0 {
			n, c := s.tracker.Census(), s.src.Counters()
			s.log.Census(s.now, &n, c.Frames-c.Dropped, c.Dropped)
		}
		s.census = s.now + every
	}
	s.err = s.log.Flush()
}

// finish writes what analyze writes of a capture.
func (s *sniffer) finish(out *os.File, runErr error) error {
	s.across()
	summary := s.tally.Summary()
	summary.AddRollup(s.rollup)
	totals := s.tracker.Totals()
	summary.AddFile(describe(s.o.device, s.src.Stats(), &totals, runErr))
	if runErr != nil {
		complain(runErr)
	}
	if s.err == nil {
		s.err = s.renderer.Close(summary)
	}
	if out != os.Stdout {
		s.err = errors.Join(s.err, out.Close())
	}
	return s.verdict(summary)
}
