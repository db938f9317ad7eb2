package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// viewed is a sniffer with one lane that nobody runs: what is asked of it is done
// at once.
func viewed(t testing.TB) (*sniffer, *lane) {
	t.Helper()
	o := &liveOptions{top: true}
	o.format = report.Formats[0]
	o.device = "test0"
	s := &sniffer{o: o}
	l := &lane{sniffer: s, asks: make(chan func(), 1), ended: make(chan struct{})}
	l.view = newLaneView(l)
	limits := analyzer.DefaultLimits(&analyzer.Profiles[0])
	l.tracker = analyzer.New(analyzer.Config{Stuck: limits, OnFlow: l.view.onFlow, OnFinding: l.view.onFinding, OnStep: l.view.onStep})
	s.lanes = []*lane{l}
	return s, l
}

// conversation gives a lane the segments of one connection.
type conversation struct {
	l              *lane
	client, server analyzer.Addr
	cport, sport   uint16
	frame          uint64
	seq            [2]analyzer.Seq
}

func talk(l *lane, n int, port uint16) *conversation {
	return &conversation{l: l, client: analyzer.AddrFrom4([4]byte{10, 1, byte(n >> 14), byte(n >> 6)}), cport: uint16(40000 + n&63),
		server: analyzer.AddrFrom4([4]byte{10, 0, 0, 1}), sport: port, seq: [2]analyzer.Seq{100, 300}}
}

// send is a segment at a time in ms.
func (c *conversation) send(ms int64, client bool, flags analyzer.Flags, octets uint32) {
	c.frame++
	x := analyzer.Segment{Frame: c.frame, Time: 1_800_000_000e9 + ms*1e6, Flags: flags, Window: 500, Len: octets, IPID: uint16(c.frame)}
	me, other := 0, 1
	if client {
		x.Src, x.SrcPort, x.Dst, x.DstPort = c.client, c.cport, c.server, c.sport
	} else {
		me, other = 1, 0
		x.Src, x.SrcPort, x.Dst, x.DstPort = c.server, c.sport, c.client, c.cport
	}
	x.Seq = c.seq[me]
	if flags&analyzer.ACK != 0 {
		x.Ack = c.seq[other]
	}
	c.seq[me] = c.seq[me].Add(octets)
	if flags&(analyzer.SYN|analyzer.FIN) != 0 {
		c.seq[me] = c.seq[me].Add(1)
	}
	c.l.now = x.Time
	c.l.tracker.Observe(&x)
}

// leaks is a connection that the client closes and the server does not.
func (c *conversation) leaks(ms int64) {
	c.send(ms, true, analyzer.SYN, 0)
	c.send(ms, false, analyzer.SYN|analyzer.ACK, 0)
	c.send(ms, true, analyzer.ACK, 0)
	c.send(ms, true, analyzer.FIN|analyzer.ACK, 0)
	c.send(ms, false, analyzer.ACK, 0)
}

// What it costs a lane to be looked at: a census, which is taken at once, and a
// walk, of which a piece takes walkPiece. All flows are stuck, of 64 listeners.
func BenchmarkView(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		_, l := viewed(b)
		for i := range n {
			talk(l, i, uint16(1000+i%64)).leaks(int64(i) * 20_000 / int64(n))
		}
		l.tracker.Advance(l.now + 60e9)
		b.Run(fmt.Sprintf("census/%d", n), func(b *testing.B) {
			for b.Loop() {
				l.tracker.Census()
			}
		})
		b.Run(fmt.Sprintf("walk/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			pieces, longest := 0, time.Duration(0)
			for b.Loop() {
				l.view.began = time.Time{}
				for more := true; more; more = l.view.next != 0 {
					begin := time.Now()
					l.view.walkOn(time.Now)
					longest = max(longest, time.Since(begin))
					pieces++
				}
			}
			b.ReportMetric(float64(longest.Microseconds())/1000, "longest-ms")
			b.ReportMetric(float64(pieces)/float64(b.N), "pieces/op")
		})
		if got := l.view.seen.stuckAll; got != n {
			b.Errorf("%d stuck, want %d", got, n)
		}
	}
}
