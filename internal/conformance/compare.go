package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

// Disagreement is one side where our history and the kernel's part ways, or a
// flow without a connection, or a connection without a flow.
type Disagreement struct {
	Scenario, Tap string
	Conn          int    // index in Truth.Connections; -1: a flow that no connection has
	Side          string // "client", "server" or "" when it is the whole
	What          string // the states that differ
	Ours, Kernel  string
}

// Result is what one tap of a scenario came to.
type Result struct {
	Scenario, Tap string
	Sides         int // compared
	Agreed        int
	Lenient       int            // sides without a kernel socket, judged loosely
	Elided        map[string]int // by rule: passed within one segment
	Excused       map[string]int // by rule: what this tap's packets do not show
	Disagreements []Disagreement
	Lag           []Lag
	Watched       time.Duration // for how long sides were compared, all added up
}

// Compare holds flows tracked from one tap's packets against the truth.
func Compare(t *Truth, tap string, packets []capture.Packet, flows []*Flow) *Result {
	r := &Result{Scenario: t.Scenario, Tap: tap, Elided: map[string]int{}, Excused: map[string]int{}}
	evid := collect(packets)
	pairs := pair(t, evid, flows)
	for _, p := range pairs {
		switch {
		case p.conn < 0:
			r.disagree(p, "", "no such connection", flowText(p.flow), "")
		case p.flow == nil:
			r.disagree(p, "", "no flow, though the tap has its packets", "", t.Connections[p.conn].String())
		default:
			r.compareFlow(t, p, evid[p.flow.Key])
		}
	}
	return r
}

func (r *Result) disagree(p pairing, side, what, ours, kernel string) {
	r.Disagreements = append(r.Disagreements, Disagreement{r.Scenario, r.Tap, p.conn, side, what, ours, kernel})
}

// pairing is a flow of ours and the connection that it should be.
type pairing struct {
	conn       int
	flow       *Flow
	begin, end int64 // of the incarnation
}

// pair matches flows to connections by address pair and, among the
// incarnations of one, by order.
func pair(t *Truth, evid map[analyzer.Key]*evidence, flows []*Flow) (pairs []pairing) {
	byKey := map[analyzer.Key][]*Flow{}
	var order []analyzer.Key
	for _, f := range flows {
		if byKey[f.Key] == nil {
			order = append(order, f.Key)
		}
		byKey[f.Key] = append(byKey[f.Key], f)
	}
	conns := map[analyzer.Key][]pairing{}
	for i := range t.Connections {
		k, _ := t.Connections[i].Key()
		if conns[k] == nil && byKey[k] == nil {
			order = append(order, k)
		}
		conns[k] = append(conns[k], pairing{conn: i, end: forever})
	}
	for _, k := range order {
		pairs = append(pairs, pairOne(t, evid[k], conns[k], byKey[k])...)
	}
	return pairs
}

// pairOne matches the flows of one address pair to its incarnations. Those of
// which the tap has no packet are not asked for, nor a flow for those of which
// it has a RST alone.
func pairOne(t *Truth, e *evidence, conns []pairing, flows []*Flow) (pairs []pairing) {
	var present, spoke []pairing
	for i, c := range conns {
		if i > 0 {
			c.begin = t.Connections[c.conn].First - clockSlack
		}
		if i+1 < len(conns) {
			c.end = t.Connections[conns[i+1].conn].First - clockSlack
		}
		if n, _ := e.within(c.begin, c.end, func(p seen) bool { return p.segment }); n > 0 {
			present = append(present, c)
		}
		if n, _ := e.within(c.begin, c.end, func(p seen) bool { return p.segment && p.flags&analyzer.RST == 0 }); n > 0 {
			spoke = append(spoke, c)
		}
	}
	if len(flows) < len(present) {
		present = spoke
	}
	for i, c := range present {
		if i < len(flows) {
			c.flow = flows[i]
		}
		pairs = append(pairs, c)
	}
	for i := len(present); i < len(flows); i++ {
		pairs = append(pairs, pairing{conn: -1, flow: flows[i]})
	}
	return pairs
}

func (r *Result) compareFlow(t *Truth, p pairing, e *evidence) {
	c := &t.Connections[p.conn]
	_, client := c.Key()
	for _, role := range []Role{Client, Server} {
		if c.Self && role == Server {
			continue // one socket: its record is the client's
		}
		d := &side{sock: c.Socket(role), evid: e, begin: p.begin, end: p.end, side: client}
		if role == Server {
			d.side = client.Peer()
		}
		if !d.sock.HasKernelSocket {
			r.compareNone(p, role, d)
			continue
		}
		d.steps()
		if broken := d.history(p.flow); broken != "" {
			r.disagree(p, role.String(), "broken chain: "+broken, oursText(d.ours), kernelText(d.kernel, e))
		}
		r.Sides++
		if diff := r.align(d); diff != "" {
			r.disagree(p, role.String(), diff, oursText(d.ours), kernelText(d.kernel, e))
		} else {
			r.Agreed++
		}
		r.lag(t.Taps[r.Tap].End, p, role, d)
	}
}

// compareNone judges a side that no kernel socket stands behind: a forged SYN,
// a refused one, a SYN cookie. Such a side stays CLOSED or LISTEN; we may
// besides say what its own forged segments say (SYN_SENT, SYN_RECEIVED), and
// believe without proof that an answer reached it, but we may not be certain of
// more.
func (r *Result) compareNone(p pairing, role Role, d *side) {
	r.Lenient++
	d.history(p.flow)
	var wrong []string
	for _, o := range d.ours {
		switch o.state {
		case analyzer.Closed, analyzer.Listen, analyzer.Unknown, analyzer.SynSent, analyzer.SynReceived:
		case analyzer.Established:
			if o.tr != nil && o.tr.Certain() {
				wrong = append(wrong, "+"+o.state.String())
			}
		default:
			wrong = append(wrong, "+"+o.state.String())
		}
	}
	if len(wrong) > 0 {
		r.disagree(p, role.String(), strings.Join(wrong, " ")+" of no socket", oursText(d.ours), "no socket")
	}
}

// align finds the cheapest way to read both histories as one: a step that both
// have costs nothing, nor does one that may be elided; any other is a
// disagreement.
func (r *Result) align(d *side) (diff string) {
	const wrong, elided = 1000, 1
	n, m := len(d.ours), len(d.kernel)
	cost := make([][]int, n+1)
	for i := range cost {
		cost[i] = make([]int, m+1)
	}
	price := func(why string) int {
		if why != "" {
			return elided
		}
		return wrong
	}
	for i := n; i >= 0; i-- {
		for j := m; j >= 0; j-- {
			if i == n && j == m {
				continue
			}
			best := forever
			if i < n {
				best = min(best, cost[i+1][j]+price(d.ours[i].elide))
			}
			if j < m {
				best = min(best, cost[i][j+1]+price(d.kernel[j].elide))
			}
			if i < n && j < m && d.ours[i].state == d.kernel[j].state {
				best = min(best, cost[i+1][j+1])
			}
			cost[i][j] = best
		}
	}
	var wrongs []string
	for i, j := 0, 0; i < n || j < m; {
		switch {
		case i < n && j < m && d.ours[i].state == d.kernel[j].state && cost[i][j] == cost[i+1][j+1]:
			if d.ours[i].tr != nil {
				d.kernel[j].ours = d.ours[i].tr.Time
			}
			i, j = i+1, j+1
		case j < m && cost[i][j] == cost[i][j+1]+price(d.kernel[j].elide):
			k := &d.kernel[j]
			switch {
			case k.elide == "":
				wrongs = append(wrongs, "-"+k.state.String())
			case k.excuse:
				r.Excused[k.elide]++
				k.state = analyzer.Unknown // not asked for: the time measure leaves it out
			default:
				r.Elided["kernel: "+k.elide]++
			}
			j++
		default:
			if o := d.ours[i]; o.elide == "" {
				wrongs = append(wrongs, "+"+o.state.String())
			} else {
				r.Elided["ours: "+o.elide]++
			}
			i++
		}
	}
	return strings.Join(wrongs, " ")
}

// mark is the sign that a transition's basis wears in the report.
func mark(t *analyzer.Transition) string {
	switch {
	case t == nil:
		return ""
	case t.ConfirmedFrame != 0:
		return "!"
	case t.Basis == analyzer.Inferred:
		return "?"
	case t.Basis == analyzer.Assumed:
		return "~"
	}
	return ""
}

// oursText spells a history: STATE, ! confirmed, ? inferred, ~ assumed, @frame.
func oursText(ours []ourStep) string {
	var b []string
	for _, o := range ours {
		s := o.state.String() + mark(o.tr)
		if o.tr != nil && o.tr.Frame != 0 {
			s += fmt.Sprintf("@%d", o.tr.Frame)
		}
		b = append(b, s)
	}
	return strings.Join(b, " ")
}

// kernelText spells the kernel's, with the time after the tap's first packet.
func kernelText(kernel []kernelStep, e *evidence) string {
	var zero int64
	if e != nil && len(e.packets) > 0 {
		zero = e.packets[0].time
	}
	var b []string
	for _, k := range kernel {
		s := k.state.String()
		if k.elide != "" {
			s = "(" + s + ")"
		}
		b = append(b, fmt.Sprintf("%s%+.3f", s, float64(k.to-zero)/1e9))
	}
	return strings.Join(b, " ")
}

func flowText(f *Flow) string {
	s := fmt.Sprintf("flow %d %s:%d %s:%d, %d frames", f.Number,
		f.Key.Addr[0].Netip(), f.Key.Port[0], f.Key.Addr[1].Netip(), f.Key.Port[1], f.Frames)
	for side := range analyzer.Side(2) {
		var ours []ourStep
		for _, t := range f.believed(side) {
			ours = append(ours, ourStep{state: t.To, tr: &t})
		}
		s += fmt.Sprintf(" | side %d: %s", side, oursText(ours))
	}
	return s
}

// Group folds disagreements of many connections into one line each.
func Group(all []Disagreement) []string {
	type group struct {
		d Disagreement
		n int
	}
	var groups []*group
	for _, d := range all {
		i := slices.IndexFunc(groups, func(g *group) bool {
			return g.d.Scenario == d.Scenario && g.d.Tap == d.Tap && g.d.Side == d.Side && g.d.What == d.What
		})
		if i < 0 {
			groups = append(groups, &group{d, 1})
			continue
		}
		groups[i].n++
	}
	var lines []string
	for _, g := range groups {
		d := g.d
		more := ""
		if g.n > 1 {
			more = fmt.Sprintf(" (and %d connections more)", g.n-1)
		}
		lines = append(lines, fmt.Sprintf("%s/%s conn %d %s: %s%s\n      ours:   %s\n      kernel: %s",
			d.Scenario, d.Tap, d.Conn, d.Side, d.What, more, d.Ours, d.Kernel))
	}
	return lines
}
