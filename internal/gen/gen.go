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
	"math"
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
	// so there will be some more. 0 is 100,000, or no bound where Connections
	// is one.
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
	Name string
	Doc  string
	// Connections is how many a benchmark of full size has; Full makes its
	// Config.
	Connections int

	open    int
	snapLen int   // 0: packets are whole
	spread  int64 // ns in which the first conversations begin; 0: 50 us for each
	rest    int64 // ns after the end of one in which no other begins in its place
	gap     int64 // and then, at most so many until one does
	clients int   // hosts that open conversations; 0: 60,000 conversations for each
	manner  manner
	stories []weighted
}

// manner is how the ends of a conversation talk, and how long they wait.
type manner struct {
	leastTalks, mostTalks int
	body                  int    // of an answer: fewer segments than this before its last
	segment               uint32 // octets in those, fewer than this
	// pause is the time before each talk but the first, and before the close;
	// nil: none to speak of.
	pause func(*conversation) int64
}

type weighted struct {
	weight int
	story  *Story
}

// Profiles is the list of all kinds of traffic.
var Profiles = []Profile{
	{Name: "mix", Doc: "conversations that open, talk, pause and close, one in eight not in order",
		Connections: 200_000, open: 20_000, spread: 60 * second, gap: millisecond, clients: 4000,
		manner: manner{leastTalks: 1, mostTalks: 4, body: 3, segment: 1260, pause: wait}, stories: mixStories},
	{Name: "healthy", Doc: "conversations that open, talk and close in order",
		Connections: 100_000, open: 200, gap: millisecond, manner: brisk, stories: healthyStories},
	{Name: "headers", Doc: "shorter conversations of the mix as a capture with a snap length of 96 octets has them",
		Connections: 500_000, open: 20_000, snapLen: 96, spread: 40 * second, gap: millisecond, clients: 10_000,
		manner: manner{leastTalks: 0, mostTalks: 3, body: 1, segment: 800, pause: wait}, stories: mixStories},
	{Name: "bulk", Doc: "few conversations that move much data",
		Connections: 2000, open: 64, gap: millisecond, manner: brisk, stories: []weighted{{1, &bulk}}},
	{Name: "scan", Doc: "one SYN each, half of a handshake that nobody answers",
		Connections: 5_000_000, open: 1000, gap: 40 * millisecond, manner: brisk, stories: []weighted{{1, &loneSYN}}},
	{Name: "resting", Doc: "conversations that rest most of the time, as many at once as Open says",
		Connections: 200_000, open: 1000, snapLen: 96, spread: 20 * second, rest: 62 * second, gap: second, clients: 200,
		manner: brisk, stories: []weighted{{1, &resting}}},
}

// brisk is talk without pauses.
var brisk = manner{leastTalks: 0, mostTalks: 3, body: 3, segment: 600}

// ProfileNamed returns the profile of that name, nil when there is none.
func ProfileNamed(name string) *Profile {
	for i := range Profiles {
		if Profiles[i].Name == name {
			return &Profiles[i]
		}
	}
	return nil
}

// Full is the capture of a profile that benchmarks are about; a scale below 1
// makes fewer connections, and as many fewer at a time.
func (p *Profile) Full(seed uint64, scale float64) Config {
	return Config{Profile: p.Name, Seed: seed,
		Connections: max(int(float64(p.Connections)*scale), 1), Open: max(int(float64(p.open)*scale), 1)}
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
	if g.profile = ProfileNamed(cfg.Profile); g.profile == nil {
		return nil, fmt.Errorf("no profile %q", cfg.Profile)
	}
	for _, s := range g.profile.stories {
		g.total += s.weight
	}
	switch {
	case g.cfg.Packets > 0:
	case g.cfg.Connections > 0:
		g.cfg.Packets = math.MaxInt
	default:
		g.cfg.Packets = 100_000
	}
	if g.cfg.Open <= 0 {
		g.cfg.Open = g.profile.open
	}
	if g.cfg.SnapLen <= 0 {
		g.cfg.SnapLen = g.profile.snapLen
	}
	if g.cfg.SnapLen == 0 {
		g.cfg.SnapLen = fullLength
	}
	g.out = newWriter(w, g.cfg.SnapLen)
	return g, nil
}

// start opens the first conversations, a little apart.
func (g *generator) start() {
	apart := int64(50_000)
	if g.profile.spread > 0 {
		apart = max(g.profile.spread/int64(g.cfg.Open), 1)
	}
	for i := range g.cfg.Open {
		g.begin(epoch + int64(i)*apart + g.rand.Int64N(apart))
	}
}

// begin opens one conversation, unless there are enough.
func (g *generator) begin(at int64) {
	if g.planned >= g.cfg.Packets || g.cfg.Connections > 0 && g.begun >= g.cfg.Connections {
		return
	}
	if len(g.free) == 0 {
		g.free = append(g.free, &conversation{})
	}
	last := len(g.free) - 1
	c := g.free[last]
	g.free = g.free[:last]
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
	g.begin(c.at + g.profile.rest + g.rand.Int64N(g.profile.gap))
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
func (p *Profile) addresses(n int) (pair [2]netip.AddrPort) {
	const ports = 60_000
	host, port := n/ports, n%ports
	if p.clients > 0 {
		round := n / p.clients
		host, port = n%p.clients+round/ports*p.clients, round%ports
	}
	from := netip.AddrFrom4([4]byte{10, byte(host >> 16), byte(host >> 8), byte(host)})
	to := netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + n%16)})
	pair[client] = netip.AddrPortFrom(from, uint16(2048+port))
	pair[server] = netip.AddrPortFrom(to, []uint16{80, 443, 5432, 6379}[n%4])
	return pair
}

// States are what the stories intend for a side; nil where a tap cannot tell.
type States []analyzer.State
