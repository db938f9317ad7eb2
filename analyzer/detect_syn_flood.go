package analyzer

import (
	"fmt"
	"time"
)

var synFlood = &Detector{
	Name:      "syn-flood",
	Doc:       "a listener is sent many SYNs whose senders never complete the handshake",
	Cause:     "an attack with forged source addresses that fills the listener's backlog",
	Causes:    []string{"a return path that is broken, so that the SYN+ACK does not reach the clients", "a half-open port scanner that asks one port of the host very often"},
	LooksLike: []string{"a busy client that completes its handshakes", "a scan of many ports: each listener sees one SYN", "a capture of one direction, or of SYNs alone", "a server that is down: its clients send their SYN again", "loss: the SYN+ACK is sent again and answered"},
	Next:      "on the server: ss -tn state syn-recv '( sport = :PORT )' | wc -l; nstat -az TcpExtSyncookiesSent TcpExtTCPReqQFullDrop TcpExtTCPReqQFullDoCookies; sysctl net.ipv4.tcp_syncookies net.ipv4.tcp_max_syn_backlog; do the sources answer, and does the SYN+ACK leave by the right interface?",
	Reference: "RFC 4987 2, 3.6",
	Severity:  Error,
	Across: &Across{By: ByListener, Wants: wantsOpening, New: func() Tally {
		return &synFloodTally{rate: timeline[openings, *openings]{span: backlogTime}}
	}},
	Example: `flows 150 apart 3ms by client
a > b  S   100  mss 1460
b > a  S.  300  ack 101  mss 1460  @+100us
b > a  S.  300  ack 101  mss 1460  @+1s
b > a  S.  300  ack 101  mss 1460  @+2s`,
}

// A half-open connection lives for about backlogTime in Linux's backlog
// (tcp_synack_retries 5: 63 s), so that as many as begin in that time are
// half-open at once. floodLeast of them fill the smallest backlogs in use
// (listen(128)): that may need action. floodMuch fill the default of
// tcp_max_syn_backlog: without SYN cookies the listener accepts no one, and
// that does.
const (
	backlogTime = int64(time.Minute)
	floodLeast  = 100
	floodMuch   = 1024
)

// opening says how a listener's part in the opening of a flow went.
type opening uint8

const (
	openingOther      opening = iota // refused, aborted, not seen, or too young to say
	openingCompleted                 // the client's ACK went past
	openingHalf                      // SYN+ACK, and its client is silent
	openingUnanswered                // SYN once, and the listener is silent
)

// opening classifies a flow whose SYN was captured: without it, the capture
// may lack all that the client sends. The SYN+ACK has been sent again or is
// older than any round trip. A SYN that is sent again comes from a client that
// wants to connect; forged ones come once.
func (f *Flow) opening() opening {
	const old, lost = int64(time.Second), int64(500 * time.Millisecond)
	c, v := &f.Sides[f.Client], &f.Sides[f.Server()]
	age := f.Now - f.Start
	switch {
	case f.Guessed || f.synAt == 0:
		return openingOther
	case f.establishedAt != 0:
		return openingCompleted
	case c.hasACK || c.Counters.Resets+v.Counters.Resets > 0:
		return openingOther
	case v.hasISN && (f.synackRetransmits > 0 || age >= old):
		return openingHalf
	case v.LastSent == 0 && f.synRetransmits == 0 && f.Unreached == nil && age >= lost:
		return openingUnanswered
	}
	return openingOther
}

// wantsOpening wants the flows whose opening says something about the
// listener's backlog.
func wantsOpening(f *Flow, _ Side) bool {
	return f.opening() != openingOther
}

type synFloodTally struct {
	flowList // of those that were not completed
	rate     timeline[openings, *openings]
	sources  map[Addr]struct{}
}

// openings counts the connections that began in one stretch of time.
type openings struct {
	completed, half, unanswered uint32
	repeated                    uint32 // half-open ones whose SYN+ACK was sent again
	insisting                   uint32 // half-open ones whose SYN was
	first, last                 int64  // of those not completed
	frame                       uint64 // of first
}

// maxSources bounds the addresses that are told apart.
const maxSources = 64

// count is what a flood's peak is measured by.
func (o *openings) count() int { return o.open() }

func (o *openings) open() int { return int(o.half + o.unanswered) }

func (t *synFloodTally) Add(f *Flow, _ Side) {
	o := t.rate.at(f.Start)
	switch f.opening() {
	case openingCompleted:
		o.completed++
		return
	case openingHalf:
		o.half++
		if f.synackRetransmits > 0 {
			o.repeated++
		}
		if f.synRetransmits > 0 {
			o.insisting++
		}
	case openingUnanswered:
		o.unanswered++
	}
	t.add(f.Number)
	if o.open() == 1 || f.Start < o.first {
		o.first, o.frame = f.Start, f.FirstFrame
	}
	o.last = max(o.last, f.Start)
	if t.sources == nil {
		t.sources = map[Addr]struct{}{}
	}
	if len(t.sources) <= maxSources {
		t.sources[f.Key.Addr[f.Client]] = struct{}{}
	}
}

// plus adds another stretch.
func (o *openings) plus(p *openings) {
	if p.open() > 0 && (o.open() == 0 || p.first < o.first) {
		o.first, o.frame = p.first, p.frame
	}
	o.last = max(o.last, p.last)
	o.completed += p.completed
	o.half += p.half
	o.unanswered += p.unanswered
	o.repeated += p.repeated
	o.insisting += p.insisting
}

// Find wants a flood at its worst: many, most of the openings or a good part
// of them, and by what the listener itself shows. A few SYN+ACKs at least say
// that it is up; that they are sent again, or that others complete, says that
// the capture is not of SYNs alone.
func (t *synFloodTally) Find(n *Finding) bool {
	const fewAnswers = 8
	peak, rate := t.rate.peak()
	open := peak.open()
	switch {
	case rate < floodLeast || peak.half < fewAnswers:
		return false
	case int(peak.completed) > 3*open:
		return false // more than three of four complete
	case peak.completed == 0 && peak.repeated*2 < peak.half:
		return false
	}
	tenth := t.rate.at(peak.first).open() / 10
	all := t.rate.around(peak.first, func(o *openings) bool { return o.open() > tenth })
	all.plus(&peak)
	if rate < floodMuch {
		n.Severity = Warning
	}
	n.At, n.Last, n.Frame, n.For = all.first, all.last, all.frame, all.last-all.first
	n.Evidence = fmt.Sprintf("of %d connections that began within %s, %d stay half-open and %d SYNs get no answer: %d %% complete; they come from %s, and the whole lasts %s",
		open+int(peak.completed), since(peak.last-peak.first), peak.half, peak.unanswered, completion(&peak), t.from(), since(n.For))
	if peak.insisting*2 > peak.half {
		n.lower("most of the clients send their SYN again, as real ones do that no SYN+ACK reaches")
	}
	t.onto(n)
	return true
}

// completion is the share of the openings that were completed, in percent.
func completion(o *openings) int {
	return int(o.completed) * 100 / (o.open() + int(o.completed))
}

// from says how many addresses there are.
func (t *synFloodTally) from() string {
	switch n := len(t.sources); {
	case n > maxSources:
		return fmt.Sprintf("more than %d addresses", maxSources)
	case n == 1:
		return "one address"
	default:
		return fmt.Sprintf("%d addresses", n)
	}
}
