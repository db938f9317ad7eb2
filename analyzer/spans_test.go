package analyzer

import (
	"math/rand/v2"
	"testing"
)

// octets is the plain model of a sender: one bool an octet.
type octets map[Seq]bool

func (o octets) put(from, to Seq) (fresh uint32) {
	for n := from; n != to; n++ {
		if !o[n] {
			fresh++
			o[n] = true
		}
	}
	return fresh
}

func (o octets) contig(from Seq) Seq {
	for o[from] {
		from++
	}
	return from
}

// A sender is counted octet by octet, also across the wrap.
func TestCover(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		start := Seq(0) - Seq(r.Uint32N(200))
		s := Endpoint{sender: sender{started: true, nxt: start, contig: start}}
		model := octets{}
		for range 60 {
			from := start.Add(r.Uint32N(8) * 25)
			to := from.Add(1 + r.Uint32N(60))
			want := model.put(from, to)
			if got := s.cover(from, to); got != want {
				t.Fatalf("seed %d: cover(+%d, +%d) = %d, want %d", seed, from-start, to-start, got, want)
			}
			if got, want := s.contig, model.contig(start); got != want {
				t.Fatalf("seed %d: contig +%d, want +%d", seed, got-start, want-start)
			}
		}
	}
}

// ackedTo counts what was never seen, and absorbs what was.
func TestAckedTo(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		start := Seq(0) - Seq(r.Uint32N(200))
		s := Endpoint{sender: sender{started: true, nxt: start, contig: start}}
		model := octets{}
		for range 6 {
			from := start.Add(r.Uint32N(200))
			to := from.Add(1 + r.Uint32N(40))
			model.put(from, to)
			s.cover(from, to)
		}
		ack := start.Add(r.Uint32N(260))
		want := uint32(0)
		if s.contig.Less(ack) {
			want = model.put(start, ack)
		}
		if got := s.ackedTo(ack); got != want {
			t.Fatalf("seed %d: ackedTo(+%d) = %d unseen, want %d", seed, ack-start, got, want)
		}
		if got, want := s.contig, model.contig(start); got != want {
			t.Fatalf("seed %d: contig +%d, want +%d", seed, got-start, want-start)
		}
		if s.nxt.Less(s.contig) {
			t.Fatalf("seed %d: nxt below contig", seed)
		}
	}
}

// Spans are in order and apart whatever is added.
func TestSpansStayApart(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	var ss spanSet
	for range 5000 {
		from := Seq(r.Uint32N(1000)) - 500
		ss.add(from, from.Add(1+r.Uint32N(30)))
		for i := 1; i < len(ss.s); i++ {
			if !ss.s[i-1].to.Less(ss.s[i].from) {
				t.Fatalf("spans touch or overlap: %v", ss.s)
			}
		}
		if r.Uint32N(10) == 0 {
			ss.absorb(ss.s[0].to)
		}
	}
}

// With more holes than are kept, nothing is called lost that may have gone past,
// until the holes are filled.
func TestTooManySpans(t *testing.T) {
	s := Endpoint{sender: sender{started: true}}
	for i := range uint32(2 * maxSpans) {
		s.cover(Seq(100*i+50), Seq(100*i+100))
	}
	if n := len(s.spans.s); n != maxSpans {
		t.Fatalf("%d spans kept", n)
	}
	if lost := s.ackedTo(100 * 2 * maxSpans); lost != 0 {
		t.Errorf("%d octets called lost", lost)
	}
	s.cover(s.contig+10, s.contig+20)
	if lost := s.ackedTo(s.contig + 20); lost != 10 {
		t.Errorf("%d octets called lost, want 10", lost)
	}
}
