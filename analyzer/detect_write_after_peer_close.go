package analyzer

import "fmt"

var writeAfterPeerClose = &Detector{
	Name:  "write-after-peer-close",
	Doc:   "data sent to a side that had closed was answered with RST: it was never read",
	Cause: "the writer used a connection that its peer was closing, as in the keep-alive race that proxies report as 502, or does not look whether the peer has closed",
	Causes: []string{
		"a pool that hands out connections without a look at them",
		"a server that closes after so many requests, or at a reload",
		"a sender that does not read, and so does not see the end of the stream",
	},
	LooksLike: []string{
		"a half-close: data after the peer's FIN is acknowledged",
		"data that was under way when the FIN came: nobody could know (info)",
		"a RST after the FIN without data in between: a hasty close",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
b > a  F.  300      ack 100
a > b  .   100      ack 301  @+10ms
a > b  P.  100:250  ack 301  @+2s
b > a  R   301      win 0  @+10ms
`,
	Next:      "compare idle timeouts: the client's keep-alive must be shorter than the server's; retry idempotent requests; log EPIPE and ECONNRESET",
	Reference: "RFC 9293 3.6.1, RFC 2525 2.17",
	Severity:  Warning,
	Wants:     FactRST | FactRSTIgnored | FactRSTInWindow | FactToClosed,
	Segment:   onWriteAfterPeerClose,
}

// onWriteAfterPeerClose looks at a RST of a side that has sent FIN, after data
// to it. Data without a RST is a half-close. A RST whose SEQ is below the FIN's
// end answers data that had not yet acknowledged the FIN: the two crossed.
func onWriteAfterPeerClose(d *Detector, st *Step) {
	f, x, s := st.Flow, st.Segment, st.From
	e, w := &f.Sides[s], s.Peer()
	if x.Flags&RST == 0 || !e.hasFIN || !e.finSeen {
		return
	}
	data := f.Remark(FactDataAfterFIN, w)
	fin := f.entered(s, FinWait1)
	if fin == nil {
		fin = f.entered(s, LastAck)
	}
	if data == nil || fin == nil || f.finding(d, w) != nil {
		return
	}
	n := Finding{Detector: d, Severity: d.Severity, Side: w, At: data.First, Last: x.Time, Frame: data.Frame,
		Frames: []uint64{fin.Frame, x.Frame}}
	what := "sends data after it"
	switch p := &f.Sides[w]; {
	case x.Flags&ACK == 0 && x.Seq.LessEq(e.fin), data.First-fin.Time < p.rtt:
		n.Severity = Info
		what = "had sent data before it saw that"
	}
	n.Evidence = fmt.Sprintf("%s's FIN is frame %s; the %s %s (frame %s), reset in frame %s: those octets were never read",
		f.who(s), FrameText(fin.Frame), f.who(w), what, FrameText(data.Frame), FrameText(x.Frame))
	f.Raise(n)
}
