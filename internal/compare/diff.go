package compare

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// How many of each are listed at the most.
const (
	mostListed = 100
	mostAddrs  = 16
)

// match is a listener that both captures have.
type match struct {
	port     uint16 // in OLD
	newPort  uint16 // another one if pairedBy is "ephemeral"
	pairedBy string // as in report.DiffListener
	old, new *listener
}

// Diff compares two captures. Of the result, what only the command knows (files,
// options) is the caller's to fill in. The captures take no flows afterwards.
func Diff(old, new *Capture) *report.Diff {
	d := &report.Diff{Type: "diff", Schema: report.Schema, Level: Level,
		Old: describe(old), New: describe(new), Listeners: []report.DiffListener{}, Failed: []string{},
		Across: counts(findings(old.across, new.across), 0, 0)}
	matches, gone, appeared := pair(old, new)
	pairs := pairFlows(old, new)
	for _, m := range matches {
		d.Listeners = append(d.Listeners, listen(old, new, &m, pairs))
	}
	d.Gone, d.Appeared = alone(old, gone), alone(new, appeared)
	judgeCounts(d)
	judgeLatencies(d)
	for i := range d.Listeners {
		l := &d.Listeners[i]
		l.Changed = changed(l)
	}
	slices.SortStableFunc(d.Listeners, func(a, b report.DiffListener) int { return cmp.Compare(weight(&b), weight(&a)) })
	return d
}

func describe(c *Capture) report.DiffCapture {
	return report.DiffCapture{Files: []report.File{}, Flows: c.flows, Listeners: len(c.listeners), FlowsLeftOut: c.leftOut, FlowsHeld: len(c.records)}
}

// pair pairs listeners by address and port. Those whose addresses only one of the
// captures has as a server's are paired by port, as one where there are several:
// containers get other addresses in each run. What is left may have got another
// port.
func pair(old, new *Capture) (matches []match, gone, appeared []endpoint) {
	for _, at := range sortedEndpoints(old) {
		if l := new.listeners[at]; l != nil {
			matches = append(matches, match{at.port, at.port, "address", old.listeners[at], l})
		}
	}
	oldHosts, newHosts := hosts(old), hosts(new)
	was, is := strangers(old, newHosts), strangers(new, oldHosts)
	for _, port := range slices.Sorted(maps.Keys(was)) {
		if is[port] != nil {
			matches = append(matches, match{port, port, "port", was[port], is[port]})
		}
	}
	gone, appeared = unpaired(old, new, newHosts, is), unpaired(new, old, oldHosts, was)
	lone, to := loneEphemeral(gone), loneEphemeral(appeared)
	for _, from := range slices.Clone(gone) {
		if at, there := to[from.addr]; there && lone[from.addr] == from {
			matches = append(matches, match{from.port, at.port, "ephemeral", old.listeners[from], new.listeners[at]})
			gone, appeared = without(gone, from), without(appeared, at)
		}
	}
	return matches, gone, appeared
}

// firstEphemeral is where the ports begin that a listener on port 0 gets, on Linux
// (ip_local_port_range in ip(7)). Others begin at 49152.
const firstEphemeral = 32768

// loneEphemeral are the listeners on ephemeral ports that are the only such of their
// address.
func loneEphemeral(list []endpoint) map[analyzer.Addr]endpoint {
	n, lone := map[analyzer.Addr]int{}, map[analyzer.Addr]endpoint{}
	for _, at := range list {
		if at.port >= firstEphemeral {
			n[at.addr]++
			lone[at.addr] = at
		}
	}
	maps.DeleteFunc(lone, func(addr analyzer.Addr, _ endpoint) bool { return n[addr] > 1 })
	return lone
}

func without(list []endpoint, at endpoint) []endpoint {
	return slices.DeleteFunc(list, func(e endpoint) bool { return e == at })
}

// hosts are the addresses of all listeners.
func hosts(c *Capture) map[analyzer.Addr]bool {
	all := map[analyzer.Addr]bool{}
	for at := range c.listeners {
		all[at.addr] = true
	}
	return all
}

// strangers are the listeners whose addresses are not among the other capture's,
// by port.
func strangers(c *Capture, others map[analyzer.Addr]bool) map[uint16]*listener {
	byPort := map[uint16]*listener{}
	for _, at := range sortedEndpoints(c) {
		if others[at.addr] {
			continue
		}
		if byPort[at.port] == nil {
			byPort[at.port] = newListener()
		}
		byPort[at.port].merge(c.listeners[at])
	}
	return byPort
}

// unpaired are the listeners that are not another capture's, and not the partners
// of its strangers.
func unpaired(c, other *Capture, others map[analyzer.Addr]bool, strangers map[uint16]*listener) (list []endpoint) {
	for _, at := range sortedEndpoints(c) {
		if other.listeners[at] == nil && (others[at.addr] || strangers[at.port] == nil) {
			list = append(list, at)
		}
	}
	return list
}

func sortedEndpoints(c *Capture) []endpoint {
	return slices.SortedFunc(maps.Keys(c.listeners), compareEndpoints)
}

func alone(c *Capture, list []endpoint) []report.DiffAlone {
	alone := []report.DiffAlone{}
	for _, at := range list {
		alone = append(alone, report.DiffAlone{Addr: at.addr.Netip().String(), Port: int(at.port), Connections: c.listeners[at].flows})
	}
	return alone
}

// listen compares a listener, but for what takes a test.
func listen(old, new *Capture, m *match, pairs map[endpoint][][2]record) report.DiffListener {
	d := report.DiffListener{Port: int(m.port), PairedBy: m.pairedBy, Old: place(m.old), New: place(m.new)}
	count := func(list []report.DiffCount) []report.DiffCount { return counts(list, m.old.flows, m.new.flows) }
	if m.newPort != m.port {
		d.NewPort = int(m.newPort)
	}
	d.Findings = count(findings(m.old.findings, m.new.findings))
	for s := range 2 {
		d.States = append(d.States, named(m.old.states[s][:], m.new.states[s][:], sideNames[s], func(i int) string { return analyzer.State(i).String() })...)
	}
	d.States = count(d.States)
	d.Handshakes = count(named(m.old.handshakes[:], m.new.handshakes[:], "", func(i int) string { return analyzer.HandshakeResult(i).String() }))
	d.Closes = count(named(m.old.closes[:], m.new.closes[:], "", func(i int) string { return analyzer.CloseResult(i).String() }))
	d.Histories = histories(old, new, m)
	d.Latency = latency(&m.old.latency, &m.new.latency)
	if m.pairedBy == "address" {
		d.Flows = flows(old, new, m, pairs[endpoint{m.old.addrs[0], m.port}])
	}
	return d
}

func place(l *listener) report.DiffPlace {
	p := report.DiffPlace{Connections: l.flows}
	for _, a := range l.addrs[:min(len(l.addrs), mostAddrs)] {
		p.Addrs = append(p.Addrs, a.Netip().String())
	}
	return p
}

// named are the counts of what has a number, those that are not 0.
func named(old, new []int, side string, name func(int) string) (list []report.DiffCount) {
	for i := range old {
		if old[i]+new[i] > 0 {
			list = append(list, report.DiffCount{Name: name(i), Side: side, Old: old[i], New: new[i]})
		}
	}
	return list
}

// findings are the counts of findings, the most severe first.
func findings(old, new map[findingKey]counted) (list []report.DiffCount) {
	keys := maps.Clone(old)
	maps.Copy(keys, new)
	for _, k := range slices.SortedFunc(maps.Keys(keys), compareFindings) {
		a, b := old[k], new[k]
		list = append(list, report.DiffCount{Name: k.detector.Name, Side: sideNames[k.side],
			Severity: max(a.worst, b.worst).String(), Old: a.n, New: b.n})
	}
	slices.SortStableFunc(list, func(a, b report.DiffCount) int { return cmp.Compare(severity(&b), severity(&a)) })
	return list
}

// severity is that of a finding.
func severity(c *report.DiffCount) analyzer.Severity {
	s, _ := analyzer.ParseSeverity(c.Severity) // it was spelt here
	return s
}

// counts says of each count, of so many flows, whether only one capture has any, and
// makes the tests that judgeCounts judges. Subjects of findings across flows are of
// none.
func counts(list []report.DiffCount, old, new int) []report.DiffCount {
	if list == nil {
		return []report.DiffCount{}
	}
	for i := range list {
		c := &list[i]
		switch {
		case c.Old == 0:
			c.Change = "new"
		case c.New == 0:
			c.Change = "gone"
		case old == 0: // there are no shares
			c.Change = "same"
		default:
			c.Change = "same"
			c.P = fisher(c.Old, old, c.New, new)
		}
	}
	return list
}

// judgeCounts corrects the p of all counts for their number, and says of each
// whether it has changed.
func judgeCounts(d *report.Diff) {
	type tested struct {
		c        *report.DiffCount
		old, new int
	}
	var all []tested
	for i := range d.Listeners {
		l := &d.Listeners[i]
		for _, group := range l.Groups() {
			for j := range group.Counts {
				if c := &group.Counts[j]; c.Change == "same" {
					all = append(all, tested{c, l.Old.Connections, l.New.Connections})
				}
			}
		}
	}
	p := corrected(all, func(t tested) float64 { return t.c.P })
	for i, t := range all {
		t.c.P = roundP(p[i])
		if p[i] >= Level {
			continue
		}
		if t.c.Change = "more"; float64(t.c.New)/float64(t.new) < float64(t.c.Old)/float64(t.old) {
			t.c.Change = "fewer"
		}
	}
}

// corrected sorts tests by their p, and returns these corrected for their number.
func corrected[T any](tests []T, p func(T) float64) []float64 {
	slices.SortStableFunc(tests, func(a, b T) int { return cmp.Compare(p(a), p(b)) })
	list := make([]float64, len(tests))
	for i, t := range tests {
		list[i] = p(t)
	}
	holm(list)
	return list
}

// latency compares round trips, without verdict; nil where there are none.
func latency(old, new *sample) *report.DiffLatency {
	if old.n+new.n == 0 {
		return nil
	}
	a, b := old.values(), new.values()
	l := &report.DiffLatency{Old: summary(old.n, a), New: summary(new.n, b), Verdict: "too-few"}
	if min(len(a), len(b)) < MinSamples {
		return l
	}
	r := mannWhitney(a, b)
	by, low, high := shift(a, b)
	l.Verdict = "same"
	l.Test = &report.DiffTest{U: r.u, Z: round3(r.z), P: r.p, Shift: report.Seconds(by), ShiftLow: report.Seconds(low), ShiftHigh: report.Seconds(high)}
	if median := int64(l.Old.P50); median > 0 {
		l.Test.Relative = round3(float64(by) / float64(median))
	}
	return l
}

func summary(n int, sorted []int64) report.DiffSample {
	s := report.DiffSample{N: n, Sampled: len(sorted)}
	if len(sorted) > 0 {
		s.P50, s.P95 = report.Seconds(quantile(sorted, 0.5)), report.Seconds(quantile(sorted, 0.95))
	}
	return s
}

// judgeLatencies corrects the p of all listeners for their number, and gives the
// verdicts.
func judgeLatencies(d *report.Diff) {
	var all []*report.DiffLatency
	for i := range d.Listeners {
		if l := d.Listeners[i].Latency; l != nil && l.Test != nil {
			all = append(all, l)
		}
	}
	p := corrected(all, func(l *report.DiffLatency) float64 { return l.Test.P })
	for i, l := range all {
		l.Test.P, l.Test.PAdjusted = roundP(l.Test.P), roundP(p[i])
		switch {
		case p[i] >= Level:
		case l.Test.Z > 0:
			l.Verdict = "slower"
		default:
			l.Verdict = "faster"
		}
	}
}

// histories lists those that only one of the captures has.
func histories(old, new *Capture, m *match) []report.DiffHistory {
	all := map[string][2]int{}
	for n, count := range m.old.histories {
		all[old.paths[n]] = [2]int{count, 0}
	}
	for n, count := range m.new.histories {
		all[new.paths[n]] = [2]int{all[new.paths[n]][0], count}
	}
	delete(all, old.paths[otherHistory])
	list := []report.DiffHistory{}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		switch n := all[path]; {
		case n[0] == 0:
			list = append(list, report.DiffHistory{History: spell(path), New: n[1], Change: "new"})
		case n[1] == 0:
			list = append(list, report.DiffHistory{History: spell(path), Old: n[0], Change: "gone"})
		}
	}
	slices.SortStableFunc(list, func(a, b report.DiffHistory) int {
		return cmp.Or(strings.Compare(b.Change, a.Change), cmp.Compare(b.Old+b.New, a.Old+a.New))
	})
	return list[:min(len(list), mostListed)]
}

// spell names the states of a history.
func spell(path string) (h report.History) {
	to := &h.Client
	for _, b := range []byte(path) {
		if b == between {
			to = &h.Server
			continue
		}
		*to = append(*to, analyzer.State(b).String())
	}
	return h
}

// pairFlows pairs flows by their endpoints, the n-th between two with the n-th, by
// their listener.
func pairFlows(old, new *Capture) map[endpoint][][2]record {
	order := func(a, b record) int {
		return cmp.Or(compareEndpoints(a.server, b.server), compareEndpoints(a.client, b.client))
	}
	numbered := func(a, b record) int { return cmp.Or(order(a, b), cmp.Compare(a.number, b.number)) }
	slices.SortFunc(old.records, numbered)
	slices.SortFunc(new.records, numbered)
	pairs := map[endpoint][][2]record{}
	a, b := old.records, new.records
	for len(a) > 0 && len(b) > 0 {
		switch n := order(a[0], b[0]); {
		case n < 0:
			a = a[1:]
		case n > 0:
			b = b[1:]
		default:
			pairs[a[0].server] = append(pairs[a[0].server], [2]record{a[0], b[0]})
			a, b = a[1:], b[1:]
		}
	}
	return pairs
}

// flows compares pairs of flows; nil unless nine of ten flows of the smaller
// capture have a partner: ephemeral ports meet by chance, and such flows have
// nothing else in common.
func flows(old, new *Capture, m *match, pairs [][2]record) *report.DiffFlows {
	if len(pairs) == 0 || 10*len(pairs) < 9*min(m.old.flows, m.new.flows) {
		return nil
	}
	d := &report.DiffFlows{Paired: len(pairs), List: []report.DiffFlow{}}
	for _, p := range pairs {
		a, b := old.paths[p[0].history], new.paths[p[1].history]
		gained := missing(new.sets[p[1].findings], old.sets[p[0].findings])
		lost := missing(old.sets[p[0].findings], new.sets[p[1].findings])
		if a == b && gained == nil && lost == nil {
			continue
		}
		f := report.DiffFlow{Old: p[0].number, New: p[1].number, Gained: gained, Lost: lost,
			Client: report.Peer{Addr: p[0].client.addr.Netip().String(), Port: p[0].client.port}}
		if a != b {
			was, is := spell(a), spell(b)
			f.Was, f.Is = &was, &is
		}
		d.List = append(d.List, f)
	}
	d.Changed = len(d.List)
	slices.SortFunc(d.List, func(a, b report.DiffFlow) int { return cmp.Compare(a.New, b.New) })
	d.List = d.List[:min(len(d.List), mostListed)]
	return d
}

// missing names the findings of a set that another one does not have.
func missing(set, other []findingKey) (names []string) {
	for _, k := range set {
		if !slices.Contains(other, k) {
			names = append(names, k.String())
		}
	}
	return names
}

// changed reports whether anything of a listener has.
func changed(l *report.DiffListener) bool {
	for _, group := range l.Groups() {
		if slices.ContainsFunc(group.Counts, func(c report.DiffCount) bool { return c.Change != "same" }) {
			return true
		}
	}
	return len(l.Histories) > 0 || l.Flows != nil && l.Flows.Changed > 0 ||
		l.Latency != nil && (l.Latency.Verdict == "slower" || l.Latency.Verdict == "faster")
}

// weight orders listeners: new findings by severity weigh most, then whatever
// else has changed.
func weight(l *report.DiffListener) (n int) {
	for _, c := range l.Findings {
		if c.Change == "new" || c.Change == "more" {
			n = max(n, 2+int(severity(&c)))
		}
	}
	if n == 0 && l.Changed {
		n = 1
	}
	return n
}
