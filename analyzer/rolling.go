package analyzer

import "math"

// rolling is a Roll that flows are added to. The latest of them wait as briefs
// to be counted together, so that each touches little memory, and a group of
// few flows takes little.
type rolling struct {
	briefs    []brief
	low, high [2]int64 // the least and most of both halves of the round trip
	roll      *Roll    // of the flows before; nil: none
}

// maxBriefs is how many flows wait to be counted.
const maxBriefs = 64

// brief is all that a Roll counts of a flow, unless a side is stuck.
type brief struct {
	handshake HandshakeResult
	ends      uint8 // 1<<i: that side ended it with RST; 4<<i: it held TIME_WAIT
	states    [2]State
	halves    [2]uint16 // the bucket of each; noBucket: not known
}

// brief returns that of a flow.
func (f *Flow) brief() brief {
	b := brief{handshake: f.Handshake.Result, halves: [2]uint16{noBucket, noBucket}}
	if b.handshake == HandshakeEstablished {
		for i, v := range f.halves() {
			if v >= 0 {
				b.halves[i] = bucketOf(v)
			}
		}
	}
	for i, s := range [2]Side{f.Client, f.Server()} {
		b.states[i] = f.Sides[s].State
		if f.reached(s, TimeWait) {
			b.ends |= 4 << i
		}
		if f.aborted(s) {
			b.ends |= 1 << i
		}
	}
	return b
}

// halves returns both halves of the handshake's round trip.
func (f *Flow) halves() [2]int64 { return [2]int64{f.Handshake.RTTServer, f.Handshake.RTTClient} }

// add counts a flow by its brief.
func (r *rolling) add(f *Flow, b brief) {
	if r.briefs == nil {
		r.low = [2]int64{math.MaxInt64, math.MaxInt64}
	}
	for i, v := range f.halves() {
		if b.halves[i] != noBucket {
			r.low[i], r.high[i] = min(r.low[i], v), max(r.high[i], v)
		}
	}
	if len(r.briefs) == maxBriefs {
		r.counted()
	}
	r.briefs = append(r.briefs, b)
	if len(f.Findings) == 0 {
		return
	}
	for i, s := range [2]Side{f.Client, f.Server()} {
		if st := b.states[i]; st != Closed && f.stuck(s) {
			r.counted().stick(i == 1, st, f.Number, f.InState(s))
		}
	}
}

// counted returns the Roll of all flows so far.
func (r *rolling) counted() *Roll {
	if r.roll == nil {
		r.roll = &Roll{}
	}
	for _, b := range r.briefs {
		r.roll.count(b)
	}
	r.briefs = r.briefs[:0]
	for i, l := range [2]*Latency{&r.roll.ServerHalf, &r.roll.ClientHalf} {
		if l.N > 0 {
			l.Min, l.Max = r.low[i], r.high[i]
		}
	}
	return r.roll
}

// stuck reports whether a finding says that the side is stuck in its state.
func (f *Flow) stuck(s Side) bool {
	for i := range f.Findings {
		if n := &f.Findings[i]; n.Side == s && n.Detector.Stuck && !n.Pending {
			return true
		}
	}
	return false
}
