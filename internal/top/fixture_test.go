package top

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// fixtureTime is 2026-11-21 02:41:00 UTC.
const fixtureTime = int64(1795228860) * 1e9

// fixture is a server on which a database leaks connections.
func fixture() Snapshot {
	ago := func(d time.Duration) int64 { return fixtureTime - int64(d) }
	s := Snapshot{Time: fixtureTime, Title: "eth0, port 443 or 5432", Open: 14021,
		Capture: Capture{Frames: 88_310_042, Drops: 0, Ring: 0.12},
		Listeners: []Listener{
			{Address: "10.0.0.9:443", Owner: "nginx (pid 640)", Open: 13_900, HalfOpen: 12, Failed: 40, Findings: 3,
				Severity: analyzer.Warning, Worst: "retransmission-heavy"},
			{Address: "10.0.0.9:5432", Owner: "postgres (pid 812, pod db-0)", Open: 121, Stuck: 3, Findings: 41,
				Severity: analyzer.Error, Worst: "stuck-close-wait"},
			{Address: "[2001:db8:0:1:2:3:4:9]:8443", Open: 1, Stuck: 1, Findings: 1, Severity: analyzer.Error, Worst: "stuck-fin-wait-2"},
		},
		Stuck: []Flow{
			{Number: 1203, Client: "[2001:db8:0:1:2:3:4:5]:40022", Server: "[2001:db8:0:1:2:3:4:9]:8443",
				State: [2]analyzer.State{analyzer.FinWait2, analyzer.CloseWait}, Basis: [2]analyzer.Basis{analyzer.Inferred, analyzer.Observed},
				Since: ago(3 * time.Minute), Owes: "server FIN", Severity: analyzer.Error, Findings: []string{"stuck-fin-wait-2"}},
			{Number: 2040, Client: "10.0.0.7:50001", Server: "10.0.0.9:5432",
				State: [2]analyzer.State{analyzer.Established, analyzer.FinWait1},
				Since: ago(45 * time.Second), Owes: "client ACK", Owner: "postgres (pid 812, pod db-0)", Severity: analyzer.Warning,
				Findings: []string{"fin-unacknowledged"}},
			{Number: 17, Client: "10.0.0.5:51544", Server: "10.0.0.9:5432",
				State: [2]analyzer.State{analyzer.FinWait2, analyzer.CloseWait}, Basis: [2]analyzer.Basis{analyzer.Inferred, analyzer.Observed},
				Since: ago(41*time.Minute + 2*time.Second), Owes: "server FIN", Owner: "postgres (pid 812, pod db-0)",
				Severity: analyzer.Error, Findings: []string{"stuck-close-wait", "never-closed"}},
			{Number: 905, Client: "10.0.0.6:33100", Server: "10.0.0.9:5432",
				State: [2]analyzer.State{analyzer.Unknown, analyzer.CloseWait}, Basis: [2]analyzer.Basis{analyzer.Assumed, analyzer.Observed},
				Since: ago(5*time.Hour + 12*time.Minute), Owes: "server FIN", Owner: "postgres\x1b[2J (pid 9)",
				Severity: analyzer.Error, Findings: []string{"stuck-close-wait"}},
		},
	}
	s.Census[0] = [analyzer.NumStates]int{analyzer.Unknown: 1, analyzer.SynSent: 12, analyzer.Established: 13_800, analyzer.FinWait2: 2, analyzer.TimeWait: 206}
	s.Census[1] = [analyzer.NumStates]int{analyzer.SynReceived: 12, analyzer.Established: 13_800, analyzer.FinWait1: 1, analyzer.CloseWait: 3, analyzer.Closed: 205}
	return s
}

// fixtureDetail is the ladder of flow 17, that many lines long.
func fixtureDetail(n int) *Detail {
	d := &Detail{Flow: fixture().Stuck[2]}
	for i := range n {
		d.Lines = append(d.Lines, fmt.Sprintf("%9.6f  %3d  ESTABLISHED   ●─ P. %d len 100 ─────▶│ ESTABLISHED", float64(i)/10, i+1, 100*i))
	}
	return d
}

// stale is a Source that is never asked: tests give the model its Snapshots.
type stale struct{}

func (stale) Snapshot(context.Context, Want) (Snapshot, error) { return Snapshot{}, io.EOF }

// started is a model of that size with a minute of history.
func started(t testing.TB, width, height int, o Options) model {
	t.Helper()
	o.Width, o.Height = width, height
	m := newModel(t.Context(), stale{}, o)
	for i := range minute {
		m = after(m, arrived{snapshot: second(i)})
	}
	return m
}

// minute is how many Snapshots lead to the fixture, which is the last.
const minute = 60

// second is one of them.
func second(i int) Snapshot {
	s := fixture()
	ago := minute - 1 - i
	if ago == 0 {
		return s
	}
	s.Time -= int64(ago) * 1e9
	s.Census[0][analyzer.Established] -= ago * 100
	s.Census[1][analyzer.Established] -= ago * 100
	s.Census[1][analyzer.CloseWait] = i / 20
	return s
}

// after is the model after messages; keys may be given by name.
func after(m model, messages ...any) model {
	for _, msg := range messages {
		if name, ok := msg.(string); ok {
			msg = press(name)
		}
		next, _ := m.Update(msg)
		m = next.(model)
	}
	return m
}

// press is the message of a key, by the name that it has in keys.go.
func press(name string) tea.KeyPressMsg {
	codes := map[string]rune{"up": tea.KeyUp, "down": tea.KeyDown, "enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab,
		"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd, "backspace": tea.KeyBackspace,
		"left": tea.KeyLeft, "right": tea.KeyRight, "f1": tea.KeyF1}
	switch {
	case name == "space":
		return tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
	case name == "shift+tab":
		return tea.KeyPressMsg{Code: tea.KeyTab, Mod: tea.ModShift}
	case strings.HasPrefix(name, "ctrl+"):
		return tea.KeyPressMsg{Code: rune(name[5]), Mod: tea.ModCtrl}
	case codes[name] != 0:
		return tea.KeyPressMsg{Code: codes[name]}
	}
	r := []rune(name)[0]
	return tea.KeyPressMsg{Code: r, Text: name}
}

// typing are the keys of a text.
func typing(text string) (keys []any) {
	for _, r := range text {
		if r == ' ' {
			keys = append(keys, "space")
			continue
		}
		keys = append(keys, string(r))
	}
	return keys
}
