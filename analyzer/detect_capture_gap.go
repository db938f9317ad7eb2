package analyzer

import "fmt"

var captureGap = &Detector{
	Name:  "capture-gap",
	Doc:   "the capture lacks packets that went past: they were acknowledged and never recorded",
	Cause: "the capturing host dropped packets, or some took another path; it is not loss on the network, which would be repaired by sending again",
	Causes: []string{
		"the mirror port or TAP is overloaded and drops packets itself",
		"the flow is spread over several links or cards (a bond, ECMP), and not all of them were captured",
		"the capture's filter passes only part of the flow: one VLAN, no fragments, no tunnel",
	},
	LooksLike: []string{
		"loss on the network: the peer sends duplicate ACKs, and the octets are sent again",
		"a capture out of order: the ACK is recorded first, and its data follows",
		"an acknowledgment of what nobody sent: the side's own number shows that it has not",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:200    ack 300
b > a  .   300        ack 200   @+10ms
b > a  .   300        ack 1700  @+5ms
a > b  P.  1700:1800  ack 300
b > a  .   300        ack 1800  @+10ms
`,
	Next:      "capture again with a larger buffer (tcpdump -B 65536) or a filter, and compare tcpdump's count of dropped packets",
	Reference: "RFC 9293 3.4",
	Severity:  Warning,
	Capture:   true,
	End:       endCaptureGap,
}

// endCaptureGap finds octets that were acknowledged, never captured, and not
// sent again by anyone: loss on the network is sent again. One octet more than
// was seen is taken for a FIN. A side that is hidden altogether is the affair
// of one-way-capture.
func endCaptureGap(d *Detector, f *Flow) {
	for s := range Side(2) {
		e := &f.Sides[s]
		fin := e.hasFIN && !e.finSeen
		if e.LastSent == 0 || e.Counters.CaptureLostBytes == 0 && !fin {
			continue
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: NoSide, At: f.End, Frame: f.LastFrame}
		if r := f.Remark(FactACKUnseen, s.Peer()); r != nil {
			n.At, n.Last, n.Frame, n.Count = r.First, r.Last, r.Frame, r.Count
		}
		what := fmt.Sprintf("%d octets", e.Counters.CaptureLostBytes)
		switch {
		case fin && e.Counters.CaptureLostBytes == 0:
			what = "one sequence number, taken for a FIN,"
		case fin:
			what += " and a FIN"
		}
		n.Evidence = fmt.Sprintf("%s of the %s acknowledged (first in frame %s) but never captured, and nobody sent them again",
			what, f.who(s), FrameText(n.Frame))
		f.Raise(n)
	}
}
