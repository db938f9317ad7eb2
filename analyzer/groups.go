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
	// index is an open-addressed table with linear probing, as that of flows
	// (index.go): 2^n places, more than half of them empty.
	index []groupPlace
	seed  [4]uint64 // of the hash: nobody can make groups collide
}

type groupPlace struct {
	tag uint32 // of the group's hash
	n   uint32 // its number + 1; 0: empty
}

func newGroups(limit int, leave func(id int)) groups {
	gs := groups{limit: limit, leave: leave, index: make([]groupPlace, 64)}
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
	for ; gs.index[i].n != 0; i = (i + 1) & mask {
		if p := gs.index[i]; p.tag == tag && gs.keys[p.n-1] == *g {
			break
		}
	}
	return i
}

// known returns the number of a group, -1 for none. It does not count as asking
// for it.
func (gs *groups) known(g *Group) int {
	return int(gs.index[gs.find(g, gs.hash(g))].n) - 1
}

// id returns the number of a group, which counts as asking for it. A new group
// gets one, and what is kept under it must be empty.
func (gs *groups) id(g *Group) int {
	tag := gs.hash(g)
	at := gs.find(g, tag)
	if n := int(gs.index[at].n); n != 0 {
		gs.used[n-1] = true
		return n - 1
	}
	if len(gs.keys) == gs.limit {
		id := gs.makeRoom()
		gs.keys[id] = *g
		gs.index[gs.find(g, tag)] = groupPlace{tag, uint32(id + 1)}
		return id
	}
	gs.keys, gs.used = append(gs.keys, *g), append(gs.used, false)
	gs.index[at] = groupPlace{tag, uint32(len(gs.keys))}
	if len(gs.keys) > len(gs.index)/2 {
		gs.grow()
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

// grow doubles the index. The tags say where each place goes.
func (gs *groups) grow() {
	old := gs.index
	gs.index = make([]groupPlace, 2*len(old))
	mask := uint32(len(gs.index) - 1)
	for _, p := range old {
		if p.n == 0 {
			continue
		}
		i := p.tag & mask
		for gs.index[i].n != 0 {
			i = (i + 1) & mask
		}
		gs.index[i] = p
	}
}

// remove takes a group out of the index. What follows moves up, so that no
// probe ends early.
func (gs *groups) remove(g *Group) {
	mask := uint32(len(gs.index) - 1)
	i := gs.find(g, gs.hash(g))
	for j := (i + 1) & mask; gs.index[j].n != 0; j = (j + 1) & mask {
		home := gs.index[j].tag & mask
		if (j-home)&mask >= (j-i)&mask { // its own place is at i or before
			gs.index[i], i = gs.index[j], j
		}
	}
	gs.index[i] = groupPlace{}
}
