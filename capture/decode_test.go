package capture

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// decodeOne decodes one frame of which wire octets were on the wire, and writes
// what came out on one line.
func decodeOne(linkType uint16, data []byte, wire int) string {
	s := &stream{d: decoder{links: &linkTable{}}}
	// A slice that ends where the frame does: what reads on panics here,
	// though in a window it would not.
	data = data[:len(data):len(data)]
	var p Packet
	return decoded(s, s.d.decode(s.begin(&port{link: linkTypeOf(linkType)}, data, uint32(wire), 0), &p), &p)
}

// decoded writes what a capture of this one frame gives.
func decoded(s *stream, reason Reason, p *Packet) string {
	if s.count(reason, false, p) {
		return describe(p, s.d.links.list)
	}
	s.err = io.EOF
	if s.waited(p) {
		return describe(p, s.d.links.list)
	}
	return strings.TrimPrefix(skipped(&s.stats), "1 ")
}

func describe(p *Packet, links []analyzer.Link) string {
	var b strings.Builder
	link := uint32(0)
	if p.Kind == KindUnreachable {
		u := &p.Unreachable
		link = u.Link
		fmt.Fprintf(&b, "icmp %d/%d from %s about %s > %s seq %d", u.Type, u.Code, u.From.Netip(),
			netip.AddrPortFrom(u.Src.Netip(), u.SrcPort), netip.AddrPortFrom(u.Dst.Netip(), u.DstPort), u.Seq)
		if u.V6 {
			b.WriteString(" v6")
		}
		if u.MTU != 0 {
			fmt.Fprintf(&b, " mtu %d", u.MTU)
		}
	} else {
		s := &p.Segment
		link = s.Link
		fmt.Fprintf(&b, "%s > %s %s seq %d ack %d len %d win %d ttl %d id %d sum %x", netip.AddrPortFrom(s.Src.Netip(), s.SrcPort),
			netip.AddrPortFrom(s.Dst.Netip(), s.DstPort), s.Flags, s.Seq, s.Ack, s.Len, s.Window, s.TTL, s.IPID, s.Checksum)
		b.WriteString(describeOptions(s.Options))
		if s.SACK[0] != s.SACK[1] {
			fmt.Fprintf(&b, " block %d-%d", s.SACK[0], s.SACK[1])
		}
		if s.Fragment {
			b.WriteString(" fragment")
		}
	}
	if l := links[link]; l.Interface != "" || l.VLAN != nil {
		fmt.Fprintf(&b, " on %s%v", l.Interface, l.VLAN)
	}
	if tunnel := links[link].Tunnel; tunnel != nil {
		fmt.Fprintf(&b, " in %s", strings.Join(tunnel, ","))
	}
	return b.String()
}

func describeOptions(o analyzer.Options) string {
	var b strings.Builder
	for _, each := range []struct {
		bit  analyzer.OptionSet
		text string
	}{
		{analyzer.OptMSS, fmt.Sprintf(" mss %d", o.MSS)},
		{analyzer.OptWindowScale, fmt.Sprintf(" wscale %d", o.WindowScale)},
		{analyzer.OptSACKPermitted, " sackok"},
		{analyzer.OptSACK, " sack"},
		{analyzer.OptTimestamps, fmt.Sprintf(" ts %d/%d", o.TSVal, o.TSEcr)},
		{analyzer.OptFastOpen, " tfo"},
		{analyzer.OptTruncated, " cut"},
	} {
		if o.Set&each.bit != 0 {
			b.WriteString(each.text)
		}
	}
	return b.String()
}

// What the built packets decode to.
const (
	plain4 = "10.0.0.5:51544 > 10.0.0.9:5432 P. seq 1000 ack 2000 len 5 win 501 ttl 64 id 4660 sum beef"
	plain6 = "[fd00::5]:51544 > [fd00::9]:5432 P. seq 1000 ack 2000 len 5 win 501 ttl 63 id 0 sum beef"
)

var (
	hello    = tcpSeg("", "hello")
	packet4  = ip4(protoTCP, hello)
	packet6  = ip6(protoTCP, hello)
	cooked1  = "\x00\x00\x00\x01\x00\x06\x02\x00\x00\x00\x00\x01\x00\x00"
	cooked2  = "\x00\x00\x00\x00\x00\x03\x00\x01\x00\x06\x02\x00\x00\x00\x00\x01\x00\x00"
	vlanTag  = func(id byte, next string) string { return "\xe0" + string(id) + next }
	dot11    = "\x08\x02\x00\x00" + strings.Repeat("\x02\x00\x00\x00\x00\x01", 3) + "\x00\x00\xaa\xaa\x03\x00\x00\x00\x08\x00"
	radiotap = "\x00\x00\x08\x00\x00\x00\x00\x00"
)

func TestLinkTypes(t *testing.T) {
	for _, c := range []struct {
		why  string
		link uint16
		head string
		body []byte
		want string
	}{
		{"Ethernet II", 1, etherMACs + "\x08\x00", packet4, plain4},
		{"Ethernet II with IPv6", 1, etherMACs + "\x86\xdd", packet6, plain6},
		{"a frame shorter than its header", 1, "\x02\x00", nil, "malformed link header"},
		{"ARP", 1, etherMACs + "\x08\x06", packet4, "arp"},
		{"LLDP", 1, etherMACs + "\x88\xcc", packet4, "not IP"},
		{"one tag, with priority bits set", 1, etherMACs + "\x81\x00" + vlanTag(77, "\x08\x00"), packet4, plain4 + " on [77]"},
		{"802.1ad outside, 802.1Q inside", 1, etherMACs + "\x88\xa8" + vlanTag(5, "\x81\x00") + vlanTag(77, "\x86\xdd"), packet6, plain6 + " on [5 77]"},
		{"QinQ before it was standardised", 1, etherMACs + "\x91\x00" + vlanTag(5, "\x81\x00") + vlanTag(77, "\x08\x00"), packet4, plain4 + " on [5 77]"},
		{"VLAN 0 is a priority tag and no VLAN", 1, etherMACs + "\x81\x00" + vlanTag(0, "\x08\x00"), packet4, plain4},
		{"as many tags as the path holds", 1, etherMACs + "\x81\x00" + strings.Repeat(vlanTag(1, "\x81\x00"), maxHops-1) + vlanTag(2, "\x08\x00"), packet4, plain4 + " on [1 1 1 1 1 1 1 1 1 1 1 2]"},
		{"one tag more", 1, etherMACs + "\x81\x00" + strings.Repeat(vlanTag(1, "\x81\x00"), maxHops) + vlanTag(2, "\x08\x00"), packet4, "nested too deep"},
		{"priority tags without end", 1, etherMACs + "\x81\x00" + strings.Repeat(vlanTag(0, "\x81\x00"), maxHeaders) + vlanTag(2, "\x08\x00"), packet4, "nested too deep"},
		{"a tag cut off", 1, etherMACs + "\x81\x00\x00", nil, "malformed link header"},
		{"802.3 with LLC/SNAP", 1, etherMACs + "\x00\x40\xaa\xaa\x03\x00\x00\x00\x08\x00", packet4, plain4},
		{"802.3 with other LLC: spanning tree", 1, etherMACs + "\x00\x26\x42\x42\x03\x00\x00\x00\x00\x00", nil, "not IP"},
		{"PPPoE session", 1, etherMACs + "\x88\x64\x11\x00\x00\x01\x00\x2f\x00\x21", packet4, plain4},
		{"PPPoE session with IPv6 in a VLAN", 1, etherMACs + "\x81\x00" + vlanTag(7, "\x88\x64") + "\x11\x00\x00\x01\x00\x43\x00\x57", packet6, plain6 + " on [7]"},
		{"PPPoE session with LCP", 1, etherMACs + "\x88\x64\x11\x00\x00\x01\x00\x08\xc0\x21\x09\x00\x00\x08", nil, "not IP"},
		{"PPPoE that is not a session", 1, etherMACs + "\x88\x64\x11\xa7\x00\x01\x00\x00", nil, "not IP"},
		{"MPLS, two labels", 1, etherMACs + "\x88\x47\x00\x01\x00\x40\x00\x02\x01\x40", packet4, plain4},
		{"MPLS cut off", 1, etherMACs + "\x88\x47\x00\x01", nil, "malformed link header"},
		{"Linux cooked v1", 113, cooked1 + "\x08\x00", packet4, plain4},
		{"Linux cooked v1 with a VLAN tag left in", 113, cooked1 + "\x81\x00" + vlanTag(77, "\x08\x00"), packet4, plain4 + " on [77]"},
		{"Linux cooked v1, cut", 113, cooked1, nil, "malformed link header"},
		{"Linux cooked v2 names its interface", 276, "\x08\x00" + cooked2, packet4, plain4 + " on if3[]"},
		{"Linux cooked v2 with IPv6", 276, "\x86\xdd" + cooked2, packet6, plain6 + " on if3[]"},
		{"BSD loopback, little endian", 0, "\x02\x00\x00\x00", packet4, plain4},
		{"BSD loopback, big endian", 0, "\x00\x00\x00\x02", packet4, plain4},
		{"AF_INET6 of Linux", 0, "\x0a\x00\x00\x00", packet6, plain6},
		{"AF_INET6 of NetBSD and OpenBSD", 108, "\x00\x00\x00\x18", packet6, plain6},
		{"AF_INET6 of FreeBSD", 0, "\x1c\x00\x00\x00", packet6, plain6},
		{"AF_INET6 of macOS", 0, "\x1e\x00\x00\x00", packet6, plain6},
		{"another family", 0, "\x07\x00\x00\x00", packet4, "not IP"},
		{"raw IP", 101, "", packet4, plain4},
		{"raw IP of OpenBSD", 14, "", packet6, plain6},
		{"raw IP, DLT value", 12, "", packet6, plain6},
		{"raw that is neither", 101, "\x50", nil, "malformed IP"},
		{"IPv4", 228, "", packet4, plain4},
		{"IPv6", 229, "", packet6, plain6},
		{"PPP", 9, "\x00\x21", packet4, plain4},
		{"PPP with address and control", 9, "\xff\x03\x00\x57", packet6, plain6},
		{"PPP with another protocol", 9, "\x80\x21\x01\x01\x00\x04", nil, "not IP"},
		{"PPP without bytes for a protocol", 9, "\xff", nil, "malformed link header"},
		{"PPP in HDLC-like framing", 50, "\xff\x03\x00\x21", packet4, plain4},
		{"PPPoE as link type", 51, "\x11\x00\x00\x01\x00\x2f\x00\x21", packet4, plain4},
		{"Cisco HDLC", 104, "\x0f\x00\x08\x00", packet4, plain4},
		{"802.11 without a checksum", 105, dot11, packet4, plain4},
		{"802.11 with radiotap", 127, radiotap + dot11, packet4, plain4},
		{"802.11 beacon", 105, "\x80\x00\x00\x00" + strings.Repeat("\x02\x00\x00\x00\x00\x01", 3) + "\x00\x00" + strings.Repeat("\x00", 12), nil, "not IP"},
		{"radiotap that claims more than there is", 127, "\x00\x00\xff\xff\x00\x00\x00\x00", nil, "malformed link header"},
		{"a link type without decoder", 195, "", packet4, "unsupported link type"},
		{"an empty frame", 1, "", nil, "empty record"},
	} {
		data := join([]byte(c.head), c.body)
		if got := decodeOne(c.link, data, len(data)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.why, got, c.want)
		}
	}
}

const etherMACs = "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02"

// ext is an IPv6 extension header of 8 octets.
func ext(next byte, rest string) []byte {
	return append([]byte{next, 0}, with(make([]byte, 6), 0, rest)...)
}

func TestIP(t *testing.T) {
	fragment := func(place string, payload []byte) []byte { return with(ip4(protoTCP, payload), 6, place) }
	options4 := join([]byte("\x46"), packet4[1:20], []byte("\x94\x04\x00\x00"), hello)
	options4 = with(options4, 2, "\x00\x31")
	data8 := strings.Repeat("x", 1400)
	for _, c := range []struct {
		why  string
		data []byte
		more int // octets on the wire beyond those captured
		want string
	}{
		{"IPv4 with options", options4, 0, plain4},
		{"IPv4 options cut", options4[:22], 30, "truncated before TCP header"},
		{"Ethernet padding is not payload", join(ip4(protoTCP, tcpSeg("", "")), make([]byte, 6)), 0, strings.Replace(plain4, "len 5", "len 0", 1)},
		{"Ethernet padding after IPv6", join(packet6, make([]byte, 6)), 0, plain6},
		{"total length 0 by offload: the frame's length counts", with(packet4, 2, "\x00\x00"), 1000, strings.Replace(plain4, "len 5", "len 1005", 1)},
		{"total length 0 in a frame that claims 2 GiB: no more than a frame can have", with(packet4, 2, "\x00\x00"), 1<<31 - 100, strings.Replace(plain4, "len 5", "len 16777176", 1)},
		{"payload length 0 by offload", with(packet6, 4, "\x00\x00"), 70000, strings.Replace(plain6, "len 5", "len 70005", 1)},
		{"data cut by the snap length", ip4(protoTCP, tcpSeg("", data8))[:40], 1400, strings.Replace(plain4, "len 5", "len 1400", 1)},
		{"total length beyond the frame's length: believed", with(packet4, 2, "\x05\xdc"), 0, strings.Replace(plain4, "len 5", "len 1460", 1)},
		{"total length within the IP header", with(packet4, 2, "\x00\x13"), 0, "malformed IP"},
		{"header length below 5", with(packet4, 0, "\x44"), 0, "malformed IP"},
		{"a frame shorter than an IP header", packet4[:19], 0, "malformed IP"},
		{"an IP header cut by the snap length", packet4[:19], 30, "truncated before TCP header"},
		{"IPv6 header cut by the snap length", packet6[:39], 30, "truncated before TCP header"},
		{"IPv6 shorter than a header", packet6[:39], 0, "malformed IP"},
		{"UDP", ip4(protoUDP, hello), 0, "udp"},
		{"UDP over IPv6", ip6(protoUDP, hello), 0, "udp"},
		{"SCTP", ip4(132, hello), 0, "other IP protocol"},
		{"no next header", ip6(59, nil), 0, "other IP protocol"},
		{"ICMP over IPv6 is not ICMPv6", ip6(protoICMP, make([]byte, 8)), 0, "other IP protocol"},
		{"ICMPv6 over IPv4 is nothing", ip4(protoICMPv6, make([]byte, 8)), 0, "other IP protocol"},
		{"don't fragment", fragment("\x40\x00", hello), 0, plain4},
		{"the first fragment has the header", fragment("\x20\x00", hello), 0, plain4 + " fragment"},
		{"a later fragment has none", fragment("\x20\x03", hello), 0, "later IP fragment"},
		{"the last fragment", fragment("\x00\x03", hello), 0, "later IP fragment"},
		{"a first fragment too small for a TCP header", fragment("\x20\x00", hello[:16]), 0, "later IP fragment"},
		{"a later fragment of UDP", with(ip4(protoUDP, hello), 6, "\x00\x03"), 0, "udp"},
		{"AH in IPv4", ip4(protoAH, join([]byte("\x06\x04"), make([]byte, 22), hello)), 0, plain4},

		{"hop-by-hop, routing and destination options", ip6(protoHopByHop, join(ext(protoRouting, ""), ext(protoDestOptions, ""), ext(protoTCP, ""), hello)), 0, plain6},
		{"AH", ip6(protoAH, join([]byte("\x06\x04"), make([]byte, 22), hello)), 0, plain6},
		{"mobility, HIP and shim6 headers", ip6(protoMobility, join(ext(protoHIP, ""), ext(protoShim6, ""), ext(protoTCP, ""), hello)), 0, plain6},
		{"an atomic fragment is whole", ip6(protoFragment, join(ext(protoTCP, ""), hello)), 0, plain6},
		{"the first fragment of IPv6", ip6(protoFragment, join([]byte{protoTCP, 0, 0, 1, 0, 0, 0, 9}, hello, make([]byte, 7))), 0, strings.Replace(plain6, "len 5", "len 12", 1) + " fragment"},
		{"a later fragment of IPv6", ip6(protoFragment, join([]byte{protoTCP, 0, 0, 16, 0, 0, 0, 9}, hello)), 0, "later IP fragment"},
		{"a later fragment of options and TCP", ip6(protoFragment, join([]byte{protoDestOptions, 0, 0, 16, 0, 0, 0, 9}, hello)), 0, "later IP fragment"},
		{"a later fragment of UDP over IPv6", ip6(protoFragment, join([]byte{protoUDP, 0, 0, 16, 0, 0, 0, 9}, hello)), 0, "udp"},
		{"a jumbo payload behind its option", with(ip6(protoHopByHop, join([]byte("\x06\x00\xc2\x04\x00\x01\x11\x91"), hello)), 4, "\x00\x00"), 70000, strings.Replace(plain6, "len 5", "len 70005", 1)},
		{"a jumbo payload in a file that lost the length on the wire", with(ip6(protoHopByHop, join([]byte("\x06\x00\xc2\x04\x00\x01\x11\x91"), hello)), 4, "\x00\x00"), 0, strings.Replace(plain6, "len 5", "len 70005", 1)},
		{"a jumbo option after padding", with(ip6(protoHopByHop, join([]byte("\x06\x01\x00\x01\x01\x00\xc2\x04\x00\x01\x11\x99\x01\x02\x00\x00"), hello)), 4, "\x00\x00"), 0, strings.Replace(plain6, "len 5", "len 70005", 1)},
		{"a jumbo option of less than a jumbogram is ignored", with(ip6(protoHopByHop, join([]byte("\x06\x00\xc2\x04\x00\x00\x11\x91"), hello)), 4, "\x00\x00"), 0, plain6},
		{"a jumbo option of 4 GiB is ignored", with(ip6(protoHopByHop, join([]byte("\x06\x00\xc2\x04\xff\xff\xff\xff"), hello)), 4, "\x00\x00"), 0, plain6},
		{"an option longer than its header", with(ip6(protoHopByHop, join([]byte("\x06\x00\x01\xff\x00\x00\x00\x00"), hello)), 4, "\x00\x00"), 0, plain6},
		{"extension headers against RFC 8200's order", ip6(protoDestOptions, join(ext(protoRouting, ""), ext(protoHopByHop, ""), ext(protoDestOptions, ""), ext(protoTCP, ""), hello)), 0, plain6},
		{"a fragment header before destination options", ip6(protoFragment, join([]byte{protoDestOptions, 0, 0, 1, 0, 0, 0, 9}, ext(protoTCP, ""), hello, make([]byte, 7))), 0, strings.Replace(plain6, "len 5", "len 12", 1) + " fragment"},
		{"an encrypted payload behind an extension header", ip6(protoDestOptions, join(ext(50, ""), hello)), 0, "encrypted or compressed"},
		{"an extension header longer than the packet", ip6(protoHopByHop, []byte("\x06\xff\x00\x00\x00\x00\x00\x00")), 0, "malformed IP"},
		{"an extension header cut by the snap length", ip6(protoHopByHop, join(ext(protoTCP, ""), hello))[:44], 29, "truncated before TCP header"},
		{"an extension header that is not there", ip6(protoHopByHop, nil), 0, "malformed IP"},
	} {
		if got := decodeOne(101, c.data, len(c.data)+c.more); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.why, got, c.want)
		}
	}
}

func TestTCP(t *testing.T) {
	full := tcpSeg("\x02\x04\x05\xb4\x04\x02\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x00\x01\x03\x03\x07", "")
	const head = "10.0.0.5:51544 > 10.0.0.9:5432 P. seq 1000 ack 2000 len 0 win 501 ttl 64 id 4660 sum beef"
	cut := func(win, sum string) string {
		return strings.NewReplacer("win 501", "win "+win, "sum beef", "sum "+sum).Replace(head) + " cut"
	}
	for _, c := range []struct {
		why  string
		seg  []byte
		keep int // octets captured, all when 0
		want string
	}{
		{"a SYN's options", full, 0, head + " mss 1460 wscale 7 sackok ts 7/0"},
		{"the options of nearly every segment", tcpSeg("\x01\x01\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x08", ""), 0, head + " ts 7/8"},
		{"SACK blocks after timestamps", tcpSeg("\x01\x01\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x08\x01\x01\x05\x0a12345678", ""), 0, head + " sack ts 7/8 block 825373492-892745528"},
		{"a window scale above 14 means 14", tcpSeg("\x03\x03\xff\x00", ""), 0, head + " wscale 14"},
		{"Fast Open with a cookie", tcpSeg("\x22\x0acookies!\x00\x00", ""), 0, head + " tfo"},
		{"Fast Open's cookie request", tcpSeg("\x22\x02\x00\x00", ""), 0, head + " tfo"},
		{"Fast Open as an experiment", tcpSeg("\xfe\x04\xf9\x89", ""), 0, head + " tfo"},
		{"another experiment", tcpSeg("\xfe\x04\x12\x34", ""), 0, head},
		{"an unknown option is stepped over", tcpSeg("\x1c\x04\x00\x00\x02\x04\x05\xb4", ""), 0, head + " mss 1460"},
		{"what follows the end of the list is padding", tcpSeg("\x00\x02\x04\x05", ""), 0, head},
		{"an option of length 0 must not loop", tcpSeg("\x02\x04\x05\xb4\x09\x00\x04\x02", ""), 0, head + " mss 1460"},
		{"an option longer than the header", tcpSeg("\x02\x04\x05\xb4\x09\x08\x04\x02", ""), 0, head + " mss 1460"},
		{"an option of a wrong length says nothing", tcpSeg("\x02\x03\x05\x01\x04\x02\x01\x01", ""), 0, head + " sackok"},
		{"a kind without room for its length", tcpSeg("\x01\x01\x01\x02", ""), 0, head},

		{"options cut: those before the cut stand", full, 30, cut("501", "beef") + "!mss 1460 sackok"},
		{"options cut away", full, 20, cut("501", "beef")},
		{"checksum cut", full, 17, cut("501", "0")},
		{"window cut", full, 14, cut("65535", "0")},
		{"too little left", full, 13, "truncated before TCP header"},
		{"nothing left", full, 1, "truncated before TCP header"},
		{"nothing but the fixed header, cut: no options to miss", tcpSeg("", ""), 16, strings.TrimSuffix(cut("501", "0"), " cut")},

		{"data offset below 5", with(tcpSeg("", ""), 12, "\x40"), 0, "malformed TCP"},
		{"data offset beyond the packet", with(tcpSeg("", "1234"), 12, "\x70"), 0, "malformed TCP"},
		{"a segment shorter than a header", tcpSeg("", "")[:19], 0, "malformed TCP"},
		{"no flags at all", with(tcpSeg("", ""), 13, "\x00"), 0, strings.Replace(head, "P.", "none", 1)},
	} {
		data := ip4(protoTCP, c.seg)
		wire := len(data)
		if c.keep > 0 {
			data = data[:20+c.keep]
		}
		want := c.want
		if before, options, ok := strings.Cut(want, " cut!"); ok {
			want = before + " " + options + " cut"
		}
		if got := decodeOne(101, data, wire); got != want {
			t.Errorf("%s:\n got %s\nwant %s", c.why, got, want)
		}
	}
}

func TestICMP(t *testing.T) {
	quote4 := with(packet4, 12, "\x0a\x00\x00\x09\x0a\x00\x00\x05")
	quote6 := packet6
	about4 := " from 10.0.0.5 about 10.0.0.9:51544 > 10.0.0.5:5432 seq 1000"
	about6 := " from fd00::5 about [fd00::5]:51544 > [fd00::9]:5432 seq 1000 v6"
	icmp4 := func(head string, quote []byte) []byte {
		return ip4(protoICMP, join([]byte(head), make([]byte, 8-len(head)), quote))
	}
	icmp6 := func(head string, quote []byte) []byte {
		return ip6(protoICMPv6, join([]byte(head), make([]byte, 8-len(head)), quote))
	}
	withExt := ip6(protoDestOptions, join(ext(protoTCP, ""), hello))
	for _, c := range []struct {
		why  string
		data []byte
		want string
	}{
		{"port unreachable", icmp4("\x03\x03", quote4), "icmp 3/3" + about4},
		{"only the 8 octets that RFC 792 asks for", icmp4("\x03\x01", quote4[:28]), "icmp 3/1" + about4},
		{"fragmentation needed", icmp4("\x03\x04", quote4), "icmp 3/4" + about4},
		{"with the next hop's MTU, RFC 1191", icmp4("\x03\x04\x00\x00\x00\x00\x05\x14", quote4), "icmp 3/4" + about4 + " mtu 1300"},
		{"what is no MTU elsewhere", icmp4("\x03\x03\x00\x00\x00\x00\x05\x14", quote4), "icmp 3/3" + about4},
		{"time exceeded", icmp4("\x0b\x00", quote4), "icmp 11/0" + about4},
		{"one octet too few", icmp4("\x03\x03", quote4[:27]), "icmp"},
		{"quoting UDP", icmp4("\x03\x03", with(quote4, 9, "\x11")), "icmp"},
		{"quoting a later fragment", icmp4("\x03\x03", with(quote4, 6, "\x00\x03")), "icmp"},
		{"quoting with a bad header length", icmp4("\x03\x03", with(quote4, 0, "\x4f")[:40]), "icmp"},
		{"quoting nothing", icmp4("\x03\x03", nil), "icmp"},
		{"echo request", icmp4("\x08\x00", quote4), "icmp"},
		{"shorter than its header", ip4(protoICMP, []byte("\x03\x03")), "icmp"},
		{"no route to destination, ICMPv6", icmp6("\x01\x00", quote6), "icmp 1/0" + about6},
		{"packet too big", icmp6("\x02\x00", quote6), "icmp 2/0" + about6},
		{"packet too big, with its MTU", icmp6("\x02\x00\x00\x00\x00\x00\x05\x00", quote6), "icmp 2/0" + about6 + " mtu 1280"},
		{"time exceeded, ICMPv6", icmp6("\x03\x00", quote6), "icmp 3/0" + about6},
		{"quoting with an extension header", icmp6("\x01\x04", withExt), "icmp 1/4" + about6},
		{"echo request, ICMPv6", icmp6("\x80\x00", quote6), "icmp"},
		{"quoting an IPv6 header that is cut", icmp6("\x01\x00", quote6[:39]), "icmp"},
	} {
		if got := decodeOne(101, c.data, len(c.data)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.why, got, c.want)
		}
	}
}

// A frame cut anywhere is counted as cut or delivered with what the IP header
// says of its length, never taken for a malformed or a shorter one.
func TestEverySnapLength(t *testing.T) {
	whole := map[uint16][]byte{
		1:   ether(etherVLAN, join([]byte("\x00\x05\x08\x00"), packet4)),
		276: join([]byte("\x86\xdd"+cooked2), ip6(protoHopByHop, join(ext(protoTCP, ""), hello))),
		0:   join([]byte("\x02\x00\x00\x00"), packet4),
		51:  join([]byte("\x11\x00\x00\x01\x00\x2f\x00\x21"), packet4),
	}
	for link, data := range whole {
		for n := 1; n < len(data); n++ {
			got := decodeOne(link, data[:n], len(data))
			if got != "truncated before TCP header" && !strings.Contains(got, " len 5 ") {
				t.Errorf("link type %d, %d of %d octets: %s", link, n, len(data), got)
			}
		}
	}
}
