package expect

import (
	"net/netip"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Flow is what is kept of an analyzer.Flow, which is gone after its callback.
// The indices of two are client and server.
type Flow struct {
	Number         int
	Client, Server netip.AddrPort
	Guessed        bool  // who is the client is a guess
	Start, End     int64 // time of the first and last frame, ns since 1970-01-01 UTC
	Now            int64 // the capture's clock when the flow ended
	Frames         uint64

	State     [2]analyzer.State
	Basis     [2]analyzer.Basis
	InState   [2]int64 // ns; negative when the capture does not say
	History   [2][]Move
	Handshake analyzer.Handshake
	Close     analyzer.Close
	Closer    string // client or server; empty when nobody closes
	Counters  [2]analyzer.Counters
	Findings  []Finding
}

// Move is one state of a side's believed history.
type Move struct {
	State   analyzer.State
	Trigger analyzer.Event // what brought it about; NoEvent for the first state
	Basis   analyzer.Basis // observed, too, where it was confirmed later
	Time    int64          // ns since 1970-01-01 UTC; 0 for the first state
	Frame   uint64         // 0 for the first state, and for a timeout
}

// Finding is one finding of a flow.
type Finding struct {
	Name     string
	Severity analyzer.Severity
	Side     string // client or server; empty when it is about the flow
	Evidence string
	Pending  bool // the capture ended before the threshold passed
}

// said is the evidence, and what it lacks.
func (n *Finding) said() string {
	if n.Pending {
		return n.Evidence + " (pending: the capture ended first)"
	}
	return n.Evidence
}

// sides names the indices of two.
var sides = [2]string{"client", "server"}

// Snapshot copies what is kept of f into the Flow, whose slices are used again.
func (o *Flow) Snapshot(f *analyzer.Flow) {
	client, server := f.Client, f.Server()
	history, findings := o.History, o.Findings
	*o = Flow{
		Number: f.Number, Client: f.Addr(client), Server: f.Addr(server), Guessed: f.Guessed,
		Start: f.Start, End: f.End, Now: f.Now, Frames: f.Frames,
		Handshake: f.Handshake, Close: f.Close, Findings: findings[:0],
	}
	for i, s := range [2]analyzer.Side{client, server} {
		e := &f.Sides[s]
		o.State[i], o.Basis[i], o.InState[i], o.Counters[i] = e.State, e.Basis, f.InState(s), e.Counters
		o.History[i] = believed(history[i][:0], f, s)
	}
	o.Closer = roleOf(f, f.Close.ActiveCloser)
	for i := range f.Findings {
		n := &f.Findings[i]
		o.Findings = append(o.Findings, Finding{n.Detector.Name, n.Severity, roleOf(f, n.Side), n.Evidence, n.Pending})
	}
}

func roleOf(f *analyzer.Flow, s analyzer.Side) string {
	switch s {
	case f.Client:
		return sides[0]
	case f.Server():
		return sides[1]
	}
	return ""
}

// believed appends the history of a side: the state before its first transition,
// and where each that was not taken back leads.
func believed(list []Move, f *analyzer.Flow, s analyzer.Side) []Move {
	for t := range f.Believed(s) {
		if len(list) == 0 {
			list = append(list, Move{State: t.From, Basis: analyzer.Assumed})
		}
		m := Move{t.To, t.Trigger, t.Basis, t.Time, t.Frame}
		if t.Certain() {
			m.Basis = analyzer.Observed
		}
		list = append(list, m)
	}
	if len(list) == 0 {
		list = append(list, Move{State: f.Sides[s].State, Basis: f.Sides[s].Basis})
	}
	return list
}

// spell writes a history as ParsePattern reads it.
func spell(moves []Move) string {
	p := make(Pattern, len(moves))
	for i, m := range moves {
		p[i] = Element{m.State}
	}
	return p.String()
}
