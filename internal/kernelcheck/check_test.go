package kernelcheck

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/sockets"
)

const (
	us, them = "10.0.0.9:5432", "10.0.0.5:51544"
	epoch    = int64(1e18)
	second   = int64(time.Second)
)

// flow is a connection between us and them in which our side is in a state
// since some instant.
func flow(number int, state analyzer.State, basis analyzer.Basis, since int64) Flow {
	f := Flow{Number: number, RTT: 20e6}
	local, remote := netip.MustParseAddrPort(us), netip.MustParseAddrPort(them)
	// 10.0.0.5 is the lower address, and so side 0.
	f.Key = analyzer.Key{Addr: [2]analyzer.Addr{remote.Addr().As16(), local.Addr().As16()}, Port: [2]uint16{remote.Port(), local.Port()}}
	f.State[1], f.Basis[1], f.Since[1] = state, basis, since
	f.State[0] = analyzer.Established
	return f
}

// dump is one that takes 10 ms, of the sockets given.
func dump(at int64, all ...sockets.Socket) *sockets.Dump {
	return sockets.NewDump(at, at+10e6, []sockets.Namespace{{ID: 1, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.9")}}}, all...)
}

func socket(state analyzer.State, kind sockets.Kind) sockets.Socket {
	return sockets.Socket{Local: netip.MustParseAddrPort(us), Remote: netip.MustParseAddrPort(them),
		State: state, Kind: kind, Cookie: 7, Namespace: 1}
}

// What is judged as what, at the second of two checks ten seconds apart.
func TestJudgement(t *testing.T) {
	const full, request, minisock = sockets.KindFull, sockets.KindRequest, sockets.KindTimeWait
	const observed, inferred, assumed = analyzer.Observed, analyzer.Inferred, analyzer.Assumed
	none := []sockets.Socket{}
	one := func(s analyzer.State, k sockets.Kind) []sockets.Socket { return []sockets.Socket{socket(s, k)} }
	for _, c := range []struct {
		why    string
		ours   analyzer.State
		basis  analyzer.Basis
		kernel []sockets.Socket
		want   string
	}{
		{"the same", analyzer.CloseWait, observed, one(analyzer.CloseWait, full), "agree"},
		{"an orphan's minisock", analyzer.FinWait2, observed, one(analyzer.FinWait2, minisock), "agree"},
		{"half open", analyzer.SynReceived, observed, one(analyzer.SynReceived, request), "agree"},
		{"not the same", analyzer.CloseWait, inferred, one(analyzer.Established, full), "disagree"},
		{"we have it closed, the kernel open", analyzer.Closed, inferred, one(analyzer.LastAck, full), "disagree"},
		{"the accept queue is full", analyzer.Established, inferred, one(analyzer.SynReceived, request), "excused"},
		{"and the client has closed meanwhile", analyzer.CloseWait, inferred, one(analyzer.SynReceived, request), "excused"},
		{"but the server has sent data", analyzer.Established, observed, one(analyzer.SynReceived, request), "disagree"},
		{"a firewall drops the SYN+ACK", analyzer.Listen, assumed, one(analyzer.SynReceived, request), "excused"},
		{"a whole socket in SYN_RECV is no request", analyzer.Established, inferred, one(analyzer.SynReceived, full), "disagree"},
		{"our TIME_WAIT ended first", analyzer.Closed, assumed, one(analyzer.TimeWait, minisock), "excused"},
		{"nothing known", analyzer.Unknown, assumed, one(analyzer.Established, full), "unknown"},
		{"CLOSED is no socket", analyzer.Closed, inferred, none, "agree"},
		{"nor is LISTEN before the SYN+ACK", analyzer.Listen, assumed, none, "agree"},
		{"UNKNOWN says nothing", analyzer.Unknown, assumed, none, ""},
		{"TIME_WAIT recycled", analyzer.TimeWait, observed, none, "excused"},
		{"SYN cookies", analyzer.SynReceived, observed, none, "excused"},
		{"close in SYN_SENT", analyzer.SynSent, observed, none, "excused"},
		{"an orphan in FIN_WAIT_2 too young to have ended", analyzer.FinWait2, observed, none, "missing"},
		{"an open connection of which the kernel knows nothing", analyzer.Established, observed, none, "missing"},
		{"it gave up sending its FIN", analyzer.LastAck, observed, none, "missing"},
	} {
		var check Checker
		f := slices.Values([]Flow{flow(3, c.ours, c.basis, epoch-20*second)})
		first := check.Check(f, dump(epoch, c.kernel...))
		if first.Disagree.Count+first.Missing.Count > 0 {
			t.Errorf("%s: judged at first sight", c.why)
		}
		if got := judged(check.Check(f, dump(epoch+10*second, c.kernel...))); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}

// judged names the one thing that a result says.
func judged(r *Result) string {
	var words []string
	for _, x := range []struct {
		n    int
		name string
	}{{total(r.Agree), "agree"}, {r.Disagree.Count, "disagree"}, {r.Missing.Count, "missing"}, {r.Unsettled, "unsettled"},
		{total(r.Excused), "excused"}, {r.Unknown, "unknown"}, {total(r.Unseen), "unseen"}} {
		for range x.n {
			words = append(words, x.name)
		}
	}
	return strings.Join(words, " ")
}

// An orphan may have ended once tcp_fin_timeout has passed.
func TestFinTimeout(t *testing.T) {
	for timeout, want := range map[time.Duration]string{0: "missing", 25 * time.Second: "excused"} {
		check := Checker{FinTimeout: timeout}
		f := slices.Values([]Flow{flow(3, analyzer.FinWait2, analyzer.Observed, epoch-20*second)})
		check.Check(f, dump(epoch))
		if got := judged(check.Check(f, dump(epoch+10*second))); got != want {
			t.Errorf("%v: %q, want %q", timeout, got, want)
		}
	}
}

// A difference that is younger than what may lie between the two is a race.
func TestRaces(t *testing.T) {
	established := socket(analyzer.Established, sockets.KindFull)
	closed := socket(analyzer.CloseWait, sockets.KindFull)
	other := established
	other.Cookie = 8
	slow := established
	slow.Info.RTT = 15 * time.Second
	for _, c := range []struct {
		why           string
		since         int64 // our state, before the second check
		first, second sockets.Socket
		apart         int64
		want          string
	}{
		{"settled", 5 * second, established, established, 10 * second, "disagree"},
		{"we changed 100 ms ago", 100e6, established, established, 10 * second, "unsettled"},
		{"we changed after the dump", -1e6, established, established, 10 * second, "unsettled"},
		{"the kernel was in another state before", 5 * second, closed, established, 10 * second, "unsettled"},
		{"another socket was there before", 5 * second, other, established, 10 * second, "unsettled"},
		{"the checks are 100 ms apart", 5 * second, established, established, 100e6, "unsettled"},
		{"less than a round trip", 5 * second, established, slow, 10 * second, "unsettled"},
		{"we do not know since when", epoch + 10*second, established, established, 10 * second, "disagree"},
	} {
		var check Checker
		now := epoch + c.apart
		f := slices.Values([]Flow{flow(3, analyzer.FinWait1, analyzer.Observed, now-c.since)})
		check.Check(f, dump(epoch, c.first))
		if got := judged(check.Check(f, dump(now, c.second))); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}

// Of several flows with one pair of addresses, one that agrees is the socket's.
func TestIncarnations(t *testing.T) {
	s := socket(analyzer.Established, sockets.KindFull)
	old := flow(3, analyzer.TimeWait, analyzer.Observed, epoch-20*second)
	now := flow(9, analyzer.Established, analyzer.Observed, epoch-20*second)
	for _, flows := range [][]Flow{{old, now}, {now, old}} {
		var check Checker
		if got := judged(check.Check(slices.Values(flows), dump(epoch, s))); got != "agree" {
			t.Error(got)
		}
	}
}

// A socket without packets is counted once it has been there a while, and the
// capture can have seen it.
func TestUnseen(t *testing.T) {
	none := slices.Values([]Flow(nil))
	s := socket(analyzer.Established, sockets.KindFull)
	listener := socket(analyzer.Listen, sockets.KindFull)
	var check Checker
	if got := judged(check.Check(none, dump(epoch, s, listener))); got != "unsettled" {
		t.Error(got)
	}
	if got := judged(check.Check(none, dump(epoch+second, s, listener))); got != "unseen" {
		t.Error(got)
	}
	check.Captured = func(s *sockets.Socket) bool { return s.Local.Port() != 5432 }
	if got := judged(check.Check(none, dump(epoch+second, s))); got != "" {
		t.Error(got)
	}
}

// Containers with the same addresses cannot be told apart by packets.
func TestOverlap(t *testing.T) {
	s := socket(analyzer.Established, sockets.KindFull)
	other := s
	other.Namespace = 2
	f := slices.Values([]Flow{flow(3, analyzer.CloseWait, analyzer.Observed, epoch-20*second)})
	var check Checker
	check.Check(f, dump(epoch, s, other))
	if got := judged(check.Check(f, dump(epoch+10*second, s, other))); got != "excused excused" {
		t.Error(got)
	}
}

// What is listed is bounded, and what is remembered with it.
func TestBounds(t *testing.T) {
	many := func(yield func(Flow) bool) {
		for i := range maxAbsent + 1000 {
			f := flow(i, analyzer.Established, analyzer.Observed, epoch-20*second)
			f.Key.Port[0], f.Key.Addr[0][15] = uint16(i), byte(i>>16)
			if !yield(f) {
				return
			}
		}
	}
	var check Checker
	check.Check(many, dump(epoch))
	r := check.Check(many, dump(epoch+10*second))
	if r.Missing.Count != maxAbsent || len(r.Missing.List) != maxListed || r.Unsettled != 1000 || len(check.absent) != maxAbsent {
		t.Errorf("%d missing, %d listed, %d unsettled, %d remembered", r.Missing.Count, len(r.Missing.List), r.Unsettled, len(check.absent))
	}
}

// The words and the JSON of a result.
func TestResult(t *testing.T) {
	var check Checker
	f := slices.Values([]Flow{flow(17, analyzer.CloseWait, analyzer.Inferred, epoch-20*second)})
	s := socket(analyzer.Established, sockets.KindFull)
	check.Check(f, dump(epoch, s))
	r := check.Check(f, dump(epoch+10*second, s))
	var text strings.Builder
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	want := `kernel check: 0 of 1 agree, 1 disagree, 0 without a socket; 0 unsettled, 0 excused, 0 not seen in packets
  10.0.0.9:5432 > 10.0.0.5:51544 (flow 17): we say CLOSE_WAIT, inferred, for 30s; the kernel says ESTABLISHED for 9.99s or longer
`
	if d := cmp.Diff(want, text.String()); d != "" {
		t.Error(d)
	}
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	wantJSON := `{"type":"kernel_check","t":"2001-09-09T01:46:50.01Z","took":0.01,"agree":{},` +
		`"disagree":{"count":1,"list":[{"flow":17,"local":"10.0.0.9:5432","remote":"10.0.0.5:51544","ours":"CLOSE_WAIT",` +
		`"basis":"inferred","ours_for":30,"kernel":"ESTABLISHED","kind":"socket","kernel_for":9.99}]},` +
		`"missing":{"count":0},"unsettled":0,"excused":{},"unknown":0,"unseen":{}}`
	if d := cmp.Diff(wantJSON, string(got)); d != "" {
		t.Error(d)
	}
	check.Check(f, dump(epoch+20*second))
	r = check.Check(f, dump(epoch+30*second))
	text.Reset()
	r.Text(&text)
	if !strings.Contains(text.String(), "we say CLOSE_WAIT, inferred, for 50s; the kernel has had no such socket for 9.99s or longer\n  (a connection that this host forwards") {
		t.Error(text.String())
	}
}

// BenchmarkCheck is of 20,000 sockets and 200,000 flows, of which a tenth are
// theirs.
func BenchmarkCheck(b *testing.B) {
	var all []sockets.Socket
	var flows []Flow
	for i := range 200000 {
		f := flow(i, analyzer.Established, analyzer.Observed, epoch-20*second)
		f.Key.Port[0], f.Key.Addr[0][14] = uint16(i), byte(i>>16)
		if i%10 == 0 {
			s := socket(analyzer.Established, sockets.KindFull)
			local, remote := f.ends(1)
			s.Local, s.Remote, s.Cookie = local, remote, uint64(i)
			all = append(all, s)
		} else {
			f.Key.Addr[1][15] = 77 // another host's
		}
		flows = append(flows, f)
	}
	d := dump(epoch, all...)
	var check Checker
	b.ReportAllocs()
	for b.Loop() {
		if r := check.Check(slices.Values(flows), d); total(r.Agree) != len(all) {
			b.Fatal(judged(r)[:100])
		}
	}
}
