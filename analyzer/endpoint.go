package analyzer

import (
	"fmt"
	"slices"
	"time"
)

// Endpoint is one side of a flow as the tap can know it.
//
// What the side has sent is proof and moves its proven state. What was sent to
// it is a promise and waits in its inbox until the side's own segments prove
// or disprove it. The believed state is the proven one walked through the
// inbox:
//
//	proven ──inbox[0]──► ? ──inbox[1]──► ? … = State
type Endpoint struct {
	State       State // the believed state
	Basis       Basis // of State; Observed when its last transition is certain
	proven      State
	provenBasis Basis
	Turns       uint32 // how often it began to send payload after its peer had, or first
	LastSent    int64  // time of its last segment; 0 when it sent none
	LastFrame   uint64
	LastData    int64 // time of its last new payload; 0 when it sent none
	receiver
	sender
	Counters Counters
	control
	Offered Negotiated

	Since       int64 // when State began, ns since 1970-01-01 UTC; 0 when not known
	provenSince int64
	timeWait    int64 // when 2 MSL last began; 0: with Since
	ackAtFIN    Seq   // what it had acknowledged when it sent its FIN
	base        Seq   // what relative numbers count from
	hasBase     bool

	// What is above holds no pointer: see dormant.go.
	inbox []input
	endpointRefs
}

// endpointRefs is what few sides have.
type endpointRefs struct {
	spans   spanSet
	trouble *trouble    // nil: it has had none
	run     *run        // nil: it has sent nothing twice
	big     *bigSegment // nil: none was sent again before one had passed
	stalls  *stalls     // nil: it has never closed its window
	odd     *oddWindows // nil: nothing odd about its windows
}

// sender is what the tap has seen a side send. Everything in [isn, contig) has
// gone past the tap or was acknowledged; nxt is the highest number sent; spans
// lie between the two.
type sender struct {
	started  bool   // nxt and contig mean something
	hasTS    bool   // tsMax means something
	loose    bool   // its only segment so far may be a keep-alive, one below nxt
	partial  bool   // its last payload continues in IP fragments not seen as TCP
	lostHead bool   // a segment smaller than full was lost, as the next that its peer waited for
	topID    uint16 // its last IP ID, but for those of segments that come late
	marks           // of its segments that were no RST

	nxt, contig Seq
	tsMax       uint32 // highest TSVal sent
	// The first segment as large as the path's ends allow: none larger than
	// fullFrom went before full.
	fullFrom uint32
	full     Seq
	gap      span // acknowledged last without having gone past
	copies   copyRing
	payloads payloadRing
}

// control is what the tap has seen a side send besides: its SYN and FIN, and what
// was remarkable.
type control struct {
	hasISN    bool
	hasFIN    bool // a FIN counts: seen, or assumed
	finSeen   bool // and it was captured
	finPassed bool // its peer's inbox has it, or had
	crossed   bool // its FIN, unseen, went before the peer's reached it
	// mayHaveFIN: up to nxt some octets went unseen, and the last of them may
	// be a FIN. Whoever sends a FIN of its own after acknowledging them is in
	// FIN_WAIT_1 or in LAST_ACK.
	mayHaveFIN bool

	isn     Seq
	fin     Seq    // number of its FIN
	largest uint32 // its largest segment of those that no link carries

	// How many of its segments were what ours says they are (Facts).
	repeated, duplicateACKs, keepAlives uint64

	resent  resends
	finLast passing
}

// receiver is what a side has told of its receiving half.
type receiver struct {
	ack        Seq
	window     uint32 // last one, scaled
	maxWindow  uint32 // highest so far, scaled
	edge       Seq    // right edge of its window: SND.UNA+SND.WND of its peer
	edgeBefore Seq    // and as another of its segments bore it out
	hasACK     bool
	hasEdge    bool // edge means something
	shift      uint8
	shiftKnown bool
	scaleUsed  bool  // its peer has sent what fits only a scaled window
	idle       uint8 // length of the exchange of idle ACKs that its last segment is part of; 0: of none
	hasBad     bool
	badSYNACK  Seq // ACK of a SYN+ACK to it that acknowledged no SYN of its own

	rttEnd   Seq
	rttStart int64 // 0: no segment is being timed
	rtt      int64 // shortest time from a segment past the tap to its ACK from here; 0: none yet
	rttLast  int64 // and the latest: queues make it grow

	// Segments that obliged it to answer, since it last spoke.
	obligingAt int64
	obliging   uint32
	broken     [NumEvents]uint8 // how often it has belied a promise of that kind
	provokedAt int64            // when a RST or SYN reached it that asks for a challenge ACK; 0: none waits
}

// resends remembers when a side last repeated a control segment, to know when
// to expect the next: timers back off by doubling (RFC 6298 5.5).
type resends struct {
	last     int64
	interval int64
}

func (r *resends) sent(now int64) {
	if r.last != 0 {
		r.interval = now - r.last
	}
	r.last = now
}

// run counts how often a side has sent one thing again, or probed, since its
// peer last said anything.
type run struct {
	what                  Facts // FactRetransmission, FactKeepAlive or FactWindowProbe; 0: none
	seq                   Seq
	n                     int
	first, last           int64
	firstGap, gap         int64 // between the first two, and the last two
	firstFrame, lastFrame uint64
}

// repeats notes that the side sent x again, or as a probe. What is sent again
// into a closed window probes it: some stacks do so with an octet of data.
func (e *Endpoint) repeats(what Facts, x *Segment, p *Endpoint) {
	if e.run == nil {
		e.run = new(run)
	}
	r := e.run
	if c := p.stall(); c != nil {
		what = FactWindowProbe
		c.probes++
	}
	if r.what != what || r.seq != x.Seq || p.LastSent > r.first {
		*r = run{what: what, seq: x.Seq, n: 1, first: x.Time, last: x.Time, firstFrame: x.Frame, lastFrame: x.Frame}
		return
	}
	r.n++
	r.gap = x.Time - r.last
	if r.n == 2 {
		r.firstGap = r.gap
	}
	r.last, r.lastFrame = x.Time, x.Frame
}

// stalls are the times for which a side kept its window closed. Few do.
type stalls struct {
	closed  stall // at is 0 while the window is open
	longest stall // of those into which the peer probed
	n       int   // how many of those
}

// stall is one of them.
type stall struct {
	at, held int64
	frame    uint64
	opened   uint64 // the frame that opened the window again
	probes   int    // that its peer sent into it: data was waiting
}

// windowMoves follows the closing and the opening of a side's window.
func (e *Endpoint) windowMoves(x *Segment) {
	if e.stalls == nil {
		e.stalls = new(stalls)
	}
	c := &e.stalls.closed
	switch {
	case e.window == 0 && c.at == 0 && x.Flags&(SYN|FIN|RST) == 0: // theirs are none
		*c = stall{at: x.Time, frame: x.Frame}
	case e.window != 0 && c.at != 0:
		c.held, c.opened = x.Time-c.at, x.Frame
		if c.probes > 0 {
			e.stalls.n++
			if c.held > e.stalls.longest.held {
				e.stalls.longest = *c
			}
		}
		*c = stall{}
	}
}

// stall returns the time for which the side's window has been closed until
// now, or nil when it is open.
func (e *Endpoint) stall() *stall {
	if e.stalls == nil || e.stalls.closed.at == 0 {
		return nil
	}
	return &e.stalls.closed
}

// input is one thing that went past the tap towards a side, or that the side
// itself did in a way that something later may belie.
type input struct {
	on    Event
	basis Basis // Inferred, or Assumed when no segment says it
	hold  hold

	// The side's ACK of end proves the input; a TSEcr at or after the copy's
	// TSVal does where that was new.
	hasEnd bool
	end    Seq

	until             int64   // for holdSilence: when it counts
	trans             int     // its transition in Flow.Transitions; -1: it made none
	first, prev, last passing // copies of the segment
}

// passing is one copy of a segment going past the tap.
type passing struct {
	time  int64
	frame uint64
	ts    uint32
	newTS bool // ts was above everything its sender had sent
}

// hold says when an input is not believed for now.
type hold uint8

const (
	holdNot     hold = iota
	holdProof        // only a proof makes it count: the path to the side looks dark
	holdSilence      // the side broke such a promise: proof, or silence past `until`
	holdEnd          // silence to the capture's end (RFC 5961 3.2, no challenge ACK seen)
)

// Without a sample of the round trip, this is taken for twice its length.
const defaultThreshold = int64(50 * time.Millisecond)

// darkAfter is how long a side may leave obliging segments unanswered, beyond
// the threshold: the longest delayed ACK of today's stacks (RFC 9293 3.8.6.3
// allows 500 ms, stacks take 40 to 200).
const darkAfter = int64(200 * time.Millisecond)

// threshold is how long after a copy of a segment passed the tap the side's
// next segments tell whether it arrived: twice the round trip from the tap to
// the side and back, as last measured, plus 1 ms. The shortest one would do on
// a path without queues; where one builds up, it calls segments late that
// left the side in time.
func (e *Endpoint) threshold() int64 {
	if e.rtt == 0 {
		return defaultThreshold
	}
	return 2*e.rttLast + int64(time.Millisecond)
}

// sample ends the timing of a round trip with the ACK that answers. One longer
// than a full retransmission timeout, with nothing sent again, was answered by
// an ACK that the capture lacks.
func (e *Endpoint) sample(x *Segment) {
	if e.rttStart == 0 || x.Flags&ACK == 0 || x.Ack.Less(e.rttEnd) {
		return
	}
	if d := x.Time - e.rttStart; d > 0 && d < fullRTO {
		e.rttLast = d
		if e.rtt == 0 || d < e.rtt {
			e.rtt = d
		}
	}
	e.rttStart = 0
}

// dark reports whether the side, which the tap can see, has left two or more
// segments unanswered that receivers answer at once (RFC 9293 3.10.7.4).
func (e *Endpoint) dark(now int64) bool {
	return e.LastSent != 0 && e.obliging >= 2 && now-e.obligingAt > e.threshold()+darkAfter
}

// oblige notes a segment to the side that it must answer.
func (e *Endpoint) oblige(now int64) {
	if e.obliging == 0 {
		e.obligingAt = now
	}
	e.obliging++
}

// counts reports whether the walk believes an input that meets a side in
// state st.
func (in *input) counts(st State) bool {
	switch in.hold {
	case holdNot:
		return true
	case holdProof:
		// A FIN repeated into silence was lost beyond the tap, or its ACK
		// before it. In FIN_WAIT_2 both stories end alike, but for a timer;
		// elsewhere one of them accuses, and needs proof.
		return in.on == RcvFIN && st == FinWait2
	}
	return false
}

// find returns the place of the first input of that kind in the inbox, or -1.
func (e *Endpoint) find(on Event) int {
	for i := range e.inbox {
		if e.inbox[i].on == on {
			return i
		}
	}
	return -1
}

// again notes a further copy of an input.
func (in *input) again(p passing) {
	if in.last.frame == p.frame {
		return
	}
	in.prev, in.last = in.last, p
}

// pick returns the copy that the side's answer x shows to have arrived: the
// one whose TSVal it echoes, else the latest that is at least a shortest round
// trip old. An ACK keeps its first copy, unless the side has belied such a one
// before: had it not arrived, the side would have sent again what it covers.
func (in *input) pick(x *Segment, e *Endpoint) passing {
	ack := in.on == RcvACKofSYN || in.on == RcvACKofFIN
	if ack && e.broken[in.on] == 0 || in.last.frame == in.first.frame {
		return in.first
	}
	for _, c := range [...]passing{in.last, in.prev, in.first} {
		if c.frame == 0 {
			continue
		}
		if x.Options.Set&OptTimestamps != 0 && c.ts != 0 {
			if int32(x.Options.TSEcr-c.ts) >= 0 {
				return c
			}
		} else if x.Time-c.time >= e.rtt {
			return c
		}
	}
	return in.first
}

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
