package analyzer

import "fmt"

var acceptQueueReset = &Detector{
	Name:  "accept-queue-reset",
	Doc:   "the handshake was completed and the server reset it at once",
	Cause: "the listener's accept queue is full and tcp_abort_on_overflow is set, the listener died in between, or a load balancer has no backend",
	Causes: []string{
		"the application accepts too slowly: no CPU, blocked threads, a backlog that is too small",
		"a proxy or firewall opens the connection first, and then finds the server closed",
	},
	LooksLike: []string{
		"a health check: it is the client that resets",
		"an application that accepts and then aborts: its RST has ACK",
		"a RST long after the handshake: somebody has forgotten the connection",
		"a RST whose TTL is not that of the SYN+ACK: it may be a middlebox's",
	},
	Example: `
a > b  S   100  mss 1460
b > a  S.  300  ack 101  mss 1460  @+10ms
a > b  .   101  ack 301
b > a  R   301  win 0  @+10ms
`,
	Next:      "on the server: ss -tln '( sport = :PORT )' (Recv-Q against Send-Q); nstat -az TcpExtListenOverflows; sysctl net.ipv4.tcp_abort_on_overflow",
	Reference: "RFC 9293 3.10.7.1, tcp_check_req (tcp_abort_on_overflow)",
	Severity:  Warning,
	Wants:     FactRST,
	Segment:   onAcceptQueueReset,
	End:       endAcceptQueueReset,
}

// onAcceptQueueReset wants the RST of a server that never had a socket for the
// connection: no ACK, SEQ one above the SYN+ACK's, nothing but SYN+ACK before
// it, and within a round trip of the client's ACK. An application that accepts
// and resets does so with ACK; a RST that comes later is of a path or server
// that forgot.
func onAcceptQueueReset(d *Detector, st *Step) {
	f, x, v := st.Flow, st.Segment, st.From
	e := &f.Sides[v]
	answer := f.entered(v, SynReceived)
	if v != f.Server() || x.Flags&(RST|ACK) != RST || answer == nil || answer.Basis != Observed || f.establishedAt == 0 {
		return
	}
	if x.Seq != e.isn.Add(1) || e.Counters.Segments != e.Counters.SYN+e.Counters.Resets || f.Sides[v.Peer()].Counters.Resets != 0 {
		return
	}
	after := x.Time - f.establishedAt
	if after > max(e.threshold(), defaultThreshold) {
		return
	}
	n := Finding{Detector: d, Severity: d.Severity, Side: v, At: x.Time, Frame: x.Frame, Frames: []uint64{answer.Frame},
		Evidence: fmt.Sprintf("server's SYN+ACK (frame %s) acknowledged by the client, which is reset in frame %s, %s later: the server dropped the connection before anyone accepted it",
			FrameText(answer.Frame), FrameText(x.Frame), since(after))}
	if e.ttl != 0 && apart(e.ttl, x.TTL) > 2 {
		n.lower(fmt.Sprintf("the RST's TTL is %d, that of the SYN+ACK %d: a middlebox may have sent it", x.TTL, e.ttl))
	}
	f.Raise(n)
}

// endAcceptQueueReset takes the finding back when the server went on: the RST
// was forged. A server without a socket resets all that the client sends; one
// that let something pass may have held the connection, and closed it in a
// packet that the capture lacks.
func endAcceptQueueReset(d *Detector, f *Flow) {
	v := f.Server()
	n := f.finding(d, v)
	if n == nil {
		return
	}
	if !f.aborted(v) {
		f.retract(d, v)
		return
	}
	own, c := &f.Sides[v].Counters, &f.Sides[v.Peer()].Counters
	if own.Resets+own.CaptureDuplicates < c.Segments-c.SYN {
		n.lower("the server did not reset all that the client sent")
	}
}
