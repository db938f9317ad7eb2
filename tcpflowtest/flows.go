package tcpflowtest

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Side is one side of a connection.
type Side string

// The sides.
const (
	Client Side = "client" // who opened it
	Server Side = "server" // who accepted it
)

// of returns the side of a flow.
func (s Side) of(f *analyzer.Flow) analyzer.Side {
	if s == Client {
		return f.Client
	}
	return f.Server()
}

// Flows are some of the connections of a capture, in the order of their first
// frames.
type Flows struct {
	t    testing.TB
	from string   // what was captured or read
	how  []string // how they were chosen
	list []*analyzer.Flow
}

// flows returns all that were followed.
func (w *watch) flows(t testing.TB, from string) *Flows {
	slices.SortFunc(w.ended, func(a, b *analyzer.Flow) int { return cmp.Compare(a.Number, b.Number) })
	return &Flows{t: t, from: from, list: w.ended}
}

// All returns the flows, for assertions that are not here. They are the caller's:
// nothing else uses their memory.
func (fs *Flows) All() []*analyzer.Flow { return fs.list }

// Len returns how many flows there are.
func (fs *Flows) Len() int { return len(fs.list) }

// Where chooses the flows for which choose returns true; what says which these
// are, for messages: "flows with data".
func (fs *Flows) Where(what string, choose func(*analyzer.Flow) bool) *Flows {
	chosen := &Flows{t: fs.t, from: fs.from, how: append(slices.Clone(fs.how), what)}
	for _, f := range fs.list {
		if choose(f) {
			chosen.list = append(chosen.list, f)
		}
	}
	return chosen
}

// Port chooses the flows whose server has this port.
func (fs *Flows) Port(port uint16) *Flows {
	return fs.Where("port "+strconv.Itoa(int(port)), func(f *analyzer.Flow) bool { return f.Addr(f.Server()).Port() == port })
}

// Server chooses the flows whose server has this address: "10.0.0.9",
// "10.0.0.9:5432", "[2001:db8::9]:5432" or a network, "10.0.0.0/24". Anything else
// is fatal to the test.
func (fs *Flows) Server(addr string) *Flows {
	fs.t.Helper()
	is := fs.address(addr)
	return fs.Where("server "+addr, func(f *analyzer.Flow) bool { return is(f.Addr(f.Server())) })
}

// Client chooses the flows whose client has this address, written as for Server.
func (fs *Flows) Client(addr string) *Flows {
	fs.t.Helper()
	is := fs.address(addr)
	return fs.Where("client "+addr, func(f *analyzer.Flow) bool { return is(f.Addr(f.Client)) })
}

// address returns what tells an address as one of those that text names.
func (fs *Flows) address(text string) func(netip.AddrPort) bool {
	fs.t.Helper()
	if p, err := netip.ParsePrefix(text); err == nil {
		return func(a netip.AddrPort) bool { return p.Contains(a.Addr()) }
	}
	if p, err := netip.ParseAddrPort(text); err == nil {
		return func(a netip.AddrPort) bool { return a == p }
	}
	p, err := netip.ParseAddr(text)
	if err != nil {
		fs.t.Fatalf("tcpflowtest: %q is no address: give 10.0.0.9, 10.0.0.9:5432 or 10.0.0.0/24", text)
	}
	return func(a netip.AddrPort) bool { return a.Addr() == p.Unmap() }
}

// With asserts that there is a flow with this finding, and chooses those that have
// it. A name that no finding has is fatal to the test.
func (fs *Flows) With(finding string) *Flows {
	fs.t.Helper()
	fs.known(finding)
	chosen := fs.Where("with "+finding, func(f *analyzer.Flow) bool { return has(f, finding) })
	if len(chosen.list) == 0 {
		fs.t.Errorf("tcpflowtest: With(%s): none of %s has it%s", finding, fs, stories(fs.list))
	}
	return chosen
}

// Without asserts that no flow has any of these findings. A name that no finding
// has is fatal to the test.
func (fs *Flows) Without(findings ...string) *Flows {
	fs.t.Helper()
	for _, name := range findings {
		fs.known(name)
		fs.each("Without("+name+")", "it is there", func(f *analyzer.Flow) bool { return !has(f, name) })
	}
	return fs
}

// Clean asserts that no flow has a finding of severity warning or above.
func (fs *Flows) Clean() *Flows {
	fs.t.Helper()
	return fs.each("Clean", "there is a warning or an error", func(f *analyzer.Flow) bool {
		return !slices.ContainsFunc(f.Findings, func(n analyzer.Finding) bool { return n.Severity >= analyzer.Warning })
	})
}

// has reports whether a flow has a finding.
func has(f *analyzer.Flow, finding string) bool {
	return slices.ContainsFunc(f.Findings, func(n analyzer.Finding) bool { return n.Detector.Name == finding })
}

// known is fatal to the test unless there are findings of that name: an assertion
// that a misspelt one is not there would always hold.
func (fs *Flows) known(finding string) {
	fs.t.Helper()
	if !slices.ContainsFunc(analyzer.Detectors, func(d *analyzer.Detector) bool { return d.Name == finding }) {
		fs.t.Fatalf("tcpflowtest: there is no finding %q: tcpflow-states explain lists them", finding)
	}
}

// Count asserts that there are n flows.
func (fs *Flows) Count(n int) *Flows {
	fs.t.Helper()
	if len(fs.list) != n {
		fs.t.Errorf("tcpflowtest: Count: %s, want %d%s", fs, n, stories(fs.list))
	}
	return fs
}

// Established asserts that the handshake of every flow was completed.
func (fs *Flows) Established() *Flows {
	fs.t.Helper()
	return fs.opened("Established", analyzer.HandshakeEstablished)
}

// Refused asserts that every flow was refused: a RST answered its SYN.
func (fs *Flows) Refused() *Flows {
	fs.t.Helper()
	return fs.opened("Refused", analyzer.HandshakeRefused)
}

// Handshake asserts that the handshake of every flow had this result.
func (fs *Flows) Handshake(result analyzer.HandshakeResult) *Flows {
	fs.t.Helper()
	return fs.opened("Handshake("+result.String()+")", result)
}

func (fs *Flows) opened(assertion string, result analyzer.HandshakeResult) *Flows {
	fs.t.Helper()
	return fs.some(assertion, "another result", func(f *analyzer.Flow) bool { return f.Handshake.Result == result })
}

// HandshakeUnder asserts that the handshake of every flow was completed and took
// less than limit, from SYN to the ACK of the SYN+ACK.
func (fs *Flows) HandshakeUnder(limit time.Duration) *Flows {
	fs.t.Helper()
	return fs.some("HandshakeUnder("+limit.String()+")", "slower, or not established", func(f *analyzer.Flow) bool {
		return f.Handshake.Result == analyzer.HandshakeEstablished && f.Handshake.RTT >= 0 && time.Duration(f.Handshake.RTT) < limit
	})
}

// EventuallyClosed asserts that both sides of every flow had closed, by FIN, when
// the capture ended: one is CLOSED, the other CLOSED or in TIME_WAIT.
func (fs *Flows) EventuallyClosed() *Flows {
	fs.t.Helper()
	return fs.some("EventuallyClosed", "not closed by both sides", func(f *analyzer.Flow) bool { return f.Close.Result == analyzer.CloseClosed })
}

// Closed asserts that the close of every flow had this result.
func (fs *Flows) Closed(result analyzer.CloseResult) *Flows {
	fs.t.Helper()
	return fs.some("Closed("+result.String()+")", "another result",
		func(f *analyzer.Flow) bool { return f.Close.Result == result })
}

// ClosedFirstBy asserts that this side of every flow sent the first FIN or RST.
func (fs *Flows) ClosedFirstBy(side Side) *Flows {
	fs.t.Helper()
	return fs.some("ClosedFirstBy("+string(side)+")", "closed first by the other side, or by none",
		func(f *analyzer.Flow) bool { return f.Close.ActiveCloser == side.of(f) })
}

// State asserts that this side of every flow was in a state when the capture
// ended.
func (fs *Flows) State(side Side, state analyzer.State) *Flows {
	fs.t.Helper()
	return fs.some(fmt.Sprintf("State(%s, %s)", side, state), "in another state at the end",
		func(f *analyzer.Flow) bool { return f.Sides[side.of(f)].State == state })
}

// Through asserts that this side of every flow went through these states, in this
// order; others may have been in between.
func (fs *Flows) Through(side Side, states ...analyzer.State) *Flows {
	fs.t.Helper()
	return fs.some(fmt.Sprintf("Through(%s, %s)", side, names(states)), "it did not, or in another order",
		func(f *analyzer.Flow) bool {
			left := states
			for _, s := range history(f, side) {
				if len(left) > 0 && s == left[0] {
					left = left[1:]
				}
			}
			return len(left) == 0
		})
}

// History asserts that this side of every flow went through exactly these states,
// from the first one to that at the end.
func (fs *Flows) History(side Side, states ...analyzer.State) *Flows {
	fs.t.Helper()
	return fs.some(fmt.Sprintf("History(%s, %s)", side, names(states)), "another history",
		func(f *analyzer.Flow) bool { return slices.Equal(history(f, side), states) })
}

// Never asserts that this side of no flow was ever in a state.
func (fs *Flows) Never(side Side, state analyzer.State) *Flows {
	fs.t.Helper()
	return fs.some(fmt.Sprintf("Never(%s, %s)", side, state), "it was",
		func(f *analyzer.Flow) bool { return !slices.Contains(history(f, side), state) })
}

// history is the states of one side, as the whole capture lets us believe it.
func history(f *analyzer.Flow, side Side) (states []analyzer.State) {
	s := side.of(f)
	for t := range f.Believed(s) {
		if states == nil {
			states = append(states, t.From)
		}
		states = append(states, t.To)
	}
	if states == nil {
		states = append(states, f.Sides[s].State)
	}
	return states
}

func names(states []analyzer.State) string {
	var list []string
	for _, s := range states {
		list = append(list, s.String())
	}
	return strings.Join(list, " ")
}

// some asserts of every flow, and that there is one.
func (fs *Flows) some(assertion, how string, holds func(*analyzer.Flow) bool) *Flows {
	fs.t.Helper()
	if len(fs.list) == 0 {
		fs.t.Errorf("tcpflowtest: %s: %s: nothing to assert of", assertion, fs)
		return fs
	}
	return fs.each(assertion, how, holds)
}

// each asserts of every flow.
func (fs *Flows) each(assertion, how string, holds func(*analyzer.Flow) bool) *Flows {
	fs.t.Helper()
	if bad := slices.DeleteFunc(slices.Clone(fs.list), holds); len(bad) > 0 {
		fs.fail(assertion, how, bad)
	}
	return fs
}

// fail says which flows break an assertion, and how.
func (fs *Flows) fail(assertion, how string, bad []*analyzer.Flow) {
	fs.t.Helper()
	fs.t.Errorf("tcpflowtest: %s does not hold for %d of %s: %s%s", assertion, len(bad), fs, how, stories(bad))
}
