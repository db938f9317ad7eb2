package analyzer

var connectionRefused = &Detector{
	Name:  "connection-refused",
	Doc:   "the SYN was answered with RST",
	Cause: "nothing listens on that port, or a firewall or proxy on the way rejects in the server's name",
	Causes: []string{
		"the service is down, restarting, or has not bound its port yet",
		"it listens on another address (127.0.0.1, one IP version) or port",
		"the client's address is stale: old DNS, a container that has moved",
	},
	LooksLike: []string{
		"RST after the SYN+ACK: something listened",
		"RST with another ACK: in SYN_SENT it is not valid, and is ignored",
		"a firewall that rejects: its RST has not the server's TTL",
		"a forged RST, after which the connection opens all the same",
	},
	Example: `
a > b  S   100  mss 1460
b > a  R.  0    ack 101  win 0  @+10ms
`,
	Next:      "on the server: ss -tlnp '( sport = :PORT )'; then the firewall's REJECT rules",
	Reference: "RFC 9293 3.5.2, 3.10.7.1",
	Severity:  Warning,
	End:       endConnectionRefused,
}

// endConnectionRefused reports a RST that acknowledges the SYN, and that the
// client obeyed. A RST after a SYN+ACK, or one with another ACK, is not that.
func endConnectionRefused(d *Detector, f *Flow) {
	r := f.Remark(FactRefused, f.Server())
	if r == nil || f.Sides[f.Client].State != Closed {
		return
	}
	n := Finding{Detector: d, Severity: d.Severity, Side: f.Server(), At: r.First, Last: r.Last,
		Frame: r.Frame, Count: r.Count}
	sent := f.entered(f.Client, SynSent)
	if sent == nil || sent.Basis != Observed {
		n.Evidence = "RST in frame " + FrameText(r.Frame) + " refuses a SYN that was not captured"
		n.lower("the SYN was not captured")
		f.Raise(n)
		return
	}
	n.Frames = []uint64{sent.Frame}
	n.Evidence = "client's SYN (frame " + FrameText(sent.Frame) + ") answered with RST in frame " + FrameText(r.Frame) + ", " +
		since(r.First-f.synAt) + " later: " + f.Addr(f.Server()).String() + " does not accept"
	f.Raise(n)
}
