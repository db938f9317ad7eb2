package analyzer

import (
	"fmt"
	"time"
)

var timeWaitPressure = &Detector{
	Name:      "time-wait-pressure",
	Doc:       "a client closes so many connections to one server port that TIME_WAIT holds a good part of its ports",
	Cause:     "the client opens a connection for each request and closes it first: no pool, no keep-alive",
	Causes:    []string{"a pool that is too small, or whose idle limit is shorter than the time between requests", "a proxy without keep-alive to its backend", "a health check or load test that closes at once"},
	LooksLike: []string{"TIME_WAIT at the server: it uses no ports there", "connections to many servers or ports: each pair of endpoints has a range of its own", "ports that are used again while in TIME_WAIT (tcp_tw_reuse)"},
	Next:      "on CLIENT: ss -tan state time-wait dst SERVER | wc -l; sysctl net.ipv4.ip_local_port_range net.ipv4.tcp_tw_reuse; does connect fail with EADDRNOTAVAIL? keep connections open, or let the server close first",
	Reference: "RFC 9293 3.6.1, RFC 6056 2.2, ip_local_port_range",
	Severity:  Warning,
	Across:    &Across{By: ByPair, Wants: wantsCloser, New: func() Tally { return &closerTally{} }},
	Example: `flows 8000 apart 5ms by port
a > b  S   100
b > a  S.  300      ack 101
a > b  .   101      ack 301
a > b  P.  101:201  ack 301
b > a  P.  301:801  ack 201
a > b  F.  201      ack 801
b > a  F.  801      ack 202
a > b  .   202      ack 802`,
}

// wantsCloser takes the flows for which their client held TIME_WAIT: that
// keeps its port from being used to the same server and port for 2 MSL, unless
// the next connection took it over.
func wantsCloser(f *Flow, s Side) bool {
	return !f.replaced() && f.reached(s, TimeWait)
}

type closerTally struct {
	flowList
	closes  timeline[closes, *closes] // over 2 MSL, by the time of the close
	profile *Profile
	low, up uint16 // the client's ports
}

// closes counts the connections that were closed in a stretch of time.
type closes struct {
	n           int
	first, last int64
	frame       uint64 // of first
}

func (t *closerTally) Add(f *Flow, s Side) {
	in, port := f.entered(s, TimeWait), f.Key.Port[s]
	if t.profile == nil {
		t.profile, t.low = f.profile, port
		t.closes.span = int64(f.profile.TimeWait)
	}
	t.low, t.up = min(t.low, port), max(t.up, port)
	t.closes.at(in.Time).plus(&closes{n: 1, first: in.Time, last: in.Time, frame: in.Frame})
	t.add(f.Number)
}

// Find wants a good part of the ports in TIME_WAIT at once.
func (t *closerTally) Find(n *Finding) bool {
	const some, much = 20, 50 // percent
	peak, held := t.closes.peak()
	ports, whose := t.ports()
	share := held * 100 / ports
	if share < some {
		return false
	}
	if share < much {
		n.Severity = Info
	}
	n.At, n.Last, n.Frame, n.For = peak.first, peak.last, peak.frame, peak.last-peak.first
	n.Evidence = fmt.Sprintf("the client closes %d connections within %s and holds their ports in TIME_WAIT for %s: %d %% of the %d that %s%s",
		peak.n, since(n.For), since(int64(t.profile.TimeWait)), share, ports, whose, t.runsOut(&peak, ports))
	t.onto(n)
	return true
}

// ports returns how many ports the client chooses from: the profile's, or more
// where those that it has used lie further apart.
func (t *closerTally) ports() (n int, whose string) {
	if used := int(t.up) - int(t.low) + 1; used > t.profile.Ephemeral {
		return used, fmt.Sprintf("it uses (%d to %d)", t.low, t.up)
	}
	return t.profile.Ephemeral, t.profile.Name + " gives"
}

func (c *closes) count() int { return c.n }

func (c *closes) plus(d *closes) {
	if c.n == 0 || d.first < c.first || d.first == c.first && d.frame < c.frame {
		c.first, c.frame = d.first, d.frame
	}
	c.n += d.n
	c.last = max(c.last, d.last)
}

// runsOut says when no port is left, at this rate.
func (t *closerTally) runsOut(peak *closes, ports int) string {
	lasted := max(peak.last-peak.first, int64(time.Second))
	after := int64(float64(lasted) * float64(ports) / float64(peak.n))
	if after > int64(t.profile.TimeWait) {
		return "; at this rate they suffice"
	}
	return fmt.Sprintf("; at this rate none is left %s after the first", since(after))
}
