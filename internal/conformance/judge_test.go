package conformance

import (
	"slices"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// TestJudgeNotices holds the comparison itself to account: an allowance that
// is too wide would let a wrong tracker pass. Each believed transition of each
// side is left out in turn, as a tracker that says too little would, and each
// last one is followed by one too many; the judge must notice nearly all.
func TestJudgeNotices(t *testing.T) {
	var less, lessMissed, more, moreMissed int
	missed := map[analyzer.State]int{}
	for _, truth := range scenarios(t) {
		if len(truth.Connections) > 20 {
			continue // the same few stories again and again
		}
		for _, tap := range truth.TapNames() {
			packets, err := ReadTap(truth.Path(tap))
			if err != nil {
				t.Fatal(err)
			}
			flows := Track(packets)
			before := len(Compare(truth, tap, packets, flows).Disagreements)
			for _, f := range flows {
				record := f.Transitions
				for i, tr := range record {
					if tr.Withdrawn != nil {
						continue
					}
					f.Transitions = withhold(record, i)
					less++
					if len(Compare(truth, tap, packets, flows).Disagreements) == before {
						lessMissed++
						missed[tr.To]++
					}
				}
				f.Transitions = append(slices.Clone(record), analyzer.Transition{Side: 0,
					From: f.State[0], To: analyzer.Closing, Frame: 1 << 40})
				more++
				if len(Compare(truth, tap, packets, flows).Disagreements) == before {
					moreMissed++
				}
				f.Transitions = record
			}
		}
	}
	t.Logf("said too little: %d of %d missed %v; too much: %d of %d missed", lessMissed, less, missed, moreMissed, more)
	// What goes unnoticed are states of an instant (FIN_WAIT_2 and CLOSE_WAIT
	// where FIN and its answer are one exchange on one host) and silent ends.
	if lessMissed*12 > less || moreMissed*20 > more {
		t.Error("the judge is too kind")
	}
}

// withhold leaves transition i out and mends the chain around it.
func withhold(record []analyzer.Transition, i int) []analyzer.Transition {
	out := slices.Delete(slices.Clone(record), i, i+1)
	for j := i; j < len(out); j++ {
		if out[j].Side == record[i].Side && out[j].Withdrawn == nil {
			out[j].From = record[i].From
			break
		}
	}
	return out
}
