package analyzer

import "fmt"

var halfOpenPeer = &Detector{
	Name:  "half-open-peer",
	Doc:   "one side still held the connection, the other knew nothing of it",
	Cause: "the peer rebooted, failed over or lost its state; or a middlebox dropped an idle connection and answers in its name; or it had reset the connection in a packet that was lost",
	Causes: []string{
		"a container or virtual machine that was replaced under the same address",
		"a load balancer that has handed the connection to another backend",
	},
	LooksLike: []string{
		"a middlebox that cuts: its RST has another TTL",
		"a process that was killed: its RST has ACK",
		"a side that had closed, or that a RST had reached before: it lost nothing",
		"a forged RST: the side goes on, or the RST answers nothing",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:200  ack 300
b > a  .   300      ack 200  @+10ms
a > b  P.  200:300  ack 300  @+5m
b > a  R   300      win 0  @+10ms
`,
	Next:      "uptime of that host and its load balancer's failovers; compare the RST's TTL with that of its other packets; set keep-alive below the idle timeout",
	Reference: "RFC 9293 3.5.1",
	Severity:  Warning,
	Wants:     FactRST,
	Segment:   onHalfOpenPeer,
	End:       endHalfOpenPeer,
}

// onHalfOpenPeer recognises the RST of a host without such a connection: no
// ACK, SEQ taken from the ACK of the segment that offended it (RFC 9293
// 3.10.7.1), and at once: one that comes later answers nothing. A process that
// dies resets with ACK; a side that had closed, or that a RST had reached
// before, did not lose its state.
func onHalfOpenPeer(d *Detector, st *Step) {
	f, x, s := st.Flow, st.Segment, st.From
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if x.Flags&(RST|ACK) != RST || !p.hasACK || x.Seq != p.ack || e.hasFIN || p.hasFIN {
		return
	}
	if !f.reached(s, Established) || !f.reached(s.Peer(), Established) {
		return
	}
	if f.finding(acceptQueueReset, s) != nil {
		return // it never held it
	}
	if p.Counters.Resets > 0 || e.Counters.Resets > 1 || x.Time-p.LastSent > e.threshold() {
		return
	}
	n := Finding{Detector: d, Severity: d.Severity, Side: s, At: x.Time, Frame: x.Frame, Frames: []uint64{p.LastFrame}}
	n.Evidence = fmt.Sprintf("%s's segment (frame %s) answered in frame %s, %s later, with a RST for no connection: the %s has lost what the %s holds ESTABLISHED",
		f.who(s.Peer()), FrameText(p.LastFrame), FrameText(x.Frame), since(x.Time-p.LastSent), f.who(s), f.who(s.Peer()))
	switch {
	case e.LastSent == x.Time && e.Counters.Segments == 1:
		n.lower("nothing else of the " + f.who(s) + " was captured")
	case e.ttl != 0 && apart(e.ttl, x.TTL) > 2:
		n.lower(fmt.Sprintf("the RST's TTL is %d, that of its other packets %d: a middlebox may have sent it", x.TTL, e.ttl))
	}
	f.Raise(n)
}

// endHalfOpenPeer takes the finding back when the side went on: the RST was
// forged.
func endHalfOpenPeer(d *Detector, f *Flow) {
	for i := range f.Transitions {
		t := &f.Transitions[i]
		if n := f.finding(d, t.Side); n != nil && t.Trigger == SndRST && t.Withdrawn != nil && t.Frame == n.Frame {
			f.retract(d, t.Side)
		}
	}
}

// apart is the difference of two TTLs. Parallel paths differ by one or two.
func apart(a, b uint8) uint8 {
	if a < b {
		return b - a
	}
	return a - b
}
