package analyzer

import "fmt"

var acceptQueueOverflow = &Detector{
	Name:      "accept-queue-overflow-suspected",
	Doc:       "a listener goes on sending SYN+ACK although the client's ACK and data have come: its accept queue is full",
	Cause:     "the application does not call accept() fast enough: no CPU, no free thread or worker, or it is stopped",
	Causes:    []string{"the backlog is too small for the bursts: the least of listen()'s and net.core.somaxconn", "a firewall on or before the server drops the handshake's ACK"},
	LooksLike: []string{"an ACK that is lost between the tap and the server: one connection here and there", "TCP_DEFER_ACCEPT: the bare ACK is ignored, the data accepted at once", "a firewall that lets SYNs pass and drops ACKs: no connection is ever accepted"},
	Next:      "on the server: ss -tln '( sport = :PORT )' (Recv-Q against Send-Q); nstat -az TcpExtListenOverflows TcpExtListenDrops; sysctl net.core.somaxconn; what does the application do instead of accept()?",
	Reference: "RFC 9293 3.10.7.4, tcp_check_req (listen_overflow)",
	Severity:  Warning,
	Across:    &Across{By: ByListener, Wants: wantsAcceptance, New: func() Tally { return &acceptTally{} }},
	Example: `flows 3 apart 5ms by port
a > b  S   100      mss 1460
b > a  S.  300      ack 101  mss 1460  @+20us
a > b  .   101      ack 301  @+10ms
a > b  P.  101:151  ack 301  @+1ms
a > b  P.  101:151  ack 301  @+210ms
b > a  S.  300      ack 101  mss 1460  @+780ms
a > b  .   151      ack 301  @+10ms
a > b  P.  101:151  ack 301  @+400ms
b > a  .   301      ack 151  @+20us`,
}

// wantsAcceptance wants the flows whose handshake's ACK went past, and those
// whose SYNs a listener ignores.
func wantsAcceptance(f *Flow, _ Side) bool {
	return !f.Guessed && (f.establishedAt != 0 || f.ignored())
}

// ignored reports whether the flow is SYNs that nothing answers.
func (f *Flow) ignored() bool {
	return f.synRetransmits > 0 && f.Sides[f.Server()].LastSent == 0 && f.Unreached == nil && f.Handshake.Result == HandshakeUnanswered
}

type acceptTally struct {
	flowList // of those not accepted
	windows  windows[acceptances]
	near     int // of these, how many were captured near the server
	later    int // of these, how many were accepted in the end
	accepted int // connections that the listener took
	resent   int // SYN+ACKs
	first    Remark
	last     int64
}

// acceptances counts the connections that began in one window.
type acceptances struct{ completed, kept, ignored uint32 }

func (a *acceptances) trouble() int { return int(a.kept)<<16 + int(a.ignored) }

func (t *acceptTally) Add(f *Flow, s Side) {
	a := t.windows.at(f.Start, (*acceptances).trouble, nil)
	if f.ignored() {
		a.ignored++
		return
	}
	a.completed++
	taken := f.Sides[s].proven > SynReceived
	if taken {
		t.accepted++
	}
	r := f.Remark(FactNotAccepted, s)
	if r == nil {
		return
	}
	a.kept++
	t.add(f.Number)
	t.resent += r.Count
	t.last = max(t.last, r.Last)
	if t.n == 1 || r.First < t.first.First {
		t.first = *r
	}
	if taken {
		t.later++
	}
	if f.Handshake.Tap == TapNearServer {
		t.near++
	}
}

// Find wants two connections or more, and not so few of all that both ACK and
// data of each may have been lost on the way: 2 % are so where every seventh
// packet is. A tap at the server sees what arrives there, so that one will do.
func (t *acceptTally) Find(n *Finding) bool {
	var sum acceptances
	lo, hi := t.span()
	for i := range t.windows[lo:hi] {
		a := &t.windows[lo+i].v
		sum.ignored += a.ignored
		if a.kept > 0 {
			sum.kept += a.kept
			sum.completed += a.completed
		}
	}
	switch {
	case t.n == 0:
		return false
	case t.near == 0 && (t.n < 2 || sum.kept*50 < sum.completed):
		return false
	}
	n.At, n.Last, n.Frame, n.For = t.first.First, t.last, t.first.Frame, t.last-t.first.First
	if t.first.LastFrame != t.first.Frame {
		n.Frames = []uint64{t.first.LastFrame}
	}
	n.Evidence = fmt.Sprintf("%s of %d completed on the client's side: the server sends SYN+ACK again (%s, first in frame %s) after the client's ACK came with data, or for the second time; %d are accepted later",
		plural(t.n, "connection"), sum.completed, times(t.resent), FrameText(t.first.Frame), t.later)
	if sum.ignored > 0 {
		n.Evidence += fmt.Sprintf("; meanwhile the SYNs of %d more get no answer", sum.ignored)
	}
	switch {
	case t.n == 1:
		n.lower("it is one connection")
	case t.near == 0 && t.accepted == 0:
		n.lower("the listener accepted no connection at all: a firewall that drops the handshake's ACK looks the same")
	}
	t.onto(n)
	return true
}

// span returns which windows lie between the first and the last with trouble.
func (t *acceptTally) span() (lo, hi int) {
	for i := range t.windows {
		if t.windows[i].v.kept == 0 {
			continue
		}
		if hi == 0 {
			lo = i
		}
		hi = i + 1
	}
	return lo, hi
}
