package top

import (
	"strconv"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// binding is a key as help names it, and what it does.
type binding struct{ keys, does string }

// bindings are all of them: help is made of this list.
var bindings = []binding{
	{"up k, down j", "choose a row; in a ladder or here, scroll"},
	{"pgup, pgdown", "a page"},
	{"home g, end G", "the first, the last; in a ladder, end follows it again"},
	{"tab, shift+tab", "the next pane, the one before"},
	{"enter", "open the flow; of a state or listener, its stuck flows only"},
	{"esc", "back; in the overview, remove the filter"},
	{"s", "sort the pane by its next order"},
	{"/", "show only what has all the words that you type"},
	{"p, space", "pause and go on; the capture itself never pauses"},
	{"?", "this help"},
	{"q, ctrl+c", "leave"},
}

// key does what a key asks for.
func (m model) key(k string) (tea.Model, tea.Cmd) {
	switch k {
	case "q", "ctrl+c":
		return m, tea.Quit
	case "?", "f1":
		m.toggleHelp()
	case "p", "space":
		m.togglePause()
	case "esc":
		m.leave()
	default:
		switch m.screen {
		case overview:
			return m.overviewKey(k)
		case ladder:
			m.ladderKey(k)
		case help:
			m.helpKey(k)
		}
	}
	return m, nil
}

func (m *model) toggleHelp() {
	if m.screen == help {
		m.screen = m.back
		return
	}
	m.back, m.screen, m.helpAt = m.screen, help, 0
}

// leave goes back one step.
func (m *model) leave() {
	switch m.screen {
	case help:
		m.screen = m.back
	case ladder:
		m.screen, m.flow, m.detail, m.scroll = overview, NoFlow, nil, 0
	case overview:
		m.filter = ""
		m.arrange()
	}
}

func (m model) overviewKey(k string) (tea.Model, tea.Cmd) {
	switch k {
	case "tab", "right", "l":
		m.focus = (m.focus + 1) % numPanes
	case "shift+tab", "left", "h":
		m.focus = (m.focus + numPanes - 1) % numPanes
	case "s":
		p := &m.panes[m.focus]
		p.sort = (p.sort + 1) % len(sorts[m.focus])
		m.arrange()
	case "/":
		m.typing, m.before = true, m.filter
	case "enter":
		return m.open()
	default:
		p := &m.panes[m.focus]
		if by, ok := m.steps(k, len(p.order), m.pageRows()); ok {
			m.choose(p.at + by)
		}
	}
	return m, nil
}

// steps says how far a key moves in a list of n, of which a page is seen.
func (m *model) steps(k string, n, page int) (by int, ok bool) {
	switch k {
	case "up", "k":
		return -1, true
	case "down", "j":
		return 1, true
	case "pgup", "ctrl+b":
		return -page, true
	case "pgdown", "ctrl+f":
		return page, true
	case "home", "g":
		return -n, true
	case "end", "G", "shift+g":
		return n, true
	}
	return 0, false
}

// open drills into the flow that is chosen, or narrows the flows to a state or
// listener.
func (m model) open() (tea.Model, tea.Cmd) {
	p := &m.panes[m.focus]
	if p.at >= len(p.order) {
		return m, nil
	}
	i := p.order[p.at]
	switch m.focus {
	case statePane:
		m.filter = listed[i].String()
	case listenerPane:
		m.filter = clip(m.shown.Listeners[i].Address)
	case stuckPane:
		f := m.shown.Stuck[i]
		m.screen, m.flow, m.scroll = ladder, f.Number, 0
		m.detail = nil
		return m.ask()
	}
	m.focus = stuckPane
	m.arrange()
	return m, nil
}

// ladderKey scrolls: up is back in time.
func (m *model) ladderKey(k string) {
	if m.detail == nil {
		return
	}
	if by, ok := m.steps(k, len(m.detail.Lines), m.ladderRows()); ok {
		m.scroll = min(max(m.scroll-by, 0), m.mostScroll())
	}
}

func (m *model) helpKey(k string) {
	n := len(m.helpLines())
	if by, ok := m.steps(k, n, m.helpPage()); ok {
		m.helpAt = min(max(m.helpAt+by, 0), max(n-m.helpPage(), 0))
	}
}

// mostScroll is the scroll with which the first line is seen.
func (m *model) mostScroll() int {
	if m.detail == nil {
		return 0
	}
	return max(len(m.detail.Lines)-m.ladderRows(), 0)
}

// maxFilter bounds what is typed or pasted, in characters.
const maxFilter = 80

// typeKey is a key while the filter is typed. What is seen follows at once.
func (m model) typeKey(k tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	switch k.String() {
	case "ctrl+c":
		return m, tea.Quit
	case "enter":
		m.typing = false
	case "esc":
		m.typing, m.filter = false, m.before
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(m.filter)
		m.filter = m.filter[:len(m.filter)-n]
	case "ctrl+u":
		m.filter = ""
	default:
		m.typed(k.Text)
		return m, nil
	}
	m.arrange()
	return m, nil
}

// typed adds text to the filter, as it is: that of packets is compared so too.
func (m *model) typed(text string) {
	m.filter = clip(m.filter + text)
	m.arrange()
}

func clip(s string) string {
	n := 0
	for i := range s {
		if n++; n > maxFilter {
			return s[:i]
		}
	}
	return s
}

// flowName is how a flow is spoken of.
func flowName(number int) string { return "flow " + strconv.Itoa(number) }
