package analyzer

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// A steady rate has the same peak however long it lasts, and a burst is found
// among what is steady.
func TestTimelinePeak(t *testing.T) {
	const minute = 60e9
	rng := rand.New(rand.NewPCG(1, 2))
	for _, seconds := range []float64{120, 1200, 3600, 86400} {
		l := timeline[churn, *churn]{span: minute}
		total := 0
		for at := 0.0; at < seconds; at += rng.ExpFloat64() / 20 {
			when := int64(1e18) + int64(at*1e9)
			l.at(when).plus(&churn{n: 1, first: when, last: when})
			total++
		}
		_, n := l.peak()
		if n < 1150 || n > 1350 {
			t.Errorf("%v s of 20/s: %d in a minute, want 1200", seconds, n)
		}
		sum := 0
		for _, w := range l.parts {
			sum += w.v.n
		}
		if sum != total || len(l.parts) > maxParts {
			t.Errorf("%v s: %d in %d parts, want %d", seconds, sum, len(l.parts), total)
		}
		if seconds > 3600 {
			continue // a part is then longer than the burst
		}
		for i := range 3000 {
			when := int64(1e18) + int64(seconds/2*1e9) + int64(i)*1e6
			l.at(when).plus(&churn{n: 1, first: when, last: when})
		}
		if _, n := l.peak(); n < 4000 || n > 4500 {
			t.Errorf("%v s with a burst: %d in a minute, want 4200", seconds, n)
		}
	}
}

// Flows end in another order than they begin.
func TestTimelineOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var times []int64
	for range 5000 {
		times = append(times, int64(1e18)+rng.Int64N(7200e9))
	}
	of := func() (l timeline[closes, *closes]) {
		l.span = 60e9
		for _, at := range times {
			l.at(at).plus(&closes{n: 1, first: at, last: at, frame: uint64(at)})
		}
		return l
	}
	want := of()
	for range 5 {
		rng.Shuffle(len(times), func(i, j int) { times[i], times[j] = times[j], times[i] })
		if got := of(); got.width != want.width || !reflect.DeepEqual(got.parts, want.parts) {
			t.Fatal("the order of the flows changes the sums")
		}
	}
}

// What is like the stretch of an instant is added up as far as it goes on.
func TestTimelineAround(t *testing.T) {
	l := timeline[churn, *churn]{span: 60e9}
	const start = int64(600e9)
	for second := range int64(300) {
		n := 1
		if second >= 100 && second < 200 {
			n = 50
		}
		l.at(start + second*1e9).plus(&churn{n: n})
	}
	l.at(start + 1000e9).plus(&churn{n: 50})
	if sum := l.around(start+150e9, func(c *churn) bool { return c.n > 20 }); sum.n < 5000 || sum.n > 5100 {
		t.Errorf("%d in the hundred seconds of 50/s, and what shares their stretches", sum.n)
	}
}
