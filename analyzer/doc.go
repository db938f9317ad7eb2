// Package analyzer rebuilds the RFC 9293 states of both sides of every TCP
// connection from captured segments, with the evidence for each.
//
// # What a tap can know
//
// A tracker at a tap sees segments, not sockets. What a side has sent is proof
// of that side's state; what was sent to it is only a promise, since the
// segment may still be lost, delayed or rejected beyond the tap. So each side
// of a flow has
//
//   - a proven state, moved only by what the side itself sends, and
//   - an inbox of what went past the tap towards it and is not answered for:
//     SYN+ACK, ACK of SYN, FIN, ACK of FIN, RST.
//
// The state that is reported is the proven one walked through the inbox
// (Flow.rewalk). When the side's next segment proves an input, its transition
// is confirmed; when it disproves it, the transition is withdrawn, with the
// reason, and the rest of the inbox is walked again from where the side then
// stands. That is how simultaneous open and close come out right without a
// rule of their own.
//
// # Words
//
//	flow        one connection: one incarnation of an address and port pair
//	side        one end of a flow, 0 or 1 by address order
//	client      the side that sent the first SYN
//	basis       on what a claim rests: Observed, Inferred (a promise), or
//	            Assumed (a timer, or a part that the capture missed)
//	confirmed   an inferred transition that a later segment of the side proves
//	withdrawn   one that a later segment of the side disproves
//	unseen      sent, but never captured
//	hidden      a side none of whose segments were captured
//	dark        a side that has left what it must answer unanswered
//
// # Where things are
//
// Figure 5 of RFC 9293 is the table Arcs in state.go: it knows no sequence
// numbers. observe.go, open.go, fin.go and reset.go turn a segment's numbers into
// events and know no arrows. settle.go says what a side's segment proves about
// its inbox, endpoint.go holds proven state and inbox, walk.go walks the one
// through the other, predict.go takes the next segment in order the short way,
// and incarnation.go decides which of two connections on one pair a segment
// belongs to. tracker.go and table.go keep the flows and the clock, index.go and
// dormant.go find and pack those that are held, and shards.go shares them among
// cores.
//
// A segment is taken in the order of RFC 9293 3.10.7.4, first for its sender:
//
//	copy of one seen? ─► what it proves and disproves in its sender's inbox
//	─► its sender's own unseen FIN ─► its ACK: the peer's unseen FIN, the
//	peer's inbox ─► payload ─► FIN ─► what that lets pass to the peer
//
// # Rules that real captures taught
//
// The measure is the Linux kernel's own record of its sockets' states beside
// captures at both ends and in between (internal/conformance). These rules are
// its lessons, beyond the RFC's text:
//
//   - A segment is late when it passes more than twice the latest measured
//     round trip, plus 1 ms, after what it might answer. The shortest round
//     trip so far is not enough: where a queue builds up, segments that a side
//     sent before a FIN reached it pass the tap long after the FIN did.
//   - A SYN+ACK or ACK of SYN that a retransmission belied is not believed
//     again at once: only when proved, or when its receiver stays silent past
//     its next retransmission; an ACK of FIN, once it was belied twice (one is
//     likelier lost once than twice, a full accept queue stays full). A FIN in
//     the same segment shares its fate.
//   - A side that the tap has seen and that leaves two obliging segments
//     unanswered for longer than any delayed ACK is dark: a SYN+ACK, FIN or
//     RST to it is believed only when proved. What a dark side sends itself, a
//     RST above all, is proof as ever.
//   - The order of a FIN and the ACK of one's own FIN is that of the copies
//     that arrived, and of the moment when the FIN came into order. A bare
//     answer to a FIN that stands beyond a FIN of its own, unseen, was sent in
//     CLOSING: from LAST_ACK nothing bare leaves unasked.
//   - An ACK one beyond what was captured, or a bare segment standing one
//     beyond, reveals a FIN that went unseen; more than one, lost data, the
//     last octet of which may have been a FIN. Whatever rests on such an
//     unseen octet is Assumed until the side's further segments show better.
//   - A side in LAST_ACK had acknowledged its peer's FIN with its own, seen or
//     not. Of a peer that the tap does not see at all the same is assumed, and
//     that a FIN which is not sent again within a full retransmission timeout
//     was acknowledged.
//   - A RST without ACK comes from a port without a socket: what was promised
//     to that side and not proved was never accepted. A RST that looks like
//     its sender's own is provisional all the same; a forgery looks alike.
//   - A FIN in SYN_RECEIVED is two events, ACK of SYN and FIN: a server whose
//     accept queue is full takes neither.
//   - A socket connected to itself is both sides: each segment is taken for
//     both, which is a simultaneous open and close.
package analyzer
