package analyzer

import "fmt"

var timeWaitAssassination = &Detector{
	Name:  "time-wait-assassination",
	Doc:   "a RST ended a TIME_WAIT before its time",
	Cause: "an old or repeated segment drew an answer out of TIME_WAIT, and the peer, closed already, reset that; harmless but that the pair is free too early",
	Causes: []string{
		"a last ACK that the network or a middlebox delivers twice",
	},
	LooksLike: []string{
		"stale-tuple-challenge: it is the new connection's SYN that draws the answer",
		"RST with ACK right after the FINs: a peer that closes in haste",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  F.  100  ack 300
b > a  F.  300  ack 101  @+10ms
a > b  .   101  ack 301
a > b  .   101  ack 301  @+50ms
b > a  R   301  win 0  @+10ms
`,
	Next:      "nothing, unless segments of one connection turn up in the next; tcp_rfc1337=1 makes Linux ignore such RSTs",
	Reference: "RFC 1337",
	Severity:  Info,
	Wants:     FactRST,
	Segment:   onTimeWaitAssassination,
	End:       endTimeWaitAssassination,
}

// onTimeWaitAssassination wants the RST of a port without a socket. RST+ACK is
// a peer that closes in haste.
func onTimeWaitAssassination(d *Detector, st *Step) {
	f, x, v := st.Flow, st.Segment, st.From.Peer()
	t := f.entered(v, Closed)
	if x.Flags&(RST|ACK) != RST || t == nil || t.From != TimeWait || t.Trigger != RcvRST || t.Frame != x.Frame {
		return
	}
	was := f.entered(v, TimeWait)
	if was == nil {
		return
	}
	e := &f.Sides[v]
	f.Raise(Finding{Detector: d, Severity: d.Severity, Side: v, At: x.Time, Frame: x.Frame,
		Frames: []uint64{e.LastFrame}, For: x.Time - was.Time,
		Evidence: fmt.Sprintf("%s in TIME_WAIT since frame %s answers (frame %s) and is reset in frame %s, after %s of %s",
			f.who(v), FrameText(was.Frame), FrameText(e.LastFrame), FrameText(x.Frame), since(x.Time-was.Time), since(int64(f.profile.TimeWait)))})
}

// endTimeWaitAssassination leaves out a TIME_WAIT that a new connection's SYN
// had provoked: the client resets what does not fit its SYN (RFC 9293 3.5.1).
func endTimeWaitAssassination(d *Detector, f *Flow) {
	if f.replaced() {
		f.retract(d, 0)
		f.retract(d, 1)
	}
}
