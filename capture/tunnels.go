package capture

import "encoding/binary"

// tunnel is one way to carry packets in IP.
type tunnel struct {
	name  string
	proto uint8  // IP protocol number, or
	port  uint16 // UDP port, as destination
	from  bool   // and as source
	// decode moves the frame past the tunnel's header, puts the tunnel on its
	// path and returns what follows. Behind a UDP port, where anything may be
	// found, it returns SkippedUDP, the frame untouched, for what does not look
	// like its header.
	decode func(*frame) (layer, Reason)
}

// tunnels is the list of all tunnels, and of what is known to be encrypted.
var tunnels = []tunnel{
	{name: "GRE, NVGRE, ERSPAN, PPTP", proto: 47, decode: decodeGRE},
	{name: "IPv4 in IP", proto: protoIPv4, decode: decodeIPv4InIP},
	{name: "IPv6 in IP, 6to4", proto: protoIPv6, decode: decodeIPv6InIP},
	{name: "EtherIP", proto: 97, decode: decodeEtherIP},
	{name: "L2TPv3", proto: 115, decode: decodeL2TPv3},
	{name: "MPLS in IP", proto: 137, decode: decodeMPLSInIP},
	{name: "IPsec ESP", proto: 50, decode: decodeEncrypted},
	{name: "IPComp", proto: 108, decode: decodeEncrypted},

	{name: "VXLAN", port: 4789, from: true, decode: decodeVXLAN},
	{name: "VXLAN of Linux before it had a port", port: 8472, from: true, decode: decodeVXLAN},
	{name: "VXLAN-GPE", port: 4790, decode: decodeVXLANGPE},
	{name: "GENEVE", port: 6081, decode: decodeGENEVE},
	{name: "GTP-U", port: 2152, from: true, decode: decodeGTP},
	{name: "Teredo", port: 3544, from: true, decode: decodeTeredo},
	{name: "L2TP", port: 1701, from: true, decode: decodeL2TP},
	{name: "AYIYA", port: 5072, from: true, decode: decodeAYIYA},
	{name: "MPLS in UDP", port: 6635, decode: decodeMPLSInUDP},
	{name: "CAPWAP data", port: 5247, from: true, decode: decodeCAPWAP},
	{name: "TZSP", port: 37008, decode: decodeTZSP},
	{name: "WireGuard", port: 51820, from: true, decode: decodeWireGuard},
	{name: "IPsec ESP in UDP", port: 4500, from: true, decode: decodeUDPESP},
}

// tunnelName is what stands in analyzer.Link.Tunnel.
type tunnelName uint8

const (
	tunnelGRE tunnelName = iota + 1
	tunnelNVGRE
	tunnelERSPAN
	tunnelPPTP
	tunnelIPIP
	tunnel4in6
	tunnel6in4
	tunnel6in6
	tunnel6to4
	tunnelEtherIP
	tunnelL2TP
	tunnelMPLS
	tunnelVXLAN
	tunnelVXLANGPE
	tunnelGENEVE
	tunnelGTP
	tunnelTeredo
	tunnelAYIYA
	tunnelCAPWAP
	tunnelTZSP
	tunnelBackbone
)

var tunnelNames = [...]string{
	tunnelGRE:      "gre",
	tunnelNVGRE:    "nvgre",
	tunnelERSPAN:   "erspan",
	tunnelPPTP:     "pptp",
	tunnelIPIP:     "ipip",
	tunnel4in6:     "4in6",
	tunnel6in4:     "6in4",
	tunnel6in6:     "6in6",
	tunnel6to4:     "6to4",
	tunnelEtherIP:  "etherip",
	tunnelL2TP:     "l2tp",
	tunnelMPLS:     "mpls",
	tunnelVXLAN:    "vxlan",
	tunnelVXLANGPE: "vxlan-gpe",
	tunnelGENEVE:   "geneve",
	tunnelGTP:      "gtp",
	tunnelTeredo:   "teredo",
	tunnelAYIYA:    "ayiya",
	tunnelCAPWAP:   "capwap",
	tunnelTZSP:     "tzsp",
	tunnelBackbone: "pbb",
}

// hop is the tunnel as a part of the path.
func (n tunnelName) hop() hop { return hop(n) << hopName }

// with is the same with an identifier. Only one that both directions of a flow
// have alike may be given: it can become a part of the flow's key.
func (n tunnelName) with(id uint32) hop { return n.hop() | hopNumbered | hop(id) }

const udpHeaderLen = 8

// tunnel goes into the tunnel of an IP protocol.
func (f *frame) tunnel(proto uint8) Reason {
	for i := range tunnels {
		if t := &tunnels[i]; t.proto == proto && t.port == 0 {
			return f.open(t)
		}
	}
	return SkippedIPProtocol
}

// udp goes into the tunnel that a UDP port stands for, if there is one.
func (f *frame) udp() Reason {
	if len(f.data) < udpHeaderLen {
		return SkippedUDP
	}
	src, dst := binary.BigEndian.Uint16(f.data), binary.BigEndian.Uint16(f.data[2:])
	for i := range tunnels {
		t := &tunnels[i]
		if t.port == 0 || t.port != dst && (t.port != src || !t.from) {
			continue
		}
		whole, wire := f.data, f.wire
		f.advance(udpHeaderLen)
		if reason := f.open(t); reason != SkippedUDP {
			return reason
		}
		f.data, f.wire = whole, wire
	}
	return SkippedUDP
}

// open reads a tunnel's header.
func (f *frame) open(t *tunnel) Reason {
	if f.tunnels++; f.tunnels > maxTunnels {
		return SkippedTooDeep
	}
	next, reason := t.decode(f)
	if reason != delivered {
		return reason
	}
	f.inner = next
	return encapsulated
}
