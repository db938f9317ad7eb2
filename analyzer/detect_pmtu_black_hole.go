package analyzer

import "fmt"

var pmtuBlackHole = &Detector{
	Name:  "pmtu-black-hole-suspected",
	Doc:   "small segments pass and full-sized ones never do",
	Cause: "a link with a smaller MTU (VPN, tunnel, PPPoE, overlay network) whose ICMP errors are filtered on the way to the sender",
	Causes: []string{
		"jumbo frames on one host and not on the switch or on the other",
		"a sender that ignores the ICMP error, or a firewall at its side that drops it",
	},
	LooksLike: []string{
		"heavy loss: small segments are lost too",
		"a receiver with its window closed",
		"a peer that is gone: it says nothing any more, to small segments either",
		"a full-sized segment lost a few times, then acknowledged",
		"path MTU discovery at work: an ICMP error, and smaller segments after it",
	},
	Next:      "from the sender: ping -M do -s 1472 ADDRESS (then smaller); tracepath SERVER; let ICMP type 3 code 4 (ICMPv6 type 2) through; clamp the MSS: iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu; sysctl net.ipv4.tcp_mtu_probing",
	Reference: "RFC 1191, RFC 8201, RFC 4821, RFC 2923 2.1",
	Severity:  Warning,
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:500(400)     ack 300  df
b > a  .   300  ack 500  df
b > a  .   300:1760(1460)   ack 500  df  @+10ms
b > a  P.  1760:1900(140)   ack 500  df
a > b  .   500  ack 300  df
b > a  .   300:1760(1460)   ack 500  df  @+200ms
b > a  .   300:1760(1460)   ack 500  df  @+400ms
b > a  .   300:1760(1460)   ack 500  df  @+800ms
b > a  .   300:1760(1460)   ack 500  df  @+1600ms
a > b  F.  500  ack 300  df  @+2s
`,
	End: endPMTUBlackHole,
}

// endPMTUBlackHole wants a full-sized segment sent again and again, each time
// after a longer wait, none of that size acknowledged before, and no small one
// lost. Then either its octets pass in smaller pieces, or the peer goes on
// without it: it lives, and small packets reach both. Three duplicate ACKs say
// that other large segments have arrived. Where a router has said that it is
// too big, what went before does not matter.
func endPMTUBlackHole(d *Detector, f *Flow) {
	for s := range Side(2) {
		e, p, b := &f.Sides[s], &f.Sides[s.Peer()], f.Sides[s].big
		const few = 3
		if b == nil || b.n < few {
			continue
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: s, At: b.first, Last: b.last, Frame: b.firstFrame,
			Frames: []uint64{b.lastFrame}, For: b.last - b.first, Count: b.n}
		n.Evidence = fmt.Sprintf("%s's segment of %d octets sent again %s (frames %s to %s)",
			f.who(s), b.size, times(b.n), FrameText(b.firstFrame), FrameText(b.lastFrame))
		acked := b.seq.Less(p.ack)
		switch {
		case b.tooBig >= few:
			n.Frames = append(n.Frames, f.Unreached.Frame)
			n.Evidence += fmt.Sprintf(", although %s says that no more than %d octets pass (frame %s): the error does not reach the %s, or is ignored",
				f.Unreached.From.Netip(), f.Unreached.MTU, FrameText(f.Unreached.Frame), f.who(s))
		case e.lostHead || f.openedLate(s) || b.gap*2 < b.firstGap*3 || b.duplicates >= few:
			continue
		case acked && b.smaller != 0:
			n.Frames = append(n.Frames, b.smallerFrame)
			n.Evidence += fmt.Sprintf(" in vain; in pieces of %d (from frame %s on) it is acknowledged", b.smaller, FrameText(b.smallerFrame))
		case !acked && p.window != 0 && p.LastSent > b.first+p.threshold():
			n.Evidence += fmt.Sprintf(" and not acknowledged, nor ever one of that size; the %s lives, it has sent %s since (the last is frame %s)",
				f.who(s.Peer()), plural(int(p.Counters.Segments-b.heard), "packet"), FrameText(p.LastFrame))
			n.lower(f.captureDoubt(n.At, n.Last))
		default:
			continue
		}
		f.Raise(n)
	}
}

// openedLate reports whether a side had to send its SYN or SYN+ACK again: its
// small segments are lost too.
func (f *Flow) openedLate(s Side) bool {
	if s == f.Client {
		return f.synRetransmits > 0
	}
	return f.synackRetransmits > 0
}
