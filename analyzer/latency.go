package analyzer

import (
	"math/bits"
	"slices"
)

// Latency is the distribution of a time, kept in buckets that are at most 1/32
// of their value wide. Only buckets that were hit take memory.
type Latency struct {
	N        int
	Min, Max int64 // ns, exact
	// latest are the buckets of the last few values, as they came. They are
	// counted when there are many: by then it is worth to fetch what is known.
	latest  []uint16
	buckets []bucket
}

// maxLatest is how many values wait to be counted.
const maxLatest = 64

type bucket struct {
	index uint16
	n     uint32
}

// latencyBits is how many bits of a value below its highest count.
const latencyBits = 5

// bucketOf numbers the bucket of v: its highest bit and the next latencyBits.
func bucketOf(v int64) uint16 {
	if v < 1<<latencyBits {
		return uint16(v)
	}
	shift := bits.Len64(uint64(v)) - 1 - latencyBits
	return uint16(shift+1)<<latencyBits | uint16(v>>shift)&(1<<latencyBits-1)
}

// middleOf is the value in the middle of a bucket.
func middleOf(index uint16) int64 {
	if index < 1<<latencyBits {
		return int64(index)
	}
	shift := int(index>>latencyBits) - 1
	low := (int64(index)&(1<<latencyBits-1) | 1<<latencyBits) << shift
	return low + 1<<shift/2
}

// add counts a time, ns; a negative one is not known.
func (l *Latency) add(v int64) {
	if v < 0 {
		return
	}
	if l.N == 0 || v < l.Min {
		l.Min = v
	}
	l.Max = max(l.Max, v)
	l.N++
	if len(l.latest) == maxLatest {
		l.count()
	}
	l.latest = append(l.latest, bucketOf(v))
}

// count puts the latest values into their buckets.
func (l *Latency) count() {
	for _, index := range l.latest {
		i := l.find(index)
		if i == len(l.buckets) || l.buckets[i].index != index {
			l.buckets = slices.Insert(l.buckets, i, bucket{index: index})
		}
		l.buckets[i].n++
	}
	l.latest = l.latest[:0]
}

// find returns where a bucket is, or belongs. No processor foretells which half
// it is in, so the loop has no branch on that.
func (l *Latency) find(index uint16) (at int) {
	for n := len(l.buckets); n > 0; {
		half := int(uint(n+1) / 2)
		at += half & ((int(l.buckets[at+half-1].index) - int(index)) >> 63) // -1: below, or 0
		n -= half
	}
	return at
}

// Quantile returns the time, ns, that a share q (0 to 1) of the values does
// not exceed, within 1/64; 0 when there is none.
func (l *Latency) Quantile(q float64) int64 {
	if l.N == 0 {
		return 0
	}
	l.count()
	rank := min(int(q*float64(l.N)), l.N-1)
	for _, b := range l.buckets {
		if rank -= int(b.n); rank < 0 {
			return min(max(middleOf(b.index), l.Min), l.Max)
		}
	}
	return l.Max
}
