package analyzer

import "unsafe"

// A flow that rests is dormant: most of its memory is zero, or small numbers,
// or times near its beginning, and takes a quarter of the room without these.
// A dormant flow is a piece of the arena:
//
//	Key, Number | how many Transitions, Remarks and inputs of each side | words
//
// where words are those of the flow, its two sides, its lists and its rare
// parts, without their zeros: see words.go.
//
// This file and no other has unsafe code. It takes the memory before a struct's
// first pointer for words, whatever its fields are, so that no list of fields
// can be incomplete; TestDormantWords holds the structs to that. What has
// pointers is rare, and kept beside the arena.
const (
	headBytes  = int(unsafe.Sizeof(head{}))
	namedBytes = unsafe.Offsetof(Flow{}.Link) // what is before is in the head, or of the place
	flowBytes  = unsafe.Offsetof(Flow{}.Sides)
	sideBytes  = unsafe.Offsetof(Endpoint{}.inbox)
	transBytes = unsafe.Offsetof(Transition{}.Withdrawn)
	zeekBytes  = unsafe.Offsetof(zeek{}.zeekRest)
)

// head is the beginning of a dormant flow.
type head struct {
	key    Key
	number int
	counts [4]uint16 // Transitions, Remarks, the inboxes
	epoch  uint32    // of the words
	rare   uint32    // a bit for each of its rare parts (see carry), and hasRest
	words  uint32
}

// hasRest is the bit of a flow that has a rest.
const hasRest = 1 << 31

// rest is what a dormant flow has of pointers.
type rest struct {
	mirrors     []Key
	told        []told
	zeek        zeekRest
	spans       [2]spanSet
	transitions []Transition
	findings    []Finding
}

// keyOf returns the key of a flow that is held. It is valid until a flow falls
// asleep or wakes.
func (t *Tracker) keyOf(id uint32) *Key {
	e := t.entry(id)
	if !e.dormant {
		return &t.awake[e.where].Key
	}
	return &t.head(e).key
}

// numberOf returns the number of a flow that is held.
func (t *Tracker) numberOf(id uint32) int {
	e := t.entry(id)
	if !e.dormant {
		return t.awake[e.where].Number
	}
	return t.head(e).number
}

// head returns the beginning of a dormant flow, in its piece.
func (t *Tracker) head(e *entry) *head {
	return (*head)(unsafe.Pointer(unsafe.SliceData(t.arena.piece(e.where))))
}

// words views memory without pointers as words.
func words(p unsafe.Pointer, octets uintptr) []uint64 {
	return unsafe.Slice((*uint64)(p), octets/8)
}

// sections yields the words of a flow in the order in which they are stored,
// but for what its head has.
func (f *Flow) sections(yield func([]uint64)) {
	yield(words(unsafe.Add(unsafe.Pointer(f), namedBytes), flowBytes-namedBytes))
	for s := range f.Sides {
		yield(words(unsafe.Pointer(&f.Sides[s]), sideBytes))
	}
	for i := range f.Transitions {
		yield(words(unsafe.Pointer(&f.Transitions[i]), transBytes))
	}
	for i := range f.Remarks {
		yield(words(unsafe.Pointer(&f.Remarks[i]), unsafe.Sizeof(Remark{})))
	}
	for s := range f.Sides {
		for i := range f.Sides[s].inbox {
			yield(words(unsafe.Pointer(&f.Sides[s].inbox[i]), unsafe.Sizeof(input{})))
		}
	}
}

// carrier goes through the rare parts of a flow, each of which is a struct
// without pointers that most flows do not have.
type carrier struct {
	has  uint32 // a bit for each that the flow has
	bit  uint32
	make bool           // those of has are made
	use  func([]uint64) // is given their words; nil: nobody wants them
}

// part goes on to the next part.
func part[T any](c *carrier, p **T) { partly(c, p, unsafe.Sizeof(**p)) }

// partly does, where only so many octets are words. What the flow's memory has
// for the part is used again.
func partly[T any](c *carrier, p **T, octets uintptr) {
	if c.bit <<= 1; c.make && c.has&c.bit != 0 && *p == nil {
		*p = new(T)
	}
	if *p == nil {
		return
	}
	c.has |= c.bit
	if c.use != nil {
		c.use(words(unsafe.Pointer(*p), octets))
	}
}

// carry visits the rare parts, always in this order.
func (f *Flow) carry(c carrier) (has uint32) {
	c.bit = 1
	part(&c, &f.idle)
	part(&c, &f.Unreached)
	partly(&c, &f.zeek, zeekBytes)
	for s := range f.Sides {
		r := &f.Sides[s].endpointRefs
		part(&c, &r.trouble)
		part(&c, &r.run)
		part(&c, &r.big)
		part(&c, &r.stalls)
		part(&c, &r.odd)
	}
	return c.has
}

// sleep makes a flow dormant, and its memory free for another.
func (t *Tracker) sleep(f *Flow) {
	e := t.entry(f.id)
	for s := range f.Sides {
		f.Sides[s].forget(t.now)
	}
	r := f.rest()
	w := &t.writer
	w.begin(f.Start)
	f.sections(w.put)
	rare := f.carry(carrier{use: w.put})
	if r != nil {
		t.rests[f.id], rare = r, rare|hasRest
	}
	octets := w.end()
	h := head{key: f.Key, number: f.Number, epoch: w.epoch, rare: rare, words: uint32(len(w.words)),
		counts: [4]uint16{uint16(len(f.Transitions)), uint16(len(f.Remarks)), uint16(len(f.Sides[0].inbox)), uint16(len(f.Sides[1].inbox))}}
	var piece []byte
	e.where, piece = t.arena.take(f.id, headBytes+len(octets))
	e.dormant = true
	*t.head(e) = h
	copy(piece[headBytes:], octets)
	f.leave()
}

// leave lets go of what a flow that sleeps has of pointers. Its words stay, until
// those of another are written over them.
func (f *Flow) leave() {
	f.asleep, f.paired = true, false
	f.zeek.reset() // its memory serves the next flow
	f.flowRefs, f.Unreached = flowRefs{zeek: f.zeek}, nil
	for s := range f.Sides {
		f.Sides[s].endpointRefs = endpointRefs{}
	}
}

// wake makes a dormant flow f again, in a place that is nobody's.
func (t *Tracker) wake(e *entry, f *Flow) {
	if t.unpack(e, f) {
		delete(t.rests, f.id)
	}
	t.arena.give(e.where)
}

// unpack makes f what a dormant flow is, and reports whether that has a rest.
func (t *Tracker) unpack(e *entry, f *Flow) (hasMore bool) {
	piece := t.arena.piece(e.where)
	h := *t.head(e)
	f.asleep, f.Key, f.Number = false, h.key, h.number
	f.Transitions = grown(f.Transitions, h.counts[0])
	f.Remarks = grown(f.Remarks, h.counts[1])
	for s := range f.Sides {
		f.Sides[s].inbox = grown(f.Sides[s].inbox, h.counts[2+s])
	}
	r := &t.reader
	r.begin(piece[headBytes:], int(h.words), h.epoch)
	f.sections(r.get)
	if rare := h.rare &^ hasRest; rare != 0 {
		f.carry(carrier{has: rare, make: true, use: r.get})
	}
	if h.rare&hasRest == 0 {
		return false
	}
	f.restore(t.rests[f.id])
	return true
}

// grown returns n zero elements in the memory of list, where that suffices.
func grown[T any](list []T, n uint16) []T {
	if int(n) > cap(list) {
		return make([]T, n, n+n/2)
	}
	list = list[:n]
	clear(list)
	return list
}

// rest takes what else has pointers out of a flow; nil when it has nothing of
// that.
func (f *Flow) rest() *rest {
	withdrawn := false
	for i := range f.Transitions {
		withdrawn = withdrawn || f.Transitions[i].Withdrawn != nil
	}
	a, b := &f.Sides[0].spans, &f.Sides[1].spans
	if len(f.mirrors)+len(f.told) == 0 && (f.zeek == nil || f.zeek.empty()) && len(a.s)+len(b.s) == 0 && len(f.Findings) == 0 && !withdrawn {
		return nil
	}
	r := &rest{mirrors: f.mirrors, told: f.told, spans: [2]spanSet{*a, *b}, findings: f.Findings}
	f.mirrors, f.told, f.Findings = nil, nil, nil
	if f.zeek != nil {
		r.zeek, f.zeek.zeekRest = f.zeek.zeekRest, zeekRest{}
	}
	*a, *b = spanSet{}, spanSet{}
	if withdrawn {
		r.transitions, f.Transitions = f.Transitions, nil
	}
	return r
}

// restore puts it back.
func (f *Flow) restore(r *rest) {
	f.mirrors, f.told, f.Findings = r.mirrors, r.told, r.findings
	if f.zeek != nil {
		f.zeek.zeekRest = r.zeek
	}
	f.Sides[0].spans, f.Sides[1].spans = r.spans[0], r.spans[1]
	if r.transitions != nil {
		f.Transitions = r.transitions
	}
}
