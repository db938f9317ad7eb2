package analyzer

import (
	"fmt"
	"time"
)

var finUnacknowledged = &Detector{
	Name:  "fin-unacknowledged",
	Doc:   "a FIN is sent again and again and no acknowledgment reaches its sender",
	Cause: "the peer died, or the path to it or back from it failed, during the close; firewalls that forget a connection at its first FIN look the same",
	Causes: []string{
		"a client that went off the air: a phone, a laptop that was shut",
		"a host or container that lost its network before its sockets were closed",
		"a firewall that has seen a RST, and drops what follows",
	},
	LooksLike: []string{
		"a FIN behind lost data: the peer acknowledges less than that",
		"an ACK that was not captured: a sender that stops repeating has it",
		"a peer whose direction was not captured",
		"a capture that ends before the ACK is due",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
b > a  P.  300:900  ack 100
a > b  F.  100  ack 900
a > b  F.  100  ack 900  @+200ms
a > b  F.  100  ack 900  @+400ms
a > b  F.  100  ack 900  @+800ms
a > b  F.  100  ack 900  @+1600ms
a > b  F.  100  ack 900  @+3200ms
a > b  F.  100  ack 900  @+6400ms
a > b  F.  100  ack 900  @+12800ms
wait 10s
`,
	Next:      "on the sender: ss -tano '( state fin-wait-1 or state last-ack )'; capture at the other end: does the FIN arrive?",
	Reference: "RFC 9293 3.6, 3.8.3, tcp_orphan_retries",
	Severity:  Warning,
	Stuck:     true,
	End:       endFinUnacknowledged,
}

// endFinUnacknowledged wants a FIN that was repeated. A peer that goes on to
// acknowledge less than all data before it lacks that data, and not the ACK.
func endFinUnacknowledged(d *Detector, f *Flow) {
	for s := range Side(2) {
		e, p := &f.Sides[s], &f.Sides[s.Peer()]
		if e.State != FinWait1 && e.State != LastAck || e.Basis == Assumed || !e.finSeen || p.LastSent == 0 || f.replaced() {
			continue
		}
		in := f.entered(s, e.State)
		if in == nil || in.Trigger != SndFIN || f.finding(lateClose, s) != nil {
			continue
		}
		again := f.Remark(FactRetransmission, s)
		if (again == nil || again.Last <= in.Time) && !f.unlimited(e.State) {
			continue
		}
		if p.hasACK && p.ack.Less(e.fin) && p.LastSent-in.Time > p.threshold() {
			continue // FIN behind lost data
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: s, At: in.Time, Last: e.LastSent, Frame: in.Frame,
			Frames: []uint64{e.LastFrame}, For: f.Now - in.Time}
		n.Evidence = fmt.Sprintf("%s's FIN (frame %s) sent %s, last in frame %s; %s in %s",
			f.who(s), FrameText(in.Frame), times(max(1, int(e.Counters.FIN))), FrameText(e.LastFrame), f.unacknowledged(s), since(n.For))
		f.pend(n, e.State, f.finDoubt(s, in.Time))
	}
}

// unacknowledged says what became of the acknowledgment that a FIN waits for.
func (f *Flow) unacknowledged(s Side) string {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if p.hasACK && e.fin.Less(p.ack) {
		return "the acknowledgments that went past do not reach it"
	}
	return fmt.Sprintf("no acknowledgment from the %s, which owes the next packet,", f.who(s.Peer()))
}

// finDoubt says whether the FIN, that waits since a time, may have been
// acknowledged unseen. A stack that gets no answer repeats it many times, each
// after twice the time (RFC 6298 5.5); one that stopped after a few has its answer.
func (f *Flow) finDoubt(s Side, from int64) string {
	e := &f.Sides[s]
	const few = 4
	if e.Counters.FIN < few && f.Now-e.LastSent > 4*e.resent.interval+int64(time.Second) {
		return "it stopped sending the FIN again, as if it had an acknowledgment that was not captured"
	}
	return f.captureDoubt(from, f.Now)
}
