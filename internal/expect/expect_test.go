package expect

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Whoever writes a wrong file is told the line, the key, and what would be right.
func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ why, text, want string }{
		{"empty", "", "x.yaml:1: the file is empty"},
		{"no map", "- a", "x.yaml:1:1: give keys with their values: schema, reason"},
		{"no reason", "capture: {flows: 1}", "x.yaml:1:1: reason: no reason: say why"},
		{"a blank reason", "reason: ' '", "reason: no reason"},
		{"a reason without text", "reason:", "x.yaml:1:8: reason: nothing is given"},
		{"a slip in a key", "reason: r\nflows:\n- histroy: {}", `x.yaml:3:3: flows[0].histroy: unknown key: did you mean "history"?`},
		{"a key one level too high", "reason: r\ncapture: {handshake: {p95: < 1s}}", "rtt_client (p95 is one of capture.handshake.rtt)"},
		{"a key one level too low", "reason: r\nflows:\n- match: {duration: < 1s}", "count (duration is one of flows[])"},
		{"a key indented by chance", "reason: r\ncapture: {reason: x}", "findings (reason stands at the beginning of a line)"},
		{"text with a colon", "reason: issue 12: leak", "x.yaml:1: this is no YAML: mapping values are not allowed in this context: text with a colon"},
		{"a tab", "reason: r\ncapture:\n\tflows: 1", "indent with blanks, not with tabs"},
		{"a port without its colon", "reason: r\nflows:\n- match: {server: 7014}", `"7014" is no address: a port has a colon before it: ":7014"`},
		{"a key from nowhere", "reason: r\ncapture: {zzzzzz: 1}", "x.yaml:2:11: capture.zzzzzz: unknown key: there are flows, handshakes"},
		{"a key twice", "reason: r\nreason: s", `x.yaml:2:1: "reason" is given twice: line 1 has it, too`},
		{"a state in another spelling", "reason: r\ncapture:\n  states:\n    server: {CLOSE_WIAT: 0}", `x.yaml:4:14: capture.states.server: unknown name "CLOSE_WIAT": did you mean "CLOSE_WAIT"?`},
		{"a finding", "reason: r\ncapture: {findings: {required: [stuck-closewait]}}", `did you mean "stuck-close-wait"?`},
		{"a comparison without quotes", "reason: r\ncapture:\n  flows: >= 3", "x.yaml:3: this is no YAML"},
		{"what it should be", "reason: r\ncapture:\n  flows: >= 3", `">= 3", or write 3..`},
		{"no YAML", "reason: [", "x.yaml"},
		{"two documents", "reason: r\n---\nreason: s", "more than one YAML document"},
		{"an alias", "reason: &a r\noptions: *a", "aliases"},
		{"a count", "reason: r\ncapture: {flows: some}", `x.yaml:2:18: capture.flows: "some" is no count: give 12, 1..5`},
		{"nothing between", "reason: r\ncapture: {flows: 5..1}", "from 5 to 1 there is nothing"},
		{"no end", "reason: r\ncapture: {flows: ..}", "a range needs an end"},
		{"below nothing", "reason: r\ncapture: {flows: '< 0'}", "less than 0 cannot be"},
		{"a time to the nanosecond", "reason: r\nflows: [{duration: 2s}]", "give a bound: <= 2s"},
		{"a time without unit", "reason: r\nflows: [{duration: '<= 2'}]", `flows[0].duration: "2" is no duration`},
		{"a list of what is no list", "reason: r\ncapture: {flows: [1, 2]}", "capture.flows: give one value"},
		{"no list", "reason: r\nflows: {match: {}}", "flows: give a list"},
		{"a guess in a history", "reason: r\nflows:\n- history:\n    client: CLOSED CLOSE_WAIT?", "has its own key, basis"},
		{"no state in a history", "reason: r\nflows: [{history: {client: CLOSED OPEN}}]", `unknown state "OPEN"`},
		{"an empty history", "reason: r\nflows: [{history: {client: []}}]", "no state: give states in their order"},
		{"a name in place of an address", "reason: r\nflows: [{match: {client: example.com}}]", "names are not looked up"},
		{"a port", "reason: r\nflows: [{match: {client: ':99999'}}]", `"99999" is no port`},
		{"a flow number", "reason: r\nflows: [{match: {flow: first}}]", "they count from 0"},
		{"an index", "reason: r\nflows: [{match: {index: -1}}]", "is no place in an order"},
		{"a flag", "reason: r\noptions: {ignore_vlan: yes}", `"yes": give true or false`},
		{"an operating system", "reason: r\noptions: {os: linxu}", `did you mean "linux"?`},
		{"a version to come", "schema: tcpflow-states/expect/2\nreason: r\nnew: 1", "x.yaml:1:9: schema: tcpflow-states/expect/2 is newer than this program"},
		{"a version that was", "schema: tcpflow-states/expect/0\nreason: r\nold: 1", "to migrate, move the file away"},
		{"no version of this", "schema: tcpflow-states/1\nreason: r", "is no version of this file: give tcpflow-states/expect/1"},
	} {
		_, err := Parse("x.yaml", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nlacks %s", c.why, err, c.want)
		}
	}
}

// All that is wrong is said at once, but no flood of it.
func TestParseSaysAllErrors(t *testing.T) {
	_, err := Parse("x", []byte("reason: r\na: 1\nb: 2"))
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("want two errors: %v", err)
	}
	_, err = Parse("x", []byte("reason: r\n"+strings.Repeat("? x\n", 1)+"flows: ["+strings.Repeat("{x: 1},", 100)+"]"))
	if n := strings.Count(err.Error(), "\n"); n != maxErrors {
		t.Errorf("%d lines for 101 errors, want %d", n+1, maxErrors+1)
	}
}

func TestRanges(t *testing.T) {
	for _, c := range []struct {
		text     string
		in, out  []uint64
		inWords  string
		asBound  string
		boundHas []time.Duration
	}{
		{text: "3", in: []uint64{3}, out: []uint64{0, 2, 4}, inWords: "3"},
		{text: "1..5", in: []uint64{1, 5}, out: []uint64{0, 6}, inWords: "1 to 5"},
		{text: "3..", in: []uint64{3, 1 << 60}, out: []uint64{2}, inWords: "at least 3"},
		{text: "..3", in: []uint64{0, 3}, out: []uint64{4}, inWords: "at most 3"},
		{text: ">= 3", in: []uint64{3}, out: []uint64{2}, inWords: "at least 3"},
		{text: "> 3", in: []uint64{4}, out: []uint64{3}, inWords: "at least 4"},
		{text: "<=3", in: []uint64{3}, out: []uint64{4}, inWords: "at most 3"},
		{text: "< 3", in: []uint64{2}, out: []uint64{3}, inWords: "at most 2"},
		{text: "0..", in: []uint64{0, 9}, inWords: "any"},
	} {
		r, err := ParseRange(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		}
		for _, n := range c.in {
			if !r.Has(n) {
				t.Errorf("%s has not %d", c.text, n)
			}
		}
		for _, n := range c.out {
			if r.Has(n) {
				t.Errorf("%s has %d", c.text, n)
			}
		}
		if r.String() != c.inWords {
			t.Errorf("%s is %q in words", c.text, r)
		}
	}
	if !(Range{}).Has(7) {
		t.Error("what is not given does not allow all")
	}
	b, err := ParseBound("100ms..1.5s")
	if err != nil || b.Has(99*time.Millisecond) || !b.Has(1500*time.Millisecond) || b.Has(1501*time.Millisecond) {
		t.Errorf("100ms..1.5s: %v, %v", b, err)
	}
}

func TestEndpoints(t *testing.T) {
	for _, c := range []struct {
		text string
		in   []string
		out  []string
	}{
		{"10.0.0.5", []string{"10.0.0.5:1"}, []string{"10.0.0.6:1"}},
		{"10.0.0.0/8", []string{"10.9.9.9:1"}, []string{"11.0.0.0:1"}},
		{"10.0.0.5:443", []string{"10.0.0.5:443"}, []string{"10.0.0.5:444", "10.0.0.4:443"}},
		{"10.0.0.0/8:8000-8080", []string{"10.1.1.1:8080"}, []string{"10.1.1.1:8081"}},
		{":443", []string{"1.2.3.4:443", "[::1]:443"}, []string{"1.2.3.4:80"}},
		{"fd00::1", []string{"[fd00::1]:5"}, []string{"[fd00::2]:5"}},
		{"fd00::/8", []string{"[fd12::1]:5"}, []string{"[fe80::1]:5", "10.0.0.1:5"}},
		{"[fd00::/8]:443", []string{"[fd12::1]:443"}, []string{"[fd12::1]:80"}},
		{"[::1]", []string{"[::1]:9"}, []string{"[::2]:9"}},
	} {
		e, err := ParseEndpoint(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		}
		l := Endpoints{e}
		for _, a := range c.in {
			if !l.Has(netip.MustParseAddrPort(a)) {
				t.Errorf("%s is not %s", a, c.text)
			}
		}
		for _, a := range c.out {
			if l.Has(netip.MustParseAddrPort(a)) {
				t.Errorf("%s is %s", a, c.text)
			}
		}
	}
	for _, bad := range []string{"", ":", "[::1", "[::1]443", "1.2.3.4:", "1.2.3.4:9-1", "10.0.0.0/33", "a:1"} {
		if _, err := ParseEndpoint(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func moves(s string) (list []Move) {
	p, err := ParsePattern(s)
	if err != nil {
		panic(err)
	}
	for _, e := range p {
		list = append(list, Move{State: e[0]})
	}
	return list
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, history string
		want             bool
	}{
		{"CLOSED SYN_SENT ESTABLISHED", "CLOSED SYN_SENT ESTABLISHED", true},
		{"closed -> syn-sent → Established", "CLOSED SYN_SENT ESTABLISHED", true},
		{"CLOSED, SYN_SENT", "CLOSED SYN_SENT ESTABLISHED", false},
		{"CLOSED … CLOSED", "CLOSED SYN_SENT CLOSED", true},
		{"CLOSED ... CLOSED", "CLOSED CLOSED", true},
		{"CLOSED … CLOSED", "CLOSED", false},
		{"… ESTABLISHED …", "ESTABLISHED", true},
		{"… ESTABLISHED …", "CLOSED SYN_SENT", false},
		{"…", "CLOSED SYN_SENT", true},
		{"CLOSED … CLOSE_WAIT … CLOSED", "CLOSED SYN_SENT ESTABLISHED FIN_WAIT_1 TIME_WAIT CLOSED", false},
		{"… CLOSED|TIME_WAIT", "CLOSED SYN_SENT TIME_WAIT", true},
		{"… CLOSED|TIME_WAIT", "CLOSED SYN_SENT FIN_WAIT_2", false},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil || p.Matches(moves(c.history)) != c.want {
			t.Errorf("%s on %s: %v, want %v (%v)", c.pattern, c.history, !c.want, c.want, err)
		}
	}
}

// A story has nothing that differs exactly when the pattern matches, and its lines
// are the whole history.
func TestStoryAgreesWithMatch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var p Pattern
		var got []Move
		for range 1 + r.IntN(5) {
			switch r.IntN(4) {
			case 0:
				p = append(p, nil)
			default:
				p = append(p, Element{analyzer.State(r.IntN(3)), analyzer.State(r.IntN(3))}[:1+r.IntN(2)])
			}
		}
		for range 1 + r.IntN(5) {
			got = append(got, Move{State: analyzer.State(r.IntN(3))})
		}
		lines, cost := align(p, got)
		if (cost == 0) != p.Matches(got) {
			t.Fatalf("%s on %s: cost %d, matches %v", p, spell(got), cost, p.Matches(got))
		}
		var seen []Move
		differ := 0
		for _, l := range lines {
			if l.Move != nil {
				seen = append(seen, *l.Move)
			}
			if l.Mark != ' ' {
				differ++
			}
		}
		if differ != cost || cmp.Diff(seen, got) != "" {
			t.Fatalf("%s on %s: %d lines differ at cost %d: %v", p, spell(got), differ, cost, lines)
		}
	}
}

// A list of single states is one history; of several states each, alternatives.
func TestHistoryLists(t *testing.T) {
	for text, want := range map[string]string{
		"[CLOSED, SYN_SENT, CLOSED]":      "CLOSED SYN_SENT CLOSED",
		"[CLOSED SYN_SENT, CLOSED … ]":    "CLOSED SYN_SENT or CLOSED …",
		"[CLOSED, CLOSED SYN_SENT]":       "CLOSED or CLOSED SYN_SENT",
		"'CLOSED -> SYN_SENT|TIME_WAIT'":  "CLOSED SYN_SENT|TIME_WAIT",
		"[CLOSED, …, ESTABLISHED|CLOSED]": "CLOSED … ESTABLISHED|CLOSED",
	} {
		f, err := Parse("x", []byte("reason: r\nflows: [{history: {client: "+text+"}}]"))
		if err != nil || f.Flows[0].History.Client.String() != want {
			t.Errorf("%s: %v, %v", text, f, err)
		}
	}
}

// flowOf is a flow of whom the server leaks its socket.
func flowOf(number int, client string) *Flow {
	f := &Flow{Number: number, Client: netip.MustParseAddrPort(client), Server: netip.MustParseAddrPort("10.0.0.9:80"),
		Start: 1e9, End: 2e9, Now: 3e9, Frames: 9, Closer: "client",
		State:     [2]analyzer.State{analyzer.FinWait2, analyzer.CloseWait},
		Basis:     [2]analyzer.Basis{analyzer.Inferred, analyzer.Observed},
		InState:   [2]int64{1e9, 1e9},
		Handshake: analyzer.Handshake{Result: analyzer.HandshakeEstablished, RTT: int64(number+1) * 1e6, RTTServer: -1, RTTClient: -1},
		Close:     analyzer.Close{Result: analyzer.CloseHalfClosed, By: analyzer.CloseByFIN, Duration: 1e9},
		Findings:  []Finding{{Name: "stuck-close-wait", Severity: analyzer.Error, Side: "server", Evidence: "no FIN"}},
	}
	f.History[0] = moves("CLOSED SYN_SENT ESTABLISHED FIN_WAIT_1 FIN_WAIT_2")
	f.History[1] = moves("LISTEN SYN_RECEIVED ESTABLISHED CLOSE_WAIT")
	f.Counters[1].Bytes = 100
	return f
}

// judged parses a file and returns what fails of four flows, as key=got.
func judgedText(t *testing.T, text string, flows ...*Flow) []string {
	t.Helper()
	f, err := Parse("x", []byte("reason: r\n"+text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	j := NewJudge(f, DefaultLimit)
	for _, f := range flows {
		j.Take(f)
	}
	failures, _ := j.Failures()
	list := []string{}
	for _, n := range failures {
		if n.Line < 2 {
			t.Errorf("%s: line %d", n.Key, n.Line)
		}
		list = append(list, n.Key+"="+n.Got)
	}
	return list
}

// Each key lets pass what it says, and nothing else.
func TestJudge(t *testing.T) {
	flows := []*Flow{flowOf(2, "10.0.0.3:30"), flowOf(0, "10.0.0.1:10"), flowOf(1, "10.0.0.2:20")} // in the order in which they end
	for _, c := range []struct {
		why, text string
		want      []string
	}{
		{"what is", `
capture:
  flows: 3
  handshakes: {established: 3, refused: 0}
  closes: {half-closed: 1..}
  states: {server: {CLOSE_WAIT: 3}, either: {FIN_WAIT_2: 3, TIME_WAIT: 0}}
  handshake: {rtt: {p50: <= 2ms, p95: <= 3ms, max: 3ms..3ms}}
  findings: {required: {stuck-close-wait: 3}, allowed: []}
flows:
- roles: observed
  history: {server: LISTEN … CLOSE_WAIT, client: [CLOSED … FIN_WAIT_2, CLOSED]}
  state: {client: [TIME_WAIT, FIN_WAIT_2], server: CLOSE_WAIT}
  basis: {client: inferred, server: observed}
  in_state: {server: ">= 1s"}
  handshake: {result: established, rtt: ..3ms, syn_retransmits: 0}
  close: {result: half-closed, active_closer: client, by: FIN, duration: 1s..}
  duration: 1s..2s
  frames: 9
  counters: {server: {bytes: 100, resets: 0}}
  findings: {required: [stuck-close-wait], forbidden: [connection-refused]}
`, []string{}},
		{"counts", "capture: {flows: 4, handshakes: {refused: 1..}, states: {server: {CLOSE_WAIT: 0}, either: {CLOSED: 2}}}",
			[]string{"capture.flows=3", "capture.handshakes.refused=0", "capture.states.either.CLOSED=0", "capture.states.server.CLOSE_WAIT=3"}},
		{"percentiles are values that were seen", "capture: {handshake: {rtt: {p50: < 2ms, p99: < 3ms}}}",
			[]string{"capture.handshake.rtt.p50=2ms", "capture.handshake.rtt.p99=3ms"}},
		{"what is not known does not pass", "capture: {handshake: {rtt_server: {max: 1s..}}}\n",
			[]string{"capture.handshake.rtt_server.max=not known: the capture does not show it"}},
		{"a finding that must not be", "capture: {findings: {forbidden: [error]}}",
			[]string{"capture.findings.forbidden.stuck-close-wait=stuck-close-wait (error, 3 times)"}},
		{"but is expected", "capture: {findings: {forbidden: [error], required: [stuck-close-wait]}}", []string{}},
		{"a name that is forbidden is", "capture: {findings: {forbidden: [stuck-close-wait]}}",
			[]string{"capture.findings.forbidden.stuck-close-wait=stuck-close-wait (error, 3 times)"}},
		{"no other finding", "capture: {findings: {allowed: [abortive-close]}}",
			[]string{"capture.findings.allowed.stuck-close-wait=stuck-close-wait (error, 3 times)"}},
		{"too many", "capture: {findings: {allowed: {stuck-close-wait: ..2}}}", []string{"capture.findings.allowed.stuck-close-wait=3"}},
		{"too few", "capture: {findings: {required: {stuck-close-wait: 4, abortive-close: 1}}}",
			[]string{"capture.findings.required.abortive-close=0", "capture.findings.required.stuck-close-wait=3"}},
		{"each flow that matches, by number", "flows: [{match: {client: 10.0.0.0/30}, frames: 1}]",
			[]string{"flows[0].frames=9", "flows[0].frames=9", "flows[0].frames=9"}},
		{"one by its client", "flows: [{match: {client: 10.0.0.2}, handshake: {rtt: < 2ms}}]", []string{"flows[0].handshake.rtt=2ms"}},
		{"one by its number", "flows: [{match: {flow: 2}, handshake: {rtt: < 2ms}}]", []string{"flows[0].handshake.rtt=3ms"}},
		{"either side", "flows: [{match: {host: ':80', count: 3}}, {match: {host: [':10', ':20'], count: 2}}]", []string{}},
		{"one by its place", "flows: [{match: {server: ':80', index: 1}, handshake: {rtt: < 1ms}}]", []string{"flows[0].handshake.rtt=2ms"}},
		{"no such place", "flows: [{match: {index: 3}}]", []string{"flows[0].match.count=0"}},
		{"none matches", "flows: [{match: {server: ':81'}}]", []string{"flows[0].match.count=0"}},
		{"none should", "flows: [{match: {server: ':81', count: 0}}, {match: {server: ':80', count: 0}}]", []string{"flows[1].match.count=3"}},
		{"a weaker basis", "flows: [{match: {flow: 0}, basis: {client: observed, server: assumed}}]", []string{"flows[0].basis.client=inferred"}},
		{"what did not happen", "flows: [{match: {flow: 0}, handshake: {tap: middle}}]", []string{"flows[0].handshake.tap=nothing of that kind"}},
		{"a history", "flows: [{match: {flow: 0}, history: {server: LISTEN … CLOSED}}]",
			[]string{"flows[0].history.server=LISTEN SYN_RECEIVED ESTABLISHED CLOSE_WAIT"}},
	} {
		if diff := cmp.Diff(c.want, judgedText(t, c.text, flows...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.why, diff)
		}
	}
}

// The order in which flows end, which a Tracker with other limits may change, does
// not show, and of many failing flows the first are listed.
func TestJudgeBounded(t *testing.T) {
	f, err := Parse("x", []byte("reason: r\nflows: [{frames: 1}]"))
	if err != nil {
		t.Fatal(err)
	}
	j := NewJudge(f, 3)
	for _, n := range rand.New(rand.NewPCG(3, 4)).Perm(100) {
		j.Take(flowOf(n, "10.0.0.1:1"))
	}
	failures, left := j.Failures()
	if len(failures) != 3 || failures[0].Flow != 0 || failures[2].Flow != 2 || left != 97 {
		t.Errorf("%d failures, %d left out: %+v", len(failures), left, failures)
	}
}

func TestStorySays(t *testing.T) {
	f := flowOf(0, "10.0.0.1:1")
	for i := range f.History[1] {
		f.History[1][i].Frame, f.History[1][i].Trigger = uint64(i), analyzer.Event(i)
	}
	for _, c := range []struct{ want, says string }{
		{"LISTEN … CLOSE_WAIT LAST_ACK CLOSED", "The server goes as expected as far as CLOSE_WAIT (frame 3); LAST_ACK does not follow: it has been in CLOSE_WAIT for 1s at the end."},
		{"LISTEN SYN_RECEIVED CLOSED", "The server goes as expected as far as SYN_RECEIVED (frame 1); ESTABLISHED (frame 2: " + analyzer.Event(2).String() + ") follows, not CLOSED."},
		{"LISTEN SYN_RECEIVED ESTABLISHED", "The server goes as expected as far as ESTABLISHED (frame 2); it should have stayed there, and goes on to CLOSE_WAIT (frame 3: " + analyzer.Event(3).String() + ")."},
		{"CLOSED …", "The server begins with LISTEN, not CLOSED."},
	} {
		p, err := ParsePattern(c.want)
		if err != nil {
			t.Fatal(err)
		}
		if got := tell(History{p}, f, 1).Says; got != c.says {
			t.Errorf("%s:\n got %s\nwant %s", c.want, got, c.says)
		}
	}
}

// After an update the file holds, and what a person wrote in it is still there.
func TestUpdate(t *testing.T) {
	const before = `# the head
schema: tcpflow-states/expect/1
reason: >- # why
  the server

  leaks

# the whole
capture:
  flows: 2 # two
  handshakes: {refused: 1}

  states:
    server: {CLOSE_WAIT: 0}
  handshake:
    rtt: {p95: <= 1ms}
    rtt_server: {max: <= 1ms} # not in the capture
  findings:
    required: [abortive-close]
    allowed: [reordering]
    forbidden: [error, stuck-close-wait]

flows:
  # all of them
  - match: {server: ":80", count: 7}
    close: {result: closed, active_closer: client}
    frames: 1..5 # few
    basis: {client: observed}
  - match:
      client: 10.0.0.1
    history:
      client: CLOSED … FIN_WAIT_2 # holds
      server: LISTEN … CLOSED
  - match: {client: 10.0.0.77}
`
	const after = `# the head
schema: tcpflow-states/expect/1
reason: >- # why
  the server

  leaks

# the whole
capture:
  flows: 3 # two
  handshakes: {refused: 0}

  states:
    server: {CLOSE_WAIT: 3}
  handshake:
    rtt: {p95: <= 3.3ms}
    rtt_server: {} # not in the capture
  findings:
    required: []
    allowed: [reordering, stuck-close-wait]
    forbidden: [error]

flows:
  # all of them
  - match: {server: ":80", count: 3}
    close: {result: half-closed, active_closer: client}
    frames: 9 # few
    basis: {client: inferred}
  - match:
      client: 10.0.0.1
    history:
      client: CLOSED … FIN_WAIT_2 # holds
      server: LISTEN SYN_RECEIVED ESTABLISHED CLOSE_WAIT
  - match: {client: 10.0.0.77, count: 0}
`
	flows := []*Flow{flowOf(0, "10.0.0.1:10"), flowOf(1, "10.0.0.2:20"), flowOf(2, "10.0.0.3:30")}
	text, left := updated(t, before, flows)
	if diff := cmp.Diff(after, text); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if left != nil {
		t.Errorf("fails after the update: %+v", left)
	}
	again, _ := updated(t, text, flows)
	if again != text {
		t.Errorf("an update of what holds changes it:\n%s", cmp.Diff(text, again))
	}
}

// updated updates a file, and returns what fails of it afterwards.
func updated(t *testing.T, text string, flows []*Flow) (string, []Failure) {
	t.Helper()
	judge := func(text string) (*Judge, []Failure) {
		f, err := Parse("x", []byte(text))
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		j := NewJudge(f, 1000)
		for _, f := range flows {
			j.Take(f)
		}
		failures, _ := j.Failures()
		return j, failures
	}
	j, failures := judge(text)
	out, _, err := j.Update(failures)
	if err != nil {
		t.Fatal(err)
	}
	_, failures = judge(string(out))
	return string(out), failures
}

// Where some flows are as expected and others are not, both may be afterwards.
func TestUpdateWidens(t *testing.T) {
	other := flowOf(1, "10.0.0.2:20")
	other.Frames, other.Close.Result = 20, analyzer.CloseClosed
	other.Findings = nil
	text, left := updated(t, `reason: r
flows:
  - frames: 20..30
    close:
      result: closed
    findings:
      allowed: []
`, []*Flow{flowOf(0, "10.0.0.1:10"), other})
	want := `reason: r
flows:
  - frames: 9..30
    close:
      result:
        - closed
        - half-closed
    findings:
      allowed: [stuck-close-wait]
`
	if diff := cmp.Diff(want, text); diff != "" || left != nil {
		t.Errorf("(-want +got):\n%s%+v", diff, left)
	}
}

// A new file holds for what it was made of, says so in its reason, and fits the
// schema.
func TestDraft(t *testing.T) {
	reused := flowOf(3, "10.0.0.1:10") // the same pair again
	odd := flowOf(4, "[fd00::1]:10")
	odd.Server = netip.MustParseAddrPort("[fd00::9]:80")
	odd.Findings = nil
	flows := []*Flow{flowOf(0, "10.0.0.1:10"), flowOf(2, "10.0.0.3:30"), reused, odd, flowOf(1, "10.0.0.2:20")}
	reused.Close.Result = analyzer.CloseClosed
	d := NewDraft()
	for _, f := range flows {
		d.judge.Take(f)
		d.flows = append(d.flows, *f)
	}
	text := string(d.Text("a: b.pcap"))
	if got := judgedDraft(t, text, flows); got != nil {
		t.Errorf("%+v fails in\n%s", got, text)
	}
	if !strings.Contains(text, "5 established") || !strings.Contains(text, "edit this") {
		t.Errorf("the reason does not say what was seen:\n%s", text)
	}
	if err := valid(t, compileSchema(t), text); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
	if text := string(NewDraft().Text("empty.pcap")); judgedDraft(t, text, nil) != nil {
		t.Errorf("a capture without flows:\n%s", text)
	}
}

func judgedDraft(t *testing.T, text string, flows []*Flow) []Failure {
	t.Helper()
	f, err := Parse("x", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	j := NewJudge(f, 10)
	for _, f := range flows {
		j.Take(f)
	}
	failures, _ := j.Failures()
	return failures
}

func TestDescribe(t *testing.T) {
	for key, want := range map[string]string{
		"flows[12].history.server":                    "flows.history.server",
		"capture.findings.required.stuck-close-wait":  "capture.findings.required",
		"capture.states.either.CLOSE_WAIT":            "capture.states.either",
		"flows[0].match.count":                        "flows.match.count",
		"flows[0].counters.client.capture_lost_bytes": "flows.counters.client.capture_lost_bytes",
	} {
		if kind, doc := Describe(key); kind != want || doc == "" {
			t.Errorf("%s: %s (%s), want %s", key, kind, doc, want)
		}
	}
}

// Whatever a file holds, it is refused, or it can be judged and updated, and then
// read again.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("../../testdata/pcaps/*" + ".expect.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("reason: r\nflows: [{match: {index: 1, flow: [0]}, history: {client: …}}]\n\ncapture: {findings: {required: [reordering], forbidden: error}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("x", text)
		if err != nil {
			if file != nil || !strings.HasPrefix(err.Error(), "x:") {
				t.Fatalf("%v", err)
			}
			return
		}
		j := NewJudge(file, 100)
		j.Take(flowOf(0, "10.0.0.1:10"))
		j.Take(flowOf(1, "10.0.0.2:10"))
		failures, _ := j.Failures()
		out, _, err := j.Update(failures)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse("x", out); err != nil {
			t.Fatalf("%v in the update\n%s\nof\n%s", err, out, text)
		}
	})
}
