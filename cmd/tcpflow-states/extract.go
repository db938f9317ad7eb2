package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/internal/evidence"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// extractOptions are the flags of extract.
type extractOptions struct {
	readOptions
	trackOptions
	filterOptions
	outputOptions
	write    string
	from, to instant
}

func newExtract() *cobra.Command {
	o := &extractOptions{}
	cmd := &cobra.Command{
		Use:   "extract FILE -w OUT",
		Short: "Copy the packets of chosen connections to a capture of their own",
		Long: `Writes the packets of the flows that match, untouched, to a new capture: pcapng,
with what was found as comments on the packets of the evidence, or pcap where the
name of OUT ends in .pcap. ICMP errors that quote a chosen flow go with it. With
--from and --to alone, everything within these times is copied.

The capture is read three times, so it must be a file. Of an IP datagram that came
in fragments only the fragment that completes it is copied.`,
		Example: `  tcpflow-states extract big.pcap --finding stuck-close-wait -w leak.pcapng
  tcpflow-states extract big.pcap --flow 17 -w one.pcap
  tcpflow-states extract big.pcap --from +10s --to +20s -w cut.pcapng`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("extract takes one capture, not %d: tcpflow-states extract FILE -w OUT", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return extract(o, args[0]) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&o.write, "write", "w", "", "write the packets to `OUT`: pcapng, or pcap where the name ends so")
	fs.Var(&value{kind: "T", take: o.from.set}, "from", "from this instant on: +12s after the first frame, or a time as in 2026-11-21T03:16:07Z")
	fs.Var(&value{kind: "T", text: "end", take: o.to.set}, "to", "up to this instant")
	o.filterOptions.flags(fs)
	o.readOptions.flags(fs)
	o.trackOptions.flags(fs)
	fs.BoolVarP(&o.quiet, "quiet", "q", false, "no progress and no remarks on standard error, errors only")
	completeFlags(cmd)
	return cmd
}

// extraction is one run of extract.
type extraction struct {
	o        *extractOptions
	in       *inputs
	chosen   map[int]bool          // numbers of the flows
	keys     map[analyzer.Key]bool // and what they are of
	flows    map[int]bool          // of these pairs that came to be flows
	comments map[uint64][]string   // by frame
	frames   bitset
	copied   uint64
	first    *capture.Stats
}

func extract(o *extractOptions, name string) error {
	switch {
	case o.write == "":
		return errors.New("where to? give -w OUT: tcpflow-states extract " + name + " -w OUT.pcapng")
	case growing(name):
		return fmt.Errorf("%s is a pipe: extract reads its capture more than once: save it to a file first", title(name))
	}
	if err := o.check(); err != nil {
		return err
	}
	in, stop, err := newInputs([]string{name}, &o.readOptions, !o.quiet)
	if err != nil {
		return err
	}
	defer stop()
	x := &extraction{o: o, in: in, chosen: map[int]bool{}, keys: map[analyzer.Key]bool{}, flows: map[int]bool{},
		comments: map[uint64][]string{}}
	trouble := x.choose()
	if x.first == nil {
		return trouble
	}
	if x.marked() {
		if err := x.find(); err != nil && trouble == nil {
			trouble = err
		}
	}
	if err := x.copy(); err != nil {
		return errors.Join(trouble, err)
	}
	if !o.quiet {
		x.remark()
	}
	return trouble
}

// remark says what was copied.
func (x *extraction) remark() {
	text := report.Thousands(x.copied) + " of " + report.Thousands(x.first.Frames) + " frames"
	if x.marked() {
		text += ", " + report.Thousands(len(x.chosen)) + " of " + report.Thousands(len(x.flows)) + " flows"
	}
	fmt.Fprintf(os.Stderr, "tcpflow-states: %s: %s copied to %s\n", report.Clean(x.in.names[0]), text, report.Clean(x.o.write))
}

// marked reports whether flows are chosen, and not all that was captured.
func (x *extraction) marked() bool { return x.o.onFlows() || x.o.onFindings() }

// track takes the capture through a Tracker.
func (x *extraction) track(options capture.Options, cfg analyzer.Config, icmp func(*analyzer.Unreachable)) (*capture.Stats, error) {
	src, err := x.in.open(x.in.names[0], options)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	t := analyzer.New(cfg)
	var p capture.Packet
	for err == nil && !x.in.stopped.Load() {
		if err = src.Next(&p); err != nil {
			break
		}
		if p.Kind == capture.KindSegment {
			t.Observe(&p.Segment)
			continue
		}
		t.ObserveUnreachable(&p.Unreachable)
		if icmp != nil {
			icmp(&p.Unreachable)
		}
	}
	t.Close()
	if err == nil {
		err = errInterrupted
	}
	return src.Stats(), x.in.end(src, err)
}

// choose finds the flows that match, and what there is to say of them.
func (x *extraction) choose() (err error) {
	cfg := x.o.config()
	cfg.OnFlow = func(f *analyzer.Flow) {
		x.flows[f.Number] = true
		if !x.o.wants(f) {
			return
		}
		matched := !x.o.onFindings()
		for i := range f.Findings {
			n := &f.Findings[i]
			if !x.o.wantsFinding(n) {
				continue
			}
			matched = true
			if n.Frame != 0 {
				x.comments[n.Frame] = append(x.comments[n.Frame], report.Clean(evidence.Sentence(f, n)))
			}
		}
		if matched {
			x.chosen[f.Number], x.keys[f.Key] = true, true
		}
	}
	x.first, err = x.track(x.in.options, cfg, nil)
	return err
}

// find marks the frames of the chosen flows. What looked like a flow and came
// to be none is part of the flow that it came upon.
func (x *extraction) find() error {
	cfg := x.o.config()
	cfg.Detectors = []*analyzer.Detector{}
	cfg.OnStep = func(s *analyzer.Step) {
		if n := s.Flow.Number; x.chosen[n] || !x.flows[n] && x.keys[s.Flow.Key] {
			x.frames.set(s.Segment.Frame)
		}
	}
	_, err := x.track(x.in.options, cfg, func(u *analyzer.Unreachable) {
		k, _ := analyzer.KeyOf(&analyzer.Segment{Src: u.Src, Dst: u.Dst, SrcPort: u.SrcPort, DstPort: u.DstPort, Path: u.Path})
		if x.keys[k] {
			x.frames.set(u.Frame)
		}
	})
	return err
}

// copy writes the marked frames, or all, within the times asked for.
func (x *extraction) copy() error {
	out, err := create("--write", x.o.write, x.in.names)
	if err != nil {
		return err
	}
	w := capture.NewWriter(out)
	if strings.EqualFold(filepath.Ext(x.o.write), ".pcap") {
		w = capture.NewPcapWriter(out)
	}
	options := x.in.options
	options.Window = 32 << 20 // any frame lies in it whole
	from, to := x.o.from.in(x.first), x.o.to.in(x.first)
	if x.o.from.kind == atEnd {
		from = x.first.FirstTime
	}
	marked := x.marked()
	options.OnFrame = func(f *capture.Frame) {
		if f.Time < from || f.Time > to || marked && !x.frames.has(f.Number) || err != nil {
			return
		}
		err = w.Write(f, x.comments[f.Number])
		x.copied++
	}
	src, openErr := x.in.open(x.in.names[0], options)
	if openErr != nil {
		return openErr
	}
	defer src.Close()
	var p capture.Packet
	for src.Next(&p) == nil && err == nil && !x.in.stopped.Load() {
	}
	if err := errors.Join(err, w.Close(), out.Close()); err != nil {
		return fmt.Errorf("--write %s: %w", x.o.write, err)
	}
	return nil
}

// bitset is a set of frame numbers.
type bitset []uint64

func (b *bitset) set(n uint64) {
	for uint64(len(*b)) <= n/64 {
		*b = append(*b, 0)
	}
	(*b)[n/64] |= 1 << (n % 64)
}

func (b bitset) has(n uint64) bool { return n/64 < uint64(len(b)) && b[n/64]>>(n%64)&1 != 0 }
