package live

import "net/netip"

// Interface is one that could be captured on.
type Interface struct {
	Name      string
	Index     int            // 0 for Any
	Addresses []netip.Prefix // with the length of their network's prefix
	State     string         // "up", "down" or "no carrier"; empty for Any
	Link      string         // kind of its link layer, as "Ethernet"; empty when not known
	LinkType  uint16         // of its frames, as listed at tcpdump.org/linktypes.html; meaningful when HasLinkType
	MTU       int            // octets; 0 when not known
	Packets   uint64         // received and sent since it is there; meaningful when HasPackets
	Missing   []Missing      // what keeps it from being captured on; empty when nothing does

	HasLinkType, HasPackets bool
}

// Missing is something that keeps an interface from being captured on.
type Missing struct {
	What   string // as "no permission to capture"
	Remedy string // what would help; empty where nothing is known to
}

// Ready reports whether a capture on the interface would begin.
func (i *Interface) Ready() bool { return len(i.Missing) == 0 }
