package analyzer

import "fmt"

var ackStorm = &Detector{
	Name:  "ack-storm",
	Doc:   "both ends answer each other's ACKs with ACKs, and nothing moves",
	Cause: "the ends disagree about the sequence numbers, and each corrects the other: a NAT, firewall or proxy on the path rewrites numbers and lost track",
	Causes: []string{
		"somebody put data into the connection (hijacking)",
		"an end that was restored from a snapshot or a checkpoint with old numbers",
	},
	LooksLike: []string{
		"keep-alive probes and their answers: one pair, then a pause",
		"window updates: something changes",
		"duplicate ACKs for lost data: one way, and data the other",
		"probes of a closed window",
	},
	Next:      "nstat -az TcpExtTCPACKSkippedSeq TcpExtTCPACKSkippedPAWS TcpExtTCPChallengeACK; capture on both sides of each middlebox and compare SEQ and ACK; sysctl net.ipv4.tcp_invalid_ratelimit; end the connection: ss -K dst SERVER dport = PORT",
	Reference: "RFC 9293 3.10.7.4 (first step), tcp_invalid_ratelimit",
	Severity:  Warning,
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:110  ack 300
b > a  .   300  ack 110
a > b  .   100  ack 300
b > a  .   300  ack 110
a > b  .   100  ack 300
b > a  .   300  ack 110
a > b  .   100  ack 300
b > a  .   300  ack 110
a > b  .   100  ack 300
b > a  .   300  ack 110
a > b  .   100  ack 300
b > a  .   300  ack 110
a > b  .   100  ack 300
`,
	Wants:   FactACKStorm,
	Segment: onACKStorm,
}

// onACKStorm reports a storm that the tracker has recognised, once: there may
// be millions of these. It wants one that stands elsewhere than its peer
// acknowledges, or acknowledges another number than its peer stands at.
func onACKStorm(d *Detector, st *Step) {
	f, x, s := st.Flow, st.Segment, st.From
	if n := f.finding(d, NoSide); n != nil {
		n.Count++
		n.Last, n.For = x.Time, x.Time-n.At
		n.Frames[0] = x.Frame
		return
	}
	p := &f.Sides[s.Peer()]
	does, off := "stands %s away from what the %s acknowledges", distance(x.Seq, p.ack)
	if off == 0 {
		does, off = "acknowledges a number %s away from where the %s stands", distance(x.Ack, p.nxt)
	}
	if off == 0 {
		return
	}
	f.Raise(Finding{Detector: d, Severity: d.Severity, Side: NoSide, At: x.Time, Frame: x.Frame, Frames: []uint64{x.Frame},
		Evidence: fmt.Sprintf("%d ACKs without data and more answer each other; the %s (frame %s) ", stormAfter, f.who(s), FrameText(x.Frame)) +
			fmt.Sprintf(does, plural(int(off), "octet"), f.who(s.Peer()))})
}
