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
	if got := tr.Census(); got != c {
		t.Errorf("census\n%v, want\n%v", got, c)
	}
}
