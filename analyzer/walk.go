package analyzer

import (
	"fmt"
	"slices"
)

// How a side's proven state and its inbox make the believed one, and the record of
// transitions: see Endpoint.

// rewalk walks the side's proven state through its inbox, and makes the record
// say so: transitions that no longer follow are withdrawn for the reason
// given, new ones are added.
func (f *Flow) rewalk(s Side, why string, frame uint64) {
	f.plain = false
	e := &f.Sides[s]
	st, basis, since := e.proven, e.provenBasis, e.provenSince
	doubt := Inferred
	for i := range e.inbox {
		in := &e.inbox[i]
		to := Unknown
		if in.counts(st) {
			to = next[st][in.on]
		}
		if in.trans >= 0 {
			if tr := &f.Transitions[in.trans]; to == Unknown || tr.From != st || tr.To != to {
				tr.withdraw(why, frame)
				in.trans = -1
			}
		}
		if to == Unknown {
			continue
		}
		doubt = max(doubt, in.basis) // what rests on an assumption is one
		if in.trans >= 0 {
			f.Transitions[in.trans].Basis = doubt
		} else {
			in.trans = f.record(Transition{Side: s, From: st, To: to, Trigger: in.on,
				Basis: doubt, Time: in.first.time, Frame: in.first.frame})
		}
		st, basis, since = to, doubt, f.Transitions[in.trans].Time
	}
	e.State, e.Basis, e.Since = st, basis, since
	f.order(-1, e.inbox)
}

// order puts transitions that were recorded late into their place in the
// side's history: first, where it is one, and then those of the inputs, in the
// order of the walk.
func (f *Flow) order(first int, inbox []input) {
	last, sorted := first, true
	for i := range inbox {
		if t := inbox[i].trans; t >= 0 {
			sorted = sorted && t > last
			last = t
		}
	}
	if sorted {
		return
	}
	var at []int // where the transitions of the chain stand
	if first >= 0 {
		at = append(at, first)
	}
	for i := range inbox {
		if inbox[i].trans >= 0 {
			at = append(at, inbox[i].trans)
		}
	}
	chain := make([]Transition, len(at))
	for i, t := range at {
		chain[i] = f.Transitions[t]
	}
	slices.Sort(at)
	for i, t := range at {
		f.Transitions[t] = chain[i]
	}
	if first >= 0 {
		at = at[1:]
	}
	for i, n := 0, 0; i < len(inbox); i++ {
		if inbox[i].trans >= 0 {
			inbox[i].trans = at[n]
			n++
		}
	}
}

// withdraw marks the transition. One that only no longer follows from what is
// now known to come before it has no reason of its own.
func (t *Transition) withdraw(why string, frame uint64) {
	if why == "" {
		why = "what comes before it turned out otherwise"
		if frame != 0 {
			why += fmt.Sprintf(" in frame %s", FrameText(frame))
		}
	}
	t.Withdrawn = &Withdrawal{Why: why, Frame: frame}
}

// maxTransitions bounds a flow's record: what is believed is a dozen for each
// side, the rest is withdrawn.
const maxTransitions = 256

func (f *Flow) record(t Transition) int {
	f.Transitions = append(f.Transitions, t)
	return len(f.Transitions) - 1
}

// forget drops the older half of a long record's withdrawn transitions.
func (f *Flow) forget() {
	moved := make([]int, len(f.Transitions))
	kept := f.Transitions[:0]
	for i, t := range f.Transitions {
		if t.Withdrawn != nil && i < maxTransitions/2 {
			f.Forgotten++
			continue
		}
		moved[i] = len(kept)
		kept = append(kept, t)
	}
	f.Transitions = kept
	for s := range f.Sides {
		for i := range f.Sides[s].inbox {
			if in := &f.Sides[s].inbox[i]; in.trans >= 0 {
				in.trans = moved[in.trans]
			}
		}
	}
}

// begin sets where a side stands before its first event. It is no transition.
func (f *Flow) begin(s Side, st State, b Basis, since int64) {
	e := &f.Sides[s]
	e.proven, e.provenBasis, e.provenSince = st, b, since
	f.rewalk(s, "", 0)
}

// move takes an event that is certain, or that is assumed for good: the only
// way in which a proven state changes, but for prove.
func (f *Flow) move(s Side, on Event, b Basis, p passing) bool {
	e := &f.Sides[s]
	to := next[e.proven][on]
	if to == Unknown {
		return false
	}
	made := f.record(Transition{Side: s, From: e.proven, To: to, Trigger: on, Basis: b, Time: p.time, Frame: p.frame})
	e.proven, e.provenBasis, e.provenSince = to, b, p.time
	f.rewalk(s, on.instead(), p.frame)
	f.order(made, e.inbox)
	return true
}

// queue adds an input to a side's inbox.
func (f *Flow) queue(s Side, in input) {
	e := &f.Sides[s]
	in.trans = -1
	e.inbox = append(e.inbox, in)
	f.rewalk(s, "", in.first.frame)
}

// prove takes the first n inputs of a side for good: x, which the side sent,
// shows that they reached it. What it sent or received of RSTs among them is
// belied, since it goes on.
func (f *Flow) prove(s Side, n int, x *Segment) {
	e := &f.Sides[s]
	e.orderByArrival(n, x)
	for i := range n {
		in := &e.inbox[i]
		to := next[e.proven][in.on]
		if in.on == RcvRST || in.on == SndRST || in.on == Timeout || in.on == RcvICMP {
			if x.Flags&RST == 0 {
				f.drop(in, "the side goes on", x.Frame)
				continue
			}
		}
		if to == Unknown {
			f.drop(in, "", x.Frame)
			continue
		}
		f.confirm(s, in, to, x)
		f.order(in.trans, e.inbox[i+1:])
	}
	e.inbox = append(e.inbox[:0], e.inbox[n:]...)
	f.rewalk(s, "", x.Frame)
}

// confirm makes one input's transition certain, at the copy that x shows.
func (f *Flow) confirm(s Side, in *input, to State, x *Segment) {
	e := &f.Sides[s]
	if in.trans >= 0 {
		if tr := &f.Transitions[in.trans]; tr.From != e.proven || tr.To != to {
			f.drop(in, "", x.Frame)
		}
	}
	c := in.pick(x, e)
	if in.trans < 0 {
		in.trans = f.record(Transition{Side: s, From: e.proven, To: to, Trigger: in.on, Basis: in.basis})
	}
	tr := &f.Transitions[in.trans]
	tr.Time, tr.Frame = c.time, c.frame
	tr.ConfirmedAt, tr.ConfirmedFrame = x.Time, x.Frame
	e.proven, e.provenBasis, e.provenSince = to, Observed, c.time
}

// drop withdraws what an input had moved.
func (f *Flow) drop(in *input, why string, frame uint64) {
	if in.trans >= 0 {
		f.Transitions[in.trans].withdraw(why, frame)
		in.trans = -1
	}
}

// remove takes input i back: it never reached the side, or never was.
func (f *Flow) remove(s Side, i int, why string, frame uint64) {
	e := &f.Sides[s]
	f.drop(&e.inbox[i], why, frame)
	e.inbox = append(e.inbox[:i], e.inbox[i+1:]...)
	f.rewalk(s, why, frame)
}

// release lets inputs count that were held until the side had been silent for
// long enough. atEnd says that nothing more can come from it.
func (f *Flow) release(s Side, now int64, atEnd bool) {
	e := &f.Sides[s]
	changed := false
	for i := range e.inbox {
		in := &e.inbox[i]
		if in.hold == holdSilence && now > in.until || in.hold == holdEnd && atEnd {
			in.hold = holdNot
			changed = true
		}
	}
	if changed {
		f.rewalk(s, "", 0)
	}
}

// orderByArrival puts the ACK of the side's FIN before the peer's FIN, among
// the n inputs that x proves, where x shows that only a later copy of that FIN
// arrived: later than the ACK.
func (e *Endpoint) orderByArrival(n int, x *Segment) {
	i, a := e.find(RcvFIN), e.find(RcvACKofFIN)
	if i < 0 || a < i || a >= n {
		return
	}
	fin, ack := &e.inbox[i], &e.inbox[a]
	p, q := fin.pick(x, e), ack.pick(x, e)
	if p.frame == fin.first.frame || CompareFrames(p.frame, p.time, q.frame, q.time) <= 0 {
		return
	}
	e.moveTo(a, i)
}

// moveTo moves the input at one place of the inbox to an earlier one.
func (e *Endpoint) moveTo(from, to int) {
	in := e.inbox[from]
	copy(e.inbox[to+1:from+1], e.inbox[to:from])
	e.inbox[to] = in
}
