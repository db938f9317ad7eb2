package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// fewFlows is how many flows of a finding across flows a table names.
const fewFlows = 5

// acrossGroup is the findings across flows of one name, the worst first.
type acrossGroup []AcrossFinding

// byName groups findings across flows, in the order in which the names come.
func byName(list []AcrossFinding) (groups []acrossGroup) {
	at := map[string]int{}
	for _, a := range list {
		i, there := at[a.Name]
		if !there {
			i = len(groups)
			at[a.Name] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], a)
	}
	return groups
}

func (g acrossGroup) severity() analyzer.Severity {
	sev, _ := analyzer.ParseSeverity(g[0].Severity)
	return sev
}

func (g acrossGroup) title() string {
	if len(g) == 1 {
		return g[0].Name
	}
	return g[0].Name + ", " + Thousands(len(g)) + " times"
}

// writeAcross writes the findings across flows of one name: the evidence of
// the worst and the flows that it rests on, a few others in a line each, then
// what to make of them.
func (r *tableRenderer) writeAcross(out io.Writer, g acrossGroup) {
	worst := g.severity()
	shown := g[:min(len(g), examples)]
	if worst == analyzer.Info {
		shown = g[:1]
	}
	for i := range shown {
		a := &shown[i]
		text := Clean(string(a.Subject)) + since(int64(a.At), a.For != nil)
		if i == 0 {
			r.writeItem(out, indent, text+": "+Clean(string(a.Evidence))+remarks(a.Count, a.Pending, string(a.Doubt)))
			if a.FlowCount > 0 {
				r.writeItem(out, indent+"flows: ", a.flows())
			}
			continue
		}
		if a.For != nil {
			text += " for " + span(int64(*a.For))
		}
		if a.FlowCount > 0 {
			text += ", " + plural(a.FlowCount, "flow")
		}
		r.writeItem(out, indent, text+remarks(a.Count, a.Pending, string(a.Doubt)))
	}
	if more := len(g) - len(shown); more > 0 {
		r.writeItem(out, indent, r.p.faint("… and "+Thousands(more)+" more (-o json lists them)"))
	}
	r.writeAdvice(out, worst, string(g[0].Cause), string(g[0].Next))
}

// flows is as in "3, 5, 8 and 1,194 more".
func (a *AcrossFinding) flows() string {
	named := a.Flows[:min(len(a.Flows), fewFlows)]
	var b strings.Builder
	for i, number := range named {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Itoa(number))
	}
	if more := a.FlowCount - len(named); more > 0 {
		fmt.Fprintf(&b, " and %s more", Thousands(more))
	}
	return b.String()
}
