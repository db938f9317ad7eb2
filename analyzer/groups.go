package analyzer

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// groups numbers the groups that are known, from 0, at most limit of them. A
// group beyond takes the number of the one that has waited longest without
// being asked for: a second chance each time round. The numbers are the same
// in every run. What is known of a group is kept elsewhere, by its number, so
// that a look-up touches little memory and all of that at once.
type groups struct {
	limit int
	leave func(id int) // told of a group that has to make room
	gone  uint64       // how many had to
	keys  []Group      // by number
	used  []bool       // asked for since the hand came by
	hand  int
	index slots     // an id is a number + 1
	seed  [4]uint64 // of the hash: nobody can make groups collide
}

func newGroups(limit int, leave func(id int)) groups {
	gs := groups{limit: limit, leave: leave, index: make(slots, 64)}
	for i := range gs.seed {
		gs.seed[i] = rand.Uint64()
	}
	return gs
}

// hash mixes the words of a group with the seed, each two by a multiplication.
func (gs *groups) hash(g *Group) uint32 {
	from := mix(binary.NativeEndian.Uint64(g.From[:8])^gs.seed[0], binary.NativeEndian.Uint64(g.From[8:])^gs.seed[1])
	to := mix(binary.NativeEndian.Uint64(g.To[:8])^gs.seed[2], binary.NativeEndian.Uint64(g.To[8:])^gs.seed[3])
	return uint32(mix(from^gs.seed[2], to^gs.seed[1]^uint64(g.Port)))
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// find returns the place of a group, or the empty one where it belongs.
func (gs *groups) find(g *Group, tag uint32) uint32 {
	mask := uint32(len(gs.index) - 1)
	i := tag & mask
	for ; gs.index[i].id != 0; i = (i + 1) & mask {
		if p := gs.index[i]; p.tag == tag && gs.keys[p.id-1] == *g {
			break
		}
	}
	return i
}

// known returns the number of a group, -1 for none. It does not count as asking
// for it.
func (gs *groups) known(g *Group) int {
	return int(gs.index[gs.find(g, gs.hash(g))].id) - 1
}

// id returns the number of a group, which counts as asking for it. A new group
// gets one, and what is kept under it must be empty.
func (gs *groups) id(g *Group) int {
	tag := gs.hash(g)
	at := gs.find(g, tag)
	if n := int(gs.index[at].id); n != 0 {
		gs.used[n-1] = true
		return n - 1
	}
	if len(gs.keys) == gs.limit {
		id := gs.makeRoom()
		gs.keys[id] = *g
		gs.index[gs.find(g, tag)] = slot{tag, uint32(id + 1)}
		return id
	}
	gs.keys, gs.used = append(gs.keys, *g), append(gs.used, false)
	gs.index[at] = slot{tag, uint32(len(gs.keys))}
	if len(gs.keys) > len(gs.index)/2 {
		gs.index = gs.index.doubled()
	}
	return len(gs.keys) - 1
}

// makeRoom drops the group that the hand finds, and returns its number.
func (gs *groups) makeRoom() int {
	for gs.used[gs.hand] {
		gs.used[gs.hand] = false
		gs.hand = (gs.hand + 1) % len(gs.keys)
	}
	id := gs.hand
	gs.hand = (gs.hand + 1) % len(gs.keys)
	gs.gone++
	gs.leave(id)
	gs.remove(&gs.keys[id])
	return id
}

// remove takes a group out of the index.
func (gs *groups) remove(g *Group) { gs.index.vacate(gs.find(g, gs.hash(g))) }
