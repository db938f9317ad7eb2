package analyzer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

var portScan = &Detector{
	Name:      "port-scan",
	Doc:       "one source tries many ports of a host, and most are not open",
	Cause:     "a port scanner",
	Causes:    []string{"an inventory or vulnerability scan of your own", "a program with a wrong address that walks through ports", "FTP or RPC data connections that a firewall blocks"},
	LooksLike: []string{"a service that restarts: one port refuses", "retries and discovery: the same few targets again and again", "a SYN flood with forged sources: each has one target", "clients of a host that is down: they send their SYN again"},
	Next:      "who is CLIENT, and may it scan? ss -ltn on the open ports' host: is each meant to be reachable? then block CLIENT at the edge",
	Reference: "RFC 9293 3.10.7.1, RFC 4949 (port scan)",
	Severity:  Warning,
	Across:    &Across{Group: groupByProber, New: func() Tally { return &scanTally{of: (*scanTally).ports} }},
	Example: `flows 20 apart 5ms by service
a > b  S   100
b > a  R.  0    ack 101`,
}

var hostSweep = &Detector{
	Name:      "host-sweep",
	Doc:       "one source tries the same port on many hosts, and most do not answer or refuse",
	Cause:     "a worm or scanner looks for hosts that offer one service",
	Causes:    []string{"an inventory scan of your own", "a client with an old list of servers"},
	LooksLike: []string{"a client that talks to many hosts with success", "retries and discovery: the same few hosts again and again", "a port scan of one host"},
	Next:      "who is CLIENT, and may it scan? on CLIENT: ss -tnp state syn-sent (the process); which of the hosts answered?",
	Reference: "RFC 4949 (sweep)",
	Severity:  Warning,
	Across:    &Across{Group: groupByProber, New: func() Tally { return &scanTally{of: (*scanTally).hosts} }},
	Example: `flows 20 apart 5ms by server
a > b  S   100
b > a  R.  0    ack 101`,
}

// probed is what an attempt to connect showed of its target.
type probed uint8

const (
	probedNothing probed = iota // no attempt, or one that does not look like a probe
	probedSilent                // no answer
	probedClosed                // refused, by RST or ICMP
	probedOpen                  // SYN+ACK, and nothing was said
	probedUsed                  // a connection that carried data
)

// attempt classifies a flow as its client's attempt. Programs that want to
// connect send their SYN again and again; scanners ask once or twice.
func (f *Flow) attempt() probed {
	const patient = 2
	h := &f.Handshake
	switch {
	case f.Guessed || f.synAt == 0:
		return probedNothing
	case f.Sides[0].Turns+f.Sides[1].Turns > 0:
		return probedUsed
	case h.Result == HandshakeRefused || h.Result == HandshakeRejectedICMP:
		return probedClosed
	case f.Sides[f.Server()].hasISN:
		return probedOpen
	case h.Result == HandshakeUnanswered && h.SYNRetransmits < patient:
		return probedSilent
	}
	return probedNothing
}

func groupByProber(f *Flow, s Side) (Group, bool) {
	return Group{From: f.Key.Addr[s]}, s == f.Client && f.attempt() != probedNothing
}

// target is one port of one host.
type target struct {
	addr Addr
	port uint16
}

// maxTargets bounds the targets that are told apart of one source.
const maxTargets = 1024

type scanTally struct {
	of      func(*scanTally, target) target // the part of a target that a scan keeps
	targets map[target]*tries
	left    int // attempts at further targets
}

// tries are the attempts at one target.
type tries struct {
	best        probed
	n           int
	first, last int64
	frame       uint64
	flow        int // of first
}

func (t *scanTally) ports(x target) target { return target{addr: x.addr} }
func (t *scanTally) hosts(x target) target { return target{port: x.port} }

func (t *scanTally) Add(f *Flow, s Side) {
	x := target{f.Key.Addr[s.Peer()], f.Key.Port[s.Peer()]}
	old := t.targets[x]
	if old == nil {
		if len(t.targets) == maxTargets {
			t.left++
			return
		}
		if t.targets == nil {
			t.targets = map[target]*tries{}
		}
		old = &tries{first: f.Start, frame: f.FirstFrame, flow: f.Number}
		t.targets[x] = old
	}
	if f.Start < old.first {
		old.first, old.frame, old.flow = f.Start, f.FirstFrame, f.Number
	}
	old.n++
	old.best, old.last = max(old.best, f.attempt()), max(old.last, f.Start)
}

// scan is what a source did to one host, or with one port.
type scan struct {
	key         target
	n           [probedUsed + 1]int // targets by what they showed
	tries       int
	first, last int64
	frame       uint64
	flows       []int
	open        []target
}

func (s *scan) failed() int  { return s.n[probedSilent] + s.n[probedClosed] }
func (s *scan) targets() int { return s.failed() + s.n[probedOpen] + s.n[probedUsed] }

// scanned reports whether this is a scan: many targets, each tried about once,
// and most of them in vain.
func (s *scan) scanned() bool {
	const many = 15
	return s.targets() >= many && s.failed()*4 >= s.targets()*3 && s.tries <= 2*s.targets()
}

// scans sorts the targets by what a scan keeps, the largest first.
func (t *scanTally) scans() []*scan {
	by := map[target]*scan{}
	for x, tr := range t.targets {
		key := t.of(t, x)
		s := by[key]
		if s == nil {
			s = &scan{key: key}
			by[key] = s
		}
		if s.targets() == 0 || tr.first < s.first {
			s.first, s.frame = tr.first, tr.frame
		}
		s.n[tr.best]++
		s.tries += tr.n
		s.last = max(s.last, tr.last)
		s.flows = append(s.flows, tr.flow)
		if tr.best >= probedOpen {
			s.open = append(s.open, x)
		}
	}
	all := slices.DeleteFunc(slices.Collect(maps.Values(by)), func(s *scan) bool { return !s.scanned() })
	slices.SortFunc(all, func(a, b *scan) int {
		return cmp.Or(cmp.Compare(b.targets(), a.targets()), cmp.Compare(a.first, b.first), compareTargets(a.key, b.key))
	})
	return all
}

func compareTargets(a, b target) int {
	return cmp.Or(slices.Compare(a.addr[:], b.addr[:]), cmp.Compare(a.port, b.port))
}

func (t *scanTally) Find(n *Finding) bool {
	all := t.scans()
	if len(all) == 0 {
		return false
	}
	s := all[0]
	n.At, n.Last, n.Frame, n.For, n.Count = s.first, s.last, s.frame, s.last-s.first, len(all)
	n.Evidence = fmt.Sprintf("%s within %s: %d refused, %d unanswered, %d open%s%s",
		t.what(s), since(n.For), s.n[probedClosed], s.n[probedSilent], s.targets()-s.failed(), s.names(), t.more(all))
	if s.n[probedClosed]+s.n[probedOpen]+s.n[probedUsed] == 0 {
		n.lower("nothing that the targets sent was captured, if they sent anything")
	}
	slices.Sort(s.flows)
	n.Flows, n.FlowCount = s.flows[:min(len(s.flows), maxFlowsNamed)], len(s.flows)
	return true
}

// what says what the source tried.
func (t *scanTally) what(s *scan) string {
	least := ""
	if t.left > 0 {
		least = "at least "
	}
	if s.key.port == 0 {
		return fmt.Sprintf("it tries %s%d ports of %s", least, s.targets(), s.key.addr.Netip())
	}
	return fmt.Sprintf("it tries port %d of %s%d hosts", s.key.port, least, s.targets())
}

// names lists the targets that are open, a few of them.
func (s *scan) names() string {
	const few = 8
	if len(s.open) == 0 {
		return ""
	}
	slices.SortFunc(s.open, compareTargets)
	var list []string
	for _, x := range s.open[:min(len(s.open), few)] {
		if s.key.port == 0 {
			list = append(list, strconv.Itoa(int(x.port)))
		} else {
			list = append(list, x.addr.Netip().String())
		}
	}
	if len(s.open) > few {
		list = append(list, "…")
	}
	return " (" + strings.Join(list, ", ") + ")"
}

// more says what else the source scanned.
func (t *scanTally) more(all []*scan) string {
	if len(all) == 1 {
		return ""
	}
	if all[0].key.port == 0 {
		return fmt.Sprintf("; and as many as %d ports of %s", all[1].targets(), plural(len(all)-1, "other host"))
	}
	return fmt.Sprintf("; and as many as %d hosts for %s", all[1].targets(), plural(len(all)-1, "other port"))
}
