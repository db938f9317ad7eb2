package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// tableRenderer writes the summary and the table of flows that a person
// reads. It keeps of each flow that it may list one row, and of each finding
// the first few.
type tableRenderer struct {
	w    io.Writer
	o    Options
	meta *Meta
	p    *painter
	wide bool

	rows     []row
	listed   int  // flows that belong in the table, rows dropped included
	full     bool // there are as many rows as are printed, and
	last     rank // the last of these
	findings []*findingGroup
}

func newTable(w io.Writer, m *Meta, o Options) Renderer {
	return &tableRenderer{w: w, o: o, meta: m, p: newPainter(o.Color)}
}

func newWide(w io.Writer, m *Meta, o Options) Renderer {
	return &tableRenderer{w: w, o: o, meta: m, p: newPainter(o.Color), wide: true}
}

// row is what the table of flows needs of one.
type row struct {
	rank
	origin   Origin
	side     [2]sideRow // client, server
	guessed  bool
	start    int64
	duration int64
	frames   uint64
	captures [2]int // that the first and the last frame are in; 0 for a single one
	hs       analyzer.Handshake
	close    analyzer.Close
	closer   string
	replaced int
	findings []named
}

type sideRow struct {
	addr     string
	state    string
	in       int64
	counters analyzer.Counters
}

// named is a finding in the table of flows.
type named struct {
	name string
	side string
	sev  analyzer.Severity
}

// findingGroup is all findings of one name.
type findingGroup struct {
	detector *analyzer.Detector
	first    []example // by severity, then flow number
	n        int
	pending  int            // of these
	flows    int            // how many have it, of one side or both
	last     int            // number of the last flow counted
	server   netip.AddrPort // of all of them, not valid where they differ
}

// examples is how many findings of one name the summary spells out.
const examples = 3

// example is one finding in words.
type example struct {
	sev  analyzer.Severity
	flow int
	file string
	who  string
	f    analyzer.Finding
}

// marked spells a side's state with the mark of its basis.
func marked(s analyzer.State, b analyzer.Basis) string { return s.String() + basisMarks[b] }

// basisMarks stand behind a state that is not observed.
var basisMarks = [...]string{"", "?", "~"}

func (r *tableRenderer) Flow(f *analyzer.Flow) error {
	for i := range f.Findings {
		r.keep(f, &f.Findings[i])
	}
	if len(f.Findings) == 0 && !r.o.All {
		return nil
	}
	r.listed++
	// Only the first Limit rows are printed, so no more than twice that are
	// ever kept, and none is made of a flow that comes behind them.
	rank := rankOf(f)
	if r.full && rank.compare(r.last) > 0 {
		return nil
	}
	r.rows = append(r.rows, r.newRow(f, rank))
	if r.o.Limit > 0 && len(r.rows) >= 2*r.o.Limit {
		r.trim()
	}
	return nil
}

// rank orders the flows of a table: the worst first, then by number.
type rank struct {
	worst  int // severity of the worst finding, -1 without any
	number int
}

func rankOf(f *analyzer.Flow) rank {
	k := rank{-1, f.Number}
	for i := range f.Findings {
		k.worst = max(k.worst, int(f.Findings[i].Severity))
	}
	return k
}

func (k rank) compare(o rank) int {
	return cmp.Or(cmp.Compare(o.worst, k.worst), cmp.Compare(k.number, o.number))
}

// trim sorts the rows and drops those beyond the limit.
func (r *tableRenderer) trim() {
	slices.SortFunc(r.rows, func(a, b row) int { return a.compare(b.rank) })
	if r.o.Limit > 0 && len(r.rows) >= r.o.Limit {
		clear(r.rows[r.o.Limit:])
		r.rows = r.rows[:r.o.Limit]
		r.last, r.full = r.rows[r.o.Limit-1].rank, true
	}
}

func (r *tableRenderer) newRow(f *analyzer.Flow, k rank) row {
	w := row{
		rank: k, origin: r.o.origin(f), guessed: f.Guessed,
		start: f.Start, duration: f.End - f.Start, frames: f.Frames,
		hs: f.Handshake, close: f.Close, closer: sideName(f, f.Close.ActiveCloser),
		replaced: f.ReplacedBy,
	}
	w.captures[0], _ = analyzer.SplitFrame(f.FirstFrame)
	w.captures[1], _ = analyzer.SplitFrame(f.LastFrame)
	for i, s := range [...]analyzer.Side{f.Client, f.Server()} {
		e := &f.Sides[s]
		w.side[i] = sideRow{f.Addr(s).String(), marked(e.State, e.Basis), f.InState(s), e.Counters}
	}
	for i := range f.Findings {
		n := &f.Findings[i]
		w.findings = append(w.findings, named{n.Detector.Name, sideName(f, n.Side), n.Severity})
	}
	slices.SortStableFunc(w.findings, func(a, b named) int { return cmp.Compare(b.sev, a.sev) })
	return w
}

// keep remembers a finding for the summary's list, if it is among the first
// of its name.
func (r *tableRenderer) keep(f *analyzer.Flow, n *analyzer.Finding) {
	i := slices.IndexFunc(r.findings, func(g *findingGroup) bool { return g.detector == n.Detector })
	if i < 0 {
		i = len(r.findings)
		r.findings = append(r.findings, &findingGroup{detector: n.Detector, last: -1, server: f.Addr(f.Server())})
	}
	g := r.findings[i]
	g.n++
	if n.Pending {
		g.pending++
	}
	if f.Number != g.last { // a flow's findings come one after the other
		g.flows++
		g.last = f.Number
		if g.server.IsValid() && g.server != f.Addr(f.Server()) {
			g.server = netip.AddrPort{}
		}
	}
	at := 0
	for at < len(g.first) && g.first[at].before(n.Severity, f.Number) {
		at++
	}
	if at == examples {
		return
	}
	e := example{sev: n.Severity, flow: f.Number, f: *n}
	if e.who = sideName(f, n.Side); e.who != "" {
		e.who += " " + f.Addr(n.Side).String()
	} else {
		e.who = pair(f)
	}
	e.f.Frames = nil // the flow's memory
	e.file = r.o.origin(f).File
	g.first = slices.Insert(g.first, at, e)
	g.first = g.first[:min(len(g.first), examples)]
}

// before reports whether an example comes before a finding of a flow, or was
// there first.
func (e *example) before(sev analyzer.Severity, flow int) bool {
	return e.sev > sev || e.sev == sev && e.flow <= flow
}

func (r *tableRenderer) Close(s *Summary) error {
	out := bufio.NewWriter(r.w)
	r.trim()
	r.writeFiles(out, s)
	r.writeTotals(out, s)
	if s.Flows.Selected > 0 {
		fmt.Fprintln(out)
		if err := r.writeStates(out, s); err != nil {
			return err
		}
	}
	if err := r.writeRollup(out, s); err != nil {
		return err
	}
	r.writeFindings(out, s)
	if err := r.writeFlows(out, s); err != nil {
		return err
	}
	return out.Flush()
}

// fewFiles is how many captures are listed one by one.
const fewFiles = 3

// writeFiles says what was read. Of many captures only those with something
// wrong are named.
func (r *tableRenderer) writeFiles(out io.Writer, s *Summary) {
	if len(s.Files) > fewFiles {
		text := plural(int(s.Frames), "frame") + ", " + plural(int(s.Segments), "TCP segment")
		r.writeItem(out, "", r.p.head(plural(len(s.Files), "capture"))+": "+text+skipped(s.Skipped))
	}
	named := r.named(s)
	for i := range s.Files {
		f := &s.Files[i]
		switch {
		case len(s.Files) <= fewFiles, f.Error != "", defects(f) != "":
			r.writeFile(out, r.label(i), f)
		case named[i+1]:
			r.writeItem(out, "", r.label(i)+r.p.head(Clean(string(f.Name))))
		}
	}
}

// label is what frames call a capture where several are read as one.
func (r *tableRenderer) label(i int) string {
	if len(r.o.Captures) == 0 {
		return ""
	}
	return "capture " + strconv.Itoa(i+1) + ": "
}

// ofCapture is how analyzer.FrameText says which capture a frame is in.
var ofCapture = regexp.MustCompile(` of capture (\d+)\b`)

// named are the numbers of the captures that the report goes on to name.
func (r *tableRenderer) named(s *Summary) map[int]bool {
	named := map[int]bool{}
	if len(r.o.Captures) == 0 {
		return named
	}
	add := func(text string) {
		for _, m := range ofCapture.FindAllStringSubmatch(text, -1) {
			n, _ := strconv.Atoi(m[1])
			named[n] = true
		}
	}
	for _, g := range r.findings {
		for i := range g.first {
			add(g.first[i].f.Evidence)
			add(g.first[i].f.Doubt)
		}
	}
	for i := range s.Across {
		add(string(s.Across[i].Evidence))
	}
	if r.wide {
		for i := range r.rows {
			for _, n := range r.rows[i].captures {
				named[n] = true
			}
		}
	}
	return named
}

// skipped says what was passed over.
func skipped(c Counts) string {
	var n uint64
	for _, m := range c {
		n += m
	}
	if n == 0 {
		return ""
	}
	if len(c) == 1 {
		return ", skipped " + counts(c)
	}
	return ", skipped " + Thousands(n) + " (" + counts(c) + ")"
}

// writeFile says what was read, and what is wrong with the capture: that
// comes first, since all else rests on it.
func (r *tableRenderer) writeFile(out io.Writer, label string, f *File) {
	name := label + r.p.head(Clean(string(f.Name)))
	if f.Format == "" {
		fmt.Fprintf(out, "%s: %s\n", name, r.p.of(analyzer.Error, "not read"))
		return
	}
	text := f.Format
	if f.Compression != "" {
		text += " in " + f.Compression
	}
	text += ", " + plural(int(f.Frames), "frame")
	if f.First != nil && f.Last != nil {
		text += " in " + span(int64(*f.Last-*f.First))
	}
	r.writeItem(out, "", name+": "+text)
	text = ""
	if f.First != nil {
		text = "from " + date(int64(*f.First)) + ": "
	}
	text += plural(int(f.Segments), "TCP segment")
	if f.ICMPErrors > 0 {
		text += ", " + plural(int(f.ICMPErrors), "ICMP error") + " about TCP"
	}
	if f.Truncated > 0 { // lengths are the IP header's, so nothing is wrong
		text += ", " + plural(int(f.Truncated), "frame") + " cut by the snap length"
	}
	r.writeItem(out, "  ", text+skipped(f.Skipped))
	if d := defects(f); d != "" {
		r.writeItem(out, "  capture: ", d)
	}
	if f.Error != "" {
		// Standard error has it, too, but may go elsewhere.
		r.writeItem(out, "  "+r.p.of(analyzer.Error, "error")+": ", Clean(strings.TrimPrefix(string(f.Error), string(f.Name)+": ")))
	}
}

// defects lists what lowers the certainty of everything that follows.
func defects(f *File) string {
	var list []string
	for _, d := range []struct {
		n         uint64
		what, how string
	}{
		{f.Duplicates, "segment", " recorded twice"},
		{f.Dropped, "frame", " dropped by the capturing program"},
		{f.TimeBackwards, "frame", " out of time order"},
		{f.Evicted, "flow", " reported early (--max-flows)"},
	} {
		if d.n > 0 {
			list = append(list, plural(int(d.n), d.what)+d.how)
		}
	}
	if n := f.Skipped[cutBeforeTCP]; n > 0 && f.SnapNeeded > 0 {
		list = append(list, plural(int(n), "frame")+" cut before the TCP flags: capture with -s "+strconv.FormatUint(f.SnapNeeded, 10))
	}
	return strings.Join(list, ", ")
}

func (r *tableRenderer) writeTotals(out io.Writer, s *Summary) {
	if s.Flows.Selected == 0 {
		return // writeNothing says it
	}
	text := plural(s.Flows.Total, "flow")
	if s.Flows.Selected != s.Flows.Total {
		text = Thousands(s.Flows.Selected) + " of " + text + " selected"
	}
	fmt.Fprintf(out, "\n%s, %s with findings\n", r.p.head(text), Thousands(s.Flows.WithFindings))
	r.writeItem(out, "  opening: ", counts(s.Handshakes))
	r.writeItem(out, "  closing: ", counts(s.Closes))
}

// counts lists counts, the highest first.
func counts(c Counts) string {
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(c[b], c[a]), cmp.Compare(a, b))
	})
	for i, name := range names {
		names[i] = Thousands(c[name]) + " " + name
	}
	return strings.Join(names, ", ")
}

func (r *tableRenderer) writeStates(out io.Writer, s *Summary) error {
	g := &grid{cols: []column{{name: "STATE"}, {name: "CLIENTS", right: true}, {name: "SERVERS", right: true}}}
	cell := func(n uint64) string {
		if n == 0 {
			return "-"
		}
		return Thousands(n)
	}
	for state := range analyzer.State(analyzer.NumStates) {
		name := state.String()
		if c, v := s.States.Client[name], s.States.Server[name]; c+v > 0 {
			g.rows = append(g.rows, []string{name, cell(c), cell(v)})
		}
	}
	return g.render(out, r.p)
}

func (r *tableRenderer) writeFindings(out io.Writer, s *Summary) {
	if len(r.findings) == 0 && len(s.Across) == 0 {
		return
	}
	n := s.Severities
	var list []string
	for _, e := range []struct {
		n    uint64
		what string
	}{{n.Error, "error"}, {n.Warning, "warning"}} {
		if e.n > 0 {
			list = append(list, plural(int(e.n), e.what))
		}
	}
	if n.Info > 0 {
		list = append(list, Thousands(n.Info)+" info")
	}
	fmt.Fprintf(out, "\n%s: %s\n", r.p.head("Findings"), strings.Join(list, ", "))
	for _, b := range r.blocks(s) {
		fmt.Fprintf(out, "\n%s %s\n", r.p.of(b.worst, fmt.Sprintf("%-8s", b.worst)), r.p.head(b.title))
		b.write(out)
	}
	if s.AcrossLeftOut > 0 {
		fmt.Fprintf(out, "\n%s\n", r.p.faint("… and "+Thousands(s.AcrossLeftOut)+" more findings across flows"))
	}
}

// block is the findings of one name.
type block struct {
	worst  analyzer.Severity
	across bool
	n      int
	title  string
	write  func(io.Writer)
}

// blocks orders the findings: by severity, those across flows before those of
// single flows, the most frequent first.
func (r *tableRenderer) blocks(s *Summary) (list []block) {
	for _, g := range byName(s.Across) {
		list = append(list, block{g.severity(), true, len(g), g.title(), func(out io.Writer) { r.writeAcross(out, g) }})
	}
	for _, g := range r.findings {
		list = append(list, block{g.first[0].sev, false, g.n, g.title(), func(out io.Writer) { r.writeGroup(out, g) }})
	}
	first := func(b bool) int {
		if b {
			return 0
		}
		return 1
	}
	slices.SortFunc(list, func(a, b block) int {
		return cmp.Or(cmp.Compare(b.worst, a.worst), cmp.Compare(first(a.across), first(b.across)),
			cmp.Compare(b.n, a.n), cmp.Compare(a.title, b.title))
	})
	return list
}

// indent is where the words of a finding begin: behind its severity.
const indent = "         "

// writeGroup writes the findings of one name: the evidence of the worst, where
// and when of a few others, then what to make of them. Info explains, so one
// example is enough.
func (r *tableRenderer) writeGroup(out io.Writer, g *findingGroup) {
	worst := g.first[0].sev
	shown := g.first
	if worst == analyzer.Info {
		shown = shown[:1]
	}
	for i := range shown {
		e := &shown[i]
		text := e.where()
		if i == 0 {
			text += ": " + Clean(e.f.Evidence)
		} else if e.f.For > 0 {
			text += " for " + span(e.f.For)
		}
		r.writeItem(out, indent, text+remarks(e.f.Count, e.f.Pending, e.f.Doubt))
	}
	if more := g.n - len(shown); more > 0 {
		text := "… and " + Thousands(more) + " more"
		if r.o.Limit > 0 && r.listed > r.o.Limit {
			text += " (--finding " + g.detector.Name + " --limit 0 lists them)"
		} else {
			text += " below"
		}
		r.writeItem(out, indent, r.p.faint(text))
	}
	r.writeAdvice(out, worst, g.detector.Cause, g.first[0].f.Next)
}

// writeAdvice writes what to make of findings. What only explains needs no
// next step.
func (r *tableRenderer) writeAdvice(out io.Writer, worst analyzer.Severity, cause, next string) {
	if cause != "" {
		r.writeItem(out, indent+"cause: ", cause)
	}
	if next != "" && worst > analyzer.Info {
		WrapAdvice(out, indent+"next:  ", Clean(next), r.limit())
	}
}

// title is the name of the findings, how many there are and what they share.
func (g *findingGroup) title() string {
	text := g.detector.Name
	if g.n == 1 {
		return text
	}
	if g.n > g.flows {
		text += ", " + Thousands(g.n) + " times in " + plural(g.flows, "flow")
	} else {
		text += ", " + plural(g.flows, "flow")
	}
	if g.pending > 0 && g.pending < g.n {
		text += " (" + Thousands(g.pending) + " pending)"
	}
	if g.server.IsValid() && g.flows > 1 {
		text += ", all to " + g.server.String()
	}
	return text
}

// where says which flow and side, and when it began. For how long it lasted
// stands in the evidence.
func (e *example) where() string {
	text := "flow " + strconv.Itoa(e.flow)
	if e.file != "" {
		text += " of " + Clean(e.file)
	}
	return text + ", " + e.who + since(e.f.At, e.f.For != 0)
}

// since is when a finding began: what lasted, since then, else at that moment.
func since(at int64, lasted bool) string {
	if lasted {
		return ", since " + clock(at)
	}
	return ", at " + clock(at)
}

// remarks is what qualifies a finding, in brackets.
func remarks(count int, pending bool, doubt string) string {
	var list []string
	if count > 1 {
		list = append(list, Thousands(count)+" times")
	}
	if pending {
		list = append(list, "pending: the capture ended first")
	}
	if doubt != "" {
		list = append(list, "doubt: "+Clean(doubt))
	}
	if list == nil {
		return ""
	}
	return " (" + strings.Join(list, "; ") + ")"
}

// writeItem writes text behind a prefix, its further lines under its first.
func (r *tableRenderer) writeItem(out io.Writer, prefix, text string) {
	Wrap(out, prefix, text, r.limit())
}

// limit is how wide sentences are; 0: as wide as they like.
func (r *tableRenderer) limit() int {
	if r.wide {
		return 0
	}
	return r.o.Width
}

// proseWidth is how wide sentences become on a terminal that is wider.
const proseWidth = 100

// Wrap writes text behind a prefix, wrapped at limit columns (0: not at all);
// further lines stand under the first.
func Wrap(out io.Writer, prefix, text string, limit int) {
	under := strings.Repeat(" ", width(prefix))
	io.WriteString(out, prefix)
	col := len(under)
	for i, word := range strings.Split(text, " ") {
		n := width(word)
		switch {
		case i == 0:
		case limit > 0 && col+1+n > limit:
			io.WriteString(out, "\n"+under)
			col = len(under)
		default:
			io.WriteString(out, " ")
			col++
		}
		io.WriteString(out, word)
		col += n
	}
	io.WriteString(out, "\n")
}
