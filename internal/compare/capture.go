// Package compare says what changed between two captures of one service: what
// their flows add up to by listener, and what became of each flow where both
// captures have the same ones.
//
// A Capture (capture.go) is given the flows of one capture and adds them up; its
// memory is bounded. Diff (diff.go) pairs the listeners of two and compares them;
// the tests that say whether a difference is more than chance are in stats.go.
// All of it depends on the flows and on nothing else, so that the result is the
// same on every machine.
package compare

import (
	"cmp"
	"slices"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// What a Capture holds at the most, some 300 MB if all of it is used.
const (
	maxListeners = 4096    // server addresses and ports
	maxFlows     = 1 << 20 // that can be paired one by one
	maxHistories = 1 << 16 // different ones
	maxSample    = 2048    // round trips of a listener
	maxStates    = 64      // of one side's history
)

// Capture is what the flows of one capture add up to.
type Capture struct {
	flows   int
	leftOut int // of listeners for which there was no room

	listeners map[endpoint]*listener
	histories map[string]uint32
	paths     []string // histories by their number
	findings  map[string]uint32
	sets      [][]findingKey // sets of findings by their number
	records   []record
	across    map[findingKey]counted
	key       []byte // scratch
	raised    []findingKey
}

// endpoint is an address and port.
type endpoint struct {
	addr analyzer.Addr
	port uint16
}

func compareEndpoints(a, b endpoint) int {
	return cmp.Or(cmp.Compare(a.port, b.port), slices.Compare(a.addr[:], b.addr[:]))
}

// findingKey is a kind of finding about one side.
type findingKey struct {
	detector *analyzer.Detector
	side     uint8 // 0 client, 1 server, 2 the flow
}

// counted is how often there is one thing.
type counted struct {
	n     int
	worst analyzer.Severity
}

func (c counted) and(more counted) counted {
	return counted{c.n + more.n, max(c.worst, more.worst)}
}

// listener is what the flows to one address and port add up to.
type listener struct {
	addrs      []analyzer.Addr
	flows      int
	handshakes [analyzer.HandshakeRejectedICMP + 1]int
	closes     [analyzer.CloseUnknown + 1]int
	states     [2][analyzer.NumStates]int // client, server
	findings   map[findingKey]counted
	histories  map[uint32]int
	latency    sample
}

// record is what is kept of one flow.
type record struct {
	client, server    endpoint
	number            int
	history, findings uint32
}

// otherHistory is the number of those for which there was no room.
const otherHistory = 0

// NewCapture returns a Capture without flows.
func NewCapture() *Capture {
	return &Capture{
		listeners: map[endpoint]*listener{},
		histories: map[string]uint32{"": otherHistory}, paths: []string{""},
		findings: map[string]uint32{"": 0}, sets: [][]findingKey{nil},
		across: map[findingKey]counted{},
	}
}

// Flows returns how many flows were added.
func (c *Capture) Flows() int { return c.flows }

// Add adds a flow that has ended, with those of its findings that are chosen. It
// keeps nothing of f.
func (c *Capture) Add(f *analyzer.Flow, chosen func(*analyzer.Finding) bool) {
	c.flows++
	at := endpoint{f.Key.Addr[f.Server()], f.Key.Port[f.Server()]}
	l := c.listener(at)
	if l == nil {
		c.leftOut++
		return
	}
	l.flows++
	l.handshakes[f.Handshake.Result]++
	l.closes[f.Close.Result]++
	l.states[0][final(f, f.Client)]++
	l.states[1][final(f, f.Server())]++
	if f.Handshake.Result == analyzer.HandshakeEstablished && f.Handshake.RTT >= 0 {
		l.latency.add(uint64(f.Number), f.Handshake.RTT)
	}
	history := c.history(f)
	l.histories[history]++
	found := c.found(l, f, chosen)
	if len(c.records) < maxFlows {
		client := endpoint{f.Key.Addr[f.Client], f.Key.Port[f.Client]}
		c.records = append(c.records, record{client, at, f.Number, history, found})
	}
}

// AddAcross adds a finding across flows.
func (c *Capture) AddAcross(n *analyzer.Finding) {
	key := findingKey{n.Detector, 2}
	c.across[key] = c.across[key].and(counted{1, n.Severity})
}

func newListener() *listener {
	return &listener{findings: map[findingKey]counted{}, histories: map[uint32]int{}}
}

// listener returns that of an address and port, nil when there is no room.
func (c *Capture) listener(at endpoint) *listener {
	l := c.listeners[at]
	if l == nil && len(c.listeners) < maxListeners {
		l = newListener()
		l.addrs = append(l.addrs, at.addr)
		c.listeners[at] = l
	}
	return l
}

// lapsed reports whether a transition is the end of TIME_WAIT by its timer, which
// a capture shows only if it goes on for long enough.
func lapsed(t *analyzer.Transition) bool {
	return t.From == analyzer.TimeWait && t.Trigger == analyzer.Timeout
}

// final is the state of a side at the end, TIME_WAIT where that has only run out.
func final(f *analyzer.Flow, s analyzer.Side) analyzer.State {
	var last *analyzer.Transition
	for last = range f.Believed(s) {
	}
	if last != nil && lapsed(last) {
		return analyzer.TimeWait
	}
	return f.Sides[s].State
}

// history returns the number of the states that both sides have gone through, as
// the whole capture lets us believe it.
func (c *Capture) history(f *analyzer.Flow) uint32 {
	c.key = appendStates(c.key[:0], f, f.Client)
	c.key = append(c.key, between)
	c.key = appendStates(c.key, f, f.Server())
	n, known := c.histories[string(c.key)]
	if !known && len(c.paths) < maxHistories {
		n = uint32(len(c.paths))
		c.histories[string(c.key)] = n
		c.paths = append(c.paths, string(c.key))
	}
	return n
}

// between stands between the states of the client and those of the server.
const between = 0xff

// appendStates appends the states of one side, an octet each.
func appendStates(b []byte, f *analyzer.Flow, s analyzer.Side) []byte {
	from := len(b)
	for t := range f.Believed(s) {
		if lapsed(t) || len(b)-from >= maxStates {
			continue
		}
		if len(b) == from {
			b = append(b, byte(t.From))
		}
		b = append(b, byte(t.To))
	}
	if len(b) == from {
		b = append(b, byte(f.Sides[s].State))
	}
	return b
}

// found counts the findings of a flow that are chosen, and returns the number of
// their set.
func (c *Capture) found(l *listener, f *analyzer.Flow, chosen func(*analyzer.Finding) bool) uint32 {
	c.raised = c.raised[:0]
	for i := range f.Findings {
		n := &f.Findings[i]
		if !chosen(n) {
			continue
		}
		key := findingKey{n.Detector, 2}
		switch n.Side {
		case f.Client:
			key.side = 0
		case f.Server():
			key.side = 1
		}
		e := counted{0, n.Severity}
		if !slices.Contains(c.raised, key) { // flows are counted
			e.n = 1
			c.raised = append(c.raised, key)
		}
		l.findings[key] = l.findings[key].and(e)
	}
	return c.set()
}

// set returns the number of the set of the findings raised.
func (c *Capture) set() uint32 {
	slices.SortFunc(c.raised, compareFindings)
	c.key = c.key[:0]
	for _, k := range c.raised {
		c.key = append(append(c.key, k.detector.Name...), k.side)
	}
	n, known := c.findings[string(c.key)]
	if !known {
		n = uint32(len(c.sets))
		c.findings[string(c.key)] = n
		c.sets = append(c.sets, slices.Clone(c.raised))
	}
	return n
}

func compareFindings(a, b findingKey) int {
	return cmp.Or(cmp.Compare(a.detector.Name, b.detector.Name), cmp.Compare(a.side, b.side))
}

// String is as in "stuck-close-wait@server".
func (k findingKey) String() string {
	if k.side > 1 {
		return k.detector.Name
	}
	return k.detector.Name + "@" + sideNames[k.side]
}

// sideNames spell the sides of a findingKey.
var sideNames = [3]string{"client", "server", ""}

// merge adds what is known of another listener of the same capture.
func (l *listener) merge(other *listener) {
	l.addrs = append(l.addrs, other.addrs...)
	l.flows += other.flows
	for i, n := range other.handshakes {
		l.handshakes[i] += n
	}
	for i, n := range other.closes {
		l.closes[i] += n
	}
	for s := range other.states {
		for i, n := range other.states[s] {
			l.states[s][i] += n
		}
	}
	for key, e := range other.findings {
		l.findings[key] = l.findings[key].and(e)
	}
	for history, n := range other.histories {
		l.histories[history] += n
	}
	l.latency.merge(&other.latency)
}

// sample is some of the round trips of a listener: all of them up to maxSample,
// and beyond that those whose flows come first in an order that has nothing to do
// with time or address and is the same in every run.
type sample struct {
	n    int
	kept []drawn
}

// drawn is one round trip.
type drawn struct {
	rank  uint64 // its place in that order
	value int64  // ns
}

// add adds the round trip of a flow.
func (s *sample) add(flow uint64, value int64) {
	s.n++
	s.kept = append(s.kept, drawn{mix(flow), value})
	if len(s.kept) == 2*maxSample {
		s.thin()
	}
}

// thin leaves maxSample at the most.
func (s *sample) thin() {
	slices.SortFunc(s.kept, func(a, b drawn) int { return cmp.Compare(a.rank, b.rank) })
	s.kept = s.kept[:min(len(s.kept), maxSample)]
}

func (s *sample) merge(other *sample) {
	s.n += other.n
	s.kept = append(s.kept, other.kept...)
	s.thin()
}

// values are the round trips of the sample, sorted.
func (s *sample) values() (list []int64) {
	s.thin()
	for _, d := range s.kept {
		list = append(list, d.value)
	}
	slices.Sort(list)
	return list
}

// mix scatters numbers (splitmix64, Steele, Lea and Flood: Fast Splittable
// Pseudorandom Number Generators, 2014). No two have the same result.
func mix(v uint64) uint64 {
	v += 0x9e3779b97f4a7c15
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}
