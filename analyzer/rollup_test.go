package analyzer

import (
	"fmt"
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
			l.add(v)
		}
		l.add(-1) // not known
		slices.Sort(all)
		for _, q := range []float64{0, 0.5, 0.95, 0.99, 1} {
			want := all[min(int(q*1000), 999)]
			got := l.Quantile(q)
			if d := got - want; max(d, -d)*64 > want {
				t.Errorf("below %d: quantile %v is %d, want %d", top, q, got, want)
			}
		}
		if l.N != 1000 || l.Min != all[0] || l.Max != all[999] {
			t.Errorf("below %d: n %d, %d to %d", top, l.N, l.Min, l.Max)
		}
	}
	var one Latency
	one.add(12345)
	if one.Quantile(0.5) != 12345 || new(Latency).Quantile(0.5) != 0 {
		t.Error("a single value is exact, none is 0")
	}
}

// A bounded map never holds more than its limit, and keeps what is asked for.
func TestBounded(t *testing.T) {
	var left []int
	b := bounded[int, string]{limit: 4, leave: func(k int, _ string) { left = append(left, k) }}
	b.put(0, "kept")
	for k := 1; k < 100; k++ {
		if b.get(0) != "kept" {
			t.Fatalf("0 was dropped at %d", k)
		}
		b.put(k, fmt.Sprint(k))
	}
	n := 0
	b.each(func(k int, v string) { n++ })
	if n != 4 || len(b.at) != 4 || b.gone != 96 || len(left) != 96 || b.get(99) != "99" || b.get(1) != "" {
		t.Errorf("holds %d and %d, dropped %d: %v", n, len(b.at), b.gone, left)
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
			Group: func(f *Flow, s Side) (Group, bool) {
				return Group{To: f.Key.Addr[s], Port: f.Key.Port[s]}, s == f.Server()
			},
			New: func() Tally { return &counted{} },
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
	if len(list) < 1 || list[0].Connections != 29 || list[0].Handshakes[HandshakeEstablished] != 29 || list[0].TimeWait != [2]int{29, 0} || gone != 0 {
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
