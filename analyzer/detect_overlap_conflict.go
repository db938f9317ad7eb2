package analyzer

import "fmt"

var overlapConflict = &Detector{
	Name:  "overlap-conflict",
	Doc:   "a side sends the same sequence numbers again with other contents",
	Cause: "somebody else's segment: injected to mislead the receiver, or a device that watches it",
	Causes: []string{
		"a broken proxy, load balancer or WAN accelerator that rebuilds what it sends again",
		"a driver or network card that damages a packet before its checksum is made",
	},
	LooksLike: []string{
		"a snaplen that cut one of the copies: contents are compared by checksum",
		"the same data cut into other segments: only equal ranges are compared",
		"checksums that the network card was yet to fill in",
		"a keep-alive or zero-window probe with an octet of garbage",
	},
	Next:      "tcpdump -nnvvX -r FILE 'host CLIENT and host SERVER and port PORT': compare the payload, TTL, IP ID and MAC of the copies; a TTL that differs shows where the other one was made",
	Reference: "RFC 9293 3.10.7.4 (segments are trimmed to what is new), RFC 1858, Suricata stream reassembly_overlap_different_data",
	Severity:  Warning,
	Example: `given a ESTABLISHED b ESTABLISHED
a > b P. 1:101 ack 1 payload 4711
b > a . 1 ack 101 @+20ms
a > b P. 1:101 ack 1 payload 1234 ttl 51 @+5ms
b > a . 1 ack 101 @+20ms`,
	Wants:   FactConflict,
	Segment: onOverlapConflict,
}

func onOverlapConflict(d *Detector, st *Step) {
	f, x := st.Flow, st.Segment
	n := Finding{Detector: d, Severity: d.Severity, Side: st.From, At: x.Time, Frame: x.Frame}
	how := "with other contents than before, as its checksum says"
	if t := f.Sides[st.From].trouble; t != nil && t.alienBy == x.Frame {
		n.Frames = []uint64{t.alienFrame}
		how = fmt.Sprintf("where frame %s, which lacks the timestamps of all others, brought some before", FrameText(t.alienFrame))
	}
	n.Evidence = fmt.Sprintf("%s's frame %s has octets %d to %d (relative numbers) %s", f.who(st.From), FrameText(x.Frame), st.Seq, st.Seq+x.Len-1, how)
	f.Raise(n)
}
