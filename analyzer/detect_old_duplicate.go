package analyzer

import "fmt"

var oldDuplicate = &Detector{
	Name:  "old-duplicate",
	Doc:   "data arrives with a timestamp far older than what came before it, and the receiver drops it and answers with an ACK",
	Cause: "a packet that the network held for long, of this connection or of an earlier one on the same ports",
	Causes: []string{
		"a NAT that maps two hosts, with clocks of their own, to one address and port",
		"a device that rewrites timestamps, or a fail-over pair whose clocks differ",
	},
	LooksLike: []string{
		"reordering: older by no more than packets overtake each other",
		"a capture that misorders packets",
		"a long silence, in which the sender's clock has gone round",
		"a segment that the receiver takes: it acknowledges what is new in it",
	},
	Next:      "on the receiver: nstat -az TcpExtPAWSEstab TcpExtPAWSActive; compare TTL and tsval of the frames named: another TTL is another host; does a NAT stand between? conntrack -L -p tcp --dport PORT",
	Reference: "RFC 7323 5.3 (R1), RFC 6191",
	Severity:  Warning,
	Example: `a > b S 0 mss 1460 ts 10000
b > a S. 0 ack 1 mss 1460 ts 70000 ecr 10000 @+20ms
a > b . 1 ack 1 ts 10020 ecr 70000
a > b P. 1:101 ack 1 ts 14020 ecr 70000 @+4s
b > a . 1 ack 101 ts 74020 ecr 14020 @+20ms
a > b P. 1:51 ack 1 ts 7000 ecr 60000 @+1s
b > a . 1 ack 101 ts 75040 ecr 14020 @+20ms`,
	End: endOldDuplicate,
}

// endOldDuplicate wants the receiver's answer. One packet that was late
// explains itself; more of them are somebody's clock.
func endOldDuplicate(d *Detector, f *Flow) {
	const several = 3
	for s := range Side(2) {
		t := f.Sides[s.Peer()].trouble
		if t == nil || t.refused == 0 || f.misordered(0) || f.misordered(1) {
			continue
		}
		r := f.Remark(FactStale, s)
		if r == nil {
			continue
		}
		n := Finding{Detector: d, Severity: Info, Side: s, At: r.First, Last: r.Last, Frame: r.Frame,
			Frames: []uint64{t.refusal}, Count: r.Count}
		n.Evidence = fmt.Sprintf("%s of the %s (first frame %s) with a TSVal up to %d below what it had sent before; the %s drops and answers %d of them (last in frame %s)",
			plural(r.Count, "segment"), f.who(s), FrameText(r.Frame), t.staleAge, f.who(s.Peer()), t.refused, FrameText(t.refusal))
		if t.refused >= several {
			n.Severity = d.Severity
		}
		f.Raise(n)
	}
}
