package filter

import "golang.org/x/net/bpf"

// generator turns an expression into conditions on the bytes of one link type's
// frames. Like libpcap it goes through the expression from left to right, and
// vlan, mpls and pppoes move the offsets for all that stands behind them, also
// behind an "or".
type generator struct {
	text string
	live bool
	link *link
	err  *Error // the first

	typeAt   uint32 // where the number of the protocol behind the link header is
	linkAt   uint32 // where the link header at hand begins
	payload  uint32 // where what it carries begins
	network  uint32 // and how far into that the network header
	vlans    int    // tags passed
	labels   int    // MPLS labels passed
	shifted  bool   // typeAt and payload are shiftSlot further, which is known when the program runs
	linkMove bool   // linkAt is, too
}

// shiftSlot is the scratch memory that says how many bytes of VLAN tag a live
// frame has in its data; the other slots are for arithmetic.
const shiftSlot = 15

// fail notes the first error, and returns a condition to go on with.
func (g *generator) fail(s span, problem, remedy string) *cond {
	if g.err == nil {
		g.err = &Error{Expression: g.text, Start: s.start, End: s.end, Problem: problem, Remedy: remedy}
	}
	return never
}

// beyond fails with what tcpdump may know better.
func (g *generator) beyond(s span, problem, remedy string) *cond {
	c := g.fail(s, problem, remedy)
	g.err.beyond = true
	return c
}

func (x *both) gen(g *generator) *cond {
	a := x.a.gen(g)
	b := x.b.gen(g)
	if x.or {
		return or(a, b)
	}
	return and(a, b)
}

func (x *not) gen(g *generator) *cond { return invert(x.x.gen(g)) }

// cond is a condition in the form that code is made of: tests that are combined.
type cond struct {
	op   condOp
	a, b *cond // of and, or; a of not

	// Of a test.
	code []bpf.Instruction // leaves in A, and in X where it compares with X, what is compared
	jump bpf.JumpTest
	val  uint32
	x    bool // compares with X, not val
}

type condOp uint8

const (
	opTest condOp = iota
	opAnd
	opOr
	opNot
	opAlways
	opNever
)

var (
	always = &cond{op: opAlways}
	never  = &cond{op: opNever}
)

// and, or and invert leave out what cannot make a difference. A test stays where
// its result does not matter but it may refuse a packet for being too short.
func and(list ...*cond) *cond {
	all := always
	for _, c := range list {
		switch {
		case all.op == opNever:
			return never
		case all.op == opAlways:
			all = c
		case c.op != opAlways:
			all = &cond{op: opAnd, a: all, b: c}
		}
	}
	return all
}

func or(list ...*cond) *cond {
	one := never
	for _, c := range list {
		switch {
		case one.op == opAlways:
			return always
		case one.op == opNever:
			one = c
		case c.op != opNever:
			one = &cond{op: opOr, a: one, b: c}
		}
	}
	return one
}

func invert(c *cond) *cond {
	switch c.op {
	case opAlways:
		return never
	case opNever:
		return always
	case opNot:
		return c.a
	}
	return &cond{op: opNot, a: c}
}

func constant(is bool) *cond {
	if is {
		return always
	}
	return never
}

// loader says how to read size bytes at an offset into some header.
type loader func(off uint32, size int) []bpf.Instruction

// fromLink reads from the beginning of the link header.
func (g *generator) fromLink(off uint32, size int) []bpf.Instruction {
	return g.at(g.linkMove, g.linkAt+off, size)
}

// fromType reads from the number of the protocol behind the link header.
func (g *generator) fromType(off uint32, size int) []bpf.Instruction {
	return g.at(g.shifted, g.typeAt+off, size)
}

// fromPayload reads from behind the link header.
func (g *generator) fromPayload(off uint32, size int) []bpf.Instruction {
	return g.at(g.shifted, g.payload+off, size)
}

// fromNetwork reads from the beginning of the network header.
func (g *generator) fromNetwork(off uint32, size int) []bpf.Instruction {
	return g.at(g.shifted, g.payload+g.network+off, size)
}

// fromTransport reads from behind an IPv4 header with its options.
func (g *generator) fromTransport(off uint32, size int) []bpf.Instruction {
	return append(g.headerLength(), bpf.LoadIndirect{Off: g.payload + g.network + off, Size: size})
}

// at reads at an offset that may be shifted.
func (g *generator) at(shifted bool, off uint32, size int) []bpf.Instruction {
	if shifted {
		return []bpf.Instruction{bpf.LoadScratch{Dst: bpf.RegX, N: shiftSlot}, bpf.LoadIndirect{Off: off, Size: size}}
	}
	return []bpf.Instruction{absolute(off, size)}
}

// beyondAny is an offset at which no packet has a byte. What lies above it has a
// meaning of its own to the kernel, and stands for offsets before the packet.
const beyondAny = 0x7fffffff

func absolute(off uint32, size int) bpf.Instruction {
	return bpf.LoadAbsolute{Off: min(off, beyondAny), Size: size}
}

// headerLength puts into X how far behind the beginning of the IPv4 header, but
// for constants, what it carries begins.
func (g *generator) headerLength() []bpf.Instruction {
	at := g.payload + g.network
	if !g.shifted {
		return []bpf.Instruction{bpf.LoadMemShift{Off: at}}
	}
	return append(g.at(true, at, 1),
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
		bpf.TAX{})
}

// equal tests a number of size bytes.
func equal(from loader, off uint32, size int, v uint32) *cond {
	return compare(from, off, size, bpf.JumpEqual, v)
}

func compare(from loader, off uint32, size int, jump bpf.JumpTest, v uint32) *cond {
	return &cond{code: from(off, size), jump: jump, val: v}
}

// masked tests the bits of a number that a mask has; without any, that is known.
func masked(from loader, off uint32, size int, v, mask uint32) *cond {
	switch mask {
	case 0:
		return constant(v == 0)
	case 0xffffffff:
		return equal(from, off, size, v)
	}
	return &cond{code: append(from(off, size), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask}), jump: bpf.JumpEqual, val: v}
}

// bytesEqual tests several bytes, four at a time from the last ones on.
func bytesEqual(from loader, off uint32, b []byte) *cond {
	all := always
	for len(b) > 0 {
		size := 4
		for size > len(b) {
			size /= 2
		}
		rest := len(b) - size
		v := uint32(0)
		for _, x := range b[rest:] {
			v = v<<8 | uint32(x)
		}
		all = and(all, equal(from, off+uint32(rest), size, v))
		b = b[:rest]
	}
	return all
}

// either is the test of the direction that is asked for, of the two that look at
// the source and at the destination, or both.
func either(dir direction, source, destination *cond) *cond {
	switch dir {
	case src:
		return source
	case dst:
		return destination
	case srcAndDst:
		return and(source, destination)
	}
	return or(source, destination)
}
