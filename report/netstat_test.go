package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// The census adds changes up; asking each flow for its state at each instant
// must give the same counts.
func TestCensusIsStateAt(t *testing.T) {
	flows := fixture()
	first, last := flows[0].Start, flows[0].End
	for _, f := range flows {
		first, last = min(first, f.Start), max(last, f.End)
	}
	for _, every := range []int64{1e6, 7e8, 11e9, 1e12} {
		c := Census{First: first, Every: every}
		for _, f := range flows {
			c.Add(f)
		}
		if (last-first)/every > MaxInstants {
			t.Fatalf("%d instants: make the fixture shorter", (last-first)/every)
		}
		counts, _ := c.instants(last)
		for i, got := range counts {
			at := first + int64(i)*every
			if want := countAt(flows, at); got != want {
				t.Fatalf("every %d, instant %d: counted %v, want %v", every, i, got, want)
			}
		}
	}
}

func countAt(flows []*analyzer.Flow, at int64) (n [analyzer.NumStates]int) {
	for _, f := range flows {
		for s := range analyzer.Side(2) {
			if st, _, _ := f.StateAt(s, at); f.Start <= at && st > analyzer.Listen {
				n[st]++
			}
		}
	}
	return n
}

// An instant before the first frame, or a capture without flows, has no
// sockets, and no table is drawn of them.
func TestNoSockets(t *testing.T) {
	var s Sockets
	for _, f := range fixture() {
		s.Add(f, f.Start-1)
	}
	var out bytes.Buffer
	if err := s.Table(&out, 0, 80, false); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "0 sockets at 1970-01-01 00:00:00.000 UTC\n" {
		t.Errorf("got %q", got)
	}
}

// More instants than fit are drawn in as many marks as do, the highest of
// those that share one.
func TestSparklineFits(t *testing.T) {
	c := Census{First: 0, Every: 1}
	c.count(analyzer.Established, 0, 1)
	c.count(analyzer.Established, 500, 7)
	c.count(analyzer.Established, 501, -7)
	var out bytes.Buffer
	if err := c.Sparklines(&out, 999, 30); err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(out.String(), "\n")
	if want := "ESTABLISHED       8 ▁▁▁▁▁█▁▁▁▁"; line != want {
		t.Errorf("got  %q\nwant %q", line, want)
	}
}
