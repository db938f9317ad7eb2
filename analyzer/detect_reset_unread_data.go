package analyzer

import "fmt"

var resetUnreadData = &Detector{
	Name:  "reset-unread-data",
	Doc:   "a side reset the connection with data unread that it had acknowledged",
	Cause: "the application closed its socket without reading everything: the peer believes that those octets arrived",
	Causes: []string{
		"a server that answers before it has read the request's body (401, 413)",
		"a client that has what it wants, and leaves the rest of a download",
		"a process that ended while its queue was full",
	},
	LooksLike: []string{
		"a network fault: a middlebox's RST has another TTL, and a window that it guessed",
		"a side that had read everything and aborts: its window was open",
		"a RST with a window of 0: it tells nothing",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:1560   ack 300
b > a  .   300        ack 1560   win 30000  @+10ms
a > b  P.  1560:3020  ack 300
b > a  .   300        ack 3020   win 2000   @+10ms
b > a  R.  300        ack 3020   win 60000  @+2s
`,
	Next:      "let the application read to the end of the stream before it closes; nstat -az TcpExtTCPAbortOnClose",
	Reference: "RFC 2525 2.17, RFC 9293 3.10.4",
	Severity:  Warning,
	Wants:     FactRST,
	Segment:   onResetUnreadData,
	End:       endOwnReset,
}

// onResetUnreadData wants a window that stood narrowed when its side last
// spoke and that the RST opens to twice that or more: the queue was thrown
// away. Had the application read it, its stack would have said so before (RFC
// 9293 3.8.6.2.2; tcp_cleanup_rbuf sends an ACK when the window can double). A
// RST with more than the side ever offered is not its own.
func onResetUnreadData(d *Detector, st *Step) {
	f, x, s := st.Flow, st.Segment, st.From
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	now := uint32(x.Window) << e.shift
	if !f.aborts(st) || !e.shiftKnown || p.Counters.Bytes == 0 || e.window == 0 || now/2 < e.window || now > e.maxWindow {
		return
	}
	if e.ttl != 0 && apart(e.ttl, x.TTL) > 2 {
		return
	}
	f.Raise(Finding{Detector: d, Severity: d.Severity, Side: s, At: x.Time, Frame: x.Frame, Frames: []uint64{p.LastFrame},
		Evidence: fmt.Sprintf("%s's window had narrowed to %d octets and its RST (frame %s) offers %d: it closed without reading what it had acknowledged",
			f.who(s), e.window, FrameText(x.Frame), now)})
}
