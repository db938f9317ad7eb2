package analyzer

import "fmt"

var simultaneousOpen = &Detector{
	Name:  "simultaneous-open",
	Doc:   "both sides sent a SYN to each other at once, and one connection came of it",
	Cause: "hole punching through NATs, or peers that connect to each other from fixed ports; rarely a fault",
	Causes: []string{
		"two routers or cluster nodes that connect to each other at the same moment (BGP)",
		"a test of the TCP stack",
	},
	LooksLike: []string{
		"a SYN that is sent again: it crosses nothing",
		"a handshake that is recorded twice",
		"a split handshake: the server answers the SYN with a bare SYN",
	},
	Example: `
a > b  S   100  mss 1460
b > a  S   300  mss 1460  @+2ms
b > a  S.  300  ack 101  mss 1460  @+10ms
a > b  S.  100  ack 301  mss 1460  @+5ms
a > b  .   101  ack 301  @+5ms
b > a  .   301  ack 101  @+10ms
`,
	Next:      "nothing, unless one of the two is meant to be a server: then find out what binds its port to connect",
	Reference: "RFC 9293 3.5, Figure 7",
	Severity:  Info,
	End:       endSimultaneousOpen,
}

// endSimultaneousOpen wants two SYNs, each answered with a SYN+ACK of the same
// number: a side that answers a SYN with SYN is of a split handshake, and
// sends ACK alone.
func endSimultaneousOpen(d *Detector, f *Flow) {
	if f.Key.self() {
		return // that is self-connect
	}
	var syn, answer [2]*Transition
	for s := range Side(2) {
		syn[s], answer[s] = f.entered(s, SynSent), f.entered(s, SynReceived)
		if syn[s] == nil || syn[s].Basis != Observed || answer[s] == nil || answer[s].From != SynSent ||
			answer[s].Trigger != SndSYNACK || answer[s].Basis != Observed {
			return
		}
	}
	c, v := f.Client, f.Server()
	if syn[v].Time >= answer[c].Time {
		return // its SYN answers the SYN+ACK: they did not cross
	}
	n := Finding{Detector: d, Severity: d.Severity, Side: NoSide, At: syn[v].Time, Last: max(answer[c].Time, answer[v].Time),
		Frame: syn[c].Frame, Frames: []uint64{syn[v].Frame, answer[c].Frame, answer[v].Frame}}
	n.Evidence = fmt.Sprintf("SYNs of both sides crossed, %s apart (frames %s and %s), and each was answered with SYN+ACK (frames %s and %s)",
		since(syn[v].Time-syn[c].Time), FrameText(syn[c].Frame), FrameText(syn[v].Frame), FrameText(answer[v].Frame), FrameText(answer[c].Frame))
	f.Raise(n)
}
