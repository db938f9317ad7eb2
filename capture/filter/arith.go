package filter

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// value is how a number comes about: a constant, or code that leaves it in A.
type value struct {
	code   []bpf.Instruction // nil for a constant
	n      uint32
	checks *cond // what the packet must be for the bytes to mean anything
}

func (v *value) constant() bool { return v.code == nil }

// load returns code that leaves the number in A.
func (v *value) load() []bpf.Instruction {
	if v.constant() {
		return []bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegA, Val: v.n}}
	}
	return v.code
}

func (x number) value(*generator, int) value { return value{n: x.n, checks: always} }

// value is the packet's length on the wire.
func (length) value(*generator, int) value {
	return value{code: []bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtLen}}, checks: always}
}

func (x *negation) value(g *generator, depth int) value {
	v := x.x.value(g, depth)
	if v.constant() {
		v.n = -v.n
	} else {
		v.code = append(v.code, bpf.NegateA{})
	}
	return v
}

// operators are the operations by their spelling.
var operators = map[string]bpf.ALUOp{
	"+": bpf.ALUOpAdd, "-": bpf.ALUOpSub, "*": bpf.ALUOpMul, "/": bpf.ALUOpDiv, "%": bpf.ALUOpMod,
	"&": bpf.ALUOpAnd, "|": bpf.ALUOpOr, "^": bpf.ALUOpXor, "<<": bpf.ALUOpShiftLeft, ">>": bpf.ALUOpShiftRight,
}

// value computes both numbers. While it computes the one, the other waits in the
// scratch memory's slot depth. That the packet has what the right one is read from
// is not checked: libpcap forgets it.
func (x *operation) value(g *generator, depth int) value {
	a := x.a.value(g, depth+1)
	b := x.b.value(g, depth)
	v := value{checks: a.checks}
	op := operators[x.op]
	if b.constant() {
		g.checkOperand(x, op, b.n)
	}
	switch {
	case g.err != nil:
	case a.constant() && b.constant():
		v.n = calculate(op, a.n, b.n)
	case b.constant() && b.n > 31 && shifts(op): // which an instruction may not
		v.code = append(a.code, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0})
	case b.constant():
		v.code = append(a.code, bpf.ALUOpConstant{Op: op, Val: b.n})
	case depth >= shiftSlot:
		g.fail(x.span, "the calculation needs too many intermediate results", "write it with fewer parentheses")
	default:
		v.code = append(b.code, bpf.StoreScratch{Src: bpf.RegA, N: depth})
		v.code = append(v.code, a.load()...)
		v.code = append(v.code, bpf.LoadScratch{Dst: bpf.RegX, N: depth}, bpf.ALUOpX{Op: op})
	}
	return v
}

func shifts(op bpf.ALUOp) bool { return op == bpf.ALUOpShiftLeft || op == bpf.ALUOpShiftRight }

// checkOperand refuses what has no result, or surely not the one that is wanted.
func (g *generator) checkOperand(x *operation, op bpf.ALUOp, n uint32) {
	_, literal := x.b.(number)
	switch {
	case n == 0 && (op == bpf.ALUOpDiv || op == bpf.ALUOpMod):
		g.fail(x.span, "division by zero", "give another number")
	case literal && n > 31 && shifts(op):
		g.fail(x.span, fmt.Sprintf("shift by %d bits", n), "numbers have 32 bits: give up to 31")
	}
}

// calculate is what the filter machine would compute.
func calculate(op bpf.ALUOp, a, b uint32) uint32 {
	switch op {
	case bpf.ALUOpAdd:
		return a + b
	case bpf.ALUOpSub:
		return a - b
	case bpf.ALUOpMul:
		return a * b
	case bpf.ALUOpDiv:
		return a / b
	case bpf.ALUOpMod:
		return a % b
	case bpf.ALUOpAnd:
		return a & b
	case bpf.ALUOpOr:
		return a | b
	case bpf.ALUOpXor:
		return a ^ b
	case bpf.ALUOpShiftLeft:
		return a << b
	}
	return a >> b
}

// value reads bytes of a header, and has the packet checked for that header.
func (x *load) value(g *generator, depth int) value {
	index := x.index.value(g, depth)
	p := protocols[x.proto]
	v := value{checks: index.checks}
	switch {
	case x.proto == "ether":
		v.code = g.indexed(g.linkMove, g.linkAt, index, x.size)
	case p.transport:
		v.checks = and(g.carries(x.span, etherIPv4), index.checks, g.proto(x.span, x.proto), g.firstFragment())
		v.code = g.indexedTransport(index, x.size, depth)
	case x.proto == "icmp6":
		const header6 = 40
		v.checks = and(index.checks, g.carries(x.span, etherIPv6), equal(g.fromNetwork, 6, 1, protoICMPv6))
		v.code = g.indexed(g.shifted, g.payload+g.network+header6, index, x.size)
	case p.layer == layerType && p.number != sapSTP && p.number != sapIPX && p.number != sapNetBEUI && x.proto != "aarp":
		v.checks = and(index.checks, g.proto(x.span, x.proto))
		v.code = g.indexed(g.shifted, g.payload+g.network, index, x.size)
	default:
		g.fail(x.span, fmt.Sprintf("bytes of %s cannot be read", x.proto), "read them from the header before, as in ip[20]")
	}
	return v
}

// indexed reads at an index from a place that may be shifted. As libpcap does, it
// lets constants overflow and what is added to X not.
func (g *generator) indexed(shifted bool, base uint32, index value, size uint32) []bpf.Instruction {
	if index.constant() {
		return g.at(shifted, base+index.n, int(size))
	}
	code := index.code
	if shifted {
		code = append(code, bpf.LoadScratch{Dst: bpf.RegX, N: shiftSlot}, bpf.ALUOpX{Op: bpf.ALUOpAdd})
	}
	return append(code, bpf.TAX{}, bpf.LoadIndirect{Off: base, Size: int(size)})
}

// indexedTransport reads at an index behind an IPv4 header.
func (g *generator) indexedTransport(index value, size uint32, depth int) []bpf.Instruction {
	base := g.payload + g.network
	if index.constant() {
		return append(g.headerLength(), bpf.LoadIndirect{Off: base + index.n, Size: int(size)})
	}
	if depth >= shiftSlot {
		g.fail(span{0, len(g.text)}, "the calculation needs too many intermediate results", "write it with fewer parentheses")
		return nil
	}
	code := append(index.code, bpf.StoreScratch{Src: bpf.RegA, N: depth})
	code = append(code, g.headerLength()...)
	return append(code, bpf.LoadScratch{Dst: bpf.RegA, N: depth}, bpf.ALUOpX{Op: bpf.ALUOpAdd}, bpf.TAX{},
		bpf.LoadIndirect{Off: base, Size: int(size)})
}

// comparisons are the relations, by a test and whether it is to fail.
var comparisons = map[string]struct {
	jump bpf.JumpTest
	not  bool
}{
	"=": {bpf.JumpEqual, false}, "!=": {bpf.JumpEqual, true},
	">": {bpf.JumpGreaterThan, false}, "<=": {bpf.JumpGreaterThan, true},
	">=": {bpf.JumpGreaterOrEqual, false}, "<": {bpf.JumpGreaterOrEqual, true},
}

// gen compares two numbers of a packet that has what they are read from.
func (x *relation) gen(g *generator) *cond {
	a, b := x.a.value(g, 1), x.b.value(g, 1)
	if g.err != nil {
		return never
	}
	c := comparisons[x.op]
	test := &cond{code: a.code, jump: c.jump, val: b.n}
	switch {
	case a.constant() && b.constant():
		test = constant(a.n == b.n && c.jump != bpf.JumpGreaterThan || a.n > b.n && c.jump != bpf.JumpEqual)
	case !b.constant():
		test.code = append(b.code, bpf.StoreScratch{Src: bpf.RegA, N: 0})
		test.code = append(test.code, a.load()...)
		test.code = append(test.code, bpf.LoadScratch{Dst: bpf.RegX, N: 0})
		test.x = true
	}
	if c.not {
		test = invert(test)
	}
	return and(a.checks, b.checks, test)
}
