package manual

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/script"
)

var update = flag.Bool("update", false, "write the pages of docs")

// The pages are what the entries say.
func TestPages(t *testing.T) {
	for _, p := range []struct{ file, text string }{
		{"../../docs/findings.md", FindingsPage()}, {"../../docs/states.md", StatesPage()},
	} {
		if *update {
			if err := os.WriteFile(p.file, []byte(p.text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(p.file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != p.text {
			t.Errorf("%s is stale: go test ./internal/manual -update", p.file)
		}
	}
}

// outcome is what playing an example shows.
type outcome struct {
	findings    []analyzer.Finding
	transitions []analyzer.Transition
	states      map[analyzer.State]bool
}

func outcomeOf(example string) *outcome {
	o := &outcome{states: map[analyzer.State]bool{}}
	s := parse(example)
	rollup := analyzer.NewRollup(nil)
	cfg := s.Config()
	cfg.OnStep = func(st *analyzer.Step) { o.states[st.State[0]], o.states[st.State[1]] = true, true }
	cfg.OnFlow = func(f *analyzer.Flow) {
		o.findings = append(o.findings, f.Findings...)
		o.transitions = append(o.transitions, f.Transitions...)
		o.states[f.Sides[0].State], o.states[f.Sides[1].State] = true, true
		rollup.Add(f)
	}
	t := analyzer.New(cfg)
	s.Play(script.Variants[0], t, nil)
	t.Close()
	s.Lose(rollup)
	o.findings = append(o.findings, rollup.Findings()...)
	return o
}

// The picture of a finding is one of that finding, as it is at its plainest.
func TestExamplesOfFindings(t *testing.T) {
	for _, d := range analyzer.Detectors {
		if d.Example == "" || len(d.LooksLike) == 0 {
			t.Errorf("%s: no Example or nothing that it LooksLike", d.Name)
			continue
		}
		raised := false
		for _, n := range outcomeOf(d.Example).findings {
			raised = raised || n.Detector == d && !n.Pending
		}
		if !raised {
			t.Errorf("%s: its example does not raise it:\n%s", d.Name, d.Example)
		}
		if n := strings.Count(strings.TrimSpace(d.Example), "\n"); n > 14 {
			t.Errorf("%s: an example of %d lines is no picture", d.Name, n+1)
		}
	}
}

// The picture of a state has a side in it, and that of an arrow takes it, in a
// believed transition.
func TestExamplesOfStates(t *testing.T) {
	for s, w := range allStates {
		if !outcomeOf(w.example).states[analyzer.State(s)] {
			t.Errorf("%s: no side of its example is in it", analyzer.State(s))
		}
	}
	for i := range analyzer.Arcs {
		a := &analyzer.Arcs[i]
		example := exampleOf(a)
		if a.From == analyzer.Listen && a.On == analyzer.SndSYN {
			continue // the same on the wire as CLOSED -> SYN_SENT
		}
		if example == "" {
			t.Errorf("%v: no example", *a)
			continue
		}
		taken := false
		for _, tr := range outcomeOf(example).transitions {
			taken = taken || tr.From == a.From && tr.To == a.To && tr.Trigger == a.On && tr.Withdrawn == nil
		}
		if !taken {
			t.Errorf("%v: its example does not take it:\n%s", *a, example)
		}
	}
}

// The picture of a basis shows a transition of that basis.
func TestExamplesOfBases(t *testing.T) {
	for _, e := range bases() {
		shown := false
		for _, tr := range outcomeOf(e.Example).transitions {
			switch e.Name {
			case "withdrawn":
				shown = shown || tr.Withdrawn != nil
			default:
				shown = shown || tr.Basis.String() == e.Name
			}
		}
		if !shown {
			t.Errorf("%s: not in its example", e.Name)
		}
	}
}

// Everything has a name, a text, and a picture that fits.
func TestEntriesAreWhole(t *testing.T) {
	for _, e := range append(All(), Transitions()...) {
		if e.Name == "" || e.Title == "" || e.Means == "" {
			t.Errorf("%+v lacks something", e)
		}
		for _, s := range e.Sections(78) {
			for _, line := range strings.Split(s.Picture, "\n") {
				if n := len([]rune(line)); n > 78 {
					t.Errorf("%s: %d columns: %s", e.Name, n, line)
				}
			}
		}
	}
}

func TestLookup(t *testing.T) {
	for _, c := range []struct{ why, name, want string }{
		{"a state", "CLOSE_WAIT", "CLOSE_WAIT"},
		{"a state as the RFC spells it", "close-wait", "CLOSE_WAIT"},
		{"a finding", "stuck-close-wait", "stuck-close-wait"},
		{"a transition", "FIN_WAIT_1 FIN_WAIT_2", "FIN_WAIT_1 -> FIN_WAIT_2"},
		{"a transition with an arrow", "syn-sent->established", "SYN_SENT -> ESTABLISHED"},
		{"a state that is a result, too", "closed", "CLOSED closed"},
		{"nothing", "banana", ""},
	} {
		var names []string
		for _, e := range Lookup(c.name) {
			names = append(names, e.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: Lookup(%q) = %q, want %q", c.why, c.name, got, c.want)
		}
	}
}
