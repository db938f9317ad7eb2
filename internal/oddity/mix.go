package oddity

import (
	"math/rand/v2"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// A mix is some connections at once whose segments are drawn by lot: each step
// one side of one of them does something that TCP does, or that a network does
// to it. What comes of it is rarely a conversation, and so it finds what no
// script was written for.
type mix struct {
	name  string
	why   string
	seed  uint64
	steps int
	conns int
	snap  int
	over  []string
	acts  []act
}

// act is one thing that a side does, with its weight.
type act struct {
	weight int
	do     func(*lot, analyzer.Side)
}

// Acts of a connection under way. Lossy traffic has the first list, wild has
// everything.
var (
	calm = []act{
		{30, (*lot).data}, {25, (*lot).ack}, {4, (*lot).twice}, {3, (*lot).window}, {2, (*lot).keepAlive}, {1, (*lot).fin},
	}
	lossy = append([]act{
		{6, (*lot).lose}, {8, (*lot).hold}, {12, (*lot).release}, {10, (*lot).again}, {12, (*lot).duplicateACK},
		{4, (*lot).partialACK}, {2, (*lot).ackUnseen}, {2, (*lot).shut}, {3, (*lot).probe}, {3, (*lot).fill},
	}, calm...)
	wild = append([]act{
		{3, (*lot).open}, {2, (*lot).openAgain}, {2, (*lot).answer}, {2, (*lot).reset}, {2, (*lot).resetACK},
		{3, (*lot).part}, {2, (*lot).merged}, {2, (*lot).old}, {3, (*lot).fin}, {2, (*lot).odd}, {2, (*lot).error},
	}, lossy...)
	closing = append([]act{
		{12, (*lot).fin}, {6, (*lot).reset}, {4, (*lot).resetACK}, {6, (*lot).open}, {6, (*lot).answer}, {3, (*lot).openAgain},
	}, lossy...)
)

// lot is one connection of a mix.
type lot struct {
	r    *rand.Rand
	w    *writer
	addr [2]analyzer.Addr
	port [2]uint16
	isn  [2]analyzer.Seq
	next [2]analyzer.Seq // what the side sends next
	have [2]analyzer.Seq // what the side has acknowledged last
	win  [2]uint16
	id   [2]uint16
	past [2][]analyzer.Segment // what the side has sent lately
	held []analyzer.Segment    // what the network delays
	last analyzer.Segment      // what was captured last
	ts   bool
}

// write returns the mix as a capture.
func (m *mix) write() ([]byte, error) {
	w, err := newWriter(m.over, m.snap)
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(m.seed, 1))
	w.time = 1767225600e9
	var lots []*lot
	for i := range m.conns {
		lots = append(lots, newLot(r, w, i))
	}
	total := 0
	for _, a := range m.acts {
		total += a.weight
	}
	for range m.steps {
		l := lots[r.IntN(len(lots))]
		w.time += l.pause()
		n := r.IntN(total)
		for _, a := range m.acts {
			if n -= a.weight; n < 0 {
				a.do(l, analyzer.Side(r.IntN(2)))
				break
			}
		}
	}
	return w.out.Bytes(), w.err
}

// newLot is a connection; half of them open properly.
func newLot(r *rand.Rand, w *writer, i int) *lot {
	l := &lot{r: r, w: w, ts: r.IntN(2) == 0, win: [2]uint16{501, 4000}}
	l.addr = [2]analyzer.Addr{analyzer.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}), analyzer.AddrFrom4([4]byte{10, 0, 1, 1})}
	l.port = [2]uint16{uint16(40000 + i), uint16(7001 + i%3)}
	if i > 0 && r.IntN(6) == 0 {
		l.addr[0], l.addr[1] = l.addr[1], l.addr[0]
	}
	l.number()
	switch r.IntN(6) {
	case 0, 1, 2:
		l.open(0)
		w.time += l.pause()
		l.answer(1)
		w.time += l.pause()
		l.ack(0)
	case 3:
		l.open(0)
	case 4:
		l.answer(1)
	}
	return l
}

// pause is how long until the next thing happens: on both sides of the limits
// that analyses know (3 ms, 20 ms, a round trip).
func (l *lot) pause() int64 {
	least := [...]int64{1e3, 1e3, 200e3, 200e3, 1e6, 2.5e6, 3.5e6, 10e6, 19e6, 22e6, 220e6, 1e9}[l.r.IntN(12)]
	return least + l.r.Int64N(least)
}

// number draws initial sequence numbers, often close to the wrap.
func (l *lot) number() {
	for s := range l.isn {
		l.isn[s] = analyzer.Seq(l.r.Uint32())
		if l.r.IntN(3) == 0 {
			l.isn[s] = ^analyzer.Seq(0) - analyzer.Seq(l.r.IntN(5000))
		}
		l.next[s] = l.isn[s] + 1
	}
	l.have = [2]analyzer.Seq{l.next[1], l.next[0]}
}

// make is a segment of a side as it stands.
func (l *lot) make(s analyzer.Side, flags analyzer.Flags, seq analyzer.Seq, n int) analyzer.Segment {
	l.id[s]++
	x := analyzer.Segment{Src: l.addr[s], Dst: l.addr[1-s], SrcPort: l.port[s], DstPort: l.port[1-s],
		Flags: flags, Seq: seq, Len: uint32(n), Window: l.win[s], TTL: 60, IPID: l.id[s]}
	if flags.Has(analyzer.ACK) {
		x.Ack = l.have[s]
	}
	if l.ts {
		x.Options = analyzer.Options{Set: analyzer.OptTimestamps, TSVal: uint32(l.w.time / 1e6), TSEcr: 5}
	}
	if flags.Has(analyzer.SYN) {
		x.Options.Set |= analyzer.OptMSS | analyzer.OptSACKPermitted | analyzer.OptWindowScale
		x.Options.MSS, x.Options.WindowScale = 1460, uint8(l.r.IntN(3))
	}
	return x
}

// send lets the tap see a segment.
func (l *lot) send(s analyzer.Side, x analyzer.Segment) {
	x.Time = l.w.time
	l.last = x
	if x.Len > 0 {
		l.past[s] = append(l.past[s], x)
		if len(l.past[s]) > 12 {
			l.past[s] = l.past[s][1:]
		}
	}
	if l.w.err == nil {
		l.w.segment(&x, nil, l.w.over)
	}
}

func (l *lot) size() int { return [...]int{1, 2, 10, 100, 536, 1460, 1460, 2920}[l.r.IntN(8)] }

func (l *lot) data(s analyzer.Side) {
	n := l.size()
	flags := analyzer.ACK
	if l.r.IntN(3) == 0 {
		flags |= analyzer.PSH
	}
	l.have[s] = l.next[1-s]
	l.send(s, l.make(s, flags, l.next[s], n))
	l.next[s] += analyzer.Seq(n)
}

func (l *lot) ack(s analyzer.Side) {
	l.have[s] = l.next[1-s]
	l.send(s, l.make(s, analyzer.ACK, l.next[s], 0))
}

// lose is data that the capture does not have.
func (l *lot) lose(s analyzer.Side) { l.next[s] += analyzer.Seq(l.size()) }

// hold is data that comes later than what is sent after it.
func (l *lot) hold(s analyzer.Side) {
	n := l.size()
	l.held = append(l.held, l.make(s, analyzer.ACK, l.next[s], n))
	l.next[s] += analyzer.Seq(n)
	if l.r.IntN(2) == 0 {
		l.data(s)
	}
}

func (l *lot) release(analyzer.Side) {
	if len(l.held) == 0 {
		return
	}
	x := l.held[0]
	l.held = l.held[1:]
	s := analyzer.Side(0)
	if x.SrcPort == l.port[1] {
		s = 1
	}
	l.send(s, x)
}

// again sends one of the last segments once more.
func (l *lot) again(s analyzer.Side) {
	if n := len(l.past[s]); n > 0 {
		x := l.past[s][l.r.IntN(n)]
		l.send(s, l.make(s, x.Flags, x.Seq, int(x.Len)))
	}
}

// part sends part of one of the last segments once more.
func (l *lot) part(s analyzer.Side) {
	if n := len(l.past[s]); n > 0 {
		x := l.past[s][l.r.IntN(n)]
		from := l.r.IntN(int(x.Len))
		l.send(s, l.make(s, x.Flags, x.Seq+analyzer.Seq(from), 1+l.r.IntN(int(x.Len)-from)))
	}
}

// merged sends everything from one of the last segments on in one.
func (l *lot) merged(s analyzer.Side) {
	if n := len(l.past[s]); n > 0 {
		x := l.past[s][l.r.IntN(n)]
		if all := int32(l.next[s] - x.Seq); all > 0 && all < 20000 {
			l.send(s, l.make(s, x.Flags, x.Seq, int(all)))
		}
	}
}

// old is data from long before.
func (l *lot) old(s analyzer.Side) {
	n := l.size()
	l.send(s, l.make(s, analyzer.ACK, l.next[s]-analyzer.Seq(n+l.r.IntN(3000)), n))
}

// twice is a frame that was captured twice.
func (l *lot) twice(analyzer.Side) {
	if l.last.SrcPort != 0 {
		s := analyzer.Side(0)
		if l.last.SrcPort == l.port[1] {
			s = 1
		}
		l.send(s, l.last)
	}
}

func (l *lot) duplicateACK(s analyzer.Side) {
	for range 1 + l.r.IntN(4) {
		x := l.make(s, analyzer.ACK, l.next[s], 0)
		if behind := l.next[1-s]; l.r.IntN(2) == 0 && int32(behind-x.Ack) > 2 {
			x.Options.Set |= analyzer.OptSACK
			x.SACK = [2]analyzer.Seq{x.Ack + 1, behind}
		}
		l.send(s, x)
		l.w.time += 50e3
	}
}

func (l *lot) partialACK(s analyzer.Side) {
	if n := int32(l.next[1-s] - l.have[s]); n > 0 {
		l.have[s] += analyzer.Seq(l.r.Int32N(n))
		l.send(s, l.make(s, analyzer.ACK, l.next[s], 0))
	}
}

func (l *lot) ackUnseen(s analyzer.Side) {
	l.next[1-s] += analyzer.Seq(l.size())
	l.ack(s)
}

func (l *lot) window(s analyzer.Side) {
	l.win[s] = uint16(l.r.IntN(3) * 1000)
	l.ack(s)
}

// shut closes the window.
func (l *lot) shut(s analyzer.Side) {
	l.win[s] = 0
	l.ack(s)
}

// probe is one octet, from the side whose peer's window may be shut, and half
// the time its answer.
func (l *lot) probe(s analyzer.Side) {
	l.send(s, l.make(s, analyzer.ACK, l.next[s], 1))
	if l.r.IntN(2) == 0 {
		l.w.time += 1e6
		l.send(1-s, l.make(1-s, analyzer.ACK, l.next[1-s], 0))
	}
}

// fill sends what fills the peer's window.
func (l *lot) fill(s analyzer.Side) {
	n := int32(l.have[1-s] + analyzer.Seq(l.win[1-s]) - l.next[s])
	if n > 0 && n < 5000 {
		l.send(s, l.make(s, analyzer.ACK, l.next[s], int(n)))
		l.next[s] += analyzer.Seq(n)
	}
}

func (l *lot) keepAlive(s analyzer.Side) {
	l.send(s, l.make(s, analyzer.ACK, l.next[s]-1, l.r.IntN(2)))
	if l.r.IntN(2) == 0 {
		l.w.time += 2e6
		l.ack(1 - s)
	}
}

func (l *lot) fin(s analyzer.Side) {
	n := l.r.IntN(2) * l.size()
	l.send(s, l.make(s, analyzer.FIN|analyzer.ACK, l.next[s], n))
	if l.r.IntN(3) > 0 {
		l.next[s] += analyzer.Seq(n) + 1
	}
}

func (l *lot) reset(s analyzer.Side) { l.send(s, l.make(s, analyzer.RST, l.next[s], l.r.IntN(4)/3*20)) }

func (l *lot) resetACK(s analyzer.Side) {
	l.have[s] = l.next[1-s]
	l.send(s, l.make(s, analyzer.RST|analyzer.ACK, l.next[s], 0))
}

// open is a SYN with the numbers at hand: the first, a retransmission, or one
// much too late.
func (l *lot) open(s analyzer.Side) {
	flags := analyzer.SYN
	if l.r.IntN(4) == 0 {
		flags |= analyzer.ECE | analyzer.CWR
	}
	l.send(s, l.make(s, flags, l.isn[s], l.r.IntN(8)/7*50))
}

// openAgain uses the ports for a new connection.
func (l *lot) openAgain(s analyzer.Side) {
	l.number()
	l.open(s)
}

func (l *lot) answer(s analyzer.Side) {
	x := l.make(s, analyzer.SYN|analyzer.ACK, l.isn[s], 0)
	x.Ack = l.isn[1-s] + 1
	l.send(s, x)
}

// odd has flags that nobody should send.
func (l *lot) odd(s analyzer.Side) {
	flags := [...]analyzer.Flags{0, analyzer.PSH, analyzer.FIN, analyzer.SYN | analyzer.FIN, analyzer.SYN | analyzer.RST,
		analyzer.URG | analyzer.ACK, analyzer.FIN | analyzer.RST | analyzer.ACK}[l.r.IntN(7)]
	l.send(s, l.make(s, flags, l.next[s], l.r.IntN(2)*10))
}

// error is an ICMP error of a router that quotes the side's last segment.
func (l *lot) error(s analyzer.Side) {
	u := analyzer.Unreachable{Type: 3, Code: 1, From: analyzer.AddrFrom4([4]byte{10, 9, 9, 9}), Src: l.addr[s], Dst: l.addr[1-s],
		SrcPort: l.port[s], DstPort: l.port[1-s], Seq: l.next[s]}
	if isV6(l.w.over) {
		u.Type = 1
	}
	if n := len(l.past[s]); n > 0 {
		u.Seq = l.past[s][n-1].Seq
	}
	if l.w.err == nil {
		l.w.unreachable(&u, [...]string{"8", "20", "28", "60"}[l.r.IntN(4)], l.w.over)
	}
}
