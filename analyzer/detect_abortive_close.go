package analyzer

import (
	"fmt"
	"slices"
)

var abortiveClose = &Detector{
	Name:      "abortive-close",
	Doc:       "a side ended an open connection with RST instead of FIN",
	Cause:     "SO_LINGER 0, a process that died or closed with data unread, or a load balancer that cuts an idle connection",
	Next:      "the closing process's log and exit status; idle timeouts on the way; compare the RST's TTL with that of its other packets",
	Reference: "RFC 9293 3.10.5 (ABORT), 3.9.1",
	Severity:  Warning,
	Wants:     FactRST,
	Segment:   onAbortiveClose,
	End:       endAbortiveClose,
}

// onAbortiveClose wants a RST+ACK at exactly the sender's next number and no
// FIN before it. A RST without ACK answers something, on behalf of no socket.
// Where all data was acknowledged nothing is lost, and it only explains.
func onAbortiveClose(d *Detector, st *Step) {
	f, x, s := st.Flow, st.Segment, st.From
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if !f.aborts(st) {
		return
	}
	n := Finding{Detector: d, Severity: Info, Side: s, At: x.Time, Frame: x.Frame}
	lost := "all data was acknowledged"
	if own := p.ack.Distance(e.nxt); p.hasACK && own > 0 {
		n.Severity = d.Severity
		lost = fmt.Sprintf("%d octets of its own were not yet acknowledged", own)
	}
	after := ""
	if p.LastSent != 0 { // else its direction was not captured
		after = fmt.Sprintf(", %s after its peer's last segment", since(x.Time-p.LastSent))
	}
	n.Evidence = fmt.Sprintf("%s sends RST in frame %d without a FIN%s; %s", f.who(s), x.Frame, after, lost)
	f.Raise(n)
}

// endAbortiveClose takes the finding back when the RST turned out not to be
// the side's own, or when another finding says why it came.
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
				break
			}
		}
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
