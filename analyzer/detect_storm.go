package analyzer

import (
	"fmt"
	"slices"
	"time"
)

var rstStorm = &Detector{
	Name:      "rst-storm",
	Doc:       "a host resets many lasting connections within a second, or one connection again and again",
	Cause:     "a process with many connections crashed or was killed with data unread",
	Causes:    []string{"a load balancer or firewall dropped its whole table and answers for the hosts", "a node that was fenced or failed over", "a peer that does not believe the RST and keeps sending"},
	LooksLike: []string{"refusals that answer a scan", "a server that resets short connections as a habit: a steady rate", "a load balancer that drains: it sends FIN"},
	Next:      "on CLIENT: journalctl -k --since -10min | grep -i -e oom -e segfault; systemctl list-units --state=failed; did the TTL of the RSTs change against that of the data?",
	Reference: "RFC 9293 3.5.2, Zeek tcp_storm_thresh",
	Severity:  Warning,
	End:       endRSTStorm,
	Across:    &Across{Group: groupByReset, New: func() Tally { return &stormTally{what: "resets"} }},
	Example: `flows 60 apart 2ms by port
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:200  ack 300
b > a  .   300      ack 200
b > a  R.  300      ack 200  @+9s`,
}

var finStorm = &Detector{
	Name:      "fin-storm",
	Doc:       "a host closes most of its many lasting connections within a second",
	Cause:     "a process with many connections ended or was restarted",
	Causes:    []string{"a deployment that stops the old process without draining", "a crash loop: is there another storm soon after?", "a pool or proxy that was told to drop all connections"},
	LooksLike: []string{"a load balancer that drains: its FINs take many seconds", "a busy server that closes short connections", "a steady rate of closes"},
	Next:      "on CLIENT: journalctl --since -10min | grep -i -e stopping -e started -e exited; how do the peers reconnect: all at once?",
	Reference: "RFC 9293 3.6, Zeek tcp_storm_thresh",
	Severity:  Warning,
	Across:    &Across{Group: groupByClose, New: func() Tally { return &stormTally{what: "closes"} }},
	Example: `flows 60 apart 2ms by port
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:200  ack 300
b > a  .   300      ack 200
b > a  F.  300      ack 200  @+9s
a > b  F.  200      ack 301
b > a  .   301      ack 201`,
}

// lasting is how long a connection must have been open to count: those of a
// server that closes after each request come and go all the time.
const lasting = int64(5 * time.Second)

// ended returns when and in which frame side s ended a lasting connection, in
// that way; frame 0: it did not.
func (f *Flow) ended(s Side, by CloseBy) (at int64, frame uint64) {
	first := f.firstClose()
	if f.Close.ActiveCloser != s || f.Close.By != by || first.Time-f.Start < lasting || first.From < Established {
		return 0, 0
	}
	return first.Time, first.Frame
}

func groupByReset(f *Flow, s Side) (Group, bool) {
	_, frame := f.ended(s, CloseByRST)
	return Group{From: f.Key.Addr[s]}, frame != 0
}

func groupByClose(f *Flow, s Side) (Group, bool) {
	_, frame := f.ended(s, CloseByFIN)
	return Group{From: f.Key.Addr[s]}, frame != 0
}

type stormTally struct {
	what    string
	windows windows[ends]
	n       int // in all
	first   int64
	last    int64
}

// ends counts the connections that one window saw ended, by tenths of a second.
type ends struct {
	n     [windowWidth / tenth]uint16
	frame [windowWidth / tenth]uint64 // of the first of each
	at    [windowWidth / tenth]int64  // and its time
	flows []int                       // a few
	sum   int
}

const tenth = int64(100 * time.Millisecond)

func (t *stormTally) Add(f *Flow, s Side) {
	at, frame := f.ended(s, f.Close.By)
	if t.n++; t.n == 1 || at < t.first {
		t.first = at
	}
	t.last = max(t.last, at)
	e := t.windows.at(at, func(e *ends) int { return e.sum }, nil)
	i := at % windowWidth / tenth
	if e.n[i] == 0 || at < e.at[i] {
		e.frame[i], e.at[i] = frame, at
	}
	if e.n[i] < ^uint16(0) {
		e.n[i]++
	}
	if e.sum++; len(e.flows) < maxFlowsNamed {
		e.flows = append(e.flows, f.Number)
	}
}

// Find wants many connections ended within a second, and far more than this
// host ends in another.
func (t *stormTally) Find(n *Finding) bool {
	const many, factor = 50, 10
	at, frame, peak, flows := t.peak()
	others := int((t.last-t.first)/int64(time.Second)) - 1 // seconds
	rest := t.n - peak
	if peak < many || rest*factor > peak*max(others, 1) {
		return false
	}
	n.At, n.Last, n.Frame, n.For = at, at+int64(time.Second), frame, int64(time.Second)
	n.Evidence = fmt.Sprintf("%s %d connections of more than %s within a second; %d others in the %s besides",
		t.what, peak, since(lasting), rest, since(max(t.last-t.first-int64(time.Second), 0)))
	slices.Sort(flows)
	n.Flows, n.FlowCount = flows, peak
	if rest > peak {
		n.lower(fmt.Sprintf("%d of its lasting connections end at other times", rest))
	}
	return true
}

// peak returns the second in which most were ended. A second may reach into the
// next window.
func (t *stormTally) peak() (at int64, frame uint64, most int, flows []int) {
	const slots = int(windowWidth / tenth)
	get := func(i, slot int) int {
		for slot >= slots {
			if i++; i == len(t.windows) || t.windows[i].from != t.windows[i-1].from+windowWidth {
				return 0
			}
			slot -= slots
		}
		return int(t.windows[i].v.n[slot])
	}
	for i := range t.windows {
		w := &t.windows[i].v
		for slot := range slots {
			sum := 0
			for d := range int(int64(time.Second) / tenth) {
				sum += get(i, slot+d)
			}
			if w.n[slot] > 0 && sum > most {
				at, frame, most, flows = w.at[slot], w.frame[slot], sum, slices.Clone(w.flows)
			}
		}
	}
	return at, frame, most, flows
}

// endRSTStorm looks for one connection that is reset again and again.
func endRSTStorm(d *Detector, f *Flow) {
	const many = 20
	for s := range Side(2) {
		n := int(f.Sides[s].Counters.Resets)
		if n < many {
			continue
		}
		var all Remark
		for _, fact := range [...]Facts{FactRST, FactRSTInWindow, FactRSTIgnored, FactRefused} {
			if r := f.Remark(fact, s); r != nil {
				if all.Count == 0 || r.First < all.First {
					all.First, all.Frame = r.First, r.Frame
				}
				if r.Last >= all.Last {
					all.Last, all.LastFrame = r.Last, r.LastFrame
				}
				all.Count += r.Count
			}
		}
		span := all.Last - all.First
		if all.Count < many || span*many > int64(10*time.Second)*int64(all.Count) {
			continue // fewer than two a second
		}
		f.Raise(Finding{Detector: d, Severity: d.Severity, Side: s, At: all.First, Last: all.Last, For: span,
			Frame: all.Frame, Frames: []uint64{all.LastFrame}, Evidence: fmt.Sprintf(
				"%s sends %d RSTs within %s (frames %d to %d): its peer does not stop", f.who(s), n, since(span), all.Frame, all.LastFrame)})
	}
}
