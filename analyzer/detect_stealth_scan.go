package analyzer

import (
	"fmt"
	"slices"
	"strings"
)

var stealthScan = &Detector{
	Name:  "stealth-scan",
	Doc:   "a host probes ports with segments that open no connection",
	Cause: "somebody runs a port scanner (nmap -sN, -sF, -sX, -sA) from that address",
	Causes: []string{
		"a vulnerability scanner or an asset inventory on its round",
		"a tool that finds out operating systems (nmap -O) by their answers to odd flags",
	},
	LooksLike: []string{
		"the tail of a connection that began before the capture",
		"keep-alive probes of old connections",
		"connections to one service that a restarted server resets",
	},
	Next:      "who is CLIENT, and is it allowed to? on it: ss -tp; ps; drop such segments: nft add rule inet filter input tcp flags \\& (fin|syn|rst|ack) == 0 drop",
	Reference: "RFC 9293 3.10.7.1, 3.10.7.4 (fifth step)",
	Severity:  Warning,
	Example: `
flows 6 apart 10ms by service
a > b  FPU 100  win 1024
b > a  R.  0  ack 101  win 0
`,
	Across: &Across{By: ByHost, Wants: wantsProbe, New: func() Tally { return new(stealthProbes) }},
}

// wantsProbe wants a flow whose first segment has neither ACK, SYN nor RST,
// which no stack sends, or one that is no more than an ACK that nobody took.
func wantsProbe(f *Flow, s Side) bool {
	return s == f.Client && (f.probed(s) || f.loneACK(s))
}

// probed reports whether side s began the flow with such a segment.
func (f *Flow) probed(s Side) bool {
	r := f.Remark(FactNoACK, s)
	return r != nil && r.Frame == f.FirstFrame
}

// loneACK reports whether all that side s sent is one bare ACK, to a system
// port (RFC 6335 6), and all that it got a RST. An ephemeral port may be that
// of a client whose server wants to know if it lives.
func (f *Flow) loneACK(s Side) bool {
	const registered = 1024
	e, p := &f.Sides[s].Counters, &f.Sides[s.Peer()].Counters
	return e.Segments == 1 && e.Bytes == 0 && e.SYN+e.FIN+e.Resets == 0 && !f.Sides[s].hasFIN &&
		p.Segments == p.Resets && f.Key.Port[s.Peer()] < registered
}

// stealthProbes are those of one host.
type stealthProbes struct{ odd, bare probes }

// probes are segments that open nothing, of one sort.
type probes struct {
	flowList
	at, last int64
	frame    uint64
	answered int            // with RST
	flags    []Flags        // which there were
	targets  []Group        // the first few different ones
	from     map[uint16]int // how many came from each port, of the first few ports
}

// maxProbes bounds the targets that are told apart.
const maxProbes = 32

func (t *stealthProbes) Add(f *Flow, s Side) {
	if f.probed(s) {
		t.odd.count(f, s, f.probe)
	} else {
		t.bare.count(f, s, ACK)
	}
}

func (p *probes) count(f *Flow, s Side, flags Flags) {
	if p.n == 0 || f.Start < p.at {
		p.at, p.frame = f.Start, f.FirstFrame
	}
	p.add(f.Number)
	p.last = max(p.last, f.Start)
	if f.Sides[s.Peer()].Counters.Resets > 0 {
		p.answered++
	}
	if p.from == nil {
		p.from = map[uint16]int{}
	}
	if port := f.Key.Port[s]; p.from[port] > 0 || len(p.from) < maxProbes {
		p.from[port]++
	}
	if !slices.Contains(p.flags, flags) && len(p.flags) < 4 {
		p.flags = append(p.flags, flags)
	}
	to := Group{To: f.Key.Addr[s.Peer()], Port: f.Key.Port[s.Peer()]}
	if len(p.targets) < maxProbes && !slices.Contains(p.targets, to) {
		p.targets = append(p.targets, to)
	}
}

// scans reports whether bare ACKs are probes: to many ports and from one, or
// to many different services. The old connections of a client each have a port
// of their own, and few services.
func (p *probes) scans() bool {
	const many = 8
	var ports []uint16
	for i := range p.targets {
		if !slices.Contains(ports, p.targets[i].Port) {
			ports = append(ports, p.targets[i].Port)
		}
	}
	same := 0
	for _, n := range p.from {
		same = max(same, n)
	}
	return len(ports) >= many || len(p.targets) >= many && same >= p.n-p.n/4
}

func (t *stealthProbes) Find(n *Finding) bool {
	const several = 3
	p := &t.odd
	if p.n == 0 {
		p = &t.bare
		if !p.scans() {
			return false
		}
	}
	if len(p.targets) < several {
		n.Severity = Info
	}
	n.At, n.Last, n.Frame, n.Count, n.For = p.at, p.last, p.frame, p.n, p.last-p.at
	p.onto(n)
	var kinds []string
	for _, fl := range slices.Sorted(slices.Values(p.flags)) {
		kinds = append(kinds, probeName(fl))
	}
	to := plural(len(p.targets), "target")
	if len(p.targets) == maxProbes {
		to = fmt.Sprintf("%d targets or more", maxProbes)
	}
	n.Evidence = fmt.Sprintf("%s (%s) to %s, from frame %s on; %d answered with RST",
		plural(p.n, "probe"), strings.Join(kinds, ", "), to, FrameText(p.frame), p.answered)
	return true
}

// probeName is what scanners call a probe with these flags.
func probeName(fl Flags) string {
	switch fl {
	case 0:
		return "NULL"
	case FIN:
		return "FIN"
	case FIN | PSH | URG:
		return "XMAS"
	case ACK:
		return "ACK"
	}
	return "flags " + fl.String()
}
