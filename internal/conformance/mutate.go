package conformance

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

// Mutation makes a worse capture of a good one.
type Mutation struct {
	Name  string
	Apply func(*rand.Rand, []capture.Packet) []capture.Packet
	Seeds int // how many different ones to try
}

// Mutations are the ways in which captures are worse than the network was.
func Mutations() []Mutation {
	ms := []Mutation{
		{"whole", func(_ *rand.Rand, p []capture.Packet) []capture.Packet { return p }, 1},
		{"doubled", double, 2},
		{"doubled late", doubleLate, 2},
		{"neighbours swapped", swap, 3},
		{"only one direction", func(_ *rand.Rand, p []capture.Packet) []capture.Packet { return direction(p, 0) }, 1},
		{"only the other direction", func(_ *rand.Rand, p []capture.Packet) []capture.Packet { return direction(p, 1) }, 1},
	}
	for _, percent := range []int{5, 10, 20} {
		ms = append(ms, Mutation{fmt.Sprintf("%d %% deleted", percent), remove(percent), 4})
	}
	for _, quarter := range []int{1, 2, 3} {
		ms = append(ms, Mutation{fmt.Sprintf("starts at %d/4", quarter), func(_ *rand.Rand, p []capture.Packet) []capture.Packet {
			return p[len(p)*quarter/4:]
		}, 1})
	}
	return ms
}

// Do applies the mutation: the same seed gives the same capture. Frames are
// numbered anew, as a file of these packets would number them.
func (m *Mutation) Do(seed int, packets []capture.Packet) []capture.Packet {
	r := rand.New(rand.NewPCG(uint64(seed), uint64(len(packets))))
	in := append([]capture.Packet(nil), packets...)
	out := m.Apply(r, in)
	for i := range out {
		out[i].Segment.Frame = uint64(i + 1)
		out[i].Unreachable.Frame = uint64(i + 1)
	}
	return out
}

func remove(percent int) func(*rand.Rand, []capture.Packet) []capture.Packet {
	return func(r *rand.Rand, in []capture.Packet) (out []capture.Packet) {
		for _, p := range in {
			if r.IntN(100) >= percent {
				out = append(out, p)
			}
		}
		return out
	}
}

// double records some packets twice, as a mirror port does.
func double(r *rand.Rand, in []capture.Packet) (out []capture.Packet) {
	for _, p := range in {
		out = append(out, p)
		if r.IntN(5) == 0 {
			out = append(out, shifted(p, int64(r.IntN(200_000))))
		}
	}
	return ordered(out)
}

// doubleLate delivers some packets twice, up to 10 ms apart, as a network does.
func doubleLate(r *rand.Rand, in []capture.Packet) (out []capture.Packet) {
	for _, p := range in {
		out = append(out, p)
		if r.IntN(10) == 0 {
			out = append(out, shifted(p, int64(time.Millisecond)*int64(3+r.IntN(7))))
		}
	}
	return ordered(out)
}

// swap exchanges neighbours, and their times, as a capture of several queues
// does.
func swap(r *rand.Rand, in []capture.Packet) []capture.Packet {
	for i := 0; i+1 < len(in); i++ {
		if r.IntN(10) == 0 {
			a, b := in[i].Time(), in[i+1].Time()
			if b-a > int64(time.Millisecond) {
				continue // queues are not that far apart
			}
			in[i], in[i+1] = shifted(in[i+1], a-b), shifted(in[i], b-a)
			i++
		}
	}
	return in
}

// direction keeps what one side of each pair sent.
func direction(in []capture.Packet, keep analyzer.Side) (out []capture.Packet) {
	for _, p := range in {
		if p.Kind == capture.KindUnreachable {
			continue
		}
		if _, s := analyzer.KeyOf(&p.Segment); s == keep {
			out = append(out, p)
		}
	}
	return out
}

func shifted(p capture.Packet, by int64) capture.Packet {
	p.Segment.Time += by
	p.Unreachable.Time += by
	return p
}

func ordered(p []capture.Packet) []capture.Packet {
	sort.SliceStable(p, func(i, j int) bool { return p[i].Time() < p[j].Time() })
	return p
}
