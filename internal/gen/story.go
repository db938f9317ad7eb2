package gen

import (
	"math/rand/v2"
	"net/netip"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Story is one way in which a conversation goes.
type Story struct {
	Name string
	// Client and Server are the states that the sides go through, without the
	// end of TIME_WAIT and of retries, which no segment shows. Nil: the
	// segments leave it open.
	Client, Server States

	script func(*conversation)
}

// The two ends.
const (
	client = 0
	server = 1
)

// line is one segment of a script; numbers are relative to the ISNs.
type line struct {
	after    int64 // ns since the segment before
	seq, ack uint32
	len      uint32
	from     uint8
	flags    analyzer.Flags
}

// conversation plays one story.
type conversation struct {
	at     int64 // when its next segment passes the tap
	number int
	next   int
	script []line
	story  *Story

	addr  [2]netip.AddrPort
	isn   [2]uint32
	clock [2]uint32 // of the timestamps option
	echo  [2]uint32 // the last TSVal that each side has received
	ipid  [2]uint16

	// While the script is written:
	rand *rand.Rand
	as   *manner
	nxt  [2]uint32
	ack  [2]uint32
	near [2]int64 // tap to that side and back, ns
	rest int64    // before what comes next
}

func (c *conversation) reset(g *generator, number int, s *Story) {
	*c = conversation{script: c.script[:0], number: number, story: s, rand: g.rand, as: &g.profile.manner,
		addr: g.profile.addresses(number)}
	for i := range 2 {
		c.isn[i], c.clock[i], c.ipid[i] = g.rand.Uint32(), g.rand.Uint32(), uint16(g.rand.Uint32())
		c.near[i] = 200_000 + g.rand.Int64N(20_000_000)
	}
	s.script(c)
}

// pass writes a segment that passes the tap and does not arrive.
func (c *conversation) pass(after int64, from uint8, f analyzer.Flags, length uint32) {
	c.script = append(c.script, line{after + c.rest, c.nxt[from], c.ack[from], length, from, f})
	c.rest = 0
	c.nxt[from] += length
	if f&(analyzer.SYN|analyzer.FIN) != 0 {
		c.nxt[from]++
	}
}

// send writes a segment that arrives.
func (c *conversation) send(after int64, from uint8, f analyzer.Flags, length uint32) {
	c.pass(after, from, f, length)
	c.ack[1-from] = c.nxt[from]
}

// lost writes a segment that is lost beyond the tap and will be sent again.
func (c *conversation) lost(after int64, from uint8, f analyzer.Flags, length uint32) {
	before := c.nxt[from]
	c.pass(after, from, f, length)
	c.nxt[from] = before
}

// answer is how long after a segment to a side its answer passes the tap.
func (c *conversation) answer(by uint8) int64 { return c.near[by] + c.rand.Int64N(200_000) }

// think is how long an application takes.
func (c *conversation) think() int64 { return 50_000 + c.rand.Int64N(30_000_000) }

// wait is a pause between talks: mostly a moment, at times a minute or two.
func wait(c *conversation) int64 {
	if c.rand.IntN(4) == 0 {
		return 30*second + c.rand.Int64N(120*second)
	}
	return millisecond + c.rand.Int64N(4*second)
}

const (
	second      = int64(1e9)
	millisecond = int64(1e6)

	soon    = int64(20_000)      // the next segment of one side at a time
	timeout = int64(230_000_000) // a retransmission: RTO of a short path
)

func (c *conversation) open() {
	c.send(0, client, analyzer.SYN, 0)
	c.send(c.answer(server), server, analyzer.SYN|analyzer.ACK, 0)
	c.send(c.answer(client), client, analyzer.ACK, 0)
}

// talk is a request and its answer of a few segments.
func (c *conversation) talk() {
	c.send(soon, client, analyzer.PSH|analyzer.ACK, 40+c.rand.Uint32N(200))
	c.send(c.answer(server), server, analyzer.ACK, 0)
	for range c.rand.IntN(c.as.body) {
		c.send(soon, server, analyzer.ACK, 200+c.rand.Uint32N(c.as.segment-200))
	}
	c.send(soon, server, analyzer.PSH|analyzer.ACK, 20+c.rand.Uint32N(c.as.segment/2))
	c.send(c.answer(client), client, analyzer.ACK, 0)
}

// chat is some talks, as many and with such pauses after them as the manner of
// the conversation has.
func (c *conversation) chat() {
	for range c.as.leastTalks + c.rand.IntN(c.as.mostTalks-c.as.leastTalks+1) {
		c.talk()
		if c.as.pause != nil {
			c.rest = c.as.pause(c)
		}
	}
}

// closeFrom is the orderly close: FIN, ACK, some time, FIN, ACK.
func (c *conversation) closeFrom(first uint8) {
	second := 1 - first
	c.send(c.think(), first, analyzer.FIN|analyzer.ACK, 0)
	c.send(c.answer(second), second, analyzer.ACK, 0)
	c.send(c.think(), second, analyzer.FIN|analyzer.ACK, 0)
	c.send(c.answer(first), first, analyzer.ACK, 0)
}

// after joins the states of an opening with those of a close.
func after(opening States, rest ...analyzer.State) States {
	return append(append(States{}, opening...), rest...)
}

var (
	opened   = States{analyzer.SynSent, analyzer.Established}
	accepted = States{analyzer.SynReceived, analyzer.Established}
	active   = []analyzer.State{analyzer.FinWait1, analyzer.FinWait2, analyzer.TimeWait}
	passive  = []analyzer.State{analyzer.CloseWait, analyzer.LastAck, analyzer.Closed}
	crossed  = []analyzer.State{analyzer.FinWait1, analyzer.Closing, analyzer.TimeWait}
)

// Of a thousand conversations, 129 have something remarkable.
var mixStories = []weighted{
	{400, &clientCloses}, {200, &serverCloses}, {261, &threeSegments}, {3, &simultaneous}, {10, &keptAlive},
	{25, &clientResets}, {10, &serverResets}, {20, &refused}, {15, &unanswered}, {5, &halfOpen},
	{10, &leftInCloseWait}, {15, &dataAgain}, {15, &holeFilled}, {6, &finAgain}, {5, &leftOpen},
}

var healthyStories = []weighted{
	{30, &clientCloses}, {15, &serverCloses}, {15, &threeSegments}, {2, &leftOpen}, {2, &keptAlive},
}

var clientCloses = Story{"client closes", after(opened, active...), after(accepted, passive...),
	func(c *conversation) { c.open(); c.chat(); c.closeFrom(client) }}

var serverCloses = Story{"server closes", after(opened, passive...), after(accepted, active...),
	func(c *conversation) { c.open(); c.chat(); c.closeFrom(server) }}

var threeSegments = Story{"FIN answered by FIN", after(opened, active...), after(accepted, passive...),
	func(c *conversation) {
		c.open()
		c.chat()
		c.send(c.think(), client, analyzer.FIN|analyzer.ACK, 0)
		c.send(c.answer(server), server, analyzer.FIN|analyzer.ACK, 0)
		c.send(c.answer(client), client, analyzer.ACK, 0)
	}}

var simultaneous = Story{"both close at once", after(opened, crossed...), after(accepted, crossed...),
	func(c *conversation) {
		c.open()
		c.chat()
		a, b := c.ack[client], c.ack[server]
		c.pass(c.think(), client, analyzer.FIN|analyzer.ACK, 0)
		c.pass(soon, server, analyzer.FIN|analyzer.ACK, 0)
		c.ack[client], c.ack[server] = a+1, b+1
		c.send(c.answer(server), server, analyzer.ACK, 0)
		c.send(c.answer(client), client, analyzer.ACK, 0)
	}}

var clientResets = Story{"client resets", after(opened, analyzer.Closed), after(accepted, analyzer.Closed),
	func(c *conversation) {
		c.open()
		c.talk()
		c.send(c.think(), client, analyzer.RST|analyzer.ACK, 0)
	}}

var serverResets = Story{"server resets", after(opened, analyzer.Closed), after(accepted, analyzer.Closed),
	func(c *conversation) {
		c.open()
		c.talk()
		c.send(c.think(), server, analyzer.RST|analyzer.ACK, 0)
	}}

var refused = Story{"refused", States{analyzer.SynSent, analyzer.Closed}, States{},
	func(c *conversation) {
		c.send(0, client, analyzer.SYN, 0)
		c.script = append(c.script, line{c.answer(server), 0, 1, 0, server, analyzer.RST | analyzer.ACK})
	}}

var unanswered = Story{"SYN unanswered", States{analyzer.SynSent}, States{},
	func(c *conversation) {
		for i := range 4 {
			c.lost([]int64{0, second, 2 * second, 4 * second}[i], client, analyzer.SYN, 0)
		}
	}}

var halfOpen = Story{"SYN+ACK unanswered", nil, States{analyzer.SynReceived},
	func(c *conversation) {
		c.send(0, client, analyzer.SYN, 0)
		for i := range 3 {
			c.lost([]int64{c.answer(server), second, 2 * second}[i], server, analyzer.SYN|analyzer.ACK, 0)
		}
	}}

var leftInCloseWait = Story{"server never closes",
	after(opened, analyzer.FinWait1, analyzer.FinWait2), after(accepted, analyzer.CloseWait),
	func(c *conversation) {
		c.open()
		c.chat()
		c.send(c.think(), client, analyzer.FIN|analyzer.ACK, 0)
		c.send(c.answer(server), server, analyzer.ACK, 0)
	}}

var dataAgain = Story{"data lost and sent again", after(opened, active...), after(accepted, passive...),
	func(c *conversation) {
		c.open()
		c.lost(soon, client, analyzer.PSH|analyzer.ACK, 120)
		c.send(timeout, client, analyzer.PSH|analyzer.ACK, 120)
		c.send(c.answer(server), server, analyzer.ACK, 0)
		c.chat()
		c.closeFrom(client)
	}}

var holeFilled = Story{"segment lost and sent again on duplicate ACKs", after(opened, active...), after(accepted, passive...),
	func(c *conversation) {
		c.open()
		c.talk()
		hole := line{0, c.nxt[server], c.ack[server], 1200, server, analyzer.ACK}
		c.pass(soon, server, analyzer.ACK, 1200)
		for range 4 {
			c.pass(soon, server, analyzer.ACK, 1200)
			c.pass(c.answer(client), client, analyzer.ACK, 0)
		}
		hole.after = c.answer(server)
		c.script = append(c.script, hole)
		c.ack[client] = c.nxt[server]
		c.send(c.answer(client), client, analyzer.ACK, 0)
		c.chat()
		c.closeFrom(client)
	}}

var finAgain = Story{"FIN lost and sent again", after(opened, active...), after(accepted, passive...),
	func(c *conversation) {
		c.open()
		c.chat()
		c.lost(c.think(), client, analyzer.FIN|analyzer.ACK, 0)
		c.closeFrom(client)
		c.script[len(c.script)-4].after = timeout
	}}

var leftOpen = Story{"left open", opened, accepted,
	func(c *conversation) { c.open(); c.talk() }}

var keptAlive = Story{"idle, kept alive", after(opened, active...), after(accepted, passive...),
	func(c *conversation) {
		c.open()
		c.talk()
		for range 2 {
			c.script = append(c.script, line{15 * second, c.nxt[client] - 1, c.ack[client], 0, client, analyzer.ACK})
			c.send(c.answer(server), server, analyzer.ACK, 0)
		}
		c.closeFrom(client)
	}}

var loneSYN = Story{"lone SYN", States{analyzer.SynSent}, States{},
	func(c *conversation) { c.send(0, client, analyzer.SYN, 0) }}

// resting is silent three times, for less than a flow may before it counts as
// idle.
var resting = Story{"resting", after(opened, active...), after(accepted, passive...),
	func(c *conversation) {
		pause := func() int64 { return 5*second + c.rand.Int64N(14*second) }
		c.open()
		c.send(pause(), client, analyzer.PSH|analyzer.ACK, 10)
		c.send(pause(), server, analyzer.PSH|analyzer.ACK, 10)
		c.send(pause(), client, analyzer.FIN|analyzer.ACK, 0)
		c.send(c.answer(server), server, analyzer.FIN|analyzer.ACK, 0)
		c.send(c.answer(client), client, analyzer.ACK, 0)
	}}

// bulk sends full segments, one ACK for two of them.
var bulk = Story{"bulk", after(opened, passive...), after(accepted, active...),
	func(c *conversation) {
		c.open()
		c.send(soon, client, analyzer.PSH|analyzer.ACK, 100)
		for range 198 {
			c.send(12_000, server, analyzer.ACK, 1448)
			c.send(12_000, server, analyzer.ACK, 1448)
			c.send(6_000, client, analyzer.ACK, 0)
		}
		c.closeFrom(server)
	}}
