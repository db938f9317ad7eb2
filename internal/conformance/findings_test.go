package conformance

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

var update = flag.Bool("update", false, "write what was found to testdata/findings.txt")

// found is what was raised on one tap's capture.
type found struct {
	flows  map[analyzer.Key][]analyzer.Finding
	across []analyzer.Finding
}

func find(packets []capture.Packet, cfg analyzer.Config) *found {
	r := &found{flows: map[analyzer.Key][]analyzer.Finding{}}
	rollup := analyzer.NewRollup(nil)
	cfg.OnFlow = func(f *analyzer.Flow) {
		k := pairOf(f.Key)
		r.flows[k] = append(r.flows[k], f.Findings...)
		rollup.Add(f)
	}
	t := analyzer.New(cfg)
	for _, p := range packets {
		if p.Kind == capture.KindUnreachable {
			t.ObserveUnreachable(&p.Unreachable)
		} else {
			t.Observe(&p.Segment)
		}
	}
	t.Close()
	r.across = rollup.Findings()
	return r
}

// eachTap runs what looks at the findings of every tap.
func eachTap(t *testing.T, look func(truth *Truth, tap string, r *found)) {
	for _, truth := range scenarios(t) {
		for _, tap := range truth.TapNames() {
			packets, err := ReadTap(truth.Path(tap))
			if err != nil {
				t.Fatal(err)
			}
			look(truth, tap, find(packets, analyzer.Config{}))
		}
	}
}

// TestFindings holds what is raised on every real capture against
// testdata/findings.txt, which was read against the packets: a rule that
// changes shows here what else it changes.
func TestFindings(t *testing.T) {
	if os.Getenv("KERNEL_DIR") != "" {
		t.Skip("KERNEL_DIR is set: testdata/findings.txt is about testdata/kernel")
	}
	var out strings.Builder
	last := ""
	eachTap(t, func(truth *Truth, tap string, r *found) {
		if truth.Scenario != last {
			fmt.Fprintf(&out, "%s: %s\n", truth.Scenario, truth.Description)
			last = truth.Scenario
		}
		fmt.Fprintf(&out, "  %-10s %s\n", tap, cmp.Or(strings.Join(r.lines(), "; "), "-"))
	})
	const golden = "testdata/findings.txt"
	if *update {
		if err := os.MkdirAll(filepath.Dir(golden), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(out.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != string(want) {
		t.Errorf("findings differ from %s; if they are right: go test ./internal/conformance -run TestFindings -update\n%s",
			golden, lineDiff(string(want), got))
	}
}

// lines spells the findings, equal ones counted.
func (r *found) lines() (list []string) {
	n := map[string]int{}
	count := func(f *analyzer.Finding, where string) {
		s := where + f.Detector.Name + " " + f.Severity.String()
		if f.Pending {
			s += " pending"
		}
		if f.Doubt != "" {
			s += " doubtful"
		}
		n[s]++
	}
	for _, findings := range r.flows {
		for i := range findings {
			count(&findings[i], "")
		}
	}
	for i := range r.across {
		count(&r.across[i], "across: ")
	}
	for s, times := range n {
		if times > 1 {
			s += fmt.Sprintf(" x%d", times)
		}
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

// lineDiff lists the lines that only one has.
func lineDiff(want, got string) string {
	var out strings.Builder
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "", ""
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			fmt.Fprintf(&out, "- %s\n+ %s\n", a, b)
		}
	}
	return out.String()
}

// answer is what we say to a word of truth.json's expected_anomalies.
type answer struct {
	findings []string // any of them; none: nothing is raised, for the reason
	reason   string
}

// TestAnomalies: what the people who made the captures expect to be remarked
// on is answered by a finding, or there is a reason why the wire does not show
// it.
func TestAnomalies(t *testing.T) {
	eachTap(t, func(truth *Truth, tap string, r *found) {
		for i := range truth.Connections {
			c := &truth.Connections[i]
			k, _ := c.Key()
			findings, seen := r.flows[k]
			if !seen {
				continue // nothing of it at this tap
			}
			for _, word := range c.Anomalies {
				if why := unanswered(truth.Scenario, tap, word, r.about(c, findings)); why != "" {
					t.Errorf("%s/%s %v: %q: %s", truth.Scenario, tap, c, word, why)
				}
			}
		}
	})
}

// about returns the names of the findings about a connection, its listener, its
// client or the capture.
func (r *found) about(c *Connection, findings []analyzer.Finding) (names []string) {
	for i := range findings {
		names = append(names, findings[i].Detector.Name)
	}
	for _, all := range r.flows { // a defect of the capture is one of all flows
		for i := range all {
			if all[i].Detector.Capture {
				names = append(names, all[i].Detector.Name)
			}
		}
	}
	server := analyzer.Group{To: c.Server.Addr.As16(), Port: c.Server.Port}.String()
	client := analyzer.Group{From: c.Client.Addr.As16()}.String()
	for i := range r.across {
		if n := &r.across[i]; strings.HasSuffix(n.Subject, server) || strings.HasPrefix(n.Subject, client) {
			names = append(names, n.Detector.Name)
		}
	}
	return names
}

// unanswered says why a word has no answer; empty when it has.
func unanswered(scenario, tap, word string, names []string) string {
	for _, key := range []string{scenario + "/" + tap + " " + word, scenario + " " + word, word} {
		a, ok := answers[key]
		if !ok {
			continue
		}
		if a.reason != "" || slices.ContainsFunc(names, func(n string) bool { return slices.Contains(a.findings, n) }) {
			return ""
		}
		return fmt.Sprintf("want one of %v, raised are %v", a.findings, names)
	}
	return fmt.Sprintf("no answer is known; raised are %v", names)
}

func by(findings ...string) answer { return answer{findings: findings} }
func because(reason string) answer { return answer{reason: reason} }

// answers are by word, or by scenario (and tap) and word.
var answers = map[string]answer{
	"rst_exact/client forged RST":  because("forged beyond this tap: what it shows is half-open-peer"),
	"ICMP unreachable":             by("connect-icmp-rejected"),
	"connection refused":           by("connection-refused"),
	"unanswered SYN":               by("connect-timeout"),
	"simultaneous open":            by("simultaneous-open"),
	"stuck CLOSE_WAIT":             by("stuck-close-wait"),
	"stuck FIN_WAIT_1":             by("fin-unacknowledged"),
	"stuck FIN_WAIT_2":             by("stuck-fin-wait-2"),
	"stuck LAST_ACK":               by("fin-unacknowledged"),
	"port reuse in TIME_WAIT":      by("tuple-reuse-in-2msl"),
	"RST in TIME_WAIT":             by("time-wait-assassination"),
	"data in TIME_WAIT":            by("time-wait-assassination"),
	"SYN in ESTABLISHED":           by("challenge-ack"),
	"in-window RST not at rcv.nxt": by("challenge-ack"),
	"out-of-window RST":            by("rst-out-of-window"),
	"zero window":                  by("zero-window-stall", "zero-window-abort"),
	"accept queue overflow":        by("accept-queue-overflow-suspected"),
	"SYN flood":                    by("syn-flood"),
	"half-open":                    by("syn-ack-unanswered", "syn-flood"),
	"silent peer":                  by("peer-vanished", "keepalive-timeout"),
	"forged data":                  by("ack-storm", "overlap-conflict"),
	"keepalive probes":             by("keepalive-timeout"),
	"reset by client": by("abortive-close", "reset-data-loss", "reset-unread-data", "write-after-peer-close",
		"syn-ack-bad-ack", "keepalive-timeout", "half-open-peer"),
	"reset by server":    by("abortive-close", "reset-data-loss", "reset-unread-data", "zero-window-abort", "half-open-peer"),
	"one direction only": by("one-way-capture"),

	"data in SYN":               because("Fast Open that works is no fault: client_options.fastopen says it"),
	"sequence wrap":             because("numbers wrap in every long connection; nothing is wrong"),
	"capture starts mid-stream": because("the handshake's result says midstream, and states not shown are assumed"),
	"half-close with data":      because("legitimate: the trap of stuck-close-wait"),
	"idle":                      because("6 s of silence are nothing; never-closed looks at the capture's end"),
	"truncated packets":         because("lengths are the IP header's, so nothing is lost: the summary counts truncated_frames"),
	"simultaneous close":        because("no fault: both histories go through CLOSING; one that stays there is closing-stuck"),
	"FIN out of order":          because("CLOSE_WAIT begins when the hole is filled; the counters have out_of_order or retransmitted"),
	"random loss":               because("each loss is a resend, counted in retransmitted; what is worse than that has its own word here"),
	"out-of-window FIN":         because("ignored by its receiver and by us (`show`: FIN ignored); nobody's state changed"),
	"reset during handshake": because("the handshake's result says aborted; once, it is an application that gave up or a stray SYN+ACK; " +
		"many are port-scan or syn-flood"),
	"FIN retransmission":     because("one resend that is answered is loss, counted in retransmitted; unanswered it is fin-unacknowledged"),
	"data retransmission":    because("few resends are loss, counted in retransmitted; peer-vanished or retransmission-heavy say when it is more"),
	"SYN-ACK retransmission": because("handshake.synack_retransmits counts it; without an end to it, it is syn-ack-unanswered"),
	"SYN retransmission":     because("handshake.syn_retransmits counts it; syn-retransmit-recovered where the tap has the first one"),

	"keepalive_idle keepalive probes":             because("answered: the peer lives, and nothing is wrong"),
	"keepalive_dead_peer/server keepalive probes": because("they were lost before this tap"),
	"keepalive_dead_peer/server reset by client":  because("it was lost before this tap"),
	"duplicates duplicated packets": because("the network delivered each packet twice, 5 ms apart: late copies in `show`, which count for nothing; " +
		"duplicate-capture is about the capture"),
	"any_interface duplicated packets":                  by("duplicate-capture"),
	"any_interface/client duplicated packets":           because("only the captures on all interfaces have each packet twice"),
	"any_interface/middle duplicated packets":           because("only the captures on all interfaces have each packet twice"),
	"any_interface/server duplicated packets":           because("only the captures on all interfaces have each packet twice"),
	"one_direction/client one direction only":           because("only the captures c2s and s2c have one direction"),
	"one_direction/middle one direction only":           because("only the captures c2s and s2c have one direction"),
	"one_direction/server one direction only":           because("only the captures c2s and s2c have one direction"),
	"syn_in_established/client SYN in ESTABLISHED":      because("forged beyond this tap"),
	"rst_in_window/client in-window RST not at rcv.nxt": because("forged beyond this tap"),
	"time_wait_rst_kills/server RST in TIME_WAIT":       because("forged beyond this tap"),
	"bad_synack/server reset by client":                 because("the forged SYN+ACK went beyond this tap; its RST is no RST of the connection"),
	"fin_dropped_after_tap/server stuck FIN_WAIT_1":     because("the FIN never came this far"),
	"data_injected/client forged data":                  because("forged beyond this tap: the server acknowledges what was never seen, and that is not yet a proof"),
	"forged RST":                                        by("rst-injected-suspected"),
	"rst_exact reset by server":                         by("rst-injected-suspected", "half-open-peer"),
	"fin_wait_2_timeout reset by client":                because("the server's late FIN met no socket: the client's FIN_WAIT_2 had run out. Both had closed, nothing was lost"),
	"fin_wait_2_timeout stuck FIN_WAIT_2":               because("2 s are below --stuck-after; with 1s it is raised"),
}

// What is found depends neither on whether other tools' words were asked for,
// nor on how many flows are packed.
func TestFindingsAreTheSame(t *testing.T) {
	for _, truth := range scenarios(t) {
		for _, tap := range truth.TapNames() {
			packets, err := ReadTap(truth.Path(tap))
			if err != nil {
				t.Fatal(err)
			}
			want := find(packets, analyzer.Config{})
			for _, cfg := range []analyzer.Config{{Peers: true}, {Awake: 1}, {Peers: true, Awake: 1}} {
				if got := find(packets, cfg); !reflect.DeepEqual(got, want) {
					t.Errorf("%s, %s: other findings with %+v", truth.Scenario, tap, cfg)
				}
			}
		}
	}
}
