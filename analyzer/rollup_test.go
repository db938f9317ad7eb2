package analyzer

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Quantiles are those of the sorted values, within a bucket's half width.
func TestLatencyQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, top := range []int64{3, 40, 1e6, 1e12} {
		var l Latency
		var all []int64
		for range 1000 {
			v := rng.Int64N(top)
			all = append(all, v)
			l.count(bucketOf(v))
		}
		l.count(noBucket)
		slices.Sort(all)
		l.Min, l.Max = all[0], all[999]
		for _, q := range []float64{0, 0.5, 0.95, 0.99, 1} {
			want := all[min(int(q*1000), 999)]
			got := l.Quantile(q)
			if d := got - want; max(d, -d)*64 > want {
				t.Errorf("below %d: quantile %v is %d, want %d", top, q, got, want)
			}
		}
		if l.N != 1000 {
			t.Errorf("below %d: n %d", top, l.N)
		}
	}
	one := Latency{Min: 12345, Max: 12345}
	one.count(bucketOf(12345))
	if one.Quantile(0.5) != 12345 || new(Latency).Quantile(0.5) != 0 {
		t.Error("a single value is exact, none is 0")
	}
}

// Groups are never more than the limit, and those that are asked for stay.
func TestGroups(t *testing.T) {
	var left []int
	gs := newGroups(4, func(id int) { left = append(left, id) })
	id := func(port uint16) int { return gs.id(&Group{Port: port}) }
	for port := range uint16(100) {
		if port > 0 && id(0) != 0 {
			t.Fatalf("0 was dropped at %d", port)
		}
		id(port)
	}
	if len(gs.keys) != 4 || gs.gone != 96 || len(left) != 96 || slices.Contains(left, 0) {
		t.Errorf("holds %d, dropped %d: %v", len(gs.keys), gs.gone, left)
	}
	if n := id(99); gs.keys[n].Port != 99 || gs.gone != 96 {
		t.Errorf("99 is not there")
	}
}

// Each group keeps its number while others come and go.
func TestGroupsAreTheSame(t *testing.T) {
	const limit = 500
	gs := newGroups(limit, func(int) {})
	rng := rand.New(rand.NewPCG(1, 2))
	number := map[Group]int{}
	for range 100 * limit {
		g := Group{From: AddrFrom4([4]byte{10, 0, byte(rng.Uint32N(3)), byte(rng.Uint32N(256))}), Port: uint16(rng.Uint32N(2))}
		gone := gs.gone
		old, was := number[g]
		id := gs.id(&g)
		switch {
		case was && old != id:
			t.Fatalf("%v was %d, is %d", g, old, id)
		case !was:
			for other, n := range number {
				if n == id {
					delete(number, other)
				}
			}
			number[g] = id
		}
		if was && gone != gs.gone || len(number) != len(gs.keys) || gs.keys[id] != g {
			t.Fatalf("%v: %d known, %d held, number %d is %v", g, len(number), len(gs.keys), id, gs.keys[id])
		}
	}
}

type counted struct{ flowList }

func (c *counted) Add(f *Flow, _ Side) { c.add(f.Number) }
func (c *counted) Find(n *Finding) bool {
	c.onto(n)
	return c.n > 1
}

// Flows count in the group of each side, findings say on which flows they
// rest, and the roll-up counts by listener and by pair.
func TestRollup(t *testing.T) {
	d := &Detector{Name: "test", Severity: Warning, Next: "ask SERVER about PORT and CLIENT",
		Across: &Across{
			By:    ByListener,
			Wants: func(*Flow, Side) bool { return true },
			New:   func() Tally { return &counted{} },
		}}
	r := NewRollup([]*Detector{d})
	tr := New(Config{OnFlow: r.Add})
	for i := range uint16(30) {
		for _, x := range connection(4000+i, 1e18+int64(i)*1e9) {
			if i == 29 {
				x.SrcPort, x.DstPort = x.SrcPort+1, x.DstPort+1
			}
			tr.Observe(&x)
		}
	}
	tr.Close()
	all := r.Findings()
	if len(all) != 1 || all[0].Subject != "10.0.0.2:80" || all[0].FlowCount != 29 || !slices.Equal(all[0].Flows, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("found %+v", all)
	}
	if got := all[0].Next; got != "ask 10.0.0.2 about 80 and CLIENT" {
		t.Errorf("next: %s", got)
	}
	list, gone := r.Listeners()
	if len(list) < 1 || list[0].Connections != 29 || list[0].Handshakes[HandshakeEstablished] != 29 || list[0].TimeWait != [2]uint32{29, 0} || gone != 0 {
		t.Errorf("listeners: %+v", list[0])
	}
	if l := &list[0].ServerHalf; l.N != 29 || l.Min != 1e6 || l.Max != 1e6 {
		t.Errorf("server half: %+v", l)
	}
	pairs, _ := r.Pairs()
	if pairs[0].String() != "10.0.0.1 > 10.0.0.2:80" {
		t.Errorf("pair %s", pairs[0])
	}
}

// What is stuck is counted by side and state, with the one that has been so
// for longest; what is pending is not stuck. The troubled come first.
func TestRollupStuck(t *testing.T) {
	r := NewRollup([]*Detector{})
	limits := DefaultLimits(&Profiles[0])
	for st := range limits {
		limits[st] = 20e9
	}
	tr := New(Config{Stuck: limits, OnFlow: r.Add})
	const start = int64(1e18)
	observe := func(port uint16, at int64, list []Segment) {
		for _, x := range list {
			if x.SrcPort == 80 {
				x.SrcPort = port
			} else {
				x.DstPort = port
			}
			x.Time += at
			tr.Observe(&x)
		}
	}
	segments := connection(4000, start)
	open := segments[:len(segments)-2] // the client closes, the server does not
	halfClosed := append(slices.Clone(open), Segment{Src: open[1].Src, Dst: open[1].Dst, SrcPort: 80, DstPort: 4000,
		Flags: ACK, Seq: 1301, Ack: 152, Window: 500, Frame: 9, Time: start + 8e6, IPID: 9})
	for i := range 3 {
		list := slices.Clone(halfClosed)
		for j := range list {
			if list[j].SrcPort == 4000 {
				list[j].SrcPort += uint16(i)
			} else {
				list[j].DstPort += uint16(i)
			}
		}
		observe(5432, int64(i)*30e9, list) // at the end for 60, 30 and 0 s
	}
	observe(443, 0, segments)
	tr.Advance(start + 60e9 + 50e6)
	tr.Close()
	list, _ := r.Listeners()
	if len(list) != 2 || list[0].Port != 5432 {
		t.Fatalf("%d listeners, first %v", len(list), list[0])
	}
	want := map[State]bool{CloseWait: true, FinWait2: false} // whether servers'
	for _, k := range list[0].Stuck {
		server, known := want[k.State]
		if !known || k.Server != server || k.N != 2 || k.Flow != 0 || k.For < 60e9 || k.For > 61e9 {
			t.Errorf("stuck: %+v", k)
		}
		delete(want, k.State)
	}
	if len(want) != 0 || list[1].Stuck != nil {
		t.Errorf("not stuck: %v; of the other listener: %+v", want, list[1].Stuck)
	}
}

// Memory belongs to listeners and pairs, not to flows.
func TestRollupAllocatesNothingPerFlow(t *testing.T) {
	r := NewRollup([]*Detector{})
	var kept Flow
	tr := New(Config{OnFlow: func(f *Flow) { kept = *f; kept.Transitions = slices.Clone(f.Transitions) }})
	for _, x := range connection(4000, 1e18) {
		tr.Observe(&x)
	}
	tr.Close()
	r.Add(&kept)
	if n := testing.AllocsPerRun(100, func() { r.Add(&kept) }); n != 0 {
		t.Errorf("%v allocations for a flow of a known pair; want none", n)
	}
}

// The cost of a flow in a roll-up with every detector, as in a run: 16
// listeners and 2000 clients, each flow come from memory, and most of what is
// known of its hosts there, too. That the roll-up grows is part of it.
func BenchmarkRollupAdd(b *testing.B) {
	flows := lastingFlows(20000, 2000, 16)
	var r *Rollup
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(flows) == 0 {
			r = NewRollup(nil)
		}
		r.Add(flows[i%len(flows)])
	}
}

// lastingFlows returns n flows in the order in which they end, one each
// millisecond: of clients in turn, each with the same server every time.
func lastingFlows(n, clients, servers int) (flows []*Flow) {
	const lasting = 6e9
	tr := New(Config{OnFlow: func(f *Flow) {
		g := *f
		g.Transitions, g.Remarks = slices.Clone(f.Transitions), slices.Clone(f.Remarks)
		flows = append(flows, &g)
	}})
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		client := i * 7 % clients
		a := AddrFrom4([4]byte{10, 1, byte(client >> 8), byte(client)})
		v := AddrFrom4([4]byte{10, 2, 0, byte(client % servers)})
		port := uint16(2048 + i/clients)
		late := rng.Int64N(20e6)
		for j, x := range connection(port, 1e18+int64(i)*1e6) {
			if x.Src, x.Dst = a, v; x.SrcPort == 80 {
				x.Src, x.Dst = v, a
			}
			if j > 0 {
				x.Time += late
			}
			if x.Flags&FIN != 0 || j > 7 {
				x.Time += lasting
			}
			tr.Observe(&x)
		}
	}
	tr.Close()
	return flows
}
