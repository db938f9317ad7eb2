package filter

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// gen tests what one word, with a number at most, asks for.
func (x *simple) gen(g *generator) *cond {
	switch x.word {
	case "less":
		return invert(packetLength(bpf.JumpGreaterThan, x.number.value))
	case "greater":
		return packetLength(bpf.JumpGreaterOrEqual, x.number.value)
	case "broadcast":
		return x.broadcast(g)
	case "multicast":
		return x.multicast(g)
	case "inbound", "outbound":
		return x.directed(g)
	case "ifindex":
		return x.ifIndex(g)
	case "vlan":
		return x.vlan(g)
	case "mpls":
		return x.mpls(g)
	case "pppoed":
		return g.carries(x.span, etherPPPoED)
	}
	return x.pppoe(g)
}

func packetLength(jump bpf.JumpTest, n uint32) *cond {
	return &cond{code: []bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtLen}}, jump: jump, val: n}
}

// gen compares one byte from the link header on.
func (x *byteTest) gen(g *generator) *cond {
	switch x.op {
	case "<":
		return invert(compare(g.fromLink, x.at.value, 1, bpf.JumpGreaterOrEqual, x.number.value))
	case ">":
		return compare(g.fromLink, x.at.value, 1, bpf.JumpGreaterThan, x.number.value)
	}
	return equal(g.fromLink, x.at.value, 1, x.number.value)
}

// broadcast of IP is what needs no netmask to be known: all ones, all zeros.
func (x *simple) broadcast(g *generator) *cond {
	switch x.proto {
	case "", "ether":
		if !g.isEthernet() {
			return g.noSupport(x.span, "broadcast address")
		}
		return bytesEqual(g.fromLink, 0, []byte{255, 255, 255, 255, 255, 255})
	case "ip":
		return and(g.carries(x.span, etherIPv4), or(equal(g.fromNetwork, 16, 4, 0), equal(g.fromNetwork, 16, 4, 0xffffffff)))
	}
	return g.fail(x.span, fmt.Sprintf("%q has no broadcast", x.proto), `write "broadcast", "ether broadcast" or "ip broadcast"`)
}

func (x *simple) multicast(g *generator) *cond {
	switch x.proto {
	case "", "ether":
		if !g.isEthernet() {
			return g.noSupport(x.span, "multicast addresses")
		}
		return compare(g.fromLink, 0, 1, bpf.JumpBitsSet, 1)
	case "ip":
		return and(g.carries(x.span, etherIPv4), compare(g.fromNetwork, 16, 1, bpf.JumpGreaterOrEqual, 224))
	case "ip6":
		return and(g.carries(x.span, etherIPv6), equal(g.fromNetwork, 24, 1, 255))
	}
	return g.fail(x.span, fmt.Sprintf("%q has no multicast", x.proto), `write "multicast", "ether multicast", "ip multicast" or "ip6 multicast"`)
}

// outgoing is the packet type of what the host itself has sent, in both Linux
// cooked headers and in the kernel (PACKET_OUTGOING).
const outgoing = 4

// directed tests the direction, where that is recorded or the kernel knows it.
func (x *simple) directed(g *generator) *cond {
	var out *cond
	switch {
	case g.link.kind == byCooked:
		out = equal(g.fromLink, 0, 2, outgoing)
	case g.link.dlt == "LINUX_SLL2":
		out = equal(g.fromLink, 10, 1, outgoing)
	case g.link.dlt == "PPP_PPPD":
		if x.word == "outbound" {
			return equal(g.fromLink, 0, 1, 1)
		}
		return equal(g.fromLink, 0, 1, 0)
	case g.live:
		out = extension(bpf.ExtType, outgoing)
	default:
		c := g.fail(x.span, fmt.Sprintf("captures of %s do not say in which direction packets went", g.link.name),
			"leave it out, or capture with tcpdump -i any, whose frames say it")
		g.err.onLink = true
		return c
	}
	if x.word == "inbound" {
		return invert(out)
	}
	return out
}

func (x *simple) ifIndex(g *generator) *cond {
	switch {
	case g.link.dlt == "LINUX_SLL2":
		return equal(g.fromLink, 4, 4, x.number.value)
	case g.live:
		return extension(bpf.ExtInterfaceIndex, x.number.value)
	}
	c := g.fail(x.span, fmt.Sprintf("captures of %s do not name interfaces by their index", g.link.name), "leave it out")
	g.err.onLink = true
	return c
}

// extension tests what the kernel knows of a packet.
func extension(n bpf.Extension, v uint32) *cond {
	return &cond{code: []bpf.Instruction{bpf.LoadExtension{Num: n}}, jump: bpf.JumpEqual, val: v}
}

// vlan tests for a VLAN tag, and has all that follows look behind it.
func (x *simple) vlan(g *generator) *cond {
	switch {
	case g.labels > 0:
		return g.fail(x.span, "behind mpls no VLAN tag can be told", "put vlan before mpls")
	case !g.isEthernet():
		return g.noSupport(x.span, "VLAN tags")
	case x.number != nil && x.number.value > 0x0fff:
		return g.fail(x.number.span, fmt.Sprintf("%d is no VLAN", x.number.value), "VLANs go up to 4095")
	}
	tagged := or(g.carries(x.span, etherVLAN), g.carries(x.span, etherQinQ), g.carries(x.span, etherOldQinQ))
	id := always
	if x.number != nil {
		id = masked(g.fromPayload, 0, 2, x.number.value, 0x0fff)
	}
	g.vlans++
	if g.live && g.vlans == 1 && g.linkAt == 0 {
		return x.liveVLAN(g, tagged, id)
	}
	g.typeAt += 4
	g.payload += 4
	return and(tagged, id)
}

// liveVLAN is for the outer tag of a live frame: the kernel has mostly taken it
// out of the data and tells it beside. Where it is in the data all the same, what
// is behind it is 4 bytes further.
func (x *simple) liveVLAN(g *generator, tagged, id *cond) *cond {
	beside := extension(bpf.ExtVLANTagPresent, 1)
	first := tagged
	for first.op != opTest {
		first = first.a
	}
	first.code = append([]bpf.Instruction{
		bpf.LoadConstant{Dst: bpf.RegA, Val: 4},
		bpf.StoreScratch{Src: bpf.RegA, N: shiftSlot},
	}, first.code...)
	g.shifted = true
	is := or(beside, tagged)
	if x.number == nil {
		return is
	}
	told := extension(bpf.ExtVLANTag, x.number.value)
	told.code = append(told.code, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x0fff})
	return and(is, or(and(beside, told), and(invert(beside), id)))
}

// mpls tests for a label, and has all that follows look behind it.
func (x *simple) mpls(g *generator) *cond {
	var is *cond
	switch {
	case g.labels > 0:
		const bottom = ^uint32(1) // of the label before
		is = masked(g.fromNetwork, bottom, 1, 0, 1)
	case g.isEthernet(), g.link.dlt == "C_HDLC":
		is = g.carries(x.span, etherMPLS)
	case g.link.kind == byPPP && g.link.dlt != "PPP_SERIAL" && g.link.dlt != "PPP_ETHER" && g.link.dlt != "PPP_PPPD":
		const pppMPLS = 0x0281
		is = g.carries(x.span, pppMPLS)
	default:
		return g.noSupport(x.span, "MPLS labels that can be told")
	}
	if x.number != nil {
		if x.number.value > 0xfffff {
			return g.fail(x.number.span, fmt.Sprintf("%d is no MPLS label", x.number.value), "labels go up to 1048575")
		}
		is = and(is, masked(g.fromNetwork, 0, 4, x.number.value<<12, 0xfffff000))
	}
	g.network += 4
	g.labels++
	return is
}

// pppoe tests for a PPPoE session, and has all that follows look at the PPP frame
// in it.
func (x *simple) pppoe(g *generator) *cond {
	is := g.carries(x.span, etherPPPoES)
	if x.number != nil {
		if x.number.value > 0xffff {
			return g.fail(x.number.span, fmt.Sprintf("%d is no PPPoE session", x.number.value), "sessions go up to 65535")
		}
		is = and(is, masked(g.fromNetwork, 0, 4, x.number.value, 0xffff))
	}
	const header = 6
	g.linkAt, g.linkMove = g.payload+g.network+header, g.shifted
	g.link, g.typeAt, g.payload, g.network = &pppInEthernet, g.linkAt, g.linkAt+2, 0
	return is
}
