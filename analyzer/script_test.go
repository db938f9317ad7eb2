package analyzer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/script"
)

// A segment script is a connection as tcpdump prints it and, below a line of
// dashes, what the tracker must say. testdata/README.txt has the format.
//
// Every script runs five times: as written; with the addresses of a and b swapped,
// which may swap sides and nothing else; with each side's sequence numbers moved so
// that they wrap within the script; and with both moved. And again in all the modes
// below. With -short it runs once, as written.

func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Log("SKIPPED IN PART: each script as written only: -short")
	}
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
		scripts, err := script.Parse(strings.TrimSuffix(filepath.Base(file), ".txt"), string(text))
		if err != nil {
			t.Errorf("%s:%v", file, err)
			continue
		}
		for _, s := range scripts {
			t.Run(s.Name, func(t *testing.T) { test(t, s, file) })
		}
	}
}

func test(t *testing.T, s *script.Script, file string) {
	variants, modes := script.Variants, modes
	if testing.Short() {
		variants, modes = variants[:1], modes[:1]
	}
	for _, v := range variants {
		if s.Many() && v.Swap {
			continue // findings name addresses
		}
		for _, m := range modes {
			if diff := compare(s, file, run(s, v, m)); diff != "" {
				t.Fatalf("%s, %s, %s\n# %s\n%s", s.Name, v.Name, m.name, s.Why, diff)
			}
		}
	}
}

// modes are ways of a Tracker to come to the same result.
var modes = []mode{{name: "all awake"}, {name: "one awake", awake: 1}, {name: "not predicted", unpredicted: true},
	{name: "one awake, looked at", awake: 1, looked: true}}

type mode struct {
	name        string
	awake       int
	unpredicted bool
	looked      bool // for findings before the end of flows
}

// result is what the tracker said of a script.
type result struct {
	states   []string // after each segment
	facts    []string
	final    []string
	findings []string
	evidence []string
	zeek     []string
	history  map[string]string
	broken   []string // believed histories that Figure 5 does not allow
}

// run gives the script's segments to a fresh tracker.
func run(s *script.Script, v script.Variant, m mode) *result {
	r := &result{history: map[string]string{}}
	var last, facts string
	side := func(i int) analyzer.Side { // a, b to sides
		if v.Swap {
			return analyzer.Side(1 - i)
		}
		return analyzer.Side(i)
	}
	rollup := analyzer.NewRollup(nil)
	cfg := s.Config()
	cfg.Peers, cfg.Awake = len(s.Zeek) > 0, m.awake
	cfg.OnStep = func(st *analyzer.Step) {
		last = marked(st.Flow.Number, st.State[side(0)], st.Basis[side(0)], st.State[side(1)], st.Basis[side(1)])
		facts = strings.Join(st.Facts.Names(), ", ")
	}
	cfg.OnFlow = func(f *analyzer.Flow) {
		r.flow(f, side)
		rollup.Add(f)
	}
	if m.looked {
		cfg.OnFinding = func(*analyzer.Flow, *analyzer.Finding) {}
		told := moves{}
		cfg.OnTransition = told.take
		opened := map[[2]uint64][]analyzer.HandshakeResult{}
		cfg.OnHandshake = func(f *analyzer.Flow) {
			id := [2]uint64{uint64(f.Number), f.FirstFrame}
			opened[id] = append(opened[id], f.Handshake.Result)
		}
		cfg.OnFlow = func(f *analyzer.Flow) {
			r.flow(f, side)
			rollup.Add(f)
			r.broken = append(r.broken, told.differ(f)...)
			if got := opened[[2]uint64{uint64(f.Number), f.FirstFrame}]; len(got) != 1 || got[0] != f.Handshake.Result {
				r.broken = append(r.broken, fmt.Sprintf("flow %d: handshake told as %s, is %s", f.Number, got, f.Handshake.Result))
			}
		}
	}
	tr := analyzer.New(cfg)
	last = "-"
	s.Play(v, tr, func(l *script.Line) {
		if l.Packet() && l.Line > 0 {
			r.states = append(r.states, last)
			r.facts = append(r.facts, facts)
		}
		last, facts = "-", ""
		if m.unpredicted {
			analyzer.Unpredicted(tr)
		}
	})
	tr.Close()
	s.Lose(rollup)
	for _, n := range rollup.Findings() {
		r.found("across "+n.Subject, &n)
	}
	return r
}

// moves are what Config.OnTransition has said of each flow, and did not take back. A
// flow that turned out to be none gives its number to the next.
type moves map[[2]uint64][]string

func (m moves) take(f *analyzer.Flow, tr *analyzer.Transition) {
	id, text := [2]uint64{uint64(f.Number), f.FirstFrame}, move(tr)
	if tr.Withdrawn == nil {
		m[id] = append(m[id], text)
	} else if at := slices.Index(m[id], text); at >= 0 {
		m[id] = slices.Delete(m[id], at, at+1)
	} else {
		m[id] = append(m[id], "taken back, but never told: "+text)
	}
}

// move names a transition, without its frame: where a segment turns out not to have
// arrived, that of the next which says the same takes its place.
func move(tr *analyzer.Transition) string {
	return fmt.Sprintf("%d: %s to %s by %s", tr.Side, tr.From, tr.To, tr.Trigger)
}

// differ says where what was told is not what is believed at the end.
func (m moves) differ(f *analyzer.Flow) (list []string) {
	var want []string
	for i := range f.Transitions {
		if tr := &f.Transitions[i]; tr.Withdrawn == nil {
			want = append(want, move(tr))
		}
	}
	got := m[[2]uint64{uint64(f.Number), f.FirstFrame}]
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		list = append(list, fmt.Sprintf("flow %d: told %q, believed %q", f.Number, got, want))
	}
	return list
}

// flow notes a flow that has ended.
func (r *result) flow(f *analyzer.Flow, side func(int) analyzer.Side) {
	a, b := side(0), side(1)
	r.final = append(r.final, marked(f.Number, f.Sides[a].State, f.Sides[a].Basis, f.Sides[b].State, f.Sides[b].Basis))
	r.zeek = append(r.zeek, flowMark(f.Number)+f.Zeek.ConnState+" "+string(f.Zeek.History))
	for i := range f.Findings {
		n := &f.Findings[i]
		who := "-"
		switch n.Side {
		case a:
			who = "a"
		case b:
			who = "b"
		}
		r.found(flowMark(f.Number)+who, n)
	}
	for i, name := range []string{"a", "b"} {
		text, broken := believed(f, side(i))
		r.history[flowMark(f.Number)+name] = text
		if broken != "" {
			r.broken = append(r.broken, fmt.Sprintf("flow %d, %s: %s", f.Number, name, broken))
		}
	}
}

// found notes a finding about whom.
func (r *result) found(who string, n *analyzer.Finding) {
	line := who + " " + n.Detector.Name + " " + n.Severity.String()
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

// believed spells the believed history of a side, and says where it takes an
// edge that Figure 5 has not.
func believed(f *analyzer.Flow, s analyzer.Side) (text, broken string) {
	var words []string
	at := analyzer.Unknown
	for t := range f.Believed(s) {
		if len(words) == 0 {
			words = append(words, t.From.String())
		} else if t.From != at && broken == "" {
			broken = fmt.Sprintf("from %s on to %s -> %s", at, t.From, t.To)
		}
		if analyzer.Next(t.From, t.Trigger) != t.To && broken == "" {
			broken = fmt.Sprintf("%s -> %s on %q", t.From, t.To, t.Trigger)
		}
		b := t.Basis
		if t.Certain() {
			b = analyzer.Observed
		}
		words = append(words, t.To.String()+basisMark(b))
		at = t.To
	}
	if len(words) > 0 && at != f.Sides[s].State && broken == "" {
		broken = fmt.Sprintf("ends in %s, the side in %s", at, f.Sides[s].State)
	}
	return strings.Join(words, " "), broken
}

func basisMark(b analyzer.Basis) string { return [...]string{"", "?", "~"}[b] }

func flowMark(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("#%d ", n)
}

func marked(n int, a analyzer.State, ab analyzer.Basis, b analyzer.State, bb analyzer.Basis) string {
	return fmt.Sprintf("%sa %s%s b %s%s", flowMark(n), a, basisMark(ab), b, basisMark(bb))
}

// compare returns a readable difference between what the script wants and
// what came; empty when there is none.
func compare(s *script.Script, file string, r *result) string {
	var out strings.Builder
	bad := len(r.broken) > 0
	for _, b := range r.broken {
		fmt.Fprintf(&out, "not a way through Figure 5: %s\n", b)
	}
	bad = compareStates(s, file, r, &out) || bad
	bad = compareFinal(s, file, r, &out) || bad
	bad = compareFindings(s, file, r, &out) || bad
	bad = compareZeek(s, file, r, &out) || bad
	for who, want := range s.History {
		if got := r.history[who]; got != want.Text {
			bad = true
			fmt.Fprintf(&out, "%s:%d: history of %s\n  want %s\n  got  %s\n", file, want.Line, who, want.Text, got)
		}
	}
	if !bad {
		return ""
	}
	return out.String()
}

// compareStates compares the states after each segment, and prints all of
// them when one differs.
func compareStates(s *script.Script, file string, r *result, out *strings.Builder) (bad bool) {
	if len(s.States) == 0 {
		return false
	}
	i := 0
	for _, l := range s.Blocks[0].Lines {
		if !l.Packet() {
			fmt.Fprintf(out, "  %s:%-4d %s\n", file, l.Line, l.Text)
			continue
		}
		got, facts := r.states[i], r.facts[i]
		want, wantFacts, _ := strings.Cut(s.States[i].Text, "|")
		want = squeeze(want)
		differs := want != got && l.ICMP == nil || l.ICMP != nil && want != "-" && want != got
		for _, w := range strings.Split(wantFacts, ",") {
			if w = strings.TrimSpace(w); w != "" && !slices.Contains(strings.Split(facts, ", "), w) {
				differs = true
			}
		}
		fmt.Fprintf(out, "  %s:%-4d %-52s %s\n", file, l.Line, l.Text, got)
		if differs {
			bad = true
			fmt.Fprintf(out, "! %s:%-4d %-52s %s   (facts: %s)\n", file, s.States[i].Line, "want", s.States[i].Text, facts)
		}
		i++
	}
	return bad
}

func compareZeek(s *script.Script, file string, r *result, out *strings.Builder) (bad bool) {
	for _, w := range s.Zeek {
		if !slices.Contains(r.zeek, squeeze(w.Text)) {
			bad = true
			fmt.Fprintf(out, "! %s:%d: zeek\n  want %s\n  got  %s\n", file, w.Line, w.Text, strings.Join(r.zeek, "\n       "))
		}
	}
	return bad
}

func compareFinal(s *script.Script, file string, r *result, out *strings.Builder) (bad bool) {
	for _, w := range s.Final {
		if !slices.Contains(r.final, squeeze(w.Text)) {
			bad = true
			fmt.Fprintf(out, "! %s:%d: final\n  want %s\n  got  %s\n", file, w.Line, w.Text, strings.Join(r.final, "\n       "))
		}
	}
	return bad
}

// compareFindings wants exactly the findings that the script lists. `: text`
// after one is part of its evidence; a count is compared where given.
func compareFindings(s *script.Script, file string, r *result, out *strings.Builder) (bad bool) {
	if !s.Asked {
		return false
	}
	left := slices.Clone(r.findings)
	evidence := slices.Clone(r.evidence)
	for _, w := range s.Findings {
		want, text, _ := strings.Cut(w.Text, ": ")
		want, text = squeeze(want), strings.TrimSpace(text)
		if each, ok := strings.CutPrefix(want, "each "); ok && slices.ContainsFunc(left, func(got string) bool { return unnumbered(got) == each }) {
			for i := len(left) - 1; i >= 0; i-- {
				if unnumbered(left[i]) == each {
					left, evidence = slices.Delete(left, i, i+1), slices.Delete(evidence, i, i+1)
				}
			}
			continue
		}
		i := slices.IndexFunc(left, func(got string) bool {
			return got == want || !strings.Contains(want, " x") && strings.HasPrefix(got, want+" x")
		})
		if i >= 0 && strings.Contains(evidence[i], text) {
			left, evidence = slices.Delete(left, i, i+1), slices.Delete(evidence, i, i+1)
			continue
		}
		bad = true
		fmt.Fprintf(out, "! %s:%d: finding missing: %s\n", file, w.Line, w.Text)
	}
	for i, got := range left {
		bad = true
		fmt.Fprintf(out, "! %s: finding raised: %s: %s\n", file, got, evidence[i])
	}
	return bad
}

// unnumbered leaves the flow out of a finding's line.
func unnumbered(line string) string {
	if number, rest, ok := strings.Cut(line, " "); ok && strings.HasPrefix(number, "#") {
		return rest
	}
	return line
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// Each finding has a script that raises it, and one for a thing that it must
// not be confused with: a finding that fires on healthy traffic is worse than
// none.
func TestEveryDetectorHasScripts(t *testing.T) {
	raised, trapped := map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(file) == "README.txt" {
			continue
		}
		scripts, err := script.Parse("", string(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range scripts {
			for _, w := range s.Findings {
				for _, word := range strings.Fields(w.Text) {
					raised[word] = true
				}
			}
			if name, _, ok := strings.Cut(strings.TrimPrefix(s.Name, "/"), "_trap:"); ok {
				trapped[name] = s.Asked
			}
		}
	}
	for _, d := range analyzer.Detectors {
		if !raised[d.Name] {
			t.Errorf("no script raises %s", d.Name)
		}
		if !trapped[d.Name] {
			t.Errorf("no script holds a trap for %s", d.Name)
		}
		delete(trapped, d.Name)
	}
	for name := range trapped {
		t.Errorf("a trap for %s, which is no detector", name)
	}
}
