package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Log writes what happens while it happens, a line each:
//
//	15:04:05.123 error   stuck-close-wait  10.0.0.5:51544 > 10.0.0.9:5432  server: …
//	15:04:05.123 10.0.0.5:51544 > 10.0.0.9:5432  client ESTABLISHED -> FIN_WAIT_1  sent FIN (observed)
//
// Times are the capture's, in local time. Flush writes out what was logged.
type Log struct {
	w     *bufio.Writer
	color bool
}

// NewLog returns a Log that writes to w.
func NewLog(w io.Writer, color bool) *Log { return &Log{bufio.NewWriter(w), color} }

// Flush writes out what was logged since the last time.
func (l *Log) Flush() error { return l.w.Flush() }

// Finding logs a finding of a flow, at the capture's time (ns since 1970-01-01
// UTC). Owner says who holds the socket of the side that it is about; empty:
// nobody knows.
func (l *Log) Finding(now int64, f *analyzer.Flow, n *analyzer.Finding, owner string) {
	on, off := "", ""
	if l.color {
		on, off = severityColor(n.Severity), "\x1b[0m"
	}
	who := sideName(f, n.Side)
	if owner != "" {
		who = strings.TrimPrefix(who+" "+Clean(owner), " ")
	}
	if who != "" {
		who += ": "
	}
	fmt.Fprintf(l.w, "%s %s%-7s%s %s  %s  %s%s\n", timeOfDay(now), on, n.Severity, off, n.Detector.Name, pair(f), who, Clean(n.Evidence))
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

// Transition logs a change of state of one side of a flow, or that it was taken
// back.
func (l *Log) Transition(now int64, f *analyzer.Flow, t *analyzer.Transition) {
	move := sideName(f, t.Side) + " " + t.From.String() + " -> " + t.To.String()
	if t.Withdrawn != nil {
		fmt.Fprintf(l.w, "%s %s  %s taken back: %s\n", timeOfDay(now), pair(f), move, Clean(t.Withdrawn.Why))
		return
	}
	fmt.Fprintf(l.w, "%s %s  %s  %s (%s)\n", timeOfDay(now), pair(f), move, t.Trigger, t.Basis)
}

// Census logs how many sides are in each state, and how the capture goes.
func (l *Log) Census(now int64, c *analyzer.Census, frames, dropped uint64) {
	fmt.Fprintf(l.w, "%s", timeOfDay(now))
	for s := range analyzer.NumStates {
		if st := analyzer.State(s); c[0][s]+c[1][s] > 0 && st != analyzer.Unknown {
			fmt.Fprintf(l.w, "  %s %d/%d", st, c[0][s], c[1][s])
		}
	}
	fmt.Fprintf(l.w, "  (client/server)  %s frames", Thousands(frames))
	if dropped > 0 {
		fmt.Fprintf(l.w, ", %s dropped", Thousands(dropped))
	}
	fmt.Fprintln(l.w)
}

// timeOfDay is the local one.
func timeOfDay(ns int64) string { return time.Unix(0, ns).Format("15:04:05.000") }

// pair names a flow by its ends, the client first.
func pair(f *analyzer.Flow) string {
	return f.Addr(f.Client).String() + " > " + f.Addr(f.Server()).String()
}
