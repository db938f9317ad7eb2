package analyzer

// bigSegment is a full-sized segment that was sent again before any of that
// size was acknowledged: a path may pass the small ones alone.
type bigSegment struct {
	seq                   Seq
	size                  uint32
	n                     int // sent again, whole
	first, last           int64
	firstGap, gap         int64 // between the first two of these, and the last two
	firstFrame, lastFrame uint64
	heard                 uint64 // segments of the peer before the first of these
	duplicates            uint64 // duplicate ACKs of the peer before the last

	smaller      uint32 // then sent again in pieces of so many octets; 0: it was not
	smallerFrame uint64
	tooBig       int // sent again after a router had said that it is too big
}

const (
	noFull    = ^uint32(0)
	headers4  = 40 // of IPv4 and TCP, without options
	headers6  = 60
	tcpExtras = 40 // the most that options take off a segment (RFC 6691)
)

// fullSize returns from which size on a segment of side e is a full one, as the
// offers of both sides have it; noFull when they are not known.
func fullSize(e, p *Endpoint) uint32 {
	const small = 536 + tcpExtras // that much passes anywhere (RFC 9293 3.7.1)
	if e.Offered.Set&p.Offered.Set&OptMSS == 0 {
		return noFull
	}
	mss := uint32(min(e.Offered.MSS, p.Offered.MSS))
	if mss <= small {
		return noFull
	}
	return mss - tcpExtras
}

// sentAgain looks at a segment with data that side s sends again: the next one
// that its peer waits for.
func (f *Flow) sentAgain(s Side, x *Segment) {
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	full, refused := fullSize(e, p), f.routerRefuses(s, x)
	b := e.big
	switch {
	case b != nil && x.Seq == b.seq:
		b.again(x, p, x.Len >= full, refused)
	case b != nil && b.smaller != 0: // the path is known
	case x.Len == 0 || !p.hasACK || x.Seq != p.ack || p.stall() != nil:
	case !refused && x.Len < full:
		e.lostHead = e.lostHead || b == nil
	case refused || x.DontFragment && e.fullFrom == noFull && p.ack.Less(e.full.Add(full)):
		e.big = &bigSegment{seq: x.Seq, size: x.Len, n: 1, first: x.Time, last: x.Time,
			firstFrame: x.Frame, lastFrame: x.Frame, heard: p.Counters.Segments, duplicates: p.duplicateACKs}
		if refused {
			e.big.tooBig = 1
		}
	}
}

// again counts one more copy.
func (b *bigSegment) again(x *Segment, p *Endpoint, full, refused bool) {
	if !full && !refused {
		if b.smaller == 0 {
			b.smaller, b.smallerFrame = x.Len, x.Frame
		}
		return
	}
	if b.smaller != 0 {
		return
	}
	if refused {
		b.tooBig++
	}
	b.n++
	b.size = min(b.size, x.Len) // offload may have sent several as one
	b.gap = x.Time - b.last
	if b.n == 2 {
		b.firstGap = b.gap
	}
	b.last, b.lastFrame = x.Time, x.Frame
	b.duplicates = p.duplicateACKs
}

// routerRefuses reports whether a router has said that a segment of side s of
// x's size is too big for the path.
func (f *Flow) routerRefuses(s Side, x *Segment) bool {
	u := f.Unreached
	if u == nil || u.MTU == 0 || u.Src != f.Key.Addr[s] || u.SrcPort != f.Key.Port[s] {
		return false
	}
	headers := uint32(headers4)
	if u.V6 {
		headers = headers6
	}
	return x.Len+headers > u.MTU
}
