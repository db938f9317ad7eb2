package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
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
