package analyzer

import "time"

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
