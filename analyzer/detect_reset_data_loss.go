package analyzer

import "fmt"

var resetDataLoss = &Detector{
	Name:  "reset-data-loss",
	Doc:   "a side reset the connection while octets of its peer were not acknowledged",
	Cause: "an application that closes hard, or dies, in the middle of what its peer sends: those octets may never have reached it",
	Causes: []string{
		"a time limit in the application: it gives up on a slow upload",
		"SO_LINGER 0: close() throws away what is under way",
	},
	LooksLike: []string{
		"all acknowledged, be it by the RST itself: nothing is lost",
		"a FIN that is not acknowledged: it is no data",
		"a RST that its side outlives: it was injected",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:200   ack 300
b > a  .   300       ack 200  @+10ms
a > b  P.  200:1660  ack 300
b > a  R.  300       ack 200
`,
	Next:      "the resetting process's log and exit status; does the sender repeat what was not confirmed?",
	Reference: "RFC 9293 3.5.3, 3.10.5 (ABORT)",
	Severity:  Warning,
	Wants:     FactRST,
	Segment:   onResetDataLoss,
	End:       endOwnReset,
}

// onResetDataLoss counts what the RST and the ACKs before it leave open; a FIN
// is no data. With all acknowledged the RST is harmless in that direction.
func onResetDataLoss(d *Detector, st *Step) {
	f, x, s := st.Flow, st.Segment, st.From
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if !f.aborts(st) || p.LastSent == 0 || f.finding(resetUnreadData, s) != nil {
		return
	}
	end := p.nxt
	if p.hasFIN && p.finSeen {
		end = minSeq(end, p.fin)
	}
	lost := x.Ack.Max(e.ack).Distance(end)
	if lost <= 0 {
		return
	}
	f.Raise(Finding{Detector: d, Severity: d.Severity, Side: s, At: x.Time, Frame: x.Frame, Frames: []uint64{p.LastFrame},
		Evidence: fmt.Sprintf("%s sends RST in frame %s without a FIN and leaves %d octets of the %s (up to frame %s) unacknowledged: they may never have reached the application",
			f.who(s), FrameText(x.Frame), lost, f.who(s.Peer()), FrameText(p.LastFrame))})
}

// aborts reports whether a step is the first RST of a side that was open: with
// ACK, at exactly its next number, and no FIN before it. A RST without ACK
// answers something, on behalf of no socket.
func (f *Flow) aborts(st *Step) bool {
	x, e := st.Segment, &f.Sides[st.From]
	return x.Flags.Has(RST|ACK) && x.Seq == e.nxt && !e.hasFIN && e.Counters.Resets == 1 && f.reached(st.From, Established)
}

// endOwnReset takes a finding about a side's own RST back when it turned out
// not to be that.
func endOwnReset(d *Detector, f *Flow) {
	for s := range Side(2) {
		if n := f.finding(d, s); n != nil && !f.aborted(s) {
			f.retract(d, s)
		}
	}
}
