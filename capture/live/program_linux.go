//go:build !libpcap

package live

import (
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/tcpflow-states/tcpflow-states/capture/filter"
)

// The code of classic BPF's return of a constant (linux/bpf_common.h), and the
// most instructions that the kernel takes (BPF_MAXINSNS).
const (
	returnConstant  = unix.BPF_RET | unix.BPF_K
	maxInstructions = unix.BPF_MAXINSNS
)

// refuseAll is the program that lets nothing through.
var refuseAll = []bpf.RawInstruction{{Op: returnConstant}}

// program makes the kernel's program for interfaces of the given kinds: f may be
// nil. Of what it accepts snap octets are captured.
//
// A loopback interface shows every packet twice, as it leaves and as it comes
// in; the first is left out, as libpcap does.
func program(f *filter.Filter, kinds []hardware, snap uint32) ([]bpf.RawInstruction, error) {
	code := assemble(
		bpf.LoadExtension{Num: bpf.ExtLinkLayerType},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.ARPHRD_LOOPBACK, SkipTrue: 3},
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.PACKET_OUTGOING, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	)
	if f == nil {
		return append(code, bpf.RawInstruction{Op: returnConstant, K: snap}), nil
	}
	if len(kinds) == 1 {
		p, err := f.Program(kinds[0].linkType)
		if err != nil {
			return nil, err
		}
		return append(code, snapped(p, snap)...), nil
	}
	several, err := byKind(f, kinds, snap)
	return append(code, several...), err
}

// byKind joins the programs for several kinds of interfaces, of which a frame
// finds its own. A filter that cannot be compiled for a link type, as "vlan 5"
// for raw IP, accepts none of its frames; it is an error when that is so for the
// first of the kinds.
func byKind(f *filter.Filter, kinds []hardware, snap uint32) ([]bpf.RawInstruction, error) {
	var links []uint16 // whose programs are in bodies
	var bodies [][]bpf.RawInstruction
	for i, k := range kinds {
		if slices.Contains(links, k.linkType) {
			continue
		}
		p, err := f.Program(k.linkType)
		if err != nil && i == 0 {
			return nil, err
		}
		if err == nil {
			links, bodies = append(links, k.linkType), append(bodies, snapped(p, snap))
		}
	}
	starts := make([]int, len(bodies)+1)
	for i, body := range bodies {
		starts[i+1] = starts[i] + len(body)
	}
	var tests []bpf.Instruction // from the last to the first
	tests = append(tests, bpf.RetConstant{Val: 0})
	for i := len(kinds) - 1; i >= 0; i-- {
		if at := slices.Index(links, kinds[i].linkType); at >= 0 {
			tests = append(tests, bpf.Jump{Skip: uint32(len(tests) + starts[at])},
				bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(kinds[i].arphrd), SkipTrue: 1})
		}
	}
	tests = append(tests, bpf.LoadExtension{Num: bpf.ExtLinkLayerType})
	slices.Reverse(tests)
	code := assemble(tests...)
	for _, body := range bodies {
		code = append(code, body...)
	}
	return code, nil
}

// snapped is a program of which what it accepts is cut to snap octets.
func snapped(p *filter.Program, snap uint32) []bpf.RawInstruction {
	var code []bpf.RawInstruction
	for _, ins := range p.Instructions() {
		if ins.Op == returnConstant {
			ins.K = min(ins.K, snap)
		}
		code = append(code, ins)
	}
	return code
}

func assemble(list ...bpf.Instruction) []bpf.RawInstruction {
	code, err := bpf.Assemble(list)
	if err != nil {
		panic(err) // only instructions that there are stand in this file
	}
	return code
}
