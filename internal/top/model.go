package top

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// historyLength is how many Snapshots the sparklines can show: wider than any
// terminal's pane.
const historyLength = 240

// totals are the sides in each state, clients and servers together.
type totals [analyzer.NumStates]uint32

// screen is what fills the terminal.
type screen uint8

const (
	overview screen = iota
	ladder
	help
)

// model is the whole state of the view. Update returns the next one and View
// draws it; neither does anything else.
type model struct {
	ctx    context.Context
	source Source
	every  time.Duration
	styles *styles

	width, height int

	latest  Snapshot // the last that came
	shown   Snapshot // the same, unless paused
	history []totals // of those shown, the latest last
	later   []totals // of those that came while paused
	begun   bool     // one has come

	screen screen
	back   screen // where help returns to
	helpAt int    // the first line of help that is seen
	focus  pane
	panes  [numPanes]paneState
	filter string // as typed or taken from a row; cleaned when drawn
	typing bool   // the filter
	before string // the filter, if what is typed is given up
	paused bool

	flow   int     // the one that is drilled into, or NoFlow
	detail *Detail // what is known of it
	scroll int     // lines of the ladder below the last one shown

	asked bool // a Snapshot is on its way
	again bool // and another is wanted as soon as it is here
	round int  // counts the questions: a tick that belongs to an earlier one is void
	err   error
}

// arrived is a Snapshot, or why there is none.
type arrived struct {
	snapshot Snapshot
	err      error
}

// tick says that it is time to ask for the next Snapshot.
type tick struct{ round int }

func newModel(ctx context.Context, source Source, o Options) model {
	if o.Every <= 0 {
		o.Every = time.Second
	}
	return model{ctx: ctx, source: source, every: o.Every, styles: newStyles(o.Color),
		width: o.Width, height: o.Height, focus: stuckPane, flow: NoFlow}
}

// Init implements tea.Model.
func (m model) Init() tea.Cmd {
	return func() tea.Msg { return tick{} }
}

// View implements tea.Model.
func (m model) View() tea.View {
	return tea.View{Content: m.draw(), AltScreen: true}
}

// Update implements tea.Model.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = max(msg.Width, 0), max(msg.Height, 0)
		m.scroll = min(m.scroll, m.mostScroll())
		if m.flow != NoFlow { // its ladder is drawn for another width
			return m.ask()
		}
	case tick:
		if msg.round == m.round && !m.asked {
			return m.ask()
		}
	case arrived:
		return m.take(msg)
	case tea.PasteMsg:
		if m.typing {
			m.typed(msg.Content)
		}
	case tea.KeyPressMsg:
		if m.typing {
			return m.typeKey(msg)
		}
		return m.key(msg.String())
	}
	return m, nil
}

// ask begins to fetch a Snapshot. There is never more than one on its way.
func (m model) ask() (model, tea.Cmd) {
	if m.asked {
		m.again = true
		return m, nil
	}
	m.asked = true
	m.round++
	ctx, source, want := m.ctx, m.source, Want{Flow: m.flow, Width: m.width}
	return m, func() tea.Msg {
		s, err := source.Snapshot(ctx, want)
		return arrived{s, err}
	}
}

func (m model) take(a arrived) (tea.Model, tea.Cmd) {
	m.asked = false
	if a.err != nil {
		if !errors.Is(a.err, io.EOF) && m.ctx.Err() == nil {
			m.err = a.err
		}
		return m, tea.Quit
	}
	m.latest = a.snapshot
	m.begun = true
	var sum totals
	for i := range sum {
		sum[i] = uint32(a.snapshot.Census[0][i] + a.snapshot.Census[1][i])
	}
	if m.paused {
		m.later = extended(m.later, sum)
	} else {
		m.history = extended(m.history, sum)
		m.show()
	}
	m.takeDetail(a.snapshot.Detail)
	if m.again {
		m.again = false
		return m.ask()
	}
	round := m.round
	return m, tea.Tick(m.every, func(time.Time) tea.Msg { return tick{round} })
}

// takeDetail takes a flow's ladder: always the first, while paused no other.
func (m *model) takeDetail(d *Detail) {
	if d == nil || m.flow == NoFlow || d.Flow.Number != m.flow || m.paused && m.detail != nil {
		return
	}
	if m.scroll > 0 && m.detail != nil { // what is being read stays where it is
		m.scroll += max(len(d.Lines)-len(m.detail.Lines), 0)
	}
	m.detail = d
	m.scroll = min(m.scroll, m.mostScroll())
}

// show makes the latest Snapshot the one that is seen.
func (m *model) show() {
	m.shown = m.latest
	m.arrange()
}

// extended returns the history with one more. It never writes to what an earlier
// model may still hold.
func extended(h []totals, t totals) []totals {
	if len(h) >= 2*historyLength {
		h = slices.Clone(h[len(h)-historyLength:])
	}
	return append(slices.Clip(h), t)
}

// togglePause stops the view, or lets it go on with what is now.
func (m *model) togglePause() {
	m.paused = !m.paused
	if m.paused || !m.begun {
		return
	}
	for _, t := range m.later {
		m.history = extended(m.history, t)
	}
	m.later = nil
	m.show()
	m.takeDetail(m.latest.Detail)
}
