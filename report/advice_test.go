package report

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Commands are told from the sentences around them.
func TestAdvice(t *testing.T) {
	for _, c := range []struct{ why, next, want string }{
		{"a place before, another item behind",
			"on that host: ss -tanp state close-wait '( sport = :7 or dport = :7 )'; then lsof -p PID and the process's threads",
			"on that host:|$ ss -tanp state close-wait '( sport = :7 or dport = :7 )'|then lsof -p PID and the process's threads"},
		{"what to look for, in parentheses", "ss -tin '( dport = :7 )' (retrans, rto); nstat -az X; is it up?",
			"$ ss -tin '( dport = :7 )'  # retrans, rto|$ nstat -az X|is it up?"},
		{"what to look for, behind a colon", "then: tcpdump 'a; b: c': does it arrive?", "then:|$ tcpdump 'a; b: c'|does it arrive?"},
		{"no command", "the process's log; is the peer's host up", "the process's log; is the peer's host up"},
		{"parentheses of the command", "drop: nft add rule x \\& (fin|syn) == 0 drop", "drop:|$ nft add rule x \\& (fin|syn) == 0 drop"},
	} {
		var got []string
		for _, a := range advice(c.next) {
			got = append(got, map[bool]string{true: "$ "}[a.command]+a.text)
		}
		if d := cmp.Diff(c.want, strings.Join(got, "|")); d != "" {
			t.Errorf("%s: %s", c.why, d)
		}
	}
}

// Of what every finding advises, what looks like a command is one.
func TestAdviceOfDetectors(t *testing.T) {
	looks := regexp.MustCompile(`(^|[:;?] )[a-z_]+( -{1,2}[a-zA-Z]|.* '[^']*'( |$)|.* \| )`)
	commands := 0
	for _, d := range analyzer.Detectors {
		for _, a := range advice(d.Next) {
			if a.command {
				commands++
			} else if looks.MatchString(a.text) {
				t.Errorf("%s: is this a command? Then its program is missing in the list: %s", d.Name, a.text)
			}
		}
	}
	if commands < 50 {
		t.Errorf("only %d commands", commands)
	}
}

// However narrow the terminal, a command is one line, and prose is not.
func TestWrapAdvice(t *testing.T) {
	var b strings.Builder
	WrapAdvice(&b, "next:  ", "on that host of which we speak: ss -tanp state close-wait '( sport = :7 or dport = :7 )'; ps", 30)
	want := `next:  on that host of which
       we speak:
         ss -tanp state close-wait '( sport = :7 or dport = :7 )'
         ps
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
}
