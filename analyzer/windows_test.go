package analyzer

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// What is counted does not depend on the order, and the row stays in the order
// of time.
func TestWindows(t *testing.T) {
	count := func(at []int64) (w windows[int]) {
		for _, t := range at {
			*w.at(t, func(n *int) int { return *n }, nil)++
		}
		return w
	}
	at := make([]int64, 500)
	for i := range at {
		at[i] = 1e18 + rand.Int64N((maxWindows-1)*windowWidth)
	}
	want := count(at)
	rand.Shuffle(len(at), func(i, j int) { at[i], at[j] = at[j], at[i] })
	if got := count(at); !slices.Equal(got, want) {
		t.Errorf("in another order %v, not %v", got, want)
	}
	sum := 0
	for i, x := range want {
		if sum += x.v; i > 0 && x.from <= want[i-1].from || x.from%windowWidth != 0 {
			t.Errorf("window %d begins at %d", i, x.from)
		}
	}
	if sum != len(at) {
		t.Errorf("counted %d of %d", sum, len(at))
	}
}

// The least troubled windows make room, and a span is one of time, not of
// windows.
func TestWindowsAreBounded(t *testing.T) {
	var w windows[int]
	id, gone := func(n *int) int { return *n }, 0
	leave := func(n *int) { gone += *n }
	for i := range int64(100) {
		*w.at(i*windowWidth, id, leave) = 1
		if i == 5 || i == 6 || i == 8 {
			*w.at(i*windowWidth, id, leave) = 50
		}
	}
	if len(w) != maxWindows || gone != 100-maxWindows || w[0] != (window[int]{5 * windowWidth, 50}) || w[2].from != 8*windowWidth {
		t.Fatalf("%d windows: %v", len(w), w)
	}
	if got := w.upTo(2, 3*windowWidth); len(got) != 2 || got[0].from != 6*windowWidth {
		t.Errorf("up to the third: %v", got)
	}
}
