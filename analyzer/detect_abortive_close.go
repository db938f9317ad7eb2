package analyzer

import (
	"slices"
)

var abortiveClose = &Detector{
	Name:  "abortive-close",
	Doc:   "a side ended an open connection with RST instead of FIN",
	Cause: "SO_LINGER 0, a process that died or closed with data unread, or a load balancer that cuts an idle connection",
	Causes: []string{
		"a health check or client that resets on purpose, to leave no TIME_WAIT",
		"a user or a time limit that cancels a request",
		"a proxy that passes on a reset of its other side",
	},
	LooksLike: []string{
		"an injected RST: its side goes on",
		"a RST that answers data to a side that has closed",
		"a RST before the connection was open: it aborts an attempt",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:200  ack 300
b > a  .   300      ack 200  @+10ms
a > b  P.  200:350  ack 300
a > b  R.  350      ack 300
`,
	Next:      "the closing process's log and exit status; idle timeouts on the way; compare the RST's TTL with that of its other packets",
	Reference: "RFC 9293 3.10.5 (ABORT), 3.9.1",
	Severity:  Warning,
	Wants:     FactRST,
	Segment:   onAbortiveClose,
	End:       endAbortiveClose,
}

// onAbortiveClose wants a RST+ACK at exactly the sender's next number and no
// FIN before it. A RST without ACK answers something, on behalf of no socket.
func onAbortiveClose(d *Detector, st *Step) {
	f, x, s := st.Flow, st.Segment, st.From
	if !f.aborts(st) {
		return
	}
	after := ""
	if p := &f.Sides[s.Peer()]; p.LastSent != 0 { // else its direction was not captured
		after = ", " + since(x.Time-p.LastSent) + " after its peer's last segment"
	}
	f.Raise(Finding{Detector: d, Severity: Info, Side: s, At: x.Time, Frame: x.Frame,
		Evidence: f.who(s) + " sends RST in frame " + FrameText(x.Frame) + " without a FIN" + after})
}

// endAbortiveClose takes the finding back when the RST turned out not to be
// the side's own, or when another finding says why it came. Where all data was
// acknowledged, be it in a segment that crossed the RST, nothing is lost, and
// it only explains.
func endAbortiveClose(d *Detector, f *Flow) {
	endOwnReset(d, f)
	for s := range Side(2) {
		n := f.finding(d, s)
		if n == nil {
			continue
		}
		for _, why := range [...]*Detector{rstInjected, keepaliveTimeout, peerVanished, zeroWindowAbort, resetUnreadData, resetDataLoss} {
			if f.rests(why, n.Frame) {
				f.retract(d, s)
				n = nil
				break
			}
		}
		if n != nil {
			f.weighAbort(n, s)
		}
	}
}

// weighAbort says what the side's RST threw away of its own data.
func (f *Flow) weighAbort(n *Finding, s Side) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	own := p.ack.Distance(e.nxt)
	switch {
	case !p.hasACK: // its direction was not captured
	case own > 0:
		n.Severity = n.Detector.Severity
		n.Evidence += "; " + plural(int(own), "octet") + " of its own never acknowledged"
	default:
		n.Evidence += "; all data was acknowledged"
	}
}

// rests reports whether a finding of that kind rests on a frame.
func (f *Flow) rests(d *Detector, frame uint64) bool {
	for i := range f.Findings {
		if n := &f.Findings[i]; n.Detector == d && (n.Frame == frame || slices.Contains(n.Frames, frame)) {
			return true
		}
	}
	return false
}

// aborted reports whether a RST of the side's own is believed.
func (f *Flow) aborted(s Side) bool {
	t := f.entered(s, Closed)
	return f.Sides[s].State == Closed && t != nil && t.Trigger == SndRST
}
