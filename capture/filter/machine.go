package filter

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/net/bpf"
)

// Program is a filter compiled for one link type. It is safe for concurrent use.
type Program struct {
	code []bpf.RawInstruction
}

// Instructions are the program as a socket takes it.
func (p *Program) Instructions() []bpf.RawInstruction { return p.code }

// Match reports whether the program accepts a packet of which data was captured
// and that had wire octets on the wire. It allocates nothing.
func (p *Program) Match(data []byte, wire uint32) bool { return p.run(data, wire) != 0 }

// The instructions of classic BPF, as in Linux' include/uapi/linux/bpf_common.h:
// class, size and mode, or class, operation and source.
const (
	ldWordAbs, ldHalfAbs, ldByteAbs = 0x20, 0x28, 0x30
	ldWordInd, ldHalfInd, ldByteInd = 0x40, 0x48, 0x50
	ldImm, ldMem, ldLen             = 0x00, 0x60, 0x80
	ldxImm, ldxMem, ldxLen, ldxMsh  = 0x01, 0x61, 0x81, 0xb1
	st, stx                         = 0x02, 0x03
	alu, aluX                       = 0x04, 0x0c // the operation is in the upper four bits
	neg                             = 0x84
	ja                              = 0x05
	jeqK, jgtK, jgeK, jsetK         = 0x15, 0x25, 0x35, 0x45
	jeqX, jgtX, jgeX, jsetX         = 0x1d, 0x2d, 0x3d, 0x4d
	retK, retA                      = 0x06, 0x16
	tax, txa                        = 0x07, 0x87
)

// The operations of alu.
const (
	opAdd, opSub, opMul, opDiv = 0x00, 0x10, 0x20, 0x30
	opBitOr, opBitAnd          = 0x40, 0x50
	opShiftLeft, opShiftRight  = 0x60, 0x70
	opMod, opXor               = 0x90, 0xa0
	scratchSlots               = 16
	maxProgram                 = 1 << 20 // instructions that are taken
)

// newProgram checks that a program can run and ends: every jump goes forward and
// stays inside, and what is behind the last instruction is never reached.
func newProgram(code []bpf.RawInstruction) (*Program, error) {
	if len(code) == 0 {
		return nil, errors.New("the filter program is empty: give the output of tcpdump -ddd")
	}
	for i, ins := range code {
		if problem := check(ins, len(code)-i-1); problem != "" {
			return nil, fmt.Errorf("the filter program's instruction %d %s", i, problem)
		}
	}
	if op := code[len(code)-1].Op; op != retK && op != retA {
		return nil, errors.New("the filter program does not end with a return: give the whole output of tcpdump -ddd")
	}
	return &Program{code}, nil
}

// check says what is wrong with an instruction that n others follow.
func check(ins bpf.RawInstruction, n int) string {
	switch ins.Op {
	case ja:
		if int32(ins.K) < 0 {
			return "jumps backward: programs with loops, as protochain makes them, cannot be run; name the protocols in the expression"
		}
		if int64(ins.K) >= int64(n) {
			return outside
		}
	case jeqK, jgtK, jgeK, jsetK, jeqX, jgtX, jgeX, jsetX:
		if int(ins.Jt) >= n || int(ins.Jf) >= n {
			return outside
		}
	case ldMem, ldxMem, st, stx:
		if ins.K >= scratchSlots {
			return fmt.Sprintf("uses memory %d: there are 0 to %d", ins.K, scratchSlots-1)
		}
	case ldWordAbs, ldHalfAbs, ldByteAbs:
		if ins.K >= aboutPacket && ins.K < aboutPacket+numAbout {
			return "asks the kernel what it knows of a live packet (VLAN tag, direction): compile the expression for files"
		}
	case alu | opDiv, alu | opMod:
		if ins.K == 0 {
			return "divides by zero"
		}
	case ldWordInd, ldHalfInd, ldByteInd, ldImm, ldLen, ldxImm, ldxLen, ldxMsh, neg, retK, retA, tax, txa,
		aluX | opDiv, aluX | opMod, alu | opAdd, aluX | opAdd, alu | opSub, aluX | opSub, alu | opMul, aluX | opMul,
		alu | opBitOr, aluX | opBitOr, alu | opBitAnd, aluX | opBitAnd, alu | opXor, aluX | opXor,
		alu | opShiftLeft, aluX | opShiftLeft, alu | opShiftRight, aluX | opShiftRight:
	default:
		return fmt.Sprintf("has code %d, which classic BPF does not have: give the output of tcpdump -ddd", ins.Op)
	}
	return ""
}

// Loads from these offsets ask what the kernel knows of a packet (SKF_AD_OFF to
// SKF_AD_MAX of Linux' include/uapi/linux/filter.h).
const aboutPacket, numAbout = 0xfffff000, 64

const outside = "jumps outside of the program: give the whole output of tcpdump -ddd"

// run executes the program as bpf_filter of libpcap does, and returns how much of
// the packet to keep: a load from behind the end of what was captured rejects it.
func (p *Program) run(data []byte, wire uint32) uint32 {
	var a, x uint32
	var memory [scratchSlots]uint32
	for i := 0; ; i++ {
		ins := &p.code[i]
		taken := false
		switch ins.Op {
		case retK:
			return ins.K
		case retA:
			return a
		case ldWordAbs, ldHalfAbs, ldByteAbs, ldWordInd, ldHalfInd, ldByteInd:
			at := uint64(ins.K)
			if ins.Op >= ldWordInd {
				at += uint64(x)
			}
			var ok bool
			if a, ok = loadBytes(data, at, ins.Op&sizeBits); !ok {
				return 0
			}
			continue
		case ldxMsh:
			if uint64(ins.K) >= uint64(len(data)) {
				return 0
			}
			x = uint32(data[ins.K]&0xf) << 2
			continue
		case ja:
			i += int(ins.K)
			continue
		case jeqK:
			taken = a == ins.K
		case jgtK:
			taken = a > ins.K
		case jgeK:
			taken = a >= ins.K
		case jsetK:
			taken = a&ins.K != 0
		case jeqX:
			taken = a == x
		case jgtX:
			taken = a > x
		case jgeX:
			taken = a >= x
		case jsetX:
			taken = a&x != 0
		case ldImm:
			a = ins.K
			continue
		case ldxImm:
			x = ins.K
			continue
		case ldLen:
			a = wire
			continue
		case ldxLen:
			x = wire
			continue
		case ldMem:
			a = memory[ins.K&(scratchSlots-1)]
			continue
		case ldxMem:
			x = memory[ins.K&(scratchSlots-1)]
			continue
		case st:
			memory[ins.K&(scratchSlots-1)] = a
			continue
		case stx:
			memory[ins.K&(scratchSlots-1)] = x
			continue
		case tax:
			x = a
			continue
		case txa:
			a = x
			continue
		case neg:
			a = -a
			continue
		default:
			operand := ins.K
			if ins.Op&aluX == aluX {
				operand = x
			}
			var ok bool
			if a, ok = compute(ins.Op&0xf0, a, operand); !ok {
				return 0
			}
			continue
		}
		if taken {
			i += int(ins.Jt)
		} else {
			i += int(ins.Jf)
		}
	}
}

// sizeBits of a load say how many bytes.
const sizeBits = 0x18

func loadBytes(data []byte, at uint64, size uint16) (uint32, bool) {
	if at >= uint64(len(data)) {
		return 0, false
	}
	b := data[at:]
	switch size {
	case ldByteAbs & sizeBits:
		return uint32(b[0]), true
	case ldHalfAbs & sizeBits:
		if len(b) < 2 {
			return 0, false
		}
		return uint32(binary.BigEndian.Uint16(b)), true
	}
	if len(b) < 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(b), true
}

// compute is false for a division by zero, which rejects the packet.
func compute(op uint16, a, b uint32) (uint32, bool) {
	switch op {
	case opAdd:
		return a + b, true
	case opSub:
		return a - b, true
	case opMul:
		return a * b, true
	case opBitOr:
		return a | b, true
	case opBitAnd:
		return a & b, true
	case opXor:
		return a ^ b, true
	case opShiftLeft:
		return a << b, true
	case opShiftRight:
		return a >> b, true
	}
	if b == 0 {
		return 0, false
	}
	if op == opMod {
		return a % b, true
	}
	return a / b, true
}
