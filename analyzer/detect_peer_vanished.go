package analyzer

import (
	"fmt"
	"time"
)

var peerVanished = &Detector{
	Name:  "peer-vanished",
	Doc:   "data is sent again and again, each time after twice the wait, and the peer says nothing at all",
	Cause: "the peer's host died or was cut off mid-connection, or the path to it or back from it broke",
	Causes: []string{
		"a firewall or NAT that lost the connection in mid-use: a restart, a failover, a full table",
		"a VPN or radio link that is down",
		"a black hole for large segments: small ones would pass",
	},
	LooksLike: []string{
		"a closed window: the peer is alive, as far as it goes",
		"a peer whose direction was not captured",
		"ACKs that were not captured: the sender goes on with new data",
		"heavy loss: the peer says something now and then",
		"a full accept queue: the server has sent its SYN+ACK and no more",
		"a FIN that is sent again: fin-unacknowledged",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:200  ack 300
b > a  .   300      ack 200  @+10ms
a > b  P.  200:300  ack 300  @+5s
a > b  P.  200:300  ack 300  @+1s
a > b  P.  200:300  ack 300  @+2s
a > b  P.  200:300  ack 300  @+4s
a > b  P.  200:300  ack 300  @+8s
a > b  P.  200:300  ack 300  @+16s
a > b  P.  200:300  ack 300  @+32s
`,
	Next:      "is the peer up and reachable? on the sender: ss -tno state established (timer:(on,...)); capture at the other end: does the data arrive?",
	Reference: "RFC 9293 3.8.3 (R1, R2), RFC 6298 5.5, tcp_retries2",
	Severity:  Warning,
	End:       endPeerVanished,
}

// endPeerVanished wants a peer that is silent, not one that acknowledges less
// or has closed its window, and whose ACK is not seen on its way. A FIN sent
// again has its own finding.
func endPeerVanished(d *Detector, f *Flow) {
	for s := range Side(2) {
		e, p := &f.Sides[s], &f.Sides[s.Peer()]
		r := f.unanswered(s, FactRetransmission)
		if r == nil || !p.hasACK || r.seq.Less(p.ack) || e.hasFIN && e.fin == r.seq || f.finding(finUnacknowledged, s) != nil {
			continue
		}
		if f.finding(pmtuBlackHole, s) != nil {
			continue // its peer spoke in between
		}
		if r.gap*2 < r.firstGap*3 && r.firstGap < int64(time.Minute) {
			continue // no timer that backs off: RFC 6298 5.5 doubles it, up to a minute or more
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: s.Peer(), At: r.first, Last: r.last, Frame: r.firstFrame,
			Frames: []uint64{r.lastFrame}}
		n.Evidence = fmt.Sprintf("%s sends the same octets again %s (frames %s to %s, the last after %s); nothing from the %s since frame %s: it owes the next packet",
			f.who(s), times(r.n), FrameText(r.firstFrame), FrameText(r.lastFrame), since(r.gap), f.who(s.Peer()), FrameText(p.LastFrame))
		f.raiseSilence(n, s)
	}
}

// unanswered returns what side s has repeated three times (RFC 9293 3.8.3, R1)
// or more into silence, when that was the last that it did, but for a RST; nil
// when it was not. Both must have shown by segments of their own that they were
// open: a server that has sent its SYN+ACK and no more may have a full accept
// queue.
func (f *Flow) unanswered(s Side, what Facts) *run {
	const r1 = 3
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	r := e.run
	switch {
	case r == nil || r.what != what || r.n < r1 || p.LastSent == 0 || p.LastSent > r.first || f.replaced():
		return nil
	case !e.proven.Synchronized() || !p.proven.Synchronized():
		return nil
	case e.LastFrame != r.lastFrame && f.ownReset(s) == nil:
		return nil
	}
	return r
}

// ownReset returns the believed transition by which a side's own RST, the last
// that it sent, ended the connection; or nil.
func (f *Flow) ownReset(s Side) *Transition {
	if t := f.entered(s, Closed); f.aborted(s) && t.Frame == f.Sides[s].LastFrame {
		return t
	}
	return nil
}

// raiseSilence raises a finding about what side s repeated into silence: in
// full when it has given up with a RST, else as soon as the silence has lasted
// for the limit. A stack that gives up repeats many times first; one that
// stopped after a few may have its answer.
func (f *Flow) raiseSilence(n Finding, s Side) {
	const few = 5
	e, r := &f.Sides[s], f.Sides[s].run
	if t := f.ownReset(s); t != nil {
		n.For, n.Last = t.Time-r.first, t.Time
		n.Frames = append(n.Frames, t.Frame)
		n.Evidence += fmt.Sprintf("; the %s gives up with RST in frame %s", f.who(s), FrameText(t.Frame))
		n.lower(f.captureDoubt(r.first, t.Time))
		f.Raise(n)
		return
	}
	n.For = f.Now - r.first
	doubt := f.captureDoubt(r.first, f.Now)
	if r.n < few && f.Now-e.LastSent > 4*r.gap+int64(time.Second) {
		doubt = "it stopped after a few, as if it had an answer that was not captured"
	}
	f.pend(n, Established, doubt)
}
