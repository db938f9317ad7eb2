package analyzer

// wheel calls flows at the times that they were set to, each at most once: a
// timing wheel (Varghese and Lauck, 1987). To set a flow, to take it out and to
// find those that are due costs the same however many flows there are.
//
//	slots:  | | | | | | …   each wheelTick long; a flow is in the slot of its time,
//	           ^ at          also when that is more than one turn away
type wheel struct {
	slots [wheelSlots]uint32 // the first flow of each; 0: none
	nodes []*[entriesChunk]wheelNode
	at    int64 // the slot, counted from 1970, up to which all that was due was called
	set   int   // how many flows are set
}

type wheelNode struct {
	due          int64  // ns since 1970-01-01 UTC; 0: it is not set
	before, next uint32 // in its slot
}

const (
	wheelTick  = int64(250e6) // ns: a flow is called so much late at most
	wheelSlots = 1 << 10      // a turn of 256 s
)

func (w *wheel) node(id uint32) *wheelNode { return &w.nodes[id/entriesChunk][id%entriesChunk] }

// due returns the time that a flow is set to; 0: it is not.
func (w *wheel) due(id uint32) int64 {
	if int(id/entriesChunk) >= len(w.nodes) {
		return 0
	}
	return w.node(id).due
}

// call sets a flow to a time; 0 takes it out.
func (w *wheel) call(id uint32, due int64) {
	if w.due(id) == due {
		return
	}
	w.remove(id)
	if due == 0 {
		return
	}
	for int(id/entriesChunk) >= len(w.nodes) {
		w.nodes = append(w.nodes, new([entriesChunk]wheelNode))
	}
	due = max(due, (w.at+1)*wheelTick) // what is due already is called at the next tick
	n, slot := w.node(id), &w.slots[due/wheelTick%wheelSlots]
	*n = wheelNode{due: due, next: *slot}
	if n.next != 0 {
		w.node(n.next).before = id
	}
	*slot = id
	w.set++
}

// remove takes a flow out, if it is set.
func (w *wheel) remove(id uint32) {
	due := w.due(id)
	if due == 0 {
		return
	}
	n := w.node(id)
	if n.before != 0 {
		w.node(n.before).next = n.next
	} else {
		w.slots[due/wheelTick%wheelSlots] = n.next
	}
	if n.next != 0 {
		w.node(n.next).before = n.before
	}
	*n = wheelNode{}
	w.set--
}

// next takes a flow out that is due by now, and returns it; 0: there is none.
func (w *wheel) next(now int64) uint32 {
	tick := now / wheelTick
	if w.set == 0 || tick-w.at > wheelSlots {
		w.at = max(w.at, tick-wheelSlots) // one turn sees all that is set
	}
	for ; w.at < tick; w.at++ {
		for id := w.slots[w.at%wheelSlots]; id != 0; id = w.node(id).next {
			if w.node(id).due/wheelTick <= w.at {
				w.remove(id)
				return id
			}
		}
	}
	return 0
}
