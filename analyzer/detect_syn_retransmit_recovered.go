package analyzer

import "fmt"

var synRetransmitRecovered = &Detector{
	Name:  "syn-retransmit-recovered",
	Doc:   "the first SYN got no answer, a later one did: the connection opened late",
	Cause: "the first packet was lost: a SYN dropped by a full backlog, a conntrack or SNAT race, an ARP or neighbour miss",
	Causes: []string{
		"a link that is congested or lossy",
		"a limit on new connections, in a firewall or load balancer",
		"a server that was only just starting",
	},
	LooksLike: []string{
		"a capture that has each SYN twice",
		"a lost SYN+ACK: the server sends it again as well",
		"a path slower than the client's first timeout: every SYN is answered",
		"a first answer on behalf of an older connection of the pair",
	},
	Example: `
a > b  S   100  mss 1460
a > b  S   100  mss 1460  @+1s
a > b  S   100  mss 1460  @+2s
b > a  S.  300  ack 101  mss 1460  @+10ms
a > b  .   101  ack 301
`,
	Next:      "nstat -az TcpExtListenDrops TcpExtTCPSynRetrans; conntrack -S (insert_failed); group the late connections by source and path",
	Reference: "RFC 6298 2.1",
	Severity:  Warning,
	End:       endSYNRetransmitRecovered,
}

// endSYNRetransmitRecovered wants SYNs repeated before the first SYN+ACK. One
// that is repeated after it lost only the answer; and where every SYN was
// answered the path is slow and loses nothing. One lost packet is weather,
// two of one connection are not.
func endSYNRetransmitRecovered(d *Detector, f *Flow) {
	s := f.Client
	sent, answer := f.entered(s, SynSent), f.entered(s.Peer(), SynReceived)
	again := f.Remark(FactRetransmission, s)
	if f.synRetransmits == 0 || sent == nil || answer == nil || again == nil || !f.reached(s.Peer(), Established) {
		return
	}
	if answer.Basis != Observed || again.First >= answer.Time || f.synackRetransmits >= f.synRetransmits {
		return
	}
	v := s.Peer()
	if f.challenged || f.Remark(FactReuse, s) != nil || f.Remark(FactChallengeACK, v) != nil ||
		f.Remark(FactBadSYNACK, v) != nil {
		return // answered: on behalf of an older connection of the pair, or wrongly
	}
	n := Finding{Detector: d, Severity: Info, Side: s, At: sent.Time, Last: answer.Time, Frame: sent.Frame,
		Frames: []uint64{again.Frame, answer.Frame}, For: answer.Time - sent.Time}
	if f.synRetransmits > 1 {
		n.Severity = d.Severity
	}
	n.Evidence = fmt.Sprintf("client's SYN (frame %s) unanswered, sent again from frame %s on (%s in all) and answered in frame %s: the connection opened %s late",
		FrameText(sent.Frame), FrameText(again.Frame), times(f.synRetransmits+1), FrameText(answer.Frame), since(f.synAt-sent.Time))
	f.Raise(n)
}
