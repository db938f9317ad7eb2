package report

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// findingGroup is all findings of one name.
type findingGroup struct {
	detector *analyzer.Detector
	first    []example // by severity, then flow number
	n        int
	pending  int            // of these
	flows    int            // how many have it, of one side or both
	last     int            // number of the last flow counted
	server   netip.AddrPort // of all of them, not valid where they differ
}

// examples is how many findings of one name the summary spells out.
const examples = 3

// example is one finding in words.
type example struct {
	sev  analyzer.Severity
	flow int
	file string
	who  string
	f    analyzer.Finding
}

// keep remembers a finding for the summary's list, if it is among the first
// of its name.
func (r *tableRenderer) keep(f *analyzer.Flow, n *analyzer.Finding) {
	i := slices.IndexFunc(r.findings, func(g *findingGroup) bool { return g.detector == n.Detector })
	if i < 0 {
		i = len(r.findings)
		r.findings = append(r.findings, &findingGroup{detector: n.Detector, last: -1, server: f.Addr(f.Server())})
	}
	g := r.findings[i]
	g.n++
	if n.Pending {
		g.pending++
	}
	if f.Number != g.last { // a flow's findings come one after the other
		g.flows++
		g.last = f.Number
		if g.server.IsValid() && g.server != f.Addr(f.Server()) {
			g.server = netip.AddrPort{}
		}
	}
	at := 0
	for at < len(g.first) && g.first[at].before(n.Severity, f.Number) {
		at++
	}
	if at == examples {
		return
	}
	e := example{sev: n.Severity, flow: f.Number, f: *n}
	if e.who = sideName(f, n.Side); e.who != "" {
		e.who += " " + f.Addr(n.Side).String()
	} else {
		e.who = pair(f)
	}
	e.f.Frames = nil // the flow's memory
	e.file = r.o.origin(f).File
	g.first = slices.Insert(g.first, at, e)
	g.first = g.first[:min(len(g.first), examples)]
}

// before reports whether an example comes before a finding of a flow, or was
// there first.
func (e *example) before(sev analyzer.Severity, flow int) bool {
	return e.sev > sev || e.sev == sev && e.flow <= flow
}

func (r *tableRenderer) writeFindings(out io.Writer, s *Summary) {
	if len(r.findings) == 0 && len(s.Across) == 0 {
		return
	}
	n := s.Severities
	var list []string
	for _, e := range []struct {
		n    uint64
		what string
	}{{n.Error, "error"}, {n.Warning, "warning"}} {
		if e.n > 0 {
			list = append(list, plural(int(e.n), e.what))
		}
	}
	if n.Info > 0 {
		list = append(list, Thousands(n.Info)+" info")
	}
	fmt.Fprintf(out, "\n%s: %s\n", r.p.head("Findings"), strings.Join(list, ", "))
	for _, b := range r.blocks(s) {
		fmt.Fprintf(out, "\n%s %s\n", r.p.of(b.worst, fmt.Sprintf("%-8s", b.worst)), r.p.head(b.title))
		b.write(out)
	}
	if s.AcrossLeftOut > 0 {
		fmt.Fprintf(out, "\n%s\n", r.p.faint("… and "+Thousands(s.AcrossLeftOut)+" more findings across flows"))
	}
}

// block is the findings of one name.
type block struct {
	worst  analyzer.Severity
	across bool
	n      int
	title  string
	write  func(io.Writer)
}

// blocks orders the findings: by severity, those across flows before those of
// single flows, the most frequent first.
func (r *tableRenderer) blocks(s *Summary) (list []block) {
	for _, g := range byName(s.Across) {
		list = append(list, block{g.severity(), true, len(g), g.title(), func(out io.Writer) { r.writeAcross(out, g) }})
	}
	for _, g := range r.findings {
		list = append(list, block{g.first[0].sev, false, g.n, g.title(), func(out io.Writer) { r.writeGroup(out, g) }})
	}
	first := func(b bool) int {
		if b {
			return 0
		}
		return 1
	}
	slices.SortFunc(list, func(a, b block) int {
		return cmp.Or(cmp.Compare(b.worst, a.worst), cmp.Compare(first(a.across), first(b.across)),
			cmp.Compare(b.n, a.n), cmp.Compare(a.title, b.title))
	})
	return list
}

// indent is where the words of a finding begin: behind its severity.
const indent = "         "

// writeGroup writes the findings of one name: the evidence of the worst, where
// and when of a few others, then what to make of them. Info explains, so one
// example is enough.
func (r *tableRenderer) writeGroup(out io.Writer, g *findingGroup) {
	worst := g.first[0].sev
	shown := g.first
	if worst == analyzer.Info {
		shown = shown[:1]
	}
	for i := range shown {
		e := &shown[i]
		text := e.where()
		if i == 0 {
			text += ": " + Clean(e.f.Evidence)
		} else if e.f.For > 0 {
			text += " for " + span(e.f.For)
		}
		r.writeItem(out, indent, text+remarks(e.f.Count, e.f.Pending, e.f.Doubt))
	}
	if more := g.n - len(shown); more > 0 {
		text := "… and " + Thousands(more) + " more"
		if r.o.Limit > 0 && r.listed > r.o.Limit {
			text += " (--finding " + g.detector.Name + " --limit 0 lists them)"
		} else {
			text += " below"
		}
		r.writeItem(out, indent, r.p.faint(text))
	}
	r.writeAdvice(out, worst, g.detector.Cause, g.first[0].f.Next)
}

// writeAdvice writes what to make of findings. What only explains needs no
// next step.
func (r *tableRenderer) writeAdvice(out io.Writer, worst analyzer.Severity, cause, next string) {
	if cause != "" {
		r.writeItem(out, indent+"cause: ", cause)
	}
	if next != "" && worst > analyzer.Info {
		WrapAdvice(out, indent+"next:  ", Clean(next), r.limit())
	}
}

// title is the name of the findings, how many there are and what they share.
func (g *findingGroup) title() string {
	text := g.detector.Name
	if g.n == 1 {
		return text
	}
	if g.n > g.flows {
		text += ", " + Thousands(g.n) + " times in " + plural(g.flows, "flow")
	} else {
		text += ", " + plural(g.flows, "flow")
	}
	if g.pending > 0 && g.pending < g.n {
		text += " (" + Thousands(g.pending) + " pending)"
	}
	if g.server.IsValid() && g.flows > 1 {
		text += ", all to " + g.server.String()
	}
	return text
}

// where says which flow and side, and when it began. For how long it lasted
// stands in the evidence.
func (e *example) where() string {
	text := "flow " + strconv.Itoa(e.flow)
	if e.file != "" {
		text += " of " + Clean(e.file)
	}
	return text + ", " + e.who + since(e.f.At, e.f.For != 0)
}

// since is when a finding began: what lasted, since then, else at that moment.
func since(at int64, lasted bool) string {
	if lasted {
		return ", since " + clock(at)
	}
	return ", at " + clock(at)
}

// remarks is what qualifies a finding, in brackets.
func remarks(count int, pending bool, doubt string) string {
	var list []string
	if count > 1 {
		list = append(list, Thousands(count)+" times")
	}
	if pending {
		list = append(list, "pending: the capture ended first")
	}
	if doubt != "" {
		list = append(list, "doubt: "+Clean(doubt))
	}
	if list == nil {
		return ""
	}
	return " (" + strings.Join(list, "; ") + ")"
}
