package manual

import (
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// stateWords is what a person on call wants to know of a state.
type stateWords struct {
	means   string   // what the side has done and received
	waits   string   // what would end it, and who owes that
	healthy string   // how long it lasts where all is well
	causes  []string // why it lasts longer, the likelier first
	look    string   // what to run next
	example string   // a script in which a side is in it
}

func states() (list []Entry) {
	for s := range analyzer.State(analyzer.NumStates) {
		w := &allStates[s]
		e := Entry{Name: s.String(), Title: "state, RFC 9293 3.3.2", Means: w.means,
			Points:  []Point{{Label: "waits for", Text: w.waits}, {Label: "lasts", Text: w.healthy}},
			Example: w.example, Causes: w.causes, Next: w.look}
		e.Points = append(e.Points, ways("ways in", func(a *analyzer.Arc) bool { return a.To == s })...)
		e.Points = append(e.Points, ways("ways out", func(a *analyzer.Arc) bool { return a.From == s })...)
		if names := about(s); names != "" {
			e.Points = append(e.Points, Point{Label: "findings", Text: names})
		}
		list = append(list, e)
	}
	return list
}

// ways lists the arrows of RFC 9293's Figure 5 that are chosen.
func ways(label string, want func(*analyzer.Arc) bool) []Point {
	p := Point{Label: label}
	for i := range analyzer.Arcs {
		if a := &analyzer.Arcs[i]; want(a) {
			p.List = append(p.List, a.From.String()+" -> "+a.To.String()+": "+a.On.String())
		}
	}
	if p.List == nil {
		return nil
	}
	return []Point{p}
}

// about names the findings that speak of a state.
func about(s analyzer.State) string {
	folded := strings.ReplaceAll(strings.ToLower(s.String()), "_", "-")
	var names []string
	for _, d := range analyzer.Detectors {
		if strings.Contains(d.Doc+d.Cause+d.Next, s.String()) || strings.Contains(d.Name, folded) ||
			strings.Contains(strings.ReplaceAll(d.Next, "state "+folded, "\x00"), "\x00") {
			names = append(names, d.Name)
		}
	}
	return strings.Join(names, ", ")
}

var allStates = [analyzer.NumStates]stateWords{
	analyzer.Unknown: {
		means:   "The capture has not yet said anything about this side.",
		waits:   "its first segment.",
		healthy: "until the first segment.",
		causes:  []string{"the tap does not see this side's direction", "the flow is a stray segment, as a scanner sends it"},
		look:    "capture on an interface that both directions pass: tcpdump -i any",
		example: "a > b  none  100",
	},
	analyzer.Closed: {
		means:   "There is no connection at this side: it has not begun, has ended, or was reset.",
		waits:   "nothing. Whatever is sent to it is answered with RST.",
		healthy: "for ever. CLOSED? means that the last ACK or a RST was seen on its way, and the side says nothing more.",
		look:    "tcpflow-states show FILE --flow N",
		example: `a > b  S   100
b > a  R.  0  ack 101  @+20ms`,
	},
	analyzer.Listen: {
		means:   "The side is taken to wait for connections: a SYN was sent to it, and no answer was seen yet.",
		waits:   "a SYN; then it owes a SYN+ACK, or a RST where nothing listens.",
		healthy: "a round trip, seen from here.",
		causes:  []string{"a firewall drops the SYN", "the SYN is lost on the way", "the queue of the listener is full", "the SYN+ACK takes a way that the tap does not see"},
		look:    "on the server: ss -ltn 'sport = :PORT'; then tcpdump there for the SYN",
		example: "a > b  S  100\nwait 500ms",
	},
	analyzer.SynSent: {
		means:   "The side has sent SYN: it opens the connection.",
		waits:   "the peer's SYN+ACK, or a RST.",
		healthy: "one round trip.",
		causes:  []string{"the host is down, or a firewall drops the SYN without a word", "the route or address is wrong", "the listener's queue is full", "the SYN+ACK is lost on its way back"},
		look:    "on the client: ss -tn state syn-sent; on the server: nstat -az TcpExtListenDrops",
		example: "a > b  S  100\na > b  S  100  @+1s\na > b  S  100  @+2s",
	},
	analyzer.SynReceived: {
		means:   "The side has received SYN and sent SYN+ACK.",
		waits:   "the peer's ACK.",
		healthy: "one round trip.",
		causes:  []string{"the SYN+ACK or the ACK is lost, or takes a way that is blocked", "the SYN was forged: nobody is there to answer", "the accept queue is full", "accept is deferred until data come (TCP_DEFER_ACCEPT)"},
		look:    "on the server: ss -tn state syn-recv; ss -ltn (Recv-Q at Send-Q is a full queue)",
		example: "a > b  S   100\nb > a  S.  300  ack 101  @+100us\nb > a  S.  300  ack 101  @+1s",
	},
	analyzer.Established: {
		means:   "Both SYNs are acknowledged: data flow both ways.",
		waits:   "nobody: either application may send or close at any time.",
		healthy: "as long as the applications want.",
		causes:  []string{"idle is no fault; but a middlebox may forget an idle connection", "a peer that vanished is not noticed without keep-alive or data"},
		look:    "ss -tnoi 'dst PEER' (timers, retransmissions)",
		example: `a > b  S   100
b > a  S.  300      ack 101  @+20ms
a > b  .   101      ack 301  @+100us
a > b  P.  101:201  ack 301
b > a  .   301      ack 201  @+20ms`,
	},
	analyzer.FinWait1: {
		means:   "The side has closed first and sent FIN.",
		waits:   "the peer's ACK of the FIN.",
		healthy: "one round trip.",
		causes:  []string{"the peer or the path is gone: FIN or ACK is lost again and again", "a firewall has forgotten the connection", "the FIN waits behind data that do not get through"},
		look:    "ss -tno state fin-wait-1",
		example: `given a ESTABLISHED b ESTABLISHED
a > b  F.  100  ack 300
a > b  F.  100  ack 300  @+200ms
a > b  F.  100  ack 300  @+400ms
a > b  F.  100  ack 300  @+800ms`,
	},
	analyzer.FinWait2: {
		means:   "The side's FIN is acknowledged; the peer may still send.",
		waits:   "the peer's FIN: its application owes a close.",
		healthy: "until the peer has sent what it has, often one round trip.",
		causes:  []string{"the peer's application has not closed its socket: look for the peer in CLOSE_WAIT", "a half-close on purpose: the peer still sends", "the peer's FIN is lost, or the peer is gone"},
		look:    "on the peer: ss -tnp state close-wait",
		example: `given a ESTABLISHED b ESTABLISHED
a > b  F.  100  ack 300
b > a  .   300  ack 101  @+20ms
wait 40s`,
	},
	analyzer.CloseWait: {
		means:   "The peer has closed: its FIN came in order and was acknowledged. This side may still send.",
		waits:   "this side's own application, which owes a close: only that sends the FIN.",
		healthy: "until the application has sent what it has, often less than a millisecond.",
		causes:  []string{"the application never closes the socket: a leaked descriptor", "a thread that blocks, or that nobody runs", "a pool that holds dead connections and does not look at them", "a half-close on purpose: this side still sends"},
		look:    "on this side: ss -tnp state close-wait (the process); ls /proc/PID/fd | wc -l; a thread dump",
		example: `given a ESTABLISHED b ESTABLISHED
a > b  F.  100  ack 300
b > a  .   300  ack 101  @+20ms
wait 40s`,
	},
	analyzer.Closing: {
		means:   "Both sides closed at once: this side sent FIN and then received the peer's, its own not yet acknowledged.",
		waits:   "the peer's ACK of the FIN.",
		healthy: "one round trip.",
		causes:  []string{"the ACK of the FIN is lost", "the peer is gone"},
		look:    "ss -tno state closing",
		example: `given a ESTABLISHED b ESTABLISHED
a > b  F.  100  ack 300
b > a  F.  300  ack 100  @+100us
a > b  .   101  ack 301  @+20ms`,
	},
	analyzer.LastAck: {
		means:   "The side received FIN, then closed and sent its own FIN.",
		waits:   "the peer's ACK of the FIN, the last segment of all.",
		healthy: "one round trip.",
		causes:  []string{"FIN or ACK is lost again and again", "the peer or a firewall has forgotten the connection: this side closed late", "the FIN waits behind data that do not get through"},
		look:    "ss -tno state last-ack",
		example: `given a ESTABLISHED b ESTABLISHED
a > b  F.  100  ack 300
b > a  F.  300  ack 101  @+20ms
b > a  F.  300  ack 101  @+200ms
b > a  F.  300  ack 101  @+400ms`,
	},
	analyzer.TimeWait: {
		means:   "The side closed first (or both did), and all is acknowledged. It lingers to answer late segments.",
		waits:   "a timer: 2 MSL (Linux: 60 s).",
		healthy: "that long; it is no fault, and ends by itself. Very many of them can use up a client's ports towards one server.",
		look:    "ss -tn state time-wait | wc -l; cat /proc/sys/net/ipv4/ip_local_port_range",
		example: `given a ESTABLISHED b ESTABLISHED
a > b  F.  100  ack 300
b > a  F.  300  ack 101  @+20ms
a > b  .   101  ack 301  @+100us
wait 61s`,
	},
}
