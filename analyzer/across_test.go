package analyzer_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/script"
)

// What is found across flows does not depend on the order in which they end,
// within the time for which rates are kept.
func TestAcrossInAnyOrder(t *testing.T) {
	files, err := filepath.Glob("testdata/findings_*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		scripts, err := script.Parse(filepath.Base(file), string(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range scripts {
			if !s.Many() {
				continue
			}
			flows := ended(s)
			if last := flows[len(flows)-1]; last.Start-flows[0].Start > analyzer.WindowsReach {
				continue
			}
			want := across(flows)
			rand.Shuffle(len(flows), func(i, j int) { flows[i], flows[j] = flows[j], flows[i] })
			if got := across(flows); !slices.Equal(got, want) {
				t.Errorf("%s: in another order\n%v\nnot\n%v", s.Name, got, want)
			}
		}
	}
}

// ended returns copies of a script's flows that outlive the callback.
func ended(s *script.Script) (flows []*analyzer.Flow) {
	cfg := s.Config()
	cfg.OnFlow = func(f *analyzer.Flow) {
		g := *f
		g.Transitions, g.Findings, g.Remarks = slices.Clone(f.Transitions), slices.Clone(f.Findings), slices.Clone(f.Remarks)
		flows = append(flows, &g)
	}
	tr := analyzer.New(cfg)
	s.Play(script.Variants[0], tr, nil)
	tr.Close()
	return flows
}

// across spells what is found across flows, but for which of them it names.
func across(flows []*analyzer.Flow) (all []string) {
	r := analyzer.NewRollup(nil)
	for _, f := range flows {
		r.Add(f)
	}
	for _, n := range r.Findings() {
		n.Flows = nil
		name := n.Detector.Name
		n.Detector = nil
		all = append(all, fmt.Sprintf("%s %+v", name, n))
	}
	return all
}
