package analyzer

import "fmt"

var closingStuck = &Detector{
	Name:  "closing-stuck",
	Doc:   "both sides closed at once, and the acknowledgment of one FIN never came",
	Cause: "the acknowledgment of the FIN was lost or the peer died between the two FINs",
	Causes: []string{
		"the path broke at that moment, as in a failover",
		"a firewall forgot the connection at the first FIN, and dropped the last ACK",
	},
	LooksLike: []string{
		"a simultaneous close in order: both FINs are acknowledged",
		"an ACK that was not captured: the FIN is not sent again",
	},
	Example: `
stuck-after 3s
given a ESTABLISHED b ESTABLISHED
a > b  F.  100  ack 300
b > a  F.  300  ack 100
a > b  .   101  ack 301
a > b  F.  100  ack 301  @+200ms
a > b  F.  100  ack 301  @+400ms
a > b  F.  100  ack 301  @+800ms
a > b  F.  100  ack 301  @+1600ms
`,
	Next:      "on that host: ss -tano state closing; capture at the other end: does the FIN arrive?",
	Reference: "RFC 9293 3.6 (case 3), Figure 13",
	Severity:  Warning,
	Stuck:     true,
	End:       endClosingStuck,
}

// endClosingStuck looks at a side whose FIN crossed its peer's. A FIN that is
// not sent again has its acknowledgment, captured or not.
func endClosingStuck(d *Detector, f *Flow) {
	for s := range Side(2) {
		e, p := &f.Sides[s], &f.Sides[s.Peer()]
		if e.State != Closing || e.Basis == Assumed || !e.finSeen || !p.finSeen || f.replaced() {
			continue
		}
		in, own, other := f.entered(s, Closing), f.entered(s, FinWait1), f.entered(s.Peer(), FinWait1)
		if in == nil || own == nil || other == nil {
			continue
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: s, At: in.Time, Last: f.Now, Frame: own.Frame,
			Frames: []uint64{other.Frame}, For: f.Now - in.Time}
		n.Evidence = fmt.Sprintf("%s's FIN (frame %s) crossed the %s's (frame %s) and was sent %s; %s in %s",
			f.who(s), FrameText(own.Frame), f.who(s.Peer()), FrameText(other.Frame), times(int(e.Counters.FIN)), f.unacknowledged(s), since(n.For))
		f.pend(n, Closing, f.finDoubt(s, in.Time))
	}
}
