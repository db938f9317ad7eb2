package analyzer

import "fmt"

var tfoBlackHole = &Detector{
	Name:  "tfo-black-hole",
	Doc:   "SYNs with Fast Open went unanswered, and the same SYN without it was answered",
	Cause: "a firewall or load balancer on the path drops a SYN that carries data or an option that it does not know",
	Causes: []string{
		"the first packet was lost by chance: then it does not happen again",
	},
	LooksLike: []string{
		"a server without Fast Open: it answers the first SYN, and takes no data of it",
		"a SYN lost that had no Fast Open",
		"a slow answer to the first SYN, that crosses the second",
	},
	Next:      "on the client: nstat -az TcpExtTCPFastOpenActiveFail TcpExtTCPFastOpenBlackhole; sysctl net.ipv4.tcp_fastopen net.ipv4.tcp_fastopen_blackhole_timeout_sec; then capture at SERVER: tcpdump 'port PORT and tcp[tcpflags] & tcp-syn != 0': does the first SYN arrive?",
	Reference: "RFC 7413 4.1.3, 7.1",
	Severity:  Warning,
	Example: `
a > b  S   100:600(500)  mss 1460  tfo  ts 10
a > b  S   100  mss 1460  ts 1010  @+1s
b > a  S.  300  ack 101  mss 1460  ts 90 ecr 1010
a > b  P.  101:601(500)  ack 301  ts 1011 ecr 90
b > a  .   301  ack 601  ts 91 ecr 1011
`,
	End: endTFOBlackHole,
}

// endTFOBlackHole wants a SYN+ACK that answers a plain SYN, after others with
// Fast Open that nobody answered. Where it echoes the first one's TSVal, or
// acknowledges its data, that had arrived. One of them may have been lost by
// chance.
func endTFOBlackHole(d *Detector, f *Flow) {
	c, v := f.Client, f.Server()
	plain := f.Remark(FactPlainSYN, c)
	sent, answer := f.entered(c, SynSent), f.entered(v, SynReceived)
	if plain == nil || sent == nil || answer == nil || answer.Basis != Observed || answer.Time < plain.First || f.fastOpen {
		return
	}
	mine, theirs := &f.Sides[c].Offered, &f.Sides[v].Offered
	if mine.Set&theirs.Set&OptTimestamps != 0 && theirs.TSEcr == mine.TSVal || f.challenged || f.Remark(FactBadSYNACK, v) != nil {
		return
	}
	n := Finding{Detector: d, Severity: d.Severity, Side: NoSide, At: sent.Time, Last: answer.Time, Frame: sent.Frame,
		Frames: []uint64{plain.Frame, answer.Frame}, For: answer.Time - sent.Time}
	with := f.synRetransmits + 1 - plain.Count
	if with == 1 {
		n.lower("it was one packet, which may have been lost by chance")
	}
	n.Evidence = fmt.Sprintf("client's SYN with Fast Open and %d octets (frame %s) sent %s and not answered; the same SYN without them (frame %s) answered in frame %s: the connection opened %s late",
		f.synData, FrameText(sent.Frame), times(with), FrameText(plain.Frame), FrameText(answer.Frame), since(f.synAt-sent.Time))
	f.Raise(n)
}
