package report

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// fewDiffs is how many histories, flows or lone listeners a table lists.
const fewDiffs = 5

// diffSection is what is written of one listener.
type diffSection struct {
	title string
	rows  []diffRow
	notes []diffNote
}

// diffRow is a line of its table.
type diffRow struct {
	cells [4]string // as diffColumns
	worse analyzer.Severity
	bad   bool // worse says how bad
}

// diffNote is a sentence below it, with what stands before it.
type diffNote struct{ mark, text string }

// diffColumns are the columns of both the table and the Markdown.
var diffColumns = []column{{name: "WHAT"}, {name: "OLD", right: true}, {name: "NEW", right: true}, {name: "CHANGE"}}

// Table writes the result for a person, no wider than width columns where that
// can be; 0 is any width. With all, it has what has not changed, too.
func (d *Diff) Table(w io.Writer, width int, color, all bool) error {
	p := newPainter(color)
	out := bufio.NewWriter(w)
	for i, line := range d.head() {
		if i == 2 {
			fmt.Fprintln(out)
		}
		Wrap(out, "", line, width)
	}
	for _, s := range d.sections(all) {
		fmt.Fprintf(out, "\n%s\n", p.head(s.title))
		if err := s.table(out, p, width); err != nil {
			return err
		}
	}
	return out.Flush()
}

// table writes a section.
func (s *diffSection) table(out io.Writer, p *painter, width int) error {
	if len(s.rows) > 0 {
		g := &grid{cols: diffColumns}
		for _, r := range s.rows {
			g.rows = append(g.rows, slices.Clone(r.cells[:]))
		}
		g.squeeze(0, width, len("finding stuck-close-wait"))
		g.color("CHANGE", func(row int, line string) string {
			if !s.rows[row].bad {
				return line
			}
			return p.of(s.rows[row].worse, line)
		})
		if err := g.render(out, p); err != nil {
			return err
		}
	}
	for _, n := range s.notes {
		Wrap(out, n.mark+" ", n.text, width)
	}
	return nil
}

// Markdown writes the result for a comment on a change.
func (d *Diff) Markdown(w io.Writer, all bool) error {
	out := bufio.NewWriter(w)
	for _, line := range d.head() {
		fmt.Fprintf(out, "%s\n\n", markdown(line))
	}
	for _, f := range d.Failed {
		fmt.Fprintf(out, "- **failed**: %s\n", markdown(f))
	}
	for _, s := range d.sections(all) {
		s.markdown(out)
	}
	return out.Flush()
}

// markdown writes a section.
func (s *diffSection) markdown(out io.Writer) {
	fmt.Fprintf(out, "\n### %s\n", markdown(s.title))
	if len(s.rows) > 0 {
		fmt.Fprint(out, "\n| what | OLD | NEW | change |\n|---|---:|---:|---|\n")
	}
	for _, r := range s.rows {
		fmt.Fprintf(out, "| `%s` | %s | %s | %s |\n", r.cells[0], r.cells[1], r.cells[2], r.cells[3])
	}
	for i, n := range s.notes {
		if i == 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "- %s%s\n", marks[n.mark], markdown(n.text))
	}
}

// marks are the words for those of a table, which Markdown takes for lists.
var marks = map[string]string{"+": "new: ", "-": "gone: "}

// markdown escapes what Markdown would take for its own (CommonMark 2.4), and what
// a forge would take for the name of a user.
func markdown(s string) string {
	return strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "|", `\|`, "<", `\<`, "[", `\[`, "#", `\#`, "~", `\~`, "@", "@<!-- -->").Replace(s)
}

// head are the lines about the whole: the captures, then what differs.
func (d *Diff) head() []string {
	lines := []string{"OLD " + d.Old.String(), "NEW " + d.New.String()}
	differ, byPort, ephemeral := 0, false, false
	for i := range d.Listeners {
		l := &d.Listeners[i]
		if l.Changed {
			differ++
		}
		byPort = byPort || l.PairedBy == "port"
		ephemeral = ephemeral || l.PairedBy == "ephemeral"
	}
	switch {
	case len(d.Listeners) == 0:
		lines = append(lines, "No listener is in both captures.")
	case differ == 0:
		lines = append(lines, plural(len(d.Listeners), "listener")+" in both captures, nothing changed.")
	default:
		lines = append(lines, fmt.Sprintf("%s in both captures, %s changed.", plural(len(d.Listeners), "listener"), Thousands(differ)))
	}
	if byPort {
		lines = append(lines, "Hosts have other addresses: such listeners are paired by port, as *:PORT.")
	}
	if ephemeral {
		lines = append(lines, "A listener on an ephemeral port is paired with the only other one on its address, as ADDRESS:OLD>NEW.")
	}
	lines = append(lines, d.tested())
	lines = append(lines, lone("Only in OLD: ", d.Gone)...)
	lines = append(lines, lone("Only in NEW: ", d.Appeared)...)
	for _, c := range d.Across {
		if c.Change != "same" {
			lines = append(lines, fmt.Sprintf("Across flows: %s (%s) %s, of %s subjects in OLD, %s in NEW.", c.Name, c.Severity, c.Change, Thousands(c.Old), Thousands(c.New)))
		}
	}
	return lines
}

// String is as in "before.pcap: 60 flows, 1 listener".
func (c *DiffCapture) String() string {
	var names []string
	lost := uint64(0)
	for i := range c.Files {
		names = append(names, Clean(string(c.Files[i].Name)))
		lost += c.Files[i].Dropped
	}
	if len(names) > 3 {
		names = []string{names[0], "…", names[len(names)-1]}
	}
	text := fmt.Sprintf("%s: %s, %s", strings.Join(names, " "), plural(c.Flows, "flow"), plural(c.Listeners, "listener"))
	if lost > 0 {
		text += fmt.Sprintf("; the capture lost %s frames, which can make differences", Thousands(lost))
	}
	if c.FlowsLeftOut > 0 {
		text += fmt.Sprintf("; and %s of further listeners, for which there was no room", plural(c.FlowsLeftOut, "flow"))
	}
	return text
}

// tested says how many handshakes were compared.
func (d *Diff) tested() string {
	tests, few := 0, 0
	for i := range d.Listeners {
		switch l := d.Listeners[i].Latency; {
		case l == nil:
		case l.Test == nil:
			few++
		default:
			tests++
		}
	}
	text := fmt.Sprintf("Handshake latency tested at %s", plural(tests, "listener"))
	if few > 0 {
		text += fmt.Sprintf("; too few handshakes at %s", plural(few, "listener"))
	}
	return text + "."
}

// lone lists listeners that only one capture has.
func lone(what string, list []DiffAlone) []string {
	if len(list) == 0 {
		return nil
	}
	var names []string
	for i := range list[:min(len(list), fewDiffs)] {
		l := &list[i]
		names = append(names, fmt.Sprintf("%s (%s)", l.Name(), plural(l.Connections, "connection")))
	}
	text := what + strings.Join(names, ", ")
	if more := len(list) - fewDiffs; more > 0 {
		text += fmt.Sprintf(" and %s more", Thousands(more))
	}
	return []string{text + "."}
}

// addrPort spells an address and port.
func addrPort(addr string, port int) string {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return addr
	}
	return netip.AddrPortFrom(a, uint16(port)).String()
}

// Name is the listener as the tables call it: "10.0.0.9:5432", or "*:5432" where it
// is paired by port, "127.0.0.1:40123>41999" where its port is another one.
func (l *DiffListener) Name() string {
	switch l.PairedBy {
	case "port":
		return "*:" + strconv.Itoa(l.Port)
	case "ephemeral":
		return addrPort(l.Old.Addrs[0], l.Port) + ">" + strconv.Itoa(l.NewPort)
	}
	return addrPort(l.Old.Addrs[0], l.Port)
}

// Name is the listener as the tables call it.
func (l *DiffAlone) Name() string { return addrPort(l.Addr, l.Port) }

func (d *Diff) sections(all bool) (list []diffSection) {
	for i := range d.Listeners {
		if l := &d.Listeners[i]; l.Changed || all {
			list = append(list, l.section(all))
		}
	}
	return list
}

// section is what is written of a listener.
func (l *DiffListener) section(all bool) diffSection {
	s := diffSection{title: fmt.Sprintf("%s: %s in OLD, %s in NEW", l.Name(), plural(l.Old.Connections, "connection"), Thousands(l.New.Connections))}
	if l.PairedBy == "port" {
		s.notes = append(s.notes, diffNote{" ", "addresses: " + addrs(&l.Old) + " in OLD, " + addrs(&l.New) + " in NEW"})
	}
	for _, group := range l.Groups() {
		for i := range group.Counts {
			if c := &group.Counts[i]; c.Change != "same" || all {
				s.rows = append(s.rows, c.row(group.Kind, l))
			}
		}
	}
	if t := l.Latency; t != nil {
		s.rows = append(s.rows, t.rows()...)
		s.notes = append(s.notes, diffNote{" ", t.sentence()})
	}
	s.notes = append(s.notes, l.historyNotes()...)
	s.notes = append(s.notes, l.Flows.notes(all)...)
	return s
}

func addrs(p *DiffPlace) string {
	list := p.Addrs[:min(len(p.Addrs), fewDiffs)]
	text := strings.Join(list, ", ")
	if len(list) < len(p.Addrs) {
		text += ", …"
	}
	return text
}

// row is the line of a count.
func (c *DiffCount) row(word string, l *DiffListener) diffRow {
	r := diffRow{cells: [4]string{word + " " + c.String(), share(c.Old, l.Old.Connections), share(c.New, l.New.Connections), c.Change}}
	if c.Change == "more" || c.Change == "fewer" {
		r.cells[3] += " (p = " + strconv.FormatFloat(c.P, 'g', 3, 64) + ")"
	}
	if severity, ok := analyzer.ParseSeverity(c.Severity); ok && (c.Change == "new" || c.Change == "more") {
		r.worse, r.bad = severity, true
	}
	return r
}

// String is as in "CLOSE_WAIT@server".
func (c *DiffCount) String() string {
	if c.Side == "" {
		return c.Name
	}
	return c.Name + "@" + c.Side
}

// share is as in "12 (20%)".
func share(n, of int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%s%%)", Thousands(n), strconv.FormatFloat(100*float64(n)/float64(of), 'f', 0, 64))
}

// rows are the lines of the round trips.
func (t *DiffLatency) rows() []diffRow {
	cell := func(s *DiffSample, v Seconds) string {
		if s.N == 0 {
			return "-"
		}
		return span(int64(v))
	}
	p50 := diffRow{cells: [4]string{"handshake p50", cell(&t.Old, t.Old.P50), cell(&t.New, t.New.P50), t.Verdict}, worse: analyzer.Warning, bad: t.Verdict == "slower"}
	p50.cells[3] = strings.ReplaceAll(t.Verdict, "-", " ")
	if t.Test != nil && t.Verdict != "same" {
		by := t.Test.Shift
		if by < 0 {
			by = -by
		}
		p50.cells[3] += " by " + span(int64(by))
	}
	return []diffRow{p50, {cells: [4]string{"handshake p95", cell(&t.Old, t.Old.P95), cell(&t.New, t.New.P95), ""}}}
}

// sentence says what the verdict rests on.
func (t *DiffLatency) sentence() string {
	n := fmt.Sprintf("n = %s and %s", Thousands(t.Old.N), Thousands(t.New.N))
	if t.Test == nil {
		return "latency: too few handshakes to tell, " + n
	}
	if sampled := max(t.Old.Sampled, t.New.Sampled); sampled < max(t.Old.N, t.New.N) {
		n += fmt.Sprintf(" (%s drawn)", Thousands(sampled))
	}
	num := func(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
	x := t.Test
	relative := ""
	if x.Relative != 0 {
		relative = fmt.Sprintf(" (%+.0f %% of OLD's median)", 100*x.Relative)
	}
	return fmt.Sprintf("latency: shift of %s%s, 95 %% interval %s to %s; Mann-Whitney U = %s of %s, z = %s, %s, p = %s, corrected %s",
		signed(x.Shift), relative, signed(x.ShiftLow), signed(x.ShiftHigh), strconv.FormatFloat(x.U, 'f', -1, 64), Thousands(t.Old.Sampled*t.New.Sampled), num(x.Z), n, num(x.P), num(x.PAdjusted))
}

func signed(s Seconds) string {
	if s > 0 {
		return "+" + span(int64(s))
	}
	return span(int64(s))
}

// historyNotes list the histories that appeared or went.
func (l *DiffListener) historyNotes() (notes []diffNote) {
	for i := range l.Histories[:min(len(l.Histories), fewDiffs)] {
		h := &l.Histories[i]
		mark := "+"
		if h.Change == "gone" {
			mark = "-"
		}
		notes = append(notes, diffNote{mark, plural(h.Old+h.New, "flow") + ": " + h.String()})
	}
	if more := len(l.Histories) - fewDiffs; more > 0 {
		notes = append(notes, diffNote{" ", fmt.Sprintf("and %s histories more (-o json)", Thousands(more))})
	}
	return notes
}

// String is as in "client CLOSED SYN_SENT; server LISTEN".
func (h *History) String() string {
	return "client " + strings.Join(h.Client, " ") + "; server " + strings.Join(h.Server, " ")
}

// notes list the flows that went another way.
func (f *DiffFlows) notes(all bool) (notes []diffNote) {
	switch {
	case f == nil, f.Changed == 0 && !all:
		return nil
	case f.Changed == 0:
		return []diffNote{{" ", plural(f.Paired, "flow") + " with the same endpoints; none of them differs"}}
	}
	notes = []diffNote{{" ", fmt.Sprintf("%s with the same endpoints; of these %s differ:", plural(f.Paired, "flow"), Thousands(f.Changed))}}
	for i := range f.List[:min(len(f.List), fewDiffs)] {
		notes = append(notes, diffNote{"~", f.List[i].String()})
	}
	if more := f.Changed - fewDiffs; more > 0 {
		notes = append(notes, diffNote{" ", fmt.Sprintf("and %s more (-o json)", plural(more, "flow"))})
	}
	return notes
}

// String is as in "flow 17 in OLD, 16 in NEW, client 10.0.0.5:51544: now
// stuck-close-wait@server".
func (f *DiffFlow) String() string {
	text := fmt.Sprintf("flow %d in OLD, %d in NEW, client %s", f.Old, f.New, addrPort(f.Client.Addr, int(f.Client.Port)))
	for _, part := range []struct {
		word string
		list []string
	}{{"now", f.Gained}, {"no longer", f.Lost}} {
		if len(part.list) > 0 {
			text += "; " + part.word + " " + strings.Join(part.list, ", ")
		}
	}
	if f.Was == nil {
		return text
	}
	last := func(states []string) string { return states[len(states)-1] }
	was, is := f.Was, f.Is
	return text + fmt.Sprintf("; ended in %s and %s, now in %s and %s", last(was.Client), last(was.Server), last(is.Client), last(is.Server))
}
