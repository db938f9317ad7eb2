package analyzer

import "testing"

// figure5 is RFC 9293's Figure 5 and its notes, read off the page arrow by
// arrow and independently of Arcs: from, what happens, to.
var figure5 = map[State]map[Event]State{
	Closed: {
		SndSYN: SynSent, // active OPEN
		// Passive OPEN and the CLOSE of LISTEN and SYN-SENT show in no packet.
	},
	Listen: {
		SndSYN:    SynSent,     // SEND
		SndSYNACK: SynReceived, // rcv SYN
	},
	SynSent: {
		SndSYNACK:   SynReceived, // rcv SYN
		RcvSYNACK:   Established,
		RcvACKofSYN: Established, // 3.10.7.3, fourth step, after a bare SYN
		SndRST:      Closed, RcvRST: Closed, Timeout: Closed, RcvICMP: Closed,
	},
	SynReceived: {
		RcvACKofSYN: Established,
		RcvSYNACK:   Established, // the same ACK on a SYN,ACK: Figure 7, line 6
		SndFIN:      FinWait1,
		SndRST:      Closed, RcvRST: Closed, Timeout: Closed,
	},
	Established: {SndFIN: FinWait1, RcvFIN: CloseWait, SndRST: Closed, RcvRST: Closed},
	FinWait1:    {RcvACKofFIN: FinWait2, RcvFIN: Closing, SndRST: Closed, RcvRST: Closed},
	FinWait2:    {RcvFIN: TimeWait, SndRST: Closed, RcvRST: Closed},
	CloseWait:   {SndFIN: LastAck, SndRST: Closed, RcvRST: Closed},
	Closing:     {RcvACKofFIN: TimeWait, SndRST: Closed, RcvRST: Closed},
	LastAck:     {RcvACKofFIN: Closed, SndRST: Closed, RcvRST: Closed},
	TimeWait:    {Timeout: Closed, SndRST: Closed, RcvRST: Closed},
	// Where a capture that starts late first finds a side.
	Unknown: {FoundOpen: Established, FoundOpened: SynSent, SndSYNACK: SynReceived},
}

func TestArcsAreFigure5(t *testing.T) {
	type half struct {
		from State
		on   Event
	}
	seen := map[half]bool{}
	for _, a := range Arcs {
		h := half{a.From, a.On}
		if seen[h] {
			t.Errorf("two arcs for %s, %q", a.From, a.On)
		}
		seen[h] = true
		switch to, ok := figure5[a.From][a.On]; {
		case !ok:
			t.Errorf("the figure has no arc %s -> %s on %q", a.From, a.To, a.On)
		case to != a.To:
			t.Errorf("%s on %q goes to %s, in the figure to %s", a.From, a.On, a.To, to)
		}
		if a.Note == "" {
			t.Errorf("arc %s -> %s says nothing of its source", a.From, a.To)
		}
	}
	for from, row := range figure5 {
		for on, to := range row {
			if !seen[half{from, on}] {
				t.Errorf("no arc %s -> %s on %q", from, to, on)
			}
		}
	}
}

func TestEveryStateIsReached(t *testing.T) {
	reached := [NumStates]bool{Unknown: true, Closed: true, Listen: true} // where sides begin
	for again := true; again; {
		again = false
		for _, a := range Arcs {
			if reached[a.From] && !reached[a.To] {
				reached[a.To], again = true, true
			}
		}
	}
	for s, ok := range reached {
		if !ok {
			t.Errorf("no way leads to %s", State(s))
		}
	}
}

// Every state but LISTEN's mid-stream stand-in can be left: nothing is a trap
// but CLOSED after the end, and that opens again.
func TestEveryStateIsLeft(t *testing.T) {
	var left [NumStates]bool
	for _, a := range Arcs {
		left[a.From] = true
	}
	for s, ok := range left {
		if !ok {
			t.Errorf("no way leads out of %s", State(s))
		}
	}
}

func TestNextIsArcs(t *testing.T) {
	n := 0
	for from := range State(NumStates) {
		for on := range Event(NumEvents) {
			if next[from][on] != Unknown {
				n++
			}
		}
	}
	if n != len(Arcs) {
		t.Errorf("the lookup has %d arcs, the table %d", n, len(Arcs))
	}
}

func TestStateNames(t *testing.T) {
	for s := range State(NumStates) {
		if got, ok := ParseState(s.String()); !ok || got != s {
			t.Errorf("ParseState(%q) = %v, %v", s.String(), got, ok)
		}
	}
	for _, name := range []string{"close-wait", "CLOSE-WAIT", "close_wait"} {
		if got, ok := ParseState(name); !ok || got != CloseWait {
			t.Errorf("ParseState(%q) = %v, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "CLOSE", "CLOSE WAIT", "ESTAB"} {
		if got, ok := ParseState(name); ok {
			t.Errorf("ParseState(%q) = %v", name, got)
		}
	}
	for e := range Event(NumEvents) {
		if e != NoEvent && e.String() == "" {
			t.Errorf("event %d has no name", e)
		}
	}
}

func TestSynchronized(t *testing.T) {
	// RFC 9293 3.5.2: groups 1 and 2 are the non-synchronized states, with LISTEN.
	for _, s := range []State{Unknown, Closed, Listen, SynSent, SynReceived} {
		if s.Synchronized() {
			t.Errorf("%s is not synchronized", s)
		}
	}
	for _, s := range []State{Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait} {
		if !s.Synchronized() {
			t.Errorf("%s is synchronized", s)
		}
	}
}
