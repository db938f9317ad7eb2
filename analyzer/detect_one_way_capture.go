package analyzer

import (
	"fmt"
	"time"
)

var oneWayCapture = &Detector{
	Name:  "one-way-capture",
	Doc:   "only one direction of a living connection was captured",
	Cause: "asymmetric routing, half a TAP, or a mirror port that copies one direction",
	Causes: []string{
		"a filter that matches one direction (src host, dst port)",
		"the answers come back through another interface or VLAN of the host",
		"each direction has a VLAN or tunnel of its own: --ignore-vlan or --ignore-tunnel puts them together",
		"one direction is in a tunnel, as with a load balancer in direct server return",
	},
	LooksLike: []string{
		"a peer that truly is silent: nothing is acknowledged, and data is sent again",
		"a SYN that nobody answers: it is no half of a connection",
		"keep-alives into silence: they are no sign of life",
	},
	Example: `
a > b  S   100       mss 1460
a > b  .   101       ack 301  @+20ms
a > b  P.  101:301   ack 301
a > b  .   301       ack 1751  @+25ms
a > b  P.  301:501   ack 3201  @+10ms
`,
	Next:      "capture at the host itself, or mirror both directions (rx and tx)",
	Reference: "RFC 9293 3.10.7.4",
	Severity:  Warning,
	Capture:   true,
	End:       endOneWayCapture,
}

// endOneWayCapture looks for a side that is silent in the capture and yet
// alive. A peer that truly is silent acknowledges nothing, and is resent to.
func endOneWayCapture(d *Detector, f *Flow) {
	for s := range Side(2) {
		if f.Sides[s].LastSent != 0 || f.Sides[s.Peer()].LastSent == 0 {
			continue
		}
		sign, frame := f.signOfLife(s)
		if sign == "" {
			return
		}
		f.Raise(Finding{Detector: d, Severity: d.Severity, Side: NoSide, At: f.Start, Last: f.End, Frame: frame,
			For: f.End - f.Start, Evidence: fmt.Sprintf("nothing from the %s in %s, although %s",
				f.who(s), plural(int(f.Frames), "frame"), sign)})
	}
}

// signOfLife says how the peer of a hidden side shows that it hears from it.
func (f *Flow) signOfLife(hidden Side) (sign string, frame uint64) {
	v := &f.Sides[hidden.Peer()]
	name := f.who(hidden.Peer())
	if r := f.Remark(FactACKUnseen, hidden.Peer()); r != nil {
		return fmt.Sprintf("the %s acknowledges ever more (frame %s)", name, FrameText(r.Frame)), r.Frame
	}
	if v.hasISN && v.hasACK && v.proven.Synchronized() {
		return fmt.Sprintf("the %s, which opened with a SYN, acknowledges (frame %s)", name, FrameText(v.LastFrame)), v.LastFrame
	}
	// Data that is never sent again was acknowledged: the first timeout is a
	// second (RFC 6298 2.1), three with an initial one of an older stack.
	const repeats = int64(3 * time.Second)
	c := &v.Counters
	if c.Bytes > 0 && v.repeated == 0 && c.Segments-v.keepAlives >= 4 && v.LastData-f.Start > repeats {
		return fmt.Sprintf("the %s goes on sending and repeats nothing (frame %s)", name, FrameText(v.LastFrame)), v.LastFrame
	}
	return "", 0
}
