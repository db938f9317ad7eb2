package analyzer

import "fmt"

var keepaliveTimeout = &Detector{
	Name:      "keepalive-timeout",
	Doc:       "keep-alive probes were not answered",
	Cause:     "the peer's host is gone, or a NAT or firewall has forgotten the idle connection",
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
		n.Evidence = fmt.Sprintf("%s sends %d keep-alives, %s apart (frames %d to %d), after %s of silence; nothing from the %s since frame %d: it owes the next packet",
			f.who(s), r.n, since(r.gap), r.firstFrame, r.lastFrame, since(r.first-p.LastSent), f.who(s.Peer()), p.LastFrame)
		f.raiseSilence(n, s)
	}
}
