package analyzer

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// settle lets a segment that side s sent prove or disprove what is in its
// inbox. repeats says that x sends again what s has sent before.
func (f *Flow) settle(s Side, x *Segment, repeats bool) {
	e := &f.Sides[s]
	for i := e.solid() - 1; i >= 0; i-- {
		if f.proves(s, &e.inbox[i], x) {
			f.prove(s, i+1, x)
			break
		}
	}
	f.arrived(s, x)
	for i := 0; i < len(e.inbox); {
		in := &e.inbox[i]
		why := f.disproves(s, in, x, repeats)
		if why == "" {
			i++
			continue
		}
		if in.on == RcvACKofSYN || in.on == RcvSYNACK || in.on == RcvACKofFIN {
			e.broken[in.on] = min(e.broken[in.on]+1, math.MaxUint8-1)
		}
		f.remove(s, i, why, x.Frame)
	}
}

// arrived lets assumed inputs count that x acknowledges: they were received,
// though in what order stays unknown.
func (f *Flow) arrived(s Side, x *Segment) {
	e := &f.Sides[s]
	changed := false
	for i := range e.inbox {
		in := &e.inbox[i]
		if in.hold != holdNot && in.hasEnd && x.Flags&ACK != 0 && in.end.LessEq(x.Ack) {
			in.hold = holdNot
			changed = true
		}
	}
	if changed {
		f.rewalk(s, "", x.Frame)
	}
}

// solid returns how many inputs come before the first that is assumed: what
// rests on an assumption is proved by nothing that came after it.
func (e *Endpoint) solid() int {
	for i := range e.inbox {
		if e.inbox[i].basis == Assumed {
			return i
		}
	}
	return len(e.inbox)
}

// proves reports whether x, which side s sent, shows that the input reached
// it.
func (f *Flow) proves(s Side, in *input, x *Segment) bool {
	plain := x.Flags&(SYN|RST) == 0
	switch in.on {
	case RcvRST:
		return x.Flags&(RST|ACK) == RST // only a port without a socket answers so
	case SndFIN, SndRST, Timeout, RcvICMP:
		return false
	case RcvSYNACK:
		// A SYN and its SYN+ACK share a number: a SYN+ACK of this side
		// answers the older of the two.
		return plain && x.Flags&ACK != 0 && in.end.LessEq(x.Ack)
	case RcvACKofSYN:
		if plain && !f.fastOpen {
			return true
		}
		if plain && x.Time-in.first.time > f.Sides[s].threshold() {
			return true
		}
	}
	if in.hasEnd && x.Flags&ACK != 0 && in.end.LessEq(x.Ack) {
		return true
	}
	// What x does not acknowledge it has not received, whatever it echoes:
	// another segment may have had the same TSVal.
	return in.on != RcvFIN && in.echoedBy(x)
}

// echoedBy reports whether x echoes the TSVal of the input's first copy, or a
// later one, and that TSVal was new then (RFC 7323 4.3).
func (in *input) echoedBy(x *Segment) bool {
	return in.first.newTS && x.Options.Set&OptTimestamps != 0 &&
		int32(x.Options.TSEcr-in.first.ts) >= 0
}

// disproves returns why x, which side s sent, shows that the input has not
// reached it; empty when it shows nothing of the sort.
func (f *Flow) disproves(s Side, in *input, x *Segment, repeats bool) string {
	e := &f.Sides[s]
	if e.hasTS && x.Options.Set&OptTimestamps != 0 && int32(x.Options.TSVal-e.tsMax) < 0 {
		return "" // an older segment, late
	}
	gap := x.Time - in.last.time
	late := gap > e.threshold()
	syn, ack := x.Flags&SYN != 0, x.Flags&ACK != 0
	switch in.on {
	case RcvRST:
		if late && x.Flags&RST == 0 {
			return fmt.Sprintf("the side goes on in frame %s, %s after the RST passed", FrameText(x.Frame), since(gap))
		}
	case SndRST:
		if x.Flags&(SYN|RST) == 0 && f.newerThan(s, in, x, late) {
			return fmt.Sprintf("the side that the RST names goes on in frame %s, %s after it", FrameText(x.Frame), since(gap))
		}
	case RcvACKofSYN:
		if late && syn && ack && x.Seq == e.isn {
			return fmt.Sprintf("SYN+ACK sent again in frame %s, %s after the ACK passed", FrameText(x.Frame), since(gap))
		}
	case RcvSYNACK, RcvICMP:
		if late && syn && !ack {
			return fmt.Sprintf("SYN sent again in frame %s, %s after the answer passed", FrameText(x.Frame), since(gap))
		}
	case RcvACKofFIN:
		if late && repeats && e.hasFIN && x.occupies() && x.Seq.LessEq(e.fin) {
			return fmt.Sprintf("FIN sent again in frame %s, %s after the ACK passed", FrameText(x.Frame), since(gap))
		}
	case RcvFIN:
		if late && in.basis != Assumed && ack && x.Ack.Less(in.end) && x.Flags&RST == 0 {
			return fmt.Sprintf("still acknowledges less in frame %s, %s after the FIN passed", FrameText(x.Frame), since(gap))
		}
	case Timeout:
		if x.Flags&RST == 0 {
			return fmt.Sprintf("the side goes on in frame %s", FrameText(x.Frame))
		}
	}
	return ""
}

// newerThan reports whether side s sent x after what the input says it sent:
// by a TSVal above all before, else by time.
func (f *Flow) newerThan(s Side, in *input, x *Segment, late bool) bool {
	e := &f.Sides[s]
	if e.hasTS && x.Options.Set&OptTimestamps != 0 {
		return int32(x.Options.TSVal-e.tsMax) > 0 && int32(x.Options.TSVal-in.first.ts) > 0
	}
	return late
}

// since says a duration as a sentence needs it.
func since(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return strconv.Itoa(int(d.Round(time.Millisecond)/time.Millisecond)) + " ms"
	case d < 10*time.Minute:
		return string(append(strconv.AppendFloat(make([]byte, 0, 16), d.Seconds(), 'f', 1, 64), " s"...))
	}
	return d.Round(time.Second).String()
}

// patience says how often a side may belie a promise before the next one is
// not believed at once. One lost ACK of a FIN is likelier lost once than
// twice; an ACK of SYN that a server does not take is refused again and again,
// for as long as its accept queue is full. Zero: such a promise is always
// believed.
var patience = [NumEvents]uint8{RcvACKofSYN: 1, RcvSYNACK: 1, RcvACKofFIN: 2}

// promise puts an input that x carries into the inbox of the side that it goes
// to, or notes a further copy of one that is there.
func (f *Flow) promise(to Side, on Event, x *Segment, in input) {
	e := &f.Sides[to]
	p := f.passing(to.Peer(), x)
	if i := e.find(on); i >= 0 {
		e.inbox[i].again(p)
		if on == RcvRST && e.inbox[i].hold == holdProof && !e.dark(x.Time) {
			e.inbox[i].hold = in.hold // it has spoken since the first
			f.rewalk(to, "", x.Frame)
		}
		if !e.inbox[i].hasEnd && x.occupies() {
			e.inbox[i].end, e.inbox[i].hasEnd = x.end(), true
		}
		return
	}
	in.on, in.first, in.last = on, p, p
	switch {
	case in.hold != holdNot || on == SndRST: // dark is the path to a side; this it sent
	case e.dark(x.Time):
		in.hold = holdProof
	case patience[on] > 0 && e.broken[on] >= patience[on]:
		in.hold = holdSilence
		in.until = e.resent.last + 2*e.resent.interval + e.threshold()
	}
	f.queue(to, in)
}

// sentBy reports whether side s sent x; a socket connected to itself is both.
func (f *Flow) sentBy(s Side, x *Segment) bool {
	return x.Src == f.Key.Addr[s] && x.SrcPort == f.Key.Port[s]
}

// passing describes x as a copy of what side s sends, passing the tap. Where x
// is the peer's, which only reveals it, its timestamps are not the copy's.
func (f *Flow) passing(s Side, x *Segment) passing {
	p := passing{time: x.Time, frame: x.Frame}
	e := &f.Sides[s]
	if x.Options.Set&OptTimestamps != 0 && f.sentBy(s, x) {
		p.ts = x.Options.TSVal
		p.newTS = !e.hasTS || int32(p.ts-e.tsMax) > 0
	}
	return p
}

// certify proves something that the side itself did, whatever is undecided
// about what reached it: its place is before that.
func (f *Flow) certify(s Side, on Event, x *Segment) {
	e := &f.Sides[s]
	i := e.find(on)
	if i < 0 {
		return
	}
	e.moveTo(i, 0)
	f.prove(s, 1, x)
}

// noteDark takes the believed inputs of a side that has gone silent back,
// where only its answer can tell whether they arrived: a SYN+ACK or FIN is
// answered at once, or it was lost beyond the tap.
func (f *Flow) noteDark(s Side, x *Segment) {
	e := &f.Sides[s]
	if !e.dark(x.Time) {
		return
	}
	changed := false
	for i := range e.inbox {
		in := &e.inbox[i]
		if (in.on == RcvSYNACK || in.on == RcvFIN) && in.hold == holdNot && in.basis != Assumed {
			in.hold = holdProof
			changed = true
		}
	}
	if changed {
		f.rewalk(s, fmt.Sprintf("no answer to %d segments in %s", e.obliging, since(x.Time-e.obligingAt)), x.Frame)
	}
}
