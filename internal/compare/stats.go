package compare

import (
	"math"
	"strconv"
)

// Level is the significance level of every test here: what changes by chance is
// said to have changed in one of a hundred comparisons of captures.
const Level = 0.01

// MinSamples is how many values of each capture a rank test takes at the least:
// below it the normal approximation is poor. From 8 and 8 values on, p can be as
// low as 0.001, so that a difference shows among ten listeners.
const MinSamples = 8

// rankTest is the Mann-Whitney U test, two-sided, by the normal approximation
// with the correction for ties and for continuity (Hollander, Wolfe, Chicken:
// Nonparametric Statistical Methods, 3rd edition, 4.1). It asks nothing of the
// shape of the distributions, which latencies would not give.
type rankTest struct {
	u    float64 // pairs of an old and a new value of which the new is greater; of equal ones half
	z, p float64
}

// mannWhitney tests sorted values.
func mannWhitney(old, new []int64) rankTest {
	n, m := float64(len(old)), float64(len(new))
	var u, ties float64
	i, j := 0, 0
	for i < len(old) || j < len(new) {
		v := int64(math.MaxInt64)
		if i < len(old) {
			v = old[i]
		}
		if j < len(new) {
			v = min(v, new[j])
		}
		a, b := equalTo(old[i:], v), equalTo(new[j:], v)
		u += float64(b) * (float64(i) + float64(a)/2)
		t := float64(a + b)
		ties += t*t*t - t
		i, j = i+a, j+b
	}
	all := n + m
	sigma := math.Sqrt(n * m / 12 * (all + 1 - ties/(all*(all-1))))
	r := rankTest{u: u, p: 1}
	if sigma == 0 {
		return r // all values are equal
	}
	off := u - n*m/2
	r.z = math.Copysign(max(math.Abs(off)-0.5, 0), off) / sigma
	r.p = math.Erfc(math.Abs(r.z) / math.Sqrt2)
	return r
}

// equalTo counts the values at the start of a sorted list that are v.
func equalTo(list []int64, v int64) (n int) {
	for n < len(list) && list[n] == v {
		n++
	}
	return n
}

// shift is the Hodges-Lehmann estimate of by how much the new values are greater:
// the median of all differences of a new and an old value, with the interval that
// has it in 95 of 100 cases (Hollander, Wolfe, Chicken, 4.2 and 4.3).
func shift(old, new []int64) (by, low, high int64) {
	pairs := int64(len(old)) * int64(len(new))
	by = middle(difference(old, new, (pairs+1)/2), difference(old, new, pairs/2+1))
	const z95 = 1.959964
	half := z95 * math.Sqrt(float64(pairs)*float64(len(old)+len(new)+1)/12)
	k := max(int64(float64(pairs)/2-half), 1)
	return by, difference(old, new, k), difference(old, new, pairs+1-k)
}

// middle is the mean of two values, of which a is not the greater.
func middle(a, b int64) int64 { return a + (b-a)/2 }

// difference is the k-th smallest, from 1, of all differences of a new and an old
// value, both sorted. Nothing holds the differences: they are counted for one
// bound after the other.
func difference(old, new []int64, k int64) int64 {
	low, high := new[0]-old[len(old)-1], new[len(new)-1]-old[0]
	for low < high {
		mid := middle(low, high)
		if notAbove(old, new, mid) >= k {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// notAbove counts the differences that are d at the most.
func notAbove(old, new []int64, d int64) (n int64) {
	i := 0
	for _, v := range new {
		for i < len(old) && v-old[i] > d {
			i++
		}
		n += int64(len(old) - i)
	}
	return n
}

// fisher is the p of Fisher's exact test, two-sided: how likely counts a of n and
// b of m are, or any that are no likelier, where both shares are the same. The
// weights of the hypergeometric distribution are relative to that of what was
// counted.
func fisher(a, n, b, m int) float64 {
	with := a + b
	least, most := max(0, with-m), min(with, n)
	// R's fisher.test takes what differs by rounding alone as no likelier.
	const asLikely = 1 + 1e-7
	sum, tail := 1.0, 1.0
	count := func(w float64) {
		sum += w
		if w <= asLikely {
			tail += w
		}
	}
	w := 1.0
	for k := a; k < most; k++ {
		w *= float64(n-k) / float64(k+1) * float64(with-k) / float64(m-with+k+1)
		count(w)
	}
	w = 1
	for k := a; k > least; k-- {
		w *= float64(k) / float64(n-k+1) * float64(m-with+k) / float64(with-k+1)
		count(w)
	}
	return tail / sum
}

// holm corrects the p of several tests for their number (Holm: A Simple
// Sequentially Rejective Multiple Test Procedure, 1979): none of them is below
// Level by chance in more than one of a hundred cases. The list is sorted.
func holm(p []float64) {
	least := 0.0
	for i := range p {
		least = max(least, min(1, p[i]*float64(len(p)-i)))
		p[i] = least
	}
}

// quantile is the value that a share q of sorted values does not exceed, by the
// nearest rank, as in the rolls of package analyzer.
func quantile(sorted []int64, q float64) int64 {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// roundP is round3 of a p, which is never nothing: 1e-300 stands for all below.
func roundP(p float64) float64 { return round3(max(p, 1e-300)) }

// round3 leaves three digits, so that what machines compute differently, the
// last bits of erfc(3), is not in the output.
func round3(v float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	return r
}
