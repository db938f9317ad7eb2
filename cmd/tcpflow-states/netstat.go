package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// netstatOptions are the flags of netstat.
type netstatOptions struct {
	readOptions
	trackOptions
	outputOptions
	format string
	at     instant
	every  time.Duration
}

// instant is a moment of a capture: so long after its first frame, a time of
// day, or its end.
type instant struct {
	after time.Duration
	time  int64 // ns since 1970-01-01 UTC
	kind  instantKind
}

type instantKind uint8

const (
	atEnd instantKind = iota
	afterStart
	atTime
)

// netstatFormats are what -o takes; sparkline goes with --every.
var netstatFormats = []string{"table", "csv", "sparkline"}

func newNetstat() *cobra.Command {
	o := &netstatOptions{}
	cmd := &cobra.Command{
		Use:   "netstat FILE…",
		Short: "List every socket's state at one instant, or count them over time",
		Long: `Lists the sockets of both sides of every flow as netstat would have on their
hosts at one instant of the capture: listeners that have answered, then
connections, with their state (? what is inferred, ~ what is assumed), for how
long they had been in it, and the flow. With --every, counts them by state at
regular instants instead. States are those that the whole capture shows, what
came later included. Several captures are one, merged by time. - is standard
input.`,
		Example: `  tcpflow-states netstat edge.pcap
  tcpflow-states netstat edge.pcap --at +12s
  tcpflow-states netstat edge.pcap --at 2026-11-21T03:16:07Z
  tcpflow-states netstat edge.pcap --every 10s -o csv`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("which capture? give one, or several: tcpflow-states netstat FILE")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return netstat(o, args) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(&value{kind: "T", text: "end", take: o.at.set}, "at",
		"the instant: +12s after the first frame, a time as in 2026-11-21T03:16:07Z, or end")
	fs.Var(&value{kind: "DUR", take: o.takeEvery}, "every", "count sockets by state at instants so far apart, from the first frame on")
	formatNameFlag(fs, &o.format, netstatFormats)
	o.readOptions.flags(fs)
	o.timerFlags(fs)
	o.outputOptions.flags(fs)
	completeFlags(cmd)
	return cmd
}

func (o *netstatOptions) takeEvery(s string) (err error) {
	if o.every, err = duration(s); err == nil && o.every == 0 {
		err = errors.New("0 is no distance: give 10s, say")
	}
	return err
}

func (t *instant) set(s string) (err error) {
	switch {
	case s == "end":
		*t = instant{}
		return nil
	case strings.HasPrefix(s, "+"):
		t.kind = afterStart
		t.after, err = duration(s[1:])
		return err
	}
	when, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return fmt.Errorf("%q is no instant: give +12s, a time as in 2026-11-21T03:16:07Z, or end", s)
	}
	*t = instant{kind: atTime, time: when.UnixNano()}
	return nil
}

// in returns the instant in a capture whose first frame has been read.
func (t *instant) in(s *capture.Stats) int64 {
	switch t.kind {
	case afterStart:
		return s.FirstTime + int64(t.after)
	case atTime:
		return t.time
	}
	return math.MaxInt64
}

func netstat(o *netstatOptions, args []string) error {
	if o.format == "sparkline" && o.every == 0 {
		return errors.New("-o sparkline draws counts over time: give --every DUR too")
	}
	if err := o.check(); err != nil {
		return err
	}
	all, err := openTogether(args, &o.readOptions, &o.outputOptions)
	if err != nil {
		return err
	}
	s := all.src.Stats()
	var sockets report.Sockets
	census := report.Census{Every: int64(o.every)}
	cfg := o.config()
	cfg.Detectors = []*analyzer.Detector{}
	cfg.OnFlow = func(f *analyzer.Flow) {
		if o.every == 0 {
			sockets.Add(f, o.at.in(s))
			return
		}
		census.First = s.FirstTime
		census.Add(f)
	}
	t := analyzer.New(cfg)
	err = all.in.read(all.src, t, func() bool { return false })
	t.Close()
	s = all.src.Stats()
	if err == nil && s.Frames == 0 {
		err = fmt.Errorf("%s: no frames in it", s.Name)
	}
	return errors.Join(err, o.write(all.out, s, &sockets, &census), all.close())
}

// write writes what was asked for of the capture.
func (o *netstatOptions) write(out *os.File, s *capture.Stats, sockets *report.Sockets, census *report.Census) error {
	if o.every == 0 {
		at := min(o.at.in(s), s.LastTime)
		if o.format == "csv" {
			return sockets.CSV(out, at)
		}
		return sockets.Table(out, at, columns(out), o.color(out))
	}
	if n := (s.LastTime - s.FirstTime) / int64(o.every); n >= report.MaxInstants {
		return fmt.Errorf("--every %v makes %s instants of this capture: at most %s can be counted, so give a longer distance",
			o.every, report.Thousands(int(n)), report.Thousands(report.MaxInstants))
	}
	if census.First == 0 {
		census.First = s.FirstTime
	}
	switch o.format {
	case "csv":
		return census.CSV(out, s.LastTime)
	case "sparkline":
		return census.Sparklines(out, s.LastTime, columns(out))
	}
	return census.Table(out, s.LastTime, columns(out), o.color(out))
}
