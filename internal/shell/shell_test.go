package shell

import "testing"

// A word is quoted only where a shell would see more in it.
func TestWord(t *testing.T) {
	for in, want := range map[string]string{
		"":                  "''",
		"/srv/a-b_1.pcap":   "/srv/a-b_1.pcap",
		"eth0@if5:1,2+3=4%": "eth0@if5:1,2+3=4%",
		"two words":         "'two words'",
		"it's":              `'it'\''s'`,
		"$HOME":             "'$HOME'",
		"~root":             "'~root'",
		"größe.pcap":        "'größe.pcap'",
		"a\nb":              "'a\nb'",
	} {
		if got := Word(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
