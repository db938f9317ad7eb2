package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Ladder draws one flow: a line for each segment, both sides' states beside
// it, and what is remarkable in place.
//
//	0.000000  1  SYN_SENT      ●─ S 0 ───────────────────▶│ LISTEN~
//	0.012031  2  ESTABLISHED?  ●◀─────────────── S. 0 ack 1 ─● SYN_RECEIVED
//
// The steps must be kept until the flow ends, because only then is it known
// what was withdrawn and found.
type Ladder struct {
	steps  []rung
	asides []rung // in their order
}

// rung is what the picture needs of a step.
type rung struct {
	time     int64
	frame    uint64
	from     analyzer.Side
	flags    analyzer.Flags
	seq, ack uint32
	len      uint32
	facts    analyzer.Facts
	state    [2]analyzer.State
	basis    [2]analyzer.Basis
}

// Step takes the next step of the flow.
func (l *Ladder) Step(s *analyzer.Step) { l.steps = append(l.steps, newRung(s)) }

// Keep lets go of all segments but the last n, once there are twice as many: of a
// flow that goes on and on, of which WriteTail draws the end.
func (l *Ladder) Keep(n int) {
	if len(l.steps) >= 2*n {
		l.steps = append(l.steps[:0], l.steps[len(l.steps)-n:]...)
	}
}

// Aside takes a step of another flow on the same pair of addresses: a SYN that
// may turn out to be no new flow but a challenge to this one.
func (l *Ladder) Aside(s *analyzer.Step) {
	r := newRung(s)
	r.facts = analyzer.FactSYNInWindow
	l.asides = append(l.asides, r)
}

func newRung(s *analyzer.Step) rung {
	x := s.Segment
	return rung{time: x.Time, frame: x.Frame, from: s.From, flags: x.Flags, seq: s.Seq, ack: s.Ack,
		len: x.Len, facts: s.Facts, state: s.State, basis: s.Basis}
}

// settle puts those asides in their places that the flow says were its own.
func (l *Ladder) settle(f *analyzer.Flow) {
	for _, a := range l.asides {
		r := f.Remark(analyzer.FactSYNInWindow, a.from)
		if r == nil || a.before(r.Frame, r.First) || a.after(r.LastFrame, r.Last) || !a.flags.Has(analyzer.SYN) {
			continue
		}
		at := slices.IndexFunc(l.steps, func(s rung) bool { return !a.after(s.frame, s.time) })
		if at < 0 {
			at = len(l.steps)
		}
		if at == 0 || at < len(l.steps) && l.steps[at].frame == a.frame {
			continue
		}
		a.state, a.basis = l.steps[at-1].state, l.steps[at-1].basis // it moved nothing
		l.steps = slices.Insert(l.steps, at, a)
	}
	l.asides = nil
}

// before and after say where a rung stands to a frame of which the time is
// known.
func (r *rung) before(frame uint64, at int64) bool {
	return analyzer.CompareFrames(r.frame, r.time, frame, at) < 0
}

func (r *rung) after(frame uint64, at int64) bool {
	return analyzer.CompareFrames(r.frame, r.time, frame, at) > 0
}

// ladderWriter is one drawing of a Ladder.
type ladderWriter struct {
	out   *bufio.Writer
	p     *painter
	f     *analyzer.Flow
	width int
	prose int    // the width of sentences
	bare  bool   // segments, states and findings alone
	last  string // as of when both sides stand where they do

	timeWidth, frameWidth, arrow int

	state    [2]analyzer.State // where both sides stand, by Side
	basis    [2]analyzer.Basis
	marks    [3]bool                // bases met
	others   []*analyzer.Transition // what no segment made: timers, ICMP errors
	findings []placed
	captures []string // their names, where there are several
}

// placed is a finding and the step below which it stands.
type placed struct {
	*analyzer.Finding
	step int
}

// stateWidth holds the longest state and its mark.
const stateWidth = len("SYN_RECEIVED?")

// Write draws the flow that the steps are of.
func (l *Ladder) Write(w io.Writer, f *analyzer.Flow, o Options) error {
	d := l.writer(w, f, o)
	d.header(o.origin(f), l.steps)
	d.rungs(l)
	d.states()
	return d.out.Flush()
}

// WriteBare draws the segments, states and findings alone, for who reads of
// what they are an example.
func (l *Ladder) WriteBare(w io.Writer, f *analyzer.Flow, width int) error {
	d := l.writer(w, f, Options{Width: width})
	d.bare = true
	d.columns()
	d.rungs(l)
	return d.out.Flush()
}

// WriteTail draws a flow of which the Ladder has only the latest steps, or none
// yet: what has brought both sides to where these begin, a line for each change,
// then the steps, and last where both sides stand and as of when, as in "now".
func (l *Ladder) WriteTail(w io.Writer, f *analyzer.Flow, width int, last string) error {
	d := l.writer(w, f, Options{Width: width})
	d.bare, d.last = true, last
	d.columns()
	d.before(l.steps)
	if drawn := uint64(len(l.steps)); f.Frames > drawn {
		d.remark("⋮ ", "segments that are not drawn: "+Thousands(f.Frames-drawn))
	}
	d.rungs(l)
	return d.out.Flush()
}

// before draws how both sides came to where the steps begin.
func (d *ladderWriter) before(steps []rung) {
	var known [2]bool
	d.others = nil
	for i := range d.f.Transitions {
		t := &d.f.Transitions[i]
		if !known[t.Side] {
			d.state[t.Side], d.basis[t.Side], known[t.Side] = t.From, analyzer.Assumed, true
		}
		silent := t.Trigger == analyzer.Timeout || t.Trigger == analyzer.RcvICMP
		if t.Withdrawn == nil && (silent || len(steps) == 0 || steps[0].after(t.Frame, t.Time)) {
			d.others = append(d.others, t)
		}
	}
	for s := range known {
		if !known[s] {
			d.state[s], d.basis[s] = d.f.Sides[s].State, d.f.Sides[s].Basis
		}
	}
	slices.SortStableFunc(d.others, func(a, b *analyzer.Transition) int { return cmp.Compare(a.Time, b.Time) })
	for len(d.others) > 0 && (len(steps) == 0 || d.others[0].Time <= steps[0].time) {
		d.other()
	}
}

func (l *Ladder) writer(w io.Writer, f *analyzer.Flow, o Options) *ladderWriter {
	d := &ladderWriter{out: bufio.NewWriter(w), p: newPainter(o.Color), f: f, width: o.Width, captures: o.Captures, last: "at the end"}
	if d.width <= 0 {
		d.width = 100
	}
	d.prose = min(d.width, proseWidth)
	d.timeWidth = max(len(seconds(f.Now-f.Start)), len("TIME"))
	l.settle(f)
	d.frameWidth = max(len(frameLabel(f.LastFrame)), len("FRAME"))
	if o.Captures != nil {
		for i := range l.steps {
			d.frameWidth = max(d.frameWidth, len(frameLabel(l.steps[i].frame)))
		}
	}
	// Time, frame, both states, both lifelines and what stands between them.
	d.arrow = min(max(d.width-d.timeWidth-d.frameWidth-2*stateWidth-9, 20), 46)
	d.collect(l.steps)
	return d
}

// rungs draws the steps, and where they lead.
func (d *ladderWriter) rungs(l *Ladder) {
	for i := range l.steps {
		d.step(i, &l.steps[i])
	}
	d.end()
}

// collect gathers what has to be put in between the steps.
func (d *ladderWriter) collect(steps []rung) {
	for i := range d.f.Transitions {
		t := &d.f.Transitions[i]
		if t.Trigger == analyzer.Timeout || t.Trigger == analyzer.RcvICMP {
			d.others = append(d.others, t)
		}
	}
	slices.SortStableFunc(d.others, func(a, b *analyzer.Transition) int { return cmp.Compare(a.Time, b.Time) })
	for i := range d.f.Findings {
		d.findings = append(d.findings, place(&d.f.Findings[i], steps))
	}
	slices.SortStableFunc(d.findings, func(a, b placed) int {
		if order := cmp.Compare(a.step, b.step); order != 0 {
			return order
		}
		return analyzer.CompareFrames(a.Frame, a.At, b.Frame, b.At)
	})
	for i := range d.f.Sides {
		d.state[i] = analyzer.NumStates // none: the first line shows both as new
	}
}

// place puts a finding below the step of its first frame.
func place(n *analyzer.Finding, steps []rung) placed {
	at := slices.IndexFunc(steps, func(r rung) bool { return r.frame == n.Frame })
	if at < 0 {
		at = slices.IndexFunc(steps, func(r rung) bool { return r.after(n.Frame, n.At) })
	}
	if at < 0 {
		at = len(steps)
	}
	return placed{n, at}
}

// frameLabel is the number of a frame in its column: 2:12 is frame 12 of
// capture 2.
func frameLabel(n uint64) string {
	of, frame := analyzer.SplitFrame(n)
	text := strconv.FormatUint(frame, 10)
	if of > 0 {
		text = strconv.Itoa(of) + ":" + text
	}
	return text
}

// captureNames lists the captures that the steps are in.
func (d *ladderWriter) captureNames(steps []rung) string {
	var list []string
	seen := map[int]bool{}
	for i := range steps {
		of, _ := analyzer.SplitFrame(steps[i].frame)
		if of > 0 && of <= len(d.captures) && !seen[of] {
			seen[of] = true
			list = append(list, strconv.Itoa(of)+" "+Clean(d.captures[of-1]))
		}
	}
	return strings.Join(list, ", ")
}

func (d *ladderWriter) header(o Origin, steps []rung) {
	f := d.f
	text := "flow " + strconv.Itoa(f.Number) + ": " + pair(f)
	fmt.Fprintln(d.out, d.p.head(text))
	words := []string{date(f.Start), plural(int(f.Frames), "frame") + " in " + span(f.End-f.Start)}
	line := func() {
		Wrap(d.out, "", strings.Join(words, ", "), d.prose)
		words = words[:0]
	}
	if link := linkText(&o.Link); link != "" {
		words = append(words, "on "+link)
	}
	line()
	words = append(words, "opening "+f.Handshake.Result.String())
	if f.Handshake.RTT >= 0 {
		words = append(words, "round trip "+span(f.Handshake.RTT))
	}
	words = append(words, "closing "+f.Close.Result.String())
	if f.Guessed {
		words = append(words, "who is the client is a guess")
	}
	if f.ReplacedBy >= 0 {
		words = append(words, "address pair taken over by flow "+strconv.Itoa(f.ReplacedBy))
	}
	line()
	if names := d.captureNames(steps); names != "" {
		Wrap(d.out, "captures: ", names, d.prose)
	}
	fmt.Fprintln(d.out)
	d.columns()
}

// columns writes the heads of the columns.
func (d *ladderWriter) columns() {
	columns := fmt.Sprintf("%*s  %*s  %-*s   %s   %s", d.timeWidth, "TIME", d.frameWidth, "FRAME", stateWidth, "CLIENT",
		strings.Repeat(" ", d.arrow), "SERVER")
	fmt.Fprintln(d.out, d.p.head(columns))
}

// step draws one segment, what happened before it without one, and the
// remarks that belong to it.
func (d *ladderWriter) step(i int, r *rung) {
	for len(d.others) > 0 && d.others[0].Time <= r.time {
		d.other()
	}
	d.line(r.time, frameLabel(r.frame), d.drawArrow(r), r.state, r.basis)
	d.remarks(r)
	for len(d.findings) > 0 && d.findings[0].step <= i {
		d.finding()
	}
}

// line draws time, frame, states, and the arrow between the lifelines, which
// have a dot where the side's state changed.
func (d *ladderWriter) line(at int64, frame, arrow string, state [2]analyzer.State, basis [2]analyzer.Basis) {
	client, server := d.f.Client, d.f.Server()
	var cell, life [2]string
	for i, s := range [...]analyzer.Side{client, server} {
		text := marked(state[s], basis[s])
		d.marks[basis[s]] = true
		pad := ""
		if i == 0 {
			pad = strings.Repeat(" ", stateWidth-len(text))
		}
		if state[s] == d.state[s] && basis[s] == d.basis[s] {
			cell[i], life[i] = d.p.faint(text)+pad, "│"
			continue
		}
		cell[i], life[i] = d.p.head(text)+pad, "●"
		if state[s] == d.state[s] { // confirmed: the same state, surer
			life[i] = "│"
		}
	}
	d.state, d.basis = state, basis
	fmt.Fprintf(d.out, "%*s  %*s  %s %s%s%s %s\n", d.timeWidth, seconds(at-d.f.Start), d.frameWidth, frame,
		cell[0], life[0], arrow, life[1], cell[1])
}

// drawArrow draws the segment between the lifelines, its label at its tail.
func (d *ladderWriter) drawArrow(r *rung) string {
	const around = 5 // "─ ", " ", one more "─" and the head
	label := r.label(d.arrow - around)
	rest := strings.Repeat("─", d.arrow-around+1-width(label))
	if r.from == d.f.Client {
		return "─ " + label + " " + rest + "▶"
	}
	return "◀" + rest + " " + label + " ─"
}

func center(s string, to int) string {
	s = shorten(s, to)
	left := (to - width(s)) / 2
	return strings.Repeat(" ", left) + s + strings.Repeat(" ", to-width(s)-left)
}

// label is the segment as tcpdump prints it, as far as there is room.
func (r *rung) label(room int) string {
	text := r.flags.String() + " " + strconv.FormatUint(uint64(r.seq), 10)
	tail := ""
	if r.flags.Has(analyzer.ACK) {
		tail += " ack " + strconv.FormatUint(uint64(r.ack), 10)
	}
	if r.len == 0 {
		return shorten(text+tail, room)
	}
	tail += " len " + strconv.FormatUint(uint64(r.len), 10)
	// Numbers may have ten digits each: what the others tell goes first.
	for _, full := range []string{text + ":" + strconv.FormatUint(uint64(r.seq+r.len), 10) + tail, text + tail} {
		if len(full) <= room {
			return full
		}
	}
	return shorten(text+" len "+strconv.FormatUint(uint64(r.len), 10), room)
}

// ordinary facts need no remark: flags and numbers show them.
const ordinary = analyzer.FactData | analyzer.FactACK | analyzer.FactSYN | analyzer.FactSYNACK |
	analyzer.FactFIN | analyzer.FactRST | analyzer.FactUnreachable

// remarks writes the facts of a segment and what it took back.
func (d *ladderWriter) remarks(r *rung) {
	if names := (r.facts &^ ordinary).Names(); len(names) > 0 {
		d.remark("└ ", strings.Join(names, ", "))
	}
	for i := range d.f.Transitions {
		t := &d.f.Transitions[i]
		move := sideName(d.f, t.Side) + "'s " + t.From.String() + " -> " + t.To.String()
		switch {
		case t.Withdrawn == nil:
		case t.Withdrawn.Frame == r.frame:
			d.remark("└ ", "takes back the "+move+" of frame "+analyzer.FrameText(t.Frame)+": "+Clean(t.Withdrawn.Why))
		case t.Frame == r.frame:
			text := "the " + move + " is taken back later"
			if t.Withdrawn.Frame != 0 {
				text += ", in frame " + analyzer.FrameText(t.Withdrawn.Frame)
			} else {
				text += ": " + Clean(t.Withdrawn.Why)
			}
			d.remark("└ ", text)
		}
	}
}

// remark writes a text below a segment.
func (d *ladderWriter) remark(lead, text string) {
	Wrap(d.out, d.indent()+lead, text, d.prose)
}

// indent is up to where the states of the client stand.
func (d *ladderWriter) indent() string { return strings.Repeat(" ", d.timeWidth+d.frameWidth+4) }

// other draws the next change that no segment made.
func (d *ladderWriter) other() {
	t := d.others[0]
	d.others = d.others[1:]
	state, basis := d.state, d.basis
	state[t.Side], basis[t.Side] = t.To, t.Basis
	frame := "-"
	if t.Frame != 0 {
		frame = frameLabel(t.Frame)
	}
	d.line(t.Time, frame, center(t.Trigger.String(), d.arrow), state, basis)
}

// finding writes the next finding.
func (d *ladderWriter) finding() {
	n := d.findings[0]
	d.findings = d.findings[1:]
	text := d.p.head(n.Detector.Name)
	if who := sideName(d.f, n.Side); who != "" {
		text += " (" + who + ")"
	}
	d.remark(d.p.of(n.Severity, "▲ "+n.Severity.String())+" ", text+": "+Clean(n.Evidence)+remarks(n.Count, n.Pending, n.Doubt))
	if d.bare {
		return
	}
	if n.Severity > analyzer.Info && n.Detector.Cause != "" {
		d.remark("  cause: ", n.Detector.Cause)
	}
	if n.Severity > analyzer.Info && n.Next != "" {
		WrapAdvice(d.out, d.indent()+"  next:  ", Clean(n.Next), d.prose)
	}
}

// end draws where the sides stand at last, and for how long they have.
func (d *ladderWriter) end() {
	for len(d.others) > 0 {
		d.other()
	}
	for len(d.findings) > 0 {
		d.finding()
	}
	var state [2]analyzer.State
	var basis [2]analyzer.Basis
	for s := range d.f.Sides {
		state[s], basis[s] = d.f.Sides[s].State, d.f.Sides[s].Basis
	}
	d.line(d.f.Now, "-", center(d.last, d.arrow), state, basis)
}

// states says since when both sides are in their states, and what the marks
// mean.
func (d *ladderWriter) states() {
	client, server := d.f.InState(d.f.Client), d.f.InState(d.f.Server())
	fmt.Fprintf(d.out, "\nin state: client %s, server %s\n", known(client), known(server))
	if legend := d.legend(); legend != "" {
		fmt.Fprintln(d.out, d.p.faint(legend))
	}
}

func (d *ladderWriter) legend() string {
	list := []string{"● state changed; S syn, F fin, R rst, P push, . ack; numbers count from the ISN"}
	if d.captures != nil {
		list = append(list, "FRAME 2:12 is frame 12 of capture 2")
	}
	if d.marks[analyzer.Inferred] {
		list = append(list, "? inferred: its cause passed the tap, the side has not proved it yet")
	}
	if d.marks[analyzer.Assumed] {
		list = append(list, "~ assumed: no packet shows it")
	}
	return strings.Join(list, "\n")
}

// seconds is a time of the flow, to the microsecond.
func seconds(ns int64) string { return strconv.FormatFloat(float64(ns)/1e9, 'f', 6, 64) }
