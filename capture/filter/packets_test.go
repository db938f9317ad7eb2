package filter

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

// sample is a packet that expressions are tried on.
type sample struct {
	name string
	data []byte
}

// payload is what a link header may carry.
type payload struct {
	name  string
	ether uint16 // 0: Ethernet only, and a whole frame
	data  []byte
}

func u16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func u32(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

func addr(s string) []byte { return netip.MustParseAddr(s).AsSlice() }

// v4 is an IPv4 packet; flags are those and the fragment offset.
func v4(src, dst string, proto byte, ttl byte, flags int, options, data []byte) []byte {
	total := 20 + len(options) + len(data)
	return join([]byte{0x40 | byte(5+len(options)/4), 0}, u16(total), u16(7), u16(flags), []byte{ttl, proto}, u16(0), addr(src), addr(dst), options, data)
}

func v6(src, dst string, next byte, data []byte) []byte {
	return join([]byte{0x60, 0, 0, 0}, u16(len(data)), []byte{next, 64}, addr(src), addr(dst), data)
}

// segment is a TCP segment; options are whole words.
func segment(src, dst int, flags byte, options, data []byte) []byte {
	return join(u16(src), u16(dst), u32(0x80000001), u32(9), []byte{byte(5+len(options)/4) << 4, flags}, u16(512), u16(0), u16(0), options, data)
}

func datagram(src, dst int, data []byte) []byte {
	return join(u16(src), u16(dst), u16(8+len(data)), u16(0), data)
}

func arpPacket(op int, src, dst string) []byte {
	mac := []byte{0, 0x11, 0x22, 0x33, 0x44, 0x55}
	return join(u16(1), u16(0x0800), []byte{6, 4}, u16(op), mac, addr(src), make([]byte, 6), addr(dst))
}

const (
	a4, b4, c4 = "10.0.0.1", "10.0.0.2", "192.168.7.9"
	a6, b6     = "2001:db8::1", "2001:db8:8000::2"
)

// payloads4 are IPv4 packets.
func payloads4() []payload {
	get := []byte("GET / HTTP/1.1\r\n\r\n")
	nops := []byte{1, 1, 1, 1}
	var list []payload
	add := func(name string, data []byte) { list = append(list, payload{name, etherIPv4, data}) }
	add("syn", v4(a4, b4, 6, 64, 0x4000, nil, segment(40000, 80, 2, []byte{2, 4, 5, 180}, nil)))
	add("syn ack", v4(b4, a4, 6, 64, 0x4000, nil, segment(80, 40000, 18, nil, nil)))
	add("get", v4(a4, b4, 6, 64, 0x4000, nil, segment(40000, 80, 24, nil, get)))
	add("get with options", v4(a4, c4, 6, 63, 0x4000, join(nops, nops), segment(40001, 80, 24, nops, get)))
	add("https", v4(c4, a4, 6, 1, 0, nil, segment(443, 50000, 16, nil, make([]byte, 40))))
	add("ssh rst", v4(c4, b4, 6, 64, 0, nil, segment(22, 2222, 4, nil, nil)))
	add("fin to 8080", v4("1.2.3.4", "10.1.0.1", 6, 128, 0, nil, segment(8000, 8080, 17, nil, nil)))
	add("port to itself", v4(a4, a4, 6, 64, 0, nil, segment(80, 80, 2, nil, nil)))
	add("ports 0 and 65535", v4(a4, b4, 6, 64, 0, nil, segment(0, 65535, 0, nil, nil)))
	add("smtp", v4(b4, c4, 6, 65, 0, nil, segment(25, 21, 16, nil, []byte("220 "))))
	add("query", v4(a4, "8.8.8.8", 17, 64, 0, nil, datagram(5353, 53, make([]byte, 25))))
	add("answer", v4("8.8.8.8", a4, 17, 0, 0, nil, datagram(53, 5353, make([]byte, 90))))
	add("ntp", v4(b4, c4, 17, 64, 0, nil, datagram(123, 123, make([]byte, 48))))
	add("udp 80", v4(b4, c4, 17, 64, 0, nops, datagram(80, 443, nil)))
	add("udp 443", v4(b4, c4, 17, 64, 0, nil, datagram(6000, 443, nil)))
	add("first fragment", v4(a4, b4, 17, 64, 0x2000, nil, datagram(80, 8000, make([]byte, 16))))
	add("last fragment", v4(a4, b4, 17, 64, 3, nil, datagram(80, 80, make([]byte, 8))))
	add("tcp fragment", v4(a4, b4, 6, 64, 0x2010, nil, segment(80, 80, 2, nil, nil)))
	add("sctp", v4(a4, b4, 132, 64, 0, nil, join(u16(5060), u16(80), u32(1), u32(2), make([]byte, 4))))
	add("echo", v4(a4, b4, 1, 64, 0, nil, join([]byte{8, 0, 0, 0}, make([]byte, 20))))
	add("echo reply", v4(b4, a4, 1, 64, 0, nil, join([]byte{0, 0, 0, 0}, make([]byte, 20))))
	add("unreachable", v4(b4, a4, 1, 64, 0, nil, join([]byte{3, 1, 0, 0, 0, 0, 0, 0}, v4(a4, b4, 6, 64, 0, nil, segment(40000, 80, 2, nil, nil)[:8]))))
	add("igmp", v4(a4, "224.0.0.22", 2, 1, 0, nops, []byte{0x16, 0, 0, 0, 224, 0, 0, 22}))
	add("broadcast", v4("0.0.0.0", "255.255.255.255", 17, 64, 0, nil, datagram(68, 67, make([]byte, 30))))
	add("to nowhere", v4(a4, "0.0.0.0", 17, 64, 0, nil, datagram(1, 2, nil)))
	add("multicast", v4(a4, "239.1.2.3", 17, 64, 0, nil, datagram(1900, 1900, []byte{0, 0})))
	for _, proto := range []byte{9, 47, 50, 51, 103, 112, 4} {
		add(fmt.Sprint("protocol ", proto), v4(a4, b4, proto, 64, 0, nil, join(make([]byte, 4), v4(a4, b4, 6, 64, 0, nil, segment(80, 80, 2, nil, nil)))))
	}
	add("header length 0", join([]byte{0x40}, v4(a4, b4, 6, 64, 0, nil, segment(80, 80, 2, nil, nil))[1:]))
	add("version 5", join([]byte{0x55}, v4(a4, b4, 6, 64, 0, nil, segment(80, 80, 2, nil, nil))[1:]))
	return list
}

// payloads6 are IPv6 packets.
func payloads6() []payload {
	var list []payload
	add := func(name string, data []byte) { list = append(list, payload{name, etherIPv6, data}) }
	syn := segment(40000, 80, 2, nil, nil)
	add("syn6", v6(a6, b6, 6, syn))
	add("syn ack6", v6(b6, a6, 6, segment(80, 40000, 18, nil, nil)))
	add("https6", v6(a6, "fe80::1", 6, segment(443, 1023, 24, nil, make([]byte, 30))))
	add("query6", v6(a6, "2001:db8::2", 17, datagram(5353, 53, make([]byte, 20))))
	add("ntp6", v6(a6, b6, 17, datagram(123, 123, nil)))
	add("udp6 80", v6(a6, b6, 17, datagram(80, 8000, nil)))
	add("sctp6", v6(a6, b6, 132, join(u16(5060), u16(22), u32(1), u32(2))))
	add("echo6", v6(a6, b6, 58, []byte{128, 0, 0, 0, 0, 1, 0, 1}))
	add("solicit6", v6("fe80::1", "ff02::1:ff00:1", 58, join([]byte{135, 0, 0, 0, 0, 0, 0, 0}, addr(b6))))
	add("hop-by-hop6", v6(a6, b6, 0, join([]byte{6, 0, 1, 4, 0, 0, 0, 0}, syn)))
	add("fragment6", v6(a6, b6, 44, join([]byte{6, 0, 0, 1, 0, 0, 0, 9}, syn)))
	add("later fragment6", v6(a6, b6, 44, join([]byte{17, 0, 0, 16, 0, 0, 0, 9}, datagram(53, 53, nil))))
	add("fragment of icmp6", v6(a6, b6, 44, join([]byte{58, 0, 0, 1, 0, 0, 0, 9}, make([]byte, 8))))
	add("routing6", v6(a6, b6, 43, join([]byte{6, 0, 0, 0, 0, 0, 0, 0}, syn)))
	add("mapped6", v6("::ffff:10.0.0.1", a6, 6, segment(80, 8080, 16, nil, nil)))
	for _, next := range []byte{50, 51, 103, 112, 59} {
		add(fmt.Sprint("next header ", next), v6(a6, b6, next, make([]byte, 8)))
	}
	return list
}

// payloads are all that a link header with a type may carry.
func payloads() []payload {
	list := slices.Concat(payloads4(), payloads6())
	list = append(list,
		payload{"arp request", etherARP, arpPacket(1, a4, b4)},
		payload{"arp reply", etherARP, arpPacket(2, c4, a4)},
		payload{"rarp", etherRARP, arpPacket(3, a4, a4)})
	for _, t := range []uint16{0x6001, 0x6002, 0x6003, 0x6004, 0x6007, 0x809b, 0x80f3, 0x8137, 0x8863, 0x88cc, 0x9000, 0x0600} {
		list = append(list, payload{fmt.Sprintf("ethertype %04x", t), t, make([]byte, 30)})
	}
	return append(list, stacked()...)
}

// stacked are what has headers between the link's and IP's.
func stacked() []payload {
	p4, p6 := payloads4()[0].data, payloads6()[0].data
	other := v4("10.9.9.9", "10.9.9.8", 17, 64, 0, nil, datagram(80, 9, nil))
	tag := func(id int, t int, data []byte) []byte { return join(u16(id), u16(t), data) }
	label := func(n, bottom int, data []byte) []byte { return join(u32(n<<12|bottom<<8|64), data) }
	ppp := func(session int, proto int, data []byte) []byte {
		return join([]byte{0x11, 0}, u16(session), u16(len(data)+2), u16(proto), data)
	}
	return []payload{
		{"vlan 100", etherVLAN, tag(100, etherIPv4, p4)},
		{"vlan 100 with priority", etherVLAN, tag(0xe064, etherIPv6, p6)},
		{"vlan 0", etherVLAN, tag(0xa000, etherIPv4, p4)},
		{"vlan of udp", etherVLAN, tag(7, etherIPv4, other)},
		{"vlan of arp", etherVLAN, tag(100, etherARP, arpPacket(1, a4, b4))},
		{"qinq", etherQinQ, tag(100, etherVLAN, tag(200, etherIPv4, p4))},
		{"old qinq", etherOldQinQ, tag(200, etherVLAN, tag(100, etherIPv6, p6))},
		{"vlan of mpls", etherVLAN, tag(100, etherMPLS, label(100, 1, p4))},
		{"vlan of pppoe", etherVLAN, tag(5, etherPPPoES, ppp(17, 0x57, p6))},
		{"mpls", etherMPLS, label(100, 1, p4)},
		{"mpls of ip6", etherMPLS, label(3, 1, p6)},
		{"two labels", etherMPLS, label(100, 0, label(200, 1, p6))},
		{"two labels of ip", etherMPLS, label(16, 0, label(17, 1, p4))},
		{"multicast mpls", 0x8848, label(100, 1, p4)},
		{"pppoe", etherPPPoES, ppp(17, 0x21, p4)},
		{"pppoe of ip6", etherPPPoES, ppp(18, 0x57, p6)},
		{"pppoe lcp", etherPPPoES, ppp(17, 0xc021, make([]byte, 8))},
	}
}

var (
	macA, macB = []byte{0, 0x11, 0x22, 0x33, 0x44, 0x55}, []byte{0, 0x11, 0x22, 0x33, 0x44, 0x66}
	macAll     = []byte{255, 255, 255, 255, 255, 255}
)

// samples are the packets that the expressions are tried on, of one link type.
func samples(l *link) (list []sample) {
	add := func(name string, parts ...[]byte) { list = append(list, sample{name, join(parts...)}) }
	switch l.dlt {
	case "EN10MB":
		for i, p := range payloads() {
			add(p.name, [][]byte{macB, macA, macAll, {1, 0, 0x5e, 0, 0, 1}}[i%4], [][]byte{macA, macB}[i/4%2], u16(int(p.ether)), p.data)
		}
		for _, llc := range samples8022() {
			add(llc.name, macB, macA, u16(len(llc.data)), llc.data)
		}
	case "LINUX_SLL":
		for i, p := range payloads() {
			add(p.name, u16(i%5), u16(1), u16(6), macA, u16(0), u16(int(p.ether)), p.data)
		}
		for _, llc := range samples8022() {
			add(llc.name, u16(0), u16(1), u16(6), macA, u16(0), u16(4), llc.data)
		}
		add("raw 802.3", u16(0), u16(1), u16(6), macA, u16(0), u16(1), []byte{255, 255}, make([]byte, 20))
	case "LINUX_SLL2":
		for i, p := range payloads() {
			add(p.name, u16(int(p.ether)), u16(0), u32(i%4), u16(1), []byte{byte(i % 5), 6}, macA, u16(0), p.data)
		}
	case "RAW", "IPV4", "IPV6":
		for _, p := range slices.Concat(payloads4(), payloads6()) {
			add(p.name, p.data)
		}
	case "NULL", "LOOP":
		for _, p := range slices.Concat(payloads4(), payloads6()) {
			// Linux' families, as the tcpdump has them that is compared with.
			family := map[uint16]int{etherIPv4: 2, etherIPv6: 10}[p.ether]
			if l.dlt == "NULL" {
				family <<= 24
			}
			add(p.name, u32(family), p.data)
		}
		add("another family", u32(7<<24), payloads4()[0].data)
	case "C_HDLC":
		for _, p := range payloads() {
			add(p.name, []byte{0x0f, 0}, u16(int(p.ether)), p.data)
		}
	default:
		list = samplesPPP(l)
	}
	return list
}

// samples8022 are 802.2 frames: what stands behind the length.
func samples8022() []sample {
	snap := func(org, proto int, data []byte) []byte {
		return join([]byte{0xaa, 0xaa, 3, byte(org >> 16)}, u16(org), u16(proto), data)
	}
	rest := make([]byte, 20)
	return []sample{
		{"stp", join([]byte{0x42, 0x42, 3}, rest)},
		{"netbeui", join([]byte{0xf0, 0xf0, 3}, rest)},
		{"iso", join([]byte{0xfe, 0xfe, 3}, rest)},
		{"ip by 802.2", join([]byte{6, 6, 3}, payloads4()[0].data)},
		{"ipx by 802.2", join([]byte{0xe0, 0xe0, 3}, rest)},
		{"ipx by raw 802.3", join([]byte{255, 255}, rest)},
		{"ipx by snap", snap(0, etherIPX, rest)},
		{"appletalk by snap", snap(0x080007, etherAppleTalk, rest)},
		{"aarp by snap", snap(0, etherAARP, rest)},
		{"ip by snap", snap(0, etherIPv4, payloads4()[0].data)},
	}
}

func samplesPPP(l *link) (list []sample) {
	protos := map[uint16]int{etherIPv4: 0x21, etherIPv6: 0x57, etherDECnet: 0x27, etherAppleTalk: 0x29, etherMPLS: 0x281, etherARP: 0xc021}
	for i, p := range payloads() {
		proto, ok := protos[p.ether]
		if !ok {
			continue
		}
		header := []byte{0xff, 3}
		switch l.dlt {
		case "PPP_ETHER":
			header = []byte{0x11, 0, 0, 17, 0, 99}
		case "PPP_PPPD":
			header = []byte{byte(i % 2), 3}
		}
		list = append(list, sample{p.name, join(header, u16(proto), p.data)})
	}
	return list
}
