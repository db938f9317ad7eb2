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
	if t.scratch == nil {
		t.scratch = t.makeFlow()
	}
	scratch := t.scratch
	empty := *scratch
	for i := range t.lists {
		for id := t.lists[i].front; id != 0; {
			e := t.entry(id)
			f := scratch
			if e.dormant {
				f.id = id
				t.unpack(e, f)
			} else {
				f = t.awake[e.where]
			}
			f.Now = t.now
			more := visit(f)
			if *scratch = empty; !more {
				return
			}
			id = e.after
		}
	}
}
