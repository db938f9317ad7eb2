package analyzer

var synACKUnanswered = &Detector{
	Name:  "syn-ack-unanswered",
	Doc:   "a SYN+ACK was sent again and again and the client answered neither with ACK nor with RST",
	Cause: "the return path to the client is broken, the SYN's source address was forged, or the client is gone",
	Causes: []string{
		"a firewall before the client drops the SYN+ACK, because the SYN took another way",
		"a SYN flood or scan with forged sources: then there are many at once",
		"a client that gave up at once, behind a firewall that drops what comes later",
	},
	LooksLike: []string{
		"a client whose direction was not captured",
		"a full accept queue: the client's ACK is there, and the server does not take it",
		"TCP_DEFER_ACCEPT: the bare ACK is ignored, and the data accepted",
		"a client that answers with RST",
	},
	Example: `
a > b  S   100  mss 1460
b > a  S.  300  ack 101  mss 1460
b > a  S.  300  ack 101  mss 1460  @+1s
b > a  S.  300  ack 101  mss 1460  @+2s
b > a  S.  300  ack 101  mss 1460  @+4s
b > a  S.  300  ack 101  mss 1460  @+8s
b > a  S.  300  ack 101  mss 1460  @+16s
wait 2m
`,
	Next:      "capture at the client: does the SYN+ACK arrive? On the server: ss -tn state syn-recv '( sport = :PORT )'; nstat -az TcpExtListenOverflows TcpExtSyncookiesSent",
	Reference: "RFC 9293 3.10.7.4, tcp_synack_retries",
	Severity:  Warning,
	Stuck:     true,
	End:       endSYNACKUnanswered,
}

// endSYNACKUnanswered wants a client that the capture can see and that says
// nothing but SYN. An ACK that the server does not take is a full accept
// queue, or a deferred accept.
func endSYNACKUnanswered(d *Detector, f *Flow) {
	s := f.Server()
	c, e := &f.Sides[f.Client], &f.Sides[s]
	sent := f.entered(s, SynReceived)
	if sent == nil || sent.Basis != Observed || c.LastSent == 0 || c.Counters.Resets+e.Counters.Resets != 0 || f.replaced() {
		return
	}
	if e.State != SynReceived && !f.timedOut(s, SynReceived) || f.establishedAt != 0 {
		return
	}
	if f.synackRetransmits == 0 && !f.unlimited(SynReceived) {
		return
	}
	n := Finding{Detector: d, Severity: d.Severity, Side: s, At: sent.Time, Last: e.LastSent, Frame: sent.Frame,
		Frames: []uint64{e.LastFrame}, For: f.Now - sent.Time}
	n.Evidence = "server's SYN+ACK (frame " + FrameText(sent.Frame) + ") sent " + times(f.synackRetransmits+1) + ", last in frame " +
		FrameText(e.LastFrame) + ", and neither ACK nor RST in " + since(n.For) + ": the client owes the next packet"
	f.pend(n, SynReceived, "")
}
