package filter

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// docs/filter.md says what is compiled: its lists are those of the code and of the
// tests.
func TestFilterPage(t *testing.T) {
	const file = "../../docs/filter.md"
	want := filterPage(t)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s is stale: go test ./capture/filter -run TestFilterPage -update (%v)", file, err)
	}
}

func filterPage(t *testing.T) string {
	var types, foreignTypes, tcp, udp, all []string
	for _, l := range links {
		types = append(types, fmt.Sprintf("%s (%d)", l.name, l.number))
	}
	for _, n := range slices.Sorted(maps.Keys(foreignLinks)) {
		foreignTypes = append(foreignTypes, fmt.Sprintf("%s (%d)", foreignLinks[n], n))
	}
	for name, s := range services {
		list := map[transports]*[]string{onTCP: &tcp, onUDP: &udp, onBoth: &all}[s.on]
		*list = append(*list, fmt.Sprintf("%s %d", name, s.port))
	}
	sorted := func(list []string) string {
		slices.Sort(list)
		return strings.Join(list, ", ")
	}
	code := func(list []string) string { return "`" + strings.Join(list, "`, `") + "`" }
	text, err := os.ReadFile("testdata/filter.md")
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(
		"{LINKS}", strings.Join(types, ", "),
		"{FOREIGN LINKS}", strings.Join(foreignTypes, ", "),
		"{FOREIGN WORDS}", code(slices.Sorted(maps.Keys(foreign))),
		"{PROTOCOLS}", code(slices.Sorted(maps.Keys(protocols))),
		"{ETHER NAMES}", code(slices.Sorted(maps.Keys(etherNames))),
		"{IP NAMES}", code(slices.Sorted(maps.Keys(ipNames))),
		"{TCP}", sorted(tcp), "{UDP}", sorted(udp), "{BOTH}", sorted(all),
		"{CONSTANTS}", code(slices.Sorted(maps.Keys(constants))),
		"{EXPRESSIONS}", testedExpressions(t),
		"{COUNT}", fmt.Sprint(len(expressions(t, &links[0]))),
		"{PACKETS}", fmt.Sprint(len(samples(&links[0]))),
		"{LINK TYPES}", fmt.Sprint(len(testLinks())),
	).Replace(string(text))
}

// testedExpressions is a table of testdata/expressions.txt.
func testedExpressions(t *testing.T) string {
	text, err := os.ReadFile(expressionsFile)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		if expression, why, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && line[0] != '#' {
			fmt.Fprintf(&b, "| `%s` | %s |\n", strings.ReplaceAll(expression, "|", `\|`), strings.ReplaceAll(why, "|", `\|`))
		}
	}
	return b.String()
}
