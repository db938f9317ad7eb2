package analyzer

var stuckFinWait2 = &Detector{
	Name:  "stuck-fin-wait-2",
	Doc:   "this side has closed, the peer has acknowledged that and does not close",
	Cause: "the other end owes a FIN: see stuck-close-wait there; if this side's application has closed the socket, its kernel forgets it after tcp_fin_timeout, otherwise never",
	Causes: []string{
		"the peer's application does not take the end of the stream for the end of the conversation",
		"this side used shutdown() and waits for an answer that the peer does not think it owes",
		"the peer's host is gone since it acknowledged the FIN",
	},
	LooksLike: []string{
		"a half-close: data still comes",
		"a FIN of the peer that passed the tap and did not arrive: fin-unacknowledged there",
		"a new connection on the pair: the old one was over",
		"states that conntrack calls FIN_WAIT and CLOSE_WAIT: they are the firewall's, not a socket's",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
b > a  P.  300:900  ack 100
b > a  F.  900      ack 100
a > b  .   100      ack 901  @+10ms
wait 90s
`,
	Next:      "on the other end: ss -tanp state close-wait '( sport = :PORT or dport = :PORT )'; here: ss -tano state fin-wait-2",
	Reference: "RFC 9293 3.6 (case 1), tcp_fin_timeout",
	Severity:  Warning,
	Stuck:     true,
	End:       endStuckFinWait2,
}

// endStuckFinWait2 is the closer's view of what stuck-close-wait says of the
// peer, for whom it waits. Data that still comes is a legal half-close; a FIN
// that came and is not believed to have arrived is that peer's fin-unacknowledged.
func endStuckFinWait2(d *Detector, f *Flow) {
	for s := range Side(2) {
		e, p := &f.Sides[s], &f.Sides[s.Peer()]
		if e.State != FinWait2 || e.Basis == Assumed || p.LastSent == 0 || p.hasFIN || f.replaced() {
			continue
		}
		in, fin := f.entered(s, FinWait2), f.entered(s, FinWait1)
		if in == nil || fin == nil {
			continue
		}
		from := max(in.Time, p.LastData)
		if p.LastData > in.Time && f.Now-from < int64(f.limits[FinWait2]) {
			continue
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: s, At: in.Time, Last: f.Now, Frame: in.Frame,
			Frames: []uint64{fin.Frame}, For: f.Now - from}
		silence := "and the capture ends here"
		if n.For > 0 {
			silence = "which has sent nothing new for " + since(n.For)
		}
		n.Evidence = f.who(s) + "'s FIN (frame " + FrameText(fin.Frame) + ") acknowledged in frame " + FrameText(in.Frame) +
			"; it waits for a FIN of the " + f.who(s.Peer()) + ", " + silence
		f.pend(n, FinWait2, f.closeWaitDoubt(s.Peer(), from))
	}
}
