package analyzer

// Flows and streams are numbered in the order of their first segments. A Tracker
// that is one of several knows that order once the others have worked on the
// same batch; until then what has begun in it has a provisional number.

// births are what has begun in one batch, in order.
type births struct{ list []birth }

// birth is a flow or a stream that has begun.
type birth struct {
	place  uint32 // of its first segment
	id     uint32 // 0: it is not held any more
	gone   bool   // it was none after all
	number int
}

// add notes one more, and returns its provisional number.
func (b *births) add(place, id uint32) int {
	b.list = append(b.list, birth{place: place, id: id})
	return -1 - len(b.list)
}

// provisional tells a provisional number from a final one, and from none (-1).
func provisional(number int) bool { return number < -1 }

// of returns the one with a provisional number.
func (b *births) of(number int) *birth { return &b.list[-2-number] }

// final puts the final number where a provisional one is.
func (b *births) final(number *int) {
	if provisional(*number) {
		*number = b.of(*number).number
	}
}

// giveNumbers numbers the births of all Trackers from next on, and returns what
// comes after them.
func giveNumbers(of *[numShards]*births, next int) int {
	var at [numShards]int
	for {
		var first *birth
		shard := 0
		for i, b := range of {
			if at[i] < len(b.list) && (first == nil || b.list[at[i]].place < first.place) {
				first, shard = &b.list[at[i]], i
			}
		}
		if first == nil {
			return next
		}
		at[shard]++
		if !first.gone {
			first.number = next
			next++
		}
	}
}

// takeNumbers puts final numbers where provisional ones are: in the flows that
// have begun, or ended, in this batch, in those that such a flow replaces, and
// in streams.
func (t *Tracker) takeNumbers() {
	flows, streams := &t.share.flows, &t.share.streams
	for _, n := range flows.list {
		if n.id == 0 {
			continue
		}
		if e := t.entry(n.id); e.dormant {
			t.head(e).number = n.number
		} else {
			f := t.awake[e.where]
			f.Number = n.number
			if f.older != nil {
				flows.final(&f.older.ReplacedBy)
			}
		}
	}
	for _, n := range streams.list {
		if n.id != 0 {
			t.streams.get(n.id).stream = n.number
		}
	}
	for _, f := range t.share.ended.flows {
		flows.final(&f.Number)
		flows.final(&f.ReplacedBy)
		streams.final(&f.Wireshark.Stream)
	}
}
