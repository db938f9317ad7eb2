package tcpflowtest

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

const (
	leaking = "../testdata/pcaps/stuck_close_wait_many.pcap" // 12 connections, of which the server closes 4
	closing = "../testdata/pcaps/close_client.pcap"
)

// recordingTB is a test that is told what a real one would be.
type recordingTB struct {
	testing.TB
	errors  []string
	fatal   string
	skipped string
	logs    []string
	cleanup []func()
}

func (r *recordingTB) Helper() {}
func (r *recordingTB) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}
func (r *recordingTB) Logf(format string, args ...any) {
	r.logs = append(r.logs, fmt.Sprintf(format, args...))
}
func (r *recordingTB) Fatalf(format string, args ...any) {
	r.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
func (r *recordingTB) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
func (r *recordingTB) Cleanup(f func()) { r.cleanup = append(r.cleanup, f) }
func (r *recordingTB) Failed() bool     { return len(r.errors) > 0 || r.fatal != "" }

// told runs a test on a recordingTB, with its cleanup, on a goroutine that a fatal
// error may end.
func told(t *testing.T, test func(testing.TB)) *recordingTB {
	t.Helper()
	r := &recordingTB{TB: t}
	done := make(chan bool)
	go func() {
		defer close(done)
		defer func() {
			for i := len(r.cleanup) - 1; i >= 0; i-- {
				r.cleanup[i]()
			}
		}()
		test(r)
	}()
	<-done
	return r
}

// Every assertion holds where it should, and fails, with its story, where it
// should not.
func TestAssertions(t *testing.T) {
	const est, fw1, fw2, cw, la, tw = analyzer.Established, analyzer.FinWait1, analyzer.FinWait2, analyzer.CloseWait, analyzer.LastAck, analyzer.TimeWait
	const closed, listen, sent, received = analyzer.Closed, analyzer.Listen, analyzer.SynSent, analyzer.SynReceived
	for _, c := range []struct {
		name  string
		file  string
		chain func(*Flows)
		want  string // of the one error; empty: none
	}{
		{"closed as it should", closing, func(f *Flows) {
			f.Count(1).Established().EventuallyClosed().Closed(analyzer.CloseClosed).Clean().Without("stuck-close-wait", "connection-refused")
		}, ""},
		{"states of closing", closing, func(f *Flows) {
			f.State(Client, tw).State(Server, closed).ClosedFirstBy(Client).Through(Client, est, tw).Never(Client, cw)
			f.History(Client, closed, sent, est, fw1, fw2, tw).History(Server, listen, received, est, cw, la, closed)
		}, ""},
		{"in time", closing, func(f *Flows) { f.HandshakeUnder(10 * time.Millisecond) }, ""},
		{"not in time", closing, func(f *Flows) { f.HandshakeUnder(time.Millisecond) }, "HandshakeUnder(1ms) does not hold for 1 of 1 flow"},
		{"choices", leaking, func(f *Flows) {
			f.Port(7014).Count(12).Server("10.77.14.2").Count(12).Server("10.77.14.2:7014").Count(12).Server("10.77.0.0/16").Count(12)
			f.Client("10.77.14.1:40099").Count(1)
			f.Port(80).Count(0).Without("stuck-close-wait").Clean()
			f.With("stuck-close-wait").Count(8).State(Server, cw).State(Client, fw2)
		}, ""},
		{"left open", leaking, func(f *Flows) { f.EventuallyClosed() }, "EventuallyClosed does not hold for 8 of 12 flows of " + leaking + ": not closed by both sides"},
		{"a finding", leaking, func(f *Flows) { f.Without("connection-refused", "stuck-close-wait") }, "Without(stuck-close-wait) does not hold for 8 of 12"},
		{"no such finding", closing, func(f *Flows) { f.With("stuck-close-wait").Without("connection-refused") }, "With(stuck-close-wait): none of 1 flow"},
		{"not clean", leaking, func(f *Flows) { f.Clean() }, "Clean does not hold for 8 of 12"},
		{"not refused", closing, func(f *Flows) { f.Refused() }, "Refused does not hold for 1 of 1"},
		{"not unanswered", closing, func(f *Flows) { f.Handshake(analyzer.HandshakeUnanswered) }, "Handshake(unanswered) does not hold"},
		{"not reset", closing, func(f *Flows) { f.Closed(analyzer.CloseReset) }, "Closed(reset) does not"},
		{"another state", closing, func(f *Flows) { f.State(Server, est) }, "State(server, ESTABLISHED) does not"},
		{"another order", closing, func(f *Flows) { f.Through(Client, tw, est) }, "Through(client, TIME_WAIT ESTABLISHED) does not"},
		{"another history", closing, func(f *Flows) { f.History(Client, est, tw) }, "History(client, ESTABLISHED TIME_WAIT) does not"},
		{"it was there", closing, func(f *Flows) { f.Never(Server, cw) }, "Never(server, CLOSE_WAIT) does not"},
		{"the other side", closing, func(f *Flows) { f.ClosedFirstBy(Server) }, "ClosedFirstBy(server) does not"},
		{"another count", closing, func(f *Flows) { f.Count(2) }, "Count: 1 flow of " + closing + ", want 2"},
		{"nothing tested", closing, func(f *Flows) { f.Port(80).Established() }, "Established: no flow of " + closing + ", port 80: nothing to assert of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := told(t, func(tb testing.TB) { c.chain(Read(tb, c.file)) })
			switch {
			case r.fatal != "":
				t.Error(r.fatal)
			case c.want == "" && len(r.errors) > 0:
				t.Error(r.errors)
			case c.want != "" && (len(r.errors) != 1 || !strings.Contains(r.errors[0], c.want)):
				t.Errorf("errors %q, want one with %q", r.errors, c.want)
			}
		})
	}
}

// A failure tells both sides' histories and the evidence, and does not bury the
// reader in flows.
func TestStory(t *testing.T) {
	r := told(t, func(tb testing.TB) { Read(tb, leaking).EventuallyClosed() })
	text := strings.Join(r.errors, "")
	for _, want := range []string{
		"server  LISTEN       > SYN_RECEIVED  sent SYN+ACK, frame 4",
		"client  FIN_WAIT_1   > FIN_WAIT_2?   received ACK of FIN",
		"error stuck-close-wait of the server: client's FIN (frame 43)",
		"cause: the application never closes the socket",
		"\nflow 3, 10.77.14.1:40102 > 10.77.14.2:7014: FIN_WAIT_2? and CLOSE_WAIT",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "capture ends:"); n != fewStories {
		t.Errorf("%d flows are told in full, want %d", n, fewStories)
	}
	log := told(t, func(tb testing.TB) { Read(tb, leaking).Log() }).logs
	if len(log) != 1 || strings.Count(log[0], "capture ends:") != 12 {
		t.Errorf("the log does not tell all flows: %s", log)
	}
}

// What is wrong with the test itself ends it: such an assertion would hold, or
// fail, whatever the service does.
func TestMisuseIsFatal(t *testing.T) {
	for _, c := range []struct {
		why  string
		test func(testing.TB)
		want string
	}{
		{"a misspelt finding", func(tb testing.TB) { Read(tb, closing).Without("stuck-closewait") }, `no finding "stuck-closewait"`},
		{"a misspelt address", func(tb testing.TB) { Read(tb, closing).Client("10.0.0") }, `"10.0.0" is no address`},
		{"no such file", func(tb testing.TB) { Read(tb, "missing.pcap") }, "missing.pcap"},
		{"no capture", func(tb testing.TB) { Read(tb, "flows_test.go") }, "flows_test.go"},
		{"a wrong filter", func(tb testing.TB) { Options{Filter: "prot 80"}.Read(tb, closing) }, `filter "prot 80"`},
	} {
		r := told(t, func(tb testing.TB) {
			c.test(tb)
			tb.Errorf("the test went on")
		})
		if !strings.Contains(r.fatal, c.want) || len(r.errors) > 0 {
			t.Errorf("%s: fatal %q, %q; want %q", c.why, r.fatal, r.errors, c.want)
		}
	}
}

// Options decide what of a file is read, and what counts as stuck.
func TestReadOptions(t *testing.T) {
	Options{Port: 7014}.Read(t, leaking).Count(12)
	Options{Port: 80}.Read(t, leaking).Count(0)
	Options{Port: 7014, Filter: "port 40099"}.Read(t, leaking).Count(1)
	for _, f := range (Options{StuckAfter: time.Hour}).Read(t, leaking).With("stuck-close-wait").All() {
		for _, n := range f.Findings {
			if !n.Pending {
				t.Errorf("flow %d: %s is not pending", f.Number, n.Detector.Name)
			}
		}
	}
}
