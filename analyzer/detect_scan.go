package analyzer

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

var portScan = &Detector{
	Name:      "port-scan",
	Doc:       "one source tries many ports of a host, and most are not open",
	Cause:     "a port scanner",
	Causes:    []string{"an inventory or vulnerability scan of your own", "a program with a wrong address that walks through ports", "FTP or RPC data connections that a firewall blocks"},
	LooksLike: []string{"a service that restarts: one port refuses", "retries and discovery: the same few targets again and again", "a SYN flood with forged sources: each has one target", "clients of a host that is down: they send their SYN again", "a data connection of FTP that fails now and then"},
	Next:      "who is CLIENT, and may it scan? on the open ports' host: ss -ltn; is each meant to be reachable? then block CLIENT at the edge",
	Reference: "RFC 9293 3.10.7.1, RFC 4949 (port scan), Zeek policy/misc/scan",
	Severity:  Warning,
	Across:    attempts,
	Example: `flows 20 apart 5ms by service
a > b  S   100
b > a  R.  0    ack 101`,
}

var hostSweep = &Detector{
	Name:      "host-sweep",
	Doc:       "one source tries the same port on many hosts, and most do not answer or refuse",
	Cause:     "a worm or scanner looks for hosts that offer one service",
	Causes:    []string{"an inventory scan of your own", "a client with an old list of servers"},
	LooksLike: []string{"a client that talks to many hosts with success", "retries and discovery: the same few hosts again and again", "a port scan of one host", "peer-to-peer: many of the peers are gone, and each has a port of its own"},
	Next:      "who is CLIENT, and may it scan? on CLIENT: ss -tnp state syn-sent (the process); which of the hosts answered?",
	Reference: "RFC 4949 (sweep), Zeek policy/misc/scan",
	Severity:  Warning,
	Across:    attempts,
	Example: `flows 20 apart 5ms by server
a > b  S   100
b > a  R.  0    ack 101`,
}

// attempts are what both look at.
var attempts = &Across{By: ByHost, Wants: wantsAttempt, New: func() Tally { return &scanTally{} }}

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
// connect send their SYN again and again; scanners ask once or twice. A SYN in
// the last second of the capture may yet be answered.
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
	case h.Result == HandshakeUnanswered && h.SYNRetransmits < patient && f.Now-f.Start >= int64(time.Second):
		return probedSilent
	}
	return probedNothing
}

func wantsAttempt(f *Flow, s Side) bool {
	return s == f.Client && f.attempt() != probedNothing
}

// target is one port of one host.
type target struct {
	addr Addr
	port uint16
}

// maxTargets bounds the targets that are told apart of one source.
const maxTargets = 1024

type scanTally struct {
	targets []tries  // by target
	last    int      // the one that was tried last
	left    int      // attempts at further targets
	first   [1]tries // where targets begin: many a client has one only
}

// tries are the attempts at one target.
type tries struct {
	target
	best  probed
	n     uint32
	first int64
	last  int64
	frame uint64
	flow  int // of first
}

// hostOf and portOf are the part of a target that a scan keeps.
func hostOf(x target) target { return target{addr: x.addr} }
func portOf(x target) target { return target{port: x.port} }

func (t *scanTally) Add(f *Flow, s Side) {
	old := t.at(target{f.Key.Addr[s.Peer()], f.Key.Port[s.Peer()]})
	if old == nil {
		t.left++
		return
	}
	if old.n == 0 || f.Start < old.first {
		old.first, old.frame, old.flow = f.Start, f.FirstFrame, f.Number
	}
	old.n++
	old.best, old.last = max(old.best, f.attempt()), max(old.last, f.Start)
}

// at returns the attempts at a target; nil where there is no room for another.
func (t *scanTally) at(x target) *tries {
	if t.last < len(t.targets) && t.targets[t.last].target == x {
		return &t.targets[t.last]
	}
	i := sort.Search(len(t.targets), func(i int) bool { return compareTargets(t.targets[i].target, x) >= 0 })
	if i == len(t.targets) || t.targets[i].target != x {
		if len(t.targets) == maxTargets {
			return nil
		}
		if t.targets == nil {
			t.targets = t.first[:0]
		}
		t.targets = slices.Insert(t.targets, i, tries{target: x})
	}
	t.last = i
	return &t.targets[i]
}

// scan is what a source did to one host, or with one port.
type scan struct {
	key         target
	n           [probedUsed + 1]int // targets by what they showed
	vain        int                 // attempts at those that failed
	first, last int64
	frame       uint64
	firsts      []int64 // when each target was first tried
	flows       []int
	open        []target
}

func (s *scan) failed() int  { return s.n[probedSilent] + s.n[probedClosed] }
func (s *scan) targets() int { return s.failed() + s.n[probedOpen] + s.n[probedUsed] }

// scanned reports whether this is a scan: many targets, most of them in vain,
// and those tried about once. What fails now and then for hours is none: a slow
// scan has to come to more.
func (s *scan) scanned() bool {
	const many, manySlow = 15, 60
	return s.targets() >= many && s.failed()*4 >= s.targets()*3 && s.vain <= 2*s.failed() &&
		(s.targets() >= manySlow || s.quick() >= many)
}

// quick returns how many targets were first tried within five minutes, Zeek's
// interval for both kinds of scan.
func (s *scan) quick() (most int) {
	slices.Sort(s.firsts)
	lo := 0
	for i := range s.firsts {
		for s.firsts[i]-s.firsts[lo] > int64(5*time.Minute) {
			lo++
		}
		most = max(most, i+1-lo)
	}
	return most
}

// scans sorts the targets by what a scan keeps, the largest first.
func (t *scanTally) scans(kept func(target) target) []*scan {
	by := map[target]*scan{}
	for i := range t.targets {
		tr := &t.targets[i]
		key := kept(tr.target)
		s := by[key]
		if s == nil {
			s = &scan{key: key}
			by[key] = s
		}
		s.add(tr)
	}
	dead := t.deadHosts()
	all := slices.DeleteFunc(slices.Collect(maps.Values(by)), func(s *scan) bool {
		return !s.scanned() || s.key.port != 0 && s.failed()*2 < dead
	})
	slices.SortFunc(all, func(a, b *scan) int {
		return cmp.Or(cmp.Compare(b.targets(), a.targets()), cmp.Compare(a.first, b.first), compareTargets(a.key, b.key))
	})
	return all
}

func (s *scan) add(tr *tries) {
	if s.targets() == 0 || tr.first < s.first {
		s.first, s.frame = tr.first, tr.frame
	}
	s.n[tr.best]++
	if tr.best < probedOpen {
		s.vain += int(tr.n)
	} else {
		s.open = append(s.open, tr.target)
	}
	s.last = max(s.last, tr.last)
	s.firsts = append(s.firsts, tr.first)
	s.flows = append(s.flows, tr.flow)
}

// deadHosts counts the hosts that failed on any port. A sweep asks nearly all
// of them for each of its ports; the peers of peer-to-peer traffic, of which
// many are gone, have a port each.
func (t *scanTally) deadHosts() (n int) {
	last := Addr{}
	for i := range t.targets {
		if tr := &t.targets[i]; tr.best < probedOpen && (n == 0 || tr.addr != last) {
			n, last = n+1, tr.addr
		}
	}
	return n
}

func compareTargets(a, b target) int {
	return cmp.Or(bytes.Compare(a.addr[:], b.addr[:]), cmp.Compare(a.port, b.port))
}

func (t *scanTally) Find(n *Finding) bool {
	kept := hostOf
	if n.Detector == hostSweep {
		kept = portOf
	}
	all := t.scans(kept)
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
