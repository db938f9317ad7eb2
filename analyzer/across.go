package analyzer

import (
	"net/netip"
	"slices"
	"strconv"
)

// Group names what flows have in common: a listener (To and Port), a host
// (From), or a pair (From, and To with or without Port). What is zero is open.
type Group struct {
	From, To Addr
	Port     uint16
}

// String spells the group: "10.0.0.9:5432", "10.0.0.5" or
// "10.0.0.5 > 10.0.0.9:5432".
func (g Group) String() string {
	to := ""
	switch {
	case g.To != Addr{} && g.Port != 0:
		to = netip.AddrPortFrom(g.To.Netip(), g.Port).String()
	case g.To != Addr{}:
		to = g.To.Netip().String()
	case g.Port != 0:
		to = "*:" + strconv.Itoa(int(g.Port))
	}
	switch {
	case g.From == Addr{}:
		return to
	case to == "":
		return g.From.Netip().String()
	}
	return g.From.Netip().String() + " > " + to
}

// fill puts the group's addresses and port into a detector's advice.
func (g Group) fill(next string) string {
	a := advice{port: -1}
	if (g.From != Addr{}) {
		a.client = g.From.Netip()
	}
	if (g.To != Addr{}) {
		a.server = g.To.Netip()
	}
	if g.Port != 0 {
		a.port = int(g.Port)
	}
	return a.fill(next)
}

// Scope says what the flows of a group have in common.
type Scope uint8

// The scopes. A flow counts in one group of each but ByHost, where it counts in
// those of both its hosts.
const (
	ByListener Scope = iota // the server's address and port; seen from the server
	ByPair                  // the client's address with the listener; seen from the client
	ByHost                  // one address; seen from the side that has it
	numScopes
)

// Across is the part of a Detector that looks across flows. Detectors that have
// one and the same Across share its tallies: each is asked for what it finds.
type Across struct {
	By Scope
	// Wants says whether a flow that has ended counts in its group, as seen
	// from side s: most flows of healthy traffic best do not.
	Wants func(f *Flow, s Side) bool
	// New returns the record that a group's first flow begins.
	New func() Tally
}

// Tally is what a detector keeps of one group: bounded, however many flows
// there are.
type Tally interface {
	// Add counts a flow of the group, as seen from side s. It keeps nothing
	// of f.
	Add(f *Flow, s Side)
	// Find fills in what it has to say of the group: n comes with Detector,
	// Severity, Side and Subject. It returns false when that is nothing.
	Find(n *Finding) bool
}

// maxFlowsNamed is how many flows a finding across flows names.
const maxFlowsNamed = 10

// flowList is the flows that a finding rests on: the first few and how many.
type flowList struct {
	first []int
	n     int
}

func (l *flowList) add(number int) {
	if l.n++; len(l.first) < maxFlowsNamed {
		l.first = append(l.first, number)
	}
}

// onto puts the flows into a finding.
func (l *flowList) onto(n *Finding) {
	n.Flows, n.FlowCount = slices.Sorted(slices.Values(l.first)), l.n
}

// maxGroups bounds the groups of each scope.
const maxGroups = 1 << 14

// scope is all groups of one kind.
type scope struct {
	detectors []*Detector // that look at groups of this kind
	across    []*Across   // of these, each once
	groups    groups
	rolls     slab[rolling] // by group; of listeners and pairs
	tallies   []Tally       // by group, one for each Across; nil where it wanted no flow yet
	found     []Finding     // of groups that had to make room
	who       []int         // kept for its memory
}

// watch makes a detector look at groups of this kind.
func (c *scope) watch(d *Detector) {
	c.detectors = append(c.detectors, d)
	if !slices.Contains(c.across, d.Across) {
		c.across = append(c.across, d.Across)
	}
}

// id returns the number of a group.
func (c *scope) id(g *Group) int {
	id := c.groups.id(g)
	if len(c.tallies) < len(c.groups.keys)*len(c.across) {
		c.tallies = append(c.tallies, make([]Tally, len(c.across))...)
	}
	return id
}

// ask returns the number of a group that had this one, or -1, before others
// were asked for.
func (c *scope) ask(g *Group, id int) int {
	if id < 0 || c.groups.keys[id] != *g {
		return c.id(g)
	}
	c.groups.used[id] = true
	return id
}

// talliesOf returns those of a group.
func (c *scope) talliesOf(id int) []Tally {
	return c.tallies[id*len(c.across):][:len(c.across)]
}

// wants says who wants a flow, as seen from side s: their numbers, valid until
// the next call.
func (c *scope) wants(f *Flow, s Side) (who []int) {
	who = c.who[:0]
	for i, a := range c.across {
		if a.Wants(f, s) {
			who = append(who, i)
		}
	}
	c.who = who
	return who
}

// add counts a flow of a group, as seen from side s, for those who want it.
func (c *scope) add(id int, who []int, f *Flow, s Side) {
	tallies := c.talliesOf(id)
	for _, i := range who {
		if tallies[i] == nil {
			tallies[i] = c.across[i].New()
		}
		tallies[i].Add(f, s)
	}
}

// findings appends what there is to say of a group.
func (c *scope) findings(all []Finding, id int) []Finding {
	g, tallies := c.groups.keys[id], c.talliesOf(id)
	for _, d := range c.detectors {
		t := tallies[slices.Index(c.across, d.Across)]
		if t == nil {
			continue
		}
		n := Finding{Detector: d, Severity: d.Severity, Side: NoSide, Subject: g.String(), Count: 1}
		if t.Find(&n) {
			n.Last = max(n.Last, n.At)
			n.Next = g.fill(d.Next)
			all = append(all, n)
		}
	}
	return all
}

// leave keeps what there is to say of a group that has to make room, and
// empties what is kept of it.
func (c *scope) leave(id int) {
	if len(c.found) < maxGroups {
		c.found = c.findings(c.found, id)
	}
	clear(c.talliesOf(id))
	if id < c.rolls.n {
		*c.rolls.at(id) = rolling{}
	}
}

// slab is a list whose items stay where they are while it grows.
type slab[T any] struct {
	pieces [][]T
	n      int
}

// slabPiece is how many items a slab takes memory for at once.
const slabPiece = 64

// at returns the i-th item; the first that is not there yet is made.
func (l *slab[T]) at(i int) *T {
	if i == l.n {
		if i%slabPiece == 0 {
			l.pieces = append(l.pieces, make([]T, slabPiece))
		}
		l.n++
	}
	return &l.pieces[i/slabPiece][i%slabPiece]
}
