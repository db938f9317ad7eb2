// Package manual explains every word of the output: states, transitions,
// findings, bases, severities and results. What a finding means stands with its
// detector in package analyzer; all other texts stand here. `explain` and the
// pages of docs are made from the same entries.
//
// How a thing looks on the wire is not drawn by hand: an entry has a segment
// script, which is played to the tracker and drawn by the report's ladder.
package manual

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Entry explains one word.
type Entry struct {
	Name  string // as the output spells it
	Kind  string // of the list that it is in
	Title string // what kind of word, with its severity or place in the RFC
	Means string // what it is

	Points  []Point // what else there is to know, in a sentence each
	Example string  // how it looks on the wire, as a segment script
	Causes  []string
	// LooksLike is what must not be confused with it.
	LooksLike []string
	Next      string // what to run
	Reference string

	detector *analyzer.Detector // of a finding
}

// LookAt is the label of the Point that says what to run: it has commands in it.
const LookAt = "look at"

// Point is one labelled sentence, or a list of short ones.
type Point struct {
	Label string
	Text  string
	List  []string
}

// Section is a part of an explanation. One of Text, Picture, Items and Points
// is set.
type Section struct {
	Title   string
	Text    string
	Picture string
	Items   []string
	Ordered bool // of the items
	Points  []Point
}

// Kinds are the lists of entries, in the order in which the index has them.
var Kinds = []struct {
	Name    string
	Entries func() []Entry
}{
	{"states (RFC 9293 3.3.2)", states},
	{"findings", findings},
	{"bases", bases},
	{"severities", severities},
	{"results of the opening", openings},
	{"results of the closing", closings},
}

// All returns every entry but the transitions, by kind.
func All() (all []Entry) {
	for _, k := range Kinds {
		for _, e := range k.Entries() {
			e.Kind = k.Name
			all = append(all, e)
		}
	}
	return all
}

// Names returns every name that Lookup knows, once: transitions aside, which
// are named by two states.
func Names() (names []string) {
	seen := map[string]bool{}
	for _, e := range All() {
		if !seen[e.Name] {
			seen[e.Name] = true
			names = append(names, e.Name)
		}
	}
	return names
}

// between is what may stand between the two states of a transition.
var between = regexp.MustCompile(`\s*(->|→|[\s,:/>])\s*`)

// Lookup returns what goes by a name: more than one entry where a state has the
// name of a result.
func Lookup(name string) (found []Entry) {
	state, isState := analyzer.ParseState(name)
	for _, e := range All() {
		if strings.EqualFold(e.Name, name) || isState && e.Name == state.String() {
			found = append(found, e)
		}
	}
	if ends := between.Split(strings.TrimSpace(name), -1); len(ends) == 2 {
		from, ok1 := analyzer.ParseState(ends[0])
		to, ok2 := analyzer.ParseState(ends[1])
		if ok1 && ok2 {
			found = append(found, Transition(from, to))
		}
	}
	return found
}

// Sections returns the explanation in its order; pictures fit into so many
// columns.
func (e *Entry) Sections(width int) (list []Section) {
	list = append(list, Section{Text: e.Means})
	if len(e.Points) > 0 {
		list = append(list, Section{Points: e.Points})
	}
	if e.Example != "" {
		p := draw(e, width)
		list = append(list, Section{Title: "on the wire" + p.caption, Picture: p.text})
	}
	if len(e.Causes) > 0 {
		title := "causes, the likeliest first"
		if e.detector == nil {
			title = "why it lasts longer, the likeliest first"
		}
		list = append(list, Section{Title: title, Items: e.Causes, Ordered: true})
	}
	if len(e.LooksLike) > 0 {
		list = append(list, Section{Title: "not to be confused with", Items: e.LooksLike})
	}
	var last []Point
	for _, p := range []Point{{Label: LookAt, Text: e.Next}, {Label: "reference", Text: e.Reference}} {
		if p.Text != "" {
			last = append(last, p)
		}
	}
	if last != nil {
		list = append(list, Section{Points: last})
	}
	return list
}

// findings makes the entries of the detectors.
func findings() (list []Entry) {
	for _, d := range analyzer.Detectors {
		title := fmt.Sprintf("finding, up to %s", d.Severity)
		if d.Across != nil && d.Segment == nil && d.End == nil {
			title += ", across flows"
		}
		if d.Capture {
			title += ", about the capture"
		}
		list = append(list, Entry{Name: d.Name, Title: title, Means: sentence(d.Doc), Example: d.Example,
			Causes: append([]string{d.Cause}, d.Causes...), LooksLike: d.LooksLike, Next: d.Next, Reference: d.Reference,
			detector: d})
	}
	return list
}

// sentence makes one of a detector's Doc.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
