package analyzer

// slots is an open-addressed table with linear probing: 2^n slots, more than half
// of them empty. What is known of a thing lies elsewhere, under its id; 32 bits of
// its hash stand here beside that, and tell where it belongs.
type slots []slot

type slot struct {
	tag uint32
	id  uint32 // 0: empty
}

// doubled returns a table of twice the size. The tags are all that it needs: they
// have more bits than slots have.
func (ss slots) doubled() slots {
	more := make(slots, 2*len(ss))
	mask := uint32(len(more) - 1)
	for _, s := range ss {
		if s.id == 0 {
			continue
		}
		i := s.tag & mask
		for more[i].id != 0 {
			i = (i + 1) & mask
		}
		more[i] = s
	}
	return more
}

// vacate empties a slot. What follows moves up, so that no probe ends early.
func (ss slots) vacate(i uint32) {
	mask := uint32(len(ss) - 1)
	for j := (i + 1) & mask; ss[j].id != 0; j = (j + 1) & mask {
		home := ss[j].tag & mask
		if (j-home)&mask >= (j-i)&mask { // its own slot is i or before
			ss[i], i = ss[j], j
		}
	}
	ss[i] = slot{}
}
