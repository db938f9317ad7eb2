package analyzer

// State is a TCP connection state of RFC 9293 3.3.2, as one side's socket has
// it.
type State uint8

// The states, in RFC 9293's order and spelling. Unknown is a side that the
// capture has not yet said anything about.
const (
	Unknown State = iota
	Closed
	Listen
	SynSent
	SynReceived
	Established
	FinWait1
	FinWait2
	CloseWait
	Closing
	LastAck
	TimeWait
	NumStates = iota
)

var stateNames = [NumStates]string{
	"UNKNOWN", "CLOSED", "LISTEN", "SYN_SENT", "SYN_RECEIVED", "ESTABLISHED",
	"FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT",
}

// String spells the state as RFC 9293 does, with underscores.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}

// ParseState returns the state of that name. Case does not matter, and a
// hyphen (as in ss) is as good as an underscore.
func ParseState(name string) (State, bool) {
	for i, n := range stateNames {
		if equalName(name, n) {
			return State(i), true
		}
	}
	return Unknown, false
}

func equalName(given, name string) bool {
	if len(given) != len(name) {
		return false
	}
	for i := range len(given) {
		c := given[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c == '-' {
			c = '_'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

// Synchronized reports whether both ends have agreed on their sequence
// numbers: ESTABLISHED and all that follows it (RFC 9293 3.5.2).
func (s State) Synchronized() bool { return s >= Established }

// Event is what happens to one side: a control segment that it receives or
// sends, or a timer that runs out. Events know no sequence numbers; whoever
// makes one has already judged the numbers.
type Event uint8

// The events. The names say what the side does: Rcv events reach it, Snd
// events leave it.
const (
	NoEvent Event = iota
	RcvSYN
	RcvSYNACK
	RcvACKofSYN
	RcvFIN
	RcvACKofFIN
	RcvRST
	SndSYN
	SndSYNACK
	SndFIN
	SndRST
	Timeout     // 2 MSL, or the last retry of a handshake
	RcvICMP     // a hard ICMP error that quotes its SYN
	FoundOpen   // the capture starts within an open connection
	FoundOpened // the capture starts at the SYN+ACK: this side's SYN went before
	NumEvents   = iota
)

var eventNames = [NumEvents]string{
	"", "received SYN", "received SYN+ACK", "received ACK of SYN",
	"received FIN", "received ACK of FIN", "received RST",
	"sent SYN", "sent SYN+ACK", "sent FIN", "sent RST",
	"timeout", "received ICMP error", "capture starts mid-stream",
	"capture starts after SYN",
}

// String says the event as a trigger of a transition.
func (e Event) String() string { return eventNames[e] }

// instead says that the event came where another was believed.
func (e Event) instead() string { return insteadNames[e] }

var insteadNames = func() (names [NumEvents]string) {
	for e, n := range eventNames {
		names[e] = "the side " + n + " instead"
	}
	return names
}()

// Arc is one arrow of RFC 9293's Figure 5: a side in From that meets On is
// afterwards in To. Note says where the RFC has it.
type Arc struct {
	From State
	On   Event
	To   State
	Note string
}

// Arcs is Figure 5 with its notes, row by row: the only moves that a side can
// make. FIN_WAIT_1 to TIME_WAIT (note 3 of the figure) is not a row, because
// the segment that makes it carries two events, ACK of FIN and FIN, each with
// its own arrow; so does the FIN that completes a handshake. Rows whose note is not of the figure say whose they are.
var Arcs = []Arc{
	{Closed, SndSYN, SynSent, "active OPEN, snd SYN"},
	{Listen, SndSYN, SynSent, "SEND, snd SYN"},
	{Listen, SndSYNACK, SynReceived, "rcv SYN, snd SYN,ACK"},
	{SynSent, SndSYNACK, SynReceived, "rcv SYN, snd SYN,ACK: simultaneous open"},
	{SynSent, RcvSYNACK, Established, "rcv SYN,ACK, snd ACK"},
	// In a simultaneous open that answers a bare SYN with a bare ACK, the
	// ACK is all that a side in SYN_SENT still lacks (3.10.7.3, fourth step).
	{SynSent, RcvACKofSYN, Established, "rcv ACK of SYN, after the peer's SYN"},
	{SynReceived, RcvACKofSYN, Established, "rcv ACK of SYN"},
	{SynReceived, RcvSYNACK, Established, "rcv ACK of SYN, on the peer's SYN,ACK: simultaneous open"},
	{SynReceived, SndFIN, FinWait1, "CLOSE, snd FIN"},
	{Established, SndFIN, FinWait1, "CLOSE, snd FIN"},
	{Established, RcvFIN, CloseWait, "rcv FIN, snd ACK"},
	{FinWait1, RcvACKofFIN, FinWait2, "rcv ACK of FIN"},
	{FinWait1, RcvFIN, Closing, "rcv FIN, snd ACK"},
	{FinWait2, RcvFIN, TimeWait, "rcv FIN, snd ACK"},
	{CloseWait, SndFIN, LastAck, "CLOSE, snd FIN"},
	{Closing, RcvACKofFIN, TimeWait, "rcv ACK of FIN"},
	{LastAck, RcvACKofFIN, Closed, "rcv ACK of FIN"},
	{TimeWait, Timeout, Closed, "timeout=2MSL, delete TCB"},
	{SynSent, Timeout, Closed, "R2 reached for the SYN (3.8.3)"},
	{SynReceived, Timeout, Closed, "R2 reached for the SYN,ACK (3.8.3)"},
	{SynSent, RcvICMP, Closed, "hard ICMP error (3.9.2.2)"},

	// Note 2 of the figure: RST ends every state, for who sends it (ABORT,
	// 3.10.5) and for who receives it (3.10.7.3, 3.10.7.4).
	{SynSent, RcvRST, Closed, "rcv RST"},
	{SynReceived, RcvRST, Closed, "rcv RST"},
	{Established, RcvRST, Closed, "rcv RST"},
	{FinWait1, RcvRST, Closed, "rcv RST"},
	{FinWait2, RcvRST, Closed, "rcv RST"},
	{CloseWait, RcvRST, Closed, "rcv RST"},
	{Closing, RcvRST, Closed, "rcv RST"},
	{LastAck, RcvRST, Closed, "rcv RST"},
	{TimeWait, RcvRST, Closed, "rcv RST (RFC 1337)"},
	{SynSent, SndRST, Closed, "ABORT"},
	{SynReceived, SndRST, Closed, "ABORT, snd RST"},
	{Established, SndRST, Closed, "ABORT, snd RST"},
	{FinWait1, SndRST, Closed, "ABORT, snd RST"},
	{FinWait2, SndRST, Closed, "ABORT, snd RST"},
	{CloseWait, SndRST, Closed, "ABORT, snd RST"},
	{Closing, SndRST, Closed, "ABORT"},
	{LastAck, SndRST, Closed, "ABORT"},
	{TimeWait, SndRST, Closed, "ABORT"},

	// Not of the figure: where a capture that starts late first finds a side.
	{Unknown, FoundOpen, Established, "mid-stream"},
	{Unknown, FoundOpened, SynSent, "mid-stream, first segment is SYN,ACK"},
	{Unknown, SndSYNACK, SynReceived, "mid-stream, first segment is SYN,ACK"},
}

// next is Arcs turned for lookup: next[from][on], Unknown where no arrow goes.
var next = func() (t [NumStates][NumEvents]State) {
	for _, a := range Arcs {
		t[a.From][a.On] = a.To
	}
	return t
}()
