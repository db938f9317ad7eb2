package filter

import "maps"

// keywords are the words that the language has a meaning for, with the one
// spelling that the parser knows. As in tcpdump they are in lower case.
var keywords = func() map[string]string {
	m := map[string]string{
		"link": "ether", "ppp": "ether", "slip": "ether", "fddi": "ether", "tr": "ether", "wlan": "ether",
		"length": "len", "direction": "dir", "lsu": "lssu",
		"address1": "addr1", "address2": "addr2", "address3": "addr3", "address4": "addr4",
		"ifname": "on", "ruleset": "rset", "rulenum": "rnr", "subrulenum": "srnr", "es-is": "esis", "is-is": "isis",
	}
	for name := range protocols {
		m[name] = name
	}
	for _, name := range []string{
		"src", "dst", "host", "net", "mask", "port", "portrange", "proto", "protochain", "gateway",
		"less", "greater", "byte", "broadcast", "multicast", "and", "or", "not", "len",
		"inbound", "outbound", "ifindex", "vlan", "mpls", "pppoed", "pppoes",
	} {
		m[name] = name
	}
	for name := range foreign {
		m[name] = name
	}
	return m
}()

// foreign are tcpdump's keywords for link types and protocols that the built-in
// language leaves to tcpdump.
var foreign = set("geneve", "iso", "esis", "isis", "l1", "l2", "iih", "lsp", "snp", "csnp", "psnp", "clnp", "radio",
	"type", "subtype", "dir", "addr1", "addr2", "addr3", "addr4", "ra", "ta", "llc",
	"on", "rset", "rnr", "srnr", "reason", "action",
	"lane", "metac", "bcc", "oam", "oamf4", "oamf4ec", "oamf4sc", "sc", "ilmic", "vpi", "vci", "connectmsg", "metaconnect",
	"fisu", "lssu", "msu", "hfisu", "hlssu", "hmsu", "sio", "opc", "dpc", "sls", "hsio", "hopc", "hdpc", "hsls")

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

// layerKind is in which header a protocol's number stands.
type layerKind uint8

const (
	layerLink layerKind = iota // it is the link layer itself
	layerType                  // an ethertype, or an 802.2 service access point
	layerIP                    // the protocol of IPv4 or the next header of IPv6
	layerIPv4                  // of IPv4 alone
	layerIPv6                  // of IPv6 alone
)

// protocol is one that can stand before an address or for itself.
type protocol struct {
	layer  layerKind
	number uint32
	// transport: its header follows that of IPv4, so that p[0] is behind it.
	transport bool
}

const (
	etherIPv4      = 0x0800
	etherARP       = 0x0806
	etherRARP      = 0x8035
	etherAppleTalk = 0x809b
	etherAARP      = 0x80f3
	etherIPX       = 0x8137
	etherIPv6      = 0x86dd
	etherVLAN      = 0x8100
	etherQinQ      = 0x88a8
	etherOldQinQ   = 0x9100
	etherMPLS      = 0x8847
	etherPPPoED    = 0x8863
	etherPPPoES    = 0x8864
	etherDECnet    = 0x6003
	etherXNS       = 0x0600

	// Service access points of 802.2.
	sapIP      = 0x06
	sapSTP     = 0x42
	sapSNAP    = 0xaa
	sapIPX     = 0xe0
	sapNetBEUI = 0xf0
	sapISO     = 0xfe

	protoTCP      = 6
	protoUDP      = 17
	protoFragment = 44
	protoICMPv6   = 58
	protoSCTP     = 132
)

// protocols are those that have a keyword.
var protocols = map[string]protocol{
	"ether":   {layer: layerLink},
	"ip":      {layerType, etherIPv4, false},
	"ip6":     {layerType, etherIPv6, false},
	"arp":     {layerType, etherARP, false},
	"rarp":    {layerType, etherRARP, false},
	"atalk":   {layerType, etherAppleTalk, false},
	"aarp":    {layerType, etherAARP, false},
	"decnet":  {layerType, etherDECnet, false},
	"lat":     {layerType, 0x6004, false},
	"sca":     {layerType, 0x6007, false},
	"mopdl":   {layerType, 0x6001, false},
	"moprc":   {layerType, 0x6002, false},
	"stp":     {layerType, sapSTP, false},
	"ipx":     {layerType, sapIPX, false},
	"netbeui": {layerType, sapNetBEUI, false},
	"tcp":     {layerIP, protoTCP, true},
	"udp":     {layerIP, protoUDP, true},
	"sctp":    {layerIP, protoSCTP, true},
	"icmp":    {layerIPv4, 1, true},
	"igmp":    {layerIPv4, 2, true},
	"igrp":    {layerIPv4, 9, true},
	"pim":     {layerIP, 103, true},
	"vrrp":    {layerIPv4, 112, true},
	"carp":    {layerIPv4, 112, true},
	"icmp6":   {layerIPv6, protoICMPv6, false},
	"ah":      {layerIP, 51, false},
	"esp":     {layerIP, 50, false},
}

// etherNames are what `ether proto` takes besides numbers.
var etherNames = map[string]uint32{
	"aarp": etherAARP, "arp": etherARP, "atalk": etherAppleTalk, "decnet": etherDECnet, "ip": etherIPv4, "ip6": etherIPv6,
	"lat": 0x6004, "loopback": 0x9000, "mopdl": 0x6001, "moprc": 0x6002, "rarp": etherRARP, "sca": 0x6007,
	"iso": sapISO, "stp": sapSTP, "ipx": sapIPX, "netbeui": sapNetBEUI,
}

// ipNames are what `proto`, `ip proto` and `ip6 proto` take besides numbers: the
// names of IANA's list that are in use.
var ipNames = map[string]uint32{
	"ip": 0, "hopopt": 0, "icmp": 1, "igmp": 2, "ggp": 3, "ipencap": 4, "st": 5, "tcp": 6, "egp": 8, "igp": 9, "udp": 17,
	"rdp": 27, "dccp": 33, "ipv6": 41, "ipv6-route": 43, "ipv6-frag": 44, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51,
	"ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "eigrp": 88, "ospf": 89, "ipip": 94, "etherip": 97,
	"pim": 103, "ipcomp": 108, "vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136, "mpls-in-ip": 137,
}

// transports say for which protocols a service has its port.
type transports uint8

const (
	onTCP transports = 1 << iota
	onUDP
	onBoth = onTCP | onUDP
)

type service struct {
	port uint32
	on   transports
}

// services are the names that `port` and `portrange` take, with the protocols
// that Debian's /etc/services has them for: tcpdump asks that file, and here an
// expression means the same everywhere.
var services = map[string]service{
	"ftp-data": {20, onTCP}, "ftp": {21, onTCP}, "ssh": {22, onTCP}, "telnet": {23, onTCP}, "smtp": {25, onTCP}, "mail": {25, onTCP},
	"whois": {43, onTCP}, "tacacs": {49, onBoth}, "domain": {53, onBoth}, "bootps": {67, onUDP}, "bootpc": {68, onUDP},
	"tftp": {69, onUDP}, "finger": {79, onTCP}, "http": {80, onTCP}, "www": {80, onTCP}, "kerberos": {88, onBoth},
	"pop3": {110, onTCP}, "sunrpc": {111, onBoth}, "auth": {113, onTCP}, "nntp": {119, onTCP}, "ntp": {123, onUDP},
	"netbios-ns": {137, onUDP}, "netbios-dgm": {138, onUDP}, "netbios-ssn": {139, onTCP}, "imap2": {143, onTCP}, "imap": {143, onTCP},
	"snmp": {161, onBoth}, "snmp-trap": {162, onBoth}, "bgp": {179, onTCP}, "ldap": {389, onBoth}, "https": {443, onBoth},
	"microsoft-ds": {445, onBoth}, "submissions": {465, onTCP}, "syslog": {514, onUDP}, "printer": {515, onTCP}, "submission": {587, onTCP},
	"rtsp": {554, onBoth}, "ldaps": {636, onBoth}, "domain-s": {853, onBoth}, "rsync": {873, onTCP},
	"imaps": {993, onTCP}, "pop3s": {995, onTCP}, "socks": {1080, onTCP}, "openvpn": {1194, onBoth}, "ms-sql-s": {1433, onTCP},
	"radius": {1812, onBoth}, "nfs": {2049, onBoth}, "mysql": {3306, onTCP}, "svn": {3690, onTCP}, "sip": {5060, onBoth},
	"sip-tls": {5061, onBoth}, "xmpp-client": {5222, onTCP}, "mdns": {5353, onUDP}, "postgresql": {5432, onTCP}, "amqp": {5672, onBoth},
	"x11": {6000, onTCP}, "redis": {6379, onTCP}, "http-alt": {8080, onTCP},
}

// constants are the names that stand for a number anywhere.
var constants = func() map[string]uint32 {
	m := map[string]uint32{
		"icmptype": 0, "icmpcode": 1, "icmp6type": 0, "icmp6code": 1, "tcpflags": 13,
		"tcp-fin": 1, "tcp-syn": 2, "tcp-rst": 4, "tcp-push": 8, "tcp-ack": 16, "tcp-urg": 32, "tcp-ece": 64, "tcp-cwr": 128,
	}
	maps.Copy(m, map[string]uint32{
		"icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5, "icmp-echo": 8,
		"icmp-routeradvert": 9, "icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12, "icmp-tstamp": 13,
		"icmp-tstampreply": 14, "icmp-ireq": 15, "icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18,
	})
	maps.Copy(m, map[string]uint32{
		"icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3, "icmp6-parameterproblem": 4,
		"icmp6-echo": 128, "icmp6-echoreply": 129, "icmp6-multicastlistenerquery": 130, "icmp6-multicastlistenerreportv1": 131,
		"icmp6-multicastlistenerdone": 132, "icmp6-routersolicit": 133, "icmp6-routeradvert": 134, "icmp6-neighborsolicit": 135,
		"icmp6-neighboradvert": 136, "icmp6-redirect": 137, "icmp6-routerrenum": 138, "icmp6-nodeinformationquery": 139,
		"icmp6-nodeinformationresponse": 140, "icmp6-ineighbordiscoverysolicit": 141, "icmp6-ineighbordiscoveryadvert": 142,
		"icmp6-multicastlistenerreportv2": 143, "icmp6-homeagentdiscoveryrequest": 144, "icmp6-homeagentdiscoveryreply": 145,
		"icmp6-mobileprefixsolicit": 146, "icmp6-mobileprefixadvert": 147, "icmp6-certpathsolicit": 148, "icmp6-certpathadvert": 149,
		"icmp6-multicastrouteradvert": 151, "icmp6-multicastroutersolicit": 152, "icmp6-multicastrouterterm": 153,
	})
	return m
}()
