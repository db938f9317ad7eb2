package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// writeFlows writes the table of flows: a line for each where that fits, two
// (the client's and the server's) where the terminal is narrow.
func (r *tableRenderer) writeFlows(out io.Writer, s *Summary) error {
	if len(r.rows) == 0 {
		r.writeNothing(out, s)
		return nil
	}
	fmt.Fprintln(out)
	if err := r.flowGrid().render(out, r.p); err != nil {
		return err
	}
	if more := r.listed - len(r.rows); more > 0 {
		fmt.Fprintf(out, "… and %s more (--limit 0 shows all)\n", Thousands(more))
	}
	if legend := r.legend(); legend != "" {
		fmt.Fprintln(out)
		for line := range strings.Lines(legend) {
			r.writeItem(out, "", r.p.faint(strings.TrimSuffix(line, "\n")))
		}
	}
	return nil
}

// writeNothing says why there is no table.
func (r *tableRenderer) writeNothing(out io.Writer, s *Summary) {
	text := ""
	switch {
	case s.Flows.Total == 0:
		text = noTCP(s)
	case s.Flows.Selected == 0 && len(s.Across) > 0:
		text = "no flow has such a finding by itself, of " + Thousands(s.Flows.Total)
	case s.Flows.Selected == 0:
		text = "no flow passes the filters, of " + Thousands(s.Flows.Total)
	default:
		text = "no flow has a finding (--all lists every flow)"
	}
	if text != "" {
		fmt.Fprintln(out)
		r.writeItem(out, "", text)
	}
}

// cutBeforeTCP is the capture package's name for such frames.
const cutBeforeTCP = "truncated before TCP header"

// noTCP says what captures have instead of TCP flows, and what may help; empty
// where none could be read, which is said already.
func noTCP(s *Summary) string {
	readable, snap := false, uint64(0)
	for i := range s.Files {
		readable = readable || s.Files[i].Format != ""
		snap = max(snap, s.Files[i].SnapNeeded)
	}
	cut, encrypted, filtered := s.Skipped[cutBeforeTCP], s.Skipped["encrypted or compressed"], s.Skipped["left out by the filter"]
	switch {
	case len(s.Files) > 0 && !readable:
		return ""
	case !s.Complete:
		return "no TCP flow in what could be read"
	case s.Frames == 0:
		return "no TCP flow: no frame was captured. Nothing passed while the capture ran, or its filter let nothing through"
	case s.Segments > 0:
		return "no TCP flow: the segments are lone RSTs, which belong to none"
	case filtered > 0 && filtered == s.Frames:
		return "no TCP flow: the filter left out all of " + plural(int(s.Frames), "frame") +
			". Frames with a VLAN tag match only behind vlan, as in: vlan and port 80"
	case cut > 0 && cut >= s.Frames/2:
		return "no TCP flow: the snap length cut the TCP headers off. Capture again with more of each frame (tcpdump -s " + strconv.FormatUint(snap, 10) + ")"
	case encrypted > 0 && encrypted >= s.Frames/2:
		return "no TCP flow: the frames are encrypted (IPsec, WireGuard, 802.11 or the like). Capture where the tunnel ends, on its inner interface"
	}
	return "no TCP flow: the capture has " + counts(s.Skipped) + ". Is it the right interface, and did the capture filter let TCP through?"
}

// legend explains the marks that the table has.
func (r *tableRenderer) legend() string {
	var list []string
	for _, m := range []struct{ mark, means string }{
		{"?", "? inferred: its cause passed the tap, the side has not proved it yet"},
		{"~", "~ assumed: no packet shows it"},
	} {
		for i := range r.rows {
			side := &r.rows[i].side
			if strings.HasSuffix(side[0].state, m.mark) || strings.HasSuffix(side[1].state, m.mark) {
				list = append(list, m.means)
				break
			}
		}
	}
	return strings.Join(list, "\n")
}

func (r *tableRenderer) flowGrid() *grid {
	if r.wide {
		return r.wideGrid()
	}
	if g := r.lineGrid(); g.fit(r.o.Width) {
		r.paint(g)
		return g
	}
	g := r.stackedGrid()
	if !g.fit(r.o.Width) {
		g.squeeze(len(g.cols)-1, r.o.Width, len("RESULT"))
		g.squeeze(1, r.o.Width, len("000.000.000.000:00000"))
	}
	r.paint(g)
	return g
}

// lineGrid has a line for each flow.
func (r *tableRenderer) lineGrid() *grid {
	g := &grid{cols: []column{
		{name: "FLOW", right: true}, {name: "FILE", spare: 4}, {name: "CLIENT"}, {name: "SERVER"},
		{name: "CLIENT STATE"}, {name: "SERVER STATE"}, {name: "IN STATE", right: true},
		{name: "FRAMES", right: true, spare: 2}, {name: "BYTES", right: true, spare: 3},
		{name: "RESULT", spare: 1}, {name: "FINDINGS"},
	}}
	for i := range r.rows {
		w := &r.rows[i]
		g.rows = append(g.rows, []string{
			strconv.Itoa(w.number), dash(Clean(w.origin.File)), w.side[0].addr, w.side[1].addr,
			w.side[0].state, w.side[1].state, w.inState(),
			Thousands(w.frames), Thousands(w.bytes()), w.result(), w.names(" "),
		})
	}
	g.removeEmpty("FILE")
	return g
}

// stackedGrid has two lines for each flow and fits 80 columns.
func (r *tableRenderer) stackedGrid() *grid {
	g := &grid{cols: []column{
		{name: "FLOW", right: true}, {name: "CLIENT / SERVER"}, {name: "STATE"},
		{name: "IN STATE", right: true, spare: 1}, {name: "BYTES", right: true, spare: 2},
		{name: "RESULT / FINDINGS"},
	}}
	for i := range r.rows {
		w := &r.rows[i]
		last := w.result()
		if len(w.findings) > 0 {
			last += "\n" + w.names("\n")
		}
		g.rows = append(g.rows, []string{
			strconv.Itoa(w.number), w.side[0].addr + "\n" + w.side[1].addr,
			w.side[0].state + "\n" + w.side[1].state,
			known(w.side[0].in) + "\n" + known(w.side[1].in),
			Thousands(w.side[0].counters.Bytes) + "\n" + Thousands(w.side[1].counters.Bytes),
			last,
		})
	}
	return g
}

// wideGrid has everything.
func (r *tableRenderer) wideGrid() *grid {
	g := &grid{cols: []column{
		{name: "FLOW", right: true}, {name: "FILE"}, {name: "CAPTURE"}, {name: "LINK"},
		{name: "CLIENT"}, {name: "SERVER"}, {name: "ROLES"},
		{name: "CLIENT STATE"}, {name: "SERVER STATE"},
		{name: "CLIENT IN", right: true}, {name: "SERVER IN", right: true},
		{name: "START"}, {name: "DURATION", right: true}, {name: "FRAMES", right: true},
		{name: "CLIENT BYTES", right: true}, {name: "SERVER BYTES", right: true},
		{name: "CLIENT RETR", right: true}, {name: "SERVER RETR", right: true},
		{name: "LOST IN CAPTURE", right: true},
		{name: "OPENING"}, {name: "RTT", right: true}, {name: "TAP"}, {name: "SYN RETR", right: true},
		{name: "CLOSING"}, {name: "CLOSER"}, {name: "BY"}, {name: "REPLACED BY", right: true}, {name: "FINDINGS"},
	}}
	for i := range r.rows {
		g.rows = append(g.rows, r.rows[i].wide())
	}
	for _, name := range []string{"FILE", "CAPTURE", "LINK"} {
		g.removeEmpty(name)
	}
	r.paint(g)
	return g
}

// removeEmpty drops a column that says nothing in any row.
func (g *grid) removeEmpty(name string) {
	for col, c := range g.cols {
		if c.name != name {
			continue
		}
		for _, row := range g.rows {
			if row[col] != "-" {
				return
			}
		}
		g.remove(col)
		return
	}
}

func (w *row) wide() []string {
	roles, replaced := "observed", "-"
	if w.guessed {
		roles = "guessed"
	}
	if w.replaced >= 0 {
		replaced = strconv.Itoa(w.replaced)
	}
	c, s := &w.side[0], &w.side[1]
	return []string{
		strconv.Itoa(w.number), dash(Clean(w.origin.File)), w.capture(), dash(linkText(&w.origin.Link)),
		c.addr, s.addr, roles, c.state, s.state, known(c.in), known(s.in),
		date(w.start), span(w.duration), Thousands(w.frames),
		Thousands(c.counters.Bytes), Thousands(s.counters.Bytes),
		Thousands(uint64(c.counters.Retransmitted)), Thousands(uint64(s.counters.Retransmitted)),
		Thousands(c.counters.CaptureLostBytes + s.counters.CaptureLostBytes),
		w.hs.Result.String(), known(w.hs.RTT), dash(w.hs.Tap.String()),
		strconv.Itoa(w.hs.SYNRetransmits + w.hs.SYNACKRetransmits),
		w.close.Result.String(), dash(w.closer), dash(w.close.By.String()), replaced, dash(w.names(" ")),
	}
}

// capture is the number of the capture that the flow is in, or of those that
// its first and last frame are in.
func (w *row) capture() string {
	first, last := w.captures[0], w.captures[1]
	switch {
	case first == 0:
		return "-"
	case first == last:
		return strconv.Itoa(first)
	}
	return strconv.Itoa(first) + "-" + strconv.Itoa(last)
}

// linkText is a link in one word.
func linkText(l *analyzer.Link) string {
	var parts []string
	if l.Interface != "" {
		parts = append(parts, Clean(l.Interface))
	}
	for _, id := range l.VLAN {
		parts = append(parts, "vlan:"+strconv.Itoa(int(id)))
	}
	for _, t := range l.Tunnel {
		parts = append(parts, Clean(t))
	}
	return strings.Join(parts, "/")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// known writes a duration; negative is not known.
func known(ns int64) string {
	if ns < 0 {
		return "-"
	}
	return span(ns)
}

// inState is for how long the sides have been in their states: one figure
// where they say the same.
func (w *row) inState() string {
	c, s := known(w.side[0].in), known(w.side[1].in)
	if c == s {
		return c
	}
	return c + "/" + s
}

func (w *row) bytes() uint64 { return w.side[0].counters.Bytes + w.side[1].counters.Bytes }

// result is how the flow opened, if it did not, and how far it is closed.
func (w *row) result() string {
	switch w.hs.Result {
	case analyzer.HandshakeUnanswered, analyzer.HandshakeHalfOpen,
		analyzer.HandshakeRefused, analyzer.HandshakeRejectedICMP:
		return w.hs.Result.String()
	}
	return w.close.Result.String()
}

// names lists the findings, the worst first.
func (w *row) names(sep string) string {
	var b strings.Builder
	for i, n := range w.findings {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(n.name)
	}
	return b.String()
}

// paint colours the laid-out table: findings by severity, what is not
// observed faint.
func (r *tableRenderer) paint(g *grid) {
	finding := func(i int, line string) string {
		w := &r.rows[i]
		if len(w.findings) == 0 || line == "-" || line == w.result() {
			return line
		}
		for _, n := range w.findings {
			if n.name == line || strings.HasPrefix(n.name, strings.TrimSuffix(line, "…")) {
				return r.p.of(n.sev, line)
			}
		}
		return r.p.of(w.findings[0].sev, line)
	}
	state := func(_ int, line string) string {
		for _, mark := range basisMarks[1:] {
			if strings.HasSuffix(line, mark) {
				return r.p.faint(line)
			}
		}
		return line
	}
	for _, name := range []string{"FINDINGS", "RESULT / FINDINGS"} {
		g.color(name, finding)
	}
	for _, name := range []string{"STATE", "CLIENT STATE", "SERVER STATE"} {
		g.color(name, state)
	}
}
