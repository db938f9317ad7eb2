package analyzer

import "strconv"

var connectTimeout = &Detector{
	Name:  "connect-timeout",
	Doc:   "a SYN was sent again and again and never answered",
	Cause: "the server is down, a firewall or security group drops silently, or the route is wrong",
	Causes: []string{
		"the SYN+ACK is lost on its way back: a stateful firewall on an asymmetric route",
		"the address is stale: old DNS, a VIP or container that has moved",
		"the listener's accept queue is full, and Linux drops SYNs (TcpExtListenDrops)",
		"the server's host drops it: rp_filter, a full conntrack table",
	},
	LooksLike: []string{
		"a capture of one direction: a client that goes on to acknowledge was answered",
		"a capture that ends before the answer is due (pending)",
		"a refusal or an ICMP error: those are answers, and findings of their own",
	},
	Example: `
a > b  S   100  mss 1460
a > b  S   100  mss 1460  @+1s
a > b  S   100  mss 1460  @+2s
a > b  S   100  mss 1460  @+4s
a > b  S   100  mss 1460  @+8s
a > b  S   100  mss 1460  @+16s
a > b  S   100  mss 1460  @+32s
wait 65s
`,
	Next:      "from the client: ss -tno state syn-sent; traceroute -T -p PORT SERVER; then capture at the server: does the SYN arrive?",
	Reference: "RFC 9293 3.8.3 (R2), tcp_syn_retries",
	Severity:  Error,
	End:       endConnectTimeout,
}

// endConnectTimeout wants a SYN that was repeated into silence. A client whose
// answers alone went uncaptured goes on to acknowledge, and is not in
// SYN_SENT; a refusal or an ICMP error is an answer.
func endConnectTimeout(d *Detector, f *Flow) {
	s := f.Client
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	sent := f.entered(s, SynSent)
	if sent == nil || sent.Basis != Observed || p.LastSent != 0 || f.rejectsSYN(s) || f.replaced() {
		return
	}
	if e.State != SynSent && !f.timedOut(s, SynSent) || e.Counters.Resets != 0 {
		return
	}
	if f.synRetransmits == 0 && !f.unlimited(SynSent) {
		return // the capture ended before the first answer was due
	}
	n := Finding{Detector: d, Severity: d.Severity, Side: s, At: sent.Time, Last: e.LastSent, Frame: sent.Frame,
		Frames: []uint64{e.LastFrame}, For: f.Now - sent.Time}
	n.Evidence = "client's SYN (frame " + FrameText(sent.Frame) + ") sent " + times(f.synRetransmits+1) + ", last in frame " +
		FrameText(e.LastFrame) + ", and nothing back in " + since(n.For) + ": the server owes the next packet"
	f.pend(n, SynSent, "")
}

// timedOut reports whether a side is assumed to have given up in a state.
func (f *Flow) timedOut(s Side, from State) bool {
	t := f.entered(s, Closed)
	return t != nil && f.Sides[s].State == Closed && t.Trigger == Timeout && t.From == from
}

// times says how often.
func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return strconv.Itoa(n) + " times"
}
