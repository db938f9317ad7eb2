package analyzer

import (
	"slices"
	"sort"
)

// timeline adds up what happened over time, to find the span in which most
// did. It holds a bounded number of stretches, as fine as they can be: when
// there are too many, each two become one. So nothing has to make room, and
// what it says does not depend on the order in which flows end.
type timeline[T any, P summed[T]] struct {
	span  int64 // ns, over which peak adds up
	width int64 // of a stretch, ns: span/perSpan, doubled as often as needed
	parts []window[T]
}

// summed is what a timeline adds up.
type summed[T any] interface {
	*T
	plus(*T)
	count() int
}

const (
	// perSpan is how many stretches make a span: a peak may miss one of them.
	perSpan = 8
	// maxParts bounds a timeline's stretches.
	maxParts = 128
)

// at returns the sum that an instant counts in; it is valid until the next
// call.
func (l *timeline[T, P]) at(when int64) *T {
	if l.width == 0 {
		l.width = max(1, l.span/perSpan)
	}
	for {
		i, there := l.find(when)
		if !there && len(l.parts) == maxParts {
			l.coarsen()
			continue
		}
		if !there {
			l.parts = slices.Insert(l.parts, i, window[T]{from: when - when%l.width})
		}
		return &l.parts[i].v
	}
}

// find returns where the stretch of an instant is, or belongs: most often the
// last one, or behind it.
func (l *timeline[T, P]) find(when int64) (int, bool) {
	from := when - when%l.width
	if last := len(l.parts) - 1; last >= 0 && l.parts[last].from <= from {
		if l.parts[last].from == from {
			return last, true
		}
		return last + 1, false
	}
	i := sort.Search(len(l.parts), func(i int) bool { return l.parts[i].from >= from })
	return i, i < len(l.parts) && l.parts[i].from == from
}

// coarsen makes the stretches twice as wide.
func (l *timeline[T, P]) coarsen() {
	l.width *= 2
	kept := l.parts[:0]
	for _, w := range l.parts {
		w.from -= w.from % l.width
		if n := len(kept); n > 0 && kept[n-1].from == w.from {
			P(&kept[n-1].v).plus(&w.v)
		} else {
			kept = append(kept, w)
		}
	}
	clear(l.parts[len(kept):])
	l.parts = kept
}

// peak returns the largest sum of a span, and how many that is in a span: all
// of them, unless a single stretch is longer.
func (l *timeline[T, P]) peak() (sum T, n int) {
	lo, most := 0, 0
	for i := range l.parts {
		for l.parts[i].from-l.parts[lo].from >= max(l.span, l.width) {
			lo++
		}
		var s T
		for j := lo; j <= i; j++ {
			P(&s).plus(&l.parts[j].v)
		}
		if c := P(&s).count(); c > most {
			sum, most = s, c
		}
	}
	if l.width > l.span {
		return sum, int(float64(most) * float64(l.span) / float64(l.width))
	}
	return sum, most
}

// around adds up the stretches about an instant that are like it, none further
// from the next than a span.
func (l *timeline[T, P]) around(when int64, like func(*T) bool) (sum T) {
	lo, _ := l.find(when)
	hi := lo
	for lo > 0 && l.parts[lo].from-l.parts[lo-1].from <= max(l.span, l.width) && like(&l.parts[lo-1].v) {
		lo--
	}
	for hi+1 < len(l.parts) && l.parts[hi+1].from-l.parts[hi].from <= max(l.span, l.width) && like(&l.parts[hi+1].v) {
		hi++
	}
	for i := lo; i <= hi; i++ {
		P(&sum).plus(&l.parts[i].v)
	}
	return sum
}
