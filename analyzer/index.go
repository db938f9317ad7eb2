package analyzer

import "hash/maphash"

// index finds the youngest flow of each address pair: an open-addressed table
// with linear probing, of the flows' ids. Keys are not in it, but in the flows;
// 32 bits of the hash stand beside each id, so that a probe touches no other
// flow but in a case of 2^32. The hash is seeded: nobody can make flows collide.
type index struct {
	seed  maphash.Seed
	slots []indexSlot // 2^n of them, more than half of them empty; nil: none yet
	used  int
}

type indexSlot struct {
	tag uint32
	id  uint32 // 0: empty
}

// firstSlots is how many an index begins with.
const firstSlots = 1 << 10

func newIndex() index {
	return index{seed: maphash.MakeSeed(), slots: make([]indexSlot, firstSlots)}
}

func (ix *index) tag(k *Key) uint32 { return uint32(maphash.Comparable(ix.seed, *k)) }

// find returns the place of a key's indexSlot: its id is 0 when the key is not
// there, and the indexSlot the one for it.
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
	ix.slots[i] = indexSlot{tag, id}
	if had {
		return true
	}
	if ix.used++; ix.used > len(ix.slots)/2 {
		ix.grow()
	}
	return false
}

// grow doubles the table. The tags are all that it needs: they have more bits
// than places have.
func (ix *index) grow() {
	old := ix.slots
	ix.slots = make([]indexSlot, 2*len(old))
	mask := uint32(len(ix.slots) - 1)
	for _, s := range old {
		if s.id == 0 {
			continue
		}
		i := s.tag & mask
		for ix.slots[i].id != 0 {
			i = (i + 1) & mask
		}
		ix.slots[i] = s
	}
}

// remove takes a key out, where id is its flow, and reports whether it was. What
// follows moves up, so that no probe ends early.
func (ix *index) remove(t *Tracker, k *Key, id uint32) bool {
	mask := uint32(len(ix.slots) - 1)
	i := ix.find(t, k, ix.tag(k))
	if ix.slots[i].id != id {
		return false
	}
	ix.used--
	for j := (i + 1) & mask; ix.slots[j].id != 0; j = (j + 1) & mask {
		home := ix.slots[j].tag & mask
		if (j-home)&mask >= (j-i)&mask { // its own place is at i or before
			ix.slots[i], i = ix.slots[j], j
		}
	}
	ix.slots[i] = indexSlot{}
	return true
}
