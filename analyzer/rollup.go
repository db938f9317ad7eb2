package analyzer

import (
	"cmp"
	"slices"
)

// Rollup adds up ended flows by listener and by pair, and looks for what only
// many flows together show. Its memory is bounded, however many flows it is
// given. It is not safe for concurrent use.
type Rollup struct {
	detectors []*groups
	listeners bounded[Group, *Roll]
	pairs     bounded[Group, *Roll]
}

// NewRollup returns a Rollup with those of the detectors that look across
// flows; nil is Detectors.
func NewRollup(detectors []*Detector) *Rollup {
	if detectors == nil {
		detectors = Detectors
	}
	r := &Rollup{}
	r.listeners.limit, r.pairs.limit = maxGroups, maxGroups
	for _, d := range detectors {
		if d.Across != nil {
			g := &groups{d: d}
			g.tallies.limit, g.tallies.leave = maxGroups, g.leave
			r.detectors = append(r.detectors, g)
		}
	}
	return r
}

// Add counts a flow that has ended (Config.OnFlow). It keeps nothing of f.
func (r *Rollup) Add(f *Flow) {
	v := f.Server()
	listener := Group{To: f.Key.Addr[v], Port: f.Key.Port[v]}
	roll(&r.listeners, listener).add(f)
	listener.From = f.Key.Addr[f.Client]
	roll(&r.pairs, listener).add(f)
	for _, g := range r.detectors {
		g.add(f, f.Client)
		g.add(f, v)
	}
}

func roll(b *bounded[Group, *Roll], g Group) *Roll {
	if r := b.get(g); r != nil {
		return r
	}
	return b.put(g, &Roll{Group: g})
}

// Findings returns what is known across flows so far: in the order of the
// detectors, and by subject.
func (r *Rollup) Findings() (all []Finding) {
	for _, g := range r.detectors {
		all = append(all, g.findings()...)
	}
	return all
}

// Listeners returns what is known of each listener, the most troubled first
// (then by resets, then by connections), and how many others had to make room.
func (r *Rollup) Listeners() (list []*Roll, dropped uint64) {
	return byTrouble(&r.listeners), r.listeners.gone
}

// Pairs returns the same for each client address with a listener.
func (r *Rollup) Pairs() (list []*Roll, dropped uint64) { return byTrouble(&r.pairs), r.pairs.gone }

func byTrouble(b *bounded[Group, *Roll]) (list []*Roll) {
	b.each(func(_ Group, r *Roll) { list = append(list, r) })
	slices.SortFunc(list, func(a, b *Roll) int {
		return cmp.Or(cmp.Compare(b.trouble(), a.trouble()), cmp.Compare(b.Resets[0]+b.Resets[1], a.Resets[0]+a.Resets[1]),
			cmp.Compare(b.Connections, a.Connections),
			slices.Compare(a.To[:], b.To[:]), cmp.Compare(a.Port, b.Port), slices.Compare(a.From[:], b.From[:]))
	})
	return list
}

// Roll is what the flows of a listener or of a pair add up to. The indices of
// two are client and server.
type Roll struct {
	Group
	Connections int
	Handshakes  [len(handshakeNames)]int // by HandshakeResult
	States      [2][NumStates]int        // at the end, by side
	Stuck       []Stuck                  // of these, stuck: a Stuck finding says so
	Resets      [2]int                   // connections that the side ended with RST
	TimeWait    [2]int                   // connections for which the side held TIME_WAIT

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
		n += r.Handshakes[h]
	}
	return n
}

func (r *Roll) add(f *Flow) {
	r.Connections++
	r.Handshakes[f.Handshake.Result]++
	r.ServerHalf.add(f.Handshake.RTTServer)
	r.ClientHalf.add(f.Handshake.RTTClient)
	for i, s := range [...]Side{f.Client, f.Server()} {
		st := f.Sides[s].State
		r.States[i][st]++
		if f.reached(s, TimeWait) {
			r.TimeWait[i]++
		}
		if f.aborted(s) {
			r.Resets[i]++
		}
		if st != Closed && f.stuck(s) {
			r.stick(i == 1, st, f.Number, f.InState(s))
		}
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

// stuck reports whether a finding says that the side is stuck in its state.
func (f *Flow) stuck(s Side) bool {
	for i := range f.Findings {
		if n := &f.Findings[i]; n.Side == s && n.Detector.Stuck && !n.Pending {
			return true
		}
	}
	return false
}
