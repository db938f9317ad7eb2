package analyzer

import "unsafe"

// A flow that rests is dormant: most of its memory is zero, or small numbers,
// or times near its beginning, and takes a quarter of the room without these.
// A dormant flow is a piece of the arena:
//
//	Key, Number | how many Transitions, Remarks and inputs of each side | words
//
// where words are those of the flow, its two sides and its lists, each 64 of
// them as
//
//	which of them are not 0 | 4 bits for each of these: how long | their octets
//
// This file and no other has unsafe code. It takes the memory before a struct's
// first pointer for words, whatever its fields are, so that no list of fields
// can be incomplete; TestDormantWords holds the structs to that. What has
// pointers is rare, and kept beside the arena.
const (
	headBytes  = int(unsafe.Sizeof(head{}))
	namedBytes = unsafe.Offsetof(Flow{}.Link) // Key and Number: the head has them
	flowBytes  = unsafe.Offsetof(Flow{}.Sides)
	sideBytes  = unsafe.Offsetof(Endpoint{}.inbox)
	transBytes = unsafe.Offsetof(Transition{}.Withdrawn)
)

// head is the beginning of a dormant flow.
type head struct {
	key    Key
	number int
	counts [4]uint16 // Transitions, Remarks, the inboxes
	size   uint32    // of the whole piece, octets
	epoch  uint32    // of the words
}

// rest is what a dormant flow has of pointers.
type rest struct {
	flowRefs
	sides       [2]endpointRefs
	transitions []Transition
	findings    []Finding
	unreached   *Unreachable
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
	return (*head)(unsafe.Pointer(unsafe.SliceData(t.arena.at(e.where, headBytes))))
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

// sleep makes a flow dormant, and its memory free for another.
func (t *Tracker) sleep(f *Flow) {
	e := t.entry(f.id)
	if r := f.rest(); r != nil {
		t.rests[f.id] = r
	}
	w := &t.writer
	w.begin(f.Start)
	f.sections(w.put)
	octets := w.end()
	h := head{key: f.Key, number: f.Number, epoch: w.epoch, size: uint32(headBytes + len(octets)), counts: [4]uint16{
		uint16(len(f.Transitions)), uint16(len(f.Remarks)), uint16(len(f.Sides[0].inbox)), uint16(len(f.Sides[1].inbox))}}
	var piece []byte
	e.where, piece = t.arena.take(int(h.size))
	e.dormant = true
	*t.head(e) = h
	copy(piece[headBytes:], octets)
	f.reset()
}

// wake makes a dormant flow f again, which is empty.
func (t *Tracker) wake(e *entry, f *Flow) {
	h := *t.head(e)
	f.Key, f.Number = h.key, h.number
	f.Transitions = grown(f.Transitions, h.counts[0])
	f.Remarks = grown(f.Remarks, h.counts[1])
	for s := range f.Sides {
		f.Sides[s].inbox = grown(f.Sides[s].inbox, h.counts[2+s])
	}
	r := &t.reader
	r.begin(t.arena.at(e.where, int(h.size))[headBytes:], h.epoch)
	f.sections(r.get)
	t.arena.give(e.where, int(h.size))
	if rest := t.rests[f.id]; rest != nil {
		f.restore(rest)
		delete(t.rests, f.id)
	}
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

// rest takes what has pointers out of a flow; nil when it has nothing of that.
func (f *Flow) rest() *rest {
	withdrawn := false
	for i := range f.Transitions {
		withdrawn = withdrawn || f.Transitions[i].Withdrawn != ""
	}
	if f.flowRefs.none() && f.Sides[0].endpointRefs.none() && f.Sides[1].endpointRefs.none() && len(f.Findings) == 0 && f.Unreached == nil && !withdrawn {
		return nil
	}
	r := &rest{flowRefs: f.flowRefs, sides: [2]endpointRefs{f.Sides[0].endpointRefs, f.Sides[1].endpointRefs}, findings: f.Findings, unreached: f.Unreached}
	f.flowRefs, f.Sides[0].endpointRefs, f.Sides[1].endpointRefs, f.Findings = flowRefs{}, endpointRefs{}, endpointRefs{}, nil
	f.Unreached = nil
	if withdrawn {
		r.transitions, f.Transitions = f.Transitions, nil
	}
	return r
}

// restore puts it back.
func (f *Flow) restore(r *rest) {
	f.flowRefs, f.Sides[0].endpointRefs, f.Sides[1].endpointRefs, f.Findings = r.flowRefs, r.sides[0], r.sides[1], r.findings
	f.Unreached = r.unreached
	if r.transitions != nil {
		f.Transitions = r.transitions
	}
}

func (r *flowRefs) none() bool {
	return r.idle == nil && len(r.mirrors) == 0 && r.older == nil && r.zeek == nil
}

func (r *endpointRefs) none() bool {
	return len(r.spans.s) == 0 && r.trouble == nil && r.run == nil && r.big == nil && r.stalls == nil && r.odd == nil
}
