package analyzer

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
	"unsafe"
)

// The words of a dormant flow are copied without regard to types: a pointer
// among them would be lost to the garbage collector. What comes behind them
// must be in rest, or a list that the head counts, or of the place, or filled in at
// the end.
func TestDormantWords(t *testing.T) {
	for _, c := range []struct {
		of     reflect.Type
		octets uintptr
		behind []string
	}{
		{reflect.TypeFor[Flow](), flowBytes, []string{"Sides", "Transitions", "Remarks", "Findings", "Unreached", "flowRefs", "rules",
			"Now", "Handshake", "Close", "Zeek", "Wireshark"}},
		{reflect.TypeFor[Endpoint](), sideBytes, []string{"inbox", "endpointRefs"}},
		{reflect.TypeFor[Transition](), transBytes, []string{"Withdrawn"}},
		{reflect.TypeFor[Remark](), unsafe.Sizeof(Remark{}), nil},
		{reflect.TypeFor[input](), unsafe.Sizeof(input{}), nil},
		{reflect.TypeFor[idle](), unsafe.Sizeof(idle{}), nil},
		{reflect.TypeFor[Unreachable](), unsafe.Sizeof(Unreachable{}), nil},
		{reflect.TypeFor[zeek](), zeekBytes, []string{"zeekRest"}},
		{reflect.TypeFor[trouble](), unsafe.Sizeof(trouble{}), nil},
		{reflect.TypeFor[run](), unsafe.Sizeof(run{}), nil},
		{reflect.TypeFor[bigSegment](), unsafe.Sizeof(bigSegment{}), nil},
		{reflect.TypeFor[stalls](), unsafe.Sizeof(stalls{}), nil},
		{reflect.TypeFor[oddWindows](), unsafe.Sizeof(oddWindows{}), nil},
	} {
		var behind []string
		for i := range c.of.NumField() {
			f := c.of.Field(i)
			if f.Offset >= c.octets {
				behind = append(behind, f.Name)
			} else if pointers(f.Type) {
				t.Errorf("%s.%s has pointers", c.of, f.Name)
			}
		}
		if c.octets%8 != 0 || !reflect.DeepEqual(behind, c.behind) {
			t.Errorf("%s: %d octets of words, then %v, want %v", c.of, c.octets, behind, c.behind)
		}
	}
}

// What few flows have, too: as a rare part, in rest, or as what never sleeps
// (older). A field more must be put somewhere.
func TestDormantRefs(t *testing.T) {
	for of, want := range map[reflect.Type][]string{
		reflect.TypeFor[flowRefs]():     {"idle", "mirrors", "older", "zeek", "told"},
		reflect.TypeFor[endpointRefs](): {"spans", "trouble", "run", "big", "stalls", "odd"},
	} {
		var got []string
		for i := range of.NumField() {
			got = append(got, of.Field(i).Name)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s has %v, want %v", of, got, want)
		}
	}
}

// pointers reports whether a type has pointers in it.
func pointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return pointers(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if pointers(t.Field(i).Type) {
				return true
			}
		}
		return false
	}
	return t.Kind() < reflect.Bool || t.Kind() > reflect.Complex128 || t.Kind() == reflect.Uintptr
}

// Words of every length, and times, come back as they were, whatever the
// lists are.
func TestWords(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var w wordWriter
	var rd wordReader
	for range 2000 {
		start := int64(1763683200e9) + r.Int64N(1e15)
		if r.IntN(10) == 0 {
			start = r.Int64N(2e12) // a capture of the first minutes of 1970
		}
		want := make([]uint64, r.IntN(300))
		for i := range want {
			switch r.IntN(4) {
			case 1:
				want[i] = uint64(start + r.Int64N(1e13) - 5e12)
			case 2:
				want[i] = r.Uint64() >> r.IntN(64)
			case 3:
				want[i] = ^uint64(r.IntN(3))
			}
		}
		w.begin(start)
		var cuts []int
		for at := 0; at < len(want); {
			at += r.IntN(len(want) - at + 1)
			cuts = append(cuts, at)
		}
		from := 0
		for _, to := range cuts {
			w.put(want[from:to])
			from = to
		}
		got := make([]uint64, len(want))
		rd.begin(bytes.Clone(w.end()), len(want), w.epoch)
		from = 0
		for _, to := range cuts {
			rd.get(got[from:to])
			from = to
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("start %d:\n got %x\nwant %x", start, got, want)
		}
	}
}

// Pieces do not overlap, move as they are, and little room is lost, whichever
// are given back: in any order, or all of those that are small.
func TestArena(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	type held struct {
		ref  uint32
		n    int
		fill byte
	}
	all := map[uint32]held{}
	var a arena
	a.moved = func(id, ref uint32) {
		h := all[id]
		h.ref = ref
		all[id] = h
	}
	octets, most := 0, 0
	give := func(id uint32) {
		h := all[id]
		piece := a.piece(h.ref)
		if len(piece) != h.n || bytes.Count(piece, []byte{h.fill}) != h.n {
			t.Fatalf("piece %d of %d octets was written over", h.ref, h.n)
		}
		a.give(h.ref)
		octets -= h.n
		delete(all, id)
	}
	for id := uint32(1); id < 40000; id++ {
		h := held{n: 1 + r.IntN(2000), fill: byte(id)}
		all[id] = h // it may move as soon as it is there
		var piece []byte
		h.ref, piece = a.take(id, h.n)
		all[id] = h
		for j := range piece {
			piece[j] = h.fill
		}
		octets += h.n
		most = max(most, octets)
		if old := uint32(r.IntN(int(id))) + 1; len(all) > 1000 && all[old].n > 0 {
			give(old)
		}
		if id%10000 == 0 {
			for old, h := range all {
				if h.n < 1500 {
					give(old)
				}
			}
		}
	}
	if got := len(a.extents) * extentSize; got > most*3/2+3*extentSize {
		t.Errorf("%d octets of extents for at most %d", got, most)
	}
	for id := range all {
		give(id)
	}
	if a.live != 0 {
		t.Errorf("%d octets are still held", a.live)
	}
}

// What a dormant flow takes is what bounds the memory for many; docs/performance.md
// has these figures.
func TestDormantSizes(t *testing.T) {
	const rest = copiesLive + 1e9
	for _, c := range []struct {
		what     string
		segments int
		most     int
	}{
		{"a lone SYN", 1, 250},
		{"established, has moved data both ways, silent for 11 s", 7, 440},
		{"closed by both sides, in TIME_WAIT", 10, 680},
	} {
		tr := New(Config{Awake: 1})
		x := connection(4001, 1763683200e9)
		for i := range x[:c.segments] {
			x[i].Frame += 1e6
			tr.Observe(&x[i])
		}
		other := connection(4002, x[c.segments-1].Time+rest)[0]
		tr.Observe(&other) // takes its place
		got := tr.arena.live
		if t.Logf("%s: %d octets", c.what, got); got > c.most || got == 0 {
			t.Errorf("%s: %d octets, want at most %d", c.what, got, c.most)
		}
	}
}
