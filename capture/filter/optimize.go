package filter

import (
	"slices"

	"golang.org/x/net/bpf"
)

// optimize leaves out tests whose result is known from the tests before, and loads
// of what is loaded already. It never leaves out the first load of anything, so a
// packet that ends too soon is refused as before. Blocks are visited in the order
// of execution, in which every block comes behind all that jump to it: so one pass
// is enough.
func optimize(blocks []block, first int) {
	known := make([]knowledge, len(blocks))
	known[first] = knowledge{reached: true, a: noLoad}
	loads := map[[maxLoad]bpf.RawInstruction]int{}
	for i := first; i >= numEnds; i-- {
		b, in := &blocks[i], &known[i]
		if b.unreached = !in.reached; b.unreached {
			continue
		}
		load := loadNumber(loads, b.code)
		after := knowledge{reached: true, a: load, x: in.x, facts: in.facts}
		b.trim(load, in, &after)
		b.yes = after.follow(blocks, known, loads, b, load, true)
		b.no = after.follow(blocks, known, loads, b, load, false)
	}
}

// maxLoad is how many instructions a load may have that is recognized.
const maxLoad = 4

// noLoad is the number of what is not recognized.
const noLoad = -1

// loadNumber returns the number of a load, the same for all that are alike: those
// that depend on nothing but the packet.
func loadNumber(loads map[[maxLoad]bpf.RawInstruction]int, code []bpf.Instruction) int {
	var key [maxLoad]bpf.RawInstruction
	if len(code) > maxLoad {
		return noLoad
	}
	for i, ins := range code {
		switch ins.(type) {
		case bpf.LoadAbsolute, bpf.LoadIndirect, bpf.LoadMemShift, bpf.LoadExtension, bpf.ALUOpConstant:
		default:
			return noLoad
		}
		var err error
		if key[i], err = ins.Assemble(); err != nil {
			return noLoad
		}
	}
	n, ok := loads[key]
	if !ok {
		n = len(loads)
		loads[key] = n
	}
	return n
}

// knowledge is what holds at the beginning of a block, whichever way led there.
type knowledge struct {
	reached bool
	a       int              // the load whose result is in A
	x       bpf.LoadMemShift // what has set X, where hasX
	hasX    bool
	facts   []fact
}

// fact is the result of a test.
type fact struct {
	load int
	jump bpf.JumpTest
	val  uint32
	is   bool
}

// maxFacts bounds the work: the oldest, about the protocol, are the most useful.
const maxFacts = 32

// trim leaves out of a block what A and X hold already, and notes in after what
// they hold behind it.
func (b *block) trim(load int, in, after *knowledge) {
	if load == noLoad {
		after.hasX = false
		return
	}
	after.hasX = in.hasX
	if in.a == load {
		b.code = nil
		return
	}
	if shift, ok := b.code[0].(bpf.LoadMemShift); ok {
		if in.hasX && in.x == shift {
			b.code = b.code[1:]
		}
		after.x, after.hasX = shift, true
	}
}

// follow returns where a block's test leads with one result, past all tests whose
// results are known then, and notes there what is known.
func (k *knowledge) follow(blocks []block, known []knowledge, loads map[[maxLoad]bpf.RawInstruction]int, b *block, load int, is bool) int {
	after := *k
	if load != noLoad && !b.x && len(k.facts) < maxFacts {
		after.facts = append(slices.Clip(k.facts), fact{load, b.jump, b.val, is})
	}
	to := b.no
	if is {
		to = b.yes
	}
	for to >= numEnds {
		t := &blocks[to]
		result, ok := after.decide(t, loadNumber(loads, t.code))
		if !ok {
			break
		}
		if to = t.no; result {
			to = t.yes
		}
	}
	known[to].meet(&after)
	return to
}

// decide returns the result of a test where it is known.
func (k *knowledge) decide(t *block, load int) (result, ok bool) {
	if load == noLoad || t.x {
		return false, false
	}
	for _, f := range k.facts {
		switch {
		case f.load != load:
		case f.jump == t.jump && f.val == t.val:
			return f.is, true
		case f.jump == bpf.JumpEqual && f.is:
			return holds(t.jump, f.val, t.val), true
		}
	}
	return false, false
}

func holds(jump bpf.JumpTest, a, b uint32) bool {
	switch jump {
	case bpf.JumpEqual:
		return a == b
	case bpf.JumpGreaterThan:
		return a > b
	case bpf.JumpGreaterOrEqual:
		return a >= b
	}
	return a&b != 0
}

// meet leaves what holds on another way, too.
func (k *knowledge) meet(other *knowledge) {
	if !k.reached {
		*k = *other
		k.facts = slices.Clone(other.facts)
		return
	}
	if k.a != other.a {
		k.a = noLoad
	}
	k.hasX = k.hasX && other.hasX && k.x == other.x
	k.facts = slices.DeleteFunc(k.facts, func(f fact) bool { return !slices.Contains(other.facts, f) })
}
