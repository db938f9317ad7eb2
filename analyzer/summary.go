package analyzer

// tracked is what only the tracker needs of a flow.
type tracked struct {
	synAt, synackAt, establishedAt    int64
	askedAt                           int64 // time of the last SYN that no SYN+ACK has come after; 0: none
	serverHalf                        int64 // from a SYN to the first SYN+ACK after it, the latest such
	answered                          bool  // serverHalf means something
	synRetransmits, synackRetransmits int
	talker                            Side // 1 + the side whose payload came last; 0: nobody's yet
	fastOpen                          bool // data of the SYN was accepted
	synData                           uint32
	probe                             Flags // of the first segment, when it had none of ACK, SYN and RST
	resets                            [2]resetMarks
	stream                            uint32 // id of Wireshark's conversation, of the first segment; 0: none

	candidate         bool // its SYN came while older lived, and is not answered
	challenged        bool // older goes on all the same
	denied            bool // and so does the side that the SYN names
	reuse             bool // its first segment reuses a pair
	opened            bool // OnHandshake was given it
	reuseOf, reuseAge int64
}

// flowRefs is what few flows have.
type flowRefs struct {
	idle    *idle  // nil: it has never been silent for idleAfter
	mirrors []Key  // on other paths, that repeat its segments
	older   *Flow  // the flow before it on the pair, while both may have segments
	zeek    *zeek  // nil without Config.Peers
	told    []told // to Config.OnFinding
}

// summarise fills in what is known only when a flow ends.
func (f *Flow) summarise() {
	f.summariseHandshake()
	f.summariseClose()
	if f.zeek != nil {
		f.Zeek = f.zeek.result()
	}
}

// tellPeers lets a segment act on what other tools have of the flow; of and
// flags are what it is to Wireshark.
func (t *Tracker) tellPeers(f *Flow, s Side, x *Segment, of *conversation, flags streamFlags) {
	if f.stream == 0 && of != nil {
		t.streams.hold(f, of)
	}
	f.Sides[s].Counters.count(flags)
	if f.zeek == nil {
		f.zeek = new(zeek)
	}
	f.zeek.take(s, x)
}

func (f *Flow) summariseHandshake() {
	c, v := &f.Sides[f.Client], &f.Sides[f.Server()]
	h := &f.Handshake
	*h = Handshake{RTT: -1, RTTServer: -1, RTTClient: -1,
		SYNRetransmits: f.synRetransmits, SYNACKRetransmits: f.synackRetransmits}
	switch {
	case f.Guessed || f.synAt == 0 && c.proven != SynSent && !v.hasISN:
		h.Result = HandshakeMidstream
	case f.reached(f.Server(), Established) || f.reached(f.Server(), FinWait1):
		h.Result = HandshakeEstablished
	case f.took(RcvICMP):
		h.Result = HandshakeRejectedICMP
	case !v.hasISN && f.took(RcvRST):
		h.Result = HandshakeRefused
	case f.took(RcvRST) || f.took(SndRST):
		h.Result = HandshakeAborted
	case v.hasISN:
		h.Result = HandshakeHalfOpen
	default:
		h.Result = HandshakeUnanswered
	}
	if f.answered {
		h.RTTServer = f.serverHalf
	}
	if f.establishedAt >= f.synackAt && f.synackAt != 0 && f.establishedAt != 0 {
		h.RTTClient = f.establishedAt - f.synackAt
	}
	if h.RTTServer < 0 || h.RTTClient < 0 {
		return
	}
	h.RTT = h.RTTServer + h.RTTClient
	switch {
	case h.RTT == 0:
	case h.RTTClient*10 <= h.RTT:
		h.Tap = TapNearClient
	case h.RTTServer*10 <= h.RTT:
		h.Tap = TapNearServer
	default:
		h.Tap = TapMiddle
	}
}

// moved reports whether a side has ever changed state.
func (f *Flow) moved(s Side) bool {
	for i := range f.Transitions {
		if f.Transitions[i].Side == s {
			return true
		}
	}
	return false
}

// reached reports whether a side was believed to enter a state.
func (f *Flow) reached(s Side, st State) bool { return f.entered(s, st) != nil }

// took reports whether a transition of that kind is believed, of either side.
func (f *Flow) took(on Event) bool {
	for i := range f.Transitions {
		if t := &f.Transitions[i]; t.Trigger == on && t.Withdrawn == nil {
			return true
		}
	}
	return false
}

// closeEvents says what each event that can begin a close is, as a summary
// names it.
var closeEvents = [NumEvents]CloseBy{
	SndFIN: CloseByFIN, SndRST: CloseByRST, RcvRST: CloseByRST, RcvICMP: CloseByICMP, Timeout: CloseByTimeout,
}

// firstClose returns the believed transition that began the close, or nil.
func (f *Flow) firstClose() (first *Transition) {
	for i := range f.Transitions {
		t := &f.Transitions[i]
		if closeEvents[t.Trigger] != CloseByNothing && t.Withdrawn == nil && (first == nil || t.Time < first.Time) {
			first = t
		}
	}
	return first
}

func (f *Flow) summariseClose() {
	c := &f.Close
	*c = Close{Result: f.closeResult(), ActiveCloser: NoSide}
	first := f.firstClose()
	if first == nil {
		return
	}
	c.By = closeEvents[first.Trigger]
	switch first.Trigger {
	case SndFIN, SndRST:
		c.ActiveCloser = first.Side
	case RcvRST:
		c.ActiveCloser = first.Side.Peer()
	}
	end := f.lastChange()
	if c.Result == CloseHalfClosed || c.Result == CloseClosing {
		end = f.Now // it goes on
	}
	c.Duration = max(0, end-first.Time)
	if c.Result == CloseReset && c.By == CloseByRST && f.Handshake.Result == HandshakeEstablished {
		c.Result = CloseAborted // no FIN before it
	}
}

// closeResult says how far the closing went.
func (f *Flow) closeResult() CloseResult {
	a, b := f.Sides[0].State, f.Sides[1].State
	in := func(s State) bool { return a == s || b == s }
	ended := in(Closed)
	fin := f.Sides[0].hasFIN || f.Sides[1].hasFIN
	both := f.Sides[0].hasFIN && f.Sides[1].hasFIN
	switch {
	case f.finished():
		return CloseClosed
	case ended && (f.took(SndRST) || f.took(RcvRST)):
		return CloseReset
	case ended && !fin:
		return CloseAborted // given up, by timeout or for an ICMP error
	case !fin && a < Established && b < Established:
		return CloseUnknown
	case !fin:
		return CloseOpen
	case !both && (in(FinWait2) || in(CloseWait)):
		return CloseHalfClosed
	}
	return CloseClosing
}

// finished reports whether both sides have closed in order.
func (f *Flow) finished() bool {
	for i := range f.Sides {
		if st := f.Sides[i].State; !f.Sides[i].hasFIN || st != Closed && st != TimeWait {
			return false
		}
	}
	return true
}

// remarkAll remembers each of the facts of x.
func (f *Flow) remarkAll(facts Facts, s Side, x *Segment) {
	for facts != 0 {
		one := facts & -facts
		facts &^= one
		f.remark(one, s, x.Time, x.Frame)
	}
}

func (f *Flow) remark(fact Facts, s Side, at int64, frame uint64) {
	r := f.Remark(fact, s)
	if r == nil {
		f.Remarks = append(f.Remarks, Remark{Fact: fact, Side: s, First: at, Frame: frame})
		r = &f.Remarks[len(f.Remarks)-1]
	}
	r.Count++
	r.Last, r.LastFrame = at, frame
}
