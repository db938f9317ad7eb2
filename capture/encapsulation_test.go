package capture

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// udp wraps a payload in a UDP header.
func udp(src, dst uint16, payload []byte) []byte {
	b := be.AppendUint16(nil, src)
	b = be.AppendUint16(b, dst)
	b = be.AppendUint16(b, uint16(8+len(payload)))
	b = append(b, 0, 0)
	return append(b, payload...)
}

// head puts octets before a payload.
func head(octets string, payload []byte) []byte { return append([]byte(octets), payload...) }

// over is a packet in the UDP tunnel of a port.
func over(port uint16, payload []byte) []byte { return ip4(protoUDP, udp(40000, port, payload)) }

var (
	frame4    = ether(etherIPv4, packet4)
	frame6    = ether(etherIPv6, packet6)
	sixToFour = with(with(packet6, 8, "\x20\x02"), 24, "\xfd\x00")
	zeros     = func(n int) string { return strings.Repeat("\x00", n) }
	pktap     = string(le.AppendUint32(nil, 108)) + "\x01\x00\x00\x00\x01\x00\x00\x00en0" + zeros(21) + zeros(72)
	avs       = "\x80\x21\x10\x01\x00\x00\x00\x40" + zeros(56)
	prism     = "\x44\x00\x00\x00\x90\x00\x00\x00" + zeros(136)
	qosHead   = "\x88\x02\x00\x00" + strings.Repeat("\x02\x00\x00\x00\x00\x01", 3) + "\x00\x00"
	snap4     = "\xaa\xaa\x03\x00\x00\x00\x08\x00"
	vxlan42   = "\x08\x00\x00\x00\x00\x00\x2a\x00"
)

// encapsulation is one way to wrap the packet of the tests.
type encapsulation struct {
	why  string
	link uint16
	data []byte
	want string
}

var linkEncapsulations = []encapsulation{
	{"a tag with the TPID 0x9200", 1, head(etherMACs+"\x92\x00"+vlanTag(5, "\x81\x00")+vlanTag(77, "\x08\x00"), packet4), plain4 + " on [5 77]"},
	{"a tag with the TPID 0x9300", 1, head(etherMACs+"\x93\x00"+vlanTag(5, "\x08\x00"), packet4), plain4 + " on [5]"},
	{"provider backbone bridging: a customer's tag after the backbone's", 1, head(etherMACs+"\x88\xa8"+vlanTag(9, "\x88\xe7")+"\x00\x00\x30\x39"+etherMACs+"\x81\x00"+vlanTag(5, "\x08\x00"), packet4), plain4 + " on [9 5] in pbb:12345"},
	{"VNTag", 1, head(etherMACs+"\x89\x26\x00\x01\x00\x02\x08\x00", packet4), plain4},
	{"VNTag before a VLAN tag", 1, head(etherMACs+"\x89\x26\x00\x01\x00\x02\x81\x00"+vlanTag(5, "\x86\xdd"), packet6), plain6 + " on [5]"},
	{"802.1BR E-TAG", 1, head(etherMACs+"\x89\x3f\x00\x01\x00\x02\x00\x00\x08\x00", packet4), plain4},
	{"FabricPath", 1, head(etherMACs+"\x89\x03\x00\x60", frame4), plain4},
	{"Cisco MetaData", 1, head(etherMACs+"\x89\x09\x01\x01\x00\x01\x00\x07\x08\x00", packet4), plain4},
	{"MACsec, integrity only, with SCI", 1, join([]byte(etherMACs+"\x88\xe5\x20\x00\x00\x00\x00\x01"+zeros(8)+"\x08\x00"), packet4, make([]byte, 16)), plain4},
	{"MACsec, integrity only, without SCI", 1, join([]byte(etherMACs+"\x88\xe5\x00\x00\x00\x00\x00\x01\x08\x00"), packet4, make([]byte, 16)), plain4},
	{"MACsec, encrypted", 1, head(etherMACs+"\x88\xe5\x2c\x00\x00\x00\x00\x01"+zeros(8)+"\x08\x00", packet4), "encrypted or compressed"},
	{"MACsec of a version to come", 1, head(etherMACs+"\x88\xe5\x80\x00\x00\x00\x00\x01\x08\x00", packet4), "malformed link header"},
	{"HSR", 1, head(etherMACs+"\x89\x2f\x00\x50\x00\x01\x08\x00", packet4), plain4},
	{"PRP: its trailer is padding", 1, join(frame4, []byte("\x00\x01\xa0\x34\x88\xfb")), plain4},
	{"NSH with IPv4", 1, head(etherMACs+"\x89\x4f\x0f\xc6\x01\x01\x00\x00\x01\xff"+zeros(16), packet4), plain4},
	{"NSH with Ethernet, metadata type 2", 1, head(etherMACs+"\x89\x4f\x0f\xc2\x02\x03\x00\x00\x01\xff", frame6), plain6},
	{"NSH with another protocol", 1, head(etherMACs+"\x89\x4f\x0f\xc2\x02\x06\x00\x00\x01\xff", frame6), "not IP"},
	{"NSH that is shorter than itself", 1, head(etherMACs+"\x89\x4f\x0f\xc1\x02\x03\x00\x00\x01\xff", frame6), "malformed tunnel header"},
	{"MPLS multicast", 1, head(etherMACs+"\x88\x48\x00\x01\x01\x40", packet6), plain6},
	{"a pseudowire with a control word", 1, head(etherMACs+"\x88\x47\x00\x01\x00\x40\x00\x02\x01\x40\x00\x00\x00\x07", frame4), plain4},
	{"a pseudowire without a control word", 1, head(etherMACs+"\x88\x47\x00\x02\x01\x40", frame4), plain4},
	{"a pseudowire to an address that begins with 4", 1, head(etherMACs+"\x88\x47\x00\x02\x01\x40", with(frame4, 0, "\x44")), plain4},
	{"a pseudowire to an address that begins with 6", 1, head(etherMACs+"\x88\x47\x00\x02\x01\x40", with(frame6, 0, "\x64\xd1\x54\xff\xff\xff")), plain6},
	{"a pseudowire with a VLAN tag inside", 1, head(etherMACs+"\x88\x47\x00\x02\x01\x40\x00\x00\x00\x00"+etherMACs+"\x81\x00"+vlanTag(5, "\x08\x00"), packet4), plain4 + " on [5]"},
	{"the channel of a pseudowire", 1, head(etherMACs+"\x88\x47\x00\x02\x01\x40\x10\x00\x00\x07", frame4), "not IP"},
	{"labels as link type", 219, head("\x00\x02\x01\x40", packet4), plain4},
	{"a label stack without an end", 1, head(etherMACs+"\x88\x47"+strings.Repeat("\x00\x01\x00\x40", 9), nil), "malformed link header"},
	{"802.3 with SNAP of a bridge (802.1H)", 1, head(etherMACs+"\x00\x40\xaa\xaa\x03\x00\x00\xf8\x08\x00", packet4), plain4},
	{"802.3 with IP's own SAP", 1, head(etherMACs+"\x00\x30\x06\x06\x03", packet4), plain4},
	{"SNAP of another organisation", 1, head(etherMACs+"\x00\x40\xaa\xaa\x03\x00\x00\x0c\x20\x00", packet4), "not IP"},
	{"Token Ring", 6, head("\x10\x40"+etherMACs+snap4, packet4), plain4},
	{"Token Ring with source routing", 6, head("\x10\x40\x02\x00\x00\x00\x00\x01\x82\x00\x00\x00\x00\x02\x06\x90\x00\x11\x00\x20"+snap4, packet4), plain4},
	{"Token Ring's own frames", 6, head("\x10\x00"+etherMACs+snap4, packet4), "not IP"},
	{"FDDI", 10, head("\x50"+etherMACs+snap4, packet4), plain4},
	{"SLIP", 8, head("\x00\x45"+zeros(14), packet4), plain4},
	{"PPP with a protocol of one octet", 9, head("\x21", packet4), plain4},
	{"PPP with MPLS", 9, head("\xff\x03\x02\x81\x00\x02\x01\x40", packet4), plain4},
	{"PPP, compressed or encrypted", 9, head("\xff\x03\x00\xfd", packet4), "encrypted or compressed"},
	{"PPP with Van Jacobson's compression", 9, head("\xff\x03\x00\x2d", packet4), "encrypted or compressed"},
	{"Cisco HDLC where PPP is said to be", 50, head("\x0f\x00\x86\xdd", packet6), plain6},
	{"PPP of pppd", 166, head("\x00\x03\x00\x21", packet4), plain4},
	{"PPP with direction", 204, head("\x01\xff\x03\x00\x57", packet6), plain6},
	{"Cisco HDLC with direction", 205, head("\x01\x0f\x00\x08\x00", packet4), plain4},
	{"Frame Relay, IPv4 by NLPID", 107, head("\x18\x41\x03\xcc", packet4), plain4},
	{"Frame Relay, IPv6 by NLPID, padded", 107, head("\x18\x41\x03\x00\x8e", packet6), plain6},
	{"Frame Relay, SNAP", 107, head("\x18\x41\x03\x00\x80\x00\x00\x00\x08\x00", packet4), plain4},
	{"Frame Relay, a bridged frame", 107, head("\x18\x41\x03\x00\x80\x00\x80\xc2\x00\x07", frame4), plain4},
	{"Frame Relay, Cisco's", 107, head("\x18\x41\x08\x00", packet4), plain4},
	{"Frame Relay, an address of 4 octets", 107, head("\x18\x40\x02\x01\x03\xcc", packet4), plain4},
	{"Frame Relay, an address without end", 107, head("\x18\x40\x02\x02\x02\xcc", packet4), "malformed link header"},
	{"Frame Relay with direction", 206, head("\x01\x18\x41\x03\xcc", packet4), plain4},
	{"Frame Relay, Q.933", 107, head("\x00\x01\x03\x08\x00\x75", packet4), "not IP"},
	{"802.11 with QoS", 105, head(qosHead+"\x00\x00"+snap4, packet4), plain4},
	{"802.11 with QoS and HT control", 105, head("\x88\x82"+qosHead[2:]+"\x00\x00"+zeros(4)+snap4, packet4), plain4},
	{"802.11 between access points: four addresses", 105, head("\x08\x03"+dot11[2:24]+"\x02\x00\x00\x00\x00\x04"+snap4, packet4), plain4},
	{"802.11 A-MSDU: the first of its packets", 105, head(qosHead+"\x80\x00"+etherMACs+"\x00\x35"+snap4, packet4), plain4},
	{"802.11, encrypted", 105, head("\x08\x42"+dot11[2:24]+"\x01\x02\x03\x20\x00\x00\x00\x00", packet4), "encrypted or compressed"},
	{"802.11, decrypted with the bit left set", 105, head("\x08\x42"+dot11[2:], packet4), plain4},
	{"802.11, a later fragment", 105, head(dot11[:22]+"\x01\x00"+snap4, packet4), "later IP fragment"},
	{"802.11 null function", 105, head("\x48\x01"+dot11[2:24], nil), "not IP"},
	{"radiotap that says the header is padded, after a timestamp", 127, head("\x00\x00\x11\x00\x03\x00\x00\x00"+zeros(8)+"\x20"+qosHead+"\x00\x00\x00\x00"+snap4, packet4), plain4},
	{"radiotap with two words of present bits", 127, head("\x00\x00\x0d\x00\x02\x00\x00\x80\x00\x00\x00\x00\x20"+qosHead+"\x00\x00\x00\x00"+snap4, packet4), plain4},
	{"Prism", 119, head(prism+dot11, packet4), plain4},
	{"Prism of a big-endian machine", 119, head("\x00\x00\x00\x44\x00\x00\x00\x90"+prism[8:]+dot11, packet4), plain4},
	{"AVS under Prism's number", 119, head(avs+dot11, packet4), plain4},
	{"AVS", 163, head(avs+dot11, packet4), plain4},
	{"AVS of no length", 163, head(avs[:4]+"\x00\x00\x00\x00"+dot11, packet4), "malformed link header"},
	{"PPI with 802.11", 192, head("\x00\x00\x0c\x00\x69\x00\x00\x00"+zeros(4)+dot11, packet4), plain4},
	{"PPI with Ethernet", 192, head("\x00\x00\x08\x00\x01\x00\x00\x00", frame6), plain6},
	{"PPI with what nobody knows", 192, head("\x00\x00\x08\x00\xc3\x00\x00\x00", frame6), "unsupported link type"},
	{"PPI in PPI", 192, []byte(strings.Repeat("\x00\x00\x08\x00\xc0\x00\x00\x00", 99)), "nested too deep"},
	{"PKTAP names the interface", 258, head(pktap, frame4), plain4 + " on en0[]"},
	{"PKTAP by Apple's number", 149, head(pktap[:8]+"\x0c\x00\x00\x00"+pktap[12:], packet6), plain6 + " on en0[]"},
	{"PKTAP without a packet", 258, head(pktap[:4]+"\x00\x00\x00\x00"+pktap[8:], frame4), "not IP"},
	{"DLT_USER2 that is no PKTAP", 149, head("\xff\xff\xff\xff"+pktap[4:], frame4), "malformed link header"},
	{"NFLOG", 239, head("\x02\x00\x00\x07\x08\x00\x01\x00\x08\x00\x01\x03\x05\x00\x0a\x00x\x00\x00\x00\x2d\x00\x09\x00", packet4), plain4},
	{"NFLOG of a big-endian machine", 239, head("\x0a\x00\x00\x07\x00\x08\x00\x01\x86\xdd\x01\x03\x00\x05\x00\x0a\x00\x00\x00\x00\x00\x41\x00\x09", packet6), plain6},
	{"NFLOG, an attribute of no length", 239, head("\x02\x00\x00\x07\x00\x00\x01\x00", packet4), "malformed link header"},
	{"Juniper Ethernet", 178, head("MGC\x81\x00\x04\x02\x01\x00\x01", frame4), plain4},
	{"Juniper Ethernet without extension", 178, head("MGC\x01", frame4), plain4},
	{"Juniper without a link header", 178, head("MGC\x03\x02\x00\x00\x00", packet4), plain4},
	{"Juniper PPP", 179, head("MGC\x01\xff\x03\x00\x21", packet4), plain4},
	{"Juniper Frame Relay", 180, head("MGC\x01\x18\x41\x03\xcc", packet4), plain4},
	{"Juniper Cisco HDLC", 181, head("MGC\x01\x0f\x00\x08\x00", packet4), plain4},
	{"no Juniper header", 178, head("MGX\x01", frame4), "malformed link header"},
	{"Solaris IPNET", 226, head("\x01\x02\x00\x00\x00\x00\x00\x2d"+zeros(16), packet4), plain4},
	{"IP over InfiniBand", 242, head(zeros(40)+"\x08\x00\x00\x00", packet4), plain4},
	{"pflog", 117, head("\x3d\x02"+zeros(62), packet4), plain4},
}

var tunnelEncapsulations = []encapsulation{
	{"GRE", 101, ip4(47, head("\x00\x00\x08\x00", packet4)), plain4 + " in gre"},
	{"GRE in IPv6", 101, ip6(47, head("\x00\x00\x86\xdd", packet6)), plain6 + " in gre"},
	{"GRE with checksum, key and sequence number", 101, ip4(47, head("\xb0\x00\x86\xdd\x12\x34\x00\x00\x00\x00\x00\x07\x00\x00\x00\x01", packet6)), plain6 + " in gre:7"},
	{"GRE with a key of 0", 101, ip4(47, head("\x20\x00\x08\x00\x00\x00\x00\x00", packet4)), plain4 + " in gre:0"},
	{"GRE with source routing is not for us", 101, ip4(47, head("\x40\x00\x08\x00\x00\x00\x00\x00", packet4)), "malformed tunnel header"},
	{"GRE with another protocol", 101, ip4(47, head("\x00\x00\x88\x0c", packet4)), "not IP"},
	{"GRE with ARP in Ethernet", 101, ip4(47, head("\x00\x00\x65\x58", ether(etherARP, packet4))), "arp"},
	{"Ethernet over GRE, VLANs inside", 1, ether(etherVLAN, head("\x00\x05\x08\x00", ip4(47, head("\x00\x00\x65\x58"+etherMACs+"\x81\x00"+vlanTag(7, "\x08\x00"), packet4)))), plain4 + " on [5 7] in gre"},
	{"Ethernet over GRE with a small key", 101, ip4(47, head("\x20\x00\x65\x58\x00\x00\x00\x07", frame4)), plain4 + " in gre:7"},
	{"NVGRE leaves out what tells flows apart", 101, ip4(47, head("\x20\x00\x65\x58\x00\x13\x88\x5a", frame4)), plain4 + " in nvgre:5000"},
	{"GRE 1: PPTP", 101, ip4(47, head("\x30\x01\x88\x0b\x00\x31\x00\x07\x00\x00\x00\x01\xff\x03\x00\x21", packet4)), plain4 + " in pptp"},
	{"GRE 1 with an acknowledgment number", 101, ip4(47, head("\x30\x81\x88\x0b\x00\x31\x00\x07\x00\x00\x00\x01\x00\x00\x00\x01\x21", packet4)), plain4 + " in pptp"},
	{"GRE 1, nothing but an acknowledgment", 101, ip4(47, []byte("\x20\x81\x88\x0b\x00\x00\x00\x07\x00\x00\x00\x01")), "not IP"},
	{"GRE 1, encrypted", 101, ip4(47, head("\x30\x01\x88\x0b\x00\x31\x00\x07\x00\x00\x00\x01\x00\xfd", packet4)), "encrypted or compressed"},
	{"GRE of a version to come", 101, ip4(47, head("\x00\x02\x08\x00", packet4)), "malformed tunnel header"},
	{"MPLS over GRE", 101, ip4(47, head("\x00\x00\x88\x47\x00\x02\x01\x40", packet4)), plain4 + " in gre"},
	{"ERSPAN I", 101, ip4(47, head("\x00\x00\x88\xbe", frame4)), plain4 + " in erspan"},
	{"ERSPAN II", 101, ip4(47, head("\x10\x00\x88\xbe\x00\x00\x00\x01\x10\x05\x08\x64\x00\x00\x00\x00", frame4)), plain4 + " in erspan:100"},
	{"ERSPAN III", 101, ip4(47, head("\x10\x00\x22\xeb\x00\x00\x00\x01\x20\x05\x08\x64\x00\x00\x00\x00\x00\x00\x00\x00", frame4)), plain4 + " in erspan:100"},
	{"ERSPAN III with a platform's subheader", 101, ip4(47, head("\x10\x00\x22\xeb\x00\x00\x00\x01\x20\x05\x08\x64\x00\x00\x00\x00\x00\x00\x00\x01"+zeros(8), frame6)), plain6 + " in erspan:100"},
	{"ERSPAN III with an IP packet", 101, ip4(47, head("\x10\x00\x22\xeb\x00\x00\x00\x01\x20\x05\x08\x64\x00\x00\x00\x00\x00\x00\x08\x00", packet4)), plain4 + " in erspan:100"},
	{"IP in IP", 101, ip4(4, packet4), plain4 + " in ipip"},
	{"4in6", 101, ip6(4, packet4), plain4 + " in 4in6"},
	{"6in4", 101, ip4(41, packet6), plain6 + " in 6in4"},
	{"6in6, behind an extension header", 101, ip6(protoDestOptions, join(ext(41, ""), packet6)), plain6 + " in 6in6"},
	{"6to4, either direction", 101, ip4(41, sixToFour), strings.Replace(plain6, "fd00::5", "2002::5", 1) + " in 6to4"},
	{"AH before a tunnel", 101, ip4(protoAH, join([]byte("\x04\x04"), make([]byte, 22), packet4)), plain4 + " in ipip"},
	{"EtherIP", 101, ip4(97, head("\x30\x00", frame4)), plain4 + " in etherip"},
	{"EtherIP of another version", 101, ip4(97, head("\x20\x00", frame4)), "malformed tunnel header"},
	{"MPLS in IP", 101, ip4(137, head("\x00\x02\x01\x40", packet4)), plain4 + " in mpls"},
	{"MPLS in UDP", 101, over(6635, head("\x00\x01\x00\x40\x00\x02\x01\x40", packet4)), plain4 + " in mpls"},
	{"Teredo", 101, over(3544, packet6), plain6 + " in teredo"},
	{"Teredo with authentication and origin", 101, ip4(protoUDP, udp(3544, 40000, head("\x00\x01\x02\x03abcde"+zeros(9)+"\x00\x00"+zeros(6), packet6))), plain6 + " in teredo"},
	{"Teredo's port with something else", 101, over(3544, hello), "udp"},
	{"AYIYA", 101, over(5072, head("\x41\x52\x11\x29"+zeros(4)+zeros(16)+zeros(20), packet6)), plain6 + " in ayiya"},
	{"AYIYA that answers no packet", 101, over(5072, head("\x41\x52\x12\x29"+zeros(4)+zeros(16)+zeros(20), packet6)), "udp"},
	{"VXLAN", 101, over(4789, head(vxlan42, frame4)), plain4 + " in vxlan:42"},
	{"VXLAN on Linux' port, from it", 101, ip4(protoUDP, udp(8472, 40000, head(vxlan42, frame6))), plain6 + " in vxlan:42"},
	{"VXLAN with group policy", 101, over(4789, head("\x88\x00\x00\x07\x00\x00\x2a\x00", frame4)), plain4 + " in vxlan:42"},
	{"VXLAN over IPv6, VLANs outside and inside", 1, head(etherMACs+"\x81\x00"+vlanTag(5, "\x86\xdd"), ip6(protoUDP, udp(1, 4789, head(vxlan42+etherMACs+"\x81\x00"+vlanTag(7, "\x08\x00"), packet4)))), plain4 + " on [5 7] in vxlan:42"},
	{"VXLAN's port with a DNS answer", 101, over(4789, []byte("\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01")), "udp"},
	{"VXLAN with LLDP", 101, over(4789, head(vxlan42, ether(0x88cc, hello))), "not IP"},
	{"VXLAN-GPE with IPv6", 101, over(4790, head("\x0c\x00\x00\x02\x00\x00\x2a\x00", packet6)), plain6 + " in vxlan-gpe:42"},
	{"VXLAN-GPE with NSH with Ethernet", 101, over(4790, head("\x0c\x00\x00\x04\x00\x00\x2a\x00\x0f\xc2\x02\x03\x00\x00\x01\xff", frame4)), plain4 + " in vxlan-gpe:42"},
	{"VXLAN-GPE without a next protocol", 101, over(4790, head(vxlan42, frame4)), plain4 + " in vxlan-gpe:42"},
	{"VXLAN-GPE with a protocol to come", 101, over(4790, head("\x0c\x00\x00\x09\x00\x00\x2a\x00", frame4)), "not IP"},
	{"VXLAN-GPE for maintenance", 101, over(4790, head("\x0d\x00\x00\x03\x00\x00\x2a\x00", frame4)), "not IP"},
	{"GENEVE", 101, over(6081, head("\x00\x00\x65\x58\x00\x00\x2a\x00", frame4)), plain4 + " in geneve:42"},
	{"GENEVE with options, critical ones too", 101, over(6081, head("\x03\x40\x65\x58\x00\x00\x2a\x00\x01\x08\x80\x02"+zeros(8), frame6)), plain6 + " in geneve:42"},
	{"GENEVE with IPv4 alone", 101, over(6081, head("\x00\x00\x08\x00\x00\x00\x2a\x00", packet4)), plain4 + " in geneve:42"},
	{"GENEVE with more options than there is", 101, over(6081, head("\x3f\x00\x08\x00\x00\x00\x2a\x00", nil)), "malformed tunnel header"},
	{"GENEVE's port with something else", 101, over(6081, hello), "udp"},
	{"GTP-U", 101, over(2152, head("\x30\xff\x00\x2d\x00\x00\x12\x34", packet4)), plain4 + " in gtp"},
	{"GTP-U from its port", 101, ip4(protoUDP, udp(2152, 40000, head("\x30\xff\x00\x41\x00\x00\x12\x34", packet6))), plain6 + " in gtp"},
	{"GTP-U with a sequence number", 101, over(2152, head("\x32\xff\x00\x31\x00\x00\x12\x34\x00\x01\x00\x00", packet4)), plain4 + " in gtp"},
	{"GTP-U with the extension headers of 5G", 101, over(2152, head("\x34\xff\x00\x39\x00\x00\x12\x34\x00\x00\x00\x85\x01\x00\x09\x40\x01\x00\x00\x00", packet4)), plain4 + " in gtp"},
	{"GTP-U, an extension header of no length", 101, over(2152, head("\x34\xff\x00\x35\x00\x00\x12\x34\x00\x00\x00\x85\x00\x00\x09\x00", packet4)), "malformed tunnel header"},
	{"GTP-U with Ethernet", 101, over(2152, head("\x30\xff\x00\x3b\x00\x00\x12\x34", frame4)), plain4 + " in gtp"},
	{"GTP-U echo request", 101, over(2152, []byte("\x32\x01\x00\x04\x00\x00\x00\x00\x00\x01\x00\x00")), "udp"},
	{"L2TPv2", 101, ip4(protoUDP, udp(1701, 1701, head("\x40\x02\x00\x39\x00\x07\x00\x09\xff\x03\x00\x21", packet4))), plain4 + " in l2tp"},
	{"L2TPv2 with sequence numbers and an offset", 101, over(1701, head("\x0a\x02\x00\x07\x00\x09\x00\x01\x00\x02\x00\x02\x00\x00\xff\x03\x00\x57", packet6)), plain6 + " in l2tp"},
	{"L2TPv2 control", 101, over(1701, head("\xc8\x02\x00\x0c\x00\x07\x00\x00\x00\x01\x00\x02", nil)), "udp"},
	{"L2TPv3 over UDP", 101, over(1701, head("\x00\x03\x00\x00\x00\x00\x12\x34", frame4)), plain4 + " in l2tp"},
	{"L2TPv3", 101, ip4(115, head("\x00\x00\x12\x34", frame4)), plain4 + " in l2tp"},
	{"L2TPv3 with a cookie of 4", 101, ip4(115, head("\x00\x00\x12\x34\xde\xad\xbe\xef", frame4)), plain4 + " in l2tp"},
	{"L2TPv3 with a cookie of 8 and a sublayer", 101, ip4(115, head("\x00\x00\x12\x34\xde\xad\xbe\xef\xde\xad\xbe\xef\x00\x00\x00\x00", frame6)), plain6 + " in l2tp"},
	{"L2TPv3 with PPP", 101, ip4(115, head("\x00\x00\x12\x34\xff\x03\x00\x21", packet4)), plain4 + " in l2tp"},
	{"L2TPv3 with Cisco HDLC after a sublayer", 101, ip4(115, head("\x00\x00\x12\x34\x00\x00\x00\x00\x0f\x00\x08\x00", packet4)), plain4 + " in l2tp"},
	{"L2TPv3 control", 101, ip4(115, head("\x00\x00\x00\x00\xc8\x03", frame4)), "other IP protocol"},
	{"L2TPv3 with what nobody knows", 101, ip4(115, head("\x00\x00\x12\x34", bytes.Repeat([]byte("\x55"), 60))), "not IP"},
	{"CAPWAP with 802.3", 101, over(5247, head("\x00\x10\x02\x00\x00\x00\x00\x00", frame4)), plain4 + " in capwap"},
	{"CAPWAP with 802.11", 101, ip4(protoUDP, udp(5247, 40000, head("\x00\x10\x43\x00\x00\x00\x00\x00"+dot11, packet4))), plain4 + " in capwap"},
	{"CAPWAP with 802.11, frame control swapped", 101, over(5247, head("\x00\x10\x43\x00\x00\x00\x00\x00\x02\x08"+dot11[2:], packet4)), plain4 + " in capwap"},
	{"CAPWAP keep-alive", 101, over(5247, head("\x00\x10\x02\x08\x00\x00\x00\x00\x00\x00", nil)), "not IP"},
	{"CAPWAP, a later fragment", 101, over(5247, head("\x00\x10\x02\x80\x00\x01\x00\x10", frame4)), "later IP fragment"},
	{"CAPWAP in DTLS", 101, over(5247, head("\x01\x00\x00\x00\x17\xfe\xfd\x00\x00", frame4)), "encrypted or compressed"},
	{"TZSP", 101, over(37008, head("\x01\x00\x00\x01\x01", frame4)), plain4 + " in tzsp"},
	{"TZSP with 802.11 and tags", 101, over(37008, head("\x01\x00\x00\x12\x0a\x01\xcd\x00\x12\x01\x06\x01"+dot11, packet4)), plain4 + " in tzsp"},
	{"TZSP keep-alive", 101, over(37008, []byte("\x01\x04\x00\x00")), "udp"},
	{"WireGuard data", 101, over(51820, head("\x04\x00\x00\x00", make([]byte, 60))), "encrypted or compressed"},
	{"WireGuard handshake", 101, over(51820, head("\x01\x00\x00\x00", make([]byte, 144))), "encrypted or compressed"},
	{"WireGuard's port with something else", 101, over(51820, hello), "udp"},
	{"ESP", 101, ip4(50, hello), "encrypted or compressed"},
	{"ESP behind AH", 101, ip6(protoAH, join([]byte("\x32\x04"), make([]byte, 22), hello)), "encrypted or compressed"},
	{"ESP in UDP", 101, over(4500, head("\x00\x00\x10\x01", make([]byte, 40))), "encrypted or compressed"},
	{"IKE on ESP's port", 101, over(4500, make([]byte, 40)), "udp"},
	{"keep-alive on ESP's port", 101, over(4500, []byte("\xff")), "udp"},
	{"IPComp", 101, ip4(108, hello), "encrypted or compressed"},
	{"tunnels in tunnels in order", 1, ether(etherIPv4, ip4(4, over(4789, head(vxlan42, ether(etherIPv6, ip6(47, head("\x20\x00\x08\x00\x00\x00\x00\x07", packet4))))))), plain4 + " in ipip,vxlan:42,gre:7"},
	{"as many tunnels as are followed", 101, nested(maxTunnels), plain4 + " in " + strings.Repeat("ipip,", maxTunnels-1) + "ipip"},
	{"one tunnel more", 101, nested(maxTunnels + 1), "nested too deep"},
	{"an ICMP error in a tunnel", 101, ip4(4, ip4(protoICMP, join([]byte("\x03\x03"), make([]byte, 6), packet4))), "icmp 3/3 from 10.0.0.5 about 10.0.0.5:51544 > 10.0.0.9:5432 seq 1000 in ipip"},
	{"the first fragment of a tunnel's packet has the inner headers", 101, with(ip4(4, packet4), 6, "\x20\x00"), plain4 + " in ipip"},
	{"ordinary UDP from a high port", 101, ip4(protoUDP, udp(53, 40000, hello)), "udp"},
	{"UDP that claims to be longer than its packet", 101, with(over(4789, head(vxlan42, frame4)), 24, "\xff\xff"), plain4 + " in vxlan:42"},
	{"UDP cut off", 101, ip4(protoUDP, []byte("\x00\x01\x12")), "udp"},
}

// nested is IP in so many times IP.
func nested(depth int) []byte {
	b := packet4
	for range depth {
		b = ip4(4, b)
	}
	return b
}

// encapsulations are both lists.
func encapsulations() []encapsulation {
	return append(append([]encapsulation(nil), linkEncapsulations...), tunnelEncapsulations...)
}

func TestEncapsulations(t *testing.T) {
	for _, c := range encapsulations() {
		if got := decodeOne(c.link, c.data, len(c.data)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.why, got, c.want)
		}
	}
}

// Each list has a test of each of its lines.
func TestListsAreTested(t *testing.T) {
	links := map[uint16]bool{0: true, 1: true, 9: true, 12: true, 14: true, 50: true, 51: true, 101: true, 104: true, 108: true, 113: true, 127: true, 228: true, 229: true, 276: true}
	for _, c := range linkEncapsulations {
		links[c.link] = true
	}
	for _, l := range linkTypes {
		if !links[l.number] {
			t.Errorf("link type %d, %s, has no test", l.number, l.name)
		}
	}
	for i := range tunnels {
		tun := &tunnels[i]
		met := false
		for _, c := range tunnelEncapsulations {
			if c.link == 101 && c.data[0]>>4 == 4 && c.want != "udp" {
				dst := be.Uint16(c.data[22:])
				met = met || tun.port == 0 && tun.proto == c.data[9] || tun.port != 0 && c.data[9] == protoUDP && (dst == tun.port || tun.from && be.Uint16(c.data[20:]) == tun.port)
			}
		}
		if !met {
			t.Errorf("%s has no test", tun.name)
		}
	}
	for i, name := range tunnelNames {
		met := i == 0
		for _, c := range encapsulations() {
			_, in, _ := strings.Cut(c.want, " in ")
			for _, n := range strings.Split(in, ",") {
				n, _, _ = strings.Cut(n, ":")
				met = met || n == name
			}
		}
		if !met {
			t.Errorf("nothing in the tests is in %s", name)
		}
	}
}

// A frame cut anywhere is counted as cut, or as the UDP that it is as far as one
// can see, or delivered with the length that the IP header says.
func TestEverySnapLengthOfEncapsulations(t *testing.T) {
	for _, c := range encapsulations() {
		if !strings.Contains(c.want, " len 5 ") || c.link == 10 || c.link == 117 {
			continue // those by way of gopacket say what it makes of them
		}
		udp := 0
		for n := 1; n < len(c.data); n++ {
			got := decodeOne(c.link, c.data[:n], len(c.data))
			if got == "udp" {
				udp++
			} else if got != "truncated before TCP header" && !strings.Contains(got, " len 5 ") {
				t.Errorf("%s: %d of %d octets: %s", c.why, n, len(c.data), got)
			}
		}
		if udp > udpHeaderLen {
			t.Errorf("%s: cut at %d lengths it is UDP", c.why, udp)
		}
	}
}

// Nothing is allocated for any encapsulation but those by way of gopacket.
func TestEncapsulationsDoNotAllocate(t *testing.T) {
	for _, c := range encapsulations() {
		if c.link == 10 || c.link == 117 {
			continue
		}
		s := &stream{d: decoder{links: &linkTable{}}}
		in := port{link: linkTypeOf(c.link)}
		var p Packet
		if n := testing.AllocsPerRun(10, func() {
			s.d.decode(s.begin(&in, c.data, uint32(len(c.data)), 1), &p)
		}); n != 0 {
			t.Errorf("%s: %v allocations", c.why, n)
		}
	}
}

// Path is the number of VLANs and tunnels alone, without what the options leave
// out.
func TestPath(t *testing.T) {
	tagged := func(id byte) []byte { return head(etherMACs+"\x81\x00"+vlanTag(id, "\x08\x00"), packet4) }
	in := func(id byte, vni string) []byte {
		return head(etherMACs+"\x81\x00"+vlanTag(id, "\x08\x00"), over(4789, head("\x08\x00\x00\x00\x00\x00"+vni+"\x00", frame4)))
	}
	unreachable := head(etherMACs+"\x81\x00"+vlanTag(1, "\x08\x00"), ip4(protoICMP, join([]byte("\x03\x03"), make([]byte, 6), packet4)))
	frames := [][]byte{frame4, tagged(1), tagged(2), in(1, "a"), in(1, "b"), in(2, "a"), tagged(1), frame4, unreachable}
	for _, c := range []struct {
		why  string
		o    Options
		want []uint32
	}{
		{"all counts", Options{}, []uint32{0, 1, 2, 3, 4, 5, 1, 0, 1}},
		{"VLANs left out", Options{IgnoreVLAN: true}, []uint32{0, 0, 0, 1, 2, 1, 0, 0, 0}},
		{"tunnels left out", Options{IgnoreTunnel: true}, []uint32{0, 1, 2, 1, 1, 2, 1, 0, 1}},
		{"both left out", Options{IgnoreVLAN: true, IgnoreTunnel: true}, make([]uint32, 9)},
	} {
		// The same on two interfaces: the path does not say which.
		file := join(ngSection(le), ngInterface(le, 1, 0, ngOption(le, optionIfName, "a")), ngInterface(le, 1, 0, ngOption(le, optionIfName, "b")))
		for i, f := range frames {
			file = append(file, ngPacket(le, uint32(i)%2, uint64(i), f, len(f))...)
			file = append(file, ngPacket(le, uint32(i+1)%2, uint64(i), f, len(f))...)
		}
		packets, src, err := readAll(t, file, c.o)
		if err != nil || len(packets) != 2*len(frames) {
			t.Fatalf("%s: %d packets, %v", c.why, len(packets), err)
		}
		for i, p := range packets {
			path, link := p.Segment.Path, p.Segment.Link
			if p.Kind == KindUnreachable {
				path, link = p.Unreachable.Path, p.Unreachable.Link
			}
			if path != c.want[i/2] {
				t.Errorf("%s: frame %d: path %d, want %d", c.why, i+1, path, c.want[i/2])
			}
			if l := src.Links()[link]; (len(l.VLAN) > 0) != (i/2 != 0 && i/2 != 7) || (len(l.Tunnel) > 0) != (i/2 >= 3 && i/2 <= 5) {
				t.Errorf("%s: frame %d: link %+v", c.why, i+1, l)
			}
		}
	}
}

// The longest path still has its own number, and what is read after it finds
// nothing of it.
func TestPathsDoNotLeak(t *testing.T) {
	deep := ether(etherIPv4, nested(maxTunnels))
	_, src, err := readAll(t, pcapFile(1, deep, frame4, ether(etherIPv4, nested(2)), deep, head(etherMACs+"\x81\x00"+vlanTag(7, "\x08\x00"), packet4)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []analyzer.Link{{Tunnel: strings.Split(strings.Repeat("ipip ", maxTunnels)[:5*maxTunnels-1], " ")}, {}, {Tunnel: []string{"ipip", "ipip"}}, {VLAN: []uint16{7}}}
	links := src.Links()
	if len(links) != len(want) {
		t.Fatalf("links %+v", links)
	}
	for i := range want {
		if strings.Join(links[i].Tunnel, " ") != strings.Join(want[i].Tunnel, " ") || len(links[i].VLAN) != len(want[i].VLAN) {
			t.Errorf("link %d: %+v, want %+v", i, links[i], want[i])
		}
	}
}

// encapsulationFiles are the captures of testdata/encapsulations.
func encapsulationFiles(t testing.TB) map[string][]byte {
	t.Helper()
	paths, _ := filepath.Glob("testdata/encapsulations/*.pcap")
	if len(paths) == 0 {
		t.Fatal("testdata/encapsulations is empty")
	}
	files := map[string][]byte{}
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimSuffix(filepath.Base(path), ".pcap")] = file
	}
	return files
}

// tsharkAnswers are the lines of tshark.txt by capture.
func tsharkAnswers(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/encapsulations/tshark.txt")
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, " ")
		answers[name] += rest
	}
	// tshark does not know their link types; the packets are the same.
	for _, name := range []string{"slip", "pppd", "chdlc_with_dir", "frelay_with_dir", "mpls_link"} {
		answers[name] = answers["raw"]
	}
	return answers
}

// Each capture gives the segments that tshark finds in it, and nothing is
// unaccounted for. What is encrypted gives none.
func TestAgainstTshark(t *testing.T) {
	answers := tsharkAnswers(t)
	for name, file := range encapsulationFiles(t) {
		packets, src, err := readAll(t, file, Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got strings.Builder
		for _, p := range packets {
			s := &p.Segment
			fmt.Fprintln(&got, s.Frame, s.SrcPort, s.DstPort, uint32(s.Seq), s.Len)
		}
		if got.String() != answers[name] {
			t.Errorf("%s:\n got %q\nwant %q", name, got.String(), answers[name])
		}
		checkStats(t, src, len(file))
		if st := src.Stats(); answers[name] == "" && st.Skipped[SkippedEncrypted] != st.Frames {
			t.Errorf("%s: skipped %s", name, skipped(st))
		}
	}
}

// Where gopacket finds a segment it is the same one, to the last field.
func TestEncapsulationsAgainstGopacket(t *testing.T) {
	var agreed []string
	for name, file := range encapsulationFiles(t) {
		packets, _, err := readAll(t, file, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ours := map[uint64]analyzer.Segment{}
		for i := range packets {
			ours[packets[i].Segment.Frame] = packets[i].Segment
		}
		link, all := le.Uint16(file[20:]), true
		for at, frame := pcapHeaderLen, uint64(1); at < len(file); frame++ {
			size := int(le.Uint32(file[at+8:]))
			data := bytes.Clone(file[at+pcapRecordLen : at+pcapRecordLen+size])
			if link == linkDot11 || link == 119 {
				data = append(data, 0, 0, 0, 0) // it takes the last octets for a checksum
			}
			want, _ := oracle(link, data, frame, time.Unix(int64(le.Uint32(file[at:])), 0))
			at += pcapRecordLen + size
			if want == nil {
				all = false
				continue
			}
			got := ours[frame]
			want.Link, want.Path = got.Link, got.Path
			alikeSums(want, &got)
			if got != *want {
				t.Errorf("%s: frame %d:\n ours     %+v\n gopacket %+v", name, frame, got, *want)
			}
		}
		if all {
			agreed = append(agreed, name)
		}
	}
	slices.Sort(agreed)
	t.Logf("gopacket finds every segment of %d captures: %s", len(agreed), strings.Join(agreed, " "))
	if len(agreed) < 25 {
		t.Errorf("only %d captures compared", len(agreed))
	}
}
