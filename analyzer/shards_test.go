package analyzer_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/internal/gen"
)

// follower is a Tracker or Shards.
type follower interface {
	Observe(*analyzer.Segment)
	ObserveUnreachable(*analyzer.Unreachable)
	Close()
}

// said is all that is said of a flow.
func said(f *analyzer.Flow) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %v %d %v %d replaced by %d, %d-%d frames %d %d-%d now %d\n%+v %+v\n",
		f.Number, f.Key, f.Client, f.Guessed, f.Link, f.ReplacedBy, f.Start, f.End, f.Frames, f.FirstFrame, f.LastFrame, f.Now,
		f.Handshake, f.Close)
	for i := range f.Sides {
		e := &f.Sides[i]
		fmt.Fprintf(&b, "%s %s %d %d %d %+v %+v\n", e.State, e.Basis, e.Since, e.LastSent, e.LastData, e.Counters, e.Offered)
	}
	fmt.Fprintf(&b, "%+v\n%+v\n", f.Transitions, f.Remarks)
	fmt.Fprintf(&b, "%s %s %+v\n", f.Zeek.ConnState, f.Zeek.History, f.Wireshark)
	for _, n := range f.Findings {
		n.Detector = nil
		fmt.Fprintf(&b, "%+v\n", n)
	}
	return b.String()
}

// follow gives packets to a Tracker or Shards, and returns what is said of each
// flow, in the order in which they end.
func follow(packets []capture.Packet, start func(analyzer.Config) follower) (list []string) {
	t := start(analyzer.Config{Peers: true, OnFlow: func(f *analyzer.Flow) { list = append(list, said(f)) }})
	for i := range packets {
		switch p := &packets[i]; p.Kind {
		case capture.KindUnreachable:
			t.ObserveUnreachable(&p.Unreachable)
		default:
			t.Observe(&p.Segment)
		}
	}
	t.Close()
	return list
}

func alone(c analyzer.Config) follower { return analyzer.New(c) }

func sharded(workers int) func(analyzer.Config) follower {
	return func(c analyzer.Config) follower { return analyzer.NewShards(c, workers) }
}

// What Shards say does not depend on how many cores they have: every flow, in
// the same order.
func TestShardsAreOne(t *testing.T) {
	for _, profile := range []string{"mix", "healthy", "scan"} {
		packets := generated(t, profile)
		want := follow(packets, sharded(1))
		if i := different(follow(packets, alone), want); i != "" {
			t.Errorf("%s: Shards and a Tracker differ: %s", profile, i)
		}
		for _, workers := range []int{2, 3, 8} {
			if !slices.Equal(follow(packets, sharded(workers)), want) {
				t.Errorf("%s: %d workers say something else than one", profile, workers)
			}
		}
	}
}

// The text that workers make is handed on with its flow.
func TestShardsRender(t *testing.T) {
	packets := generated(t, "mix")
	want := follow(packets, sharded(1))
	var got []string
	follow(packets, func(c analyzer.Config) follower {
		s := analyzer.NewShards(c, 3)
		s.Render(func(b []byte, f *analyzer.Flow) []byte {
			if f.Number%7 == 0 {
				return b // nothing
			}
			return append(b, said(f)...)
		}, func(f *analyzer.Flow, text []byte) {
			if f.Number%7 == 0 && len(text) == 0 {
				text = []byte(said(f))
			}
			got = append(got, string(text))
		})
		return s
	})
	if !slices.Equal(got, want) {
		t.Error("the texts are not those of the flows")
	}
}

// Of a capture that is one batch they say what a Tracker does.
func TestShardsAreATracker(t *testing.T) {
	for _, tap := range taps(t) {
		want, got := follow(tap.packets, alone), follow(tap.packets, sharded(2))
		for i := range min(len(want), len(got)) {
			if want[i] != got[i] {
				t.Errorf("%s\n tracker %s\n shards  %s", tap.name, want[i], got[i])
				break
			}
		}
		if len(want) != len(got) {
			t.Errorf("%s: %d flows of a Tracker, %d of Shards", tap.name, len(want), len(got))
		}
	}
}

// different returns the first flow of which two lists say something else, but for
// the numbers of flows.
func different(a, b []string) string {
	unnumbered := func(list []string) (out []string) {
		for _, s := range list {
			_, s, _ = strings.Cut(s, " ")
			before, after, _ := strings.Cut(s, "replaced by ")
			by, rest, _ := strings.Cut(after, ",")
			out = append(out, before+fmt.Sprint(by == "-1")+rest)
		}
		return out
	}
	a, b = unnumbered(a), unnumbered(b)
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] + "\nand\n" + b[i]
		}
	}
	if len(a) != len(b) {
		return fmt.Sprintf("%d and %d flows", len(a), len(b))
	}
	return ""
}

// generated are the packets of a generated capture of several batches.
func generated(t *testing.T, profile string) (packets []capture.Packet) {
	t.Helper()
	var file bytes.Buffer
	cfg := gen.Config{Profile: profile, Packets: 60000, Seed: 7}
	if _, err := gen.Write(&file, cfg); err != nil {
		t.Fatal(err)
	}
	src, err := capture.NewReader(&file, profile, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		var p capture.Packet
		if src.Next(&p) != nil {
			return packets
		}
		packets = append(packets, p)
	}
}
