package analyzer

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
)

// Shards follows flows on several cores: each flow is one of numShards
// Trackers', by its addresses and ports, and each Tracker has a core while it
// works. The segments are handed out in batches, and what is known of one
// batch is put together before the next but one begins:
//
//	caller   | fill 0 | fill 1 | deliver 0, fill 2 | deliver 1, fill 3 | …
//	workers           | work 0 | work 1            | work 2            | …
//
// How many cores there are changes nothing of the result: the Trackers do not
// know of each other within a batch, and between two batches all is done in
// one order. Shards gives the same flows as a Tracker does, with two
// exceptions. Numbers are given to flows that are still there when their batch
// ends, so that no number is left out for a SYN that was refuted at once. And
// that an address accepts connections is known to the others from the next
// batch on.
//
// It calls Config.OnFlow on the caller's goroutine, in Observe and Close. It is
// not safe for concurrent use, and has neither OnStep nor Peers.
type Shards struct {
	cfg      Config
	trackers [numShards]*Tracker
	filling  *batch
	working  *batch        // nil: none
	work     []chan *batch // of each worker
	begun    []numbering   // of one batch; kept for its memory
	ended    []*Flow

	clock         int64 // the highest capture time so far
	last          int64 // that of the last segment
	number        int
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
	end    int64 // the clock behind its last segment
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
	place uint32     // of the segment at hand
	begun []newFlow  // in this batch; Flow.Number is provisional(index)
	ended []*Flow    // in this batch
	spare []*Flow    // of those, when they were delivered
	heard []listener // new ones
}

// newFlow is a flow that has begun in a batch.
type newFlow struct {
	place uint32
	id    uint32 // 0: it is not held any more
	gone  bool   // it was none after all
}

// provisional is the number of the i-th flow of a batch until it is known.
func provisional(i int) int { return -2 - i }

// of returns the new flow with a provisional number.
func (s *share) of(number int) *newFlow { return &s.begun[-2-number] }

// begin returns the number of a new flow.
func (s *share) begin(id uint32) int {
	s.begun = append(s.begun, newFlow{place: s.place, id: id})
	return provisional(len(s.begun) - 1)
}

// end keeps a flow until the batch is delivered; its place gets another.
func (s *share) end(t *Tracker, f *Flow) {
	if f.Number < -1 {
		s.of(f.Number).id = 0
	}
	s.ended = append(s.ended, f)
	e := t.entry(f.id)
	if n := len(s.spare); n > 0 {
		t.awake[e.where], s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		t.awake[e.where] = t.makeFlow()
	}
	t.release(f.id)
}

// numbering is a new flow with the Tracker that has it.
type numbering struct {
	place uint32
	shard uint8
	index int
}

// NewShards returns Shards that work on so many cores besides the caller's, at
// most numShards; below 1: as many as there are.
func NewShards(cfg Config, workers int) *Shards {
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, numShards)
	s := &Shards{cfg: cfg, number: cfg.FirstNumber, filling: new(batch), work: make([]chan *batch, workers)}
	each := cfg
	each.OnFlow, each.OnStep, each.Peers = nil, nil, false
	each.MaxFlows = max(1, cmp.Or(cfg.MaxFlows, DefaultMaxFlows)/numShards)
	each.Awake = max(1, cmp.Or(cfg.Awake, DefaultAwake)/numShards)
	for i := range s.trackers {
		s.trackers[i] = New(each)
		s.trackers[i].share = new(share)
	}
	for i := range s.work {
		s.work[i] = make(chan *batch, 1)
		go s.worker(i)
	}
	return s
}

// worker works for every so-manieth Tracker.
func (s *Shards) worker(first int) {
	for b := range s.work[first] {
		for i := first; i < numShards; i += len(s.work) {
			s.trackers[i].takeBatch(&b.queues[i], b.end)
		}
		b.left.Done()
	}
}

// takeBatch takes a Tracker's part of a batch.
func (t *Tracker) takeBatch(q *queue, end int64) {
	next := 0
	quotes := func(until int) {
		for ; next < len(q.unreachable) && q.before[next] <= until; next++ {
			t.share.place = q.at[next].place
			t.Advance(q.at[next].clock)
			t.ObserveUnreachable(&q.unreachable[next])
		}
	}
	var ahead [foreseen]sighting
	for i := range q.segments {
		if i%foreseen == 0 {
			t.foresee(q.segments[i:], &ahead)
		}
		quotes(i)
		t.share.place = q.ticks[i].place
		t.Advance(q.ticks[i].clock)
		a := &ahead[i%foreseen]
		t.observe(a.key, a.side, a.tag, &q.segments[i])
	}
	quotes(len(q.segments))
	t.Advance(end)
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

// handOver delivers what the workers have done, and gives them the batch that
// was filled.
func (s *Shards) handOver() {
	done := s.working
	if done != nil {
		done.left.Wait()
		s.deliver()
		done.reset()
	} else {
		done = new(batch)
	}
	b := s.filling
	b.end = s.clock
	b.left.Add(len(s.work))
	for _, work := range s.work {
		work <- b
	}
	s.working, s.filling = b, done
}

func (b *batch) reset() {
	b.n = 0
	for i := range b.queues {
		q := &b.queues[i]
		q.segments, q.ticks, q.unreachable, q.before, q.at = q.segments[:0], q.ticks[:0], q.unreachable[:0], q.before[:0], q.at[:0]
	}
}

// deliver gives the new flows of a batch their numbers, hands on those that
// have ended, and lets every Tracker know of new listeners.
func (s *Shards) deliver() {
	s.giveNumbers()
	s.ended = s.ended[:0]
	for _, t := range s.trackers {
		s.ended = append(s.ended, t.share.ended...)
	}
	slices.SortFunc(s.ended, func(a, b *Flow) int { return cmp.Compare(a.Number, b.Number) })
	for _, f := range s.ended {
		s.handOn(f)
	}
	for _, t := range s.trackers {
		for _, f := range t.share.ended {
			f.reset()
		}
		t.share.spare = append(t.share.spare, t.share.ended...)
		t.share.begun, t.share.ended = t.share.begun[:0], t.share.ended[:0]
	}
	s.spreadListeners()
}

func (s *Shards) handOn(f *Flow) {
	if s.cfg.OnFlow != nil {
		s.cfg.OnFlow(f)
	}
}

// giveNumbers numbers the new flows of all Trackers, in the order of their
// first segments.
func (s *Shards) giveNumbers() {
	s.begun = s.begun[:0]
	for i, t := range s.trackers {
		for j, n := range t.share.begun {
			if !n.gone {
				s.begun = append(s.begun, numbering{n.place, uint8(i), j})
			}
		}
	}
	slices.SortFunc(s.begun, func(a, b numbering) int { return cmp.Compare(a.place, b.place) })
	var numbers [numShards][]int
	for i, t := range s.trackers {
		numbers[i] = make([]int, len(t.share.begun))
	}
	for _, n := range s.begun {
		numbers[n.shard][n.index] = s.number
		s.number++
	}
	for i, t := range s.trackers {
		t.takeNumbers(numbers[i])
	}
}

// takeNumbers puts final numbers where provisional ones are: in the flows that
// have begun, or ended, in this batch, and in those that such a flow replaces.
func (t *Tracker) takeNumbers(numbers []int) {
	final := func(n *int) {
		if *n < -1 {
			*n = numbers[-2-*n]
		}
	}
	for i, n := range t.share.begun {
		if n.id == 0 {
			continue
		}
		if e := t.entry(n.id); e.dormant {
			t.head(e).number = numbers[i]
		} else {
			f := t.awake[e.where]
			f.Number = numbers[i]
			if f.older != nil {
				final(&f.older.ReplacedBy)
			}
		}
	}
	for _, f := range t.share.ended {
		final(&f.Number)
		final(&f.ReplacedBy)
	}
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

// Close hands on every flow that is still held, by number. The Shards must not
// be used afterwards.
func (s *Shards) Close() {
	s.handOver()
	s.handOver() // the last batch is empty
	s.working.left.Wait()
	s.deliver()
	for _, work := range s.work {
		close(work)
	}
	next := [numShards]func() *Flow{}
	heads := [numShards]*Flow{}
	for i, t := range s.trackers {
		next[i] = t.remaining()
		heads[i] = next[i]()
	}
	for {
		first := -1
		for i, f := range &heads {
			if f != nil && (first < 0 || f.Number < heads[first].Number) {
				first = i
			}
		}
		if first < 0 {
			return
		}
		s.handOn(heads[first])
		heads[first] = next[first]()
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
