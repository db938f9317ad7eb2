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

// Across is the part of a Detector that looks across flows.
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
	groups    bounded[Group, *record]
	found     []Finding // of groups that had to make room
}

// record is what is kept of one group.
type record struct {
	roll    *Roll   // of a listener or pair
	tallies []Tally // by detector; nil where it wanted no flow yet
}

// record returns that of a group.
func (c *scope) record(g Group) *record {
	if r := c.groups.get(g); r != nil {
		return r
	}
	return c.groups.put(g, &record{})
}

// add counts a flow, as seen from side s, for whoever wants it. A group that
// has no record yet begins one with the first that does.
func (c *scope) add(g Group, r *record, f *Flow, s Side) {
	for i, d := range c.detectors {
		if !d.Across.Wants(f, s) {
			continue
		}
		if r == nil {
			r = c.record(g)
		}
		if r.tallies == nil {
			r.tallies = make([]Tally, len(c.detectors))
		}
		if r.tallies[i] == nil {
			r.tallies[i] = d.Across.New()
		}
		r.tallies[i].Add(f, s)
	}
}

// findings appends what there is to say of a group.
func (c *scope) findings(all []Finding, g Group, r *record) []Finding {
	for i, t := range r.tallies {
		if t == nil {
			continue
		}
		d := c.detectors[i]
		n := Finding{Detector: d, Severity: d.Severity, Side: NoSide, Subject: g.String(), Count: 1}
		if t.Find(&n) {
			n.Last = max(n.Last, n.At)
			n.Next = g.fill(d.Next)
			all = append(all, n)
		}
	}
	return all
}

// leave keeps what there is to say of a group that has to make room.
func (c *scope) leave(g Group, r *record) {
	if len(c.found) < maxGroups {
		c.found = c.findings(c.found, g, r)
	}
}

// bounded is a map that makes room by dropping what has waited longest without
// being asked for: a second chance each time round. The order is the same in
// every run.
type bounded[K comparable, V any] struct {
	at    map[K]int
	slots []slot[K, V]
	hand  int
	limit int
	leave func(K, V) // told of what is dropped; may be nil
	gone  uint64     // how many were dropped
}

type slot[K comparable, V any] struct {
	key  K
	v    V
	used bool
}

// get returns the value of a key, or the zero value.
func (b *bounded[K, V]) get(k K) (v V) {
	i, ok := b.at[k]
	if !ok {
		return v
	}
	b.slots[i].used = true
	return b.slots[i].v
}

// put adds a key that is not there, and returns v.
func (b *bounded[K, V]) put(k K, v V) V {
	if b.at == nil {
		b.at = map[K]int{}
	}
	if len(b.slots) < b.limit {
		b.at[k] = len(b.slots)
		b.slots = append(b.slots, slot[K, V]{key: k, v: v})
		return v
	}
	for b.slots[b.hand].used {
		b.slots[b.hand].used = false
		b.hand = (b.hand + 1) % len(b.slots)
	}
	old := &b.slots[b.hand]
	if b.gone++; b.leave != nil {
		b.leave(old.key, old.v)
	}
	delete(b.at, old.key)
	b.at[k] = b.hand
	*old = slot[K, V]{key: k, v: v}
	b.hand = (b.hand + 1) % len(b.slots)
	return v
}

// each calls do for every key, in the order of the slots.
func (b *bounded[K, V]) each(do func(K, V)) {
	for i := range b.slots {
		do(b.slots[i].key, b.slots[i].v)
	}
}
