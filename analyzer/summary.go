package analyzer

// tracked is what only the tracker needs of a flow.
type tracked struct {
	limits  *Limits  // of the tracker
	profile *Profile // of the tracker

	synAt, synackAt, establishedAt    int64
	synRetransmits, synackRetransmits int
	fastOpen                          bool // data of the SYN was accepted

	closeAt int64
	closer  Side
	closeBy CloseBy
	resetAt int64
	resetBy Side

	older             *Flow // the flow before it on the pair, while both may have segments
	candidate         bool  // its SYN came while older lived, and is not answered
	challenged        bool  // older goes on all the same
	denied            bool  // and so does the side that the SYN names
	reuse             bool  // its first segment reuses a pair
	reuseOf, reuseAge int64

	before, after *Flow // in its list
	list          uint8
	queued        int64
}

// summarise fills in what is known only when a flow ends.
func (f *Flow) summarise() {
	f.summariseHandshake()
	f.summariseClose()
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
	case f.closeBy == CloseByICMP && f.reached(f.Client, Closed):
		h.Result = HandshakeRejectedICMP
	case !v.hasISN && f.resetAt != 0:
		h.Result = HandshakeRefused
	case f.resetAt != 0:
		h.Result = HandshakeAborted
	case v.hasISN:
		h.Result = HandshakeHalfOpen
	default:
		h.Result = HandshakeUnanswered
	}
	if f.synAt != 0 && f.synackAt >= f.synAt {
		h.RTTServer = f.synackAt - f.synAt
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
func (f *Flow) reached(s Side, st State) bool {
	for i := range f.Transitions {
		if t := &f.Transitions[i]; t.Side == s && t.To == st && t.Withdrawn == "" {
			return true
		}
	}
	return false
}

func (f *Flow) summariseClose() {
	c := &f.Close
	*c = Close{ActiveCloser: NoSide}
	if f.closeAt != 0 {
		c.ActiveCloser, c.By = f.closer, f.closeBy
		c.Duration = max(0, min(f.lastChange(), f.Now)-f.closeAt)
	}
	a, b := &f.Sides[0], &f.Sides[1]
	fins := 0
	for i := range f.Sides {
		if f.Sides[i].hasFIN {
			fins++
		}
	}
	switch ended := a.State == Closed || b.State == Closed; {
	case f.resetAt != 0 && ended && f.closeBy == CloseByRST && f.Handshake.Result == HandshakeEstablished:
		c.Result = CloseAborted
	case f.resetAt != 0 && ended && !f.finished():
		c.Result = CloseReset
	case fins == 0 && ended: // given up: by timeout, or ICMP
		c.Result = CloseAborted
	case fins == 0 && a.State < Established && b.State < Established:
		c.Result = CloseUnknown
	case fins == 0:
		c.Result = CloseOpen
	case f.finished():
		c.Result = CloseClosed
	case fins == 1 && (a.State == FinWait2 || b.State == FinWait2 || a.State == CloseWait || b.State == CloseWait):
		c.Result = CloseHalfClosed
	default:
		c.Result = CloseClosing
	}
	if c.Result == CloseOpen {
		*c = Close{ActiveCloser: NoSide}
	} else if !f.finished() && c.By == CloseByFIN && c.Result != CloseReset {
		c.Duration = max(0, f.Now-f.closeAt)
	}
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
