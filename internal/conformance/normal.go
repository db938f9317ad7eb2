package conformance

import (
	"math"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// How far a packet at a tap and the state that it causes may lie apart: a
// path's delay here is 2 ms a hop, 15 ms in a few scenarios, and a poll sees a
// state up to 20 ms late.
const (
	pathDelay = int64(100 * time.Millisecond)
	// A kernel dates an application's call before the segment that it makes;
	// the taps' stamps are taken later still, or a little earlier.
	clockSlack = int64(5 * time.Millisecond)
	// A state that lasts less than this passed within one segment's
	// processing (quirks 3 and 7 of the README).
	instant = int64(time.Millisecond)
	forever = math.MaxInt64
)

// kernelStep is one state of the kernel's history, and whether a tracker at
// this tap may leave it out.
type kernelStep struct {
	state    analyzer.State
	from, to int64  // it began within [from, to]
	elide    string // why it may be left out; empty when it is asked for
	excuse   bool   // elide is about what the tap lacks, not about the instant
	ours     int64  // when we say that it began, where we have it
	passed   bool   // TIME_WAIT may have passed unseen before it
}

// ourStep is one state of our history, and whether the kernel may lack it.
type ourStep struct {
	state analyzer.State
	tr    *analyzer.Transition // nil for the state before the first transition
	elide string
}

// side is one side of one connection at one tap, ready to be compared.
type side struct {
	ours    []ourStep
	kernel  []kernelStep
	sock    *Socket
	evid    *evidence
	side    analyzer.Side
	begin   int64 // when the next incarnation and this one begin
	end     int64
	initial analyzer.State
}

// resting reports whether a state is that of no connection: which of the three
// it is no packet says, until one is refused.
func resting(s analyzer.State) bool {
	return s == analyzer.Closed || s == analyzer.Listen || s == analyzer.Unknown
}

// steps turns the kernel's record into what is asked of a tracker at this tap.
func (d *side) steps() {
	for i, k := range d.sock.States {
		st, ok := analyzer.ParseState(k.State)
		if !ok {
			continue
		}
		ks := kernelStep{state: st, from: k.Time, to: k.Time, passed: len(k.MayHavePassed) > 0}
		if k.After != 0 {
			ks.from = k.After
		}
		if k.Source == "trace-promotion" {
			ks.from = 0 // it began some time earlier (quirk 2)
		}
		if i == 0 && k.Time == 0 {
			d.initial = st
			if resting(st) {
				continue
			}
		}
		d.kernel = append(d.kernel, ks)
	}
	for i := range d.kernel {
		d.judge(i)
	}
}

// judge says whether the tap's packets imply kernel step i.
func (d *side) judge(i int) {
	k := &d.kernel[i]
	allow := func(why string, excuse bool) {
		if k.elide == "" {
			k.elide, k.excuse = why, excuse
		}
	}
	if i+1 < len(d.kernel) {
		next := d.kernel[i+1]
		if k.from != 0 && next.to-k.from < instant && d.shown(*k) == 0 {
			allow("lasted an instant", false)
		}
		if first, midstream := d.firstPacket(); midstream && next.to <= first {
			allow("over before the capture begins", true)
		}
	}
	switch k.state {
	case analyzer.FinWait1, analyzer.LastAck:
		if n, _ := d.evid.within(k.from-clockSlack, d.end, sentBy(d.side, analyzer.FIN, analyzer.FIN)); n == 0 {
			allow("closed, and no FIN of it at this tap", true)
		}
	case analyzer.Closed:
		if !d.closedByPacket(i) {
			allow("silent end: no packet at this tap about then", true)
		}
	}
}

// firstPacket returns when this tap first has the connection, and whether
// that is not its SYN.
func (d *side) firstPacket() (int64, bool) {
	syns, _ := d.evid.within(d.begin, d.end, func(p seen) bool {
		return p.flags&(analyzer.SYN|analyzer.ACK) == analyzer.SYN
	})
	_, first := d.evid.within(d.begin, d.end, func(p seen) bool { return true })
	return first, syns == 0
}

// closedByPacket reports whether the tap has a packet that can have made the
// kernel's move to CLOSED at step i: a RST either way, an ICMP error, the ACK
// of a FIN. A timer that ran out, or an application that closed in SYN_SENT,
// leaves none (quirk 6).
func (d *side) closedByPacket(i int) bool {
	k := d.kernel[i]
	before := analyzer.Unknown
	if i > 0 {
		before = d.kernel[i-1].state
	}
	n, _ := d.evid.within(k.from-pathDelay, k.to+pathDelay, func(p seen) bool {
		towards := p.from != d.side && p.segment
		switch {
		case p.icmp:
			return p.from == d.side && before == analyzer.SynSent && p.time <= k.to
		case p.flags&analyzer.RST != 0:
			return p.from == d.side || p.time <= k.to
		case before == analyzer.LastAck || before == analyzer.Closing:
			return towards && p.flags&analyzer.ACK != 0 && p.time <= k.to
		case before == analyzer.FinWait2 && k.passed:
			return towards && p.flags&analyzer.FIN != 0 && p.time <= k.to
		}
		return false
	})
	return n > 0
}

// history turns a flow's record of one side into steps.
func (d *side) history(f *Flow) (chain string) {
	believed := f.believed(d.side)
	for i := range believed {
		t := &believed[i]
		if i > 0 && believed[i-1].To != t.From {
			chain = "from " + t.From.String() + " follows to " + believed[i-1].To.String()
		}
		if i == 0 && !resting(t.From) {
			d.ours = append(d.ours, ourStep{state: t.From})
		}
		d.ours = append(d.ours, ourStep{state: t.To, tr: t})
	}
	for i := range d.ours {
		d.allow(i)
	}
	return chain
}

// allow says whether the kernel may lack our step i.
func (d *side) allow(i int) {
	o := &d.ours[i]
	if o.tr == nil {
		return
	}
	if i+1 < len(d.ours) {
		if n := d.ours[i+1].tr; n.Frame == o.tr.Frame && n.Frame != 0 {
			o.elide = "passed within one segment"
		}
	}
	switch {
	case o.tr.Trigger == analyzer.FoundOpen || o.tr.Trigger == analyzer.FoundOpened:
		o.elide = "where a late capture first finds a side"
	case o.state == analyzer.SynReceived && d.initial == analyzer.Listen && len(d.kernel) > 0 &&
		d.kernel[0].state == analyzer.Established:
		o.elide = "SYN cookie: a SYN+ACK without a SYN_RECEIVED (quirk 7)"
	case o.state == analyzer.TimeWait && d.mayHavePassed():
		o.elide = "TIME_WAIT for less than a poll's interval"
	}
}

func (d *side) mayHavePassed() bool {
	for _, k := range d.kernel {
		if k.passed {
			return true
		}
	}
	return false
}
