package analyzer

import (
	"math/rand/v2"
	"testing"
)

// Every flow that is set is called once, in its time or within a tick of it,
// whatever others are set to, set again, or taken out; also after a long time
// without a look.
func TestWheel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var w wheel
	due := map[uint32]int64{}
	now := int64(1763683200e9)
	for range 20000 {
		id := uint32(1 + r.IntN(500))
		switch r.IntN(4) {
		case 0:
			w.call(id, 0)
			delete(due, id)
		default:
			due[id] = now + r.Int64N(600e9)
			w.call(id, due[id])
		}
		now += r.Int64N(2e9)
		if r.IntN(500) == 0 {
			now += 1000e9
		}
		for id := w.next(now); id != 0; id = w.next(now) {
			if at, set := due[id]; !set || at > now {
				t.Fatalf("flow %d is called at %d, and set to %d (%v)", id, now, at, set)
			}
			delete(due, id)
		}
		for id, at := range due {
			if at < now-wheelTick {
				t.Fatalf("flow %d is set to %d, and not called at %d", id, at, now)
			}
		}
		if w.set != len(due) {
			t.Fatalf("%d flows set, want %d", w.set, len(due))
		}
	}
}
