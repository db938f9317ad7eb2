package analyzer

import (
	"cmp"
	"runtime"
	"sync"
	"sync/atomic"
)

// Shards follows flows on several cores: each flow is one of numShards
// Trackers', by its addresses and ports, and each Tracker has a core while it
// works. The segments are handed out in batches; the numbers of what has begun
// in one are given before the next is worked on, and what has ended in it is
// handed on beside that:
//
//	caller   | fill 0 | fill 1 | fill 2            | deliver 0, fill 3           | …
//	workers           | work 0 | render 0, work 1  | render 1, work 2            | …
//
// How many cores there are changes nothing of the result: the Trackers do not
// know of each other within a batch, and between two batches all is done in
// one order. Shards gives the same flows as a Tracker does, in the same order,
// but for this. Numbers are given to flows that are still there when their batch
// ends, so that no number is left out for a SYN that was refuted at once. That
// an address accepts connections is known to the others from the next batch on.
// And each Tracker has its share of Config.MaxFlows, and of the streams that are
// remembered once their flows have ended.
//
// It calls Config.OnFlow on the caller's goroutine, in Observe and Close. It is
// not safe for concurrent use, and has neither OnStep nor
// OnFinding.
type Shards struct {
	cfg      Config
	trackers [numShards]*Tracker
	filling  *batch
	working  *batch        // nil: none
	work     []chan *batch // of each worker
	delivery

	clock         int64 // the highest capture time so far
	last          int64 // that of the last segment
	number        int   // of the next flow
	stream        int   // the next stream
	timeBackwards uint64
}

const (
	// numShards is fixed, so that results do not depend on the machine.
	numShards = 8
	// batchSize is how many segments a batch has: enough to make the handing
	// over cheap, few enough for the caches.
	batchSize = 1 << 12
)

// batch is what is handed out at once.
type batch struct {
	queues [numShards]queue
	n      int
	end    int64        // the clock behind its last segment
	last   bool         // there are no more segments: flows end whose number is
	below  int          // below this
	next   atomic.Int32 // the Tracker that nobody works for yet
	left   sync.WaitGroup
}

// queue is what one Tracker takes of a batch, in order. Few have ICMP errors.
type queue struct {
	segments    []Segment
	ticks       []tick
	unreachable []Unreachable
	before      []int // the segment before which each of them stands
	at          []tick
}

// tick says when a segment comes: its place in the batch, and the clock.
type tick struct {
	place uint32
	clock int64
}

// share is what a Tracker has besides when it is one of several.
type share struct {
	place   uint32  // of the segment at hand; 0: it is the clock that acts
	flows   births  // in this batch
	streams births  // in this batch
	ended   *parcel // in this batch
	spare   []*Flow
	rest    []numbered // what was held when the segments ended
	heard   []listener // new ones
}

// NewShards returns Shards that work on so many cores besides the caller's, at
// most numShards; below 1: as many as there are.
func NewShards(cfg Config, workers int) *Shards {
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, numShards)
	s := &Shards{cfg: cfg, number: cfg.FirstNumber, filling: new(batch), work: make([]chan *batch, workers)}
	s.delivery.init()
	each := cfg
	each.OnFlow, each.OnStep, each.OnFinding = nil, nil, nil
	each.MaxFlows = max(1, cmp.Or(cfg.MaxFlows, DefaultMaxFlows)/numShards)
	each.Awake = max(1, cmp.Or(cfg.Awake, DefaultAwake)/numShards)
	for i := range s.trackers {
		s.trackers[i] = New(each)
		s.trackers[i].join(new(share))
	}
	for i := range s.work {
		s.work[i] = make(chan *batch, 1)
		go s.worker(s.work[i])
	}
	return s
}

// join makes the Tracker one of several.
func (t *Tracker) join(s *share) {
	t.share = s
	if t.streams != nil {
		t.streams = newConversations(conversationsKept/numShards, s)
	}
}

// worker works for one Tracker after the other, as long as there are some for
// which nobody does: a core that comes late takes fewer.
func (s *Shards) worker(work chan *batch) {
	for b := range work {
		for i := b.next.Add(1) - 1; i < numShards; i = b.next.Add(1) - 1 {
			t := s.trackers[i]
			t.share.begin(&s.ending[i])
			s.rendering[i].render(s.text)
			if b.last {
				t.endBelow(b.below)
			} else {
				t.takeBatch(&b.queues[i], b.end)
			}
		}
		b.left.Done()
	}
}

// takeBatch takes a Tracker's part of a batch.
func (t *Tracker) takeBatch(q *queue, end int64) {
	next := 0
	quotes := func(until int) {
		for ; next < len(q.unreachable) && q.before[next] <= until; next++ {
			t.reach(q.at[next])
			t.ObserveUnreachable(&q.unreachable[next])
		}
	}
	var ahead [foreseen]sighting
	for i := range q.segments {
		if i%foreseen == 0 {
			t.foresee(q.segments[i:], &ahead)
		}
		quotes(i)
		t.reach(q.ticks[i])
		a := &ahead[i%foreseen]
		t.observe(a.key, a.side, a.tag, &q.segments[i])
	}
	quotes(len(q.segments))
	t.reach(tick{0, end})
}

// reach advances the clock to that of a segment, and makes it the one at hand.
func (t *Tracker) reach(at tick) {
	t.share.place = 0
	t.Advance(at.clock)
	t.share.place = at.place
}

// shardOf says whose the flows of a pair are, whatever their path, and whoever of
// the two sends. It is no secret: the tables behind it are seeded.
func shardOf(src, dst *Addr, sport, dport uint16) int {
	const m = 0x9e3779b97f4a7c15
	h := (endMix(src, sport) + endMix(dst, dport)) * m
	return int((h ^ h>>32) * m >> 32 % numShards)
}

// endMix mixes one end of a pair.
func endMix(a *Addr, port uint16) uint64 {
	const m, n = 0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53
	w := a.halves()
	h := (w[0]^uint64(port)*n)*m ^ w[1]
	h = (h ^ h>>31) * n
	return h ^ h>>29
}

// Observe takes one segment, in capture order. It does not keep x.
func (s *Shards) Observe(x *Segment) {
	if x.Time < s.last {
		s.timeBackwards++
	}
	s.last, s.clock = x.Time, max(s.clock, x.Time)
	q := &s.filling.queues[shardOf(&x.Src, &x.Dst, x.SrcPort, x.DstPort)]
	q.segments = append(q.segments, *x)
	q.ticks = append(q.ticks, s.tick())
	if s.filling.n == batchSize {
		s.handOver()
	}
}

// ObserveUnreachable takes one ICMP error that quotes a segment.
func (s *Shards) ObserveUnreachable(u *Unreachable) {
	s.clock = max(s.clock, u.Time)
	q := &s.filling.queues[shardOf(&u.Src, &u.Dst, u.SrcPort, u.DstPort)]
	q.unreachable, q.before = append(q.unreachable, *u), append(q.before, len(q.segments))
	q.at = append(q.at, s.tick())
	if s.filling.n == batchSize {
		s.handOver()
	}
}

func (s *Shards) tick() tick {
	s.filling.n++
	return tick{uint32(s.filling.n), s.clock}
}

// handOver gives the workers the batch that was filled, and delivers beside them
// what they have done.
func (s *Shards) handOver() {
	done := s.working
	if done != nil {
		done.left.Wait()
		s.settle()
		done.reset()
	} else {
		done = new(batch)
	}
	b := s.filling
	b.end = s.clock
	b.left.Add(len(s.work))
	s.turn()
	for _, work := range s.work {
		work <- b
	}
	s.working, s.filling = b, done
	s.deliver()
}

func (b *batch) reset() {
	b.n = 0
	b.next.Store(0)
	for i := range b.queues {
		q := &b.queues[i]
		q.segments, q.ticks, q.unreachable, q.before, q.at = q.segments[:0], q.ticks[:0], q.unreachable[:0], q.before[:0], q.at[:0]
	}
}

// settle makes what one batch has brought known, before the next: the numbers
// of flows and streams, in the order of their first segments, and listeners.
func (s *Shards) settle() {
	var flows, streams [numShards]*births
	for i, t := range s.trackers {
		flows[i], streams[i] = &t.share.flows, &t.share.streams
	}
	s.number = giveNumbers(&flows, s.number)
	s.stream = giveNumbers(&streams, s.stream)
	for _, t := range s.trackers {
		t.takeNumbers()
		t.share.flows.list, t.share.streams.list = t.share.flows.list[:0], t.share.streams.list[:0]
	}
	s.spreadListeners()
}

// spreadListeners lets every Tracker know what one of them has learnt.
func (s *Shards) spreadListeners() {
	for _, from := range s.trackers {
		for _, l := range from.share.heard {
			for _, t := range s.trackers {
				if len(t.listeners) < maxListeners {
					t.listeners[l] = struct{}{}
				}
			}
		}
		from.share.heard = from.share.heard[:0]
	}
}

// Totals returns the counts of all batches that have been worked on.
func (s *Shards) Totals() Totals {
	sum := Totals{Flows: s.number - s.cfg.FirstNumber, TimeBackwards: s.timeBackwards}
	for _, t := range s.trackers {
		n := t.Totals()
		sum.Segments += n.Segments
		sum.CaptureDuplicates += n.CaptureDuplicates
		sum.Open += n.Open
		sum.Evicted += n.Evicted
		sum.Strays += n.Strays
	}
	return sum
}
