package expect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// History is the states that a side goes through: several Patterns, any of which
// will do. Nil allows any.
type History []Pattern

// Pattern is one history: an Element for each state, or for a run of them.
type Pattern []Element

// Element is a state, one of several, or, with none, any run of states: also of
// none at all.
type Element []analyzer.State

// run is how a run of states is written; three dots are as good.
const run = "…"

// ParsePattern reads states in their order, separated by blanks, commas or arrows
// (-> or →): CLOSED SYN_SENT … CLOSED|TIME_WAIT.
func ParsePattern(s string) (Pattern, error) {
	var p Pattern
	s = strings.ReplaceAll(s, "...", run)
	for _, word := range strings.FieldsFunc(strings.ReplaceAll(s, "->", "→"), func(r rune) bool {
		return r == ' ' || r == ',' || r == '→' || r == '\t' || r == '\n'
	}) {
		if word == run {
			p = append(p, nil)
			continue
		}
		var e Element
		for _, one := range strings.Split(word, "|") {
			state, ok := analyzer.ParseState(one)
			if !ok && strings.TrimRight(one, "?~") != one {
				return nil, fmt.Errorf("%q: what is inferred or assumed has its own key, basis: give the state alone", one)
			}
			if !ok {
				return nil, unknown("state", one, enumNames("@state"))
			}
			e = append(e, state)
		}
		p = append(p, e)
	}
	if p == nil {
		return nil, errors.New("no state: give states in their order, as in CLOSED SYN_SENT … CLOSED")
	}
	return p, nil
}

// String spells the pattern as ParsePattern reads it.
func (p Pattern) String() string {
	words := make([]string, len(p))
	for i, e := range p {
		words[i] = e.String()
	}
	return strings.Join(words, " ")
}

// String spells the element.
func (e Element) String() string {
	if e == nil {
		return run
	}
	words := make([]string, len(e))
	for i, s := range e {
		words[i] = s.String()
	}
	return strings.Join(words, "|")
}

func (e Element) has(s analyzer.State) bool { return slices.Contains(e, s) }

// Matches reports whether the states are those of the pattern.
//
// It looks at each state once for each element: what a pattern with many runs
// costs is bounded.
func (p Pattern) Matches(states []Move) bool {
	// at[i]: the first i elements can be the states so far.
	at := make([]bool, len(p)+1)
	at[0] = true
	p.skipRuns(at)
	for _, m := range states {
		for i := len(p); i > 0; i-- {
			e := p[i-1]
			at[i] = e == nil && (at[i] || at[i-1]) || e != nil && at[i-1] && e.has(m.State)
		}
		at[0] = false
		p.skipRuns(at)
	}
	return at[len(p)]
}

// skipRuns lets each run be of no state.
func (p Pattern) skipRuns(at []bool) {
	for i, e := range p {
		if e == nil && at[i] {
			at[i+1] = true
		}
	}
}

// Matches reports whether the states are those of one of the patterns.
func (h History) Matches(states []Move) bool {
	return h == nil || slices.ContainsFunc(h, func(p Pattern) bool { return p.Matches(states) })
}

// String spells the patterns.
func (h History) String() string {
	words := make([]string, len(h))
	for i, p := range h {
		words[i] = p.String()
	}
	return strings.Join(words, " or ")
}

// take reads one pattern, a list of patterns, or a list of single states, which
// is one pattern.
func (h *History) take(n *yaml.Node, _ []string) error {
	single := n.Kind == yaml.SequenceNode
	err := each(n, func(text string) error {
		p, err := ParsePattern(text)
		*h = append(*h, p)
		single = single && len(p) == 1
		return err
	})
	if err == nil && len(*h) == 0 {
		err = errors.New("no state: give states in their order, as in CLOSED SYN_SENT … CLOSED")
	}
	if single && err == nil {
		var joined Pattern
		for _, p := range *h {
			joined = append(joined, p...)
		}
		*h = History{joined}
	}
	return err
}
