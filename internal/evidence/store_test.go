package evidence

import (
	"bytes"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

// flowFrames are the frames of a flow that a Store has.
func flowFrames(s *Store, k analyzer.Key, first uint64) (list []capture.Frame) {
	for _, n := range s.flow(nil, k, first) {
		var f capture.Frame
		s.frame(n, &f)
		f.Data = bytes.Clone(f.Data)
		list = append(list, f)
	}
	return list
}

// Whatever the sizes, the Store has an unbroken run of the newest frames, each
// flow's in order and octet for octet, and counts those before it.
func TestStoreRun(t *testing.T) {
	const flows, frames = 37, 60000
	sizes := map[string]func(n uint64) int{
		"acknowledgements":  func(uint64) int { return 66 },  // the entries come round first
		"full":              func(uint64) int { return 400 }, // the octets do
		"mixed":             func(n uint64) int { return int(n*n%1500) + 1 },
		"none, and a chunk": func(n uint64) int { return int(n % 2 * 192) },
	}
	for name, size := range sizes {
		s := NewStore(1<<20, 192)
		for n := uint64(1); n <= frames; n++ {
			f := nth(n, size(n))
			s.Add(f)
			clear(f.Data) // it was copied
			if n%5 != 0 && !s.Claim(n, key(int(n*n%flows))) {
				t.Fatalf("%s: frame %d is not found", name, n)
			}
		}
		first := s.Overwritten() + 1
		if first < 2 || frames-first < 3000 || s.Since() != nth(first, 0).Time {
			t.Errorf("%s: from frame %d on", name, first)
		}
		for k := range flows {
			var want []capture.Frame
			for n := first; n <= frames; n++ {
				if n%5 != 0 && int(n*n%flows) == k {
					want = append(want, kept(nth(n, size(n)), 192))
				}
			}
			same(t, name, flowFrames(s, key(k), 0), want)
		}
	}
}

// Frames that waited for fragments are claimed late; the flow is in order all
// the same. The unknown, the repeated and the overwritten is refused.
func TestStoreClaim(t *testing.T) {
	s := NewStore(1<<20, 0)
	for n := uint64(1); n <= 10; n++ {
		s.Add(nth(n, 60))
	}
	for _, n := range []uint64{2, 7, 9, 3, 1, 8} {
		if !s.Claim(analyzer.FrameIn(2, n), key(1)) {
			t.Errorf("frame %d is not found", n)
		}
	}
	for _, n := range []uint64{0, 3, 11, 10 + window} {
		if s.Claim(n, key(1)) {
			t.Errorf("frame %d was claimed", n)
		}
	}
	var got []uint64
	for _, f := range flowFrames(s, key(1), 2) {
		got = append(got, f.Number)
	}
	if want := []uint64{2, 3, 7, 8, 9}; len(got) != 5 || got[0] != 2 || got[1] != 3 || got[4] != 9 {
		t.Errorf("%v, want %v", got, want)
	}
	for n := uint64(11); n <= 100000; n++ {
		s.Add(nth(n, 60))
	}
	if s.Claim(4, key(1)) || len(flowFrames(s, key(1), 0)) != 0 {
		t.Error("what is overwritten is still there")
	}
}

// Neither a frame nor its claim costs an allocation, in the Store and with a
// file that grows.
func TestAllocations(t *testing.T) {
	d, _ := directory(t, t.TempDir(), Limits{})
	k := NewKeeper(d, Config{Memory: 2 << 20})
	r := NewRotator(d, Rotation{})
	f, finding := flowOf(3, 0, 1)
	x := nth(1, 1400)
	take := func() {
		k.Frame(x)
		k.Claim(x.Number, key(3))
		r.Frame(x)
		x.Number++
	}
	take()
	k.Finding(f, finding, x.Time)
	if n := testing.AllocsPerRun(20000, take); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
	if c := k.Counts(); c.Frames < 20000 || c.Unclaimed != 0 {
		t.Errorf("%+v", c)
	}
	k.Close()
	r.Close()
}

// The memory asked for is what is taken.
func TestStoreMemory(t *testing.T) {
	for _, memory := range []int64{1 << 20, 10 << 20, 64 << 20} {
		for _, snap := range []int{54, 192, 4096, 262144} {
			s := NewStore(memory, snap)
			const entrySize = 96
			taken := int64(len(s.entries))*entrySize + int64(len(s.heads))*8 + int64(len(s.data))
			if taken > memory+memory/10 || taken < memory*9/10 || len(s.data) < snap {
				t.Errorf("%d octets and snap %d: %d taken, %d for data", memory, snap, taken, len(s.data))
			}
		}
	}
}

// Whatever comes in whatever order, what a flow has is what it was given, in
// order, and nothing else.
func FuzzStore(f *testing.F) {
	f.Add([]byte{1, 2, 3, 200, 100, 50, 9, 9})
	f.Add(bytes.Repeat([]byte{7, 255, 3, 1}, 300))
	f.Fuzz(func(t *testing.T, script []byte) {
		s := NewStore(1<<20, 64)
		s.entries, s.data, s.heads = s.entries[:16], s.data[:300], s.heads[:4]
		claimed := map[uint64]int{}
		number := uint64(0)
		for i := 0; i+1 < len(script); i += 2 {
			op, arg := script[i], script[i+1]
			if op < 128 {
				number += 1 + uint64(op%3) // filters leave gaps
				s.Add(nth(number, int(arg)))
				continue
			}
			n := number - min(uint64(arg%20), number)
			if _, twice := claimed[n]; s.Claim(n, key(int(op%6))) {
				if twice {
					t.Fatalf("frame %d was claimed twice", n)
				}
				claimed[n] = int(op % 6)
			}
		}
		for k := range 6 {
			held := map[uint64]bool{}
			last := uint64(0)
			for _, got := range flowFrames(s, key(k), 0) {
				if owner, ok := claimed[got.Number]; !ok || owner != k || got.Number <= last {
					t.Fatalf("flow %d has frame %d after %d", k, got.Number, last)
				}
				last, held[got.Number] = got.Number, true
				if want := nth(got.Number, int(got.Wire)-int(got.Number%3)); !bytes.Equal(got.Data, want.Data[:min(64, len(want.Data))]) {
					t.Fatalf("frame %d has other octets", got.Number)
				}
			}
			for ordinal := s.oldest; ordinal < s.next; ordinal++ {
				if e := s.entry(ordinal); e.claimed && e.key == key(k) && !held[e.number] {
					t.Fatalf("flow %d lacks frame %d", k, e.number)
				}
			}
		}
	})
}

func BenchmarkStore(b *testing.B) {
	s := NewStore(0, 0)
	f := nth(1, 1400)
	keys := make([]analyzer.Key, 4096)
	for i := range keys {
		keys[i] = key(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Add(f)
		s.Claim(f.Number, keys[i%len(keys)])
		f.Number++
	}
}
