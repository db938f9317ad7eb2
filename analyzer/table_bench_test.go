package analyzer

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

// synFrom is the SYN of a connection that others with another number are not.
func synFrom(n int) Segment {
	return Segment{Src: AddrFrom4([4]byte{10, byte(n >> 24), byte(n >> 16), byte(n >> 8)}), SrcPort: 1024 + uint16(n&255),
		Dst: AddrFrom4([4]byte{192, 0, 2, 1}), DstPort: 80, Flags: SYN, Seq: Seq(n), Window: 500,
		Frame: uint64(n + 1), Time: 1e18 + int64(n), IPID: uint16(n + 1)}
}

// The cost of finding a flow among many that rest, none of which was lately
// asked for: the hash, and what the caches do not have.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			t := New(Config{})
			keys := make([]Key, n)
			for i := range keys {
				x := synFrom(i)
				keys[i], _ = KeyOf(&x)
				t.Observe(&x)
			}
			rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, k int) { keys[i], keys[k] = keys[k], keys[i] })
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if t.index.get(t, &keys[i], t.index.tag(&keys[i])) == 0 {
					b.Fatal("a flow is lost")
				}
				if i++; i == n {
					i = 0
				}
			}
		})
	}
}

// alternating returns what sends one segment of each of two open connections,
// in a Tracker that keeps one flow awake: each wakes one and puts the other to
// sleep.
func alternating() func() {
	t := New(Config{Awake: 1})
	var lists [2][]Segment
	for i := range lists {
		lists[i] = connection(uint16(4000+i), 1e18)
		for k := range 7 {
			t.Observe(&lists[i][k])
		}
	}
	return func() {
		for i := range lists {
			x := &lists[i][5]
			x.Seq += 1000
			x.IPID++
			x.Time += 1e5
			t.Observe(x)
			ack := &lists[i][6]
			ack.Ack += 1000
			ack.IPID++
			ack.Time = x.Time
			t.Observe(ack)
		}
	}
}

// Flows that fall asleep and wake use the memory of those before them.
func TestSleepAllocatesNothing(t *testing.T) {
	round := alternating()
	for range 10 {
		round()
	}
	if n := testing.AllocsPerRun(200, round); n != 0 {
		t.Errorf("%v allocations for two flows that fell asleep and woke, want none", n)
	}
}

// The cost of two segments of a flow that was asleep, and of what falls asleep
// for it.
func BenchmarkSleepAndWake(b *testing.B) {
	round := alternating()
	b.ReportAllocs()
	for b.Loop() {
		round()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/flow")
}
