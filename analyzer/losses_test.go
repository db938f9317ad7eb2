package analyzer

import (
	"math"
	"testing"
)

// One frame in a thousand is tolerated; stretches that follow each other are one;
// what nobody lost much in leaves no trace, and parts those around it.
func TestLosses(t *testing.T) {
	var ls losses
	for _, c := range []struct {
		why  string
		loss Loss
		kept int
		last Loss
	}{
		{"tolerated", Loss{0, 10, 1000, 1}, 0, Loss{}},
		{"nothing came", Loss{10, 20, 0, 0}, 0, Loss{}},
		{"one too many", Loss{20, 30, 999, 1}, 1, Loss{20, 30, 999, 1}},
		{"it goes on", Loss{30, 40, 100, 50}, 1, Loss{20, 40, 1099, 51}},
		{"then nothing", Loss{40, 50, 100, 0}, 1, Loss{20, 40, 1099, 51}},
		{"another", Loss{50, 60, 10, 10}, 2, Loss{50, 60, 10, 10}},
		{"the clock was set back", Loss{45, 48, 10, 10}, 2, Loss{45, 60, 20, 20}},
		{"counts that contradict each other", Loss{80, 70, 3, math.MaxUint64}, 3, Loss{70, 70, math.MaxUint64, math.MaxUint64}},
	} {
		ls.take(c.loss.checked())
		if len(ls.much) != c.kept || c.kept > 0 && ls.much[c.kept-1] != c.last {
			t.Fatalf("%s: %+v", c.why, ls.much)
		}
	}
	if got := ls.between(41, 44); got.Dropped != 0 {
		t.Errorf("between two: %s", got.String())
	}
	if got := ls.between(35, 45); got != (Loss{20, 60, 1119, 71}) {
		t.Errorf("in both: %+v", got)
	}
}

// However often frames are dropped, what is kept is bounded; the youngest
// stretches stay as they are, and no loss is forgotten.
func TestLossesBounded(t *testing.T) {
	var ls losses
	const n = 10 * maxLosses
	for i := range int64(n) {
		ls.take(Loss{10 * i, 10*i + 5, 100, 1})
	}
	if len(ls.much) != maxLosses || ls.much[0].From != 0 || ls.much[1] != (Loss{10 * (n - maxLosses + 1), 10*(n-maxLosses+1) + 5, 100, 1}) {
		t.Errorf("%d kept, from %+v and %+v on", len(ls.much), ls.much[0], ls.much[1])
	}
	if got := ls.between(0, 10*n); got.Frames != 100*n || got.Dropped != n {
		t.Errorf("in all %+v", got)
	}
}

// A finding that somebody waits for is doubtful as soon as the loss is known; and
// of the flow of one Tracker, what another one's host lost is nothing.
func TestLoseBeforeTold(t *testing.T) {
	doubt := func(lost bool) string {
		told := "none"
		tr := New(Config{OnFinding: func(_ *Flow, n *Finding) {
			if n.Detector == stuckCloseWait {
				told = n.Doubt
			}
		}})
		const sec = int64(1e9)
		x := Segment{Src: AddrFrom4([4]byte{10, 0, 0, 1}), Dst: AddrFrom4([4]byte{10, 0, 0, 2}), SrcPort: 40000, DstPort: 80, Window: 65535}
		y := x
		y.Src, y.Dst, y.SrcPort, y.DstPort = x.Dst, x.Src, x.DstPort, x.SrcPort
		for i, s := range []struct {
			x    *Segment
			f    Flags
			q, a Seq
		}{{&x, SYN, 100, 0}, {&y, SYN | ACK, 300, 101}, {&x, ACK, 101, 301}, {&x, FIN | ACK, 101, 301}, {&y, ACK, 301, 102}} {
			s.x.Frame, s.x.Time, s.x.Flags, s.x.Seq, s.x.Ack = uint64(i+1), sec+int64(i)*1e6, s.f, s.q, s.a
			tr.Observe(s.x)
		}
		if lost {
			tr.Lose(Loss{From: 2 * sec, To: 3 * sec, Frames: 50000, Dropped: 1234})
		}
		tr.Advance(100 * sec)
		return told
	}
	if got := doubt(true); got != "the capturing host dropped 1234 of 50000 frames meanwhile" {
		t.Errorf("with a loss: %q", got)
	}
	if got := doubt(false); got != "" {
		t.Errorf("without: %q", got)
	}
}
