package analyzer

import "fmt"

var spuriousRetransmission = &Detector{
	Name:  "spurious-retransmission",
	Doc:   "a side sends again what its peer has already received",
	Cause: "the ACK came later than the sender's timer allows: a sudden delay on the path, a queue that fills, a delayed ACK",
	Causes: []string{
		"the ACK was lost on its way to the sender",
		"packets overtook each other, and the sender took that for loss (reordering)",
		"a retransmission timeout set too low",
	},
	LooksLike: []string{
		"a retransmission that crosses the ACK: it passes the tap before the sender can have that ACK",
		"a packet that the network delivers twice: the receiver reports that as well, though nothing was sent again",
		"a retransmission of what was lost: acknowledged only afterwards",
		"a probe of the tail, after a delayed ACK: it asks whether the tail arrived, and now and then it has",
	},
	Next:      "on the sender: ss -tin '( dport = :PORT or sport = :PORT )' (rto, rtt, dsack_dups); nstat -az TcpExtTCPDSACKRecv TcpExtTCPSpuriousRTOs TcpExtTCPLossProbes; does the round trip jump? ping SERVER",
	Reference: "RFC 2883 4, RFC 5682, RFC 6298 2.4",
	Severity:  Warning,
	Example: `given a ESTABLISHED b ESTABLISHED
a > b P. 1:101 ack 1
b > a . 1 ack 101 @+20ms
a > b P. 1:101 ack 1 @+300ms
b > a . 1 ack 101 @+20ms`,
	End: endSpurious,
}

// endSpurious wants either that the ACK had passed the tap more than a round
// trip from the tap to the sender before, or the receiver's word. A few probes
// of the tail that were not needed are what probing costs (RFC 8985 7).
func endSpurious(d *Detector, f *Flow) {
	const often, fewProbes = 10, 5
	for s := range Side(2) {
		e := &f.Sides[s]
		if e.trouble == nil || e.trouble.needless == 0 {
			continue
		}
		acked, told := f.Remark(FactNeedless, s), f.Remark(FactDSACK, s.Peer())
		if acked == nil && told == nil {
			continue
		}
		if n := e.trouble.probes; n == e.trouble.needless && n < fewProbes {
			continue
		}
		n := Finding{Detector: d, Severity: Info, Side: s}
		if acked != nil {
			n.At, n.Last, n.Frame, n.Count = acked.First, acked.Last, acked.Frame, acked.Count
			n.Evidence = fmt.Sprintf("%s sends again what the %s had acknowledged before: %s (first in frame %s)",
				f.who(s), f.who(s.Peer()), plural(acked.Count, "segment"), FrameText(acked.Frame))
		}
		if told != nil {
			if acked == nil || told.First < n.At {
				n.At, n.Frame = told.First, told.Frame
			}
			if n.Evidence != "" {
				n.Evidence += "; "
			}
			n.Last, n.Count = max(n.Last, told.Last), n.Count+told.Count
			n.Evidence += fmt.Sprintf("%s reports %s sent again that it had (duplicate SACK, first in frame %s)",
				f.who(s.Peer()), plural(told.Count, "segment"), FrameText(told.Frame))
		}
		if n.Count >= often && e.trouble.needlessOf*100 >= e.Counters.Bytes {
			n.Severity = d.Severity
		}
		f.Raise(n)
	}
}
