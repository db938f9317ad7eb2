package oddity

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/internal/script"
)

//go:embed scripts/*.txt
var scripts embed.FS

// Capture is one of the collection.
type Capture struct {
	Name string // of its file
	Why  string
	Data []byte
}

// All makes the collection, in the order of its index.
func All() ([]Capture, error) {
	all, err := scripted()
	if err != nil {
		return nil, err
	}
	for _, m := range mixes() {
		data, err := m.write()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		all = append(all, Capture{m.name + ".pcap", m.why, data})
	}
	return all, nil
}

// scripted are the captures that scripts make: one for each `over`.
func scripted() (all []Capture, err error) {
	files, err := scripts.ReadDir("scripts")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		text, err := scripts.ReadFile("scripts/" + f.Name())
		if err != nil {
			return nil, err
		}
		list, err := script.Parse(strings.TrimSuffix(f.Name(), ".txt"), string(text))
		if err != nil {
			return nil, fmt.Errorf("%s:%w", f.Name(), err)
		}
		for _, s := range list {
			made, err := captures(s)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", f.Name(), s.Name, err)
			}
			all = append(all, made...)
		}
	}
	return all, nil
}

func captures(s *script.Script) (all []Capture, err error) {
	_, name, _ := strings.Cut(s.Name, "/")
	group, _, _ := strings.Cut(s.Name, "/")
	if name != group {
		name = group + "_" + name
	}
	for _, over := range s.Over {
		data, err := Play(s, script.Variants[0], over, s.SnapLen)
		if err != nil {
			return nil, err
		}
		c := Capture{name + ".pcap", s.Why, data}
		if len(s.Over) > 1 {
			c.Name = name + "_" + strings.ReplaceAll(strings.Join(over, "_"), ":", "") + ".pcap"
			c.Why = "Within " + strings.Join(over, ", ") + "."
		}
		all = append(all, c)
	}
	return all, nil
}

// mixes are those of the collection: each kind of traffic over and over, the
// headers in turn.
func mixes() (all []mix) {
	kinds := []struct {
		name, why string
		acts      []act
		steps     int
	}{
		{"lossy", "Loss, reordering and duplicates by lot", lossy, 110},
		{"wild", "Everything that can happen, by lot", wild, 110},
		{"closing", "Openings, closes and resets by lot, ports used again", closing, 90},
	}
	overs := []string{"ip4 ether", "ip6 ether", "ip4 raw", "ip4 vlan:5 ether", "ip4 cooked2", "ip6 gre ip4 ether", "ip4 null"}
	for i := range 42 {
		k := kinds[i%len(kinds)]
		over := strings.Fields(overs[i%len(overs)])
		n := 1 + i%6
		all = append(all, mix{name: fmt.Sprintf("mix_%s_%02d", k.name, i/len(kinds)+1),
			why:  fmt.Sprintf("%s: connections: %d.", k.why, n),
			seed: uint64(i + 1), steps: k.steps, conns: n, snap: 128, over: over, acts: k.acts})
	}
	return all
}

// Index is the collection's README.
func Index(all []Capture) string {
	var b strings.Builder
	b.WriteString("# Oddities\n\nWhat TCP does when things go wrong, in every encapsulation that is read. " +
		"`go run ./internal/tools/oddities`\nwrites the captures and this list, from `internal/oddity`; " +
		"`go run ./internal/tools/agree testdata/oddities` compares\nwhat we and tshark say of them.\n\n" +
		"| capture | why it exists |\n|---|---|\n")
	for _, c := range all {
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.TrimSuffix(c.Name, ".pcap"), c.Why)
	}
	return b.String()
}

// WriteAll writes the captures and their index into a directory, and removes
// the captures there that are no longer made.
func WriteAll(dir string) (int, error) {
	all, err := All()
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, err
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.pcap"))
	if err != nil {
		return 0, err
	}
	for _, c := range all {
		if err := os.WriteFile(filepath.Join(dir, c.Name), c.Data, 0o666); err != nil {
			return 0, err
		}
	}
	for _, file := range old {
		if !slices.ContainsFunc(all, func(c Capture) bool { return c.Name == filepath.Base(file) }) {
			if err := os.Remove(file); err != nil {
				return 0, err
			}
		}
	}
	return len(all), os.WriteFile(filepath.Join(dir, "README.md"), []byte(Index(all)), 0o666)
}
