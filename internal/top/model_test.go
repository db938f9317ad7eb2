package top

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// where says what the keys have led to.
type where struct {
	Screen screen
	Focus  pane
	At     int
	Flow   int
	Filter string
	Typing bool
	Paused bool
}

func whereIs(m model) where {
	return where{m.screen, m.focus, m.panes[m.focus].at, m.flow, m.filter, m.typing, m.paused}
}

func TestKeys(t *testing.T) {
	here := where{Focus: stuckPane, Flow: NoFlow}
	for _, c := range []struct {
		why  string
		keys []any
		want where
	}{
		{"down and up", []any{"down", "j", "down", "up"}, with(here, func(w *where) { w.At = 2 })},
		{"no further than the ends", []any{"k", "end", "j", "G"}, with(here, func(w *where) { w.At = 3 })},
		{"a page", []any{"pgdown", "pgup"}, here},
		{"home", []any{"end", "g"}, here},
		{"panes go round", []any{"tab", "tab", "shift+tab"}, with(here, func(w *where) { w.Focus = statePane })},
		{"backwards", []any{"shift+tab"}, with(here, func(w *where) { w.Focus = listenerPane })},
		{"help and back", []any{"?", "esc"}, here},
		{"help over a flow goes back to it", []any{"enter", "?", "?"}, with(here, func(w *where) { w.Screen, w.Flow = ladder, 905 })},
		{"a flow and back", []any{"down", "enter", "esc"}, with(here, func(w *where) { w.At = 1 })},
		{"a listener's flows", []any{"shift+tab", "enter"}, with(here, func(w *where) { w.Filter = "10.0.0.9:5432" })},
		{"pause twice", []any{"p", "space"}, here},
		{"pause in a flow", []any{"enter", "p"}, with(here, func(w *where) { w.Screen, w.Flow, w.Paused = ladder, 905, true })},
		{"a filter", append(append([]any{"/"}, typing("fin q")...), "enter"), with(here, func(w *where) { w.Filter = "fin q" })},
		{"keys are text while it is typed", append([]any{"/"}, typing("qps?/")...), with(here, func(w *where) { w.Filter, w.Typing = "qps?/", true })},
		{"given up", append(append([]any{"/"}, typing("x")...), "esc"), here},
		{"removed", append(append([]any{"/"}, typing("fin")...), "enter", "esc"), here},
		{"corrected", append(append([]any{"/"}, typing("fié")...), "backspace", "backspace", "n", "enter"), with(here, func(w *where) { w.Filter = "fn" })},
		{"backspace in an empty filter", []any{"/", "backspace", "enter"}, here},
		{"enter where there is nothing", []any{"/", "z", "z", "enter", "enter"}, with(here, func(w *where) { w.Filter = "zz" })},
	} {
		if diff := cmp.Diff(c.want, whereIs(after(started(t, 80, 24, Options{}), c.keys...))); diff != "" {
			t.Errorf("%s: %v (- want, + got):\n%s", c.why, c.keys, diff)
		}
	}
}

func with(w where, change func(*where)) where {
	change(&w)
	return w
}

func TestQuit(t *testing.T) {
	for _, keys := range [][]any{{"q"}, {"ctrl+c"}, {"/", "ctrl+c"}, {"?", "q"}, {"enter", "q"}} {
		m := after(started(t, 80, 24, Options{}), keys[:len(keys)-1]...)
		_, cmd := m.Update(press(keys[len(keys)-1].(string)))
		if cmd == nil {
			t.Errorf("%v: goes on", keys)
		} else if _, ok := cmd().(tea.QuitMsg); !ok {
			t.Errorf("%v: goes on", keys)
		}
	}
}

func TestSort(t *testing.T) {
	numbers := func(m model) (n []int) {
		for _, i := range m.panes[stuckPane].order {
			n = append(n, m.shown.Stuck[i].Number)
		}
		return n
	}
	m := started(t, 80, 24, Options{})
	for _, want := range [][]int{{905, 17, 1203, 2040}, {905, 17, 2040, 1203}, {17, 905, 2040, 1203}, {1203, 905, 17, 2040}, {905, 17, 1203, 2040}} {
		if got := numbers(m); !slices.Equal(got, want) {
			t.Errorf("by %s: %v, want %v", sorts[stuckPane][m.panes[stuckPane].sort].name, got, want)
		}
		m = after(m, "s")
	}
	m = after(m, "tab", "s")
	if s := listed[m.panes[statePane].order[0]]; s != analyzer.Established {
		t.Errorf("states by count begin with %v", s)
	}
	if at := after(m, "tab", "s", "s").panes[listenerPane].order; at[0] != 0 {
		t.Errorf("listeners by address begin with %v", at)
	}
}

// TestChoiceStays: the row that is chosen is the same flow when others come, and
// what remains near it when it goes.
func TestChoiceStays(t *testing.T) {
	m := after(started(t, 80, 24, Options{}), "down", "down") // 1203
	s := fixture()
	s.Stuck = append([]Flow{{Number: 1, Since: 1}, {Number: 2, Since: 2}}, s.Stuck...)
	m = after(m, arrived{snapshot: s})
	if at := m.panes[stuckPane].at; at != 4 {
		t.Errorf("two older flows: row %d is chosen, want 4", at)
	}
	s.Stuck = s.Stuck[:2]
	if at := after(m, arrived{snapshot: s}).panes[stuckPane].at; at != 1 {
		t.Errorf("it is gone: row %d is chosen, want the last", at)
	}
}

// TestPause: nothing that is seen moves; afterwards nothing is missing.
func TestPause(t *testing.T) {
	m := started(t, 80, 24, Options{})
	m = after(m, "p")
	before := m.draw()
	s := fixture()
	s.Time += 5e9
	s.Stuck = nil
	for range 3 * historyLength {
		m = after(m, arrived{snapshot: s})
	}
	if diff := cmp.Diff(before, m.draw()); diff != "" {
		t.Errorf("paused, and yet:\n%s", diff)
	}
	opened := after(m, "enter", arrived{snapshot: Snapshot{Detail: &Detail{Flow: Flow{Number: 905}, Lines: []string{"first"}}}})
	if opened.detail == nil || opened.detail.Lines[0] != "first" {
		t.Error("a flow that is opened while paused is not shown")
	}
	opened = after(opened, arrived{snapshot: Snapshot{Detail: &Detail{Flow: Flow{Number: 905}, Lines: []string{"second"}}}})
	if opened.detail.Lines[0] != "first" {
		t.Error("its ladder goes on while paused")
	}
	if opened = after(opened, "p"); opened.detail.Lines[0] != "second" {
		t.Error("its ladder does not go on afterwards")
	}
	m = after(m, "p")
	if m.shown.Time != s.Time || len(m.panes[stuckPane].order) != 0 {
		t.Error("after the pause the view is not that of now")
	}
	if n := len(m.history); n < historyLength || n > 2*historyLength {
		t.Errorf("the history has %d, want %d to %d", n, historyLength, 2*historyLength)
	}
}

// TestScroll: what is read stays in place while segments come, and end follows
// them again.
func TestScroll(t *testing.T) {
	m := after(started(t, 80, 24, Options{}), "down", "enter", arrived{snapshot: withDetail(fixtureDetail(100))}, "up", "up")
	top := m.ladder(21)[4]
	m = after(m, arrived{snapshot: withDetail(fixtureDetail(110))})
	if got := m.ladder(21)[4]; got != top || m.scroll != 12 {
		t.Errorf("scroll %d, first line %q, want 12 and %q", m.scroll, got, top)
	}
	if m = after(m, "end"); m.scroll != 0 {
		t.Errorf("end: %d lines below", m.scroll)
	}
	if m = after(m, "home"); m.scroll != 110-m.ladderRows() {
		t.Errorf("home: %d lines below", m.scroll)
	}
	if m = after(m, arrived{snapshot: withDetail(fixtureDetail(3))}); m.scroll != 0 {
		t.Errorf("three lines are left: %d below", m.scroll)
	}
	other := fixtureDetail(50)
	other.Flow.Number = 4
	if after(m, arrived{snapshot: withDetail(other)}).detail.Flow.Number != 17 {
		t.Error("another flow's ladder is taken")
	}
}

// TestHelpScrolls: on the smallest terminal all of it can be read.
func TestHelpScrolls(t *testing.T) {
	m := after(started(t, leastWidth, leastHeight, Options{}), "?")
	seen := make(map[string]bool)
	for range 100 {
		for _, l := range strings.Split(m.draw(), "\n") {
			seen[l] = true
		}
		m = after(m, "down")
	}
	for _, l := range m.helpLines() {
		if !seen[l] {
			t.Errorf("never seen: %q", l)
		}
	}
}

// asking is a Source that notes what it was asked.
type asking struct{ wants []Want }

func (a *asking) Snapshot(_ context.Context, w Want) (Snapshot, error) {
	a.wants = append(a.wants, w)
	return fixture(), nil
}

// TestAsking: one question at a time, a tick for each answer, the flow that is
// opened is asked for at once.
func TestAsking(t *testing.T) {
	source := &asking{}
	m := newModel(t.Context(), source, Options{Width: 80, Height: 24, Every: time.Nanosecond})
	next, cmd := m.Update(m.Init()())
	m = next.(model)
	if _, again := m.Update(tick{m.round}); again != nil {
		t.Error("asks while an answer is on its way")
	}
	next, wait := m.Update(cmd())
	m = next.(model)
	late := wait()
	next, cmd = m.Update(press("enter"))
	m = next.(model)
	next, none := m.Update(tea.WindowSizeMsg{Width: 90, Height: 30}) // while it is on its way
	m = next.(model)
	if _, void := m.Update(late); none != nil || void != nil {
		t.Error("asks twice at once")
	}
	next, cmd = m.Update(cmd())
	m = next.(model)
	m = after(m, cmd())
	if _, void := m.Update(late); void != nil {
		t.Error("a tick of an earlier question counts")
	}
	want := []Want{{NoFlow, 80}, {905, 80}, {905, 90}}
	if diff := cmp.Diff(want, source.wants); diff != "" {
		t.Errorf("asked for (- want, + got):\n%s", diff)
	}
}

func TestSourceEnds(t *testing.T) {
	broken := errors.New("eth0: interface is gone")
	for _, c := range []struct{ given, want error }{{io.EOF, nil}, {broken, broken}} {
		next, cmd := started(t, 80, 24, Options{}).Update(arrived{err: c.given})
		if _, ok := cmd().(tea.QuitMsg); !ok || next.(model).err != c.want {
			t.Errorf("%v: err %v, want %v and the end", c.given, next.(model).err, c.want)
		}
	}
}

// FuzzMessages plays any messages: no panic, and the screen always fits.
func FuzzMessages(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30}, "a b", true)
	f.Add([]byte{200, 40, 10, 5, 202, 3, 3, 201, 80, 24, 17, 203, 6, 200, 79, 21}, "\x1b[31m\u0301日", false)
	f.Fuzz(func(t *testing.T, script []byte, text string, color bool) {
		if len(script) > 300 || len(text) > 300 {
			return
		}
		playAny(t, script, text, color)
	})
}

// TestRandomMessages plays messages of which the same come each time.
func TestRandomMessages(t *testing.T) {
	random := rand.New(rand.NewPCG(9293, 0))
	for i := range 60 {
		script := make([]byte, 100)
		for j := range script {
			script[j] = byte(random.Uint32())
		}
		playAny(t, script, []string{"10.0.0.9:5432", "\x1b[31m\u0301日", ""}[i%3], i%2 == 0)
	}
}

func playAny(t *testing.T, script []byte, text string, color bool) {
	keys := []string{"up", "down", "j", "k", "enter", "esc", "tab", "shift+tab", "s", "/", "p", "space", "?", "home", "end",
		"pgup", "pgdown", "backspace", "f1", "left", "right", "G", "ctrl+u", "1", "日"}
	m := newModel(t.Context(), stale{}, Options{Color: color, Width: 80, Height: 24})
	for len(script) > 0 {
		at := min(3, len(script))
		op, rest := script[0], append(slices.Clone(script[1:at]), 0, 0)
		script = script[1:]
		switch {
		case op >= 240:
			m = after(m, tea.PasteMsg{Content: text})
		case op >= 220:
			m = after(m, tea.WindowSizeMsg{Width: int(rest[0]), Height: int(rest[1]) / 2})
		case op >= 200:
			m = after(m, arrived{snapshot: anySnapshot(rest[0], rest[1], text)})
		default:
			m = after(m, keys[int(op)%len(keys)])
		}
		fits(t, m)
	}
}

// anySnapshot has n flows and listeners, in part with odd figures.
func anySnapshot(n, odd byte, text string) Snapshot {
	s := fixture()
	s.Stuck, s.Listeners = s.Stuck[:int(n)%5], s.Listeners[:int(n)%4]
	for i := range s.Stuck {
		s.Stuck[i].Number += int(n) / 16
		s.Stuck[i].Since += int64(odd) << 50
		s.Stuck[i].Owner, s.Stuck[i].Client = text, text
	}
	for i := range s.Listeners {
		s.Listeners[i].Address = text
		s.Listeners[i].Findings <<= odd % 64
	}
	s.Capture = Capture{Frames: 1 << (odd % 64), Drops: uint64(odd) << 40, Ring: float64(odd)/64 - 1}
	s.Open = int(odd) - 5
	s.Census[0][analyzer.CloseWait] = 1 << (odd % 33)
	s.Title = text
	d := &Detail{Flow: Flow{Number: 905 + int(n)/16, Client: text, Findings: []string{text}}, Ended: odd > 99}
	for range odd {
		d.Lines = append(d.Lines, text)
	}
	s.Detail = d
	return s
}

// BenchmarkView is what one Snapshot costs with ten thousand flows that are stuck.
func BenchmarkView(b *testing.B) {
	s := fixture()
	for i := range 10_000 {
		f := s.Stuck[i%4]
		f.Number = 5000 + i
		s.Stuck = append(s.Stuck, f)
	}
	m := started(b, 160, 48, Options{Color: true})
	for b.Loop() {
		m = after(m, arrived{snapshot: s})
		_ = m.draw()
	}
}
