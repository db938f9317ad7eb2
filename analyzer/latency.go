package analyzer

import (
	"math"
	"math/bits"
	"slices"
)

// Latency is the distribution of a time, kept in buckets that are at most 1/32
// of their value wide. Only buckets that were hit take memory.
type Latency struct {
	N        int
	Min, Max int64 // ns, exact
	buckets  []bucket
}

type bucket struct {
	index uint16
	n     uint32
}

// latencyBits is how many bits of a value below its highest count.
const latencyBits = 5

// noBucket is that of a time that is not known.
const noBucket = math.MaxUint16

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

// count counts a time by its bucket; Min and Max are the caller's to keep.
func (l *Latency) count(index uint16) {
	if index == noBucket {
		return
	}
	l.N++
	i := l.find(index)
	if i == len(l.buckets) || l.buckets[i].index != index {
		l.buckets = slices.Insert(l.buckets, i, bucket{index: index})
	}
	l.buckets[i].n++
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
	rank := min(int(q*float64(l.N)), l.N-1)
	for _, b := range l.buckets {
		if rank -= int(b.n); rank < 0 {
			return min(max(middleOf(b.index), l.Min), l.Max)
		}
	}
	return l.Max
}
