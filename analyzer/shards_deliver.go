package analyzer

import (
	"cmp"
	"math"
	"slices"
)

// delivery is the way of the flows that have ended to the caller:
//
//	ending     a Tracker ends them, in its order
//	rendering  they have their numbers; a worker renders them
//	delivered  the caller is given them, in the order of a single Tracker
//
// and then their memory is the Tracker's again. Each of these is another batch's,
// so that the workers and the caller do not wait for each other.
type delivery struct {
	ending, rendering, delivered *[numShards]parcel

	touched uint64 // see foresee.go

	text   func([]byte, *Flow) []byte // nil: nobody wants it
	onText func(*Flow, []byte)
}

// parcel is what one Tracker has ended in one batch.
type parcel struct {
	flows []*Flow
	when  []when
	text  []byte // of all of them
	cuts  []int  // where that of each ends
}

// when orders the flows that have ended in one batch: by the clock; those for
// which time has run out before those that a segment ends; and among them as
// they were listed.
type when struct {
	now   int64
	place uint32
	list  uint8
	last  uint64 // the frame after which it was listed; or a number
}

func (d *delivery) init() {
	d.ending, d.rendering, d.delivered = new([numShards]parcel), new([numShards]parcel), new([numShards]parcel)
}

// Render has the workers make text of each flow, and onText be given it with the
// flow, in place of Config.OnFlow. text appends to b. It runs on several
// goroutines at once, and onText on the caller's. The text is valid during the
// call. Render comes before the first segment.
func (s *Shards) Render(text func(b []byte, f *Flow) []byte, onText func(f *Flow, text []byte)) {
	s.text, s.onText = text, onText
}

// What is kept for its memory, of each Tracker: a batch in which many flows end
// at once, for time has passed, may take more.
const (
	spareFlows = 1 << 8
	spareText  = 1 << 20 // octets
)

// turn takes what has ended one step further.
func (d *delivery) turn() {
	d.ending, d.rendering, d.delivered = d.delivered, d.ending, d.rendering
	for i := range d.ending {
		was, p := &d.ending[i], &d.rendering[i]
		if cap(was.text) <= spareText {
			p.text = was.text[:0]
		}
		p.cuts = was.cuts[:0]
		was.text, was.cuts = nil, nil
	}
}

// begin makes a parcel the one for what ends from now on. What is in it was
// delivered.
func (s *share) begin(p *parcel) {
	for i, f := range p.flows {
		if len(s.spare) < spareFlows {
			f.reset()
			s.spare = append(s.spare, f)
		}
		p.flows[i] = nil
	}
	p.flows, p.when = p.flows[:0], p.when[:0]
	s.ended = p
}

// end keeps a flow until it is delivered. Its place is empty then.
func (s *share) end(t *Tracker, f *Flow) {
	if provisional(f.Number) {
		s.flows.of(f.Number).id = 0
	}
	e := t.entry(f.id)
	w := when{now: t.now, place: s.place}
	if s.place == 0 {
		w.list, w.last = e.list, f.LastFrame
		if f.Unreached != nil {
			w.last = max(w.last, f.Unreached.Frame)
		}
	}
	s.keep(t, f, w)
}

func (s *share) keep(t *Tracker, f *Flow, w when) {
	s.ended.flows, s.ended.when = append(s.ended.flows, f), append(s.ended.when, w)
	t.awake[t.entry(f.id).where] = nil
	t.release(f.id)
}

func (p *parcel) render(text func([]byte, *Flow) []byte) {
	if text == nil {
		return
	}
	for _, f := range p.flows {
		p.text = text(p.text, f)
		p.cuts = append(p.cuts, len(p.text))
	}
}

// deliver hands on what the workers have rendered.
func (s *Shards) deliver() {
	var at [numShards]int
	for {
		first := -1
		for i := range s.delivered {
			p := &s.delivered[i]
			if at[i] < len(p.when) && (first < 0 || p.when[at[i]].before(&s.delivered[first].when[at[first]])) {
				first = i
			}
		}
		if first < 0 {
			return
		}
		if p := &s.delivered[first]; at[first]%(foreseen/2) == 0 {
			s.touched += p.foreseeDelivery(at[first])
		}
		s.handOn(&s.delivered[first], at[first])
		at[first]++
	}
}

func (w *when) before(o *when) bool {
	if w.now != o.now {
		return w.now < o.now
	}
	return cmp.Or(cmp.Compare(w.place, o.place), cmp.Compare(w.list, o.list), cmp.Compare(w.last, o.last)) < 0
}

// handOn gives the caller the flow at a place of a parcel.
func (s *Shards) handOn(p *parcel, i int) {
	switch f := p.flows[i]; {
	case s.text != nil:
		from := 0
		if i > 0 {
			from = p.cuts[i-1]
		}
		s.onText(f, p.text[from:p.cuts[i]])
	case s.cfg.OnFlow != nil:
		s.cfg.OnFlow(f)
	}
}

// Close hands on every flow that is still held, by number. The Shards must not
// be used afterwards.
func (s *Shards) Close() {
	const atOnce = 1 << 8 // numbers
	s.handOver()          // the segments that are left
	s.endAll(0)           // now each Tracker knows what it holds
	for low := s.lowest(); low < math.MaxInt; low = s.lowest() {
		s.endAll(low + atOnce)
	}
	s.endAll(0) // the last ones are rendered
	s.endAll(0) // and delivered
	s.working.left.Wait()
	for _, work := range s.work {
		close(work)
	}
}

// endAll has the workers end the flows whose number is below one.
func (s *Shards) endAll(below int) {
	s.filling.last, s.filling.below = true, below
	s.handOver()
}

// lowest is the lowest number of a flow that is still held.
func (s *Shards) lowest() int {
	s.working.left.Wait()
	low := math.MaxInt
	for _, t := range s.trackers {
		if rest := t.share.rest; len(rest) > 0 {
			low = min(low, rest[0].number)
		}
	}
	return low
}

// endBelow ends the flows whose number is below one, in their order.
func (t *Tracker) endBelow(number int) {
	s := t.share
	if s.rest == nil {
		s.rest = t.remaining()
	}
	n, _ := slices.BinarySearchFunc(s.rest, number, func(r numbered, number int) int { return cmp.Compare(r.number, number) })
	for _, r := range s.rest[:n] {
		t.turn++
		f := t.get(r.id)
		t.end(f)
		s.keep(t, f, when{now: math.MaxInt64, last: uint64(f.Number)})
	}
	s.rest = s.rest[n:]
}
