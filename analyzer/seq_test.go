package analyzer

import (
	"math/rand/v2"
	"testing"
)

func TestSeqOrder(t *testing.T) {
	const top = ^Seq(0)
	for _, c := range []struct {
		why  string
		a, b Seq
		less bool
	}{
		{"plain order", 1, 2, true},
		{"equal is not less", 7, 7, false},
		{"the wrap: 2^32-1 comes before 0", top, 0, true},
		{"and 0 not before 2^32-1", 0, top, false},
		{"just under half the circle ahead", 0, 1<<31 - 1, true},
		{"just under half the circle ahead, over the wrap", top, 1<<31 - 2, true},
		{"more than half ahead is behind", 0, 1<<31 + 1, false},
	} {
		if got := c.a.Less(c.b); got != c.less {
			t.Errorf("%s: %d.Less(%d) = %v", c.why, c.a, c.b, got)
		}
	}
}

// Order and distance depend on the difference only: moving both numbers by
// any constant changes nothing.
func TestSeqMoves(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 10000 {
		a := Seq(r.Uint32())
		n := r.Uint32() % (1 << 31)
		by := r.Uint32()
		b := a.Add(n)
		if a.Distance(b) != int32(n) || b.Distance(a) != -int32(n) {
			t.Fatalf("distance of %d and %d: %d", a, b, a.Distance(b))
		}
		if a.Less(b) != a.Add(by).Less(b.Add(by)) || a.LessEq(b) != !b.Less(a) {
			t.Fatalf("order of %d and %d changes when both move by %d", a, b, by)
		}
		if a.Max(b) != b || b.Max(a) != b {
			t.Fatalf("Max(%d, %d)", a, b)
		}
	}
}
