package tcpflowtest

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/capture/filter"
)

// Options say what is captured or read, and how flows are judged. The zero value
// works.
type Options struct {
	// Interface is what Capture captures on: "lo" when empty. It is looked up in
	// the network namespace of the calling goroutine's thread.
	Interface string

	// Port leaves only connections of this port, on either side; 0 leaves all.
	Port uint16

	// Filter leaves only the frames that match a tcpdump expression, as in
	// "host 10.0.0.1". With Port, both must hold.
	Filter string

	// StuckAfter is how long a side has been silent in a state before a finding
	// says that it is stuck. 0: whatever is unfinished at the end is, as with
	// --stuck-after 0.
	StuckAfter time.Duration

	// Profile is the operating system whose timers are assumed; nil is the first
	// of analyzer.Profiles.
	Profile *analyzer.Profile

	// Required makes it fatal, not a reason to skip, when capturing is not
	// possible: for a CI job that must not be green without.
	Required bool

	// Quiet is how long nothing must have come before Stop ends a capture, so
	// that what the service still sends is in it: 100 ms when 0. Stop waits for 20
	// times as long at the most.
	Quiet time.Duration

	// Keep names a file that the capture (pcapng) is left in if the test fails;
	// nothing is written when it is empty.
	Keep string
}

// defaultQuiet is Options.Quiet when that is 0, and quietPatience how many times
// as long is waited for.
const (
	defaultQuiet  = 100 * time.Millisecond
	quietPatience = 20
)

// Read reads a capture file with the zero Options. What is wrong with the file is
// fatal to the test.
func Read(t testing.TB, file string) *Flows {
	t.Helper()
	return Options{}.Read(t, file)
}

// Read reads a capture file: pcap, pcapng or snoop, also compressed. Of the
// Options, those about capturing (Interface, Required, Quiet, Keep) have no
// meaning. What is wrong with the file, or with the Options, is fatal to the test.
func (o Options) Read(t testing.TB, file string) *Flows {
	t.Helper()
	var options capture.Options
	var err error
	if options.Filter, err = o.parse(filter.Options{}); err != nil {
		t.Fatalf("tcpflowtest: %v", err)
	}
	src, err := capture.Open(file, options)
	if err != nil {
		t.Fatalf("tcpflowtest: %v", err)
	}
	defer src.Close()
	w := o.watch()
	if err := w.read(src, func() {}); err != nil {
		t.Fatalf("tcpflowtest: %v", err)
	}
	w.tracker.Close()
	return w.flows(t, file)
}

// parse makes the filter of the options, nil without one. ICMP errors are let
// through for all ports: it is the tracker that knows what they are about.
func (o *Options) parse(of filter.Options) (*filter.Filter, error) {
	expression := o.Filter
	if o.Port != 0 {
		expression = fmt.Sprintf("(tcp port %d or icmp or icmp6)", o.Port)
		if o.Filter != "" {
			expression += " and (" + o.Filter + ")"
		}
	}
	if expression == "" {
		return nil, nil
	}
	f, err := filter.Parse(expression, of)
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", expression, err)
	}
	return f, nil
}

// watch returns what follows flows as the options say.
func (o *Options) watch() *watch {
	w := new(watch)
	limits := new(analyzer.Limits)
	for s := range limits {
		limits[s] = o.StuckAfter
	}
	w.tracker = analyzer.New(analyzer.Config{Profile: o.Profile, Stuck: limits, OnFlow: w.keep})
	return w
}

// watch follows the flows of one source.
type watch struct {
	tracker *analyzer.Tracker
	ended   []*analyzer.Flow
}

// read reads a source to its end, and calls came for each packet.
func (w *watch) read(src capture.Source, came func()) error {
	var p capture.Packet
	for {
		err := src.Next(&p)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		switch p.Kind {
		case capture.KindSegment:
			came()
			w.tracker.Observe(&p.Segment)
		case capture.KindUnreachable:
			came()
			w.tracker.ObserveUnreachable(&p.Unreachable)
		case capture.KindTick:
			w.tracker.Advance(p.Tick)
		}
	}
}

// keep keeps a flow that has ended: the Tracker uses its memory again.
func (w *watch) keep(f *analyzer.Flow) {
	kept := new(analyzer.Flow)
	*kept = *f
	kept.Transitions = append([]analyzer.Transition(nil), f.Transitions...)
	for i := range kept.Transitions {
		if t := &kept.Transitions[i]; t.Withdrawn != nil {
			why := *t.Withdrawn
			t.Withdrawn = &why
		}
	}
	kept.Remarks = append([]analyzer.Remark(nil), f.Remarks...)
	kept.Findings = append([]analyzer.Finding(nil), f.Findings...)
	if f.Unreached != nil {
		unreached := *f.Unreached
		kept.Unreached = &unreached
	}
	w.ended = append(w.ended, kept)
}
