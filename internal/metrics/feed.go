package metrics

import (
	"slices"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Role says which side of a connection a socket is.
type Role uint8

// The roles.
const (
	Client Role = iota
	Server
	numRoles = 2
)

var roleNames = [numRoles]string{"client", "server"}

// String returns the name that the label side has.
func (r Role) String() string { return roleNames[r] }

// Listener is the address and port that connections are opened to. The zero
// value is none: what is counted under it is in the totals alone.
type Listener struct {
	Addr analyzer.Addr
	Port uint16
}

// Feed is what one goroutine counts between two flushes. It is for that
// goroutine alone, and allocates nothing once its tables have grown.
type Feed struct {
	m         *Metrics
	published *published
	listing   *listing // whose slots these are

	all   counts
	slots []slot // by place in listing
	other counts
	seen  map[Listener]uint64 // activity of listeners that are not listed

	sockets  census
	counting *listing // whose slots the census has; nil: none is at hand
}

// slot is what a listed listener has had since the last flush.
type slot struct {
	counts   counts
	activity uint64
}

// maxSeen bounds the unlisted listeners of which a Feed remembers the activity
// until it is flushed. Those beyond it cannot be listed by what they do before
// the next flush.
const maxSeen = 4096

// Feed returns a new Feed. Its share of the totals stays for good, also when it
// is fed no more.
func (m *Metrics) Feed() *Feed {
	f := &Feed{m: m, published: &published{}, all: m.newCounts(), other: m.newCounts(),
		slots: make([]slot, m.listeners), seen: make(map[Listener]uint64)}
	for i := range f.slots {
		f.slots[i].counts = m.newCounts()
	}
	f.sockets.listed = make([]sockets, m.listeners)
	f.published.sockets.listed = make([]sockets, m.listeners)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.feeds = append(m.feeds, f.published)
	f.listing = m.ranks.listing
	f.published.listing = f.listing
	return f
}

// of returns where to count for a listener beside the total; nil: nowhere.
func (f *Feed) of(at Listener) *counts {
	if at == (Listener{}) {
		return nil
	}
	i, ok := f.listing.place[at]
	if !ok {
		f.see(at, 1)
		return &f.other
	}
	s := &f.slots[i]
	s.activity++
	return &s.counts
}

// see notes activity of a listener that is not listed.
func (f *Feed) see(at Listener, n uint64) {
	if _, ok := f.seen[at]; ok || len(f.seen) < maxSeen {
		f.seen[at] += n
	}
}

// Handshake counts an opening whose result is known: once for each connection.
// The halves are the time from SYN to SYN+ACK and from SYN+ACK to ACK in ns,
// negative where not known, as in analyzer.Handshake.
func (f *Feed) Handshake(at Listener, result analyzer.HandshakeResult, serverHalf, clientHalf int64) {
	own := f.of(at)
	for _, c := range [...]*counts{&f.all, own} {
		if c == nil {
			continue
		}
		c.handshakes[result]++
		c.halves[Server].observe(serverHalf)
		c.halves[Client].observe(clientHalf)
	}
}

// Finding counts a finding as it is raised. One of a Detector that Config does
// not list is not counted.
func (f *Feed) Finding(at Listener, d *analyzer.Detector, severity analyzer.Severity) {
	i, ok := f.m.number[d]
	if !ok {
		return
	}
	f.all.findings[i][severity]++
	if own := f.of(at); own != nil {
		own.findings[i][severity]++
	}
}

// Socket counts one socket for the census at hand, which Publish ends. Stuck
// says that it counts as stuck in its state.
func (f *Feed) Socket(at Listener, side Role, state analyzer.State, stuck bool) {
	f.sockets.all.count(side, state, stuck)
	if at == (Listener{}) {
		return
	}
	if side == Server && analyzer.SynReceived <= state && state < analyzer.TimeWait {
		if i, ok := f.listing.place[at]; ok {
			f.slots[i].activity++
		} else {
			f.see(at, 1)
		}
	}
	if f.counting == nil {
		f.counting = f.listing
	}
	if i, ok := f.counting.place[at]; ok {
		f.sockets.listed[i].count(side, state, stuck)
	} else {
		f.sockets.other.count(side, state, stuck)
	}
}

// Publish ends a census: the sockets counted since the last one are those that
// there are. Until the next one a scrape shows them. A census may take a while, with
// flushes in between: who is listed meanwhile is in the next.
func (f *Feed) Publish() { f.m.publish(f) }

// Flush hands on what was counted since the last flush, with the Tracker's
// totals as they are now; now is in ns since 1970-01-01 UTC and decides only
// which listeners are listed. Call it every second or so.
func (f *Feed) Flush(now int64, totals analyzer.Totals) {
	f.m.flush(f, now, totals)
}

// census is what a Feed knows of the sockets.
type census struct {
	all, other sockets
	listed     []sockets
}

func (c *census) reset() {
	c.all, c.other = sockets{}, sockets{}
	clear(c.listed)
}

// sockets counts them by side and state.
type sockets [numRoles][analyzer.NumStates]struct{ there, stuck uint64 }

func (s *sockets) count(side Role, state analyzer.State, stuck bool) {
	n := &s[side][state]
	n.there++
	if stuck {
		n.stuck++
	}
}

func (s *sockets) add(o *sockets) {
	for side := range s {
		for state := range s[side] {
			s[side][state].there += o[side][state].there
			s[side][state].stuck += o[side][state].stuck
		}
	}
}

// bounds are the upper ends of the buckets of latency, in ns: from a rack to
// the third retransmission of a SYN (1 s, 3 s and 7 s: RFC 6298 2.1 and 5.5).
var bounds = [...]int64{1e5, 2.5e5, 5e5, 1e6, 2.5e6, 5e6, 1e7, 2.5e7, 5e7, 1e8, 2.5e8, 5e8, 1e9, 3e9, 7e9}

// latency is a histogram.
type latency struct {
	buckets [len(bounds) + 1]uint64
	sum     int64
}

// observe counts a duration in ns; a negative one is not known.
func (l *latency) observe(d int64) {
	if d < 0 {
		return
	}
	i, _ := slices.BinarySearch(bounds[:], d)
	l.buckets[i]++
	l.sum += d
}

func (l *latency) add(o *latency) {
	for i, n := range o.buckets {
		l.buckets[i] += n
	}
	l.sum += o.sum
}
