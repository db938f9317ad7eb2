package report

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// A table lists so many listeners, and pairs: a line each, or several where
// the terminal is narrow.
const fewRolls, fewStacked = 10, 5

// writeRollup writes what is wrong with which listener: where an on-call
// engineer looks first.
func (r *tableRenderer) writeRollup(out io.Writer, s *Summary) error {
	if len(s.Listeners) == 0 || s.Flows.Selected == 0 && len(s.Across) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	if o := &r.meta.Options; len(o.Finding) > 0 || o.MinSeverity != "" {
		r.writeItem(out, "", r.p.faint("by listener, over all flows, whatever their findings:"))
	}
	if text := r.worstListener(&s.Listeners[0]); text != "" {
		r.writeItem(out, "", text)
	}
	if err := r.writeRolls(out, s.Listeners, s.ListenersLeftOut); err != nil {
		return err
	}
	// Where each listener has one client, the pairs say nothing new.
	if !r.wide || len(s.Pairs) <= len(s.Listeners) {
		return nil
	}
	fmt.Fprintln(out)
	return r.writeRolls(out, s.Pairs, s.PairsLeftOut)
}

func (r *tableRenderer) writeRolls(out io.Writer, list []Roll, leftOut uint64) error {
	g := r.rollGrid(list[:min(len(list), fewRolls)])
	if err := g.render(out, r.p); err != nil {
		return err
	}
	if more := uint64(len(list)-len(g.rows)) + leftOut; more > 0 {
		where := "all"
		if leftOut > 0 {
			where = "the first"
		}
		fmt.Fprintln(out, r.p.faint(fmt.Sprintf("… and %s more (-o json lists %s %s)", Thousands(more), where, Thousands(len(list)))))
	}
	return nil
}

// held is how many sides are stuck in one state.
type held struct {
	Stuck
	state  string
	client bool
}

// held lists what is stuck. CLOSE_WAIT comes first: only there the side
// itself owes the next segment, all others wait for their peer.
func (r *Roll) held() (list []held) {
	for st := range analyzer.State(analyzer.NumStates) {
		if k, ok := r.Stuck.Server[st.String()]; ok {
			list = append(list, held{k, st.String(), false})
		}
		if k, ok := r.Stuck.Client[st.String()]; ok {
			list = append(list, held{k, st.String(), true})
		}
	}
	owes := func(h *held) int {
		if h.state == analyzer.CloseWait.String() {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b held) int {
		return cmp.Or(cmp.Compare(owes(&b), owes(&a)), cmp.Compare(b.Count, a.Count))
	})
	return list
}

// String is as in "37 CLOSE_WAIT, oldest 41m00s". What clients hold is marked,
// as --state spells it: a listener's row is about the server.
func (h *held) String() string {
	text := Thousands(h.Count) + " " + h.state
	if h.client {
		text += "@client"
	}
	switch {
	case h.Oldest == nil:
	case h.Count == 1:
		text += " for " + span(int64(*h.Oldest))
	default:
		text += ", oldest " + span(int64(*h.Oldest))
	}
	return text
}

// listener spells a listener's address and port.
func (r *Roll) listener() string {
	a, err := netip.ParseAddr(r.Addr)
	if err != nil {
		return r.Addr
	}
	return netip.AddrPortFrom(a, r.Port).String()
}

// worstListener says in a sentence what is wrong with a listener; empty when
// that is nothing, or no more than one connection tells by itself.
func (r *tableRenderer) worstListener(l *Roll) string {
	name := r.p.head(l.listener())
	if list := l.held(); len(list) > 0 {
		return list[0].sentence(name)
	}
	n, what := 0, ""
	for _, e := range l.unopened() {
		if e.n > n {
			n, what = e.n, e.said
		}
	}
	if n < 2 {
		return ""
	}
	return fmt.Sprintf("%s of %s to %s %s", Thousands(n), plural(l.Connections, "connection"), name, what)
}

// sentence is as in "10.0.0.9:5432 (server) holds 37 CLOSE_WAIT, the oldest
// for 41m00s (flow 17)".
func (h *held) sentence(listener string) string {
	text := listener + " (server) holds "
	switch {
	case h.client && h.Count == 1:
		text = "a client of " + listener + " holds "
	case h.client:
		text = "clients of " + listener + " hold "
	}
	text += Thousands(h.Count) + " " + h.state
	switch {
	case h.Oldest == nil:
		return text + fmt.Sprintf(" (flow %d)", h.Flow)
	case h.Count > 1:
		text += ", the oldest"
	}
	return text + fmt.Sprintf(" for %s (flow %d)", span(int64(*h.Oldest)), h.Flow)
}

// unopened counts the connections that did not open, or have not yet.
type unopened struct {
	n          int
	word, said string
}

func (r *Roll) unopened() []unopened {
	return []unopened{
		{r.Unanswered, "unanswered", "got no answer"},
		{r.Refused, "refused", "were refused"},
		{r.HalfOpen, "half-open", "are half-open"},
	}
}

// rollGrid lays rolls out: in one line each where that fits, else with what
// is wrong one below the other.
func (r *tableRenderer) rollGrid(list []Roll) *grid {
	g := wideRolls(list)
	if !r.wide {
		g = lineRolls(list)
	}
	if !r.wide && !g.fit(r.o.Width) {
		if g = stackedRolls(list[:min(len(list), fewStacked)]); !g.fit(r.o.Width) {
			g.squeeze(0, r.o.Width, len("000.000.000.000:00000"))
		}
	}
	g.color("STUCK", func(_ int, line string) string {
		if line == "-" {
			return line
		}
		return r.p.of(analyzer.Error, line)
	})
	return g
}

// rollColumn is a column of the table of listeners.
type rollColumn struct {
	column
	cell func(*Roll) string
}

// gridOf makes a grid; columns that say nothing of any roll are left out.
func gridOf(list []Roll, cols []rollColumn) *grid {
	g := &grid{rows: make([][]string, len(list))}
	for _, c := range cols {
		cells, says := make([]string, len(list)), false
		for i := range list {
			cells[i] = dash(c.cell(&list[i]))
			says = says || cells[i] != "-"
		}
		if !says {
			continue
		}
		g.cols = append(g.cols, c.column)
		for i := range cells {
			g.rows[i] = append(g.rows[i], cells[i])
		}
	}
	return g
}

// The columns that more than one layout has.
var (
	rollListener = rollColumn{column{name: "LISTENER"}, (*Roll).listener}
	rollConns    = rollColumn{column{name: "CONNS", right: true}, func(r *Roll) string { return number(r.Connections) }}
	rollResets   = rollColumn{column{name: "RESETS BY", spare: 2}, func(r *Roll) string { return r.Resets.join(", ") }}
	rollTimeWait = rollColumn{column{name: "TIME_WAIT", spare: 3}, func(r *Roll) string { return r.TimeWait.join(", ") }}
)

func countColumn(name string, spare int, n func(*Roll) int) rollColumn {
	return rollColumn{column{name: name, right: true, spare: spare}, func(r *Roll) string { return number(n(r)) }}
}

// lineRolls has a line for each roll.
func lineRolls(list []Roll) *grid {
	return gridOf(list, []rollColumn{
		rollListener, rollConns,
		countColumn("ESTAB", 0, func(r *Roll) int { return r.Established }),
		countColumn("REFUSED", 0, func(r *Roll) int { return r.Refused }),
		countColumn("UNANSWERED", 0, func(r *Roll) int { return r.Unanswered }),
		countColumn("HALF-OPEN", 0, func(r *Roll) int { return r.HalfOpen }),
		{column{name: "STUCK"}, func(r *Roll) string { return r.stuckText("; ") }},
		{column{name: "SERVER P50/P95/MAX"}, func(r *Roll) string { return r.HandshakeLatency.Server.join(true) }},
		rollResets.kept(), rollTimeWait.kept(),
	})
}

// kept is the column as one that is not given up.
func (c rollColumn) kept() rollColumn {
	c.spare = 0
	return c
}

// longListener is from which width on a port stands below its address.
const longListener = 30

// stackedRolls is narrow: what did not open, and what is stuck, stand below
// one another.
func stackedRolls(list []Roll) *grid {
	return gridOf(list, []rollColumn{
		{rollListener.column, func(r *Roll) string {
			text := r.listener()
			if len(text) > longListener {
				text = text[:strings.LastIndexByte(text, ':')] + "\n:" + strconv.Itoa(int(r.Port))
			}
			return text
		}},
		rollConns,
		countColumn("ESTAB", 4, func(r *Roll) int { return r.Established }),
		{column{name: "NOT OPENED"}, func(r *Roll) string {
			var lines []string
			for _, e := range r.unopened() {
				if e.n > 0 {
					lines = append(lines, Thousands(e.n)+" "+e.word)
				}
			}
			return strings.Join(lines, "\n")
		}},
		{column{name: "STUCK"}, func(r *Roll) string {
			return strings.NewReplacer(", ", "\n", " for ", "\nfor ").Replace(r.stuckText("\n"))
		}},
		{column{name: "SERVER P50/MAX", spare: 1}, func(r *Roll) string { return r.HandshakeLatency.Server.join(false) }},
		rollResets.stacked(), rollTimeWait.stacked(),
	})
}

// stacked has the two sides below one another.
func (c rollColumn) stacked() rollColumn {
	return rollColumn{c.column, func(r *Roll) string { return strings.ReplaceAll(c.cell(r), ", ", "\n") }}
}

// wideRolls has everything.
func wideRolls(list []Roll) *grid {
	cols := []rollColumn{
		{column{name: "CLIENT"}, func(r *Roll) string { return r.ClientAddr }},
		rollListener, rollConns,
	}
	for h := range analyzer.HandshakeRejectedICMP + 1 {
		name := h.String()
		cols = append(cols, countColumn(strings.ToUpper(name), 0, func(r *Roll) int { return int(r.Handshakes[name]) }))
	}
	cols = append(cols,
		countColumn("HALF-OPEN NOW", 0, func(r *Roll) int { return r.HalfOpen }),
		rollColumn{column{name: "STUCK"}, func(r *Roll) string { return r.stuckText("; ") }})
	for _, half := range []struct {
		name string
		of   func(*Roll) *Latency
	}{
		{"SERVER", func(r *Roll) *Latency { return r.HandshakeLatency.Server }},
		{"CLIENT", func(r *Roll) *Latency { return r.HandshakeLatency.Client }},
	} {
		for i, name := range []string{"P50", "P95", "P99", "MAX"} {
			cols = append(cols, rollColumn{column{name: half.name + " " + name, right: true}, func(r *Roll) string {
				l := half.of(r)
				if l == nil {
					return ""
				}
				return span(int64([]Seconds{l.P50, l.P95, l.P99, l.Max}[i]))
			}})
		}
	}
	return gridOf(list, append(cols,
		countColumn("CLIENT RESETS", 0, func(r *Roll) int { return r.Resets.Client }),
		countColumn("SERVER RESETS", 0, func(r *Roll) int { return r.Resets.Server }),
		countColumn("CLIENT TIME_WAIT", 0, func(r *Roll) int { return r.TimeWait.Client }),
		countColumn("SERVER TIME_WAIT", 0, func(r *Roll) int { return r.TimeWait.Server })))
}

// stuckText lists what is stuck. A side in CLOSE_WAIT explains that its peer
// is in FIN_WAIT_2, which is left out.
func (r *Roll) stuckText(sep string) string {
	var texts []string
	list := r.held()
	for i := range list {
		mirrored := func(h held) bool {
			return h.state == analyzer.CloseWait.String() && h.client != list[i].client && h.Count >= list[i].Count
		}
		if list[i].state != analyzer.FinWait2.String() || !slices.ContainsFunc(list, mirrored) {
			texts = append(texts, list[i].String())
		}
	}
	return strings.Join(texts, sep)
}

// number is empty for 0.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return Thousands(n)
}

// join is as in "12 client, 3 server".
func (c SideCounts) join(sep string) string {
	var list []string
	if c.Client > 0 {
		list = append(list, Thousands(c.Client)+" client")
	}
	if c.Server > 0 {
		list = append(list, Thousands(c.Server)+" server")
	}
	return strings.Join(list, sep)
}

// join is median, 95th percentile (full) and maximum; a single value is all
// of them.
func (l *Latency) join(full bool) string {
	switch {
	case l == nil:
		return ""
	case l.N == 1:
		return span(int64(l.Max))
	}
	text := span(int64(l.P50))
	if full {
		text += "/" + span(int64(l.P95))
	}
	return text + "/" + span(int64(l.Max))
}
