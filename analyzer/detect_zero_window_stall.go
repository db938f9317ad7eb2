package analyzer

import "fmt"

var zeroWindowStall = &Detector{
	Name:  "zero-window-stall",
	Doc:   "a side kept its window closed while its peer had data for it",
	Cause: "the receiving application does not read, or not fast enough: busy, blocked, or waiting for somebody else",
	Causes: []string{
		"a pause of the whole process or host: garbage collection, swapping, a full disk",
		"a proxy that holds its sender back because its other side is slow",
		"a receive buffer that is too small",
	},
	LooksLike: []string{
		"the window of a FIN or RST: it is none",
		"a SYN+ACK that opens with a window of 0",
		"a small window in a capture without the SYN: its scale is not known",
		"a closed window into which nobody has anything to send",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:1100  ack 300
b > a  .   300   ack 1100  win 0  @+10ms
a > b  .   1099  ack 300   @+10s
b > a  .   300   ack 1100  win 0  @+10ms
a > b  .   1099  ack 300   @+20s
b > a  .   300   ack 1100  win 0  @+10ms
a > b  .   1099  ack 300   @+40s
b > a  .   300   ack 1100  win 0  @+10ms
`,
	Next:      "on the host with the closed window: ss -tnmp (Recv-Q); then the process's CPU and threads; nstat -az TcpExtTCPToZeroWindowAdv",
	Reference: "RFC 9293 3.8.6.1",
	Severity:  Warning,
	End:       endZeroWindowStall,
}

// endZeroWindowStall wants probes: without data that waits, a closed window
// stops nobody. A window of 0 is 0 whatever its scale; those of SYN, FIN and
// RST do not count. One that opened again within the limit only explains.
func endZeroWindowStall(d *Detector, f *Flow) {
	for s := range Side(2) {
		e := &f.Sides[s]
		if e.stalls == nil || f.finding(zeroWindowAbort, s) != nil {
			continue
		}
		if c := e.stall(); c != nil && c.probes > 0 {
			n := Finding{Detector: d, Severity: d.Severity, Side: s, At: c.at, Last: f.Now, Frame: c.frame, For: f.Now - c.at, Count: e.stalls.n + 1}
			n.Evidence = fmt.Sprintf("%s's window is closed since frame %s, for %s; its peer has data for it and probed %s: the %s owes a window",
				f.who(s), FrameText(c.frame), since(n.For), times(c.probes), f.who(s))
			f.pend(n, Established, f.captureDoubt(n.At, n.Last))
			continue
		}
		if e.stalls.n == 0 {
			continue
		}
		c := e.stalls.longest
		n := Finding{Detector: d, Severity: Info, Side: s, At: c.at, Last: c.at + c.held, Frame: c.frame, Frames: []uint64{c.opened},
			For: c.held, Count: e.stalls.n}
		if c.held >= int64(f.limits[Established]) {
			n.Severity = d.Severity
		}
		n.Evidence = fmt.Sprintf("%s's window closed in frame %s and opened in frame %s, %s later; its peer had data for it and probed %s",
			f.who(s), FrameText(c.frame), FrameText(c.opened), since(c.held), times(c.probes))
		n.lower(f.captureDoubt(n.At, n.Last))
		f.Raise(n)
	}
}
