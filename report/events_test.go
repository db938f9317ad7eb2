package report

import (
	"bytes"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// happen tells of all that can happen: findings about a side whose holder is known,
// is not, and about a flow; transitions, one of them taken back; a census with and
// without drops.
func happen(t *testing.T, e Events) {
	t.Helper()
	f := halfClosed()
	now := f.End + 30e9
	owner := &Owner{Text: "postgres (pid 812, pod db-0)", Process: "postgres", PID: 812, UID: 999, Pod: "db-0", Relation: "holds"}
	refused := newFlow(5, "10.0.0.1:1", "10.0.0.2:2", false)
	lost := analyzer.Finding{Detector: captureGap, Severity: analyzer.Warning, Side: analyzer.NoSide, At: now, Count: 1, Evidence: "hidden\x1b[2J octets"}
	steps := []error{e.Census(now, &analyzer.Census{{analyzer.Established: 2}, {analyzer.CloseWait: 1, analyzer.Established: 1}}, 12345, 0)}
	for i := range f.Transitions {
		steps = append(steps, e.Transition(now, f, &f.Transitions[i]))
	}
	for i := range f.Findings {
		steps = append(steps, e.Finding(now, f, &f.Findings[i], owner), e.Finding(now, f, &f.Findings[i], nil))
	}
	steps = append(steps, e.Finding(now, refused, &lost, nil), e.Census(now, &analyzer.Census{}, 12400, 7))
	for _, err := range steps {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What a person sees while it happens, and what a program does.
func TestEvents(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	defer func() { time.Local = local }()
	for name, events := range map[string]func(*bytes.Buffer) Events{
		"events-log.golden":    func(b *bytes.Buffer) Events { return NewLog(b, false) },
		"events-color.golden":  func(b *bytes.Buffer) Events { return NewLog(b, true) },
		"events-ndjson.golden": func(b *bytes.Buffer) Events { return NewEvents(b, false) },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			happen(t, events(&b))
			golden(t, name, b.Bytes())
		})
	}
}
