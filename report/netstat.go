package report

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Sockets collects the sockets that existed at one instant of a capture, as
// netstat would have listed them on the hosts of both sides.
type Sockets struct {
	rows      []socket
	listeners map[netip.AddrPort]bool
}

type socket struct {
	local, foreign netip.AddrPort
	state          analyzer.State
	basis          analyzer.Basis
	since          int64 // ns since 1970-01-01 UTC; 0: not known
	flow           int   // -1: a listener
}

// Add takes a flow's two sockets as they were at an instant (ns since
// 1970-01-01 UTC). A side that is CLOSED, or that nothing is known of, has
// none; a server that has answered a SYN has a listener too.
func (s *Sockets) Add(f *analyzer.Flow, at int64) {
	if f.Start > at {
		return
	}
	for side := range analyzer.Side(2) {
		st, basis, since := f.StateAt(side, at)
		if side == f.Server() && answered(f, at) {
			s.listen(f.Addr(side))
		}
		if st <= analyzer.Listen {
			continue
		}
		s.rows = append(s.rows, socket{f.Addr(side), f.Addr(side.Peer()), st, basis, since, f.Number})
	}
}

// answered reports whether the server's listener had shown itself.
func answered(f *analyzer.Flow, at int64) bool {
	for i := range f.Transitions {
		if t := &f.Transitions[i]; t.From == analyzer.Listen && t.Withdrawn == nil && t.Time <= at {
			return true
		}
	}
	return false
}

func (s *Sockets) listen(at netip.AddrPort) {
	if s.listeners == nil {
		s.listeners = map[netip.AddrPort]bool{}
	}
	if !s.listeners[at] {
		s.listeners[at] = true
		s.rows = append(s.rows, socket{local: at, state: analyzer.Listen, basis: analyzer.Inferred, flow: -1})
	}
}

// socketColumns are netstat's, with since when and from which flow. Queues are
// left out: no packet shows what an application has not read.
var socketColumns = []column{
	{name: "Proto"}, {name: "Local Address"}, {name: "Foreign Address"}, {name: "State"},
	{name: "For", right: true, spare: 2}, {name: "Flow", right: true, spare: 1},
}

// sorted puts listeners first, then sockets by their local and foreign ends.
func (s *Sockets) sorted() []socket {
	slices.SortFunc(s.rows, func(a, b socket) int {
		return cmp.Or(cmp.Compare(min(a.flow, 0), min(b.flow, 0)), a.local.Compare(b.local), a.foreign.Compare(b.foreign),
			cmp.Compare(a.flow, b.flow))
	})
	return s.rows
}

// cells are a socket's columns at an instant.
func (s *socket) cells(at int64) []string {
	proto, foreign, held, flow := "tcp", s.foreign.String(), "", ""
	if s.local.Addr().Is6() {
		proto = "tcp6"
	}
	if s.flow < 0 {
		foreign = "*"
	} else {
		flow = strconv.Itoa(s.flow)
	}
	if s.since != 0 && at >= s.since {
		held = span(at - s.since)
	}
	return []string{proto, s.local.String(), foreign, marked(s.state, s.basis), held, flow}
}

// Table writes the sockets for a person, no wider than width columns where
// that can be; 0 is any width.
func (s *Sockets) Table(w io.Writer, at int64, width int, color bool) error {
	p := newPainter(color)
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s\n", p.head(plural(len(s.rows), "socket")+" at "+time.Unix(0, at).UTC().Format("2006-01-02 15:04:05.000 UTC")))
	if len(s.rows) == 0 {
		return out.Flush()
	}
	g := &grid{cols: slices.Clone(socketColumns)}
	for _, row := range s.sorted() {
		g.rows = append(g.rows, row.cells(at))
	}
	g.fit(width)
	if err := g.render(out, p); err != nil {
		return err
	}
	return out.Flush()
}

// CSV writes the sockets as a comma-separated table (RFC 4180) with a header.
func (s *Sockets) CSV(w io.Writer, at int64) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"proto", "local", "foreign", "state", "basis", "since", "flow"}); err != nil {
		return err
	}
	for _, row := range s.sorted() {
		cells := row.cells(at)
		since := ""
		if row.since != 0 {
			since = time.Unix(0, row.since).UTC().Format(time.RFC3339Nano)
		}
		if err := out.Write([]string{cells[0], cells[1], cells[2], row.state.String(), row.basis.String(), since, cells[5]}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// Census counts sockets by state at regular instants of a capture.
type Census struct {
	First, Every int64 // the first instant, ns since 1970-01-01 UTC, and the distance of two, ns

	change [][analyzer.NumStates]int // at each instant, against the one before
}

// MaxInstants bounds a Census.
const MaxInstants = 1 << 20

// Add counts both sides of a flow into every instant from its first frame on.
func (c *Census) Add(f *analyzer.Flow) {
	for side := range analyzer.Side(2) {
		at, before := f.Start, analyzer.Closed
		enter := func(st analyzer.State, t int64) {
			c.count(before, t, -1)
			c.count(st, t, +1)
			before = st
		}
		first, _, _ := f.StateAt(side, at-1)
		enter(first, at)
		for t := range f.Believed(side) {
			at = max(at, t.Time)
			enter(t.To, at)
		}
	}
}

// count adds n sockets in a state from an instant on. LISTEN is the listener's
// state and not a connection's.
func (c *Census) count(st analyzer.State, from int64, n int) {
	if st <= analyzer.Listen {
		return
	}
	i := max(0, (from-c.First+c.Every-1)/c.Every)
	if i >= MaxInstants {
		return
	}
	for int64(len(c.change)) <= i {
		c.change = append(c.change, [analyzer.NumStates]int{})
	}
	c.change[i][st] += n
}

// instants returns the counts at each instant up to last, and which states
// occur at all.
func (c *Census) instants(last int64) (counts [][analyzer.NumStates]int, states []analyzer.State) {
	n := min(MaxInstants, (last-c.First)/c.Every+1)
	var now [analyzer.NumStates]int
	var seen [analyzer.NumStates]bool
	for i := range n {
		if i < int64(len(c.change)) {
			for st := range now {
				now[st] += c.change[i][st]
				seen[st] = seen[st] || now[st] > 0
			}
		}
		counts = append(counts, now)
	}
	for st := analyzer.SynSent; int(st) < analyzer.NumStates; st++ {
		if seen[st] {
			states = append(states, st)
		}
	}
	return counts, states
}

// Table writes a row an instant, a column a state.
func (c *Census) Table(w io.Writer, last int64, width int, color bool) error {
	counts, states := c.instants(last)
	g := &grid{cols: []column{{name: "TIME"}}}
	for _, st := range states {
		g.cols = append(g.cols, column{name: st.String(), right: true})
	}
	for i, row := range counts {
		cells := []string{clock(c.First + int64(i)*c.Every)}
		for _, st := range states {
			cells = append(cells, orDash(row[st]))
		}
		g.rows = append(g.rows, cells)
	}
	g.fit(width)
	out := bufio.NewWriter(w)
	if err := g.render(out, newPainter(color)); err != nil {
		return err
	}
	return out.Flush()
}

func orDash(n int) string {
	if n == 0 {
		return "-"
	}
	return Thousands(n)
}

// CSV writes the same as a comma-separated table (RFC 4180).
func (c *Census) CSV(w io.Writer, last int64) error {
	counts, states := c.instants(last)
	out := csv.NewWriter(w)
	head := []string{"time"}
	for _, st := range states {
		head = append(head, st.String())
	}
	if err := out.Write(head); err != nil {
		return err
	}
	for i, row := range counts {
		cells := []string{time.Unix(0, c.First+int64(i)*c.Every).UTC().Format(time.RFC3339Nano)}
		for _, st := range states {
			cells = append(cells, strconv.Itoa(row[st]))
		}
		if err := out.Write(cells); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// ticks are the heights of a sparkline: nothing, then an eighth each.
var ticks = []rune(" ▁▂▃▄▅▆▇█")

// Sparklines writes a line a state: its highest count and its course. Where
// the instants are more than fit the width, a mark stands for the highest of
// several.
func (c *Census) Sparklines(w io.Writer, last int64, width int) error {
	counts, states := c.instants(last)
	const label = 20 // "SYN_RECEIVED" and the highest count
	room := len(counts)
	if width > label {
		room = min(room, width-label)
	}
	out := bufio.NewWriter(w)
	for _, st := range states {
		marks := make([]int, room)
		top := 0
		for i, row := range counts {
			at := i * room / len(counts)
			marks[at] = max(marks[at], row[st])
			top = max(top, row[st])
		}
		var line strings.Builder
		for _, n := range marks {
			line.WriteRune(ticks[(n*(len(ticks)-1)+top-1)/top])
		}
		fmt.Fprintf(out, "%-12s %6s %s\n", st, Thousands(top), strings.TrimRight(line.String(), " "))
	}
	fmt.Fprintf(out, "%-19s %s to %s, %s a mark\n", "", clock(c.First), clock(c.First+int64(len(counts)-1)*c.Every),
		span(c.Every*int64(len(counts))/int64(max(room, 1))))
	return out.Flush()
}
