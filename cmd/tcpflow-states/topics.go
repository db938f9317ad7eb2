package main

import "github.com/tcpflow-states/tcpflow-states/analyzer"

// stateDoc is what a person on call wants to know of a state.
type stateDoc struct {
	means   string // what the side has done and received
	waits   string // what would end it, and who owes that
	healthy string // how long it lasts where all is well
	stuck   string // what it means when it lasts
	look    string // what to run next
}

var stateDocs = [analyzer.NumStates]stateDoc{
	analyzer.Unknown: {
		means:   "The capture has not yet said anything about this side.",
		waits:   "its first segment.",
		healthy: "until the first segment.",
		stuck:   "the tap does not see this side's direction, or the flow is a single stray segment.",
		look:    "capture on an interface that both directions pass: tcpdump -i any",
	},
	analyzer.Closed: {
		means:   "There is no connection at this side: it has not begun, has ended, or was reset.",
		waits:   "nothing. Whatever is sent to it is answered with RST.",
		healthy: "for ever.",
		stuck:   "it cannot be stuck. CLOSED? means that the last ACK or a RST was seen on its way, and the side says nothing more.",
		look:    "tcpflow-states show FILE --flow N",
	},
	analyzer.Listen: {
		means:   "The side is taken to wait for connections: a SYN was sent to it, and no answer was seen yet.",
		waits:   "a SYN; then it owes a SYN+ACK, or a RST where nothing listens.",
		healthy: "a round trip, seen from here.",
		stuck:   "the SYN is lost on the way, a firewall drops it, or the SYN+ACK takes a way that the tap does not see.",
		look:    "on the server: ss -ltn 'sport = :PORT'; then tcpdump there for the SYN",
	},
	analyzer.SynSent: {
		means:   "The side has sent SYN: it opens the connection.",
		waits:   "the peer's SYN+ACK, or a RST.",
		healthy: "one round trip.",
		stuck:   "the SYN or its answer is dropped: host down, firewall, wrong route, or a listener whose queue is full.",
		look:    "on the client: ss -tn state syn-sent; on the server: nstat -az TcpExtListenDrops",
	},
	analyzer.SynReceived: {
		means:   "The side has received SYN and sent SYN+ACK.",
		waits:   "the peer's ACK.",
		healthy: "one round trip.",
		stuck:   "SYN+ACK or ACK is lost, the SYN was forged, the accept queue is full, or accept is deferred until data come.",
		look:    "on the server: ss -tn state syn-recv; ss -ltn (Recv-Q at Send-Q is a full queue)",
	},
	analyzer.Established: {
		means:   "Both SYNs are acknowledged: data flow both ways.",
		waits:   "nobody: either application may send or close at any time.",
		healthy: "as long as the applications want.",
		stuck:   "idle is no fault; but a middlebox may forget an idle connection, and a vanished peer is not noticed without keep-alive.",
		look:    "ss -tnoi 'dst PEER' (timers, retransmissions)",
	},
	analyzer.FinWait1: {
		means:   "The side has closed first and sent FIN.",
		waits:   "the peer's ACK of the FIN.",
		healthy: "one round trip.",
		stuck:   "the FIN or its ACK is lost again and again: the peer or the path is gone, or the FIN waits behind data that do not get through.",
		look:    "ss -tno state fin-wait-1",
	},
	analyzer.FinWait2: {
		means:   "The side's FIN is acknowledged; the peer may still send.",
		waits:   "the peer's FIN: its application owes a close.",
		healthy: "until the peer has sent what it has, often one round trip.",
		stuck:   "the peer's application has not closed its socket: look for the peer in CLOSE_WAIT.",
		look:    "on the peer: ss -tnp state close-wait",
	},
	analyzer.CloseWait: {
		means:   "The peer has closed: its FIN came in order and was acknowledged. This side may still send.",
		waits:   "this side's own application, which owes a close: only that sends the FIN.",
		healthy: "until the application has sent what it has, often less than a millisecond.",
		stuck:   "the application does not close its socket: a leaked descriptor, a blocked thread, a pool that holds dead connections.",
		look:    "on this side: ss -tnp state close-wait (the process); ls /proc/PID/fd | wc -l; a thread dump",
	},
	analyzer.Closing: {
		means:   "Both sides closed at once: this side sent FIN and then received the peer's, its own not yet acknowledged.",
		waits:   "the peer's ACK of the FIN.",
		healthy: "one round trip.",
		stuck:   "the ACK of the FIN is lost, or the peer is gone.",
		look:    "ss -tno state closing",
	},
	analyzer.LastAck: {
		means:   "The side received FIN, then closed and sent its own FIN.",
		waits:   "the peer's ACK of the FIN, the last segment of all.",
		healthy: "one round trip.",
		stuck:   "FIN or ACK is lost again and again, or the peer has forgotten the connection.",
		look:    "ss -tno state last-ack",
	},
	analyzer.TimeWait: {
		means:   "The side closed first (or both did), and all is acknowledged. It lingers to answer late segments.",
		waits:   "a timer: 2 MSL (Linux: 60 s).",
		healthy: "that long; it is no fault.",
		stuck:   "it ends by itself. Very many of them can use up a client's ports towards one server.",
		look:    "ss -tn state time-wait | wc -l; cat /proc/sys/net/ipv4/ip_local_port_range",
	},
}

// topic is a word that needs a sentence.
type topic struct{ name, doc string }

// topics are the words of the output that are neither state nor finding, by
// kind.
var topics = []struct {
	kind string
	list []topic
}{
	{"basis", []topic{
		{"observed", "The side's own segment makes or proves it: what a side has sent is proof."},
		{"inferred", "Marked ?. The segment that causes it went past the tap towards the side, which has not yet proved that it arrived. " +
			"Later it is confirmed, or withdrawn when the side shows that it never did."},
		{"assumed", "Marked ~. No segment says so: a timer of the chosen --os has run out, or the capture missed the beginning."},
		{"withdrawn", "A transition that was inferred and then disproved: the side sent again what had seemed acknowledged. " +
			"It stays in the record, marked, and is no part of the believed history."},
	}},
	{"severity", []topic{
		{"info", "Explains; nobody needs to act."},
		{"warning", "May need someone's action."},
		{"error", "Needs someone's action."},
		{"pending", "The condition holds, but the capture ended before its threshold passed (--stuck-after): severity info."},
	}},
	{"result of the opening", []topic{
		{"midstream", "The capture began when the connection was already open."},
		{"unanswered", "SYN was sent, perhaps several times; nothing came back."},
		{"half-open", "SYN and SYN+ACK were seen; the handshake's last ACK was not, or was not accepted."},
		{"established", "SYN, SYN+ACK and ACK: the connection opened."},
		{"refused", "RST answered the SYN: nothing listens there, or a firewall says so."},
		{"aborted", "RST after the SYN+ACK, before the connection was open."},
		{"rejected-icmp", "An ICMP error answered the SYN: a router or firewall says no."},
	}},
	{"result of the closing", []topic{
		{"open", "Nobody has closed."},
		{"half-closed", "One side has sent FIN and it is acknowledged; the other owes its own."},
		{"closing", "FINs are on their way; not all are acknowledged."},
		{"closed", "Both sides have closed in order, or the attempt to open was given up."},
		{"reset", "RST ended it while it was opening, or after the first FIN."},
		{"aborted", "RST ended an open connection that no FIN had begun to close."},
		{"unknown", "The capture does not say."},
	}},
}
