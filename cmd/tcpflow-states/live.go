package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/capture/filter"
	"github.com/tcpflow-states/tcpflow-states/capture/live"
	"github.com/tcpflow-states/tcpflow-states/internal/privilege"
)

// liveOptions are the flags of live. What analyze has, means the same.
type liveOptions struct {
	analyzeOptions
	deviceOptions
	keepOptions
	duration    time.Duration
	count       uint64
	interval    time.Duration
	events      bool
	top         bool
	owners      bool
	kernelCheck bool
	user        string
	metrics     string
	asides      asides
}

func newLive() *cobra.Command {
	o := &liveOptions{}
	cmd := &cobra.Command{
		Use:   "live -i INTERFACE",
		Short: "Sniff an interface, and say what goes wrong as it does",
		Long: `Captures on an interface until Ctrl-C, --duration or --count, and writes a line for
each finding as soon as it is known: a side that is stuck when its threshold has
passed, though no packet comes. Those that only explain are left out, unless a filter
on findings asks for them. At the end it says what analyze says of a capture.

--events writes each change of state of both sides as it happens, with its basis.
--interval writes how many sides are in each state. With -o ndjson findings,
changes and counts are objects, and flows are written as they end.
--top shows it all on a full screen: ? lists its keys.

A socket of this host has the process, container or pod that holds it named. That
wants to look into other processes: --owners=false gives up more privileges.
--kernel-check lays the states of this host's sockets beside the kernel's.

--write keeps a pcapng file for each finding, with the headers of its flow from the
first segment on as far as memory reaches; --write-all keeps every frame.

--filter is attached in the kernel before the first packet is taken. It needs
CAP_NET_RAW: tcpflow-states interfaces says what is missing.`,
		Example: `  tcpflow-states live -i eth0
  tcpflow-states live -i any -f 'tcp port 5432' --events
  tcpflow-states live -i eth0 --top
  tcpflow-states live -i eth0 --interval 10s --duration 1h
  tcpflow-states live -i eth0 -o ndjson | jq -c 'select(.type=="finding")'
  tcpflow-states live -i eth0 --write /var/lib/tcpflow-states --user nobody
  tcpflow-states live -i eth0 --metrics 9465 -q`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return sniff(o) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	o.deviceOptions.flags(fs)
	fs.StringVarP(&o.filter, "filter", "f", "", "capture only the frames that match a tcpdump `EXPRESSION`, as in 'net 10.0.0.0/8 and tcp port 443'")
	fs.DurationVar(&o.duration, "duration", 0, "end after so long")
	fs.Uint64Var(&o.count, "count", 0, "end after `N` frames")
	fs.BoolVar(&o.events, "events", false, "write each change of state of both sides")
	fs.BoolVar(&o.top, "top", false, "show a full-screen view in place of lines: states, listeners, stuck flows")
	fs.DurationVar(&o.interval, "interval", 0, "write how many sides are in each state, every so often")
	fs.BoolVar(&o.owners, "owners", true, "name the process, container or pod that holds a socket of this host")
	fs.BoolVar(&o.kernelCheck, "kernel-check", false, "every 10 s, lay the states of this host's sockets beside the kernel's, and say where they differ")
	fs.StringVar(&o.user, "user", "", "become this `USER` once the interface is open")
	fs.StringVar(&o.metrics, "metrics", "", "serve metrics for Prometheus at `ADDRESS:PORT`; a port alone: of loopback")
	o.keepOptions.flags(fs)
	formatFlag(fs, &o.format)
	fs.BoolVar(&o.all, "all", false, "list every flow at the end, not only those with findings")
	fs.IntVar(&o.limit, "limit", 50, "list `N` flows at most at the end; 0: all")
	o.filterOptions.flags(fs)
	o.failOptions.flags(fs)
	o.decodingFlags(fs)
	o.trackOptions.flags(fs)
	flowsByMemory(fs, &o.maxFlows)
	o.outputOptions.flags(fs)
	completeFlags(cmd)
	return cmd
}

// deviceOptions say where and how to capture.
type deviceOptions struct {
	device       string
	promiscuous  bool
	workers      int
	buffer       int
	snap         uint32
	hardwareTime bool
	await        bool
}

func (o *deviceOptions) flags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.device, "interface", "i", "", "capture on this `INTERFACE`; any: on all")
	fs.BoolVar(&o.promiscuous, "promiscuous", false, "also take frames that are addressed to others")
	fs.IntVar(&o.workers, "workers", 1, "deal flows out to `N` rings of the kernel, with a goroutine each, where one core is not enough")
	fs.IntVar(&o.buffer, "buffer", 16, "let each ring have so many `MiB`: room for what comes while we are busy")
	fs.Uint32Var(&o.snap, "snapshot-length", live.DefaultSnap, "capture so many `OCTETS` of each frame at most")
	fs.BoolVar(&o.hardwareTime, "hardware-time", false, "let the interface's clock stamp the frames that it receives")
	fs.BoolVar(&o.await, "await", false, "wait for an interface that is down, and for the return of one that is removed")
}

// openInterface opens what is to be captured on: a source for each worker.
func (o *liveOptions) openInterface(frames func(int) func(*capture.Frame)) ([]live.Source, error) {
	cfg := live.Config{Interface: o.device, Promiscuous: o.promiscuous, HardwareTime: o.hardwareTime, AwaitReturn: o.await,
		Snap: o.snap, Buffer: o.buffer << 20, Tick: idle, Decode: o.capture, Frames: frames, Notice: o.remarkOn}
	switch {
	case o.workers < 1:
		return nil, fmt.Errorf("--workers %d: give 1 or more", o.workers)
	case o.buffer < 2 || o.buffer > 1<<10:
		return nil, fmt.Errorf("--buffer %d: give 2 to 1024, in MiB", o.buffer)
	case o.await && o.workers > 1:
		return nil, errors.New("--await: several rings cannot wait for an interface's return: leave --workers out")
	}
	if o.filter != "" {
		f, err := filter.Parse(o.filter, live.FilterOptions)
		if err != nil {
			return nil, fmt.Errorf("--filter: %w", err)
		}
		cfg.Filter = f
	}
	sources, err := live.OpenSeveral(cfg, o.workers)
	if err != nil {
		return nil, remedied(err)
	}
	return sources, nil
}

// remedied has, where this process may not capture, the one remedy for the place
// that it runs in, and not all that there are.
func remedied(err error) error {
	var e *capture.Error
	if !errors.Is(err, live.ErrPermission) || !errors.As(err, &e) {
		return err
	}
	e.Remedy = ""
	return privilege.Explain(err)
}

// idle is how long a ring without packets lets its worker wait before that has a
// look at all else.
const idle = 100 * time.Millisecond

// remarkOn says something that is no error.
func (o *liveOptions) remarkOn(text string) {
	if !o.quiet {
		complainTo(&o.asides, errors.New(text))
	}
}

// check says what is wrong with the flags in themselves.
func (o *liveOptions) check() error {
	switch {
	case o.limit < 0:
		return fmt.Errorf("--limit %d: give 0 (all) or more", o.limit)
	case o.duration < 0 || o.interval < 0:
		return errors.New("--duration and --interval take no negative time")
	case o.top:
		if err := o.checkTop(); err != nil {
			return err
		}
	case (o.events || o.interval > 0) && o.format.Events == nil:
		return fmt.Errorf("-o %s has nothing but flows and a summary: for --events and --interval give -o table or -o ndjson", o.format.Name)
	}
	return errors.Join(o.trackOptions.check(), o.keepOptions.check())
}

// config is how the Tracker of one of the workers works.
func (o *liveOptions) config(worker int) analyzer.Config {
	cfg := o.trackOptions.config()
	cfg.Peers = o.format.Peers
	cfg.MaxFlows = max(1, o.maxFlows/o.workers)
	cfg.FirstNumber, cfg.NumberStep = worker, o.workers
	return cfg
}
