package analyzer_test

import (
	"slices"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

// unpredicted is a Tracker that predicts nothing.
type unpredicted struct {
	*analyzer.Tracker
	predictable int // how often it might have
}

func (u *unpredicted) Observe(x *analyzer.Segment) {
	u.Tracker.Observe(x)
	u.predictable += analyzer.Predictable(u.Tracker)
	analyzer.Unpredicted(u.Tracker)
}

// A segment that is predicted does what it does when it is not: of each capture
// everything that is said is the same either way.
func TestPredictionChangesNothing(t *testing.T) {
	predictable := 0
	same := func(name string, packets []capture.Packet) {
		var slow *unpredicted
		got := follow(packets, alone)
		want := follow(packets, func(c analyzer.Config) follower {
			slow = &unpredicted{Tracker: analyzer.New(c)}
			return slow
		})
		predictable += slow.predictable
		if slices.Equal(got, want) {
			return
		}
		for i := range min(len(want), len(got)) {
			if got[i] != want[i] {
				t.Errorf("%s: predicted\n%s\nnot predicted\n%s", name, got[i], want[i])
				return
			}
		}
		t.Errorf("%s: %d flows, %d where nothing is predicted", name, len(got), len(want))
	}
	for _, tap := range taps(t) {
		same(tap.name, tap.packets)
	}
	for _, profile := range []string{"mix", "bulk", "resting"} {
		same(profile, generated(t, profile)[:20000])
	}
	if predictable == 0 {
		t.Error("no segment could be predicted")
	}
}
