package analyzer_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

// Flows that are visited while they are held are what they are, awake or dormant;
// a visit changes nothing of them; and the census is theirs.
func TestEachAndCensus(t *testing.T) {
	packets := generated(t, "mix")[:30000]
	var want []string
	for _, awake := range []int{0, 1, 100} {
		var got []string
		tr := analyzer.New(analyzer.Config{Awake: awake, OnFlow: func(f *analyzer.Flow) { got = append(got, said(f)) }})
		for i := range packets {
			if packets[i].Kind == capture.KindSegment {
				tr.Observe(&packets[i].Segment)
			}
			if i%5000 == 0 {
				visit(t, tr)
			}
		}
		tr.Close()
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d awake: flows differ", awake)
		}
	}
}

// visit visits all flows twice.
func visit(t *testing.T, tr *analyzer.Tracker) {
	t.Helper()
	var first, second []string
	var c analyzer.Census
	tr.Each(func(f *analyzer.Flow) bool {
		first = append(first, said(f))
		c[0][f.Sides[f.Client].State]++
		c[1][f.Sides[f.Server()].State]++
		return true
	})
	tr.Each(func(f *analyzer.Flow) bool {
		second = append(second, said(f))
		return true
	})
	if !slices.Equal(first, second) || len(first) != tr.Totals().Open {
		t.Errorf("%d flows, then %d, and %d are held:\n%s", len(first), len(second), tr.Totals().Open, strings.Join(first[:min(1, len(first))], "\n"))
	}
	pieces(t, tr, first)
	if got := tr.Census(); got != c {
		t.Errorf("census\n%v, want\n%v", got, c)
	}
}

// pieces visits all flows a few at a time, and then each again in its place.
func pieces(t *testing.T, tr *analyzer.Tracker, want []string) {
	t.Helper()
	type found struct {
		number int
		place  uint32
	}
	var got []string
	var all []found
	for next := uint32(1); next != 0; {
		n := 0
		next = tr.EachFrom(next, 7, func(place uint32, f *analyzer.Flow) {
			got, all = append(got, said(f)), append(all, found{f.Number, place})
			n++
		})
		if n > 7 {
			t.Fatalf("%d flows in a piece of 7", n)
		}
	}
	slices.Sort(got)
	if want = slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
		t.Errorf("in pieces %d flows, want %d, or they differ", len(got), len(want))
	}
	for _, in := range all {
		number := -1
		tr.EachFrom(in.place, 1, func(_ uint32, f *analyzer.Flow) { number = f.Number })
		if number != in.number {
			t.Fatalf("place %d: flow %d, want %d", in.place, number, in.number)
		}
	}
	for _, place := range []uint32{1 << 31, ^uint32(0)} { // beyond all that there are
		if next := tr.EachFrom(place, 7, func(uint32, *analyzer.Flow) { t.Error("a flow where none is") }); next != 0 {
			t.Errorf("place %d: goes on at %d", place, next)
		}
	}
}
