package top

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

var update = flag.Bool("update", false, "write the golden files anew")

// screens are what a user comes to see, by the keys that lead there.
var screens = []struct {
	name, why string
	messages  []any
}{
	{"overview", "what --top begins with", nil},
	{"chosen", "a flow that is not the first is chosen: the last line is about it", []any{"down", "j"}},
	{"filtered", "a state's flows, by enter in the states", append([]any{"tab", "end", "home"}, "down", "down", "down", "down", "down", "enter")},
	{"typing", "what a filter leaves is seen while it is typed", append([]any{"/"}, typing("db-0 Never")...)},
	{"empty", "a filter that nothing has", append([]any{"/"}, typing("zzz")...)},
	{"paused", "the time and the figures stand", []any{"p", arrived{snapshot: Snapshot{Time: fixtureTime + 1e9}}}},
	{"drops", "lost frames and flows are not overlooked", []any{arrived{snapshot: troubled()}}},
	{"ladder", "a flow goes on: its last lines", []any{"down", "enter", arrived{snapshot: withDetail(fixtureDetail(200))}}},
	{"scrolled", "earlier lines", []any{"down", "enter", arrived{snapshot: withDetail(fixtureDetail(200))}, "pgup", "up"}},
	{"help", "all keys", []any{"?"}},
}

func troubled() Snapshot {
	s := fixture()
	s.Capture = Capture{Frames: 999_950_000, Drops: 1234, Evicted: 5_000_000, Ring: 1}
	return s
}

func withDetail(d *Detail) Snapshot {
	s := fixture()
	s.Detail = d
	return s
}

// TestScreens holds every screen, at both sizes that were promised and at the
// smallest, to what was looked at once.
func TestScreens(t *testing.T) {
	for _, size := range [][2]int{{40, 10}, {80, 24}, {160, 48}} {
		for _, s := range screens {
			t.Run(fmt.Sprintf("%s/%dx%d", s.name, size[0], size[1]), func(t *testing.T) {
				m := after(started(t, size[0], size[1], Options{}), s.messages...)
				got := m.draw()
				fits(t, m)
				if n := strings.Count(got, "\n") + 1; n != size[1] {
					t.Errorf("%d lines, want all %d (%s)", n, size[1], s.why)
				}
				golden(t, filepath.Join("testdata", fmt.Sprintf("%s.%dx%d.txt", s.name, size[0], size[1])), trimmed(got))
				colored := after(started(t, size[0], size[1], Options{Color: true}), s.messages...)
				if diff := cmp.Diff(got, bare(colored.draw())); diff != "" {
					t.Errorf("colours change the text (- without, + with):\n%s", diff)
				}
			})
		}
	}
}

var paint = regexp.MustCompile("\x1b\\[[0-9;]*m")

// bare is text without colours.
func bare(s string) string { return paint.ReplaceAllString(s, "") }

// trimmed is text without the blanks at the ends of lines.
func trimmed(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: go test -update writes it", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (- want, + got; go test -update):\n%s", path, diff)
	}
}

// fits fails where the screen is larger than the terminal, or has what a
// terminal would obey beside our own colours.
func fits(t *testing.T, m model) {
	t.Helper()
	drawn := m.draw()
	lines := strings.Split(drawn, "\n")
	if len(lines) > max(m.height, 1) {
		t.Fatalf("%d lines on a terminal of %dx%d:\n%s", len(lines), m.width, m.height, drawn)
	}
	for _, l := range lines {
		text := bare(l)
		if w := max(textWidth(text), lipgloss.Width(text)); w > max(m.width, 0) {
			t.Fatalf("%d columns on a terminal of %dx%d: %q", w, m.width, m.height, l)
		}
		if clean(text) != text {
			t.Fatalf("not clean: %q", l)
		}
		if !m.styles.on && text != l {
			t.Fatalf("colour without being asked for: %q", l)
		}
	}
}

// TestEverySize draws every screen at sizes down to nothing.
func TestEverySize(t *testing.T) {
	for _, s := range screens {
		m := after(started(t, 80, 24, Options{Color: true}), s.messages...)
		for width := 0; width < 200; width += 1 + width/13 {
			for height := 0; height < 60; height += 1 + height/7 {
				m = after(m, tea.WindowSizeMsg{Width: width, Height: height})
				fits(t, m)
				small := width < leastWidth || height < leastHeight
				if width > 11 && height > 0 && strings.HasPrefix(m.draw(), "too small: ") != small {
					t.Errorf("%dx%d: too small: %v, but drawn is %q", width, height, small, m.draw())
				}
			}
		}
	}
	m := after(started(t, 39, 24, Options{}))
	if got := m.draw(); got != "too small: 39x24, at least 40x10; q le…" {
		t.Errorf("39x24: %q", got)
	}
}

// TestHostileText draws text that would move the cursor, or is wider than it is long.
func TestHostileText(t *testing.T) {
	for _, text := range []string{"\x1b[2J\x1b[H", "a\r\nb\tc", "日本語のプロセス名がとても長い場合でもはみ出さない", "e\u0301e\u0301", "👍🏽👩‍👩‍👧‍👦🇩🇪", "\u202eevil", "\x9b2J", "\xff\xfe",
		strings.Repeat("\u200b", 300), "\u1100\u1161\u11a8", "ก็ํ"} {
		s := fixture()
		s.Title = text
		s.Listeners[0].Owner, s.Listeners[0].Worst, s.Listeners[1].Address = text, text, text
		s.Stuck[0].Owner, s.Stuck[0].Client, s.Stuck[0].Owes, s.Stuck[0].Findings = text, text, text, []string{text}
		s.Detail = &Detail{Flow: s.Stuck[0], Lines: []string{text, strings.Repeat(text, 50)}}
		for _, width := range []int{40, 71, 80, 131} {
			m := after(started(t, width, 24, Options{}), arrived{snapshot: s})
			fits(t, m)
			m = after(m, "/", tea.PasteMsg{Content: text})
			fits(t, m)
			m = after(m, "esc", "end", "enter", arrived{snapshot: s})
			m.flow, m.detail = s.Detail.Flow.Number, s.Detail
			fits(t, m)
		}
	}
}

// TestManyRows: the chosen row is seen wherever it is in a long list.
func TestManyRows(t *testing.T) {
	s := fixture()
	s.Stuck = nil
	for i := range 1000 {
		s.Stuck = append(s.Stuck, Flow{Number: i, Client: fmt.Sprintf("10.0.0.5:%d", 10000+i), Server: "10.0.0.9:80", Since: fixtureTime - int64(1000-i)*1e9})
	}
	m := after(started(t, 80, 24, Options{}), arrived{snapshot: s})
	for _, k := range []any{"end", "pgup", "up", "home", "pgdown", "down"} {
		m = after(m, k)
		want := fmt.Sprintf("10.0.0.5:%d ", 10000+m.panes[stuckPane].at)
		if !strings.Contains(m.draw(), want) {
			t.Errorf("after %v: row %q is not seen:\n%s", k, want, m.draw())
		}
	}
}

func TestCounts(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999_999: "999,999", 1_000_000: "1.0M", 999_949_999: "999.9M", 999_950_000: "1.0G",
		1 << 63: "9.2E", ^uint64(0): "18.4E"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestSparkline(t *testing.T) {
	for _, c := range []struct {
		numbers []uint32
		width   int
		want    string
	}{
		{nil, 3, "   "},
		{[]uint32{0, 0}, 3, "   "},
		{[]uint32{1, 0, 8}, 4, " ▁ █"},
		{[]uint32{1, 1_000_000}, 2, "▁█"}, // what is not 0 is seen
		{[]uint32{9, 5, 5}, 2, "██"},      // the highest is that of what is seen
		{[]uint32{^uint32(0), 1}, 2, "█▁"},
		{[]uint32{1}, 0, ""},
	} {
		if got := sparkline(c.numbers, c.width); got != c.want {
			t.Errorf("sparkline(%v, %d) = %q, want %q", c.numbers, c.width, got, c.want)
		}
	}
}

func TestStateMarks(t *testing.T) {
	if got := stateText(analyzer.CloseWait, analyzer.Inferred) + stateText(analyzer.Closed, analyzer.Assumed) + stateText(analyzer.Listen, analyzer.Observed); got != "CLOSE_WAIT?CLOSED~LISTEN" {
		t.Error(got)
	}
}
