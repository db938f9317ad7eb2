package analyzer

import "fmt"

var challengeACK = &Detector{
	Name:  "challenge-ack",
	Doc:   "a RST or SYN that did not fit the connection was answered with a challenge ACK; the connection survived",
	Cause: "a blind reset attempt, a very late segment, or a client that restarted and reuses its port",
	Causes: []string{
		"a RST that data has overtaken",
		"a firewall or load balancer that resets with a number a little off",
	},
	LooksLike: []string{
		"duplicate ACKs for lost data: they challenge nobody",
		"the answer to a keep-alive",
		"a challenge after which the connection ends: it did its work",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:200  ack 300
b > a  .   300      ack 200  @+10ms
b > a  R   350      win 0
a > b  .   200      ack 300
b > a  P.  300:400  ack 200  @+50ms
a > b  .   200      ack 400
`,
	Next:      "nstat -az TcpExtTCPChallengeACK TcpExtTCPSYNChallenge; compare the TTL of the offending segment with that of its side",
	Reference: "RFC 5961 3, 4; RFC 9293 3.10.7.4",
	Severity:  Info,
	End:       endChallengeACK,
}

// endChallengeACK reports the ACKs that the tracker recognised by their time:
// at once after the RST or SYN, of nothing new. Where the connection did not
// go on, the challenge did its work and is no news.
func endChallengeACK(d *Detector, f *Flow) {
	for s := range Side(2) {
		r := f.Remark(FactChallengeACK, s)
		if r == nil || f.staleChallenge(s) != nil || f.Close.Result == CloseReset || f.Close.Result == CloseAborted {
			continue
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: s, At: r.First, Last: r.Last, Frame: r.Frame, Count: r.Count}
		what := "a segment that did not fit"
		if in := f.Remark(FactRSTInWindow, s.Peer()); in != nil {
			what = fmt.Sprintf("a RST in window but not at the next number (frame %s)", FrameText(in.Frame))
			n.Frames = []uint64{in.Frame}
		} else if in := f.Remark(FactSYNInWindow, s.Peer()); in != nil {
			what = fmt.Sprintf("a SYN inside the connection (frame %s)", FrameText(in.Frame))
			n.Frames = []uint64{in.Frame}
		}
		n.Evidence = fmt.Sprintf("%s answers %s with an ACK (frame %s) and goes on", f.who(s), what, FrameText(r.Frame))
		f.Raise(n)
	}
}
