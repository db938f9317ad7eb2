package conformance

import (
	"fmt"
	"strings"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Lag is for how long one side's state, as we date it, was not the kernel's.
type Lag struct {
	Conn int
	Side string
	Time time.Duration

	Ours, Kernel string // with times after the tap's first packet
}

// roundTrip is how long the two may differ at a time: a tap cannot date what
// happens beyond it better than a round trip.
const roundTrip = int64(50 * time.Millisecond)

// point is a state from a time on.
type point struct {
	at    int64
	state analyzer.State
}

// lag adds up the time in which our state of a side is not the kernel's, up to
// the end of the capture; differences of up to a round trip do not count. The
// kernel's states that this tap's packets do not show are left out, and what a
// side's own segment shows counts from when the tap has that segment: a FIN
// may be held back (quirk 4), a SYN+ACK lost before the tap.
func (r *Result) lag(end int64, p pairing, role Role, d *side) {
	end = min(end, p.end)
	var kernel, ours []point
	for i, k := range d.kernel {
		if k.state == analyzer.Unknown {
			continue
		}
		at := max(k.to, d.shown(k))
		if i+1 < len(d.kernel) {
			at = min(at, d.kernel[i+1].to)
		}
		if k.excuse {
			at = k.ours // nothing at this tap dates it
		}
		kernel = append(kernel, point{at, k.state})
	}
	for _, o := range d.ours {
		if o.tr != nil {
			ours = append(ours, point{o.tr.Time, o.state})
		}
	}
	first, _ := d.firstPacket()
	r.Watched += time.Duration(max(0, end-first))
	if t := differ(kernel, ours, first, end); t > 0 {
		r.Lag = append(r.Lag, Lag{p.conn, role.String(), time.Duration(t), timesText(d.ours, d.evid.packets[0].time), kernelText(d.kernel, d.evid)})
	}
}

// differ returns for how long within [from, to] two histories are in different
// states, spells of up to a round trip left out.
func differ(a, b []point, from, to int64) (total int64) {
	var spell int64
	sa, sb := analyzer.Closed, analyzer.Closed
	count := func() {
		if spell > roundTrip {
			total += spell
		}
		spell = 0
	}
	for now := from; now < to; {
		for len(a) > 0 && a[0].at <= now {
			sa, a = a[0].state, a[1:]
		}
		for len(b) > 0 && b[0].at <= now {
			sb, b = b[0].state, b[1:]
		}
		next := to
		if len(a) > 0 {
			next = min(next, a[0].at)
		}
		if len(b) > 0 {
			next = min(next, b[0].at)
		}
		if sa == sb || resting(sa) && resting(sb) {
			count()
		} else {
			spell += next - now
		}
		now = next
	}
	count()
	return total
}

// shown returns when the tap first has the segment with which the side shows
// that it entered the state; 0 when it needs none.
func (d *side) shown(k kernelStep) (at int64) {
	var flags, mask analyzer.Flags
	switch k.state {
	case analyzer.SynSent:
		flags, mask = analyzer.SYN, analyzer.SYN|analyzer.ACK
	case analyzer.SynReceived:
		flags, mask = analyzer.SYN|analyzer.ACK, analyzer.SYN|analyzer.ACK
	case analyzer.FinWait1, analyzer.LastAck:
		flags, mask = analyzer.FIN, analyzer.FIN
	default:
		return 0
	}
	_, at = d.evid.within(max(k.from-clockSlack, d.begin), d.end, sentBy(d.side, flags, mask))
	return at
}

// timesText spells a history with the times after the tap's first packet.
func timesText(ours []ourStep, zero int64) string {
	var b []string
	for _, o := range ours {
		if o.tr != nil {
			b = append(b, fmt.Sprintf("%s%s%+.3f", o.state, mark(o.tr), float64(o.tr.Time-zero)/1e9))
		}
	}
	return strings.Join(b, " ")
}
