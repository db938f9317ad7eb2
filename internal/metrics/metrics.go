// Package metrics shows what a live analysis sees to Prometheus.
//
// The loops that take packets count into a Feed each, plain numbers that no one
// else touches, and flush it now and then: one lock for many thousand packets. A
// scrape copies what was flushed and never waits for a loop.
//
// Sockets are gauges, and gauges that are kept by adding and subtracting drift
// for ever from one event that was missed. So they are counted anew: a loop goes
// over its flows every few seconds, and what it published last is what a scrape
// shows.
//
// No label holds a client's address, and there is a bounded number of series
// whatever arrives: of the listeners those with the most activity have their own
// label, the others share the label "other" (listeners.go).
package metrics

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// DefaultListeners is how many listeners have their own label where Config does
// not say.
const DefaultListeners = 20

// Config says what is counted. The zero value works.
type Config struct {
	// Version is the program's, for the label of the same name; empty is
	// "(devel)".
	Version string
	// Listeners is how many listeners have their own label; 0 is
	// DefaultListeners.
	Listeners int
	// Detectors are the findings that can be counted; nil is
	// analyzer.Detectors.
	Detectors []*analyzer.Detector
}

// Metrics gathers what its feeds flush. Its methods are safe for concurrent use.
type Metrics struct {
	build     []string // the labels of build_info
	listeners int
	detectors []*analyzer.Detector
	number    map[*analyzer.Detector]int // its place in detectors
	registry  *prometheus.Registry
	condition condition

	mu       sync.Mutex
	all      counts // whatever the listener
	ranks    ranking
	feeds    []*published
	captures []capture
}

// counts are what is counted of one listener, or of all.
type counts struct {
	handshakes [numResults]uint64
	halves     [2]latency              // by Role: who answered
	findings   [][numSeverities]uint64 // by the detector's number
}

const (
	numResults    = int(analyzer.HandshakeRejectedICMP) + 1
	numSeverities = int(analyzer.Error) + 1
)

// add adds what b has counted, and lets b begin anew.
func (a *counts) add(b *counts) {
	for i, n := range b.handshakes {
		a.handshakes[i] += n
	}
	b.handshakes = [numResults]uint64{}
	for i := range b.halves {
		a.halves[i].add(&b.halves[i])
		b.halves[i] = latency{}
	}
	for i := range b.findings {
		for s, n := range b.findings[i] {
			a.findings[i][s] += n
		}
	}
	clear(b.findings)
}

// published is what a feed has said last.
type published struct {
	totals  analyzer.Totals
	sockets census
	listing *listing // the slots of the census
}

// Capture is what a capture's source says of one interface, since it was
// opened.
type Capture struct {
	Packets uint64  // taken from the kernel: without those dropped, which tp_packets of packet(7) counts too
	Dropped uint64  // that the kernel had no room for
	Freezes uint64  // times that the ring was full: TPACKET_V3's tp_freeze_q_cnt
	Full    float64 // share of the ring, from 0 to 1, that waits to be read
	Up      bool    // the interface is there and running
}

type capture struct {
	name string
	Capture
}

// New returns Metrics whose registry also holds the collectors of the Go runtime
// and of the process.
func New(cfg Config) *Metrics {
	m := &Metrics{build: buildLabels(cmp.Or(cfg.Version, "(devel)")), listeners: cfg.Listeners, detectors: cfg.Detectors,
		number: make(map[*analyzer.Detector]int), registry: prometheus.NewRegistry()}
	if m.listeners <= 0 {
		m.listeners = DefaultListeners
	}
	if m.detectors == nil {
		m.detectors = analyzer.Detectors
	}
	for i, d := range m.detectors {
		m.number[d] = i
	}
	m.all = m.newCounts()
	m.ranks = newRanking(m.newCounts())
	m.registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *Metrics) newCounts() counts {
	return counts{findings: make([][numSeverities]uint64, len(m.detectors))}
}

// Capture says what the source of an interface has counted since it was opened;
// the last word counts. A program has few interfaces, as its user named them:
// each is a label.
func (m *Metrics) Capture(name string, c Capture) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.captures {
		if m.captures[i].name == name {
			m.captures[i].Capture = c
			return
		}
	}
	m.captures = append(m.captures, capture{name, c})
}

// flush takes what a feed has counted; now is in ns since 1970-01-01 UTC.
func (m *Metrics) flush(f *Feed, now int64, totals analyzer.Totals) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f.published.totals = totals
	m.all.add(&f.all)
	r := &m.ranks
	for i, e := range f.listing.entries {
		s := &f.slots[i]
		r.active(e.at, s.activity)
		s.activity = 0
		if !e.listed {
			e = &r.other
		}
		e.counts.add(&s.counts)
	}
	r.other.counts.add(&f.other)
	for at, n := range f.seen {
		r.active(at, n)
	}
	clear(f.seen)
	r.rank(now, m.listeners, m.newCounts)
	f.listing = r.listing
}

// publish takes the sockets that a feed has counted, and gives it the record of
// the time before last to count into.
func (m *Metrics) publish(f *Feed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f.published.sockets, f.sockets = f.sockets, f.published.sockets
	if f.published.listing = f.counting; f.counting == nil {
		f.published.listing = f.listing // no socket was counted
	}
	f.counting = nil
	f.sockets.reset()
}

// revision returns the commit that the program was built from, where the go
// command recorded it.
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

// buildLabels are those of build_info.
func buildLabels(version string) []string {
	return []string{version, revision(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
}
