package analyzer

import "iter"

// Debt is what a side that is stuck waits for, and from whom: from its peer, or
// from the application on its own host.
type Debt struct {
	By    Side   // who is to send it
	What  string // "FIN", "ACK of FIN", "SYN+ACK", "ACK" (of the handshake), "window update"
	Since int64  // when the wait began, ns since 1970-01-01 UTC
}

// debts are what the peer of a side in such a state owes. CLOSE_WAIT alone is left
// by a segment of the side's own (RFC 9293 3.6, case 2).
var debts = [NumStates]string{
	SynSent:     "SYN+ACK",
	SynReceived: "ACK",
	FinWait1:    "ACK of FIN",
	FinWait2:    "FIN",
	Closing:     "ACK of FIN",
	LastAck:     "ACK of FIN",
}

// Debt returns what a side waits for; ok is false unless Config.OnFinding was told
// that it is stuck, and it still is. It is for flows that are held: see
// Tracker.Each.
func (f *Flow) Debt(s Side) (d Debt, ok bool) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	d = Debt{By: s.Peer(), What: debts[e.State], Since: max(e.Since, f.Start)}
	told := f.Told(s)
	switch e.State {
	case CloseWait:
		d.By, d.What, d.Since = s, "FIN", max(d.Since, e.LastData)
	case FinWait2:
		d.Since = max(d.Since, p.LastData) // what still comes is a half-close
	case Established:
		c := e.stall()
		if c == nil || c.probes == 0 {
			return Debt{}, false
		}
		d, told = Debt{s, "window update", c.at}, f.told != nil
	}
	if d.What == "" || !told || f.replaced() || f.Now-d.Since < int64(f.limits[e.State]) {
		return Debt{}, false
	}
	return d, true
}

// AllTold goes through the findings that Config.OnFinding was given of a flow: what
// kind, and how severe each was.
func (f *Flow) AllTold() iter.Seq2[*Detector, Severity] {
	return func(yield func(*Detector, Severity) bool) {
		for _, t := range f.told {
			if !yield(t.detector, t.severity) {
				return
			}
		}
	}
}
