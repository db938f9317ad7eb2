package analyzer

import "fmt"

var staleTupleChallenge = &Detector{
	Name:  "stale-tuple-challenge",
	Doc:   "the server answered a SYN on behalf of an old connection of the same address pair",
	Cause: "the server still holds a connection that the client has forgotten: it restarted, or reuses the port before the server is done with it; the attempt loses a retry",
	Causes: []string{
		"the client's host crashed or was cut off, and its old connection was never closed",
		"the old connection's FIN or RST was lost, or a firewall dropped it",
		"a NAT gives the port to another host, while the server is still in TIME_WAIT",
	},
	LooksLike: []string{
		"a keep-alive of a connection that the client still holds",
		"an ACK that is recorded before the SYN+ACK it follows",
		"an ACK that the client does not reset: it proves nothing",
	},
	Example: `
a > b  S   100       mss 1460
b > a  .   7000000   ack 90000100  @+10ms
a > b  R   90000100  win 0
a > b  S   100       mss 1460  @+1s
b > a  S.  8000000   ack 101   mss 1460  @+10ms
a > b  .   101       ack 8000001
`,
	Next:      "on the server: ss -tano '( sport = :PORT )' dst CLIENT; set keep-alive there; widen the client's ephemeral ports",
	Reference: "RFC 9293 3.5.1, 3.10.7.4, RFC 5961 4",
	Severity:  Warning,
	End:       endStaleTupleChallenge,
}

// endStaleTupleChallenge wants an ACK that covers nothing of the SYN and the
// client's RST for exactly that number: an ACK of the server's recorded before
// its SYN+ACK, or a keep-alive, draws none. Where the old connection was in
// TIME_WAIT and the capture knows, tuple-reuse-in-2msl says all that.
func endStaleTupleChallenge(d *Detector, f *Flow) {
	v := f.Server()
	sent, r, reset := f.entered(f.Client, SynSent), f.staleChallenge(v), f.Remark(FactRSTIgnored, f.Client)
	if r == nil || reset == nil || CompareFrames(reset.LastFrame, reset.Last, r.Frame, r.First) < 0 || f.finding(tupleReuse, f.Client) != nil {
		return
	}
	n := Finding{Detector: d, Severity: d.Severity, Side: v, At: r.First, Last: r.Last, Frame: r.Frame,
		Frames: []uint64{sent.Frame, reset.LastFrame}, Count: r.Count}
	then := "the client owes another SYN"
	if t := f.entered(v, SynReceived); t != nil && t.Time > r.First {
		n.Frames = append(n.Frames, t.Frame)
		then = fmt.Sprintf("the SYN is answered in frame %s, %s late", FrameText(t.Frame), since(t.Time-r.First))
	}
	n.Evidence = fmt.Sprintf("client's SYN (frame %s) answered in frame %s with an ACK of another connection's numbers, which the client resets in frame %s; %s",
		FrameText(sent.Frame), FrameText(r.Frame), FrameText(reset.LastFrame), then)
	f.Raise(n)
}

// staleChallenge returns the ACKs that side v sent on behalf of an older
// connection while its peer's SYN waited for an answer, or nil.
func (f *Flow) staleChallenge(v Side) *Remark {
	sent, r := f.entered(v.Peer(), SynSent), f.Remark(FactChallengeACK, v)
	if v != f.Server() || sent == nil || sent.Basis != Observed || r == nil || f.establishedAt != 0 && r.First >= f.establishedAt {
		return nil
	}
	return r
}
