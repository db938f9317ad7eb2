package top

import (
	"strconv"
	"strings"
	"time"

	"github.com/tcpflow-states/tcpflow-states/report"
)

// The smallest terminal that something can be read on.
const (
	leastWidth  = 40
	leastHeight = 10
)

// Lines above and below what a screen itself draws.
const (
	headLines = 2
	footLines = 1
)

// From this size on the overview has all its panes; below, the one with the
// focus.
const (
	allPanesWidth  = 72
	allPanesHeight = 20
)

// draw returns the whole screen: at most height lines, none wider than width.
func (m *model) draw() string {
	switch {
	case m.width <= 0 || m.height <= 0:
		return "" // the terminal has not yet said how large it is
	case m.width < leastWidth || m.height < leastHeight:
		return head("too small: "+strconv.Itoa(m.width)+"x"+strconv.Itoa(m.height)+", at least "+
			strconv.Itoa(leastWidth)+"x"+strconv.Itoa(leastHeight)+"; q leaves", m.width)
	}
	lines := m.header()
	room := m.height - headLines - footLines
	switch m.screen {
	case overview:
		lines = append(lines, m.overview(room)...)
	case ladder:
		lines = append(lines, m.ladder(room)...)
	case help:
		lines = append(lines, m.help(room)...)
	}
	lines = append(lines, m.footer())
	return strings.Join(lines, "\n")
}

// header says what is captured and how that fares.
func (m *model) header() []string {
	s := &m.shown
	clock := "waiting for the first figures"
	if m.begun {
		clock = time.Unix(0, s.Time).UTC().Format("15:04:05 UTC")
	}
	t := strong
	if m.paused {
		clock, t = "PAUSED at "+clock, warn
	}
	first := m.styles.paint(t, spread("tcpflow-states live  "+clean(s.Title), clock, m.width))

	c := &s.Capture
	lost := "dropped " + count(c.Drops)
	if c.Evicted > 0 {
		lost += "  evicted " + count(c.Evicted)
	}
	counts := "flows " + report.Thousands(max(s.Open, 0)) + "  stuck " + report.Thousands(s.allStuck()) +
		"  frames " + count(c.Frames)
	t = plain
	if c.Drops > 0 || c.Evicted > 0 { // first, so that no terminal is too narrow for it
		t, counts = warn, lost+"  "+counts
	} else {
		counts += "  " + lost
	}
	if c.Ring >= 0 {
		counts += "  ring " + strconv.Itoa(int(100*min(c.Ring, 1)+0.5)) + "%"
	}
	return []string{first, m.styles.paint(t, padded(counts, m.width))}
}

// footer names the keys that do something here, or has the filter being typed.
func (m *model) footer() string {
	if m.typing {
		return padded("/"+tail(clean(m.filter), m.width-2)+"_", m.width)
	}
	keys := "esc back  up/down scroll  q quit"
	switch {
	case m.screen == overview && m.filter != "":
		keys = "esc clear /" + clean(m.filter) + "  ? help  q quit"
	case m.screen == overview:
		keys = "? help  tab pane  enter open  s sort  / filter  p pause  q quit"
	case m.screen == ladder:
		keys = "esc back  up/down scroll  end follow  p pause  ? help  q quit"
	}
	return m.styles.paint(faint, padded(keys, m.width))
}

// overview draws the panes into that many lines.
func (m *model) overview(room int) []string {
	if !m.allPanes() {
		return m.pane(m.focus, m.width, room)
	}
	upper := m.upperLines(room)
	left := min(m.width/2, 40+(m.width-80)/4) // wide terminals have names to show
	states, listeners := m.pane(statePane, left, upper), m.pane(listenerPane, m.width-left-1, upper)
	lines := make([]string, 0, room)
	for i := range states {
		lines = append(lines, states[i]+" "+listeners[i])
	}
	return append(lines, m.pane(stuckPane, m.width, room-upper)...)
}

func (m *model) allPanes() bool { return m.width >= allPanesWidth && m.height >= allPanesHeight }

// upperLines is how many the states and listeners have: all states where there
// is room, and at least as much for the flows.
func (m *model) upperLines(room int) int {
	return min(2+len(m.panes[statePane].order), (room+1)/2)
}

// paneLines is how many lines a pane has.
func (m *model) paneLines(p pane) int {
	room := m.height - headLines - footLines
	switch {
	case !m.allPanes():
		return room
	case p == stuckPane:
		return room - m.upperLines(room)
	}
	return m.upperLines(room)
}

// pageRows is how many rows the pane with the focus shows.
func (m *model) pageRows() int { return max(rowsIn(m.focus, m.paneLines(m.focus)), 1) }

// rowsIn is how many rows fit below the title and the names of the columns; the
// flows have a last line for all that is known of the one that is chosen.
func rowsIn(p pane, lines int) int {
	if p == stuckPane {
		lines--
	}
	return lines - 2
}

// pane draws one, exactly that wide and high.
func (m *model) pane(p pane, width, height int) []string {
	state := &m.panes[p]
	rows := max(rowsIn(p, height), 0)
	from := min(max(state.at-rows/2, 0), max(len(state.order)-rows, 0))
	to := min(from+rows, len(state.order))
	cells := make([][]cell, 0, to-from)
	for _, i := range state.order[from:to] {
		cells = append(cells, m.cells(p, i, width))
	}
	at := -1
	if p == m.focus {
		at = state.at - from
	}
	lines := append([]string{m.titleLine(p, width)}, m.styles.table(columns[p], cells, at, width)...)
	if len(cells) == 0 && height > len(lines) {
		lines = append(lines, m.styles.paint(faint, padded("  "+m.nothing(p), width)))
	}
	for len(lines) < height {
		lines = append(lines, strings.Repeat(" ", width))
	}
	if p == stuckPane && len(cells) > 0 {
		lines[height-1] = m.chosenFlow(width)
	}
	return lines[:height]
}

// titleLine fills the line with a rule, a double one in the pane with the focus.
func (m *model) titleLine(p pane, width int) string {
	rule, t := "─", faint
	if p == m.focus {
		rule, t = "═", strong
	}
	s := head(rule+rule+" "+m.title(p)+" ", width)
	return m.styles.paint(t, s+strings.Repeat(rule, max(width-textWidth(s), 0)))
}

// nothing is what an empty pane says.
func (m *model) nothing(p pane) string {
	switch {
	case !m.begun:
		return "waiting for the first figures"
	case m.filter != "":
		return "nothing has /" + clean(m.filter) + "; esc shows all"
	case p == stuckPane:
		return "no side is stuck"
	}
	return "none yet"
}

// chosenFlow is all that the columns may have had no room for.
func (m *model) chosenFlow(width int) string {
	p := &m.panes[stuckPane]
	f := &m.shown.Stuck[p.order[p.at]]
	parts := []string{flowName(f.Number)}
	for _, s := range []string{f.Owner, strings.Join(f.Findings, ", ")} {
		if s != "" {
			parts = append(parts, clean(s))
		}
	}
	return m.styles.paint(faint, padded("  "+strings.Join(parts, ": "), width))
}

// ladderHead is how many lines stand above a flow's ladder.
const ladderHead = 4

// ladderRows is how many lines of the ladder are seen.
func (m *model) ladderRows() int { return max(m.height-headLines-footLines-ladderHead, 1) }

// ladder draws a flow's last segments into that many lines.
func (m *model) ladder(room int) []string {
	d := m.detail
	if d == nil {
		lines := []string{padded(flowName(m.flow)+": waiting for it", m.width)}
		return m.filled(lines, room)
	}
	lines := m.flowHead(d)
	rows := room - len(lines)
	to := max(len(d.Lines)-m.scroll, 0)
	for _, s := range d.Lines[max(to-rows, 0):to] {
		lines = append(lines, padded(clean(s), m.width))
	}
	return m.filled(lines, room)
}

// flowHead says who and what a flow is.
func (m *model) flowHead(d *Detail) []string {
	f := &d.Flow
	first := flowName(f.Number) + "  " + clean(f.Client) + " > " + clean(f.Server)
	if d.Ended {
		first += "  ended"
	}
	second := "client " + stateText(f.State[0], f.Basis[0]) + "  server " + stateText(f.State[1], f.Basis[1])
	if s := m.ageOf(f); s != "" {
		second += "  stuck for " + s
	}
	if f.Owes != "" {
		second += "  owes: " + clean(f.Owes)
	}
	about := []string{}
	for _, s := range append([]string{f.Owner}, f.Findings...) {
		if s != "" {
			about = append(about, clean(s))
		}
	}
	rule := "── SEGMENTS " + report.Thousands(len(d.Lines)) + " lines"
	if m.scroll > 0 {
		rule += ", " + report.Thousands(m.scroll) + " below"
	}
	rule = head(rule+" ", m.width)
	return []string{
		m.styles.paint(strong, padded(first, m.width)),
		padded(second, m.width),
		m.styles.paint(severityTone(f.Severity), padded(strings.Join(about, ", "), m.width)),
		m.styles.paint(strong, rule+strings.Repeat("─", max(m.width-textWidth(rule), 0))),
	}
}

// help draws the keys and marks into that many lines.
func (m *model) help(room int) []string {
	lines := m.helpLines()
	from := min(m.helpAt, max(len(lines)-room, 0))
	return m.filled(lines[from:], room)
}

// helpLines are all of it. On a narrow terminal what a key does stands below it.
func (m *model) helpLines() (lines []string) {
	width := max(m.width, leastWidth) // what is smaller shows none of it
	var text strings.Builder
	add := func(indent, s string) { report.Wrap(&text, indent, s, width) }
	add("", "")
	for _, b := range bindings {
		if width < allPanesWidth {
			add(" ", b.keys)
			add("   ", b.does)
			continue
		}
		add("  ", padded(b.keys, 15)+" "+b.does)
	}
	add("", "")
	for _, s := range []string{
		"STATE? is inferred: what was sent to the side would take it there.",
		"STATE~ is assumed. OWES is whose turn it is to send, and what.",
		"FOUND and FAILED count since the capture began, all else is now.",
		"The bars are both sides' sum, one every " + m.every.String() + ", up to the highest seen."} {
		add("  ", s)
	}
	for l := range strings.Lines(text.String()) {
		lines = append(lines, padded(strings.TrimSuffix(l, "\n"), width))
	}
	return lines
}

// helpPage is how many lines of it are seen.
func (m *model) helpPage() int { return max(m.height-headLines-footLines, 1) }

// filled adds empty lines, or cuts those beyond, so that there are exactly so many.
func (m *model) filled(lines []string, room int) []string {
	for len(lines) < room {
		lines = append(lines, strings.Repeat(" ", m.width))
	}
	return lines[:room]
}
