package analyzer

import (
	"net/netip"
	"strings"
	"testing"
)

// What stands for each placeholder goes into every Next, wherever it stands,
// and takes one allocation; what is not known leaves the text as it is.
func TestAdviceFill(t *testing.T) {
	texts := []string{"", "CLIENT", "PORTSERVERCLIENT", "CLIEN SERVE POR", "PORT and PORT"}
	for _, d := range Detectors {
		texts = append(texts, d.Next)
	}
	for _, host := range []string{"10.0.0.1", "2001:db8:85a3:1111:2222:8a2e:370:7334", "::"} {
		a := advice{netip.MustParseAddr(host), netip.MustParseAddr("fe80::1"), 65535}
		r := strings.NewReplacer("CLIENT", host, "SERVER", "fe80::1", "PORT", "65535")
		for _, text := range texts {
			if got, want := a.fill(text), r.Replace(text); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if n := testing.AllocsPerRun(10, func() { a.fill(text) }); n > 1 {
				t.Errorf("%v allocations for %q", n, text)
			}
			nothing := advice{port: -1}
			if got := nothing.fill(text); got != text {
				t.Errorf("got %q with nothing known, want %q", got, text)
			}
		}
	}
}
