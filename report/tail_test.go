package report

import (
	"bytes"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// The end of a flow that goes on: what was not drawn from the beginning stands as
// lines before it, and where both sides are now below.
func TestLadderTailGolden(t *testing.T) {
	all := fixtureLadder()
	for _, c := range []struct {
		name, why string
		steps     []rung
	}{
		{"none", "the flow was opened just now: changes alone", nil},
		{"last", "it was opened late: what came before its first step are changes", all.steps[len(all.steps)-2:]},
		{"all", "it was opened before its first segment", all.steps},
	} {
		t.Run(c.name, func(t *testing.T) {
			var buf bytes.Buffer
			if err := (&Ladder{steps: c.steps}).WriteTail(&buf, halfClosed(), 80, "now"); err != nil {
				t.Fatal(err)
			}
			golden(t, "ladder-tail-"+c.name+".golden", buf.Bytes())
			harmless(t, buf.String(), false)
			fits(t, buf.String(), 80)
		})
	}
}

// However long a flow goes on, its Ladder stays small, and has its last segments.
func TestLadderKeep(t *testing.T) {
	var l Ladder
	x := &analyzer.Segment{}
	for i := range 1000 {
		x.Frame = uint64(i)
		l.Step(&analyzer.Step{Segment: x})
		l.Keep(10)
		n := len(l.steps)
		if n >= 20 || n < min(i+1, 10) || l.steps[n-1].frame != uint64(i) || l.steps[0].frame != uint64(i-n+1) {
			t.Fatalf("after frame %d: %d steps, frames %d to %d", i, n, l.steps[0].frame, l.steps[n-1].frame)
		}
	}
	if c := cap(l.steps); c > 64 {
		t.Errorf("room for %d steps", c)
	}
}
