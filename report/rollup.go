package report

import (
	"cmp"
	"slices"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Roll is what the connections of a listener, or of a client with a listener,
// add up to.
type Roll struct {
	ClientAddr       string           `json:"client_addr,omitzero" doc:"of a pair: the client's address"`
	Addr             string           `json:"addr" doc:"the server's address"`
	Port             uint16           `json:"port" doc:"the server's port"`
	Connections      int              `json:"connections" doc:"how many there were"`
	Established      int              `json:"established" doc:"of these, opened within the capture"`
	Refused          int              `json:"refused" doc:"refused: by RST, or by an ICMP error"`
	Unanswered       int              `json:"unanswered" doc:"whose SYN got no answer"`
	HalfOpen         int              `json:"half_open" doc:"half-open now: the server is in SYN_RECEIVED at the end"`
	Handshakes       Counts           `json:"handshakes" doc:"connections by handshake result"`
	States           StateCounts      `json:"states" doc:"sides by their state at the end"`
	Stuck            StuckSides       `json:"stuck" doc:"of these, the sides that are stuck: a finding about the connection says so, and it is not pending"`
	LongestStuck     *LongestStuck    `json:"longest_stuck,omitempty" doc:"of the stuck sides, the one in its state for longest; left out when none is"`
	HandshakeLatency HandshakeLatency `json:"handshake_latency" doc:"the handshake's round trip, in halves"`
	Resets           SideCounts       `json:"resets" doc:"connections that a side ended with RST"`
	TimeWait         SideCounts       `json:"time_wait" doc:"connections for which a side held TIME_WAIT"`
}

// StuckSides are the stuck sides by state.
type StuckSides struct {
	Client map[string]Stuck `json:"client" doc:"clients, by state"`
	Server map[string]Stuck `json:"server" doc:"servers, by state"`
}

// Stuck counts the sides that are stuck in one state.
type Stuck struct {
	Count  int      `json:"count" doc:"how many"`
	Oldest *Seconds `json:"oldest,omitempty" doc:"for how long one of them has been in the state, at most, s"`
	Flow   int      `json:"flow" doc:"number of the flow of that one"`
}

// LongestStuck is the side that has been stuck for longest.
type LongestStuck struct {
	Flow  int     `json:"flow" doc:"number of the flow"`
	Side  string  `json:"side" enum:"client,server" doc:"whose state it is"`
	State string  `json:"state" enum:"@state" doc:"the state"`
	For   Seconds `json:"for" doc:"how long it has been in it, s"`
}

// HandshakeLatency is the distribution of both halves of the round trip.
type HandshakeLatency struct {
	Server *Latency `json:"server,omitempty" doc:"from the tap to the server and back: SYN to SYN+ACK; left out when it was never seen"`
	Client *Latency `json:"client,omitempty" doc:"from the tap to the client and back: SYN+ACK to ACK; left out when it was never seen"`
}

// Latency is the distribution of a time.
type Latency struct {
	N   int     `json:"n" doc:"how many values"`
	P50 Seconds `json:"p50" doc:"median, within 1/64, s"`
	P95 Seconds `json:"p95" doc:"95th percentile, within 1/64, s"`
	P99 Seconds `json:"p99" doc:"99th percentile, within 1/64, s"`
	Max Seconds `json:"max" doc:"highest, exact, s"`
}

// SideCounts count something of each side.
type SideCounts struct {
	Client int `json:"client" doc:"the client's"`
	Server int `json:"server" doc:"the server's"`
}

// maxListed is how many listeners, pairs and findings across flows a Summary
// lists, each.
const maxListed = 1000

// AddRollup adds what the flows add up to by listener and by pair.
func (s *Summary) AddRollup(r *analyzer.Rollup) {
	s.Listeners, s.ListenersLeftOut = toRolls(r.Listeners())
	s.Pairs, s.PairsLeftOut = toRolls(r.Pairs())
}

func toRolls(rolls []*analyzer.Roll, dropped uint64) (list []Roll, leftOut uint64) {
	list = make([]Roll, min(len(rolls), maxListed))
	for i := range list {
		list[i] = toRoll(rolls[i])
	}
	return list, dropped + uint64(len(rolls)-len(list))
}

func toRoll(r *analyzer.Roll) Roll {
	roll := Roll{
		Addr: r.To.Netip().String(), Port: r.Port, Connections: int(r.Connections),
		Established: int(r.Handshakes[analyzer.HandshakeEstablished]),
		Refused:     int(r.Handshakes[analyzer.HandshakeRefused] + r.Handshakes[analyzer.HandshakeRejectedICMP]),
		Unanswered:  int(r.Handshakes[analyzer.HandshakeUnanswered]),
		HalfOpen:    int(r.States[1][analyzer.SynReceived]),
		Handshakes:  Counts{},
		States:      StateCounts{Counts{}, Counts{}},
		Stuck:       StuckSides{map[string]Stuck{}, map[string]Stuck{}},
		HandshakeLatency: HandshakeLatency{
			Server: toLatency(&r.ServerHalf), Client: toLatency(&r.ClientHalf),
		},
		Resets:   SideCounts{int(r.Resets[0]), int(r.Resets[1])},
		TimeWait: SideCounts{int(r.TimeWait[0]), int(r.TimeWait[1])},
	}
	if (r.From != analyzer.Addr{}) {
		roll.ClientAddr = r.From.Netip().String()
	}
	for h, n := range r.Handshakes {
		roll.Handshakes.add(analyzer.HandshakeResult(h).String(), int(n))
	}
	for st := range analyzer.State(analyzer.NumStates) {
		roll.States.Client.add(st.String(), int(r.States[0][st]))
		roll.States.Server.add(st.String(), int(r.States[1][st]))
	}
	for i := range r.Stuck {
		roll.addStuck(&r.Stuck[i])
	}
	return roll
}

// add counts n things of a name, if there are any.
func (c Counts) add(name string, n int) {
	if n > 0 {
		c[name] += uint64(n)
	}
}

func (r *Roll) addStuck(k *analyzer.Stuck) {
	side, of := "client", r.Stuck.Client
	if k.Server {
		side, of = "server", r.Stuck.Server
	}
	stuck := Stuck{Count: k.N, Flow: k.Flow}
	if k.For >= 0 {
		oldest := Seconds(k.For)
		stuck.Oldest = &oldest
		if r.LongestStuck == nil || oldest > r.LongestStuck.For {
			r.LongestStuck = &LongestStuck{Flow: k.Flow, Side: side, State: k.State.String(), For: oldest}
		}
	}
	of[k.State.String()] = stuck
}

func toLatency(l *analyzer.Latency) *Latency {
	if l.N == 0 {
		return nil
	}
	return &Latency{
		N: l.N, Max: Seconds(l.Max),
		P50: Seconds(l.Quantile(0.5)), P95: Seconds(l.Quantile(0.95)), P99: Seconds(l.Quantile(0.99)),
	}
}

// AcrossFinding is a finding that only many flows together show, or one about a
// capture.
type AcrossFinding struct {
	Finding
	Subject   Text  `json:"subject" doc:"what it is about: a listener 10.0.0.9:5432, a host 10.0.0.5, a pair 10.0.0.5 > 10.0.0.9:5432, or the name of a capture"`
	Flows     []int `json:"flows" doc:"numbers of the first flows that it rests on; none for one about a capture"`
	FlowCount int   `json:"flow_count" doc:"on how many flows it rests"`
}

// AddAcross counts a finding across flows.
func (t *Tally) AddAcross(n *analyzer.Finding) {
	t.add(n)
	t.across = append(t.across, *n)
}

// listAcross lists the findings across flows, the worst and widest first.
func (t *Tally) listAcross() (list []AcrossFinding, leftOut uint64) {
	slices.SortStableFunc(t.across, func(a, b analyzer.Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.FlowCount, a.FlowCount),
			cmp.Compare(a.Subject, b.Subject))
	})
	list = make([]AcrossFinding, min(len(t.across), maxListed))
	for i := range list {
		list[i] = toAcross(&t.across[i])
	}
	return list, uint64(len(t.across) - len(list))
}

// splitFrames takes numbers of frames apart; captures is nil where there is
// only one.
func splitFrames(list []uint64) (frames []uint64, captures []int) {
	for _, n := range list {
		of, frame := analyzer.SplitFrame(n)
		frames = append(frames, frame)
		if of > 0 {
			captures = append(captures, of)
		}
	}
	return frames, captures
}

func toAcross(n *analyzer.Finding) AcrossFinding {
	a := AcrossFinding{
		Finding: Finding{
			Name: n.Detector.Name, Severity: n.Severity.String(), At: Time(n.At),
			Count: max(n.Count, 1), Pending: n.Pending, Evidence: Text(n.Evidence), Doubt: Text(n.Doubt),
			Cause: Text(n.Detector.Cause), Next: Text(n.Next), Reference: Text(n.Detector.Reference),
		},
		Subject: Text(n.Subject), Flows: n.Flows, FlowCount: n.FlowCount,
	}
	a.Capture, a.Frame = analyzer.SplitFrame(n.Frame)
	a.Frames, a.Captures = splitFrames(n.Frames)
	if a.Flows == nil {
		a.Flows = []int{}
	}
	if n.Last > n.At {
		last := Time(n.Last)
		a.Last = &last
	}
	if n.For > 0 {
		lasted := Seconds(n.For)
		a.For = &lasted
	}
	return a
}
