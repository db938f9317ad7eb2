package capture

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Fragments of IP datagrams are put together as their receiver does it (RFC 791
// 3.2, RFC 8200 4.5), so that a TCP segment has its whole length and a packet in
// a tunnel its headers. But the headers are all that the decoder wants: of a
// datagram only its beginning and the ranges that have come are held.
//
// The frame that completes a datagram goes on through the decoder in its stead;
// the frames before it wait, counted as SkippedJoined. A datagram that is never
// completed is not lost: its first fragment is handed on alone, its segment
// marked as a Fragment. That shows only later, so what the capture delivers
// meanwhile waits behind it (waiting.go): packets stay in order.

const (
	maxDatagrams  = 1024
	maxRanges     = 64                      // of one datagram, with gaps between them
	fragmentsLast = int64(30 * time.Second) // Linux's net.ipv4.ipfrag_time; RFC 8200 4.5 has 60 s
	keptOctets    = 256                     // holds the headers of a segment within three tunnels
	fragmentUnit  = 8
)

// fragmented is no reason and never counted: the IP layer has come to a
// fragment, which frame.part describes.
const fragmented Reason = 0xfe

// part is the fragment that a frame carries: its data and length are the
// frame's.
type part struct {
	id     uint32
	offset int // octets
	more   bool
	proto  uint8
	v6     bool
}

// setPart4 takes a fragment from an IPv4 header.
func (f *frame) setPart4(b []byte, place uint16, proto uint8) Reason {
	f.part = part{
		id:     uint32(binary.BigEndian.Uint16(b[4:])),
		offset: int(place&fragmentOffset) * fragmentUnit,
		more:   place&moreFragments != 0,
		proto:  proto,
	}
	return fragmented
}

// setPart6 takes a fragment from IPv6's Fragment header (RFC 8200 4.5), and the
// frame past it. AH of IPv4 may carry one, too.
func (f *frame) setPart6(b []byte) {
	place := binary.BigEndian.Uint16(b[2:])
	f.part = part{
		id:     binary.BigEndian.Uint32(b[4:]),
		offset: int(place & fragmentOffset6),
		more:   place&moreFragments6 != 0,
		proto:  b[0],
		v6:     f.v6,
	}
	f.advance(fragmentHeaderLen)
}

// datagramKey says which fragments belong together (RFC 791 3.2): as seen at
// one place, for a tap may see a datagram twice. IPv6 has no protocol in it (RFC
// 8200 4.5).
type datagramKey struct {
	src, dst analyzer.Addr
	id       uint32
	proto    uint8
	v6       bool
	path     path
}

// octets is a range of a datagram's payload.
type octets struct{ from, to int32 }

// datagram is one that is being put together.
type datagram struct {
	key    datagramKey
	first  int64 // capture time of the fragment that came first
	proto  uint8 // of its payload
	state  datagramState
	frames uint64 // that are counted as SkippedJoined
	later  uint64 // fragments.later when it began

	end    int // of the payload; 0 until the last fragment has come
	ranges []octets
	kept   []byte
	has    [keptOctets / 64]uint64 // which octets of kept are there

	sum    uint16 // ones' complement sum of the payload, while
	summed bool   // all of it was captured, and once

	why   Reason // its first fragment alone would not be delivered; or
	turn  uint64 // of its first fragment in the waiting list, while
	waits bool

	older, newer, next *datagram
}

type datagramState uint8

const (
	gathering   datagramState = iota
	contradicts               // its fragments cannot be of one datagram: all are dropped
	handedOn                  // its first fragment was delivered alone
)

// fragments holds the datagrams of a capture that are being put together.
type fragments struct {
	buckets        [maxDatagrams]*datagram // by key, linked by next
	n              int                     // in the list
	lasts          int64                   // ns that a datagram waits for its fragments
	oldest, newest *datagram
	free           *datagram // linked by newer

	waiting waitingList
	later   uint64 // fragments that were not the first of their datagram
	// noneLater: a datagram was given up of which only the first fragment had
	// come, and from it until now there was no later fragment of any. A capture
	// filter on ports lets none through; there is nothing to wait for.
	noneLater bool

	// Of the frame at hand; settle takes them up once it is counted, which it is
	// not when the input ends in it.
	current   *datagram   // the one that its fragment belongs to
	first     bool        // that is its first, and
	alone     Reason      // what came of that; delivered: the packet
	completed []*datagram // usually one; more where a tunnel's packet was fragmented, too
}

// joinable reports whether fragments of a protocol are worth putting together:
// there may be TCP in them.
func joinable(proto uint8, v6 bool) bool {
	switch proto {
	case protoTCP, protoUDP, protoHopByHop, protoRouting, protoDestOptions, protoMobility, protoHIP, protoShim6, protoAH, protoFragment:
		return true
	}
	for i := range tunnels {
		if tunnels[i].port == 0 && tunnels[i].proto == proto {
			return true
		}
	}
	return false
}

// fragment takes the fragment at which the IP layer has stopped. When that
// completes its datagram, the frame goes on as this.
func (d *decoder) fragment(f *frame, p *Packet) Reason {
	q := &f.part
	if f.lone || !joinable(q.proto, q.v6) {
		return f.loneFragment(p)
	}
	if f.impossible() {
		return SkippedMalformedIP
	}
	if d.frags == nil {
		d.frags = &fragments{lasts: d.patience}
		if d.patience == 0 {
			d.frags.lasts = fragmentsLast
		}
	}
	g := d.frags
	if q.offset != 0 {
		g.later++
		g.noneLater = false
	}
	t := g.find(d.datagramKey(f, p), f)
	g.current = t
	switch {
	case t.state == contradicts, t.state == gathering && !t.add(f):
		return SkippedBadFragment
	case t.state == handedOn && q.offset == 0:
		return SkippedFragment
	case t.state == handedOn:
		return laterFragment(q.proto, q.v6)
	case t.whole():
		return g.complete(t, f, p)
	case q.offset == 0 && !t.waits && t.why == delivered:
		f.lone = true
		return f.loneFragment(p)
	}
	return SkippedJoined
}

// impossible reports whether the fragment is of no datagram: it reaches beyond
// what a length field can say, has no octets, or is one of IPv6 that must be
// discarded for an odd length (RFC 8200 4.5).
func (f *frame) impossible() bool {
	q, limit := &f.part, maxPlainLength
	if !q.v6 {
		limit -= ipv4HeaderLen
	}
	return f.wire == 0 || q.offset+f.wire > limit || q.v6 && q.more && f.wire%fragmentUnit != 0
}

// loneFragment decodes a fragment for itself.
func (f *frame) loneFragment(p *Packet) Reason {
	if f.part.offset != 0 {
		return laterFragment(f.part.proto, f.part.v6)
	}
	p.Segment.Fragment = true
	return f.transport(f.part.proto, p, f.part.v6)
}

// firstFragment takes what has come of the first fragment of a datagram that is
// not complete: that is what will be delivered if it never is.
func (g *fragments) firstFragment(f *frame, alone Reason) Reason {
	f.lone = false
	if alone == delivered && g.noneLater {
		g.current.state = handedOn
		return delivered
	}
	g.first, g.alone = true, alone
	return SkippedJoined
}

// complete lets the frame go on as the datagram that it has completed.
func (g *fragments) complete(t *datagram, f *frame, p *Packet) Reason {
	g.current = nil
	g.completed = append(g.completed, t)
	g.forget(t)
	f.data, f.wire = t.kept[:t.captured()], t.end
	if f.verify && t.summed {
		f.whole = t
	}
	return f.transport(t.proto, p, t.key.v6)
}

// datagramKey says which datagram the frame's fragment belongs to.
func (d *decoder) datagramKey(f *frame, p *Packet) datagramKey {
	d.name(f)
	clear(f.path.hops[f.path.depth:])
	k := datagramKey{src: p.Segment.Src, dst: p.Segment.Dst, id: f.part.id, v6: f.part.v6, path: f.path}
	if !k.v6 {
		k.proto = f.part.proto
	}
	return k
}

// find returns the datagram of a key, a new one if there is none.
func (g *fragments) find(k datagramKey, f *frame) *datagram {
	bucket := g.bucket(&k)
	for t := *bucket; t != nil; t = t.next {
		// One that is too old settle is about to give up.
		if t.key == k && f.time-t.first <= g.lasts {
			return t
		}
	}
	t := g.free
	if t == nil {
		t = &datagram{ranges: make([]octets, 0, maxRanges), kept: make([]byte, keptOctets)}
	} else {
		g.free = t.newer
	}
	*t = datagram{key: k, first: f.time, proto: f.part.proto, later: g.later, summed: true,
		ranges: t.ranges[:0], kept: t.kept, older: g.newest, next: *bucket}
	*bucket = t
	g.n++
	if g.newest == nil {
		g.oldest = t
	} else {
		g.newest.newer = t
	}
	g.newest = t
	return t
}

// forget takes a datagram out of the list. It is still to be freed.
func (g *fragments) forget(t *datagram) {
	at := g.bucket(&t.key)
	for *at != t {
		at = &(*at).next
	}
	*at = t.next
	g.n--
	if t.older == nil {
		g.oldest = t.newer
	} else {
		t.older.newer = t.newer
	}
	if t.newer == nil {
		g.newest = t.older
	} else {
		t.newer.older = t.older
	}
	t.older, t.newer, t.next = nil, nil, nil
}

// bucket is where datagrams of a key are. However keys are chosen, no more than
// maxDatagrams are in one.
func (g *fragments) bucket(k *datagramKey) **datagram {
	src, dst := binary.LittleEndian.Uint64(k.src[8:]), binary.LittleEndian.Uint64(k.dst[8:])
	h := (uint64(k.id) ^ src ^ bits.RotateLeft64(dst, 32)) * 0x9e3779b97f4a7c15
	return &g.buckets[h>>32%maxDatagrams]
}

// add takes the frame's fragment into the datagram; false when the two cannot
// belong together: the datagram's end is not one place, or fragments of IPv6
// overlap (RFC 5722). Of IPv4, where RFC 791 allows that, the octets that came
// first stay.
func (t *datagram) add(f *frame) bool {
	q := &f.part
	data, wire := f.data, f.wire
	if q.more { // Linux, too, takes of IPv4 what is a multiple of 8 octets
		wire -= wire % fragmentUnit
		data = data[:min(len(data), wire)]
	}
	to := q.offset + wire
	if !q.more {
		if t.end != 0 && t.end != to {
			return false
		}
		t.end = to
	}
	if n := len(t.ranges); t.end != 0 && (to > t.end || n > 0 && int(t.ranges[n-1].to) > t.end) {
		return false
	}
	if q.offset == 0 {
		t.proto = q.proto
	}
	if wire == 0 {
		return true
	}
	fresh, overlap := t.cover(int32(q.offset), int32(to))
	if overlap && q.v6 {
		return false
	}
	if !fresh {
		return true
	}
	t.summed = t.summed && !overlap && len(data) == wire
	if f.verify && t.summed {
		t.sum = fold(uint64(t.sum) + uint64(onesSum(data)))
	}
	t.keep(q.offset, data)
	return true
}

// cover adds a range. fresh: it was not there yet, as that of a fragment sent
// twice is; overlap: a part of it was. Linux draws the line at the same place
// (inet_frag_queue_insert). Beyond maxRanges nothing is added, and the datagram
// never whole.
func (t *datagram) cover(from, to int32) (fresh, overlap bool) {
	r := t.ranges
	i := 0
	for i < len(r) && r[i].to < from {
		i++
	}
	j := i
	for j < len(r) && r[j].from <= to {
		if r[j].from <= from && to <= r[j].to {
			return false, false
		}
		overlap = overlap || r[j].from < to && from < r[j].to
		from, to = min(from, r[j].from), max(to, r[j].to)
		j++
	}
	switch {
	case j > i:
		r[i] = octets{from, to}
		t.ranges = append(r[:i+1], r[j:]...)
	case len(r) == maxRanges:
		return false, false
	default:
		r = append(r, octets{})
		copy(r[i+1:], r[i:])
		r[i] = octets{from, to}
		t.ranges = r
	}
	return true, overlap
}

// whole reports whether all of the datagram has come.
func (t *datagram) whole() bool {
	return t.end != 0 && len(t.ranges) == 1 && t.ranges[0] == octets{0, int32(t.end)}
}

// keep takes those octets that belong to the datagram's beginning and are not
// there yet.
func (t *datagram) keep(offset int, data []byte) {
	for i := offset; i < min(offset+len(data), keptOctets); i++ {
		if bit := uint64(1) << (i % 64); t.has[i/64]&bit == 0 {
			t.has[i/64] |= bit
			t.kept[i] = data[i-offset]
		}
	}
}

// captured is how many octets from the datagram's beginning are there without a
// gap: a snap length cuts each fragment.
func (t *datagram) captured() int {
	n := 0
	for _, word := range t.has {
		k := bits.TrailingZeros64(^word)
		n += k
		if k < 64 {
			break
		}
	}
	return n
}
