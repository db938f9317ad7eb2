package analyzer

var stuckCloseWait = &Detector{
	Name:  "stuck-close-wait",
	Doc:   "the peer has closed, and this side's application has not",
	Cause: "the application never closes the socket: a leaked descriptor, a blocked thread, a connection forgotten in a pool",
	Causes: []string{
		"a pool that notices the peer's close only when it uses the connection again",
		"an event loop that has stopped reading, and so never sees the end of the stream",
		"a child process that inherited the socket: close() in its parent ends nothing",
		"a process that hangs, or is stopped",
	},
	LooksLike: []string{
		"a half-close: the side still sends, and is at work",
		"a FIN of the side that the capture lacks: the peer acknowledges one number more",
		"a FIN that waits behind data, because the peer has closed its window",
		"a peer's FIN without an ACK: nothing shows that it arrived",
		"a FIN of a capture that starts late: it may be the second one",
		"a capture that ends too early (pending)",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:250  ack 300
b > a  P.  300:900  ack 250  @+10ms
a > b  F.  250      ack 900
b > a  .   900      ack 251  @+10ms
wait 90s
`,
	Next:      "on that host: ss -tanp state close-wait '( sport = :PORT or dport = :PORT )'; then lsof -p PID and the process's threads",
	Reference: "RFC 9293 3.6 (case 2)",
	Severity:  Error,
	Stuck:     true,
	End:       endStuckCloseWait,
}

// endStuckCloseWait wants proof that the side received the peer's FIN. A
// half-close is legal: the time counts from the last data that the side sent.
func endStuckCloseWait(d *Detector, f *Flow) {
	for s := range Side(2) {
		e, p := &f.Sides[s], &f.Sides[s.Peer()]
		if e.State != CloseWait || e.Basis != Observed || !p.finSeen || f.replaced() {
			continue
		}
		in, fin := f.entered(s, CloseWait), f.entered(s.Peer(), FinWait1)
		if in == nil || fin == nil {
			continue
		}
		from := max(in.Time, e.LastData)
		if e.LastData > in.Time && f.Now-from < int64(f.limits[CloseWait]) {
			continue // it is still sending
		}
		acked := in.ConfirmedFrame
		if acked == 0 {
			acked = in.Frame
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: s, At: in.Time, Last: f.Now, Frame: acked,
			Frames: []uint64{fin.Frame}, For: f.Now - from}
		n.Evidence = f.who(s.Peer()) + "'s FIN (frame " + FrameText(fin.Frame) + ") acknowledged in frame " + FrameText(acked) +
			"; no FIN from the " + f.who(s) + " in the " + since(n.For) + " that follow" + lastData(e, in) +
			": the " + f.who(s) + " owes the next packet"
		f.pend(n, CloseWait, f.closeWaitDoubt(s, from))
	}
}

// lastData says that the time counts from data.
func lastData(e *Endpoint, in *Transition) string {
	if e.LastData > in.Time {
		return " its last data"
	}
	return ""
}

// closeWaitDoubt says what else than its application may keep a side in
// CLOSE_WAIT, where it has sent nothing since a time.
func (f *Flow) closeWaitDoubt(s Side, from int64) string {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	switch {
	case e.mayHaveFIN:
		return "its FIN may be among what the capture lost"
	case p.hasACK && p.ack.Less(e.nxt):
		return "its data is not acknowledged, and a FIN may wait behind it"
	case p.hasACK && p.window == 0:
		return "its peer's window is closed, and a FIN may wait behind it"
	}
	return f.captureDoubt(from, f.Now)
}
