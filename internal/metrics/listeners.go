package metrics

import (
	"bytes"
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"
)

// Which listeners have a label of their own is decided by their activity: the
// openings, the findings, and the open sockets of each census, with half the
// weight after halfLife.
//
// A place that is free is given away at once, so that a small server's listeners
// are there with the first scrape. When all are taken, a listener must have twice
// the activity of the one that it replaces, and places change hands once in
// rankEvery: two listeners that are about as active do not take turns.
//
// What was counted for a listener before it was listed stays in "other", and
// what it had when it leaves goes with its label. So no series of "other" ever
// jumps, and one that comes back begins at 0, as after a restart. The totals have
// metrics of their own.
const (
	halfLife  = 10 * time.Minute
	rankEvery = time.Minute
	// margin is what a challenger needs beyond twice the activity, so that
	// nobody gives way to noise.
	margin = 10
	// maxCandidates bounds the unlisted listeners that are remembered; when
	// there are twice as many, the less active half is forgotten.
	maxCandidates = 4096
)

// listing is who is listed, and in which place. It is never changed: another one
// replaces it.
type listing struct {
	entries []*entry
	place   map[Listener]int
}

// entry is a listener that has a label, or the one that stands for the others.
type entry struct {
	at     Listener
	name   string
	listed bool
	score  float64
	counts counts
	shown  [numRoles]uint32 // the states in which it had a socket: those series stay
	stuck  [numRoles]uint32
}

// ranking decides who is listed.
type ranking struct {
	listing    *listing
	other      entry
	candidates map[Listener]float64 // activity of those who are not
	ranked     int64                // when that was last done in full, ns since 1970-01-01 UTC; 0: never
}

func newRanking(other counts) ranking {
	return ranking{listing: &listing{place: map[Listener]int{}}, candidates: make(map[Listener]float64),
		other: entry{name: "other", listed: true, counts: other}}
}

// AddrPort returns it as package netip has it.
func (l Listener) AddrPort() netip.AddrPort { return netip.AddrPortFrom(l.Addr.Netip(), l.Port) }

// label is how a listener is spelled.
func (l Listener) label() string { return l.AddrPort().String() }

// active notes what a listener has done.
func (r *ranking) active(at Listener, n uint64) {
	if i, ok := r.listing.place[at]; ok {
		r.listing.entries[i].score += float64(n)
	} else if n > 0 {
		r.candidates[at] += float64(n)
	}
}

// rank lists whoever is due to be, of at most limit listeners.
func (r *ranking) rank(now int64, limit int, counts func() counts) {
	if len(r.candidates) > 2*maxCandidates {
		r.forget()
	}
	free := limit - len(r.listing.entries)
	due := now-r.ranked >= int64(rankEvery)
	if len(r.candidates) == 0 || free <= 0 && !due {
		return
	}
	entries := slices.Clone(r.listing.entries)
	best := r.best(limit)
	for ; free > 0 && len(best) > 0; free, best = free-1, best[1:] {
		entries = append(entries, r.admit(best[0], counts()))
	}
	if due {
		r.challenge(entries, best, counts)
		r.decay(now, entries)
		r.ranked = now
	}
	r.list(entries)
}

// challenge lets the most active candidates replace the least active entries.
func (r *ranking) challenge(entries []*entry, best []candidate, counts func() counts) {
	weakest := make([]int, len(entries))
	for i := range weakest {
		weakest[i] = i
	}
	slices.SortStableFunc(weakest, func(a, b int) int { return cmp.Compare(entries[a].score, entries[b].score) })
	for i, c := range best {
		if i == len(weakest) || c.score < 2*entries[weakest[i]].score+margin {
			return
		}
		old := entries[weakest[i]]
		old.listed = false
		r.candidates[old.at] = old.score
		entries[weakest[i]] = r.admit(c, counts())
	}
}

// admit makes an entry of a candidate.
func (r *ranking) admit(c candidate, n counts) *entry {
	e := &entry{at: c.at, name: c.at.label(), listed: true, score: c.score, counts: n}
	delete(r.candidates, c.at)
	return e
}

// list makes a listing of entries.
func (r *ranking) list(entries []*entry) {
	l := &listing{entries: entries, place: make(map[Listener]int, len(entries))}
	for i, e := range entries {
		l.place[e.at] = i
	}
	r.listing = l
}

// candidate is a listener that is not listed, with its activity.
type candidate struct {
	at    Listener
	score float64
}

// best returns the n most active candidates, the most active first, and among
// equals by address.
func (r *ranking) best(n int) []candidate {
	list := make([]candidate, 0, len(r.candidates))
	for at, score := range r.candidates {
		list = append(list, candidate{at, score})
	}
	slices.SortFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), bytes.Compare(a.at.Addr[:], b.at.Addr[:]), cmp.Compare(a.at.Port, b.at.Port))
	})
	return list[:min(n, len(list))]
}

// forget keeps the most active candidates alone.
func (r *ranking) forget() {
	keep := make(map[Listener]float64, maxCandidates)
	for _, c := range r.best(maxCandidates) {
		keep[c.at] = c.score
	}
	r.candidates = keep
}

// decay takes from all activity what the time since the last ranking takes, and
// forgets the candidates of which nothing is left.
func (r *ranking) decay(now int64, entries []*entry) {
	part := 1.0
	if r.ranked != 0 {
		part = math.Exp2(-float64(now-r.ranked) / float64(halfLife))
	}
	for _, e := range entries {
		e.score *= part
	}
	for at := range r.candidates {
		if r.candidates[at] *= part; r.candidates[at] < 0.1 {
			delete(r.candidates, at)
		}
	}
}
