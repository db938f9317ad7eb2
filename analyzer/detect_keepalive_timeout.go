package analyzer

import "fmt"

var keepaliveTimeout = &Detector{
	Name:  "keepalive-timeout",
	Doc:   "keep-alive probes were not answered",
	Cause: "the peer's host is gone, or a NAT or firewall has forgotten the idle connection",
	Causes: []string{
		"a laptop, phone or VPN that went away without a word",
		"a load balancer whose idle timeout is shorter than tcp_keepalive_time",
		"a firewall that drops keep-alives: no payload, and an old number",
	},
	LooksLike: []string{
		"probes into a closed window: zero-window-stall",
		"keep-alives that are answered: they do what they are for",
		"answers that were not captured: the prober goes on",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:250  ack 300
b > a  .   300  ack 250  @+10ms
a > b  .   249  ack 300  @+60s
a > b  .   249  ack 300  @+10s
a > b  .   249  ack 300  @+10s
a > b  R.  250  ack 300  @+10s
`,
	Next:      "is the peer up? compare the idle time before the first probe with the timeouts on the way; shorten tcp_keepalive_time below them",
	Reference: "RFC 9293 3.8.4",
	Severity:  Warning,
	End:       endKeepaliveTimeout,
}

// endKeepaliveTimeout wants three probes or more into silence. A probe into a
// closed window is no keep-alive.
func endKeepaliveTimeout(d *Detector, f *Flow) {
	for s := range Side(2) {
		r, p := f.unanswered(s, FactKeepAlive), &f.Sides[s.Peer()]
		if r == nil {
			continue
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: s.Peer(), At: r.first, Last: r.last, Frame: r.firstFrame,
			Frames: []uint64{r.lastFrame}}
		n.Evidence = fmt.Sprintf("%s sends %d keep-alives, %s apart (frames %s to %s), after %s of silence; nothing from the %s since frame %s: it owes the next packet",
			f.who(s), r.n, since(r.gap), FrameText(r.firstFrame), FrameText(r.lastFrame), since(r.first-p.LastSent), f.who(s.Peer()), FrameText(p.LastFrame))
		f.raiseSilence(n, s)
	}
}
