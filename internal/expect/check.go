package expect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Failure is one expectation that does not hold.
type Failure struct {
	Key            string         // in the file, as in flows[0].history.server
	Line           int            // of the file; 0 where there is none
	Flow           int            // number of the flow; -1: it is about the capture
	Client, Server netip.AddrPort // of the flow
	Expected, Got  string
	Note           string // what explains it: the evidence of a finding, other flows that there are
	Story          *Story // of a history
	// Partner is the finding of which this one is the other end: it is not as expected
	// either, as often. Empty where there is none.
	Partner string

	seen seen
}

// seen is the value that would have passed, for Update.
type seen struct {
	kind kind
	n    int64
	name string
}

// kind is how a key is brought up to what was seen.
type kind uint8

const (
	kindNumber kind = iota
	kindBound
	kindChoice
	kindBasis
	kindHistory
	kindAllow   // a finding that must be allowed
	kindPermit  // a finding or severity that must no longer be forbidden
	kindUnknown // no value can be given: the capture does not say
)

// checker gathers the failures of one flow, or of a capture.
type checker struct {
	flow *Flow
	list []Failure
}

func (c *checker) fail(key, expected, got string, s seen) *Failure {
	f := Failure{Key: key, Flow: -1, Expected: expected, Got: got, seen: s}
	if c.flow != nil {
		f.Flow, f.Client, f.Server = c.flow.Number, c.flow.Client, c.flow.Server
	}
	c.list = append(c.list, f)
	return &c.list[len(c.list)-1]
}

func (c *checker) number(key string, r Range, got uint64) {
	if !r.Has(got) {
		c.fail(key, r.String(), fmt.Sprint(got), seen{kind: kindNumber, n: int64(got)})
	}
}

// bound holds a time against its bound; one that is not known does not pass.
func (c *checker) bound(key string, b Bound, ns int64) {
	switch {
	case !b.Given:
	case ns < 0:
		c.fail(key, b.String(), "not known: the capture does not show it", seen{kind: kindUnknown})
	case !b.Has(time.Duration(ns)):
		c.fail(key, b.String(), time.Duration(ns).String(), seen{kind: kindBound, n: ns})
	}
}

// choice holds a name against those expected; an empty one is of what did not
// happen.
func (c *checker) choice(key string, allowed Choice, got string) {
	if allowed.Has(got) {
		return
	}
	if got == "" {
		c.fail(key, allowed.String(), "nothing of that kind", seen{kind: kindUnknown})
		return
	}
	c.fail(key, allowed.String(), got, seen{kind: kindChoice, name: got})
}

// Check holds a flow against what is expected of it, its Match aside. The keys
// of the failures are those within an item of flows; they have no line.
func (e *FlowExpect) Check(f *Flow) []Failure {
	c := &checker{flow: f}
	c.choice("roles", e.Roles, map[bool]string{false: "observed", true: "guessed"}[f.Guessed])
	for i, side := range sides {
		c.history("history."+side, [2]History{e.History.Client, e.History.Server}[i], f, i)
	}
	for i, side := range sides {
		c.choice("state."+side, [2]Choice{e.State.Client, e.State.Server}[i], f.State[i].String())
	}
	for i, side := range sides {
		c.floor("basis."+side, [2]Name{e.Basis.Client, e.Basis.Server}[i], f.Basis[i])
	}
	for i, side := range sides {
		c.bound("in_state."+side, [2]Bound{e.InState.Client, e.InState.Server}[i], f.InState[i])
	}
	c.handshake(&e.Handshake, &f.Handshake)
	c.close(&e.Close, f)
	c.bound("duration", e.Duration, f.End-f.Start)
	c.number("frames", e.Frames, f.Frames)
	for i, side := range sides {
		of := [2]*Counters{&e.Counters.Client, &e.Counters.Server}[i]
		for _, k := range of.counted(&f.Counters[i]) {
			c.number("counters."+side+"."+k.key, *k.bound, k.got)
		}
	}
	c.findings("findings", &e.Findings, tallyOf(f))
	return c.list
}

func (c *checker) history(key string, want History, f *Flow, side int) {
	if got := f.History[side]; !want.Matches(got) {
		n := c.fail(key, want.String(), spell(got), seen{kind: kindHistory, name: spell(got)})
		n.Story = tell(want, f, side)
	}
}

// floor wants evidence of at least a basis: the bases are in the order of their
// weight.
func (c *checker) floor(key string, least Name, got analyzer.Basis) {
	if i := slices.Index(enumNames("@basis"), string(least)); i >= 0 && int(got) > i {
		c.fail(key, "at least "+string(least), got.String(), seen{kind: kindBasis, name: got.String()})
	}
}

func (c *checker) handshake(e *Handshake, got *analyzer.Handshake) {
	c.choice("handshake.result", e.Result, got.Result.String())
	c.bound("handshake.rtt", e.RTT, got.RTT)
	c.bound("handshake.rtt_server", e.RTTServer, got.RTTServer)
	c.bound("handshake.rtt_client", e.RTTClient, got.RTTClient)
	c.choice("handshake.tap", e.Tap, got.Tap.String())
	c.number("handshake.syn_retransmits", e.SYNRetransmits, uint64(got.SYNRetransmits))
	c.number("handshake.synack_retransmits", e.SYNACKRetransmits, uint64(got.SYNACKRetransmits))
}

func (c *checker) close(e *Close, f *Flow) {
	c.choice("close.result", e.Result, f.Close.Result.String())
	c.choice("close.active_closer", e.ActiveCloser, f.Closer)
	c.choice("close.by", e.By, f.Close.By.String())
	lasted := f.Close.Duration
	if f.Close.By == analyzer.CloseByNothing {
		lasted = -1
	}
	c.bound("close.duration", e.Duration, lasted)
}

// findingTally is the findings of one name.
type findingTally struct {
	name     string
	severity analyzer.Severity // the worst
	n        uint64
	flow     int    // the first that has it; -1: it is across flows
	evidence string // there
}

// tallyOf counts the findings of a flow, in their order.
func tallyOf(f *Flow) (list []findingTally) {
	for i := range f.Findings {
		n := &f.Findings[i]
		list = tally(list, n.Name, n.Severity, f.Number, n.said())
	}
	return list
}

func tally(list []findingTally, name string, severity analyzer.Severity, flow int, evidence string) []findingTally {
	i := slices.IndexFunc(list, func(t findingTally) bool { return t.name == name })
	if i < 0 {
		return append(list, findingTally{name, severity, 1, flow, evidence})
	}
	t := &list[i]
	t.n++
	t.severity = max(t.severity, severity)
	if flow >= 0 && flow < t.flow {
		t.flow, t.evidence = flow, evidence
	}
	return list
}

// findings holds what was found against what must, may and must not be.
func (c *checker) findings(key string, e *Findings, got []findingTally) {
	found := func(name string) (t findingTally) {
		if i := slices.IndexFunc(got, func(t findingTally) bool { return t.name == name }); i >= 0 {
			t = got[i]
		}
		return t
	}
	for _, want := range e.Required {
		if t := found(want.Name); !want.Has(t.n) {
			c.fail(key+".required."+want.Name, want.Range.String(), fmt.Sprint(t.n), seen{kind: kindNumber, n: int64(t.n)}).Note = c.note(&t)
		}
	}
	from := len(c.list)
	for i := range got {
		c.finding(key, e, &got[i])
	}
	waits, owes := found(otherEnd[0]), found(otherEnd[1])
	if waits.n != owes.n || waits.flow != owes.flow {
		return
	}
	for i := range c.list[from:] {
		if f := &c.list[from+i]; strings.HasSuffix(f.Key, "."+otherEnd[0]) {
			f.Partner = otherEnd[1]
		}
	}
}

// otherEnd is a finding about who waits for a FIN, and that about who owes it.
var otherEnd = [2]string{"stuck-fin-wait-2", "stuck-close-wait"}

// finding holds one that is there against what may be.
func (c *checker) finding(key string, e *Findings, t *findingTally) {
	times := fmt.Sprintf("%s (%s)", t.name, t.severity)
	if t.n > 1 {
		times = fmt.Sprintf("%s (%s, %d times)", t.name, t.severity, t.n)
	}
	_, required := e.Required.of(t.name)
	bound, allowed := e.Allowed.of(t.name)
	severity := slices.IndexFunc(e.Forbidden, func(name string) bool {
		least, ok := analyzer.ParseSeverity(name)
		return ok && t.severity >= least && !required && !allowed
	})
	var f *Failure
	switch {
	case e.Forbidden != nil && e.Forbidden.Has(t.name):
		f = c.fail(key+".forbidden."+t.name, "no "+t.name, times, seen{kind: kindPermit, name: t.name})
	case severity >= 0:
		name := e.Forbidden[severity]
		f = c.fail(key+".forbidden."+t.name, "no finding of severity "+name+" or above"+besides(e), times, seen{kind: kindPermit, name: name})
	case e.Allowed == nil, required, allowed && bound.Has(t.n):
		return
	case allowed:
		f = c.fail(key+".allowed."+t.name, bound.String(), fmt.Sprint(t.n), seen{kind: kindNumber, n: int64(t.n)})
	default:
		f = c.fail(key+".allowed."+t.name, "no finding"+besides(e), times, seen{kind: kindAllow, name: t.name})
	}
	f.Note = c.note(t)
}

// besides lists what may be found.
func besides(e *Findings) string {
	var names []string
	for _, l := range [2]Counts{e.Required, e.Allowed} {
		for _, n := range l {
			names = append(names, n.Name)
		}
	}
	if names == nil {
		return ""
	}
	return " besides " + strings.Join(names, ", ")
}

// note is the evidence of a finding, with its flow where that is not known.
func (c *checker) note(t *findingTally) string {
	if t.n > 0 && c.flow == nil && t.flow >= 0 {
		return fmt.Sprintf("flow %d: %s", t.flow, t.evidence)
	}
	return t.evidence
}
