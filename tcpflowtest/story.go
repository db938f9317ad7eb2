package tcpflowtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// fewStories is how many flows are told in full, and fewNames how many more by
// their addresses.
const fewStories, fewNames = 3, 10

// Log writes the story of every flow into the test's log: the history of both
// sides and the findings.
func (fs *Flows) Log() *Flows {
	fs.t.Helper()
	var b strings.Builder
	for _, f := range fs.list {
		tell(&b, f)
	}
	fs.t.Logf("tcpflowtest: %s%s", fs, b.String())
	return fs
}

// String is as in "12 flows of lo, port 8080".
func (fs *Flows) String() string {
	count := fmt.Sprintf("%d flows of ", len(fs.list))
	switch len(fs.list) {
	case 0:
		count = "no flow of "
	case 1:
		count = "1 flow of "
	}
	return count + strings.Join(append([]string{fs.from}, fs.how...), ", ")
}

// stories tells the first few flows, and names some more.
func stories(list []*analyzer.Flow) string {
	var b strings.Builder
	for _, f := range list[:min(len(list), fewStories)] {
		tell(&b, f)
	}
	rest := list[min(len(list), fewStories):]
	for _, f := range rest[:min(len(rest), fewNames)] {
		fmt.Fprintf(&b, "\n%s: %s and %s", title(f), stateOf(f, Client), stateOf(f, Server))
	}
	if more := len(rest) - fewNames; more > 0 {
		fmt.Fprintf(&b, "\nand %d flows more", more)
	}
	return b.String()
}

// title is as in "flow 3, 127.0.0.1:40000 > 127.0.0.1:8080".
func title(f *analyzer.Flow) string {
	return fmt.Sprintf("flow %d, %s > %s", f.Number, f.Addr(f.Client), f.Addr(f.Server()))
}

// stateOf is where a side was at the end, as in "CLOSE_WAIT?".
func stateOf(f *analyzer.Flow, side Side) string {
	s := side.of(f)
	return f.Sides[s].State.String() + mark(f.Sides[s].Basis)
}

// mark is what every output of the program puts behind a state that was not
// observed.
func mark(b analyzer.Basis) string { return [...]string{"", "?", "~"}[b] }

// tell tells one flow: what moved which side and when, how it ended, and what is
// wrong with it.
func tell(b *strings.Builder, f *analyzer.Flow) {
	fmt.Fprintf(b, "\n%s, %d frames in %v", title(f), f.Frames, time.Duration(f.End-f.Start))
	moves := slices.Clone(f.Transitions)
	slices.SortStableFunc(moves, func(x, y analyzer.Transition) int { return int(max(-1, min(1, x.Time-y.Time))) })
	for i := range moves {
		t := &moves[i]
		if t.Withdrawn != nil {
			continue
		}
		side, basis := Client, t.Basis
		if t.Side != f.Client {
			side = Server
		}
		if t.Certain() {
			basis = analyzer.Observed
		}
		fmt.Fprintf(b, "\n  %9.6f  %s  %-12s > %-13s %s", float64(t.Time-f.Start)/1e9, side, t.From, t.To.String()+mark(basis), t.Trigger)
		if t.Frame != 0 {
			fmt.Fprintf(b, ", frame %s", analyzer.FrameText(t.Frame))
		}
	}
	fmt.Fprintf(b, "\n  %9.6f  capture ends: client %s, server %s; handshake %s, close %s", float64(f.Now-f.Start)/1e9,
		stateOf(f, Client), stateOf(f, Server), f.Handshake.Result, f.Close.Result)
	for i := range f.Findings {
		accuse(b, f, &f.Findings[i])
	}
}

// accuse tells a finding.
func accuse(b *strings.Builder, f *analyzer.Flow, n *analyzer.Finding) {
	fmt.Fprintf(b, "\n  %s %s", n.Severity, n.Detector.Name)
	switch n.Side {
	case f.Client:
		b.WriteString(" of the client")
	case f.Server():
		b.WriteString(" of the server")
	}
	b.WriteString(": " + n.Evidence)
	if n.Doubt != "" {
		b.WriteString("\n    but " + n.Doubt)
	}
	b.WriteString("\n    cause: " + n.Detector.Cause)
}
