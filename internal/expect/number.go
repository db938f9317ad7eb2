package expect

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Range is a count, or from how many to how many. The zero value allows any.
type Range struct {
	Min, Max uint64
	Given    bool
}

// none is the upper end of a Range or Bound without one.
const none = math.MaxInt64

// AtLeast is a Range without an upper end.
func AtLeast(n uint64) Range { return Range{n, none, true} }

// Exactly is a Range of one number.
func Exactly(n uint64) Range { return Range{n, n, true} }

// ParseRange reads 12, 1..5, 3.., ..5, ">= 3", "> 3", "<= 5" or "< 5".
func ParseRange(s string) (Range, error) {
	low, high, err := interval(s, func(s string) (int64, error) {
		n, err := strconv.ParseUint(s, 10, 63)
		if err != nil {
			return 0, fmt.Errorf("%q is no count: give 12, 1..5, 3.., ..5, or a comparison in quotes as in \">= 3\"", s)
		}
		return int64(n), nil
	})
	return Range{uint64(low), uint64(high), true}, err
}

// Has reports whether n is in the range.
func (r Range) Has(n uint64) bool { return !r.Given || r.Min <= n && n <= r.Max }

// String says it in words.
func (r Range) String() string {
	return words(int64(r.Min), int64(r.Max), func(n int64) string { return strconv.FormatInt(n, 10) })
}

func (r *Range) take(n *yaml.Node, _ []string) (err error) {
	text, err := scalar(n)
	if err == nil {
		*r, err = ParseRange(text)
	}
	return err
}

// Bound is from how long to how long. The zero value allows any.
type Bound struct {
	Min, Max time.Duration
	Given    bool
}

// ParseBound reads "<= 200ms", "< 200ms", ">= 1s", "> 1s", 100ms..2s, ..200ms or
// 1s.. .
func ParseBound(s string) (Bound, error) {
	if d, err := time.ParseDuration(strings.TrimSpace(s)); err == nil && d != 0 {
		return Bound{}, fmt.Errorf("%s alone would mean to the nanosecond: give a bound: <= %s, or ..%s, or 0s..%s", s, s, s, s)
	}
	low, high, err := interval(s, func(s string) (int64, error) {
		d, err := duration(s)
		return int64(d), err
	})
	return Bound{time.Duration(low), time.Duration(high), true}, err
}

// duration reads 30s, 200ms or 0.
func duration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is no duration: give a number with its unit, as in 30s, 200ms or 1m30s", s)
	case d < 0:
		return 0, fmt.Errorf("%q is negative: give 0 or more", s)
	}
	return d, nil
}

// Has reports whether d is within the bound.
func (b Bound) Has(d time.Duration) bool { return !b.Given || b.Min <= d && d <= b.Max }

// String says it in words.
func (b Bound) String() string {
	return words(int64(b.Min), int64(b.Max), func(n int64) string { return time.Duration(n).String() })
}

func (b *Bound) take(n *yaml.Node, _ []string) (err error) {
	text, err := scalar(n)
	if err == nil {
		*b, err = ParseBound(text)
	}
	return err
}

// interval reads both ends of what ParseRange and ParseBound read.
func interval(s string, one func(string) (int64, error)) (low, high int64, err error) {
	s = strings.TrimSpace(s)
	low, high = 0, none
	for _, c := range []struct {
		sign       string
		end        *int64
		correction int64
	}{{">=", &low, 0}, {"<=", &high, 0}, {">", &low, 1}, {"<", &high, -1}} {
		text, ok := strings.CutPrefix(s, c.sign)
		if !ok {
			continue
		}
		v, err := one(strings.TrimSpace(text))
		if *c.end = v + c.correction; err == nil && *c.end < 0 {
			err = errors.New("less than 0 cannot be")
		}
		return low, high, err
	}
	from, to, isRange := strings.Cut(s, "..")
	if !isRange {
		low, err = one(s)
		return low, low, err
	}
	if from = strings.TrimSpace(from); from != "" {
		low, err = one(from)
	}
	if to = strings.TrimSpace(to); to != "" && err == nil {
		high, err = one(to)
	}
	switch {
	case err == nil && from == "" && to == "":
		err = errors.New("a range needs an end: 3.. or ..5")
	case err == nil && low > high:
		err = fmt.Errorf("from %s to %s there is nothing: put the lower first", from, to)
	}
	return low, high, err
}

func words(low, high int64, one func(int64) string) string {
	switch {
	case low == high:
		return one(low)
	case low == 0 && high == none:
		return "any"
	case high == none:
		return "at least " + one(low)
	case low == 0:
		return "at most " + one(high)
	}
	return one(low) + " to " + one(high)
}

// Index is a place in an order, from 0.
type Index struct {
	N     int
	Given bool
}

// maxIndex bounds what is remembered of the flows before.
const maxIndex = 1 << 20

func (x *Index) take(n *yaml.Node, _ []string) error {
	text, err := scalar(n)
	if err != nil {
		return err
	}
	if x.N, err = strconv.Atoi(text); err != nil || x.N < 0 || x.N > maxIndex {
		return fmt.Errorf("%q is no place in an order: give 0 for the first, 1 for the second", text)
	}
	x.Given = true
	return nil
}

// Numbers are flow numbers; none of them stands for any.
type Numbers []int

func (l *Numbers) take(n *yaml.Node, _ []string) error {
	return each(n, func(text string) error {
		v, err := strconv.Atoi(text)
		if err != nil || v < 0 {
			return fmt.Errorf("%q is no flow number: they count from 0, as the first column of analyze --all shows", text)
		}
		*l = append(*l, v)
		return nil
	})
}

// Stuck says after what time a side is stuck in a state.
type Stuck struct {
	Default  *time.Duration // of all states that PerState leaves out
	PerState map[analyzer.State]time.Duration
}

func (k *Stuck) take(n *yaml.Node, names []string) error {
	if n.Kind != yaml.MappingNode {
		return takeDuration(n, func(d time.Duration) { k.Default = &d })
	}
	k.PerState = map[analyzer.State]time.Duration{}
	return members(n, func(key, value *yaml.Node) error {
		if key.Value == defaultKey {
			return takeDuration(value, func(d time.Duration) { k.Default = &d })
		}
		state, ok := analyzer.ParseState(key.Value)
		if !ok {
			return at(key, unknown("state", key.Value, append([]string{defaultKey}, names...)))
		}
		return takeDuration(value, func(d time.Duration) { k.PerState[state] = d })
	})
}

// defaultKey is the member of stuck_after for all other states.
const defaultKey = "default"

func takeDuration(n *yaml.Node, keep func(time.Duration)) error {
	text, err := scalar(n)
	if err != nil {
		return err
	}
	d, err := duration(text)
	if err != nil {
		return at(n, err)
	}
	keep(d)
	return nil
}

// limits are the times for a Tracker.
func (k *Stuck) limits(p *analyzer.Profile) *analyzer.Limits {
	l := analyzer.DefaultLimits(p)
	for s := range l {
		if k.Default != nil {
			l[s] = *k.Default
		}
		if d, ok := k.PerState[analyzer.State(s)]; ok {
			l[s] = d
		}
	}
	return l
}
