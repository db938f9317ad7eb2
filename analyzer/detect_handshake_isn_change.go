package analyzer

import "fmt"

var handshakeISNChange = &Detector{
	Name:  "handshake-isn-change",
	Doc:   "one SYN was answered by SYN+ACKs with different sequence numbers",
	Cause: "two hosts answer for one address: a duplicate IP, or a load balancer that gives one SYN to two backends; or somebody forges answers",
	Causes: []string{
		"a failover: for a moment both nodes hold the address",
		"a switch that floods, so that both nodes of a cluster get the SYN",
	},
	LooksLike: []string{
		"a new attempt after a RST",
		"a SYN proxy: what the server behind it answers comes after the client's ACK",
		"a SYN that was sent again, and went to another host behind the address",
	},
	Example: `
a > b  S   100   mss 1460
b > a  S.  300   ack 101  mss 1460  @+10ms
b > a  S.  7000  ack 101  mss 1460  @+2ms
a > b  .   101   ack 301
`,
	Next:      "arping -D SERVER; compare source MAC and TTL of the two; the load balancer's backends for that SYN",
	Reference: "RFC 9293 3.4.1",
	Severity:  Warning,
	Wants:     FactBadSYNACK,
	Segment:   onHandshakeISNChange,
}

// onHandshakeISNChange wants the two before the client has answered either. A
// SYN sent again between them may rightly have gone to another host behind the
// address, or met a server that had forgotten the first; and what follows the
// client's ACK is a proxy's second leg.
func onHandshakeISNChange(d *Detector, st *Step) {
	f, x, v := st.Flow, st.Segment, st.From
	e, p := &f.Sides[v], &f.Sides[v.Peer()]
	if !e.hasISN || e.isn == x.Seq || !p.hasISN || !p.isn.Less(x.Ack) || p.nxt.Less(x.Ack) || f.establishedAt != 0 {
		return
	}
	sent, first := f.entered(v.Peer(), SynSent), f.entered(v, SynReceived)
	if sent == nil || sent.Basis != Observed || first == nil || first.Basis != Observed {
		return
	}
	if again := f.Remark(FactRetransmission, v.Peer()); again != nil && CompareFrames(again.LastFrame, again.Last, first.Frame, first.Time) > 0 {
		return
	}
	f.Raise(Finding{Detector: d, Severity: d.Severity, Side: v, At: x.Time, Frame: x.Frame, Frames: []uint64{sent.Frame, first.Frame},
		For: x.Time - first.Time,
		Evidence: fmt.Sprintf("the client's one SYN (frame %s) is answered by a SYN+ACK in frame %s and, %s later, by one with another sequence number in frame %s: two hosts answer",
			FrameText(sent.Frame), FrameText(first.Frame), since(x.Time-first.Time), FrameText(x.Frame))})
}
