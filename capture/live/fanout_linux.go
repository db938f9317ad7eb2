//go:build !libpcap

package live

import (
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// fanout is a group of sockets that share the frames of an interface.
type fanout struct{ id int }

// join adds the socket. The kernel chooses a number for the first one's group.
func (f *fanout) join(s *socket, first bool) error {
	mode := unix.PACKET_FANOUT_CBPF
	if first {
		mode |= unix.PACKET_FANOUT_FLAG_UNIQUEID
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, mode<<16|f.id); err != nil {
		return err
	}
	if !first {
		return nil
	}
	n, err := unix.GetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
	if err != nil {
		return err
	}
	f.id = n & 0xffff
	return unix.SetsockoptSockFprog(s.fd, unix.SOL_PACKET, unix.PACKET_FANOUT_DATA, socketFilter(dealer()))
}

// network and link are where the two headers begin for a program's loads:
// SKF_NET_OFF and SKF_LL_OFF of linux/filter.h, -0x100000 and -0x200000. A program
// of a fanout group needs them, since frames that leave begin with their link
// header and those that come in do not.
const network, link = 0xfff00000, 0xffe00000

// behindTag is where the network header is behind a VLAN tag in the frame, from
// network on: that one is at the tag where a VLAN interface has put it in, and
// behind it where a packet socket has.
const behindTag = 1<<32 + link + macsLen + vlanTagLen + 2 - network

// Scratch memory of the dealer.
const (
	portSum   = iota // both ports; 0 where there are none
	headerAt         // of the IP header, from the network header on
	addressOf        // the first address
)

// dealer is the program that deals frames out: what it returns, modulo the
// number of sockets, is the socket. Sums do not care for the direction.
//
// PACKET_FANOUT_HASH would be symmetric, too, for TCP itself. But it takes the
// ports of all UDP, and those of VXLAN and Geneve differ between the directions
// of what they carry; and an ICMP error would go elsewhere than the flow that it
// is about. So the dealer takes ports of TCP only, and of a quoted packet instead
// of the error that quotes it.
func dealer() []bpf.RawInstruction {
	code := lines{
		{ins: bpf.LoadConstant{Dst: bpf.RegA}},
		{ins: bpf.StoreScratch{Src: bpf.RegA, N: portSum}},
		{ins: bpf.LoadConstant{Dst: bpf.RegX}},
		{ins: bpf.LoadExtension{Num: bpf.ExtProto}},
		{ins: equal(unix.ETH_P_8021Q), to: "tag"}, // sent by a device that cannot put it in itself
		{ins: equal(unix.ETH_P_8021AD), to: "tag"},
		{ins: bpf.Jump{}, to: "type"},
		{label: "tag", ins: bpf.LoadAbsolute{Off: link + macsLen + vlanTagLen, Size: 2}},
		{ins: bpf.LoadConstant{Dst: bpf.RegX, Val: behindTag}},
		{label: "type", ins: equal(unix.ETH_P_IP), to: "ipv4"},
		{ins: equal(unix.ETH_P_IPV6), to: "ipv6"},
		{ins: bpf.RetConstant{}},
	}
	code = append(code, dealIPv4...)
	code = append(code, dealIPv6...)
	return assemble(append(code,
		// A: one address, portSum: the ports, addressOf: the other address
		line{label: "mix", ins: bpf.LoadScratch{Dst: bpf.RegX, N: addressOf}},
		line{ins: bpf.ALUOpX{Op: bpf.ALUOpAdd}},
		line{ins: bpf.LoadScratch{Dst: bpf.RegX, N: portSum}},
		line{ins: bpf.ALUOpX{Op: bpf.ALUOpAdd}},
		line{ins: bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: 0x9e3779b1}}, // 2^32 by the golden ratio: neighbours part
		line{ins: bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 16}},
		line{ins: bpf.RetA{}},
	).resolve()...)
}

// dealIPv4 has the base of the header in X.
var dealIPv4 = slices.Concat(
	lines{
		{label: "ipv4", ins: bpf.StoreScratch{Src: bpf.RegX, N: headerAt}},
		{ins: bpf.LoadIndirect{Off: network + 6, Size: 2}},
		{ins: bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x3fff}, to: "addresses4"}, // a fragment: the others have no ports
		{ins: bpf.LoadIndirect{Off: network + 9, Size: 1}},
		{ins: equal(unix.IPPROTO_TCP), to: "ports4"},
		{ins: unequal(unix.IPPROTO_ICMP), to: "addresses4"},
	},
	pastIPv4(""),
	lines{
		{ins: bpf.LoadIndirect{Off: network, Size: 1}}, // the ICMP type
		{ins: equal(3), to: "quoted4"},                 // destination unreachable
		{ins: equal(11), to: "quoted4"},                // time exceeded
		{ins: unequal(12), to: "addresses4"},
		{label: "quoted4", ins: bpf.TXA{}},
		{ins: bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 8}},
		{ins: bpf.TAX{}},
		{ins: bpf.StoreScratch{Src: bpf.RegX, N: headerAt}},
		{ins: bpf.LoadIndirect{Off: network + 9, Size: 1}},
		{ins: unequal(unix.IPPROTO_TCP), to: "addresses4"},
	},
	pastIPv4("ports4"),
	ports("", 0),
	addressesAt("addresses4", 12, 16),
)

// dealIPv6 has the base of the header in X. Where extension headers are, ports
// are not looked for. Of the addresses the last four octets do.
var dealIPv6 = slices.Concat(
	lines{
		{label: "ipv6", ins: bpf.StoreScratch{Src: bpf.RegX, N: headerAt}},
		{ins: bpf.LoadIndirect{Off: network + 6, Size: 1}},
		{ins: equal(unix.IPPROTO_TCP), to: "ports6"},
		{ins: unequal(unix.IPPROTO_ICMPV6), to: "addresses6"},
		{ins: bpf.LoadIndirect{Off: network + 40, Size: 1}},
		{ins: bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: 128}, to: "addresses6"}, // no error (RFC 4443 2.1)
		{ins: bpf.TXA{}},
		{ins: bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 40 + 8}},
		{ins: bpf.TAX{}},
		{ins: bpf.StoreScratch{Src: bpf.RegX, N: headerAt}},
		{ins: bpf.LoadIndirect{Off: network + 6, Size: 1}},
		{ins: unequal(unix.IPPROTO_TCP), to: "addresses6"},
	},
	ports("ports6", 40),
	addressesAt("addresses6", 20, 36),
)

// pastIPv4 moves X from the beginning of an IPv4 header to its end.
func pastIPv4(label string) lines {
	return lines{
		{label: label, ins: bpf.LoadIndirect{Off: network, Size: 1}},
		{ins: bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf}},
		{ins: bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2}},
		{ins: bpf.ALUOpX{Op: bpf.ALUOpAdd}},
		{ins: bpf.TAX{}},
	}
}

// ports adds up those of the TCP header that is so far behind X, which is lost.
func ports(label string, behind uint32) lines {
	return lines{
		{label: label, ins: bpf.LoadIndirect{Off: network + behind, Size: 2}},
		{ins: bpf.StoreScratch{Src: bpf.RegA, N: portSum}},
		{ins: bpf.LoadIndirect{Off: network + behind + 2, Size: 2}},
		{ins: bpf.LoadScratch{Dst: bpf.RegX, N: portSum}},
		{ins: bpf.ALUOpX{Op: bpf.ALUOpAdd}},
		{ins: bpf.StoreScratch{Src: bpf.RegA, N: portSum}},
	}
}

// addressesAt loads four octets of each address, by their places in the IP header.
func addressesAt(label string, source, destination uint32) lines {
	return lines{
		{label: label, ins: bpf.LoadScratch{Dst: bpf.RegX, N: headerAt}},
		{ins: bpf.LoadIndirect{Off: network + source, Size: 4}},
		{ins: bpf.StoreScratch{Src: bpf.RegA, N: addressOf}},
		{ins: bpf.LoadIndirect{Off: network + destination, Size: 4}},
		{ins: bpf.Jump{}, to: "mix"},
	}
}

// line is an instruction. A jump goes to the line with the label where it is
// true, else on.
type line struct {
	label, to string
	ins       bpf.Instruction
}

type lines []line

func equal(n uint32) bpf.Instruction   { return bpf.JumpIf{Cond: bpf.JumpEqual, Val: n} }
func unequal(n uint32) bpf.Instruction { return bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: n} }

// resolve fills in how far the jumps go, which is forward.
func (list lines) resolve() []bpf.Instruction {
	at := map[string]int{}
	for i, l := range list {
		at[l.label] = i
	}
	code := make([]bpf.Instruction, len(list))
	for i, l := range list {
		code[i] = l.ins
		skip := at[l.to] - i - 1
		switch jump := l.ins.(type) {
		case bpf.JumpIf:
			jump.SkipTrue = uint8(skip)
			code[i] = jump
		case bpf.Jump:
			code[i] = bpf.Jump{Skip: uint32(skip)}
		}
	}
	return code
}
