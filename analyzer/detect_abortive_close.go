package analyzer

import "fmt"

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
	if !x.Flags.Has(RST|ACK) || x.Seq != e.nxt || e.hasFIN || e.Counters.Resets > 1 || !f.reached(s, Established) {
		return
	}
	n := Finding{Detector: d, Severity: Info, Side: s, At: x.Time, Frame: x.Frame}
	lost := "all data was acknowledged"
	own, other := e.nxt.Distance(p.ack), p.nxt.Distance(x.Ack)
	switch {
	case p.hasACK && own < 0:
		n.Severity = d.Severity
		lost = fmt.Sprintf("%d octets of its own were not yet acknowledged", -own)
	case p.started && other < 0:
		n.Severity = d.Severity
		lost = fmt.Sprintf("%d octets of the %s were not yet acknowledged", -other, f.who(s.Peer()))
	}
	n.Evidence = fmt.Sprintf("%s sends RST in frame %d without a FIN, %s after its peer's last segment; %s",
		f.who(s), x.Frame, since(x.Time-p.LastSent), lost)
	f.Raise(n)
}

// endAbortiveClose takes the finding back when the RST turned out not to be
// the side's own.
func endAbortiveClose(d *Detector, f *Flow) {
	for s := range Side(2) {
		if n := f.finding(d, s); n != nil && !f.aborted(s) {
			f.retract(d, s)
		}
	}
}

// aborted reports whether a RST of the side's own is believed.
func (f *Flow) aborted(s Side) bool {
	t := f.entered(s, Closed)
	return f.Sides[s].State == Closed && t != nil && t.Trigger == SndRST
}
