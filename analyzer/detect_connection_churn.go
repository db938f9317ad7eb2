package analyzer

import (
	"fmt"
	"time"
)

var connectionChurn = &Detector{
	Name:      "connection-churn",
	Doc:       "a client opens many short connections to one server port, each for a request or two",
	Cause:     "no keep-alive and no connection pool: each request pays for a handshake and a close",
	Causes:    []string{"the server or a proxy closes after each response (Connection: close, HTTP/1.0)", "a pool that is broken or too small", "a monitor or load test"},
	LooksLike: []string{"health checks: few, at a steady pace, or without data", "one connection with many requests", "connections that last", "many connections at once: a pool would need them all"},
	Next:      "in the client's and proxies' settings: keep-alive and pool size; in HTTP: who sends Connection: close? ss -tan dst SERVER | awk '{print $1}' | sort | uniq -c",
	Reference: "RFC 9112 9.3",
	Severity:  Info,
	Across:    &Across{By: ByPair, Wants: wantsChurn, New: func() Tally { return &churnTally{began: timeline[churn, *churn]{span: int64(time.Minute)}} }},
	Example: `flows 80 apart 100ms by port
a > b  S   100
b > a  S.  300      ack 101
a > b  .   101      ack 301
a > b  P.  101:201  ack 301
b > a  P.  301:801  ack 201  @+5ms
b > a  F.  801      ack 201
a > b  F.  201      ack 802
b > a  .   802      ack 202`,
}

// wantsChurn takes the whole short connections that carried little.
func wantsChurn(f *Flow, _ Side) bool {
	const short = int64(2 * time.Second)
	c, v := &f.Sides[f.Client], &f.Sides[f.Server()]
	little := v.Turns >= 1 && c.Turns <= 3 && f.End-f.Start < short // TLS takes up to two turns before the request
	over := f.Close.Result == CloseClosed || f.Close.Result == CloseAborted || f.Close.Result == CloseReset
	return little && over && f.Handshake.Result == HandshakeEstablished
}

type churnTally struct {
	flowList
	began timeline[churn, *churn] // over a minute, by when they began
}

// churn counts the connections that began in a stretch of time.
type churn struct {
	n           int
	first, last int64
	frame       uint64 // of first
	segments    uint64
	turns       uint64 // of the clients
	lived       int64
}

func (t *churnTally) Add(f *Flow, _ Side) {
	t.add(f.Number)
	t.began.at(f.Start).plus(&churn{n: 1, first: f.Start, last: f.Start,
		frame: f.FirstFrame, segments: f.Frames, turns: uint64(f.Sides[f.Client].Turns), lived: f.End - f.Start})
}

func (c *churn) count() int { return c.n }

func (c *churn) plus(d *churn) {
	if c.n == 0 || d.first < c.first || d.first == c.first && d.frame < c.frame {
		c.first, c.frame = d.first, d.frame
	}
	c.n += d.n
	c.last = max(c.last, d.last)
	c.segments += d.segments
	c.turns += d.turns
	c.lived += d.lived
}

// Find wants more than one a second for a minute: health checks are fewer. It
// wants them one after another: a pool saves nothing where all are open at
// once.
func (t *churnTally) Find(n *Finding) bool {
	const many, afterEachOther = 60, 10
	peak, inMinute := t.began.peak()
	n.For = peak.last - peak.first
	if inMinute <= many || n.For == 0 || peak.lived*afterEachOther > int64(peak.n)*n.For {
		return false
	}
	n.At, n.Last, n.Frame = peak.first, peak.last, peak.frame
	n.Evidence = fmt.Sprintf("%d connections within %s, %.1f open at a time: on average each lives for %s, and the client speaks %.1f times in its %d segments",
		peak.n, since(n.For), float64(peak.lived)/float64(n.For), since(peak.lived/int64(peak.n)),
		float64(peak.turns)/float64(peak.n), peak.segments/uint64(peak.n))
	t.onto(n)
	return true
}
