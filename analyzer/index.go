package analyzer

import "hash/maphash"

// index finds the youngest flow of each address pair: slots with the flows' ids.
// Keys are not in it, but in the flows; a probe touches no other flow but in a
// case of 2^32. The hash is seeded: nobody can make flows collide.
type index struct {
	seed  maphash.Seed
	slots slots
	used  int
}

// firstSlots is how many an index begins with.
const firstSlots = 1 << 10

func newIndex() index {
	return index{seed: maphash.MakeSeed(), slots: make(slots, firstSlots)}
}

func (ix *index) tag(k *Key) uint32 { return uint32(maphash.Comparable(ix.seed, *k)) }

// find returns the place of a key's slot: its id is 0 when the key is not there,
// and the slot the one for it.
func (ix *index) find(t *Tracker, k *Key, tag uint32) uint32 {
	mask := uint32(len(ix.slots) - 1)
	i := tag & mask
	for ; ix.slots[i].id != 0; i = (i + 1) & mask {
		if ix.slots[i].tag == tag && *t.keyOf(ix.slots[i].id) == *k {
			break
		}
	}
	return i
}

// get returns the id of a key's flow, 0 for none.
func (ix *index) get(t *Tracker, k *Key, tag uint32) uint32 {
	return ix.slots[ix.find(t, k, tag)].id
}

// guess returns the id of the flow that a tag's probe meets first: most often
// that of the key. It looks at no flow.
func (ix *index) guess(tag uint32) uint32 { return ix.slots[tag&uint32(len(ix.slots)-1)].id }

// put makes id the flow of its key, and reports whether the key had one.
func (ix *index) put(t *Tracker, k *Key, id uint32) (had bool) {
	tag := ix.tag(k)
	i := ix.find(t, k, tag)
	had = ix.slots[i].id != 0
	ix.slots[i] = slot{tag, id}
	if had {
		return true
	}
	if ix.used++; ix.used > len(ix.slots)/2 {
		ix.slots = ix.slots.doubled()
	}
	return false
}

// remove takes a key out, where id is its flow, and reports whether it was.
func (ix *index) remove(t *Tracker, k *Key, id uint32) bool {
	i := ix.find(t, k, ix.tag(k))
	if ix.slots[i].id != id {
		return false
	}
	ix.used--
	ix.slots.vacate(i)
	return true
}
