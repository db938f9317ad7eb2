package analyzer

import "fmt"

var synACKBadACK = &Detector{
	Name:  "syn-ack-bad-ack",
	Doc:   "a SYN+ACK acknowledged a SYN that the client never sent",
	Cause: "a broken middlebox that rewrites sequence numbers, a server that answers an older attempt, or somebody who guesses",
	Causes: []string{
		"a firewall that took over from another without the offsets of its sequence numbers",
		"a NAT that has given the pair to another host, whose SYN is answered",
		"another SYN of the client, which the capture lacks",
	},
	LooksLike: []string{
		"Fast Open: the ACK covers data of the SYN, whole or in part",
		"a late SYN+ACK of the connection before on the same pair",
	},
	Example: `
a > b  S   100   mss 1460
b > a  S.  300   ack 1101  mss 1460  @+10ms
a > b  R   1101  win 0
a > b  S   100   mss 1460  @+1s
b > a  S.  900   ack 101   mss 1460  @+10ms
a > b  .   101   ack 901
`,
	Next:      "capture at the server: has its SYN+ACK the same numbers there? compare the TTL with that of its other packets",
	Reference: "RFC 9293 3.10.7.3 (first step)",
	Severity:  Warning,
	Wants:     FactBadSYNACK,
	Segment:   onSYNACKBadACK,
	End:       endSYNACKBadACK,
}

// onSYNACKBadACK leaves out a SYN+ACK whose ACK fits, and whose own number has
// changed. The SYN must be captured; an ACK of its data (RFC 7413) fits. A
// late copy of an earlier connection's has gone to that one.
func onSYNACKBadACK(d *Detector, st *Step) {
	f, x, v := st.Flow, st.Segment, st.From
	p := &f.Sides[v.Peer()]
	sent := f.entered(v.Peer(), SynSent)
	if sent == nil || sent.Basis != Observed || p.State != SynSent || p.isn.Less(x.Ack) && x.Ack.LessEq(p.nxt) {
		return
	}
	f.Raise(Finding{Detector: d, Severity: d.Severity, Side: v, At: x.Time, Frame: x.Frame, Frames: []uint64{sent.Frame},
		Evidence: fmt.Sprintf("SYN+ACK in frame %s, %s after the client's SYN (frame %s), acknowledges %s it should: the server still owes the answer",
			FrameText(x.Frame), since(x.Time-sent.Time), FrameText(sent.Frame), off(p.isn.Add(1).Distance(x.Ack)))})
}

// off says by how much a number is wrong.
func off(n int32) string {
	if n < 0 {
		return fmt.Sprintf("%d less than", -int64(n))
	}
	return fmt.Sprintf("%d more than", n)
}

// endSYNACKBadACK doubts it where the client has not reset it: another SYN of
// its own, which the capture lacks, may have been meant.
func endSYNACKBadACK(d *Detector, f *Flow) {
	n := f.finding(d, f.Server())
	if n == nil {
		return
	}
	r := f.Remark(FactRSTIgnored, f.Client)
	if r == nil || CompareFrames(r.LastFrame, r.Last, n.Frame, n.At) < 0 {
		n.lower("the client does not reset it")
		return
	}
	n.Frames = append(n.Frames, r.LastFrame)
	n.Evidence += fmt.Sprintf("; the client resets it in frame %s", FrameText(r.LastFrame))
}
