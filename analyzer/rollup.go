package analyzer

import (
	"cmp"
	"slices"
	"strings"
)

// Rollup adds up ended flows by listener and by pair, and looks for what only
// many flows together show. Its memory is bounded, however many flows it is
// given; captures are few. It is not safe for concurrent use.
type Rollup struct {
	detectors []*Detector // that look across flows, and at captures
	scopes    [numScopes]scope
	captures  []captured
}

// NewRollup returns a Rollup with those of the detectors that look across
// flows; nil is Detectors.
func NewRollup(detectors []*Detector) *Rollup {
	if detectors == nil {
		detectors = Detectors
	}
	r := &Rollup{}
	for i := range r.scopes {
		c := &r.scopes[i]
		c.groups = newGroups(maxGroups, c.leave)
	}
	for _, d := range detectors {
		if d.Across != nil || d.Lost != nil {
			r.detectors = append(r.detectors, d)
		}
		if d.Across != nil {
			r.scopes[d.Across.By].watch(d)
		}
	}
	return r
}

// Add counts a flow that has ended (Config.OnFlow). It keeps nothing of f.
//
// Most of what is known of its groups has not been used for long. All of them
// are looked up first, so that the processor fetches one while it waits for
// the other.
func (r *Rollup) Add(f *Flow) {
	c, v := f.Client, f.Server()
	listeners, pairs, hosts := &r.scopes[ByListener], &r.scopes[ByPair], &r.scopes[ByHost]
	pair := Group{From: f.Key.Addr[c], To: f.Key.Addr[v], Port: f.Key.Port[v]}
	listener := Group{To: pair.To, Port: pair.Port}
	host := [2]Group{{From: f.Key.Addr[0]}, {From: f.Key.Addr[1]}}
	h := [2]int{hosts.groups.known(&host[0]), hosts.groups.known(&host[1])}
	p, l := pairs.id(&pair), listeners.id(&listener)

	b := f.brief()
	pairs.rolls.at(p).add(f, b)
	listeners.rolls.at(l).add(f, b)
	for s := range Side(2) {
		if who := hosts.wants(f, s); len(who) > 0 {
			hosts.add(hosts.ask(&host[s], h[s]), who, f, s)
		}
	}
	pairs.add(p, pairs.wants(f, c), f, c)
	listeners.add(l, listeners.wants(f, v), f, v)
}

// Findings returns what is known across flows and of captures so far: in the
// order of the detectors, and by subject.
func (r *Rollup) Findings() []Finding {
	var all []Finding
	for i := range r.captures {
		all = r.captures[i].findings(all, r.detectors)
	}
	for i := range r.scopes {
		c := &r.scopes[i]
		all = append(all, c.found...)
		for id := range c.groups.keys {
			all = c.findings(all, id)
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(r.detectors, a.Detector), slices.Index(r.detectors, b.Detector)),
			strings.Compare(a.Subject, b.Subject))
	})
	return all
}

// Listeners returns what is known of each listener, the most troubled first
// (then by resets, then by connections), and how many others had to make room.
func (r *Rollup) Listeners() (list []*Roll, dropped uint64) {
	return r.scopes[ByListener].byTrouble()
}

// Pairs returns the same for each client address with a listener.
func (r *Rollup) Pairs() (list []*Roll, dropped uint64) {
	return r.scopes[ByPair].byTrouble()
}

// byTrouble returns the rolls, and how many groups had to make room.
func (c *scope) byTrouble() (list []*Roll, dropped uint64) {
	for id := range c.rolls.n {
		r := c.rolls.at(id).counted()
		r.Group = c.groups.keys[id]
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *Roll) int {
		return cmp.Or(cmp.Compare(b.trouble(), a.trouble()), cmp.Compare(b.Resets[0]+b.Resets[1], a.Resets[0]+a.Resets[1]),
			cmp.Compare(b.Connections, a.Connections),
			slices.Compare(a.To[:], b.To[:]), cmp.Compare(a.Port, b.Port), slices.Compare(a.From[:], b.From[:]))
	})
	return list, c.groups.gone
}

// Roll is what the flows of a listener or of a pair add up to. The indices of
// two are client and server.
type Roll struct {
	Group
	Connections uint32
	Handshakes  [len(handshakeNames)]uint32 // by HandshakeResult
	States      [2][NumStates]uint32        // at the end, by side
	Resets      [2]uint32                   // connections that the side ended with RST
	TimeWait    [2]uint32                   // connections for which the side held TIME_WAIT
	Stuck       []Stuck                     // of States, stuck: a Stuck finding says so

	// The handshake's round trip: from the tap to the server and back, and to
	// the client and back.
	ServerHalf, ClientHalf Latency
}

// Stuck counts the clients or servers of a roll that are stuck in a state.
type Stuck struct {
	Server bool // servers; else clients
	State  State
	N      int
	Flow   int   // the one that has been in it for longest
	For    int64 // for how long, ns; negative: the capture says it of none
}

// trouble orders rolls: stuck sides weigh most, then what did not open.
func (r *Roll) trouble() (n int) {
	const stuck = 1000
	for i := range r.Stuck {
		n += stuck * r.Stuck[i].N
	}
	for _, h := range [...]HandshakeResult{HandshakeUnanswered, HandshakeHalfOpen, HandshakeRefused, HandshakeAborted, HandshakeRejectedICMP} {
		n += int(r.Handshakes[h])
	}
	return n
}

// count counts what a brief says.
func (r *Roll) count(b brief) {
	r.Connections++
	r.Handshakes[b.handshake]++
	r.ServerHalf.count(b.halves[0])
	r.ClientHalf.count(b.halves[1])
	for i := range b.states {
		r.States[i][b.states[i]]++
		r.Resets[i] += uint32(b.ends >> i & 1)
		r.TimeWait[i] += uint32(b.ends >> (2 + i) & 1)
	}
}

// stick counts a side that is stuck.
func (r *Roll) stick(server bool, st State, flow int, lasted int64) {
	i := slices.IndexFunc(r.Stuck, func(k Stuck) bool { return k.Server == server && k.State == st })
	if i < 0 {
		i = len(r.Stuck)
		r.Stuck = append(r.Stuck, Stuck{Server: server, State: st, Flow: flow, For: lasted})
	}
	k := &r.Stuck[i]
	if k.N++; lasted > k.For {
		k.Flow, k.For = flow, lasted
	}
}
