package analyzer

import (
	"fmt"
	"strings"
)

var retransmissionHeavy = &Detector{
	Name:  "retransmission-heavy",
	Doc:   "much of what a side sends it has to send again, time after time",
	Cause: "packets are lost on the way from the sender to its peer: a full queue, a bad link, a policer",
	Causes: []string{
		"a duplex or cable fault: errors count up on an interface",
		"a rate limit in a cloud, a firewall or a shaper",
		"many senders that answer one at the same instant (incast)",
	},
	LooksLike: []string{
		"packets that the capture holds twice: the same IP ID, no timeout between them",
		"needless retransmissions: the peer had the data (spurious-retransmission)",
		"keep-alive and zero-window probes: they repeat an octet on purpose",
		"one loss in a short connection, or one burst of them",
		"a peer that is gone: one segment sent again and again (peer-vanished)",
	},
	Next:      "on the sender: ss -tin '( dport = :PORT or sport = :PORT )' (retrans, rto); nstat -az TcpRetransSegs TcpExtTCPTimeouts TcpExtTCPFastRetrans; on both: ip -s link; ethtool -S DEV | grep -iE 'drop|err'; mtr -T -P PORT SERVER",
	Reference: "RFC 6298 5, RFC 5681 3.2, RFC 8985 6 and 7",
	Severity:  Warning,
	Example: `given a ESTABLISHED b ESTABLISHED
b > a . 1:1001 ack 1 @+20ms
b > a . 1:1001 ack 1 @+220ms
b > a . 1:1001 ack 1 @+440ms
a > b . 1 ack 1001
b > a . 1001:2001 ack 1 @+20ms
b > a . 1001:2001 ack 1 @+220ms
b > a . 1001:2001 ack 1 @+440ms
a > b . 1 ack 2001
b > a . 2001:3001 ack 1 @+20ms
b > a . 2001:3001 ack 1 @+220ms
b > a . 2001:3001 ack 1 @+440ms
a > b . 1 ack 3001`,
	End: endRetransmissionHeavy,
}

// endRetransmissionHeavy wants a share of the octets, several segments, and
// several losses, each after the one before was over: a single burst is what
// probing for bandwidth costs every sender (RFC 5681 3.1).
func endRetransmissionHeavy(d *Detector, f *Flow) {
	const (
		leastPercent  = 3
		leastSegments = 6
		leastRounds   = 3
	)
	for s := range Side(2) {
		e := &f.Sides[s]
		t := e.trouble
		if t == nil {
			continue
		}
		count := 0
		for _, n := range t.resent {
			count += n
		}
		needed, sent := t.octets-min(t.octets, t.needlessOf), e.Counters.Bytes+t.octets
		if count-t.needless < leastSegments || t.rounds < leastRounds || needed*100 < sent*leastPercent {
			continue
		}
		r := f.Remark(FactRetransmission, s)
		if r == nil {
			r = f.Remark(FactOutOfOrder, s) // all came soon after what was asked for
		}
		if r == nil {
			continue
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: s, At: r.First, Last: r.Last, Frame: r.Frame,
			Frames: []uint64{r.LastFrame}, For: r.Last - r.First, Count: count}
		n.Evidence = fmt.Sprintf("%s sent %s again in frames %s to %s, %.1f %% of its octets, in %d separate losses: %s; %s",
			f.who(s), plural(count, "segment"), FrameText(r.Frame), FrameText(r.LastFrame), 100*float64(t.octets)/float64(sent), t.rounds,
			f.resendCauses(s), f.lostWhere(s, count))
		if f.finding(duplicateCapture, NoSide) != nil {
			n.lower("the capture holds packets twice, and copies that come late look like these")
		}
		if f.Sides[s.Peer()].LastSent == 0 {
			n.lower("nothing of the " + f.who(s.Peer()) + " was captured: what of it was needed is not known")
		}
		f.Raise(n)
	}
}

// resendCauses counts what made a side send again, and its SYNs.
func (f *Flow) resendCauses(s Side) string {
	var parts []string
	for c, n := range f.Sides[s].trouble.resent {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, resendNames[c]))
		}
	}
	syn := f.synRetransmits
	if s != f.Client {
		syn = f.synackRetransmits
	}
	if syn > 0 {
		parts = append(parts, fmt.Sprintf("and %d SYN", syn))
	}
	if n := f.Sides[s].trouble.needless; n > 0 {
		parts = append(parts, fmt.Sprintf("%d of them not needed", n))
	}
	return strings.Join(parts, ", ")
}

// lostWhere says on which side of the tap the first copies were lost.
func (f *Flow) lostWhere(s Side, count int) string {
	unseen := f.Sides[s].trouble.unseen
	switch {
	case unseen == 0:
		return fmt.Sprintf("all had gone past the tap before: lost between it and the %s, or on the way back", f.who(s.Peer()))
	case unseen == count:
		return fmt.Sprintf("none had gone past the tap before: lost between the %s and it", f.who(s))
	}
	return fmt.Sprintf("%d of them had not gone past the tap before: lost between the %s and it, the others beyond it", unseen, f.who(s))
}
