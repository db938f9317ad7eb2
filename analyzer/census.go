package analyzer

// Census counts the sides of all flows that are held, by state: clients and
// servers.
type Census [2][NumStates]int

// Census returns that of now. It looks at no flow.
func (t *Tracker) Census() (c Census) {
	for i := range t.lists {
		for id := t.lists[i].front; id != 0; {
			e := t.entry(id)
			c[0][e.states[0]]++
			c[1][e.states[1]]++
			id = e.after
		}
	}
	return c
}

// Each gives visit every flow that is held, as it is now, until it returns false:
// those of a handshake first, then those that are closed, then all others, and of
// each the one that was touched first. What is filled in when a flow ends is not
// there yet, but for Flow.Now. A flow is valid during the call only; visit must not
// change it, nor use the Tracker.
func (t *Tracker) Each(visit func(*Flow) bool) {
	for i := range t.lists {
		for id := t.lists[i].front; id != 0; id = t.entry(id).after {
			if !t.show(id, visit) {
				return
			}
		}
	}
}

// EachFrom is Each in pieces, for who cannot wait for all of it: it looks at n places
// of flows from a place on, 1 being the first, and returns the place from which to
// go on, or 0 after the last. A flow stays in its place for as long as it is held:
// one that is there from the first piece to the last is visited once, and
// EachFrom(place, 1, visit) finds it again. Who else has the place by then, its Number
// tells.
func (t *Tracker) EachFrom(place uint32, n int, visit func(place uint32, f *Flow)) (next uint32) {
	end := min(uint64(place)+uint64(max(n, 0)), uint64(t.lastID)+1)
	for id := max(place, 1); uint64(id) < end; id++ {
		if e := t.entry(id); e.before == 0 && t.lists[e.list].front != id {
			continue // it is in no list: nobody has the place
		}
		t.show(id, func(f *Flow) bool { visit(id, f); return true })
	}
	if end > uint64(t.lastID) {
		return 0
	}
	return uint32(end)
}

// show gives visit one flow, which stays dormant where it is. It returns what
// visit does.
func (t *Tracker) show(id uint32, visit func(*Flow) bool) bool {
	e := t.entry(id)
	if !e.dormant {
		f := t.awake[e.where]
		f.Now = t.now
		return visit(f)
	}
	if t.scratch == nil {
		t.scratch = t.makeFlow()
		t.blank = *t.scratch
	}
	f := t.scratch
	f.id = id
	t.unpack(e, f)
	f.Now = t.now
	more := visit(f)
	*f = t.blank
	return more
}
