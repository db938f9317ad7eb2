package analyzer

import (
	"fmt"
	"strings"
)

var rstInjected = &Detector{
	Name:  "rst-injected-suspected",
	Doc:   "a RST in a side's name was probably not sent by that side",
	Cause: "a firewall, IPS or censor on the path cut the connection in the name of both ends, or of one",
	Causes: []string{
		"a NAT or load balancer that has dropped the connection's state and resets it",
		"a forged RST that guessed the numbers",
	},
	LooksLike: []string{
		"parallel paths: the TTL differs by one or two",
		"a host that begins its RSTs with another TTL (64, 128, 255) than its data",
		"a rule that rejects the SYN",
		"a RST that answers late data: its side had closed",
		"a side's last segment that was sent before its RST and overtaken by it",
		"both ends that give up at the same time",
	},
	Next:      "capture at the host whose name the RST bears: did it send it? compare TTL and IP ID: tshark -r FILE -Y 'tcp.port == PORT' -T fields -e frame.number -e ip.src -e ip.ttl -e ip.id -e tcp.flags.str; logs of the firewalls between CLIENT and SERVER",
	Reference: "RFC 9293 3.5.3, RFC 3360 2.1",
	Severity:  Warning,
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:200(100)  ack 300
b > a  .   300  ack 200  ttl 57
b > a  R.  300  ack 200  ttl 240  @+3ms
b > a  P.  300:900(600)  ack 200  ttl 57  @+150ms
a > b  R   200
`,
	Wants:   FactRST,
	Segment: onRSTInjected,
	End:     endRSTInjected,
}

// onRSTInjected keeps how the first RST in a side's name breaks with the
// side's other segments.
func onRSTInjected(_ *Detector, st *Step) {
	f, x, s := st.Flow, st.Segment, st.From
	r, e := &f.resets[s], &f.Sides[s]
	if r.frame == 0 {
		*r = resetMarks{frame: x.Frame, ttl: x.TTL, breaks: f.breaks(s, x), low: e.low, high: e.high}
	}
}

// endRSTInjected wants sides that were open. That one goes on after the RST is
// proof enough; a RST that comes from elsewhere needs a second break, or the
// other side's at the same time: that is one act, and one finding.
func endRSTInjected(d *Detector, f *Flow) {
	if f.Key.self() || !f.reached(0, Established) || !f.reached(1, Established) {
		return
	}
	for s := range Side(2) {
		r := &f.resets[s]
		rst, on := f.Remark(FactRST, s), f.Remark(FactAfterRST, s)
		if r.frame == 0 || rst == nil {
			continue
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: s, At: rst.First, Last: rst.Last, Frame: r.frame, Count: rst.Count}
		how := ""
		switch {
		case on != nil:
			n.Frames = []uint64{on.Frame}
			how = fmt.Sprintf("; the %s goes on in frame %s, %s later", f.who(s), FrameText(on.Frame), since(on.First-rst.First))
		case r.breaks&breakBoth != 0:
			o := &f.resets[s.Peer()]
			if (r.breaks|o.breaks)&breakTTL == 0 || f.Remark(FactAfterRST, s.Peer()) != nil {
				continue
			}
			n.Side, n.Frames = NoSide, []uint64{o.frame}
			how = fmt.Sprintf(" and in the %s's (frame %s) at the same time", f.who(s.Peer()), FrameText(o.frame))
		case r.breaks&breakTTL == 0 || r.breaks == breakTTL || f.resets[s.Peer()].breaks&breakBoth != 0:
			continue
		default:
			n.Severity = Info
		}
		n.Evidence = "RST in the " + f.who(s) + "'s name (frame " + FrameText(r.frame) + ")" + how + r.words()
		f.Raise(n)
	}
}

// words says how the RST breaks with its side's other segments.
func (r *resetMarks) words() string {
	var words []string
	say := func(b resetBreak, w string) {
		if r.breaks&b != 0 {
			words = append(words, w)
		}
	}
	say(breakTTL, fmt.Sprintf("its TTL is %d, that of the side's others %d to %d", r.ttl, r.low, r.high))
	say(breakID, "its IP ID is out of their series")
	say(breakTS, "it lacks the timestamps that they carry")
	say(breakAlone, "it answers nothing")
	if len(words) == 0 {
		return ""
	}
	return "; " + strings.Join(words, ", ")
}
