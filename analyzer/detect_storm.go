package analyzer

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

var rstStorm = &Detector{
	Name:      "rst-storm",
	Doc:       "a host resets many lasting connections within a second, or one connection again and again",
	Cause:     "a process with many connections crashed or was killed with data unread",
	Causes:    []string{"a load balancer or firewall dropped its whole table and answers for the hosts", "a node that was fenced or failed over", "a peer that does not believe the RST and keeps sending"},
	LooksLike: []string{"refusals that answer a scan", "a server that resets short connections as a habit: a steady rate", "a load balancer that drains: it sends FIN", "data in flight to a side that has given up: a RST for each segment, within a round trip"},
	Next:      "on CLIENT: journalctl -k --since -10min | grep -i -e oom -e segfault; systemctl list-units --state=failed; did the TTL of the RSTs change against that of the data?",
	Reference: "RFC 9293 3.5.2, Zeek tcp_storm_thresh",
	Severity:  Warning,
	End:       endRSTStorm,
	Across:    &Across{By: ByHost, Wants: wantsReset, New: func() Tally { return &stormTally{by: CloseByRST} }},
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
	LooksLike: []string{"a load balancer that drains: its FINs take many seconds", "a busy server that closes short connections", "a steady rate of closes", "a server that closes what has been idle, and keeps the others"},
	Next:      "on CLIENT: journalctl --since -10min | grep -i -e stopping -e started -e exited; how do the peers reconnect: all at once?",
	Reference: "RFC 9293 3.6, Zeek tcp_storm_thresh",
	Severity:  Warning,
	Across:    &Across{By: ByHost, Wants: wantsLasting, New: func() Tally { return &stormTally{by: CloseByFIN} }},
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

// lasted returns when a lasting connection was open, and which transition ended
// it: nil where it goes on. A refused or short one has none.
func (f *Flow) lasted() (from, to int64, end *Transition) {
	end, to = f.firstClose(), f.Now
	if end != nil {
		if to = end.Time; end.From < Established {
			return 0, 0, nil
		}
	} else if f.Handshake.Result != HandshakeEstablished && f.Handshake.Result != HandshakeMidstream {
		return 0, 0, nil
	}
	if to-f.Start < lasting {
		return 0, 0, nil
	}
	return f.Start, to, end
}

// wantsReset takes the lasting connections that the side reset.
func wantsReset(f *Flow, s Side) bool {
	return f.Close.ActiveCloser == s && f.Close.By == CloseByRST && wantsLasting(f, s)
}

// wantsLasting takes all lasting connections: those that stay open tell a host
// that ends from one that closes what is idle.
func wantsLasting(f *Flow, _ Side) bool {
	if f.Now-f.Start < lasting {
		return false
	}
	_, to, _ := f.lasted()
	return to != 0
}

type stormTally struct {
	by   CloseBy
	all  []ended
	skip uint // only one flow in 1<<skip is kept
}

// maxEnded bounds the flows that are kept of one host.
const maxEnded = 1024

// ended is one lasting connection of a host.
type ended struct {
	from, to int64
	frame    uint64 // of the host's FIN or RST; 0: it sent none, or not first
	flow     int    // its number, << 1, and 1 where the host serves: there are many of these
}

func (e *ended) number() int  { return e.flow >> 1 }
func (e *ended) serves() bool { return e.flow&1 != 0 }

func (t *stormTally) Add(f *Flow, s Side) {
	if !t.keeps(f.Number) {
		return
	}
	from, to, end := f.lasted()
	e := ended{from: from, to: to, flow: f.Number << 1}
	if s == f.Server() {
		e.flow |= 1
	}
	if f.Close.ActiveCloser == s && f.Close.By == t.by {
		e.frame = end.Frame
	}
	t.keep(e)
}

// keep adds a connection and, when there are too many, drops about half.
func (t *stormTally) keep(e ended) {
	t.all = append(t.all, e)
	for len(t.all) > maxEnded {
		t.skip++
		t.all = slices.DeleteFunc(t.all, func(e ended) bool { return !t.keeps(e.number()) })
	}
}

// keeps reports whether a flow is among those kept: chance, but the same for
// whatever order they end in.
func (t *stormTally) keeps(flow int) bool {
	const golden = 0x9e3779b97f4a7c15
	return uint64(flow)*golden>>(64-t.skip) == 0
}

// storm is the second in which a host ended most.
type storm struct {
	ended  []ended
	open   int // lasting connections that it had when that began
	rest   int // that it ended at other times
	others int64
}

// Find wants many connections ended within a second, far more than this host
// ends in another, and most of those that it had to end by FIN: a host that
// closes what has been idle keeps the others.
func (t *stormTally) Find(n *Finding) bool {
	const many, factor = 50, 10
	p := t.peak()
	peak, rest, open := len(p.ended)<<t.skip, p.rest<<t.skip, p.open<<t.skip
	if peak < many || int64(rest*factor) > int64(peak)*max(p.others/int64(time.Second), 1) {
		return false
	}
	if t.by == CloseByFIN && peak*2 <= open {
		return false
	}
	first := p.ended[0]
	n.At, n.Last, n.Frame, n.For = first.to, first.to+int64(time.Second), first.frame, int64(time.Second)
	about := ""
	if t.skip > 0 {
		about = "about "
	}
	if t.by == CloseByFIN {
		if !first.serves() {
			n.Severity = Info // a client may end when it has done its work
		}
		n.Evidence = fmt.Sprintf("closes %s%d of the %d connections of more than %s that it has open within a second; %d others in the %s besides",
			about, peak, open, since(lasting), rest, since(p.others))
	} else {
		n.Evidence = fmt.Sprintf("resets %s%d connections of more than %s within a second; %d others in the %s besides",
			about, peak, since(lasting), rest, since(p.others))
	}
	for _, e := range p.ended {
		n.Flows = append(n.Flows, e.number())
	}
	slices.Sort(n.Flows)
	n.Flows, n.FlowCount = n.Flows[:min(len(n.Flows), maxFlowsNamed)], peak
	if rest > peak {
		n.lower(fmt.Sprintf("%d of its lasting connections end at other times", rest))
	}
	return true
}

// peak returns the second in which most were ended.
func (t *stormTally) peak() (p storm) {
	own := slices.DeleteFunc(slices.Clone(t.all), func(e ended) bool { return e.frame == 0 })
	slices.SortFunc(own, func(a, b ended) int { return cmp.Or(cmp.Compare(a.to, b.to), cmp.Compare(a.flow, b.flow)) })
	lo := 0
	for i := range own {
		for own[i].to-own[lo].to > int64(time.Second) {
			lo++
		}
		if i+1-lo > len(p.ended) {
			p.ended = own[lo : i+1]
		}
	}
	if len(p.ended) == 0 {
		return p
	}
	at := p.ended[0].to
	for _, e := range t.all {
		if e.from <= at && at <= e.to {
			p.open++
		}
	}
	p.rest = len(own) - len(p.ended)
	p.others = max(own[len(own)-1].to-own[0].to-int64(time.Second), 0)
	return p
}

// endRSTStorm looks for one connection that is reset again and again. Whatever
// was in flight when a side gave up draws a RST for each segment, within a
// round trip; a peer that goes on for longer does not hear them.
func endRSTStorm(d *Detector, f *Flow) {
	const many, roundTrip = 20, int64(time.Second)
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
		if all.Count < many || span < roundTrip || span*many > int64(10*time.Second)*int64(all.Count) {
			continue // fewer than two a second
		}
		f.Raise(Finding{Detector: d, Severity: d.Severity, Side: s, At: all.First, Last: all.Last, For: span,
			Frame: all.Frame, Frames: []uint64{all.LastFrame}, Evidence: fmt.Sprintf(
				"%s sends %d RSTs within %s (frames %s to %s): its peer does not stop", f.who(s), n, since(span), FrameText(all.Frame), FrameText(all.LastFrame))})
	}
}
