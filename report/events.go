package report

import (
	"io"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Events is told what happens while a live capture goes on, and writes it: Log
// for a person, NewEvents for a program. Times are the capture's, ns since
// 1970-01-01 UTC. It keeps nothing of what it is given.
type Events interface {
	// Finding tells of a finding of a flow as soon as it is known. Owner holds the
	// socket of the side that it is about; nil: nobody knows who does.
	Finding(now int64, f *analyzer.Flow, n *analyzer.Finding, owner *Owner) error
	// Transition tells that a side's state has changed, or that this is taken back.
	Transition(now int64, f *analyzer.Flow, t *analyzer.Transition) error
	// Census tells how many sides are in each state, and how many frames were
	// captured and dropped since the beginning.
	Census(now int64, c *analyzer.Census, frames, dropped uint64) error
}

// FindingEvent is a finding of a live capture, written when it is known.
type FindingEvent struct {
	Type    string  `json:"type" enum:"finding" doc:"what this object is"`
	Schema  string  `json:"schema" enum:"tcpflow-states/1" doc:"version of this schema"`
	Time    Time    `json:"t" doc:"the capture's clock when it became known"`
	Flow    int     `json:"flow" doc:"number of the flow"`
	Client  Peer    `json:"client" doc:"who opened the connection"`
	Server  Peer    `json:"server" doc:"its peer"`
	State   States  `json:"state" doc:"both sides' states by then"`
	Finding Finding `json:"finding" doc:"as the flow object has it; what comes later may take it back: then the flow object does not have it"`
	Owner   *Owner  `json:"owner,omitempty" doc:"who holds the socket of the side that it is about, where that is one of this host's"`
}

// TransitionEvent is a change of state in a live capture, written when it is
// known.
type TransitionEvent struct {
	Type       string     `json:"type" enum:"transition" doc:"what this object is"`
	Schema     string     `json:"schema" enum:"tcpflow-states/1" doc:"version of this schema"`
	Time       Time       `json:"t" doc:"the capture's clock when it became known"`
	Flow       int        `json:"flow" doc:"number of the flow"`
	Client     Peer       `json:"client" doc:"who opened the connection"`
	Server     Peer       `json:"server" doc:"its peer"`
	Transition Transition `json:"transition" doc:"as the flow object has it; one that is taken back is written again, with withdrawn"`
}

// CensusEvent counts sides by state at one moment of a live capture.
type CensusEvent struct {
	Type    string      `json:"type" enum:"census" doc:"what this object is"`
	Schema  string      `json:"schema" enum:"tcpflow-states/1" doc:"version of this schema"`
	Time    Time        `json:"t" doc:"the capture's clock"`
	States  StateCounts `json:"states" doc:"sides by their state now, of all flows that are held"`
	Frames  uint64      `json:"frames" doc:"frames captured since the beginning"`
	Dropped uint64      `json:"dropped_frames" doc:"frames that there was no room for"`
}

// Owner is who holds, or held, a socket of this host.
type Owner struct {
	Text      string `json:"-"` // all of it, for a person; without control characters
	Process   Text   `json:"process,omitzero" doc:"name of the process"`
	PID       int    `json:"pid,omitzero" doc:"its number"`
	UID       uint32 `json:"uid" doc:"user of the socket"`
	Container Text   `json:"container,omitzero" doc:"id of the container that it runs in"`
	Pod       Text   `json:"pod,omitzero" doc:"name, or else UID, of the Kubernetes pod"`
	Unit      Text   `json:"unit,omitzero" doc:"systemd unit"`
	Relation  string `json:"relation" enum:"holds,listens,held" doc:"holds: it has the socket open; listens: it has the listener; held: it has closed the socket, or ended"`
}

// eventWriter writes an object a line.
type eventWriter struct {
	w io.Writer
	b []byte
}

// NewEvents returns Events that writes the objects FindingEvent, TransitionEvent
// and CensusEvent to w, each with one call of Write.
func NewEvents(w io.Writer, _ bool) Events { return &eventWriter{w: w} }

// begin starts an event about a flow.
func (e *eventWriter) begin(kind string, now int64, f *analyzer.Flow) {
	e.b = append(append(e.b[:0], `{"type":"`...), kind...)
	e.b = appendTime(append(e.b, `","schema":"`+Schema+`","t":`...), now)
	e.b = appendCount(e.b, `,"flow":`, uint64(f.Number))
	e.b = appendPeer(append(e.b, `,"client":`...), f.Addr(f.Client))
	e.b = appendPeer(append(e.b, `,"server":`...), f.Addr(f.Server()))
}

// end writes the event out.
func (e *eventWriter) end() error {
	e.b = append(e.b, '}', '\n')
	_, err := e.w.Write(e.b)
	return err
}

// Finding implements Events.
func (e *eventWriter) Finding(now int64, f *analyzer.Flow, n *analyzer.Finding, owner *Owner) error {
	e.begin("finding", now, f)
	e.b = appendStates(e.b, f)
	e.b = appendFinding(append(e.b, `,"finding":`...), f, n)
	if owner != nil {
		b, err := encodeJSON(owner)
		if err != nil {
			return err
		}
		e.b = append(append(e.b, `,"owner":`...), b...)
	}
	return e.end()
}

// Transition implements Events.
func (e *eventWriter) Transition(now int64, f *analyzer.Flow, t *analyzer.Transition) error {
	e.begin("transition", now, f)
	e.b = appendTransition(append(e.b, `,"transition":`...), f, t)
	return e.end()
}

// Census implements Events.
func (e *eventWriter) Census(now int64, c *analyzer.Census, frames, dropped uint64) error {
	b, err := encodeJSON(&CensusEvent{Type: "census", Schema: Schema, Time: Time(now),
		States: StateCounts{Client: countStates(&c[0]), Server: countStates(&c[1])}, Frames: frames, Dropped: dropped})
	if err != nil {
		return err
	}
	_, err = e.w.Write(append(b, '\n'))
	return err
}

func countStates(of *[analyzer.NumStates]int) Counts {
	c := Counts{}
	for s, n := range of {
		if n > 0 {
			c[analyzer.State(s).String()] = uint64(n)
		}
	}
	return c
}
