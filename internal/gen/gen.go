// Package gen makes synthetic captures: the same seed gives the same bytes.
//
// A capture is many conversations, each a short script of segments as a tap in
// the middle of the path would see them (story.go), played at once and written
// as pcap (write.go). Every conversation knows what states its sides go
// through, so that a test can hold a tracker to it; the benchmarks only want
// the packets.
package gen

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Config says what to make. Only Profile must be set.
type Config struct {
	// Profile is one of Profiles.
	Profile string
	// Seed picks one of the captures that the rest of the Config allows.
	Seed uint64
	// Packets is how many to make; a conversation that has begun is finished,
	// so there will be some more. 0 is 100,000.
	Packets int
	// Connections bounds the conversations; 0 does not.
	Connections int
	// Open is how many conversations go on at a time; 0 is the profile's own.
	Open int
	// SnapLen cuts packets; 0 is the profile's own.
	SnapLen int
	// OnConnection, if set, is told of each conversation as it begins.
	OnConnection func(*Connection)
}

// Profile is a kind of traffic.
type Profile struct {
	Name    string
	Doc     string
	open    int
	snapLen int
	stories []weighted
}

type weighted struct {
	weight int
	story  *Story
}

// Profiles is the list of all kinds of traffic.
var Profiles = []Profile{
	{"mix", "short conversations that open, talk and close in every way", 200, fullLength, mixStories},
	{"healthy", "conversations that open, talk and close in order", 200, fullLength, healthyStories},
	{"headers", "mix as a capture with a snap length of 96 octets has it", 200, 96, mixStories},
	{"bulk", "few conversations that move much data", 8, fullLength, []weighted{{1, &bulk}}},
	{"scan", "SYNs from everywhere: unanswered, refused, half-open", 1000, fullLength,
		[]weighted{{6, &unanswered}, {3, &halfOpen}, {4, &refused}}},
}

const fullLength = 262144

// Connection is one conversation as the generator meant it.
type Connection struct {
	Number         int // in the order of the first segments, from 0
	Client, Server netip.AddrPort
	Story          *Story
}

// Written counts what Write has made.
type Written struct {
	Packets, Connections int
	Bytes                int64
}

// Write makes one capture.
func Write(w io.Writer, cfg Config) (Written, error) {
	g, err := newGenerator(w, cfg)
	if err != nil {
		return Written{}, err
	}
	g.start()
	for len(g.queue) > 0 {
		g.step()
	}
	if err := g.out.flush(); err != nil {
		return g.done, fmt.Errorf("write capture: %w", err)
	}
	g.done.Bytes = g.out.bytes
	return g.done, nil
}

// epoch is when every capture begins: 2026-01-01 UTC.
const epoch = int64(1767225600e9)

type generator struct {
	cfg     Config
	profile *Profile
	total   int // sum of the stories' weights
	rand    *rand.Rand
	out     *writer
	queue   []*conversation // a heap: the earliest next segment first
	free    []*conversation
	planned int // packets written, and those in the scripts being played
	begun   int
	done    Written
}

func newGenerator(w io.Writer, cfg Config) (*generator, error) {
	g := &generator{cfg: cfg, rand: rand.New(rand.NewPCG(cfg.Seed, 0x7c9f10e5))}
	for i := range Profiles {
		if Profiles[i].Name == cfg.Profile {
			g.profile = &Profiles[i]
		}
	}
	if g.profile == nil {
		return nil, fmt.Errorf("no profile %q", cfg.Profile)
	}
	for _, s := range g.profile.stories {
		g.total += s.weight
	}
	if g.cfg.Packets <= 0 {
		g.cfg.Packets = 100_000
	}
	if g.cfg.Open <= 0 {
		g.cfg.Open = g.profile.open
	}
	if g.cfg.SnapLen <= 0 {
		g.cfg.SnapLen = g.profile.snapLen
	}
	g.out = newWriter(w, g.cfg.SnapLen)
	return g, nil
}

// start opens the first conversations, a little apart.
func (g *generator) start() {
	for i := range g.cfg.Open {
		g.begin(epoch + int64(i)*int64(50_000) + g.rand.Int64N(50_000))
	}
}

// begin opens one conversation, unless there are enough.
func (g *generator) begin(at int64) {
	if g.planned >= g.cfg.Packets || g.cfg.Connections > 0 && g.begun >= g.cfg.Connections {
		return
	}
	c := &conversation{}
	if n := len(g.free); n > 0 {
		c, g.free = g.free[n-1], g.free[:n-1]
	}
	c.reset(g, g.begun, g.pick())
	g.begun++
	g.planned += len(c.script)
	c.at = at + c.script[0].after
	g.push(c)
}

func (g *generator) pick() *Story {
	n := g.rand.IntN(g.total)
	for _, s := range g.profile.stories {
		if n -= s.weight; n < 0 {
			return s.story
		}
	}
	return nil // not reached: the weights add up to total
}

// step writes the next segment of all.
func (g *generator) step() {
	c := g.queue[0]
	if c.next == 0 && g.cfg.OnConnection != nil {
		g.cfg.OnConnection(&Connection{g.done.Connections, c.addr[client], c.addr[server], c.story})
	}
	if c.next == 0 {
		g.done.Connections++
	}
	g.out.segment(c, &c.script[c.next])
	g.done.Packets++
	c.next++
	if c.next < len(c.script) {
		c.at += c.script[c.next].after
		g.sink(0)
		return
	}
	last := len(g.queue) - 1
	g.queue[0], g.queue = g.queue[last], g.queue[:last]
	g.sink(0)
	g.free = append(g.free, c)
	g.begin(c.at + g.rand.Int64N(1_000_000))
}

func (g *generator) before(i, j int) bool {
	a, b := g.queue[i], g.queue[j]
	return a.at < b.at || a.at == b.at && a.number < b.number
}

func (g *generator) push(c *conversation) {
	g.queue = append(g.queue, c)
	for i := len(g.queue) - 1; i > 0 && g.before(i, (i-1)/2); i = (i - 1) / 2 {
		g.queue[i], g.queue[(i-1)/2] = g.queue[(i-1)/2], g.queue[i]
	}
}

func (g *generator) sink(i int) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(g.queue) && g.before(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		g.queue[i], g.queue[least] = g.queue[least], g.queue[i]
		i = least
	}
}

// addresses gives the conversation with that number a pair of its own.
func addresses(n int) (pair [2]netip.AddrPort) {
	const ports = 60_000
	host := n / ports
	from := netip.AddrFrom4([4]byte{10, byte(host >> 16), byte(host >> 8), byte(host)})
	to := netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + n%16)})
	pair[client] = netip.AddrPortFrom(from, uint16(2048+n%ports))
	pair[server] = netip.AddrPortFrom(to, []uint16{80, 443, 5432, 6379}[n%4])
	return pair
}

// States are what the stories intend for a side; nil where a tap cannot tell.
type States []analyzer.State
