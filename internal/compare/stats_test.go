package compare

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func sorted(list ...int64) []int64 {
	slices.Sort(list)
	return list
}

// The examples of three manuals.
func TestMannWhitneyOfManuals(t *testing.T) {
	// SciPy's manual of scipy.stats.mannwhitneyu, method="asymptotic".
	males, females := sorted(19, 22, 16, 29, 24), sorted(20, 11, 17, 12)
	r := mannWhitney(females, males)
	near(t, "U of males", r.u, 17, 0)
	near(t, "p", r.p, 0.11134688653314041, 1e-15)
	if back := mannWhitney(males, females); back.u != 3 || back.p != r.p || back.z != -r.z {
		t.Errorf("the other way round: %+v, was %+v", back, r)
	}

	// R's manual of wilcox.test: Ozone of May and August in airquality, with
	// ties. W = 127.5, p-value = 0.0001208.
	may := sorted(41, 36, 12, 18, 28, 23, 19, 8, 7, 16, 11, 14, 18, 14, 34, 6, 30, 11, 1, 11, 4, 32, 23, 45, 115, 37)
	august := sorted(39, 9, 16, 78, 35, 66, 122, 89, 110, 44, 28, 65, 22, 59, 23, 31, 44, 21, 9, 45, 168, 73, 76, 118, 84, 85)
	r = mannWhitney(august, may)
	near(t, "W of May", r.u, 127.5, 0)
	near(t, "p", r.p, 0.0001208, 5e-8)

	// Hollander and Wolfe, example 4.1 and R's manual: W = 35 and a shift of
	// 0.305; here in hundredths.
	early := sorted(115, 88, 90, 74, 121)
	term := sorted(80, 83, 189, 104, 145, 138, 191, 164, 73, 146)
	near(t, "W", mannWhitney(early, term).u, 35, 0)
	by, low, high := shift(early, term)
	if by != 30 { // the mean of two differences, 30.5, rounded down to a whole
		t.Errorf("shift by %d, want 30", by)
	}
	if low >= by || high <= by || low > 0 {
		t.Errorf("shift by %d within %d to %d", by, low, high)
	}
}

func TestMannWhitneyOfNothingNew(t *testing.T) {
	same := sorted(5, 5, 5, 5, 5, 5, 5, 5)
	if r := mannWhitney(same, same); r.p != 1 || r.z != 0 || r.u != 32 {
		t.Errorf("equal values: %+v", r)
	}
	by, low, high := shift(same, same)
	if by != 0 || low != 0 || high != 0 {
		t.Errorf("equal values: shift by %d, %d to %d", by, low, high)
	}
}

// What is found without holding the differences is what sorting them all gives.
func TestShiftIsTheMedianOfAllDifferences(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		old, new := make([]int64, 1+r.IntN(30)), make([]int64, 1+r.IntN(30))
		var all []int64
		for i := range old {
			old[i] = r.Int64N(50) - 10
		}
		for j := range new {
			new[j] = r.Int64N(50)
			for _, v := range old {
				all = append(all, new[j]-v)
			}
		}
		slices.Sort(old)
		slices.Sort(new)
		slices.Sort(all)
		for k := range all {
			if got := difference(old, new, int64(k+1)); got != all[k] {
				t.Fatalf("difference %d of %v and %v: %d, want %d", k+1, old, new, got, all[k])
			}
		}
		if by, _, _ := shift(old, new); by != middle(all[(len(all)-1)/2], all[len(all)/2]) {
			t.Fatalf("shift of %v and %v: %d", old, new, by)
		}
	}
}

// R's manual of fisher.test: Convictions and TeaTasting.
func TestFisherOfManual(t *testing.T) {
	near(t, "convictions", fisher(2, 17, 10, 13), 0.0005367, 5e-8)
	near(t, "tea", fisher(3, 4, 1, 4), 0.4857, 5e-5)
	near(t, "nothing", fisher(0, 10, 0, 20), 1, 0)
	near(t, "all", fisher(10, 10, 20, 20), 1, 0)
	if p := fisher(0, 100_000, 100_000, 100_000); p != 0 {
		t.Errorf("p of all against none is %v", p)
	}
}

// The p of many tests is that of Holm's paper: p times the tests that are left.
func TestHolm(t *testing.T) {
	p := []float64{0.001, 0.01, 0.02, 0.9}
	holm(p)
	for i, want := range []float64{0.004, 0.03, 0.04, 0.9} {
		near(t, "p", p[i], want, 1e-12)
	}
}

// Captures of one and the same service differ, by the test, as rarely as Level
// says, and a service that is slower by a fifth of the spread is found.
func TestRankTestErrs(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	draw := func(n int, more int64) []int64 {
		list := make([]int64, n)
		for i := range list {
			list[i] = int64(r.ExpFloat64()*1e6) + more
		}
		slices.Sort(list)
		return list
	}
	const runs = 2000
	wrong, found := 0, 0
	for range runs {
		if mannWhitney(draw(30, 0), draw(40, 0)).p < Level {
			wrong++
		}
		if mannWhitney(draw(200, 0), draw(200, 500_000)).p < Level {
			found++
		}
	}
	if wrong > runs*2*Level || found < runs*9/10 {
		t.Errorf("of %d: %d differ by chance, %d are found", runs, wrong, found)
	}
}
