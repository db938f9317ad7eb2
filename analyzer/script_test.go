package analyzer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A segment script is a connection as tcpdump prints it and, below a line of
// dashes, what the tracker must say. testdata/README.txt has the format.
//
// Every script runs five times: as written; with the addresses of a and b
// swapped, which may swap sides and nothing else; with each side's sequence
// numbers moved so that they wrap within the script; and with both moved.

// script is one parsed segment script.
type script struct {
	name  string
	why   string
	given bool
	one   string // "socket" or "host": a and b share it

	profile *Profile
	stuck   *time.Duration
	stuckIn map[State]time.Duration

	lines    []scriptLine
	states   []wantLine // one per segment, unless there are none at all
	final    []wantLine
	findings []wantLine // nil: unchecked
	asked    bool       // findings are checked
	history  map[string]wantLine
}

// wantLine is one expected line and where it stands.
type wantLine struct {
	text string
	line int
}

// scriptLine is one thing that happens.
type scriptLine struct {
	text string
	line int
	from int // 0: a, 1: b
	seg  Segment
	icmp *Unreachable
	wait bool
	at   int64 // ns after the script's start
	auto bool  // its IP ID is the next of its sender
}

// variant is one way to run a script.
type variant struct {
	name  string
	swap  bool // b has the lower address
	shift [2]Seq
}

// The first shift puts the wrap among the numbers that scripts use (100 to a
// few thousand), the second one octet after the first number of many.
var variants = []variant{
	{name: "as written"},
	{name: "addresses swapped", swap: true},
	{name: "a wraps", shift: [2]Seq{^Seq(0) - 100, 0}},
	{name: "b wraps", shift: [2]Seq{0, ^Seq(0) - 300}},
	{name: "both wrap, swapped", swap: true, shift: [2]Seq{^Seq(0) - 150, ^Seq(0) - 349}},
}

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in testdata: %v", err)
	}
	for _, file := range files {
		if filepath.Base(file) == "README.txt" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		scripts, err := parseScripts(strings.TrimSuffix(filepath.Base(file), ".txt"), string(text))
		if err != nil {
			t.Errorf("%s:%v", file, err)
			continue
		}
		for _, s := range scripts {
			t.Run(s.name, func(t *testing.T) { s.test(t, file) })
		}
	}
}

func (s *script) test(t *testing.T, file string) {
	for _, v := range variants {
		got := s.run(v)
		if diff := s.compare(file, got); diff != "" {
			t.Fatalf("%s, %s\n# %s\n%s", s.name, v.name, s.why, diff)
		}
	}
}

// result is what the tracker said of a script.
type result struct {
	states   []string // after each segment
	facts    []string
	final    []string
	findings []string
	evidence []string
	history  map[string]string
	broken   []string // believed histories that Figure 5 does not allow
}

// run gives the script's segments to a fresh tracker.
func (s *script) run(v variant) *result {
	r := &result{history: map[string]string{}}
	var last, facts string
	side := func(i int) Side { // a, b to sides
		if v.swap {
			return Side(1 - i)
		}
		return Side(i)
	}
	tr := New(Config{
		Profile: s.profile,
		Stuck:   s.limits(),
		OnStep: func(st *Step) {
			last = marked(st.Flow.Number, st.State[side(0)], st.Basis[side(0)], st.State[side(1)], st.Basis[side(1)])
			facts = strings.Join(st.Facts.Names(), ", ")
		},
		OnFlow: func(f *Flow) { r.flow(f, side) },
	})
	w := wire{v: v, tr: tr, one: s.one}
	if s.given {
		w.handshake(s)
	}
	for i := range s.lines {
		l := &s.lines[i]
		last, facts = "-", ""
		w.put(l)
		if !l.wait {
			r.states = append(r.states, last)
			r.facts = append(r.facts, facts)
		}
	}
	tr.Close()
	return r
}

func (s *script) limits() *Limits {
	p := s.profile
	if p == nil {
		p = &Profiles[0]
	}
	l := DefaultLimits(p)
	if s.stuck != nil {
		for i := range l {
			l[i] = *s.stuck
		}
	}
	for st, d := range s.stuckIn {
		l[st] = d
	}
	return l
}

// wire turns script lines into segments.
type wire struct {
	v     variant
	one   string
	tr    *Tracker
	frame uint64
	id    [2]uint16
}

const scriptStart = int64(1767225600e9) // 2026-01-01

// put sends one line.
func (w *wire) put(l *scriptLine) {
	at := scriptStart + l.at
	switch {
	case l.wait:
		w.tr.Advance(at)
	case l.icmp != nil:
		w.frame++
		u := *l.icmp
		u.Frame, u.Time = w.frame, at
		x := Segment{}
		w.address(l.from, &x)
		u.Src, u.Dst, u.SrcPort, u.DstPort = x.Src, x.Dst, x.SrcPort, x.DstPort
		u.Seq += w.v.shift[l.from]
		w.tr.ObserveUnreachable(&u)
	default:
		w.frame++
		w.id[l.from]++
		x := l.seg
		x.Frame, x.Time = w.frame, at
		if l.auto {
			x.IPID = w.id[l.from]
		}
		w.address(l.from, &x)
		bare := x.Flags&RST != 0 && x.Seq == 0 // the 0 of a refusal is no number of the side
		if !bare {
			x.Seq += w.v.shift[l.from]
		}
		peer := 1 - l.from
		if w.one == "socket" {
			peer = l.from
		}
		if x.Flags&ACK != 0 {
			x.Ack += w.v.shift[peer]
		}
		w.tr.Observe(&x)
	}
}

// address fills in who sends to whom. a is the client where nobody's SYN is
// seen, because b has the lower port.
func (w *wire) address(from int, x *Segment) {
	addr := [2]Addr{AddrFrom4([4]byte{10, 0, 0, 1}), AddrFrom4([4]byte{10, 0, 0, 2})}
	port := [2]uint16{40000, 7000}
	if w.v.swap {
		addr[0], addr[1] = addr[1], addr[0]
	}
	if w.one != "" {
		addr[1] = addr[0]
	}
	if w.one == "socket" {
		port[1] = port[0]
	}
	x.Src, x.Dst = addr[from], addr[1-from]
	x.SrcPort, x.DstPort = port[from], port[1-from]
	x.TTL = max(x.TTL, 64)
}

// handshake opens the connection before the script, 1 ms a segment, so that
// each side's first number in the script is its ISN+1.
func (w *wire) handshake(s *script) {
	var first [2]Seq
	for side := range first {
		first[side] = s.firstSeq(side)
	}
	put := func(at int64, from int, fl Flags, seq, ack Seq, o Options) {
		w.put(&scriptLine{from: from, at: at, auto: true,
			seg: Segment{Flags: fl, Seq: seq, Ack: ack, Window: 65535, Options: o}})
	}
	offer := Options{Set: OptMSS | OptSACKPermitted, MSS: 1460}
	put(-3e6, 0, SYN, first[0]-1, 0, offer)
	put(-2e6, 1, SYN|ACK, first[1]-1, first[0], offer)
	put(-1e6, 0, ACK, first[0], first[1], Options{})
}

// firstSeq returns the first number that a side uses in the script, or that
// its peer acknowledges where it sends nothing.
func (s *script) firstSeq(side int) Seq {
	for i := range s.lines {
		if l := &s.lines[i]; !l.wait && l.icmp == nil && l.from == side {
			return l.seg.Seq
		}
	}
	for i := range s.lines {
		if l := &s.lines[i]; !l.wait && l.icmp == nil && l.seg.Flags&ACK != 0 {
			return l.seg.Ack
		}
	}
	return 1
}

// flow notes a flow that has ended.
func (r *result) flow(f *Flow, side func(int) Side) {
	a, b := side(0), side(1)
	r.final = append(r.final, marked(f.Number, f.Sides[a].State, f.Sides[a].Basis, f.Sides[b].State, f.Sides[b].Basis))
	for i := range f.Findings {
		n := &f.Findings[i]
		who := "-"
		switch n.Side {
		case a:
			who = "a"
		case b:
			who = "b"
		}
		line := fmt.Sprintf("%s%s %s %s", flowMark(f.Number), who, n.Detector.Name, n.Severity)
		if n.Pending {
			line += " pending"
		}
		if n.Doubt != "" {
			line += " doubtful"
		}
		if n.Count > 1 {
			line += fmt.Sprintf(" x%d", n.Count)
		}
		r.findings = append(r.findings, line)
		r.evidence = append(r.evidence, n.Evidence)
	}
	for i, name := range []string{"a", "b"} {
		text, broken := believed(f, side(i))
		r.history[flowMark(f.Number)+name] = text
		if broken != "" {
			r.broken = append(r.broken, fmt.Sprintf("flow %d, %s: %s", f.Number, name, broken))
		}
	}
}

// believed spells the believed history of a side, and says where it takes an
// edge that Figure 5 has not.
func believed(f *Flow, s Side) (text, broken string) {
	var words []string
	at := Unknown
	for i := range f.Transitions {
		t := &f.Transitions[i]
		if t.Side != s || t.Withdrawn != "" {
			continue
		}
		if len(words) == 0 {
			words = append(words, t.From.String())
		} else if t.From != at && broken == "" {
			broken = fmt.Sprintf("from %s on to %s -> %s", at, t.From, t.To)
		}
		if next[t.From][t.Trigger] != t.To && broken == "" {
			broken = fmt.Sprintf("%s -> %s on %q", t.From, t.To, t.Trigger)
		}
		b := t.Basis
		if t.Certain() {
			b = Observed
		}
		words = append(words, t.To.String()+basisMark(b))
		at = t.To
	}
	if len(words) > 0 && at != f.Sides[s].State && broken == "" {
		broken = fmt.Sprintf("ends in %s, the side in %s", at, f.Sides[s].State)
	}
	return strings.Join(words, " "), broken
}

func basisMark(b Basis) string { return [...]string{"", "?", "~"}[b] }

func flowMark(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("#%d ", n)
}

func marked(n int, a State, ab Basis, b State, bb Basis) string {
	return fmt.Sprintf("%sa %s%s b %s%s", flowMark(n), a, basisMark(ab), b, basisMark(bb))
}

// compare returns a readable difference between what the script wants and
// what came; empty when there is none.
func (s *script) compare(file string, r *result) string {
	var out strings.Builder
	bad := len(r.broken) > 0
	for _, b := range r.broken {
		fmt.Fprintf(&out, "not a way through Figure 5: %s\n", b)
	}
	bad = s.compareStates(file, r, &out) || bad
	bad = s.compareFinal(file, r, &out) || bad
	bad = s.compareFindings(file, r, &out) || bad
	for who, want := range s.history {
		if got := r.history[who]; got != want.text {
			bad = true
			fmt.Fprintf(&out, "%s:%d: history of %s\n  want %s\n  got  %s\n", file, want.line, who, want.text, got)
		}
	}
	if !bad {
		return ""
	}
	return out.String()
}

// compareStates compares the states after each segment, and prints all of
// them when one differs.
func (s *script) compareStates(file string, r *result, out *strings.Builder) (bad bool) {
	if len(s.states) == 0 {
		return false
	}
	i := 0
	for _, l := range s.lines {
		if l.wait {
			fmt.Fprintf(out, "  %s:%-4d %s\n", file, l.line, l.text)
			continue
		}
		got, facts := r.states[i], r.facts[i]
		want, wantFacts, _ := strings.Cut(s.states[i].text, "|")
		want = squeeze(want)
		differs := want != got && l.icmp == nil || l.icmp != nil && want != "-" && want != got
		for _, w := range strings.Split(wantFacts, ",") {
			if w = strings.TrimSpace(w); w != "" && !slices.Contains(strings.Split(facts, ", "), w) {
				differs = true
			}
		}
		fmt.Fprintf(out, "  %s:%-4d %-52s %s\n", file, l.line, l.text, got)
		if differs {
			bad = true
			fmt.Fprintf(out, "! %s:%-4d %-52s %s   (facts: %s)\n", file, s.states[i].line, "want", s.states[i].text, facts)
		}
		i++
	}
	return bad
}

func (s *script) compareFinal(file string, r *result, out *strings.Builder) (bad bool) {
	for _, w := range s.final {
		if !slices.Contains(r.final, squeeze(w.text)) {
			bad = true
			fmt.Fprintf(out, "! %s:%d: final\n  want %s\n  got  %s\n", file, w.line, w.text, strings.Join(r.final, "\n       "))
		}
	}
	return bad
}

// compareFindings wants exactly the findings that the script lists. `: text`
// after one is part of its evidence; a count is compared where given.
func (s *script) compareFindings(file string, r *result, out *strings.Builder) (bad bool) {
	if !s.asked {
		return false
	}
	left := slices.Clone(r.findings)
	evidence := slices.Clone(r.evidence)
	for _, w := range s.findings {
		want, text, _ := strings.Cut(w.text, ":")
		want, text = squeeze(want), strings.TrimSpace(text)
		i := slices.IndexFunc(left, func(got string) bool {
			return got == want || !strings.Contains(want, " x") && strings.HasPrefix(got, want+" x")
		})
		if i >= 0 && strings.Contains(evidence[i], text) {
			left, evidence = slices.Delete(left, i, i+1), slices.Delete(evidence, i, i+1)
			continue
		}
		bad = true
		fmt.Fprintf(out, "! %s:%d: finding missing: %s\n", file, w.line, w.text)
	}
	for i, got := range left {
		bad = true
		fmt.Fprintf(out, "! %s: finding raised: %s: %s\n", file, got, evidence[i])
	}
	return bad
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// parseScripts reads the scripts of one file. Errors begin with the line.
func parseScripts(base, text string) ([]*script, error) {
	var all []*script
	var s *script
	section := ""
	begin := func(name string) { s = &script{name: name, history: map[string]wantLine{}}; section = "" }
	end := func(line int) error {
		if s == nil || len(s.lines) == 0 && s.why == "" {
			return nil
		}
		if err := s.check(); err != nil {
			return fmt.Errorf("%d: %s: %v", line, s.name, err)
		}
		all = append(all, s)
		return nil
	}
	begin(base)
	for i, raw := range strings.Split(text, "\n") {
		line := strings.TrimSpace(raw)
		var err error
		switch {
		case strings.HasPrefix(line, "== "):
			err = end(i)
			begin(base + "/" + strings.ReplaceAll(strings.TrimSpace(line[3:]), " ", "_"))
		case line == "":
		case strings.HasPrefix(line, "----"):
			section = strings.TrimSpace(strings.TrimLeft(line, "-"))
			if section == "" {
				section = "states"
			}
			s.asked = s.asked || section == "findings"
		case strings.HasPrefix(line, "# ") && section == "":
			s.why = squeeze(s.why + " " + line[2:])
		case section == "":
			err = s.parseLine(line, i+1)
		default:
			err = s.parseWant(section, wantLine{line, i + 1})
		}
		if err != nil {
			return nil, fmt.Errorf("%d: %v", i+1, err)
		}
	}
	if err := end(strings.Count(text, "\n")); err != nil {
		return nil, err
	}
	return all, nil
}

func (s *script) check() error {
	segments := 0
	for _, l := range s.lines {
		if !l.wait {
			segments++
		}
	}
	switch {
	case s.why == "":
		return fmt.Errorf("no reason: begin with a # line that says why the script exists")
	case segments == 0:
		return fmt.Errorf("no segments")
	case len(s.states) != 0 && len(s.states) != segments:
		return fmt.Errorf("%d segments and %d lines of states", segments, len(s.states))
	case len(s.states)+len(s.final)+len(s.history) == 0 && !s.asked:
		return fmt.Errorf("expects nothing")
	}
	return nil
}

func (s *script) parseWant(section string, w wantLine) error {
	switch name, arg, _ := strings.Cut(section, " "); name {
	case "states":
		s.states = append(s.states, w)
	case "final":
		s.final = append(s.final, w)
	case "findings":
		s.findings = append(s.findings, w)
	case "history":
		old := s.history[arg]
		s.history[arg] = wantLine{squeeze(old.text + " " + w.text), w.line}
	default:
		return fmt.Errorf("unknown section %q", section)
	}
	return nil
}

// parseLine reads a line above the dashes.
func (s *script) parseLine(text string, line int) error {
	words := strings.Fields(text)
	var at int64
	if n := len(s.lines); n > 0 {
		at = s.lines[n-1].at
	}
	switch words[0] {
	case "given":
		s.given = true
		if squeeze(text) != "given a ESTABLISHED b ESTABLISHED" {
			return fmt.Errorf("only `given a ESTABLISHED b ESTABLISHED` is known")
		}
		return nil
	case "one":
		s.one = words[1]
		if s.one != "socket" && s.one != "host" {
			return fmt.Errorf("a and b may be `one socket` or `one host`")
		}
		return nil
	case "os":
		p, ok := ProfileNamed(words[1])
		s.profile = p
		if !ok {
			return fmt.Errorf("unknown profile %q", words[1])
		}
		return nil
	case "stuck-after":
		return s.parseStuck(words[1])
	case "wait":
		d, err := time.ParseDuration(words[1])
		s.lines = append(s.lines, scriptLine{text: text, line: line, wait: true, at: at + int64(d)})
		return err
	case "icmp":
		l := scriptLine{text: text, line: line, at: at + 1e6}
		err := l.parseICMP(words[1:])
		s.lines = append(s.lines, l)
		return err
	}
	l := scriptLine{text: text, line: line, at: at + 1e6, auto: true}
	if len(s.lines) == 0 {
		l.at = 0
	}
	if err := l.parseSegment(words, at); err != nil {
		return err
	}
	s.lines = append(s.lines, l)
	return nil
}

func (s *script) parseStuck(word string) error {
	name, value, in := strings.Cut(word, "=")
	if !in {
		value = name
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		return err
	}
	if !in {
		s.stuck = &d
		return nil
	}
	st, ok := ParseState(name)
	if !ok {
		return fmt.Errorf("unknown state %q", name)
	}
	if s.stuckIn == nil {
		s.stuckIn = map[State]time.Duration{}
	}
	s.stuckIn[st] = d
	return nil
}

// parseICMP reads `unreachable a seq 100 [type 3] [code 13]`: the error quotes
// a segment of a.
func (l *scriptLine) parseICMP(w []string) error {
	u := &Unreachable{Type: 3, Code: 1, From: AddrFrom4([4]byte{10, 0, 9, 9})}
	l.icmp = u
	if len(w) < 4 || w[0] != "unreachable" || w[1] != "a" && w[1] != "b" {
		return fmt.Errorf("want `icmp unreachable a seq N [type N] [code N]`")
	}
	l.from = int(w[1][0] - 'a')
	for i := 2; i+1 < len(w); i += 2 {
		n, err := strconv.ParseUint(w[i+1], 10, 32)
		if err != nil {
			return err
		}
		switch w[i] {
		case "seq":
			u.Seq = Seq(n)
		case "type":
			u.Type = uint8(n)
		case "code":
			u.Code = uint8(n)
		}
	}
	return nil
}

// parseSegment reads `a > b  F.  100:200(100)  ack 300  win 1024 …`.
func (l *scriptLine) parseSegment(w []string, before int64) error {
	if len(w) < 5 || w[1] != ">" || w[0] == w[2] || !strings.Contains("ab", w[0]) || !strings.Contains("ab", w[2]) {
		return fmt.Errorf("want `a > b FLAGS seq:end …`, got %q", l.text)
	}
	l.from = int(w[0][0] - 'a')
	x := &l.seg
	x.Window = 65535
	for _, c := range w[3] {
		i := strings.IndexRune(flagLetters, c)
		if i < 0 {
			return fmt.Errorf("unknown flag %q", c)
		}
		x.Flags |= 1 << i
	}
	if err := x.parseRange(w[4]); err != nil {
		return err
	}
	for i := 5; i < len(w); i++ {
		if strings.HasPrefix(w[i], "@") {
			if err := l.parseTime(w[i][1:], before); err != nil {
				return err
			}
			continue
		}
		n, err := l.parseWord(w[i:])
		if err != nil {
			return err
		}
		i += n
	}
	if x.Flags&ACK != 0 && !slices.Contains(w, "ack") {
		return fmt.Errorf("flags say ACK, but there is no ack: %q", l.text)
	}
	return nil
}

// parseWord reads one word of a segment and what belongs to it, and returns
// how many words that was.
func (l *scriptLine) parseWord(w []string) (int, error) {
	x := &l.seg
	o := &x.Options
	switch w[0] {
	case "frag":
		x.Fragment = true
		return 0, nil
	case "sackOK":
		o.Set |= OptSACKPermitted
		return 0, nil
	case "tfo":
		o.Set |= OptFastOpen
		return 0, nil
	}
	if len(w) < 2 {
		return 0, fmt.Errorf("%q lacks its number", w[0])
	}
	n, err := strconv.ParseUint(w[1], 10, 32)
	if err != nil {
		return 0, err
	}
	switch w[0] {
	case "ack":
		x.Ack = Seq(n)
	case "win":
		x.Window = uint16(n)
	case "id":
		x.IPID, l.auto = uint16(n), false
	case "ttl":
		x.TTL = uint8(n)
	case "sum":
		x.Checksum = uint16(n)
	case "ts":
		o.Set |= OptTimestamps
		o.TSVal = uint32(n)
	case "ecr":
		o.TSEcr = uint32(n)
	case "mss":
		o.Set |= OptMSS
		o.MSS = uint16(n)
	case "ws":
		o.Set |= OptWindowScale
		o.WindowScale = uint8(n)
	default:
		return 0, fmt.Errorf("unknown word %q", w[0])
	}
	return 1, nil
}

// parseRange reads `100`, `100:200` or `100:200(100)`. A script may let the
// numbers wrap: 4294967290:4.
func (x *Segment) parseRange(w string) error {
	w, _, _ = strings.Cut(w, "(")
	from, to, ranged := strings.Cut(w, ":")
	n, err := strconv.ParseUint(from, 10, 32)
	x.Seq = Seq(n)
	if err != nil || !ranged {
		return err
	}
	n, err = strconv.ParseUint(to, 10, 32)
	x.Len = uint32(Seq(n) - x.Seq)
	return err
}

// parseTime reads `+200ms` (after the line before) or `1.5s` (after the start).
func (l *scriptLine) parseTime(w string, before int64) error {
	d, err := time.ParseDuration(strings.TrimPrefix(w, "+"))
	l.at = int64(d)
	if strings.HasPrefix(w, "+") || strings.HasPrefix(w, "-") {
		l.at += before
	}
	return err
}
