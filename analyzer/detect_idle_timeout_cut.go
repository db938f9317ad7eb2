package analyzer

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

var idleTimeoutCut = &Detector{
	Name:      "idle-timeout-cut",
	Doc:       "a connection was idle, and the first packet after that is reset or never answered",
	Cause:     "a load balancer, NAT gateway or firewall on the path forgot the idle connection",
	Causes:    []string{"the peer's host restarted or went away in the meantime (a laptop, a phone)", "its session table was full or flushed, or the path moved to another device"},
	LooksLike: []string{"an application that closes idle connections: it sends FIN", "a server that restarts: one instant explains every cut", "a peer that vanishes from a connection in use", "an idle time that was survived before, or elsewhere on the listener"},
	Next:      "on both hosts: ss -tno dst SERVER (timer:(keepalive,...)); set SO_KEEPALIVE and net.ipv4.tcp_keepalive_time below the timeout, or the pool's idle limit; what is between CLIENT and SERVER, and what is its idle timeout? on a Linux firewall: conntrack -L -p tcp --dport PORT",
	Reference: "RFC 5382 5 (REQ-5), RFC 1122 4.2.3.6",
	Severity:  Warning,
	End:       endIdleTimeoutCut,
	Across:    &Across{By: ByListener, Wants: wantsIdle, New: func() Tally { return &idleTally{} }},
	Example: `given a ESTABLISHED b ESTABLISHED
a > b  P.  100:150  ack 300
b > a  P.  300:900  ack 150
a > b  .   150      ack 900
a > b  P.  150:200  ack 900  @+353s
b > a  R   900      ttl 250`,
}

// timers are idle timeouts of middleboxes as their makers document them.
var timers = []struct {
	after time.Duration
	of    string
}{
	{60 * time.Second, "AWS ALB"},
	{240 * time.Second, "Azure load balancer and NAT"},
	{300 * time.Second, "F5 BIG-IP and many firewalls"},
	{350 * time.Second, "AWS NAT gateway and NLB"},
	{600 * time.Second, "Google Cloud's connection tracking"},
	{900 * time.Second, "15 min firewalls"},
	{1800 * time.Second, "Juniper SRX"},
	{3600 * time.Second, "Cisco ASA, Palo Alto, FortiGate, Check Point"},
	{7200 * time.Second, "2 h NATs"},
	{7440 * time.Second, "RFC 5382"},
	{432000 * time.Second, "Linux conntrack"},
}

// timerOf names the longest known timer of those that can have cut a silence
// and let another pass; a middlebox may look only now and then, so that a
// twentieth more passes. Far below the cut it would be a guess.
func timerOf(survived, cut int64) string {
	for _, t := range slices.Backward(timers) {
		if after := int64(t.after); after <= cut && after*20 >= survived*19 && cut*5 <= after*6 {
			return fmt.Sprintf("; %s is the idle timeout of %s", seconds(after), t.of)
		}
	}
	return ""
}

// seconds says a time as timeouts are configured.
func seconds(ns int64) string {
	return fmt.Sprintf("%d s", (time.Duration(ns)+time.Second/2).Truncate(time.Second)/time.Second)
}

// endIdleTimeoutCut speaks of one connection. Where keep-alives found it cut,
// their finding has said so.
func endIdleTimeoutCut(d *Detector, f *Flow) {
	i := f.idle
	if i == nil || f.finding(keepaliveTimeout, i.side.Peer()) != nil {
		return
	}
	last, how := f.idleCut()
	if how == "" {
		return
	}
	gap := i.at - i.from
	n := Finding{Detector: d, Severity: Info, Side: NoSide, At: i.at, Last: last.time, Frame: i.frame, Frames: []uint64{last.frame}, For: gap}
	n.Evidence = fmt.Sprintf("idle for %s, then the %s's segment (frame %s) %s%s",
		since(gap), f.who(i.side), FrameText(i.frame), how, timerOf(i.survived, gap))
	n.lower(f.captureDoubt(i.from, last.time))
	f.Raise(n)
}

// idleCut says how a connection was cut that was idle, and in what segment
// last; empty when it was not. It wants a silence whose end is not answered but
// by a RST, or sent again into silence. An application that closes an idle
// connection ends the silence with FIN. What lived through as long a silence
// before was not cut for this one.
func (f *Flow) idleCut() (last passing, how string) {
	i := f.idle
	if i == nil || !i.waiting || i.flags&FIN != 0 || i.at-i.from <= i.survived {
		return last, ""
	}
	switch r := f.intoSilence(i.side); {
	case i.resetFrame != 0 && f.aborted(i.side.Peer()):
		last = passing{time: i.resetAt, frame: i.resetFrame}
		how = fmt.Sprintf("is reset in frame %s", FrameText(i.resetFrame))
		if i.foreign {
			how += ", by a TTL not the " + f.who(i.side.Peer()) + "'s"
		}
	case r != nil && r.first >= i.at:
		last = passing{time: r.last, frame: r.lastFrame}
		how = fmt.Sprintf("is sent again, last in frame %s, and nothing answers", FrameText(r.lastFrame))
	}
	return last, how
}

// intoSilence returns what side s repeated without an answer to the end, data
// or keep-alives; or nil.
func (f *Flow) intoSilence(s Side) *run {
	return cmp.Or(f.unanswered(s, FactRetransmission), f.unanswered(s, FactKeepAlive))
}

// wantsIdle wants the flows that were idle, and those that lived for so long
// that they may show that the server did.
func wantsIdle(f *Flow, _ Side) bool {
	return f.idle != nil || f.End-f.Start >= idleAfter
}

type idleTally struct {
	cuts     []idleCut
	survived int64 // the longest silence after which a connection went on
	lives    []life
}

// idleCut is one connection that was cut.
type idleCut struct {
	from, at int64 // its silence
	last     int64
	frame    uint64
	flow     int
	reset    bool
	foreign  bool // by the RST of another host
}

func (c *idleCut) gap() int64 { return c.at - c.from }

// life is how long a connection was in use that was not cut.
type life struct{ from, to int64 }

// maxCuts and maxLives bound what is kept; of lives the longest are.
const maxCuts, maxLives = 64, 16

func (t *idleTally) Add(f *Flow, _ Side) {
	if i := f.idle; i != nil {
		t.survived = max(t.survived, i.survived)
		if last, how := f.idleCut(); how != "" && f.captureDoubt(i.from, last.time) == "" && len(t.cuts) < maxCuts {
			t.cuts = append(t.cuts, idleCut{i.from, i.at, last.time, i.frame, f.Number, i.resetFrame != 0, i.foreign})
		}
	}
	if f.Sides[0].Counters.Resets+f.Sides[1].Counters.Resets > 0 {
		return // it may have been cut short by what is looked for
	}
	l := life{f.Start, min(f.Sides[0].LastSent, f.Sides[1].LastSent)}
	t.lives = append(t.lives, l)
	if len(t.lives) > maxLives {
		slices.SortFunc(t.lives, func(a, b life) int { return cmp.Or(cmp.Compare(b.to-b.from, a.to-a.from), cmp.Compare(a.from, b.from)) })
		t.lives = t.lives[:maxLives]
	}
}

// Find wants two cuts or more after silences longer than any that was
// survived: what the listener's connections live through is no timeout.
func (t *idleTally) Find(n *Finding) bool {
	var cuts []idleCut
	for _, c := range t.cuts {
		if c.gap() > t.survived {
			cuts = append(cuts, c)
		}
	}
	if len(cuts) < 2 || (len(t.cuts)-len(cuts))*4 > len(cuts) {
		return false
	}
	slices.SortFunc(cuts, func(a, b idleCut) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.frame, b.frame)) })
	least, resets := cuts[0].gap(), 0
	var flows flowList
	for _, c := range cuts {
		flows.add(c.flow)
		least = min(least, c.gap())
		n.Last = max(n.Last, c.last)
		if c.reset {
			resets++
		}
	}
	n.At, n.Frame, n.For = cuts[0].at, cuts[0].frame, least
	bound := "at most " + seconds(least)
	if t.survived > 0 {
		bound = fmt.Sprintf("between %s, which one survived, and %s", seconds(t.survived), seconds(least))
	}
	n.Evidence = fmt.Sprintf("%d idle connections are cut: the first segment after the silence is reset (%d) or never answered (%d); the timeout is %s%s",
		len(cuts), resets, len(cuts)-resets, bound, timerOf(t.survived, least))
	n.lower(t.atOnce(cuts))
	flows.onto(n)
	return true
}

// atOnce returns the doubt that one event cut all: each was silent at one
// instant, and nothing shows that the server lived through it, neither a
// connection that did nor the RST of another host.
func (t *idleTally) atOnce(cuts []idleCut) string {
	from, to, foreign := cuts[0].from, cuts[0].at, true
	for _, c := range cuts {
		from, to = max(from, c.from), min(to, c.at)
		foreign = foreign && c.foreign
	}
	lived := slices.ContainsFunc(t.lives, func(l life) bool { return l.from <= from && to <= l.to })
	if from > to || foreign || lived {
		return ""
	}
	return "all were silent at one time: a server that restarted then would do the same"
}
