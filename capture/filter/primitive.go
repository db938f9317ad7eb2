package filter

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/bpf"
)

// gen tests an address, a port or a protocol.
func (x *primitive) gen(g *generator) *cond {
	switch x.q.kind {
	case portKind, portRangeKind:
		return x.port(g)
	case protoKind:
		return x.protocol(g)
	}
	switch x.id.kind {
	case tokenIPv6:
		return x.address6(g)
	case tokenMAC:
		return x.mac(g)
	case tokenName:
		return x.hostName(g)
	}
	return x.address4(g)
}

// hostName refuses names: what they stand for changes, and looking them up tells
// others what is being looked at.
func (x *primitive) hostName(g *generator) *cond {
	name := x.id.text
	switch {
	case x.q.kind == netKind:
		return g.fail(x.id.span, fmt.Sprintf("%q is no network", name), "network names are not looked up: give the address, as in net 10.0.0.0/8")
	case x.q.proto == "ether":
		return g.fail(x.id.span, fmt.Sprintf("%q is no MAC address", name), "names are not looked up: give the address, as in ether host 00:11:22:33:44:55")
	case strings.Trim(name, "0123456789.") == "":
		return g.fail(x.id.span, fmt.Sprintf("%q is no address", name), "give four numbers up to 255, as in 10.0.0.1")
	}
	return g.fail(x.id.span, fmt.Sprintf("%q is no address", name), "host names are not looked up: give the address")
}

// notApplicable is the error for a protocol that has no such thing.
func (x *primitive) notApplicable(g *generator, what string) *cond {
	return g.fail(x.q.to(x.id.span), fmt.Sprintf("%q does not go with %s", x.q.proto, what),
		fmt.Sprintf(`join them by "and": %s and %s %s`, x.q.proto, x.q.kind, x.id.text))
}

// address4 tests IPv4 addresses, and where no protocol is named those in ARP and
// RARP too.
func (x *primitive) address4(g *generator) *cond {
	addr, mask, ok := x.network4(g)
	if !ok {
		return never
	}
	where := func(proto, source, destination uint32) *cond {
		at := func(off uint32) *cond {
			return and(g.carries(x.id.span, proto), masked(g.fromNetwork, off, 4, addr, mask))
		}
		return either(x.q.dir, at(source), at(destination))
	}
	ip := func() *cond { return where(etherIPv4, 12, 16) }
	arp := func() *cond { return where(etherARP, 14, 24) }
	rarp := func() *cond { return where(etherRARP, 14, 24) }
	switch x.q.proto {
	case "":
		if g.labels > 0 {
			return ip()
		}
		return or(ip(), arp(), rarp())
	case "ip":
		return ip()
	case "arp":
		return arp()
	case "rarp":
		return rarp()
	case "ip6":
		return g.fail(x.q.to(x.id.span), "an IPv4 address cannot be of ip6", "leave ip6 out, or give an IPv6 address")
	case "decnet", "atalk", "aarp":
		return g.beyond(x.q.to(x.id.span), fmt.Sprintf("%s addresses are not in the built-in filter language", x.q.proto), "")
	case "ether":
		return g.fail(x.id.span, fmt.Sprintf("%q is no MAC address", x.id.text), "give one as in 00:11:22:33:44:55, or leave ether out")
	}
	return x.notApplicable(g, "an address")
}

// network4 reads the address with its mask. One of fewer than four numbers is a
// network: 10.1 is 10.1.0.0/16.
func (x *primitive) network4(g *generator) (addr, mask uint32, ok bool) {
	addr, bits, ok := x.number4(g)
	if !ok {
		return 0, 0, false
	}
	mask = uint32(uint64(0xffffffff) << (32 - bits))
	whole := x.id.span
	switch {
	case x.prefix != nil:
		if x.prefix.value > 32 {
			g.fail(x.prefix.span, "the prefix is longer than an IPv4 address", "give up to 32 bits")
			return 0, 0, false
		}
		mask = uint32(uint64(0xffffffff) << (32 - x.prefix.value))
		whole = whole.to(x.prefix.span)
	case x.mask != nil:
		m, n, ok := dotted(x.mask.text)
		if !ok {
			g.fail(x.mask.span, fmt.Sprintf("%q is no mask", x.mask.text), "give one as in 255.255.255.0")
			return 0, 0, false
		}
		mask = m << (32 - n)
		whole = whole.to(x.mask.span)
	default:
		return addr, mask, true
	}
	return addr, mask, x.maskFits(g, whole, addr&^mask == 0, address4(addr&mask))
}

func address4(n uint32) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b).String()
}

// maskFits checks what holds for networks of both kinds: that it is one, and
// without bits behind the mask.
func (x *primitive) maskFits(g *generator, whole span, zero bool, network string) bool {
	switch {
	case x.q.kind != netKind:
		g.fail(whole, "a network is no host", `write "net" instead of "host"`)
	case !zero:
		g.fail(whole, "the address has bits set that the mask leaves out", "give the network's first address: "+network)
	default:
		return true
	}
	return false
}

// number4 reads the address itself. `net 10` is short for net 10.0.0.0/8.
func (x *primitive) number4(g *generator) (addr uint32, bits int, ok bool) {
	if x.id.kind == tokenIPv4 {
		n, bits, ok := dotted(x.id.text)
		if !ok {
			g.fail(x.id.span, fmt.Sprintf("%q is no IPv4 address", x.id.text), "give four numbers up to 255, as in 10.0.0.1")
			return 0, 0, false
		}
		return n << (32 - bits), bits, true
	}
	n, bits := x.id.value, 32
	if x.q.kind == netKind {
		for n != 0 && n>>24 == 0 {
			n, bits = n<<8, bits-8
		}
	}
	return n, bits, true
}

// dotted reads one to four numbers between dots, and how many bits they are.
func dotted(s string) (n uint32, bits int, ok bool) {
	for _, part := range strings.Split(s, ".") {
		v, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return 0, 0, false
		}
		n, bits = n<<8|uint32(v), bits+8
	}
	return n, bits, true
}

// address6 tests IPv6 addresses.
func (x *primitive) address6(g *generator) *cond {
	network, ok := x.prefixOf()
	if !ok {
		return g.fail(x.prefix.span, "the prefix is longer than an IPv6 address", "give up to 128 bits")
	}
	if x.prefix != nil && network.Bits() < 128 &&
		!x.maskFits(g, x.id.to(x.prefix.span), network == network.Masked(), network.Masked().Addr().String()) {
		return never
	}
	switch x.q.proto {
	case "", "ip6":
	case "ip", "arp", "rarp":
		return g.fail(x.q.to(x.id.span), fmt.Sprintf("an IPv6 address cannot be of %s", x.q.proto), fmt.Sprintf("leave %s out, or give an IPv4 address", x.q.proto))
	case "ether":
		return g.fail(x.id.span, fmt.Sprintf("%q is no MAC address", x.id.text), "give one as in 00:11:22:33:44:55, or leave ether out")
	default:
		return x.notApplicable(g, "an address")
	}
	b := network.Addr().As16()
	at := func(off uint32) *cond {
		all := g.carries(x.id.span, etherIPv6)
		for word := range uint32(4) {
			ones := min(max(network.Bits()-32*int(word), 0), 32)
			mask := uint32(uint64(0xffffffff) << (32 - ones))
			all = and(all, masked(g.fromNetwork, off+4*word, 4, binary.BigEndian.Uint32(b[4*word:]), mask))
		}
		return all
	}
	return either(x.q.dir, at(8), at(24))
}

// mac tests the addresses of an Ethernet header.
func (x *primitive) mac(g *generator) *cond {
	switch {
	case x.q.proto != "ether" || x.q.kind == netKind:
		return g.fail(x.q.to(x.id.span), fmt.Sprintf("%q is a MAC address", x.id.text), "write: ether host "+x.id.text)
	case !g.isEthernet():
		return g.noSupport(x.q.to(x.id.span), "MAC addresses")
	}
	var b []byte
	text := strings.NewReplacer(":", " ", "-", " ", ".", " ").Replace(x.id.text)
	for _, part := range strings.Fields(text) {
		for len(part) > 2 { // 0011.2233.4455 and 001122334455
			v, _ := strconv.ParseUint(part[:2], 16, 8)
			b, part = append(b, byte(v)), part[2:]
		}
		v, _ := strconv.ParseUint(part, 16, 8)
		b = append(b, byte(v))
	}
	return either(x.q.dir, bytesEqual(g.fromLink, 6, b), bytesEqual(g.fromLink, 0, b))
}

// noSupport is the error for what a link type's frames do not have.
func (g *generator) noSupport(s span, what string) *cond {
	c := g.beyond(s, fmt.Sprintf("%s frames have no %s", g.link.name, what), "leave this condition out for such captures")
	g.err.onLink = true
	return c
}

// port tests ports of TCP, UDP and SCTP over IPv6, or IPv4 but for later fragments.
func (x *primitive) port(g *generator) *cond {
	first, last, protos, ok := x.ports(g)
	if !ok {
		return never
	}
	test := func(from loader) *cond {
		at := func(off uint32) *cond {
			if x.q.kind == portKind {
				return equal(from, off, 2, first)
			}
			return and(compare(from, off, 2, bpf.JumpGreaterOrEqual, first), invert(compare(from, off, 2, bpf.JumpGreaterThan, last)))
		}
		return either(x.q.dir, at(0), at(2))
	}
	const header6 = 40
	behind6 := func(off uint32, size int) []bpf.Instruction { return g.fromNetwork(header6+off, size) }
	four, six := never, never
	for _, n := range protos {
		six = or(six, and(equal(g.fromNetwork, 6, 1, n), test(behind6)))
		four = or(four, and(equal(g.fromNetwork, 9, 1, n), g.firstFragment(), test(g.fromTransport)))
	}
	return or(and(g.carries(x.id.span, etherIPv6), six), and(g.carries(x.id.span, etherIPv4), four))
}

// firstFragment tests that an IPv4 packet is no later fragment.
func (g *generator) firstFragment() *cond {
	return invert(compare(g.fromNetwork, 6, 2, bpf.JumpBitsSet, 0x1fff))
}

// ports reads the port or range, and the protocols that it may be of in the order
// in which libpcap tests them.
func (x *primitive) ports(g *generator) (first, last uint32, protos []uint32, ok bool) {
	on, known := portProtocols[x.q.proto]
	switch {
	case !known:
		x.notApplicable(g, "a port")
		return 0, 0, nil, false
	case x.id.kind == tokenNumber:
		first, last, ok = x.id.value, x.id.value, x.portFits(g, uint64(x.id.value))
	case x.id.kind == tokenName && x.q.kind == portRangeKind && strings.Contains(x.id.text, "-"):
		first, last, on, ok = x.portRange(g, on)
	case x.id.kind == tokenName && x.q.kind == portRangeKind:
		g.fail(x.id.span, fmt.Sprintf("%q is no range of ports", x.id.text), "give two ports, as in portrange 8000-8080, or write: port "+x.id.text)
		return 0, 0, nil, false
	case x.id.kind == tokenName:
		first, on, ok = x.service(g, x.id.text, on)
		last = first
	default:
		g.fail(x.id.span, fmt.Sprintf("%q is no port", x.id.text), "give a number up to 65535, or a service as in http")
		return 0, 0, nil, false
	}
	if first > last {
		first, last = last, first
	}
	return first, last, on, ok
}

// portProtocols are the protocols that have ports, by their qualifier.
var portProtocols = map[string][]uint32{"": {protoTCP, protoUDP, protoSCTP}, "tcp": {protoTCP}, "udp": {protoUDP}, "sctp": {protoSCTP}}

func (x *primitive) portFits(g *generator, n uint64) bool {
	if n > 65535 {
		g.fail(x.id.span, fmt.Sprintf("%d is no port", n), "ports go up to 65535")
	}
	return n <= 65535
}

// portRange reads 8000-8080, or the names of two services.
func (x *primitive) portRange(g *generator, on []uint32) (first, last uint32, protos []uint32, ok bool) {
	a, b, _ := strings.Cut(x.id.text, "-")
	n, err1 := strconv.ParseUint(a, 10, 32)
	m, err2 := strconv.ParseUint(b, 10, 32)
	if err1 == nil && err2 == nil {
		return uint32(n), uint32(m), on, x.portFits(g, n) && x.portFits(g, m)
	}
	first, on1, ok1 := x.endOfRange(g, a, on)
	if !ok1 {
		return 0, 0, nil, false
	}
	last, on2, ok2 := x.endOfRange(g, b, on)
	if !ok2 {
		return 0, 0, nil, false
	}
	if len(on1) != 1 || len(on2) != 1 || on1[0] != on2[0] {
		on1 = on
	}
	return first, last, on1, true
}

// endOfRange reads one end of a range, of which the other is no number.
func (x *primitive) endOfRange(g *generator, text string, on []uint32) (uint32, []uint32, bool) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return uint32(n), on, x.portFits(g, n)
	}
	return x.service(g, text, on)
}

// service looks up a name. Of one that only TCP or UDP has, only that is meant.
func (x *primitive) service(g *generator, name string, on []uint32) (uint32, []uint32, bool) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil { // a number in a word, as in \80
		return uint32(n), on, x.portFits(g, n)
	}
	s, ok := services[strings.TrimPrefix(name, `\`)]
	if !ok {
		remedy := "give its number"
		if _, _, isRange := strings.Cut(name, "-"); isRange && strings.Trim(name, "0123456789-") == "" {
			remedy = "for a range write: portrange " + name
		}
		g.beyond(x.id.span, fmt.Sprintf("%q is no service that is known here", name), remedy)
		return 0, nil, false
	}
	only := map[transports]uint32{onTCP: protoTCP, onUDP: protoUDP}[s.on]
	switch {
	case only == 0:
		return s.port, on, true
	case len(on) > 1 || on[0] == only:
		return s.port, []uint32{only}, true
	}
	proto := map[uint32]string{protoTCP: "tcp", protoUDP: "udp"}[only]
	g.fail(x.q.to(x.id.span), fmt.Sprintf("%q is a service of %s, not of %s", name, proto, x.q.proto), fmt.Sprintf("write: %s port %d", x.q.proto, s.port))
	return 0, nil, false
}

// protocol tests the number of a protocol.
func (x *primitive) protocol(g *generator) *cond {
	names := ipNames
	switch x.q.proto {
	case "", "ip", "ip6":
	case "ether":
		names = etherNames
	default:
		return g.fail(x.q.to(x.id.span), fmt.Sprintf("%q carries no protocol with a number", x.q.proto), `write "proto", "ip proto", "ip6 proto" or "ether proto"`)
	}
	n := x.id.value
	switch x.id.kind {
	case tokenNumber:
	case tokenName:
		var ok bool
		if n, ok = names[x.id.name]; !ok {
			return g.beyond(x.id.span, fmt.Sprintf("%q is no protocol that is known here", x.id.name), "give its number")
		}
	default:
		return g.fail(x.id.span, fmt.Sprintf("%q is no protocol", x.id.text), "give its number or its name")
	}
	switch x.q.proto {
	case "ether":
		return g.carries(x.id.span, n)
	case "ip":
		return g.inIPv4(x.id.span, n)
	case "ip6":
		return g.inIPv6(x.id.span, n)
	}
	return or(g.inIPv4(x.id.span, n), g.inIPv6(x.id.span, n))
}

func (g *generator) inIPv4(s span, n uint32) *cond {
	return and(g.carries(s, etherIPv4), equal(g.fromNetwork, 9, 1, n))
}

// inIPv6 looks at the next header, and behind a fragment header.
func (g *generator) inIPv6(s span, n uint32) *cond {
	return and(g.carries(s, etherIPv6), or(
		equal(g.fromNetwork, 6, 1, n),
		and(equal(g.fromNetwork, 6, 1, protoFragment), equal(g.fromNetwork, 40, 1, n))))
}

// gen tests for a protocol.
func (x *abbreviation) gen(g *generator) *cond {
	if x.proto == "ether" {
		return g.fail(x.span, "every frame is of the link layer", `leave it out, or go on: "ether host …", "ether proto …", "ether[0]"`)
	}
	return g.proto(x.span, x.proto)
}

// proto tests for a protocol by its keyword.
func (g *generator) proto(s span, name string) *cond {
	p := protocols[name]
	switch p.layer {
	case layerType:
		return g.carries(s, p.number)
	case layerIPv4:
		return g.inIPv4(s, p.number)
	case layerIPv6:
		return g.inIPv6(s, p.number)
	}
	return or(g.inIPv4(s, p.number), g.inIPv6(s, p.number))
}
