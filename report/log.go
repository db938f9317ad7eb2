package report

import (
	"fmt"
	"io"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Log writes what happens while it happens, a line each:
//
//	15:04:05.123 error   stuck-close-wait  postgres (pid 812) has not closed 10.0.0.9:5432 ← 10.0.0.5:51544 for 30 s: …
//	15:04:05.123 warning connection-refused  10.0.0.5:51545 > 10.0.0.9:5433  server: …
//	15:04:05.123 10.0.0.5:51544 > 10.0.0.9:5432  client ESTABLISHED -> FIN_WAIT_1  sent FIN (observed)
//
// Times are the capture's, in local time.
type Log struct {
	w     io.Writer
	color bool
}

// NewLog returns a Log that writes to w, a line with one call of Write.
func NewLog(w io.Writer, color bool) Events { return &Log{w, color} }

// Finding implements Events.
func (l *Log) Finding(now int64, f *analyzer.Flow, n *analyzer.Finding, owner *Owner) error {
	on, off := "", ""
	if l.color {
		on, off = severityColor(n.Severity), "\x1b[0m"
	}
	_, err := fmt.Fprintf(l.w, "%s %s%-7s%s %s  %s: %s\n", timeOfDay(now), on, n.Severity, off, n.Detector.Name,
		whom(f, n, owner), Clean(n.Evidence)+remarks(n.Count, n.Pending, n.Doubt))
	return err
}

// whom says who a finding is about. A socket that waits for its own
// application to close it reads as what the application does.
func whom(f *analyzer.Flow, n *analyzer.Finding, owner *Owner) string {
	who := sideName(f, n.Side)
	switch {
	case owner == nil && who == "":
		return pair(f)
	case owner == nil:
		return pair(f) + "  " + who
	case n.Detector.Stuck && f.Sides[n.Side].State == analyzer.CloseWait:
		return Clean(owner.Text) + " has not closed " + f.Addr(n.Side).String() + " ← " + f.Addr(n.Side.Peer()).String() + " for " + span(n.For)
	}
	return pair(f) + "  " + who + " " + Clean(owner.Text)
}

// severityColor is how a severity stands out.
func severityColor(s analyzer.Severity) string {
	switch s {
	case analyzer.Error:
		return "\x1b[1;31m"
	case analyzer.Warning:
		return "\x1b[33m"
	}
	return "\x1b[36m"
}

// Transition implements Events.
func (l *Log) Transition(now int64, f *analyzer.Flow, t *analyzer.Transition) error {
	move := sideName(f, t.Side) + " " + t.From.String() + " -> " + t.To.String()
	if t.Withdrawn != nil {
		_, err := fmt.Fprintf(l.w, "%s %s  %s taken back: %s\n", timeOfDay(now), pair(f), move, Clean(t.Withdrawn.Why))
		return err
	}
	_, err := fmt.Fprintf(l.w, "%s %s  %s  %s (%s)\n", timeOfDay(now), pair(f), move, t.Trigger, t.Basis)
	return err
}

// Census implements Events.
func (l *Log) Census(now int64, c *analyzer.Census, frames, dropped uint64) error {
	b := []byte(timeOfDay(now))
	for s := range analyzer.NumStates {
		if st := analyzer.State(s); c[0][s]+c[1][s] > 0 && st != analyzer.Unknown {
			b = fmt.Appendf(b, "  %s %d/%d", st, c[0][s], c[1][s])
		}
	}
	if *c == (analyzer.Census{}) {
		b = append(b, "  no connections"...)
	} else {
		b = append(b, "  (client/server)"...)
	}
	b = fmt.Appendf(b, "  %s frames", Thousands(frames))
	if dropped > 0 {
		b = fmt.Appendf(b, ", %s dropped", Thousands(dropped))
	}
	_, err := l.w.Write(append(b, '\n'))
	return err
}

// timeOfDay is the local one.
func timeOfDay(ns int64) string { return time.Unix(0, ns).Format("15:04:05.000") }

// pair names a flow by its ends, the client first.
func pair(f *analyzer.Flow) string {
	return f.Addr(f.Client).String() + " > " + f.Addr(f.Server()).String()
}
