package analyzer

import "fmt"

var selfConnect = &Detector{
	Name:  "self-connect",
	Doc:   "a socket connected to itself: one address and port is both ends",
	Cause: "the client retries a local service that is down, whose port lies in the ephemeral range, until it is given that very port",
	Causes: []string{
		"a service whose port lies in net.ipv4.ip_local_port_range, while it restarts",
		"a client that binds the service's own port before it connects",
	},
	LooksLike: []string{
		"a NAT hairpin: one address, but two ports",
		"a forged SYN with one address at both ends (LAND): no SYN+ACK follows",
	},
	Example: `
one socket
a > b  S   100      mss 1460
a > b  S.  100      ack 101  mss 1460  @+20us
a > b  P.  101:111  ack 101
a > b  .   111      ack 111  @+20us
`,
	Next:      "sysctl net.ipv4.ip_local_port_range; reserve the port with net.ipv4.ip_local_reserved_ports; ss -tlnp '( sport = :PORT )'",
	Reference: "RFC 9293 3.5",
	Severity:  Warning,
	End:       endSelfConnect,
}

// endSelfConnect wants the SYN+ACK too, which only the same socket can send: a
// SYN alone may be forged (the LAND attack). A NAT hairpin keeps the ports, or
// the addresses, apart.
func endSelfConnect(d *Detector, f *Flow) {
	syn, answer := f.entered(0, SynSent), f.entered(0, SynReceived)
	if !f.Key.self() || syn == nil || answer == nil || syn.Basis != Observed || answer.Basis != Observed {
		return
	}
	f.Raise(Finding{Detector: d, Severity: d.Severity, Side: NoSide, At: syn.Time, Last: answer.Time, Frame: syn.Frame,
		Frames: []uint64{answer.Frame}, For: f.Now - syn.Time,
		Evidence: fmt.Sprintf("%s sends a SYN to itself (frame %s) and answers it (frame %s): what the client writes it reads back, and no server is involved",
			f.Addr(0), FrameText(syn.Frame), FrameText(answer.Frame))})
}
