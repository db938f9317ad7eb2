package live

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	linkEthernet = 1
	linkRawIP    = 101
)

// hardware is one kind of interface, as if_arp.h numbers them.
type hardware struct {
	arphrd   uint16
	name     string
	linkType uint16 // of what a packet socket shows, as listed at tcpdump.org/linktypes.html
	known    bool   // linkType is meaningful
}

// hardwares is the list of the kinds that are known. A device without a header
// of its own shows what begins with the network header (af_packet.c, where
// dev_has_header is false).
var hardwares = []hardware{
	{unix.ARPHRD_ETHER, "Ethernet", linkEthernet, true},
	{unix.ARPHRD_LOOPBACK, "loopback", linkEthernet, true},
	{unix.ARPHRD_NONE, "raw IP", linkRawIP, true}, // tun, WireGuard
	{unix.ARPHRD_RAWIP, "raw IP", linkRawIP, true},
	{unix.ARPHRD_TUNNEL, "IP in IP", linkRawIP, true},
	{unix.ARPHRD_TUNNEL6, "IPv6 tunnel", linkRawIP, true},
	{unix.ARPHRD_SIT, "IPv6 in IPv4", linkRawIP, true},
	{unix.ARPHRD_IPGRE, "GRE", linkRawIP, true},
	{unix.ARPHRD_IP6GRE, "GRE over IPv6", linkRawIP, true},
	{unix.ARPHRD_PPP, "PPP", linkRawIP, true},
	{unix.ARPHRD_CISCO, "Cisco HDLC", 104, true},
	{unix.ARPHRD_IEEE80211, "802.11", 105, true},
	{unix.ARPHRD_IEEE80211_PRISM, "802.11 with Prism header", 119, true},
	{unix.ARPHRD_IEEE80211_RADIOTAP, "802.11 with radiotap header", 127, true},

	{unix.ARPHRD_INFINIBAND, "InfiniBand", 0, false},
	{unix.ARPHRD_CAN, "CAN bus", 0, false},
	{unix.ARPHRD_NETLINK, "netlink", 0, false},
	{unix.ARPHRD_VSOCKMON, "vsock", 0, false},
}

// hardwareOf returns the kind of that number; where it is not in the list, one
// that is not known and has no name.
func hardwareOf(arphrd uint16) hardware {
	for _, h := range hardwares {
		if h.arphrd == arphrd {
			return h
		}
	}
	return hardware{arphrd: arphrd}
}

// linkProblem says that frames of a kind cannot be decoded.
func linkProblem(h hardware) Missing {
	name := h.name
	if name == "" {
		name = fmt.Sprintf("ARPHRD %d", h.arphrd)
	}
	return Missing{"link type " + name + " has no decoder here", "capture on an interface that carries IP"}
}
