package oddity

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// layer is a header, or several, that is put around a packet. arg is what
// stands behind the name's colon in `over`.
type layer struct {
	name string
	doc  string
	put  func(arg string, p packet) []packet
}

// layers is the list of all: IP, what goes between IP and TCP, tunnels, what
// goes between IP and the link, link layers.
var layers = []layer{
	{"ip4", "IPv4; arg opts: with Router Alert", ip4},
	{"ip6", "IPv6", ip6},
	{"hopbyhop", "IPv6 Hop-by-Hop Options", extension(0)},
	{"destopts", "IPv6 Destination Options", extension(60)},
	{"routing", "IPv6 Routing header, no segments left", extension(43)},
	{"frag", "IP fragments of arg octets; arg N:turned: the last one first", fragments},

	{"gre", "GRE; arg key, seq or all", gre},
	{"nvgre", "GRE with a key for Ethernet", front("\x20\x00\x65\x58\x00\x00\x2a\x01", ofIP|47)},
	{"erspan", "ERSPAN II", front("\x10\x00\x88\xbe\x00\x00\x00\x01\x10\x05\x08\x64\x00\x00\x00\x00", ofIP|47)},
	{"etherip", "EtherIP", front("\x30\x00", ofIP|97)},
	{"udp", "UDP to port arg", udp},
	{"vxlan", "VXLAN", over(4789, "\x08\x00\x00\x00\x00\x00\x2a\x00")},
	{"vxlangpe", "VXLAN-GPE of IPv4", over(4790, "\x0c\x00\x00\x01\x00\x00\x2a\x00")},
	{"geneve", "GENEVE with an option", geneve},
	{"gtp", "GTP-U", gtp},
	{"teredo", "Teredo", over(3544, "")},
	{"ayiya", "AYIYA", over(5072, "\x41\x52\x11\x29"+strings.Repeat("\x00", 40))},
	{"l2tp", "L2TP with PPP of IPv4", over(1701, "\x00\x02\x00\x07\x00\x09\xff\x03\x00\x21")},
	{"mplsudp", "MPLS in UDP", over(6635, "")},
	{"tzsp", "TZSP of Ethernet", over(37008, "\x01\x00\x00\x01\x01")},
	{"capwap", "CAPWAP data of Ethernet", over(5247, "\x00\x10\x02\x00\x00\x00\x00\x00")},

	{"vlan", "802.1Q tag of VLAN arg", tag(0x8100)},
	{"svlan", "802.1ad tag of VLAN arg", tag(0x88a8)},
	{"mpls", "MPLS label arg", mpls},
	{"pppoe", "PPPoE session", pppoe},
	{"pbb", "provider backbone bridge", front("\x00\x00\x30\x39", 0x88e7)},
	{"metadata", "Cisco MetaData", typed("\x01\x01\x00\x01\x00\x07", 0x8909)},
	{"hsr", "HSR tag", typed("\x00\x50\x00\x01", 0x892f)},
	{"vntag", "VNTag", typed("\x00\x01\x00\x02", 0x8926)},

	{"ether", "Ethernet; arg pad: to 60 octets; fcs: with a check sequence", ethernet},
	{"llc", "Ethernet with 802.2 SNAP", llc},
	{"null", "BSD loopback", family(0, true)},
	{"loop", "OpenBSD loopback", family(108, false)},
	{"raw", "raw IP", front("", ofLink|101)},
	{"rawbsd", "raw IP by its old number", front("", ofLink|12)},
	{"ipv4", "IPv4 as the link", front("", ofLink|228)},
	{"ipv6", "IPv6 as the link", front("", ofLink|229)},
	{"cooked", "Linux cooked v1", typed("\x00\x00\x00\x01\x00\x06\x02\x00\x00\x00\x00\x01\x00\x00", ofLink|113)},
	{"cooked2", "Linux cooked v2", cooked2},
	{"ppp", "PPP", pppLink("\xff\x03", 9)},
	{"pppserial", "PPP with HDLC framing", pppLink("\xff\x03", 50)},
	{"pppdir", "PPP with direction", pppLink("\x01\xff\x03", 204)},
	{"chdlc", "Cisco HDLC", typed("\x0f\x00", ofLink|104)},
	{"frelay", "Frame Relay with SNAP", typed("\x18\x41\x03\x00\x80\x00\x00\x00", ofLink|107)},
	{"fddi", "FDDI", typed("\x50"+macs+snap, ofLink|10)},
	{"tokenring", "Token Ring", typed("\x10\x40"+macs+snap, ofLink|6)},
	{"dot11", "802.11 data frame", typed(dot11+snap, ofLink|105)},
	{"radiotap", "802.11 with radiotap", typed("\x00\x00\x08\x00\x00\x00\x00\x00"+dot11+snap, ofLink|127)},
	{"pktap", "PKTAP of Ethernet", pktap},
	{"nflog", "NFLOG", nflog},
	{"ipoib", "IP over InfiniBand", ipoib},
	{"juniper", "Juniper Ethernet", juniper},
}

const (
	macs  = "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02"
	snap  = "\xaa\xaa\x03\x00\x00\x00"
	dot11 = "\x08\x02\x00\x00" + macs + "\x02\x00\x00\x00\x00\x03\x00\x00"
)

// spec is one word of `over`.
type spec struct {
	layer *layer
	arg   string
}

// parseOver reads the words of `over`.
func parseOver(words []string) (list []spec, err error) {
	for _, w := range words {
		name, arg, _ := strings.Cut(w, ":")
		i := slices.IndexFunc(layers, func(l layer) bool { return l.name == name })
		if i < 0 {
			return nil, fmt.Errorf("over: no layer %q", name)
		}
		list = append(list, spec{&layers[i], arg})
	}
	return list, nil
}

// isV6 reports whether the innermost IP header is IPv6's.
func isV6(list []spec) bool {
	for _, s := range list {
		if s.layer.name == "ip4" || s.layer.name == "ip6" {
			return s.layer.name == "ip6"
		}
	}
	return false
}

// wrap puts all headers around a packet. The result is of a link type, in as
// many frames as there are fragments.
func wrap(list []spec, p packet) []packet {
	all := []packet{p}
	for _, s := range list {
		var next []packet
		for _, p := range all {
			next = append(next, s.layer.put(s.arg, p)...)
		}
		all = next
	}
	return all
}

func (p packet) with(head string, kind int) []packet {
	p.data = append([]byte(head), p.data...)
	p.kind = kind
	return []packet{p}
}

// front is a layer whose header says nothing of what follows.
func front(head string, kind int) func(string, packet) []packet {
	return func(_ string, p packet) []packet { return p.with(head, kind) }
}

// typed is a layer whose header ends in the ethertype of what follows.
func typed(head string, kind int) func(string, packet) []packet {
	return func(_ string, p packet) []packet { return p.with(head+p.ethertype(), kind) }
}

func (p packet) ethertype() string { return u16(p.kind) }

func u16(n int) string { return string([]byte{byte(n >> 8), byte(n)}) }
func u32(n int) string { return u16(n>>16) + u16(n) }

// ipProtocol is the protocol number of what an IP header is put around.
func (p packet) ipProtocol() byte {
	switch p.kind {
	case kindIPv4:
		return 4
	case kindIPv6:
		return 41
	case 0x8847:
		return 137
	}
	return byte(p.kind)
}

func ip4(arg string, p packet) []packet {
	b := make([]byte, 20)
	b[0], b[8], b[9] = 0x45, 64, p.ipProtocol()
	copy(b[12:], "\xc0\x00\x02\x01\xc0\x00\x02\x02") // a tunnel's ends
	if p.backward {
		b[15], b[19] = 2, 1
	}
	if !p.inner {
		copy(b[12:], p.src[12:])
		copy(b[16:], p.dst[12:])
		b[8] = p.ttl
		be.PutUint16(b[4:], p.id)
		if p.df {
			b[6] = 0x40
		}
	}
	if arg == "opts" {
		b[0]++
		b = append(b, 0x94, 4, 0, 0) // Router Alert, RFC 2113
	}
	be.PutUint16(b[2:], uint16(len(b)+len(p.data)))
	be.PutUint16(b[10:], checksum(0, b))
	p.inner = true
	return p.with(string(b), kindIPv4)
}

func ip6(_ string, p packet) []packet {
	b := make([]byte, 40)
	b[0], b[6], b[7] = 0x60, p.ipProtocol(), 64
	be.PutUint16(b[4:], uint16(len(p.data)))
	copy(b[8:], "\x20\x01\x0d\xb8")
	copy(b[24:], "\x20\x01\x0d\xb8")
	b[23], b[39] = 1, 2
	if p.backward {
		b[23], b[39] = 2, 1
	}
	if !p.inner {
		copy(b[8:], v6(p.src))
		copy(b[24:], v6(p.dst))
		b[7] = p.ttl
	}
	p.inner = true
	return p.with(string(b), kindIPv6)
}

// extension is an IPv6 extension header of 8 octets, padded.
func extension(number int) func(string, packet) []packet {
	return func(_ string, p packet) []packet {
		body := "\x01\x04\x00\x00\x00\x00"
		if number == 43 {
			body = "\x00\x00\x00\x00\x00\x00"
		}
		return p.with(string(p.ipProtocol())+"\x00"+body, ofIP|number)
	}
}

// fragments cuts the IP packet's payload.
func fragments(arg string, p packet) (all []packet) {
	size, turned, _ := strings.Cut(arg, ":")
	n, _ := strconv.Atoi(size)
	head := 20
	if p.kind == kindIPv6 {
		head = 40
	}
	if n <= 0 || len(p.data) <= head+n {
		return []packet{p}
	}
	for from := head; from < len(p.data); from += n {
		end := min(from+n, len(p.data))
		f := p
		f.data = fragment(p.data[:head], p.data[from:end], from-head, end < len(p.data))
		all = append(all, f)
	}
	if turned != "" {
		slices.Reverse(all)
	}
	return all
}

func fragment(head, part []byte, offset int, more bool) []byte {
	b := slices.Clone(head)
	if len(head) == 20 {
		word := uint16(offset / 8)
		if more {
			word |= 0x2000
		}
		be.PutUint16(b[2:], uint16(20+len(part)))
		be.PutUint16(b[6:], word)
		be.PutUint16(b[10:], 0)
		be.PutUint16(b[10:], checksum(0, b))
		return append(b, part...)
	}
	word := uint16(offset)
	if more {
		word |= 1
	}
	x := []byte{b[6], 0, byte(word >> 8), byte(word), 0, 0, part[0], byte(len(head))}
	x[6] = 7 // one identification: a script has few packets in fragments at a time
	b[6] = 44
	be.PutUint16(b[4:], uint16(8+len(part)))
	return append(append(b, x...), part...)
}

func gre(arg string, p packet) []packet {
	head := map[string]string{"": "\x00\x00", "key": "\x20\x00", "seq": "\x10\x00", "all": "\x30\x00"}[arg] + p.ethertype()
	if arg == "key" || arg == "all" {
		head += u32(77)
	}
	if arg == "seq" || arg == "all" {
		head += u32(1)
	}
	return p.with(head, ofIP|47)
}

func udp(arg string, p packet) []packet {
	port, _ := strconv.Atoi(arg)
	return p.with(u16(40000)+u16(port)+u16(8+len(p.data))+"\x00\x00", kindUDP)
}

// over is a tunnel in UDP.
func over(port int, head string) func(string, packet) []packet {
	return func(_ string, p packet) []packet {
		return udp(strconv.Itoa(port), p.with(head, 0)[0])
	}
}

func geneve(_ string, p packet) []packet {
	return over(6081, "\x02\x00"+p.ethertype()+"\x00\x00\x2a\x00\x01\x08\x80\x01\x00\x00\x00\x00")("", p)
}

func gtp(_ string, p packet) []packet {
	return over(2152, "\x30\xff"+u16(len(p.data))+u32(0x1234))("", p)
}

func tag(kind int) func(string, packet) []packet {
	return func(arg string, p packet) []packet {
		id, _ := strconv.Atoi(arg)
		return p.with(u16(id)+p.ethertype(), kind)
	}
}

func mpls(arg string, p packet) []packet {
	label, _ := strconv.Atoi(arg)
	bottom := 1
	if p.kind == 0x8847 {
		bottom = 0
	}
	return p.with(u32(label<<12|bottom<<8|64), 0x8847)
}

// pppNumber is the PPP protocol of IP.
func (p packet) pppNumber() string {
	switch p.kind {
	case kindIPv6:
		return "\x00\x57"
	case 0x8847:
		return "\x02\x81"
	}
	return "\x00\x21"
}

func pppoe(_ string, p packet) []packet {
	return p.with("\x11\x00\x00\x01"+u16(2+len(p.data))+p.pppNumber(), 0x8864)
}

func pppLink(head string, number int) func(string, packet) []packet {
	return func(_ string, p packet) []packet { return p.with(head+p.pppNumber(), ofLink|number) }
}

// ethernet is a frame, on the wire or in a tunnel.
func ethernet(arg string, p packet) []packet {
	head := macs + p.ethertype()
	if p.backward {
		head = macs[6:] + macs[:6] + p.ethertype()
	}
	q := p.with(head, kindEther)[0]
	if arg == "pad" && len(q.data) < 60 {
		q.data = append(q.data, make([]byte, 60-len(q.data))...)
	}
	if arg == "fcs" {
		q.data = append(q.data, 0xde, 0xad, 0xbe, 0xef)
	}
	return []packet{q}
}

func llc(_ string, p packet) []packet {
	return p.with(macs+u16(8+len(p.data))+snap+p.ethertype(), kindEther)
}

// family is a link whose header is the address family in the capturing
// machine's byte order, or the network's.
func family(number int, little bool) func(string, packet) []packet {
	return func(_ string, p packet) []packet {
		af := byte(2)
		if p.kind == kindIPv6 {
			af = 24
		}
		head := string([]byte{0, 0, 0, af})
		if little {
			head = string([]byte{af, 0, 0, 0})
		}
		return p.with(head, ofLink|number)
	}
}

func cooked2(_ string, p packet) []packet {
	return p.with(p.ethertype()+"\x00\x00\x00\x00\x00\x03\x00\x01\x00\x06"+macs[:6]+"\x00\x00", ofLink|276)
}

// asEther puts the Ethernet header on if it is not.
func asEther(p packet) packet {
	if p.kind != kindEther {
		p = ethernet("", p)[0]
	}
	return p
}

func pktap(_ string, p packet) []packet {
	name := "en0" + strings.Repeat("\x00", 21)
	return asEther(p).with("\x6c\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00"+name+strings.Repeat("\x00", 72), ofLink|258)
}

func nflog(_ string, p packet) []packet {
	af := "\x02"
	if p.kind == kindIPv6 {
		af = "\x0a"
	}
	n := 4 + len(p.data)
	return p.with(af+"\x00\x00\x07\x08\x00\x01\x00"+p.ethertype()+"\x01\x00"+string([]byte{byte(n), byte(n >> 8)})+"\x09\x00", ofLink|239)
}

func ipoib(_ string, p packet) []packet {
	return p.with(strings.Repeat("\x00", 40)+p.ethertype()+"\x00\x00", ofLink|242)
}

func juniper(_ string, p packet) []packet {
	return asEther(p).with("MGC\x81\x00\x06\x02\x01\x00\x03\x01\x0e", ofLink|178)
}
