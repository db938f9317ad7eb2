package analyzer

import "fmt"

var reordering = &Detector{
	Name:  "reordering",
	Doc:   "packets of a side overtook each other on the way to the tap",
	Cause: "several paths of unequal delay: ECMP by packet, a bond in round-robin mode, or a route that changed",
	Causes: []string{
		"a device on the way that spreads one flow over several queues or processors",
		"wireless retransmission below IP",
	},
	LooksLike: []string{
		"a retransmission that fills the hole: its IP ID and timestamp are newer than those of what came before it",
		"a capture that misorders packets, as one from several queues of a card does: both directions are hit, or an ACK stands before its data",
	},
	Next:      "on the receiver: nstat -az TcpExtTCPSACKReorder TcpExtTCPTSReorder TcpExtTCPOFOQueue; cat /proc/net/bonding/* (mode balance-rr?); ECMP must hash by flow: sysctl net.ipv4.fib_multipath_hash_policy; paths that differ: mtr -T -P PORT SERVER",
	Reference: "RFC 4737 3, RFC 2991",
	Severity:  Warning,
	Example: `given a ESTABLISHED b ESTABLISHED
b > a . 1:1001 ack 1 id 1 @+20ms
b > a . 2001:3001 ack 1 id 3
b > a . 1001:2001 ack 1 id 2 @+100us
a > b . 1 ack 3001`,
	End: endReordering,
}

// endReordering abstains where the capture itself misorders packets.
func endReordering(d *Detector, f *Flow) {
	const often, leastPercent = 10, 1
	for s := range Side(2) {
		e := &f.Sides[s]
		if e.trouble == nil {
			continue
		}
		r := f.Remark(FactReordered, s)
		if r == nil || f.Remark(FactReordered, s.Peer()) != nil || f.misordered(0) || f.misordered(1) {
			continue
		}
		n := Finding{Detector: d, Severity: Info, Side: s, At: r.First, Last: r.Last, Frame: r.Frame, Count: r.Count}
		if r.LastFrame != r.Frame {
			n.Frames = []uint64{r.LastFrame}
		}
		n.Evidence = fmt.Sprintf("%s of the %s, %.1f %% of all, came after what was sent later (first frame %s, last %d)",
			plural(r.Count, "segment"), f.who(s), 100*float64(r.Count)/float64(e.Counters.Segments), FrameText(r.Frame), r.LastFrame)
		if t := e.trouble.overtaken; t > 0 {
			n.Evidence += fmt.Sprintf("; up to %s overtook one, by their IP IDs", plural(int(t), "packet"))
		}
		if r.Count >= often && uint64(r.Count)*100 >= e.Counters.Segments*leastPercent {
			n.Severity = d.Severity
		}
		f.Raise(n)
	}
}

// misordered reports whether a side's segments were recorded after their own
// ACK: the capture's doing.
func (f *Flow) misordered(s Side) bool {
	t := f.Sides[s].trouble
	return t != nil && t.afterACK > 0
}
