package analyzer

import "time"

// idleAfter is how long both sides are silent before a flow counts as idle: no
// middlebox forgets an open connection sooner.
const idleAfter = int64(20 * time.Second)

// idle follows what comes after the silences of an open connection. Few are
// ever silent for so long.
type idle struct {
	survived int64 // the longest silence after which the peer answered
	waiting  bool  // the last one's end is not answered

	// The last silence, and the segment that ended it.
	from, at int64
	frame    uint64
	side     Side  // who sent that
	flags    Flags // of it
	end      Seq   // what acknowledges it
	data     bool  // it carries some

	// The RST that answered; frame 0: none did.
	resetAt    int64
	resetFrame uint64
	foreign    bool // and its TTL is not that of its sender's other packets
}

// noteIdle sees a segment that ends a silence, or of a flow that has had one.
func (f *Flow) noteIdle(s Side, x *Segment) {
	i := f.idle
	switch {
	case i != nil && i.waiting: // whatever the silence: repeats back off
		if s != i.side {
			i.answer(&f.Sides[s], x)
		}
	case x.Time-f.End >= idleAfter && f.asks(s, x):
		if i == nil {
			i = new(idle)
			f.idle = i
		}
		*i = idle{survived: i.survived, waiting: true, from: f.End, at: x.Time, frame: x.Frame, side: s,
			flags: x.Flags, end: f.Sides[s].nxt.Max(x.end()), data: x.Len > 0 && x.Seq == f.Sides[s].nxt}
	}
}

// asks reports whether x is a segment of a connection that both sides hold
// open, and asks for an answer: it takes sequence space, or is a keep-alive.
func (f *Flow) asks(s Side, x *Segment) bool {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	if e.State != Established || p.State != Established || e.proven != Established || p.proven != Established {
		return false
	}
	if e.LastSent == 0 || p.LastSent == 0 || x.Flags&(SYN|RST|ACK) != ACK {
		return false
	}
	return x.occupies() || x.Seq == e.nxt-1
}

// answer takes what the other side e says to the end of a silence. A RST that
// acknowledges new data is of a host that has the connection.
func (i *idle) answer(e *Endpoint, x *Segment) {
	covers := x.Flags&ACK != 0 && i.end.LessEq(x.Ack)
	switch {
	case x.Flags&RST == 0 && covers, x.Flags&RST != 0 && covers && i.data:
		i.waiting, i.resetFrame = false, 0
		i.survived = max(i.survived, i.at-i.from)
	case x.Flags&RST != 0 && i.resetFrame == 0:
		i.resetAt, i.resetFrame = x.Time, x.Frame
		i.foreign = e.ttl != 0 && apart(e.ttl, x.TTL) > 2
	}
}
