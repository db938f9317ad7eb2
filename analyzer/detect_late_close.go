package analyzer

import (
	"fmt"
	"time"
)

var lateClose = &Detector{
	Name:  "late-close-after-middlebox-timeout",
	Doc:   "a side closed long after its peer had, and its FIN is not answered any more",
	Cause: "a NAT or firewall forgot the half-closed connection (conntrack keeps CLOSE_WAIT for 60 s), or the peer's host is gone; where the FIN is lost the other end leaks",
	Causes: []string{
		"a load balancer or sidecar proxy with an idle timeout of its own",
		"the peer's host has rebooted behind a firewall that drops what it does not know",
	},
	LooksLike: []string{
		"a slow application without a middlebox: its late FIN is acknowledged",
		"a FIN into silence soon after the peer's: fin-unacknowledged",
		"a half-close in which data went on: it kept every middlebox awake",
		"a peer that has given up FIN_WAIT_2: it answers with RST",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  F.  100  ack 300
b > a  .   300  ack 101  @+10ms
b > a  F.  300  ack 101  @+3m
b > a  F.  300  ack 101  @+1s
b > a  F.  300  ack 101  @+2s
b > a  F.  300  ack 101  @+4s
b > a  F.  300  ack 101  @+8s
b > a  F.  300  ack 101  @+16s
`,
	Next:      "on what lies between: sysctl net.netfilter.nf_conntrack_tcp_timeout_close_wait; close at once when the peer has",
	Reference: "nf_conntrack-sysctl, RFC 5382 5 (REQ-5)",
	Severity:  Warning,
	End:       endLateClose,
}

// closeWaitForgotten is how long Linux's nf_conntrack keeps a connection after
// the ACK of its first FIN.
const closeWaitForgotten = int64(60 * time.Second)

// endLateClose wants a FIN into silence, after a silence of both longer than a
// middlebox remembers. A slow application without one between has its FIN
// acknowledged; a peer that has given up FIN_WAIT_2 answers with RST.
func endLateClose(d *Detector, f *Flow) {
	for s := range Side(2) {
		e, p := &f.Sides[s], &f.Sides[s.Peer()]
		in, first, again := f.entered(s, LastAck), f.entered(s.Peer(), FinWait1), f.Remark(FactRetransmission, s)
		if e.State != LastAck || e.Basis == Assumed || !e.finSeen || !p.finSeen || in == nil || first == nil || f.replaced() {
			continue
		}
		if again == nil || again.Last <= in.Time || p.LastSent > in.Time || p.hasACK && e.fin.Less(p.ack) {
			continue
		}
		idle := in.Time - p.LastSent
		if e.LastData < in.Time {
			idle = min(idle, in.Time-e.LastData)
		}
		if idle <= closeWaitForgotten {
			continue
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: s, At: in.Time, Last: e.LastSent, Frame: in.Frame,
			Frames: []uint64{first.Frame, e.LastFrame}, For: f.Now - in.Time}
		n.Evidence = fmt.Sprintf("%s's FIN is frame %s; the %s's (frame %s) comes after %s of silence, is sent %s, and nothing answers in %s: the %s owes the next packet",
			f.who(s.Peer()), FrameText(first.Frame), f.who(s), FrameText(in.Frame), since(idle), times(max(1, int(e.Counters.FIN))), since(n.For), f.who(s.Peer()))
		f.pend(n, LastAck, f.finDoubt(s, in.Time))
	}
}
