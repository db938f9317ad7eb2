package manual

import (
	"fmt"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/script"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// picture is an example drawn.
type picture struct {
	text    string
	caption string // which flow of many it is
}

// played is what became of an example.
type played struct {
	flow   int // the number of the flow to draw
	flows  int
	across *analyzer.Finding // of the entry's detector; nil: none
}

// parse reads an example. It is part of the program: an error in it is one of
// the program, which a test finds.
func parse(example string) *script.Script {
	list, err := script.Parse("example", "# an example\n"+example+"\n---- findings\n")
	if err != nil || len(list) != 1 {
		panic(fmt.Sprintf("example: %v\n%s", err, example))
	}
	return list[0]
}

// play runs an example and says which flow shows the entry: the first with its
// finding, else the first.
func play(e *Entry, s *script.Script) (p played) {
	rollup := analyzer.NewRollup(nil)
	cfg := s.Config()
	found := false
	cfg.OnFlow = func(f *analyzer.Flow) {
		p.flows++
		rollup.Add(f)
		for i := range f.Findings {
			if f.Findings[i].Detector == e.detector && (!found || f.Number < p.flow) {
				p.flow, found = f.Number, true
			}
		}
	}
	t := analyzer.New(cfg)
	s.Play(script.Variants[0], t, nil)
	t.Close()
	s.Lose(rollup)
	for _, n := range rollup.Findings() {
		if n.Detector == e.detector && p.across == nil {
			p.across = &n
		}
	}
	return p
}

// draw plays an entry's example and draws the flow that shows it.
func draw(e *Entry, width int) picture {
	s := parse(e.Example)
	p := play(e, s)
	var out strings.Builder
	var ladder report.Ladder
	cfg := s.Config()
	cfg.OnStep = func(st *analyzer.Step) {
		if st.Flow.Number == p.flow {
			ladder.Step(st)
		}
	}
	cfg.OnFlow = func(f *analyzer.Flow) {
		if f.Number != p.flow {
			return
		}
		for i := range f.Findings {
			if f.Findings[i].Detector == e.detector {
				f.Findings = f.Findings[i : i+1 : i+1]
				break
			}
		}
		if e.detector == nil || len(f.Findings) > 0 && f.Findings[0].Detector != e.detector {
			f.Findings = nil
		}
		ladder.WriteBare(&out, f, width)
	}
	t := analyzer.New(cfg)
	s.Play(script.Variants[0], t, nil)
	t.Close()
	if n := p.across; n != nil {
		report.Wrap(&out, "▲ "+n.Severity.String()+" ", n.Subject+": "+n.Evidence, width)
	}
	caption := ""
	if p.flows > 1 {
		caption = fmt.Sprintf(" (one of %s flows)", report.Thousands(p.flows))
	}
	return picture{strings.TrimRight(out.String(), "\n"), caption}
}
