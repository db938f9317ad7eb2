package top

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// pane is a part of the overview.
type pane uint8

const (
	statePane pane = iota
	listenerPane
	stuckPane
	numPanes = iota
)

var titles = [numPanes]string{"STATES", "LISTENERS", "STUCK FLOWS"}

// paneState is what the user did to a pane, and what came of it.
type paneState struct {
	sort  int    // index in sorts
	order []int  // what is shown, as indices of the Snapshot's list
	key   string // of the row that is chosen: it stays so wherever it moves
	at    int    // the index of that row in order
}

// listed are the states, in the order of a connection's life. What cannot be
// counted well from outside comes last.
var listed = [...]analyzer.State{analyzer.SynSent, analyzer.SynReceived, analyzer.Established,
	analyzer.FinWait1, analyzer.FinWait2, analyzer.CloseWait, analyzer.Closing, analyzer.LastAck,
	analyzer.TimeWait, analyzer.Closed, analyzer.Listen, analyzer.Unknown}

// order is one way to sort a pane; less is given indices of its list.
type order struct {
	name string
	less func(s *Snapshot, a, b int) int
}

// sorts are the orders of each pane, the first its own.
var sorts = [numPanes][]order{
	statePane: {
		{"state", func(_ *Snapshot, a, b int) int { return a - b }},
		{"count", func(s *Snapshot, a, b int) int { return cmp.Compare(s.sides(listed[b]), s.sides(listed[a])) }},
	},
	listenerPane: {
		{"trouble", func(s *Snapshot, a, b int) int { return s.Listeners[b].Trouble(&s.Listeners[a]) }},
		{"open", func(s *Snapshot, a, b int) int { return s.Listeners[b].Open - s.Listeners[a].Open }},
		{"address", func(s *Snapshot, a, b int) int { return cmp.Compare(s.Listeners[a].Address, s.Listeners[b].Address) }},
	},
	stuckPane: {
		{"age", func(s *Snapshot, a, b int) int { return cmp.Compare(s.Stuck[a].Since, s.Stuck[b].Since) }},
		{"server", func(s *Snapshot, a, b int) int { return cmp.Compare(s.Stuck[a].Server, s.Stuck[b].Server) }},
		{"client", func(s *Snapshot, a, b int) int { return cmp.Compare(s.Stuck[a].Client, s.Stuck[b].Client) }},
		{"owner", func(s *Snapshot, a, b int) int { return cmp.Compare(s.Stuck[a].Owner, s.Stuck[b].Owner) }},
	},
}

// sides is how many sockets are in a state.
func (s *Snapshot) sides(state analyzer.State) int { return s.Census[0][state] + s.Census[1][state] }

// allStuck is how many flows are stuck, those that it does not hold included.
func (s *Snapshot) allStuck() int { return max(len(s.Stuck), s.StuckAll) }

// Trouble compares what is wrong now first, then what was, then how much there is.
func (l *Listener) Trouble(o *Listener) int {
	return cmp.Or(l.Stuck-o.Stuck, cmp.Compare(l.Severity, o.Severity), cmp.Compare(l.Findings, o.Findings),
		cmp.Compare(l.Failed, o.Failed), l.HalfOpen-o.HalfOpen, l.Open-o.Open)
}

// arrange filters and sorts every pane anew. The row that was chosen stays so.
func (m *model) arrange() {
	words := strings.Fields(strings.ToLower(m.filter))
	m.panes[statePane].order = m.statesShown()
	m.panes[stuckPane].order = m.stuckWith(words)
	m.panes[listenerPane].order = m.listenersWith(words)
	for i := range m.panes {
		p := &m.panes[i]
		less, own := sorts[i][p.sort].less, sorts[i][0].less
		slices.SortStableFunc(p.order, func(a, b int) int {
			if c := less(&m.shown, a, b); c != 0 {
				return c
			}
			return own(&m.shown, a, b)
		})
		at := slices.IndexFunc(p.order, func(j int) bool { return m.rowKey(pane(i), j) == p.key })
		if at < 0 {
			at = min(p.at, max(len(p.order)-1, 0))
		}
		p.at = at
	}
}

// statesShown are those of a connection that lives, and of the others those that
// a socket is in.
func (m *model) statesShown() (shown []int) {
	for i, s := range listed {
		if s.Synchronized() || s == analyzer.SynSent || s == analyzer.SynReceived || m.shown.sides(s) > 0 {
			shown = append(shown, i)
		}
	}
	return shown
}

func (m *model) stuckWith(words []string) (shown []int) {
	for i := range m.shown.Stuck {
		if len(words) == 0 || hasAll(m.shown.Stuck[i].text(), words) {
			shown = append(shown, i)
		}
	}
	return shown
}

// listenersWith are those whose own text has the words, and those of the flows
// that are shown: with a state's name in the filter, who is concerned is seen.
func (m *model) listenersWith(words []string) (shown []int) {
	concerned := make(map[string]bool)
	if len(words) > 0 {
		for _, i := range m.panes[stuckPane].order {
			concerned[m.shown.Stuck[i].Server] = true
		}
	}
	for i := range m.shown.Listeners {
		l := &m.shown.Listeners[i]
		if len(words) == 0 || concerned[l.Address] || hasAll(l.Address+" "+l.Owner+" "+l.Worst, words) {
			shown = append(shown, i)
		}
	}
	return shown
}

// text is all that the filter looks at.
func (f *Flow) text() string {
	return strings.Join([]string{flowName(f.Number), f.Client, f.Server, f.State[0].String(), f.State[1].String(),
		f.Owes, f.Owner, strings.Join(f.Findings, " ")}, " ")
}

// hasAll says whether each word, in lower case, is in the text.
func hasAll(text string, words []string) bool {
	text = strings.ToLower(text)
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

// rowKey names a row, whatever its place.
func (m *model) rowKey(p pane, i int) string {
	switch p {
	case statePane:
		return listed[i].String()
	case listenerPane:
		return m.shown.Listeners[i].Address
	}
	return strconv.Itoa(m.shown.Stuck[i].Number)
}

// choose moves the choice of the pane that has the focus.
func (m *model) choose(at int) {
	p := &m.panes[m.focus]
	if len(p.order) == 0 {
		return
	}
	p.at = min(max(at, 0), len(p.order)-1)
	p.key = m.rowKey(m.focus, p.order[p.at])
}

// columns of the panes.
var columns = [numPanes][]column{
	statePane: {
		{name: "STATE", least: 12, rank: 0},
		{name: "CLIENT", right: true, least: 7, rank: 1},
		{name: "SERVER", right: true, least: 7, rank: 2},
		{name: "", least: 4, rank: 3}, // the sparkline
	},
	listenerPane: {
		{name: "LISTENER", tail: true, least: 14, rank: 0},
		{name: "STUCK", right: true, least: 5, rank: 1},
		{name: "FOUND", right: true, least: 5, rank: 2},
		{name: "OPEN", right: true, least: 5, rank: 3},
		{name: "FAILED", right: true, least: 6, rank: 4},
		{name: "HALF", right: true, least: 4, rank: 5},
		{name: "WORST", least: 12, rank: 6},
		{name: "OWNER", least: 8, rank: 7},
	},
	stuckPane: {
		{name: "AGE", right: true, least: 6, rank: 0},
		{name: "CLIENT", tail: true, least: 15, rank: 2},
		{name: "SERVER", tail: true, least: 14, rank: 1},
		{name: "CLIENT IN", least: 13, rank: 3},
		{name: "SERVER IN", least: 13, rank: 4},
		{name: "OWES", least: 10, rank: 5},
		{name: "OWNER", least: 10, rank: 6},
		{name: "FINDINGS", least: 12, rank: 7},
	},
}

// cells are the row for an element of a pane's list.
func (m *model) cells(p pane, i, width int) []cell {
	switch p {
	case statePane:
		return m.stateCells(listed[i], width)
	case listenerPane:
		return listenerCells(&m.shown.Listeners[i])
	}
	return m.stuckCells(&m.shown.Stuck[i])
}

func (m *model) stateCells(s analyzer.State, width int) []cell {
	spark := max(width-marker-12-2*7-3*gapOf(width), 0)
	past := make([]uint32, 0, spark)
	for _, t := range m.history[max(len(m.history)-spark, 0):] {
		past = append(past, t[s])
	}
	c := m.shown.Census
	of := func(n int) cell {
		if n == 0 {
			return cell{"0", faint}
		}
		return cell{count(uint64(n)), plain}
	}
	return []cell{{s.String(), plain}, of(c[0][s]), of(c[1][s]), {sparkline(past, spark), calm}}
}

func listenerCells(l *Listener) []cell {
	t := plain
	if l.Findings > 0 {
		t = severityTone(l.Severity)
	}
	of := func(n uint64, t tone) cell {
		if n == 0 {
			return cell{"0", faint}
		}
		return cell{count(n), t}
	}
	return []cell{{l.Address, plain}, of(uint64(max(l.Stuck, 0)), bad), of(l.Findings, t), of(uint64(max(l.Open, 0)), plain),
		of(l.Failed, plain), of(uint64(max(l.HalfOpen, 0)), plain), {l.Worst, t}, {l.Owner, plain}}
}

func (m *model) stuckCells(f *Flow) []cell {
	t := severityTone(f.Severity)
	return []cell{{m.ageOf(f), t}, {f.Client, plain}, {f.Server, plain},
		{stateText(f.State[0], f.Basis[0]), plain}, {stateText(f.State[1], f.Basis[1]), plain},
		{f.Owes, strong}, {f.Owner, plain}, {strings.Join(f.Findings, ", "), t}}
}

func (m *model) ageOf(f *Flow) string {
	if f.Since == 0 {
		return ""
	}
	return age(time.Duration(m.shown.Time - f.Since))
}

// title is the pane's first line: how much of it is shown, and how it is sorted.
func (m *model) title(p pane) string {
	s := titles[p]
	shown, all := len(m.panes[p].order), 0
	switch p {
	case listenerPane:
		all = len(m.shown.Listeners)
	case stuckPane:
		all = m.shown.allStuck()
	}
	switch {
	case p == statePane:
	case shown < all:
		s += " " + report.Thousands(shown) + " of " + report.Thousands(all)
	default:
		s += " " + report.Thousands(all)
	}
	return s + " by " + sorts[p][m.panes[p].sort].name
}
