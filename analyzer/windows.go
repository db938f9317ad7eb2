package analyzer

import (
	"slices"
	"time"
)

// windows keep a T for each stretch of time of windowWidth in which something
// happened. Flows end in another order than they begin, so that a rate over
// time is found only afterwards. At most maxWindows are kept; the least
// troubled makes room.
type windows[T any] []window[T]

// window is one stretch of time.
type window[T any] struct {
	from int64 // when it begins, ns: a multiple of windowWidth
	v    T
}

const (
	windowWidth = int64(10 * time.Second)
	maxWindows  = 16
)

// at returns the T of the window that holds an instant; it is valid until the
// next call. trouble says how much one would be missed; leave, which may be
// nil, is told of what makes room.
func (w *windows[T]) at(t int64, trouble func(*T) int, leave func(*T)) *T {
	from := t - t%windowWidth
	i := w.find(from)
	if i < len(*w) && (*w)[i].from == from {
		return &(*w)[i].v
	}
	if len(*w) == maxWindows {
		least := 0
		for j := range *w {
			if trouble(&(*w)[j].v) < trouble(&(*w)[least].v) {
				least = j
			}
		}
		if leave != nil {
			leave(&(*w)[least].v)
		}
		*w = slices.Delete(*w, least, least+1)
		i = w.find(from)
	}
	*w = slices.Insert(*w, i, window[T]{from: from})
	return &(*w)[i].v
}

// find returns where the window that begins at from is, or belongs.
func (w *windows[T]) find(from int64) (i int) {
	for i < len(*w) && (*w)[i].from < from {
		i++
	}
	return i
}

// upTo returns the windows of the span that ends with window i.
func (w windows[T]) upTo(i int, span int64) windows[T] {
	j := i
	for j > 0 && w[i].from-w[j-1].from < span {
		j--
	}
	return w[j : i+1]
}
