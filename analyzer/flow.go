package analyzer

import (
	"iter"
	"net/netip"
)

// Side is one end of a flow: an index that follows address order and never
// changes. Which side opened the flow is learnt (Flow.Client).
type Side uint8

// NoSide stands where a thing concerns no side in particular.
const NoSide Side = 2

// Peer returns the other side.
func (s Side) Peer() Side { return s ^ 1 }

// Basis says on what evidence a state or transition is claimed.
type Basis uint8

// The bases. What a side has sent is proof; what was sent to it is a promise;
// what no segment says is assumed.
const (
	Observed Basis = iota
	Inferred
	Assumed
)

var basisNames = [...]string{"observed", "inferred", "assumed"}

// String returns the name that every output uses.
func (b Basis) String() string { return basisNames[b] }

// Transition is one side's change of state. A withdrawn one stays in the
// record, marked; the believed history is the record without them.
type Transition struct {
	Side     Side
	From, To State
	Trigger  Event
	Basis    Basis
	told     bool   // OnTransition was given it,
	toldBack bool   // and that it was taken back
	Time     int64  // of the segment that made it, ns since 1970-01-01 UTC
	Frame    uint64 // that segment's frame; 0 for a timeout

	// An inferred transition becomes confirmed, or withdrawn.
	ConfirmedAt    int64
	ConfirmedFrame uint64 // 0: not confirmed

	// What is above holds no pointer: see dormant.go.
	Withdrawn *Withdrawal // nil: it was not taken back
}

// Withdrawal says why a transition was taken back.
type Withdrawal struct {
	Why   string
	Frame uint64 // that shows it; 0: none does
}

// String returns the reason; of nil, nothing.
func (w *Withdrawal) String() string {
	if w == nil {
		return ""
	}
	return w.Why
}

// Certain reports whether the side's own segments prove the transition.
func (t *Transition) Certain() bool {
	return t.Basis == Observed || t.ConfirmedFrame != 0
}

// Key names an address and port pair, the lower endpoint first, so that both
// directions of a connection have one key. The same pair in another VLAN or
// tunnel is another one: customers' networks overlap. It is comparable and
// holds no pointer.
type Key struct {
	Addr [2]Addr
	Port [2]uint16
	Path uint32 // Segment.Path
}

// HandshakeResult says how the opening went.
type HandshakeResult uint8

// The results of a handshake, as interface.md names them.
const (
	HandshakeMidstream HandshakeResult = iota // the capture did not see it
	HandshakeUnanswered
	HandshakeHalfOpen
	HandshakeEstablished
	HandshakeRefused
	HandshakeAborted
	HandshakeRejectedICMP
)

var handshakeNames = [...]string{
	"midstream", "unanswered", "half-open", "established", "refused", "aborted", "rejected-icmp",
}

// String returns the name that every output uses.
func (r HandshakeResult) String() string { return handshakeNames[r] }

// Tap says where the capture was taken, as the handshake's round trip shows.
type Tap uint8

// The places of a tap: a side's half of the round trip is no more than a
// tenth of the whole, or neither is.
const (
	TapUnknown Tap = iota
	TapNearClient
	TapNearServer
	TapMiddle
)

var tapNames = [...]string{"", "near-client", "near-server", "middle"}

// String returns the name that every output uses; empty when unknown.
func (t Tap) String() string { return tapNames[t] }

// Handshake summarises the opening of a flow.
type Handshake struct {
	Result HandshakeResult
	// The round trip as the tap saw it, ns, and its two halves: tap to server
	// and back (SYN to SYN+ACK), tap to client and back (SYN+ACK to ACK).
	// Negative when not known.
	RTT, RTTServer, RTTClient         int64
	Tap                               Tap
	SYNRetransmits, SYNACKRetransmits int
}

// CloseResult says how far the closing of a flow went.
type CloseResult uint8

// The results of a close, as interface.md names them.
const (
	CloseOpen CloseResult = iota
	CloseClosed
	CloseHalfClosed
	CloseClosing
	CloseReset
	CloseAborted
	CloseUnknown
)

var closeNames = [...]string{"open", "closed", "half-closed", "closing", "reset", "aborted", "unknown"}

// String returns the name that every output uses.
func (r CloseResult) String() string { return closeNames[r] }

// CloseBy says what began the close.
type CloseBy uint8

// What can begin a close.
const (
	CloseByNothing CloseBy = iota
	CloseByFIN
	CloseByRST
	CloseByICMP
	CloseByTimeout
)

var closeByNames = [...]string{"", "FIN", "RST", "ICMP", "timeout"}

// String returns the name that every output uses; empty when nothing did.
func (b CloseBy) String() string { return closeByNames[b] }

// Close summarises the end of a flow.
type Close struct {
	Result       CloseResult
	ActiveCloser Side // who sent the first FIN or RST; NoSide when nobody did
	By           CloseBy
	Duration     int64 // from the first FIN or RST to the last change of state or the flow's end, ns
}

// Counters count one side's own segments.
type Counters struct {
	Segments uint64 // all, capture duplicates left out
	Bytes    uint64 // payload octets, each counted once
	// These five are Wireshark's, and counted with Config.Peers only: the
	// segments of which its tcp.analysis says so.
	Retransmitted uint32 // retransmission, with those that are fast or spurious
	OutOfOrder    uint32 // out_of_order
	DuplicateACK  uint32 // duplicate_ack
	KeepAlive     uint32 // keep_alive
	ZeroWindow    uint32 // zero_window

	Resets            uint64
	SYN               uint64
	FIN               uint64
	CaptureDuplicates uint64 // the same packet recorded again
	CaptureLostBytes  uint64 // acknowledged by the peer and never captured
}

// Negotiated are the options that a side's SYN or SYN+ACK offered.
type Negotiated struct {
	Known bool // the SYN was captured, whole
	Options
}

// Addr returns the address and port of a side.
func (f *Flow) Addr(s Side) netip.AddrPort {
	return netip.AddrPortFrom(f.Key.Addr[s].Netip(), f.Key.Port[s])
}

// Server returns the side that did not open the flow.
func (f *Flow) Server() Side { return f.Client.Peer() }

// Flow is one TCP connection: one incarnation of an address and port pair.
// A Flow passed to a callback is valid during the call only; its memory is
// used again.
type Flow struct {
	place
	Key        Key
	Number     int    // in the order of the flows' first frames, from 0
	Link       uint32 // Segment.Link of the first frame
	Client     Side
	Guessed    bool // who is the client is a guess: no SYN was captured
	plain      bool // see predict.go
	ReplacedBy int  // number of the flow that took over the address pair, or -1

	Start, End            int64 // time of the first and last frame, ns since 1970-01-01 UTC
	FirstFrame, LastFrame uint64
	Frames                uint64
	Forgotten             int // withdrawn transitions dropped from a record grown too long
	tracked

	// What is above holds no pointer: see dormant.go.
	Sides       [2]Endpoint
	Transitions []Transition
	Remarks     []Remark
	Findings    []Finding
	Unreached   *Unreachable // the last ICMP error that quoted it; nil: none did
	flowRefs
	*rules

	// Filled in when the flow is handed on.
	Now       int64 // the capture's clock then
	Handshake Handshake
	Close     Close
	Zeek      Zeek      // what Zeek says of it; with Config.Peers
	Wireshark Wireshark // what Wireshark says of it; with Config.Peers
}

// InState returns for how long a side has been in its state when the flow was
// handed on, ns; negative when the capture does not say since when.
func (f *Flow) InState(s Side) int64 {
	if since := f.Sides[s].Since; since != 0 {
		return f.Now - since
	}
	return -1
}

// Silent returns for how long a side has sent nothing, ns; negative when it
// never sent anything.
func (f *Flow) Silent(s Side) int64 {
	if last := f.Sides[s].LastSent; last != 0 {
		return f.Now - last
	}
	return -1
}

// Believed goes through the history of a side as the whole capture lets us believe
// it: its transitions without those that were taken back, in their order.
func (f *Flow) Believed(s Side) iter.Seq[*Transition] {
	return func(yield func(*Transition) bool) {
		for i := range f.Transitions {
			if t := &f.Transitions[i]; t.Side == s && t.Withdrawn == nil && !yield(t) {
				return
			}
		}
	}
}

// StateAt returns the state that a side was in at an instant (ns since
// 1970-01-01 UTC), as the whole capture lets us believe it, with its basis and
// since when: 0 when the side had not changed state yet.
func (f *Flow) StateAt(s Side, at int64) (st State, basis Basis, since int64) {
	e := &f.Sides[s]
	st, basis = e.State, e.Basis
	moved := false
	for t := range f.Believed(s) {
		if !moved {
			st, basis, moved = t.From, Assumed, true
		}
		if t.Time > at {
			break
		}
		st, basis, since = t.To, t.Basis, t.Time
		if t.Certain() {
			basis = Observed
		}
	}
	return st, basis, since
}
