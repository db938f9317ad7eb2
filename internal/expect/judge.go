package expect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Judge holds the flows of one capture against a File. It keeps counts, the round
// trips of handshakes, and the failures of few flows for each expectation, not the
// flows. It is not safe for concurrent use.
type Judge struct {
	file  *File
	limit int

	flows      uint64
	handshakes [analyzer.HandshakeRejectedICMP + 1]uint64
	closes     [analyzer.CloseUnknown + 1]uint64
	states     [2][analyzer.NumStates]uint64
	rtts       [3][]int64 // round trip, server's half, client's half
	found      []findingTally
	first      []address // of the first flows
	watches    []watch   // by item of flows
	at         Flow      // the flow at hand
}

// address is of whom a flow is.
type address struct {
	number int
	text   string
}

// watch is what one item of flows has met.
type watch struct {
	matched uint64
	failing uint64
	kept    []judged // by number; with an index all flows that match, else failing ones
}

// judged is a flow that was held against an item.
type judged struct {
	number   int
	failures []Failure
}

// namedFlows is how many flows are named where none matches.
const namedFlows = 3

// DefaultLimit is how many failing flows are listed for one item of flows.
const DefaultLimit = 20

// NewJudge returns a Judge of a File that lists at most limit failing flows for
// each item of flows: those of the lowest numbers.
func NewJudge(f *File, limit int) *Judge {
	return &Judge{file: f, limit: limit, watches: make([]watch, len(f.Flows))}
}

// Flow takes a flow that has ended: it is made for analyzer.Config.OnFlow. It
// keeps nothing of f.
func (j *Judge) Flow(f *analyzer.Flow) {
	j.at.Snapshot(f)
	j.Take(&j.at)
}

// Take is Flow for a flow that is kept already.
func (j *Judge) Take(f *Flow) {
	j.flows++
	j.handshakes[f.Handshake.Result]++
	j.closes[f.Close.Result]++
	for i, s := range f.State {
		j.states[i][s]++
	}
	for i, rtt := range [...]int64{f.Handshake.RTT, f.Handshake.RTTServer, f.Handshake.RTTClient} {
		if rtt >= 0 {
			j.rtts[i] = append(j.rtts[i], rtt)
		}
	}
	for i := range f.Findings {
		n := &f.Findings[i]
		j.found = tally(j.found, n.Name, n.Severity, f.Number, n.said())
	}
	if len(j.first) < namedFlows || f.Number < j.first[namedFlows-1].number {
		j.first = keep(j.first, address{f.Number, f.Client.String() + " > " + f.Server.String()}, namedFlows,
			func(a address) int { return a.number })
	}
	for i := range j.watches {
		if e := &j.file.Flows[i]; e.Match.Has(f) {
			j.watches[i].take(e, f, j.limit)
		}
	}
}

// Across takes a finding across flows.
func (j *Judge) Across(n *analyzer.Finding) {
	j.found = tally(j.found, n.Detector.Name, n.Severity, -1, n.Subject+": "+n.Evidence)
}

// Flows returns how many flows were taken.
func (j *Judge) Flows() uint64 { return j.flows }

// Has reports whether a flow is one of those chosen, Index and Count aside.
func (m *Match) Has(f *Flow) bool {
	return (m.Flow == nil || slices.Contains(m.Flow, f.Number)) &&
		m.Client.Has(f.Client) && m.Server.Has(f.Server) && (m.Host.Has(f.Client) || m.Host.Has(f.Server))
}

// take holds a flow against an item that it matches.
func (w *watch) take(e *FlowExpect, f *Flow, limit int) {
	w.matched++
	if e.Match.Index.Given { // which flow it is, only the end shows
		limit = e.Match.Index.N + 1
		if len(w.kept) < limit || f.Number < w.kept[len(w.kept)-1].number {
			w.kept = keep(w.kept, judged{f.Number, e.Check(f)}, limit, numberOf)
		}
		return
	}
	if failures := e.Check(f); failures != nil {
		w.failing++
		w.kept = keep(w.kept, judged{f.Number, failures}, limit, numberOf)
	}
}

func numberOf(f judged) int { return f.number }

// keep puts an item in its place, and keeps as many as limit of the lowest.
func keep[T any](list []T, item T, limit int, number func(T) int) []T {
	at, _ := slices.BinarySearchFunc(list, number(item), func(a T, n int) int { return cmp.Compare(number(a), n) })
	list = slices.Insert(list, at, item)
	return list[:min(len(list), limit)]
}

// Failures returns what does not hold, once all flows were taken: in the order of
// the file's lines, and by flow. LeftOut is how many failing flows it does not list.
func (j *Judge) Failures() (list []Failure, leftOut uint64) {
	c := &checker{}
	j.capture(c)
	list = c.list
	for i := range j.watches {
		failures, more := j.item(i)
		list = append(list, failures...)
		leftOut += more
	}
	for i := range list {
		list[i].Line = j.file.Line(list[i].Key)
	}
	slices.SortStableFunc(list, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Key, b.Key), cmp.Compare(a.Flow, b.Flow))
	})
	return list, leftOut
}

// capture holds the whole against what is expected of it.
func (j *Judge) capture(c *checker) {
	e := &j.file.Capture
	c.number("capture.flows", e.Flows, j.flows)
	for _, want := range e.Handshakes {
		c.number("capture.handshakes."+want.Name, want.Range, j.handshakes[slices.Index(enumNames("@handshake"), want.Name)])
	}
	for _, want := range e.Closes {
		c.number("capture.closes."+want.Name, want.Range, j.closes[slices.Index(enumNames("@close"), want.Name)])
	}
	for i, counts := range [...]Counts{e.States.Client, e.States.Server, e.States.Either} {
		for _, want := range counts {
			s, _ := analyzer.ParseState(want.Name)
			n := [...]uint64{j.states[0][s], j.states[1][s], j.states[0][s] + j.states[1][s]}[i]
			c.number("capture.states."+[...]string{"client", "server", "either"}[i]+"."+want.Name, want.Range, n)
		}
	}
	for i, p := range [...]*Percentiles{&e.Handshake.RTT, &e.Handshake.RTTServer, &e.Handshake.RTTClient} {
		slices.Sort(j.rtts[i])
		key := "capture.handshake." + [...]string{"rtt", "rtt_server", "rtt_client"}[i]
		c.bound(key+".p50", p.P50, percentile(j.rtts[i], 50))
		c.bound(key+".p95", p.P95, percentile(j.rtts[i], 95))
		c.bound(key+".p99", p.P99, percentile(j.rtts[i], 99))
		c.bound(key+".max", p.Max, percentile(j.rtts[i], 100))
	}
	slices.SortFunc(j.found, func(a, b findingTally) int { return strings.Compare(a.name, b.name) })
	c.findings("capture.findings", &e.Findings, j.found)
}

// percentile is the nearest rank; negative of nothing.
func percentile(sorted []int64, p int) int64 {
	if len(sorted) == 0 {
		return -1
	}
	return sorted[(len(sorted)*p+99)/100-1]
}

// item returns the failures of one item of flows.
func (j *Judge) item(i int) (list []Failure, leftOut uint64) {
	e, w := &j.file.Flows[i], &j.watches[i]
	key := fmt.Sprintf("flows[%d]", i)
	kept, matched := w.kept, w.matched
	if e.Match.Index.Given {
		kept, matched = nil, 0
		if n := e.Match.Index.N; n < len(w.kept) {
			kept, matched = w.kept[n:], 1
		}
	} else {
		leftOut = w.failing - uint64(len(kept))
	}
	want := e.Match.Count
	if !want.Given {
		want = AtLeast(1)
	}
	if !want.Has(matched) {
		c := &checker{}
		n := c.fail(key+".match.count", plural(want), fmt.Sprint(matched), seen{kind: kindNumber, n: int64(matched)})
		n.Note = j.others(e, w)
		list = append(list, c.list...)
	}
	for _, flow := range kept {
		for _, f := range flow.failures {
			f.Key = key + "." + f.Key
			list = append(list, f)
		}
	}
	return list, leftOut
}

func plural(r Range) string {
	if r.Max == 1 || r.Min == 1 && r.Max == none {
		return r.String() + " flow that matches"
	}
	return r.String() + " flows that match"
}

// others says which flows there are, where not as many match as should.
func (j *Judge) others(e *FlowExpect, w *watch) string {
	if e.Match.Index.Given && w.matched > 0 {
		return fmt.Sprintf("without index %d of them match", w.matched)
	}
	if w.matched > 0 || j.flows == 0 {
		return ""
	}
	var list []string
	for _, a := range j.first {
		list = append(list, a.text)
	}
	if j.flows > uint64(len(list)) {
		list = append(list, "…")
	}
	return "the capture has " + strings.Join(list, ", ")
}
