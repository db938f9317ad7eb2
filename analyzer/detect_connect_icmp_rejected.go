package analyzer

import "fmt"

var connectICMPRejected = &Detector{
	Name:  "connect-icmp-rejected",
	Doc:   "a router or host answered the SYN with an ICMP error: it will not be delivered",
	Cause: "a firewall rule that rejects, a missing route, or a host that is down behind its router; the code says which",
	Causes: []string{
		"a VPN or interface that is down: the route leads nowhere",
		"no answer to ARP or neighbour discovery on the last hop (host unreachable)",
		"an address that is stale or of another network",
	},
	LooksLike: []string{
		"an ICMP error about another connection of the pair: it quotes another number",
		"an error after the connection is open: a soft one, it goes on",
		"an error about a SYN that is answered after all",
		"time exceeded or packet too big: neither ends the attempt",
	},
	Example: `
a > b  S   100  mss 1460
icmp unreachable a seq 100 type 3 code 13
`,
	Next:      "on the router that says so: its filter rules and routes to SERVER; from the client: ip route get SERVER",
	Reference: "RFC 792, RFC 4443 3.1, RFC 1122 4.2.3.9",
	Severity:  Warning,
	End:       endConnectICMPRejected,
}

// endConnectICMPRejected wants an error that quotes the SYN and that nothing
// of the server's belies. An error about a later segment is a soft one (RFC
// 5927 4.1); so is one about the size. A client that sends its SYN again may
// yet be answered.
func endConnectICMPRejected(d *Detector, f *Flow) {
	s := f.Client
	e, p := &f.Sides[s], &f.Sides[s.Peer()]
	sent := f.entered(s, SynSent)
	if sent == nil || sent.Basis != Observed || p.LastSent != 0 || !f.rejectsSYN(s) {
		return
	}
	obeyed := e.State == Closed && f.took(RcvICMP)
	if !obeyed && e.State != SynSent && !f.timedOut(s, SynSent) {
		return
	}
	u := f.Unreached
	n := Finding{Detector: d, Severity: d.Severity, Side: NoSide, At: u.Time, Frame: u.Frame, Frames: []uint64{sent.Frame}}
	by := u.From.Netip().String()
	if u.From == f.Key.Addr[s.Peer()] {
		by = "the server itself"
	}
	n.Evidence = fmt.Sprintf("client's SYN (frame %s) rejected by %s in frame %s: %s; no answer of the server's is to be expected",
		FrameText(sent.Frame), by, FrameText(u.Frame), u.says())
	if obeyed {
		f.Raise(n)
		return
	}
	n.For = f.Now - sent.Time
	f.pend(n, SynSent, "") // it goes on trying
}

// rejectsSYN reports whether an ICMP error says that the side's SYN cannot be
// delivered.
func (f *Flow) rejectsSYN(s Side) bool {
	u, e := f.Unreached, &f.Sides[s]
	return u != nil && u.ends() && e.hasISN && u.Seq == e.isn && f.Remark(FactUnreachable, s) != nil
}

// The words of RFC 792 and RFC 1812 5.2.7.1, by code.
var unreachable4 = [...]string{
	"network unreachable", "host unreachable", "protocol unreachable", "port unreachable", "fragmentation needed",
	"source route failed", "network unknown", "host unknown", "source host isolated",
	"network administratively prohibited", "host administratively prohibited", "network unreachable for this service",
	"host unreachable for this service", "communication administratively prohibited", "host precedence violation",
	"precedence cutoff in effect",
}

// And those of RFC 4443 3.1.
var unreachable6 = [...]string{
	"no route to destination", "communication administratively prohibited", "beyond scope of source address",
	"address unreachable", "port unreachable", "source address failed ingress or egress policy", "reject route to destination",
}

// says puts an error that ends an attempt into words, its code kept.
func (u *Unreachable) says() string {
	protocol, words := "ICMP", unreachable4[:]
	if u.V6 {
		protocol, words = "ICMPv6", unreachable6[:]
	}
	what := "destination unreachable"
	if int(u.Code) < len(words) {
		what = words[u.Code]
	}
	return fmt.Sprintf("%s (%s type %d code %d)", what, protocol, u.Type, u.Code)
}
