package analyzer

import "fmt"

var zeroWindowAbort = &Detector{
	Name:  "zero-window-abort",
	Doc:   "a connection ended while one side's window was closed and data waited for it",
	Cause: "the application on the side with the closed window stopped reading and was killed, or the sender gave up waiting for it",
	Causes: []string{
		"a write timeout of the sender: it drops readers that are too slow",
		"a proxy that stopped reading here because its other side does not take the data",
	},
	LooksLike: []string{
		"a peer that says nothing while its window is open: peer-vanished",
		"a RST after the window has opened again",
		"the window of a FIN or RST itself: it is none",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:1100  ack 300
b > a  .   300   ack 1100  win 0  @+10ms
a > b  .   1099  ack 300   @+200ms
b > a  .   300   ack 1100  win 0  @+10ms
a > b  .   1099  ack 300   @+400ms
b > a  .   300   ack 1100  win 0  @+10ms
b > a  R.  300   ack 1100  @+5s
`,
	Next:      "on the host with the closed window: ss -tnmp (Recv-Q); the process's threads; the sender's write timeout, tcp_orphan_retries",
	Reference: "RFC 9293 3.8.6.1, tcp_orphan_retries",
	Severity:  Warning,
	End:       endZeroWindowAbort,
}

// endZeroWindowAbort wants probes into the closed window: they show that data
// waited. The window of a RST or FIN is no window.
func endZeroWindowAbort(d *Detector, f *Flow) {
	for s := range Side(2) {
		c := f.Sides[s].stall()
		if c == nil || c.probes == 0 {
			continue
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: s, At: c.at, Frame: c.frame}
		what := fmt.Sprintf("%s closed its window in frame %s, its peer probed %s", f.who(s), FrameText(c.frame), times(c.probes))
		for _, r := range [...]Side{s, s.Peer()} {
			if t := f.ownReset(r); t != nil && f.finding(d, s) == nil {
				n.Last, n.For, n.Frames = t.Time, t.Time-c.at, []uint64{t.Frame}
				n.Evidence = fmt.Sprintf("%s, and after %s the %s reset the connection (frame %s): what waited was never delivered",
					what, since(n.For), f.who(r), FrameText(t.Frame))
				n.lower(f.captureDoubt(n.At, n.Last))
				f.Raise(n)
			}
		}
		if r := f.unanswered(s.Peer(), FactWindowProbe); r != nil && f.finding(d, s) == nil {
			n.Last, n.Frames = r.last, []uint64{r.firstFrame, r.lastFrame}
			n.Evidence = fmt.Sprintf("%s, and the last %d probes (frames %s to %s) were not answered: the %s owes the next packet",
				what, r.n, FrameText(r.firstFrame), FrameText(r.lastFrame), f.who(s))
			f.raiseSilence(n, s.Peer())
		}
	}
}
