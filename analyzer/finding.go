package analyzer

import (
	"fmt"
	"slices"
	"strconv"
)

// Severity says whether a finding needs someone.
type Severity uint8

// The severities. Info explains, Warning may need action, Error does.
const (
	Info Severity = iota
	Warning
	Error
)

var severityNames = [...]string{"info", "warning", "error"}

// String returns the name that every output and flag uses.
func (s Severity) String() string { return severityNames[s] }

// ParseSeverity returns the severity of that name.
func ParseSeverity(name string) (Severity, bool) {
	for i, n := range severityNames {
		if n == name {
			return Severity(i), true
		}
	}
	return Info, false
}

// Finding is one thing that is wrong, or worth knowing, about a flow or across
// flows.
// Repeats on one flow fold into one finding with a count.
type Finding struct {
	Detector *Detector // what kind of finding: its name, cause and reference
	Severity Severity  // of this one; at most that of its kind
	Side     Side      // whom it is about; NoSide when it is the flow
	At       int64     // when it began, ns since 1970-01-01 UTC
	Last     int64     // when it was last seen
	Frame    uint64    // the first frame of the evidence
	Frames   []uint64  // further frames of the evidence, few
	For      int64     // how long the condition lasted, ns; 0 where it is an instant
	Count    int       // how often, 1 or more
	Pending  bool      // the capture ended before the threshold passed
	Doubt    string    // what lowers the certainty; empty when nothing does
	Evidence string    // one sentence with the numbers in it
	Next     string    // what to run or look at next, for this flow

	// A finding across flows is about a group of them, and carries those that
	// it rests on; one about a capture rests on none. Subject is empty for a
	// finding about one flow.
	Subject   string // as Group.String spells it; or the name of the capture
	Flows     []int  // the numbers of the first few
	FlowCount int    // how many there are
}

// Detector recognises one kind of finding. The one list of them is Detectors.
type Detector struct {
	Name      string   // the identifier in every output and flag
	Doc       string   // one sentence: what it is
	Cause     string   // the likely cause, in an on-call engineer's words
	Causes    []string // further ones, the likelier first
	LooksLike []string // what looks like it and is not: a script holds each
	Example   string   // how it looks on the wire: a segment script that raises it
	Next      string   // what to run or look at next; CLIENT, SERVER and PORT stand for the flow's
	Reference string   // the clause that it rests on
	Severity  Severity // the highest it is reported with

	// Capture says that it is a defect of the capture: reported before all
	// others, and a reason to doubt those that rest on what is missing.
	Capture bool
	// Stuck says that the side it is about is stuck in the state that it is in.
	Stuck bool

	// Wants says which segments Segment is called for: those with any of
	// these facts. Zero with a nil Segment: only End is of interest.
	Wants Facts
	// Segment looks at one step of a flow; the Step is valid during the call.
	// The functions are given the Detector that they belong to.
	Segment func(*Detector, *Step)
	// End looks at a flow that is done, or that the capture's end cut off, but
	// for those that were orderly from SYN to FIN.
	End func(*Detector, *Flow)
	// Across looks at many flows together, in a Rollup; nil: at each alone.
	Across *Across
	// Lost looks at what a capture dropped, in a Rollup: all of it, and the
	// stretches of time in which it was more than one frame in a thousand. It
	// fills in what it has to say, and returns false when that is nothing: n
	// comes with Detector, Severity, Side, Subject and Next.
	Lost func(n *Finding, all Loss, much []Loss) bool
}

// Raise adds a finding to the flow, or counts it into one of the same detector
// about the same side. Those about the capture come first.
func (f *Flow) Raise(n Finding) {
	if old := f.finding(n.Detector, n.Side); old != nil {
		old.Count++
		old.Last = max(old.Last, n.Last, n.At)
		old.Severity = max(old.Severity, n.Severity)
		return
	}
	n.Count = max(n.Count, 1)
	n.Last = max(n.Last, n.At)
	n.Next = f.fill(n.Detector.Next)
	at := len(f.Findings)
	if n.Detector.Capture {
		for at > 0 && !f.Findings[at-1].Detector.Capture {
			at--
		}
	}
	f.Findings = slices.Insert(f.Findings, at, n)
}

// orderly reports whether a flow opened and closed with nothing remarkable in
// between, so that there is nothing to find: no rare fact but its SYNs and FINs,
// nothing lost, late, idle or odd, and no state that a timer had to end.
func (f *Flow) orderly() bool {
	switch {
	case f.Close.Result != CloseClosed || f.Handshake.Result != HandshakeEstablished || len(f.Remarks)+len(f.Findings) > 0:
		return false
	case f.idle != nil || f.synData != 0 || f.Key.self():
		return false
	}
	for i := range f.Sides {
		e := &f.Sides[i]
		if e.Counters.SYN != 1 || e.LastSent == 0 || e.trouble != nil || e.odd != nil || e.stalls != nil || e.big != nil || e.hasFIN && !e.finSeen {
			return false
		}
	}
	return true
}

// fill puts the flow's own addresses and the server's port into a detector's
// advice.
func (f *Flow) fill(next string) string {
	server := f.Server()
	a := advice{f.Key.Addr[f.Client].Netip(), f.Key.Addr[server].Netip(), int(f.Key.Port[server])}
	return a.fill(next)
}

// finding returns what a detector has raised about a side, or nil.
func (f *Flow) finding(d *Detector, s Side) *Finding {
	for i := range f.Findings {
		if n := &f.Findings[i]; n.Detector == d && n.Side == s {
			return n
		}
	}
	return nil
}

// retract takes back what a detector raised about a side on a promise that
// was not kept.
func (f *Flow) retract(d *Detector, s Side) {
	f.Findings = slices.DeleteFunc(f.Findings, func(n Finding) bool { return n.Detector == d && n.Side == s })
}

// lower makes a finding less sure, and less severe by one.
func (n *Finding) lower(doubt string) {
	if doubt == "" || n.Doubt != "" {
		return
	}
	n.Doubt = doubt
	if n.Severity > Info {
		n.Severity--
	}
}

// captureDoubt says what the capture lacks of the flow, so that what did not
// happen from one time to another may only not have been recorded; empty when it
// lacks nothing.
func (f *Flow) captureDoubt(from, to int64) string {
	for s := range Side(2) {
		switch e, p := &f.Sides[s], &f.Sides[s.Peer()]; {
		case e.LastSent == 0 && p.LastSent != 0 && p.proven.Synchronized():
			return "nothing that the " + f.who(s) + " sent was captured"
		case e.Counters.CaptureLostBytes > 0:
			return fmt.Sprintf("the capture lost %d octets that the %s sent", e.Counters.CaptureLostBytes, f.who(s))
		case e.hasFIN && !e.finSeen:
			return "a FIN of the " + f.who(s) + " went past uncaptured, or was never sent"
		}
	}
	if l := f.lost.between(from, to); l.Dropped > 0 {
		return "the capturing host dropped " + l.String() + " meanwhile"
	}
	return ""
}

// who names a side in a sentence.
func (f *Flow) who(s Side) string {
	switch s {
	case f.Client:
		return "client"
	case NoSide:
		return "network"
	}
	return "server"
}

// entered returns the last transition by which a side is believed to have come
// into a state, or nil. It looks from the end, and not through Believed: detectors
// ask for every flow, mostly for what came last.
func (f *Flow) entered(s Side, st State) *Transition {
	for i := len(f.Transitions) - 1; i >= 0; i-- {
		if t := &f.Transitions[i]; t.Side == s && t.To == st && t.Withdrawn == nil {
			return t
		}
	}
	return nil
}

// overdue compares how long something unfinished has lasted with the limit of
// a state. Below the limit it is pending: the capture ended first. With a
// limit of 0 whatever is unfinished is overdue.
func (f *Flow) overdue(st State, lasted int64) (pending bool) {
	limit := int64(f.limits[st])
	return limit > 0 && lasted < limit
}

// unlimited reports whether the limit of a state is 0.
func (f *Flow) unlimited(st State) bool { return f.limits[st] == 0 }

// pend raises a finding about a state that lasts: in full when it has lasted
// for the limit, else at Info and pending.
func (f *Flow) pend(n Finding, st State, doubt string) {
	n.Pending = f.overdue(st, n.For)
	n.lower(doubt)
	if n.Pending {
		n.Severity = Info
	}
	f.Raise(n)
}

// plural puts a count before its word.
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}
