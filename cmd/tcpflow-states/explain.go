package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

func newExplain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [NAME]",
		Short: "Say what a state, a transition or a finding means",
		Long: `Explains in plain words a state, a finding, a transition (two states), or
another word of the output: what it means, what causes it and what to look at
next. Without a name it lists all there are.`,
		Example: `  tcpflow-states explain
  tcpflow-states explain CLOSE_WAIT
  tcpflow-states explain FIN_WAIT_1 FIN_WAIT_2
  tcpflow-states explain inferred`,
		RunE: func(_ *cobra.Command, args []string) error { return explain(strings.Join(args, " ")) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return explainable(), cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// explainable is every name that explain knows.
func explainable() []string {
	names := slices.Concat(stateNames(), findingNames())
	for _, kind := range topics {
		for _, t := range kind.list {
			if !slices.Contains(names, t.name) {
				names = append(names, t.name)
			}
		}
	}
	return names
}

// between is what may stand between the two states of a transition.
var between = regexp.MustCompile(`\s*(->|→|[\s,:/>])\s*`)

func explain(name string) error {
	p := newPager(os.Stdout)
	switch {
	case name == "":
		p.index()
	case p.any(name):
	default:
		return fmt.Errorf("nothing is called %q%s: tcpflow-states explain lists what there is", name, didYouMean(name, explainable()))
	}
	return p.Flush()
}

// any explains everything of that name, and reports whether there is any: a
// state may have the name of a result.
func (p *pager) any(name string) bool {
	found := false
	section := func() {
		if found {
			p.WriteString("\n")
		}
		found = true
	}
	if s, ok := analyzer.ParseState(name); ok {
		section()
		p.state(s)
	}
	if i := slices.Index(findingNames(), strings.ToLower(name)); i >= 0 {
		section()
		p.finding(analyzer.Detectors[i])
	}
	if ends := between.Split(strings.TrimSpace(name), -1); len(ends) == 2 {
		from, ok1 := analyzer.ParseState(ends[0])
		to, ok2 := analyzer.ParseState(ends[1])
		if ok1 && ok2 {
			section()
			p.transition(from, to)
		}
	}
	for _, kind := range topics {
		for _, t := range kind.list {
			if strings.EqualFold(t.name, name) {
				section()
				fmt.Fprintf(p, "%s (%s)\n", t.name, kind.kind)
				p.wrapped("  ", t.doc)
			}
		}
	}
	return found
}

// index lists everything in a line each.
func (p *pager) index() {
	p.WriteString("States (RFC 9293 3.3.2)\n")
	for s := range analyzer.State(analyzer.NumStates) {
		p.entry(s.String(), stateDocs[s].means)
	}
	p.WriteString("\nFindings\n")
	for _, d := range analyzer.Detectors {
		p.entry(d.Name, d.Doc)
	}
	for _, kind := range topics {
		fmt.Fprintf(p, "\n%s\n", strings.ToUpper(kind.kind[:1])+kind.kind[1:])
		for _, t := range kind.list {
			p.entry(t.name, t.doc)
		}
	}
	p.WriteString("\ntcpflow-states explain NAME says more; two states explain the transition.\n")
}

// entry is one name of the index, with the first sentence that is no mark.
func (p *pager) entry(name, doc string) {
	doc = strings.TrimPrefix(strings.TrimPrefix(doc, "Marked ?. "), "Marked ~. ")
	doc, _, _ = strings.Cut(doc, ". ")
	doc = strings.TrimSuffix(doc, ".")
	p.wrapped(fmt.Sprintf("  %-25s ", name), doc)
}

func (p *pager) state(s analyzer.State) {
	d := stateDocs[s]
	fmt.Fprintf(p, "%s (state, RFC 9293 3.3.2)\n", s)
	p.wrapped("  ", d.means)
	p.WriteString("\n")
	p.wrapped("  waits for  ", d.waits)
	p.wrapped("  lasts      ", d.healthy)
	p.wrapped("  if longer  ", d.stuck)
	p.wrapped("  look at    ", d.look)
	p.arcs("\n  ways in\n", func(a *analyzer.Arc) bool { return a.To == s })
	p.arcs("\n  ways out\n", func(a *analyzer.Arc) bool { return a.From == s })
	var names []string
	for _, f := range analyzer.Detectors {
		if strings.Contains(f.Doc+f.Cause+f.Next, s.String()) || strings.HasSuffix(f.Name, fold(s.String())) {
			names = append(names, f.Name)
		}
	}
	if names != nil {
		p.WriteString("\n")
		p.wrapped("  findings   ", strings.Join(names, ", "))
	}
}

// arcs lists the arrows of RFC 9293's Figure 5 that are chosen.
func (p *pager) arcs(title string, want func(*analyzer.Arc) bool) {
	for i := range analyzer.Arcs {
		a := &analyzer.Arcs[i]
		if !want(a) {
			continue
		}
		p.WriteString(title)
		title = ""
		p.wrapped(fmt.Sprintf("    %-12s -> %-12s  ", a.From, a.To), a.On.String())
	}
}

func (p *pager) finding(d *analyzer.Detector) {
	fmt.Fprintf(p, "%s (finding, up to %s)\n", d.Name, d.Severity)
	p.wrapped("  ", d.Doc)
	p.WriteString("\n")
	for _, part := range []struct{ lead, text string }{
		{"  cause      ", d.Cause}, {"  look at    ", d.Next}, {"  reference  ", d.Reference},
	} {
		if part.text != "" {
			p.wrapped(part.lead, part.text)
		}
	}
}

// transition explains the arrows from one state to another.
func (p *pager) transition(from, to analyzer.State) {
	fmt.Fprintf(p, "%s -> %s (transition)\n", from, to)
	found := false
	for _, a := range analyzer.Arcs {
		if a.From != from || a.To != to {
			continue
		}
		found = true
		p.wrapped("  when       ", "the side "+a.On.String())
		p.wrapped("  RFC 9293   ", a.Note)
		p.wrapped("  basis      ", basisOf(a.On))
	}
	if !found {
		p.wrapped("  ", noArc(from, to))
	}
}

// basisOf says how certain a transition on an event is.
func basisOf(e analyzer.Event) string {
	switch e {
	case analyzer.SndSYN, analyzer.SndSYNACK, analyzer.SndFIN:
		return "observed: the side's own segment makes it"
	case analyzer.SndRST:
		return "inferred until nothing contradicts it: an exact forgery of a RST looks alike"
	case analyzer.Timeout, analyzer.FoundOpen, analyzer.FoundOpened:
		return "assumed: no segment says so"
	}
	return "inferred when the segment passes the tap; confirmed when the side's next segment proves that it arrived"
}

// noArc says how one comes from one state to another without an arrow.
func noArc(from, to analyzer.State) string {
	if from == analyzer.FinWait1 && to == analyzer.TimeWait {
		return "Two arrows taken by one segment, which acknowledges the side's FIN and carries the peer's (note 3 of RFC 9293's " +
			"Figure 5): FIN_WAIT_1 -> FIN_WAIT_2 -> TIME_WAIT."
	}
	for _, mid := range analyzer.Arcs {
		if mid.From != from || mid.To == analyzer.Closed {
			continue
		}
		for _, last := range analyzer.Arcs {
			if last.From == mid.To && last.To == to {
				return fmt.Sprintf("RFC 9293's Figure 5 has no such arrow; the way is %s -> %s -> %s.", from, mid.To, to)
			}
		}
	}
	return "RFC 9293's Figure 5 has no such arrow, nor two that lead there."
}
