package analyzer

import "fmt"

var rstOutOfWindow = &Detector{
	Name:  "rst-out-of-window",
	Doc:   "a RST outside the receiver's window was ignored, and the connection went on",
	Cause: "a forged RST that guessed the wrong number, or a very late one",
	Causes: []string{
		"a firewall or IPS that does not keep up with the numbers",
		"a NAT that rewrites numbers, though not those of RSTs",
		"a RST of an earlier connection on the pair",
	},
	LooksLike: []string{
		"a capture without the SYN: the window's scale is unknown, and nothing is proved",
		"a late RST after the close",
		"a RST that answers a SYN+ACK which fitted no SYN",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:200  ack 300
b > a  .   300      ack 200  @+10ms
b > a  R   500000   win 0
a > b  P.  200:300  ack 300  @+50ms
b > a  .   300      ack 300  @+10ms
`,
	Next:      "compare its TTL and IP ID with those of the side that it names; nstat -az TcpExtTCPChallengeACK",
	Reference: "RFC 9293 3.5.3, RFC 5961 3.2",
	Severity:  Info,
	Wants:     FactRSTIgnored,
	Segment:   onRSTOutOfWindow,
	End:       endRSTOutOfWindow,
}

// onRSTOutOfWindow leaves out what is ignored for other reasons: answers to a
// SYN+ACK that fitted no SYN, wrong refusals, and the late answers of a side
// that has closed.
func onRSTOutOfWindow(d *Detector, st *Step) {
	f, x, s := st.Flow, st.Segment, st.From
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if !e.started || e.hasFIN || e.State == Closed || !p.proven.Synchronized() || !f.reached(s, Established) {
		return
	}
	f.Raise(Finding{Detector: d, Severity: d.Severity, Side: s, At: x.Time, Frame: x.Frame,
		Evidence: fmt.Sprintf("RST in the %s's name (frame %s) is %d octets away from the next number that the %s expects, beyond its window: ignored",
			f.who(s), FrameText(x.Frame), distance(p.ack, x.Seq), f.who(s.Peer()))})
}

// endRSTOutOfWindow takes the finding back where nothing followed that shows
// the RST to have been ignored.
func endRSTOutOfWindow(d *Detector, f *Flow) {
	for s := range Side(2) {
		if n := f.finding(d, s); n != nil && max(f.Sides[0].LastData, f.Sides[1].LastData, f.Sides[s.Peer()].LastSent) <= n.Last {
			f.retract(d, s)
		}
	}
}

// distance is how far two numbers are apart, whichever way.
func distance(a, b Seq) uint32 {
	if a.Less(b) {
		return uint32(b - a)
	}
	return uint32(a - b)
}
