package analyzer

import "fmt"

var windowShrunk = &Detector{
	Name:  "window-shrunk",
	Doc:   "a side took back window that it had offered: its right edge moved left",
	Cause: "a receiver short of memory, or a stack that shrinks its window although RFC 9293 asks it not to",
	Causes: []string{
		"an application that sets a smaller SO_RCVBUF after the connection has opened",
		"a proxy or WAN optimizer that rewrites windows",
		"net.ipv4.tcp_shrink_window, or a container's memory limit",
	},
	LooksLike: []string{
		"a step within one unit of the scale: rounding",
		"two ACKs that the network swapped",
		"a window that closes as data fills it: its edge stays",
		"a capture that begins midway: the scale is not known",
		"the window of a SYN, which is not scaled",
	},
	Next:      "on that host: nstat -az TcpExtTCPRcvCollapsed TcpExtPruneCalled TcpExtTCPRcvQDrop TcpExtTCPMemoryPressures; ss -tmi (rcv_space, skmem); sysctl net.ipv4.tcp_mem net.ipv4.tcp_rmem net.ipv4.tcp_shrink_window",
	Reference: "RFC 9293 3.8.6 (SHLD-14), RFC 7323 2.4",
	Severity:  Warning,
	Example: `
a > b  S   100  mss 1460  ws 2
b > a  S.  300  ack 101  mss 1460  ws 2
a > b  .   101  ack 301  win 16000
b > a  .   301  ack 101  win 16000
a > b  P.  101:1101(1000)  ack 301  win 16000
b > a  .   301  ack 1101  win 4000
a > b  P.  1101:2101(1000)  ack 301  win 16000
b > a  .   301  ack 2101  win 3750
`,
	End: endWindowShrunk,
}

// endWindowShrunk leaves out the side whose windows are counted without their
// scale: there the edge is not where it seems.
func endWindowShrunk(d *Detector, f *Flow) {
	for s := range Side(2) {
		e := &f.Sides[s]
		if e.odd == nil || e.odd.shrunk.n == 0 || f.finding(windowScaleLost, s) != nil {
			continue
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: s}
		n.from(&e.odd.shrunk)
		n.Evidence = fmt.Sprintf("%s's window moves back by up to %d octets, %s (%s): octets that its peer was allowed to send are no longer welcome",
			f.who(s), e.odd.shrunk.octets, times(n.Count), framesFrom(n.Frame, e.odd.shrunk.lastFrame))
		f.Raise(n)
	}
}

// framesFrom names one frame, or the first and last of several.
func framesFrom(first, last uint64) string {
	if first == last {
		return fmt.Sprintf("frame %s", FrameText(first))
	}
	return fmt.Sprintf("frames %s to %s", FrameText(first), FrameText(last))
}
