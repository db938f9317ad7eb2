package analyzer

import "fmt"

var windowScaleLost = &Detector{
	Name:  "window-scale-lost",
	Doc:   "one side counts windows without the scale that the other uses",
	Cause: "a firewall, proxy or router on the path strips or rewrites the window scale option in one direction",
	Causes: []string{
		"a SYN proxy that answered with another scale than the server behind it",
		"a stack that forgets the scale, as some do with SYN cookies without timestamps",
	},
	LooksLike: []string{
		"a capture that begins midway: the scale is not known",
		"a SYN+ACK without the option: scaling is off for both, and 64 KB are the limit",
		"requests that happen to be as long as the field of the window",
		"a sender that is limited by the window as scaled",
	},
	Next:      "capture at both ends and compare the wscale of SYN and SYN+ACK: tcpdump -nv 'tcp[tcpflags] & tcp-syn != 0 and port PORT'; ss -ti dst SERVER (wscale:a,b; snd_wnd); take the middlebox out",
	Reference: "RFC 7323 2.2, 2.3",
	Severity:  Warning,
	Example: `
a > b  S   100  mss 1460  ws 7
b > a  S.  300  ack 101  mss 1460  ws 7
a > b  .   101  ack 301  win 512
b > a  .   301  ack 101  win 502
a > b  .   101:603(502)    ack 301  win 512
b > a  .   301  ack 603   win 510  @+20ms
a > b  .   603:1113(510)   ack 301  win 512
b > a  .   301  ack 1113  win 518  @+20ms
a > b  .   1113:1631(518)  ack 301  win 512
b > a  .   301  ack 1631  win 526  @+20ms
a > b  .   1631:2157(526)  ack 301  win 512
b > a  .   301  ack 2157  win 534  @+20ms
a > b  .   2157:2691(534)  ack 301  win 512
`,
	End: endWindowScaleLost,
}

// endWindowScaleLost wants both SYNs, and one of three things several times
// over. A sender that goes up to the field of the window as it stands in the
// header, never beyond, and goes on as soon as that is acknowledged. A side
// whose field shrinks by exactly the octets that it takes in. Or, where only
// one of the SYNs has the option, a peer that sends what fits a scaled window
// alone.
func endWindowScaleLost(d *Detector, f *Flow) {
	const enough = 4
	for s := range Side(2) {
		e, p := &f.Sides[s], &f.Sides[s.Peer()]
		if !e.shiftKnown || !p.shiftKnown {
			continue
		}
		own, peers := e.odd, p.odd
		n := Finding{Detector: d, Severity: d.Severity, Side: s}
		switch {
		case peers != nil && peers.stopped.n >= enough && !p.scaleUsed:
			n.from(&peers.stopped)
			n.Evidence = fmt.Sprintf("%s stops %s at the very edge of a window field of up to %d octets (frames %s to %s) and goes on when that is acknowledged: it does not scale it by 2^%d as the %s does",
				f.who(s), times(n.Count), peers.stopped.octets, FrameText(n.Frame), FrameText(peers.stopped.lastFrame), p.shift, f.who(s.Peer()))
		case own != nil && own.unscaled.n >= enough:
			n.from(&own.unscaled)
			n.Evidence = fmt.Sprintf("%s's window field goes down %s by exactly the octets that it acknowledges (frames %s to %s): it does not scale it by 2^%d as its SYN offers",
				f.who(s), times(n.Count), FrameText(n.Frame), FrameText(own.unscaled.lastFrame), e.shift)
		case own != nil && own.overrun.n >= enough && (e.Offered.Set^p.Offered.Set)&OptWindowScale != 0:
			n.from(&own.overrun)
			n.Evidence = fmt.Sprintf("%s sends up to %d octets beyond the %s's window (frames %s to %s), and only one of the SYNs has the window scale option here: one side scales, the other does not",
				f.who(s.Peer()), own.overrun.octets, f.who(s), FrameText(n.Frame), FrameText(own.overrun.lastFrame))
		default:
			continue
		}
		n.lower(f.captureDoubt(n.At, n.Last))
		f.Raise(n)
	}
}

// from takes dates and count of a finding from what was odd.
func (n *Finding) from(o *oddity) {
	n.At, n.Last, n.Frame, n.Frames, n.Count, n.For = o.first, o.last, o.frame, []uint64{o.lastFrame}, o.n, o.last-o.first
}
