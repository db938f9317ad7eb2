package filter

import "golang.org/x/net/bpf"

// block is a test in the order of execution: code that loads, then a jump. Blocks
// are numbered from the end of the program backwards, so that all jumps go to
// smaller numbers.
type block struct {
	code      []bpf.Instruction
	jump      bpf.JumpTest
	val       uint32
	x         bool
	yes, no   int
	unreached bool // never executed
}

// The blocks that end the program.
const (
	accept = iota
	reject
	numEnds
)

// keep is what an accepting program returns: how much of the packet to keep.
const keep = 262144

// program puts code together that tests a condition.
func program(c *cond, shifted bool) ([]bpf.RawInstruction, error) {
	blocks := make([]block, numEnds)
	first := lay(c, &blocks, accept, reject)
	optimize(blocks, first)
	return assemble(blocks, first, shifted)
}

// assemble writes the blocks that are reached from the first one on.
func assemble(blocks []block, first int, shifted bool) ([]bpf.RawInstruction, error) {
	a := assembler{at: make([]int, len(blocks))}
	a.add(bpf.RetConstant{Val: 0})
	a.at[reject] = len(a.code)
	a.add(bpf.RetConstant{Val: keep})
	a.at[accept] = len(a.code)
	for i := numEnds; i <= first; i++ {
		if !blocks[i].unreached {
			a.block(&blocks[i])
		}
		a.at[i] = len(a.code)
	}
	switch {
	case first < numEnds:
		a.code = a.code[:a.at[first]]
		if first == accept {
			a.code = a.code[1:]
		}
	case shifted:
		a.add(bpf.LoadConstant{Dst: bpf.RegA}, bpf.StoreScratch{Src: bpf.RegA, N: shiftSlot})
	}
	for i, j := 0, len(a.code)-1; i < j; i, j = i+1, j-1 {
		a.code[i], a.code[j] = a.code[j], a.code[i]
	}
	return bpf.Assemble(a.code)
}

// lay puts the blocks of a condition before those that are there, and returns the
// one to begin with.
func lay(c *cond, blocks *[]block, yes, no int) int {
	switch c.op {
	case opAnd:
		return lay(c.a, blocks, lay(c.b, blocks, yes, no), no)
	case opOr:
		return lay(c.a, blocks, yes, lay(c.b, blocks, yes, no))
	case opNot:
		return lay(c.a, blocks, no, yes)
	case opAlways:
		return yes
	case opNever:
		return no
	}
	*blocks = append(*blocks, block{code: c.code, jump: c.jump, val: c.val, x: c.x, yes: yes, no: no})
	return len(*blocks) - 1
}

// assembler writes a program from its end, where every jump's target is known.
type assembler struct {
	code []bpf.Instruction // in reverse
	at   []int             // for each block, the length of code once it is written
}

// add writes instructions before those that are there.
func (a *assembler) add(list ...bpf.Instruction) {
	for i := len(list) - 1; i >= 0; i-- {
		a.code = append(a.code, list[i])
	}
}

// farthest is how many instructions a test can skip.
const farthest = 255

// block writes a block. A target that its test cannot reach gets a jump of its
// own behind the test.
func (a *assembler) block(b *block) {
	no := a.within(b.no, farthest-1)
	yes := a.within(b.yes, farthest)
	skipYes, skipNo := uint8(len(a.code)-yes), uint8(len(a.code)-no)
	if b.x {
		a.add(bpf.JumpIfX{Cond: b.jump, SkipTrue: skipYes, SkipFalse: skipNo})
	} else {
		a.add(bpf.JumpIf{Cond: b.jump, Val: b.val, SkipTrue: skipYes, SkipFalse: skipNo})
	}
	a.add(b.code...)
}

// within returns where to jump for a block: to itself where it is no farther than
// that, else to a jump that is written here.
func (a *assembler) within(target, far int) int {
	if len(a.code)-a.at[target] <= far {
		return a.at[target]
	}
	a.add(bpf.Jump{Skip: uint32(len(a.code) - a.at[target])})
	return len(a.code)
}
