package conformance

import (
	"fmt"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Violation is a state claimed as certain that the kernel never had.
type Violation struct {
	Conn       int
	Side       Role
	Transition analyzer.Transition
}

// Falsify returns what the flows of a capture, whole or mutated, claim as
// certain and the kernel contradicts: a capture that lacks packets may know
// less, but what it is certain of must be true.
func Falsify(t *Truth, flows []*Flow) (vs []Violation) {
	type known struct {
		conn int
		role Role
		had  [analyzer.NumStates]bool
	}
	sides := map[analyzer.Key]*[2]known{}
	for i := range t.Connections {
		c := &t.Connections[i]
		key, client := c.Key()
		if sides[key] == nil {
			sides[key] = &[2]known{}
		}
		for _, role := range []Role{Client, Server} {
			s := client
			if role == Server && !c.Self {
				s = client.Peer()
			}
			k := &sides[key][s]
			k.conn, k.role = i, role
			for st, had := range hadStates(c.Socket(role), role) {
				k.had[st] = k.had[st] || had
			}
		}
	}
	for _, f := range flows {
		ks := sides[f.Key]
		if ks == nil {
			continue
		}
		for _, tr := range f.Transitions {
			k := &ks[tr.Side]
			if tr.Withdrawn == nil && tr.Certain() && !k.had[tr.To] {
				vs = append(vs, Violation{k.conn, k.role, tr})
			}
		}
	}
	return vs
}

// hadStates returns the states that a side may be certain to have had.
func hadStates(s *Socket, role Role) (had [analyzer.NumStates]bool) {
	had[analyzer.Listen] = true
	for i, k := range s.States {
		st, _ := analyzer.ParseState(k.State)
		if st == analyzer.Closed && i == 0 {
			continue
		}
		had[st] = true
		if len(k.MayHavePassed) > 0 {
			had[analyzer.TimeWait] = true
		}
		if i == 1 && st == analyzer.Established && role == Server {
			had[analyzer.SynReceived] = true // SYN cookie, quirk 7
		}
	}
	if !s.HasKernelSocket {
		// Forged segments and SYN cookies show just this much, refusals CLOSED.
		had[analyzer.SynSent], had[analyzer.SynReceived], had[analyzer.Closed] = true, true, true
	}
	return had
}

// String says who was claimed to be where, and since which frame.
func (v Violation) String() string {
	t := v.Transition
	return fmt.Sprintf("conn %d %s: %s -> %s%s @%d (%s), proved @%d", v.Conn, v.Side,
		t.From, t.To, mark(&t), t.Frame, t.Trigger, t.ConfirmedFrame)
}
