package evidence

import (
	"hash/maphash"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

// The defaults of a Store.
const (
	DefaultMemory = 64 << 20 // octets
	// DefaultSnap holds the headers of link, IP and TCP with all options, and
	// most tunnels around them.
	DefaultSnap = 192
)

// leastMemory leaves room for a frame of any size that is captured.
const leastMemory = 1 << 20

// maxSnap is the largest frame that a capture has.
const maxSnap = 262144

// window is how many frames back Claim finds one: a segment may wait for the
// fragments of others (capture.Stats) while that many go by.
const window = 4096

// Store holds the beginnings of the last frames. Its memory is fixed, the
// newest frame takes the place of the oldest, and nothing is allocated per
// frame. It is for one goroutine.
//
// Frames go by their ordinal, which only grows: those from oldest up to next are
// held. A chain of ordinals, newest first, begins in each bucket of a hash over
// the keys, and ends at the first one that is no longer held. So what is
// overwritten needs not be taken out of its chain.
type Store struct {
	snap    int
	data    []byte
	at      uint64  // octets ever laid into data, what was left free at its end included
	entries []entry // by ordinal; the length is a power of two
	oldest  uint64
	next    uint64
	heads   []uint64       // ordinal+1 by bucket; the length is a power of two
	recent  [window]uint64 // ordinal+1 by frame number
	seed    maphash.Seed

	ports map[port]uint32 // what frames were captured on
	list  []port
	last  uint32 // the port of the frame before
}

// port is what frames were captured on.
type port struct {
	linkType uint16
	name     string
}

// entry is one frame. It holds no pointer: the garbage collector has nothing to
// scan.
type entry struct {
	key     analyzer.Key // of the flow, once claimed
	prev    uint64       // ordinal+1 of the one before it in its chain; 0: none
	number  uint64       // of the frame
	time    int64
	at      uint64 // in data, counted as Store.at
	offset  uint32 // in data
	size    uint32
	wire    uint32
	port    uint32
	claimed bool
}

// NewStore makes a Store that takes so many octets of memory and keeps the first
// snap octets of each frame: DefaultMemory and DefaultSnap when they are 0.
// Memory is from 1 MiB to 4 GiB, snap at most the largest frame that is captured.
func NewStore(memory int64, snap int) *Store {
	if memory <= 0 {
		memory = DefaultMemory
	}
	if snap <= 0 {
		snap = DefaultSnap
	}
	memory = min(max(memory, leastMemory), 1<<32-1)
	s := &Store{snap: min(snap, maxSnap), seed: maphash.MakeSeed(), ports: map[port]uint32{}}
	// Most frames are short: an ACK has 66 octets on Ethernet. Where they are
	// longer, data is the ring that comes round first.
	const head, usual = int64(unsafe.Sizeof(entry{}) + 8), 96
	n := 1 << (bits.Len64(uint64(memory/(head+int64(min(s.snap, usual))))) - 1)
	s.entries, s.heads = make([]entry, n), make([]uint64, n)
	s.data = make([]byte, memory-int64(n)*head)
	return s
}

// Add takes a frame, of which it keeps nothing but a copy.
func (s *Store) Add(f *capture.Frame) {
	size := min(len(f.Data), s.snap)
	offset := int(s.at % uint64(len(s.data)))
	if free := len(s.data) - offset; free < size {
		s.at, offset = s.at+uint64(free), 0
	}
	s.release(s.at + uint64(size))
	copy(s.data[offset:], f.Data[:size])
	*s.entry(s.next) = entry{number: f.Number, time: f.Time, at: s.at, offset: uint32(offset),
		size: uint32(size), wire: max(f.Wire, uint32(len(f.Data))), port: s.portOf(f)}
	s.at += uint64(size)
	s.next++
	s.recent[f.Number%window] = s.next
}

// release gives up the oldest frames: those that data is overwritten of when it
// is filled up to end, and the one whose entry is needed.
func (s *Store) release(end uint64) {
	if s.next-s.oldest == uint64(len(s.entries)) {
		s.oldest++
	}
	for s.oldest < s.next && s.entry(s.oldest).at+uint64(len(s.data)) < end {
		s.oldest++
	}
}

func (s *Store) entry(ordinal uint64) *entry {
	return &s.entries[ordinal&uint64(len(s.entries)-1)]
}

func (s *Store) portOf(f *capture.Frame) uint32 {
	p := port{f.LinkType, f.Interface}
	if len(s.list) > 0 && s.list[s.last] == p {
		return s.last
	}
	n, known := s.ports[p]
	if !known {
		n = uint32(len(s.list))
		s.ports[p] = n
		s.list = append(s.list, p)
	}
	s.last = n
	return n
}

// Claim says which flow a frame is of, by the frame's number as in
// analyzer.Segment. It is false when the frame is not among the last 4096, or
// was claimed before.
func (s *Store) Claim(frame uint64, k analyzer.Key) bool {
	_, ok := s.claim(frame, k)
	return ok
}

func (s *Store) claim(frame uint64, k analyzer.Key) (ordinal uint64, ok bool) {
	_, number := analyzer.SplitFrame(frame)
	ordinal = s.recent[number%window] - 1 // without any, larger than all
	if ordinal >= s.next || ordinal < s.oldest {
		return 0, false
	}
	e := s.entry(ordinal)
	if e.number != number || e.claimed {
		return 0, false
	}
	// Frames are claimed in order, but for those that waited for fragments.
	p := s.head(&k)
	for *p > ordinal+1 {
		p = &s.entry(*p - 1).prev
	}
	e.key, e.claimed, e.prev = k, true, *p
	*p = ordinal + 1
	return ordinal, true
}

func (s *Store) head(k *analyzer.Key) *uint64 {
	return &s.heads[maphash.Comparable(s.seed, *k)&uint64(len(s.heads)-1)]
}

// flow appends the ordinals of a flow's frames from a number on, in order.
func (s *Store) flow(to []uint64, k analyzer.Key, first uint64) []uint64 {
	begin := len(to)
	_, first = analyzer.SplitFrame(first)
	for n := *s.head(&k); n > s.oldest; {
		e := s.entry(n - 1)
		if e.number < first {
			break
		}
		if e.key == k {
			to = append(to, n-1)
		}
		n = e.prev
	}
	slices.Reverse(to[begin:])
	return to
}

// frame fills f with a frame that is held. Its Data is valid until the next Add.
func (s *Store) frame(ordinal uint64, f *capture.Frame) {
	e := s.entry(ordinal)
	p := s.list[e.port]
	*f = capture.Frame{Number: e.number, Time: e.time, LinkType: p.linkType, Interface: p.name,
		Data: s.data[e.offset:][:e.size:e.size], Wire: e.wire}
}

// reaches reports whether a frame of that number, if there was one, is held.
func (s *Store) reaches(number uint64) bool {
	return s.oldest == 0 || s.oldest < s.next && s.entry(s.oldest).number <= number
}

// Overwritten is how many frames were taken in and are no longer held.
func (s *Store) Overwritten() uint64 { return s.oldest }

// Since is the time of the oldest frame held, ns since 1970-01-01 UTC; 0 without
// any.
func (s *Store) Since() int64 {
	if s.oldest == s.next {
		return 0
	}
	return s.entry(s.oldest).time
}
