package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture/live"
	"github.com/tcpflow-states/tcpflow-states/internal/metrics"
	"github.com/tcpflow-states/tcpflow-states/internal/top"
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
	l := &lane{sniffer: s, src: counting{}, asks: make(chan func(), 1), ended: make(chan struct{})}
	l.view = newLaneView(l)
	limits := analyzer.DefaultLimits(&analyzer.Profiles[0])
	l.tracker = analyzer.New(analyzer.Config{Stuck: limits, OnFlow: l.view.onFlow, OnFinding: l.onFinding, OnStep: l.view.onStep})
	s.lanes = []*lane{l}
	return s, l
}

// counting is a source that nothing comes from.
type counting struct{ live.Source }

func (counting) Counters() live.Counters {
	return live.Counters{Frames: 1000, Dropped: 7, Full: 0.25, Up: true}
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

// answering does what is asked of a lane until the test is over, as lane.run does
// between two packets.
func answering(t *testing.T, l *lane) {
	t.Helper()
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		defer close(l.ended)
		for {
			select {
			case do := <-l.asks:
				do()
			case <-stop:
				return
			}
		}
	})
	t.Cleanup(func() { close(stop); done.Wait() })
}

// snapshot asks as the view does.
func snapshot(t *testing.T, v *viewer, want top.Want) top.Snapshot {
	t.Helper()
	s, err := v.Snapshot(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// scene is a lane that has seen a leak on :5432, a connection in use and a refusal
// on :80, and a connection half open on :22.
func scene(t *testing.T, set ...func(*liveOptions)) (*sniffer, *lane, *conversation) {
	s, l := viewed(t)
	for _, f := range set {
		f(s.o)
	}
	leak := talk(l, 0, 5432)
	leak.leaks(0)
	used := talk(l, 1, 80)
	used.send(10, true, analyzer.SYN, 0)
	used.send(11, false, analyzer.SYN|analyzer.ACK, 0)
	used.send(12, true, analyzer.ACK, 0)
	refused := talk(l, 2, 80)
	refused.send(20, true, analyzer.SYN, 0)
	refused.seq[1] = 0
	refused.send(21, false, analyzer.RST|analyzer.ACK, 0)
	half := talk(l, 3, 22)
	half.send(39_000, true, analyzer.SYN, 0)
	half.send(39_001, false, analyzer.SYN|analyzer.ACK, 0)
	l.advance(40_000)
	return s, l, leak
}

// advance lets time pass, until so many ms.
func (l *lane) advance(ms int64) {
	l.now = 1_800_000_000e9 + ms*1e6
	l.tracker.Advance(l.now)
}

func TestSnapshot(t *testing.T) {
	s, l, _ := scene(t)
	answering(t, l)
	v := newViewer(s)
	if got := snapshot(t, v, top.Want{Flow: top.NoFlow}); len(got.Listeners)+len(got.Stuck) > 0 || got.Open != 4 {
		t.Errorf("before the first walk: %+v", got)
	}
	if err := s.walk(); err != nil {
		t.Fatal(err)
	}
	got := snapshot(t, v, top.Want{Flow: top.NoFlow})
	want := top.Snapshot{Time: 1_800_000_040e9, Title: "test0", Open: 4, StuckAll: 1,
		Capture: top.Capture{Frames: 1000, Drops: 7, Ring: 0.25},
		Listeners: []top.Listener{
			{Address: "10.0.0.1:22", Open: 1, HalfOpen: 1},
			{Address: "10.0.0.1:5432", Open: 1, Stuck: 1, Findings: 2, Severity: analyzer.Error, Worst: "stuck-close-wait"},
			{Address: "10.0.0.1:80", Open: 1, Failed: 1, Findings: 1, Severity: analyzer.Warning, Worst: "connection-refused"},
		},
		Stuck: []top.Flow{{Number: 0, Client: "10.1.0.0:40000", Server: "10.0.0.1:5432", Since: 1_800_000_000e9, Owes: "server FIN",
			State: [2]analyzer.State{analyzer.FinWait2, analyzer.CloseWait}, Basis: [2]analyzer.Basis{analyzer.Inferred, analyzer.Observed},
			Severity: analyzer.Error, Findings: []string{"stuck-close-wait", "stuck-fin-wait-2"}}},
	}
	for _, sides := range [][2]analyzer.State{{analyzer.FinWait2, analyzer.CloseWait}, {analyzer.Established, analyzer.Established},
		{analyzer.Closed, analyzer.Closed}, {analyzer.Established, analyzer.SynReceived}} {
		want.Census[0][sides[0]]++
		want.Census[1][sides[1]]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What the filters leave out is not shown, but counted with the states.
func TestSnapshotFilters(t *testing.T) {
	for _, c := range []struct {
		name             string
		set              func(*liveOptions)
		listeners, stuck int
	}{
		{"port", func(o *liveOptions) { o.ports = [][2]uint16{{80, 80}} }, 1, 0},
		{"finding", func(o *liveOptions) { o.findings = []string{"stuck-fin-wait-2"} }, 3, 1},
		{"another finding", func(o *liveOptions) { o.findings = []string{"zero-window-stall"} }, 3, 0},
	} {
		s, l, _ := scene(t, c.set)
		l.view.walkOn(time.Now)
		answering(t, l)
		got := snapshot(t, newViewer(s), top.Want{Flow: top.NoFlow})
		if len(got.Listeners) != c.listeners || len(got.Stuck) != c.stuck || got.Open != 4 {
			t.Errorf("%s: listeners %v, stuck %v", c.name, got.Listeners, got.Stuck)
		}
	}
}

// A flow that is opened is drawn while it goes on, and when it has ended stays as
// it was; no other is drawn.
func TestDetail(t *testing.T) {
	s, l, leak := scene(t)
	l.view.walkOn(time.Now)
	v := newViewer(s)
	work := make(chan func())
	answers(t, l, work)
	has := func(step string, ended bool, texts ...string) {
		t.Helper()
		d := snapshot(t, v, top.Want{Flow: 0, Width: 80}).Detail
		if d == nil || d.Flow.Number != 0 || d.Ended != ended {
			t.Fatalf("%s: %+v", step, d)
		}
		lines := strings.Join(d.Lines, "\n")
		for _, text := range texts {
			if !strings.Contains(lines, text) {
				t.Errorf("%s: no %q in\n%s", step, text, lines)
			}
		}
	}
	snapshot(t, v, top.Want{Flow: top.NoFlow})
	has("opened", false, "sent SYN+ACK", "segments that are not drawn: 5", "now")
	do(work, func() {
		leak.send(41_000, false, analyzer.PSH|analyzer.ACK, 77)
		talk(l, 4, 80).send(41_001, true, analyzer.SYN, 0)
	})
	has("a segment later", false, "len 77 ", "data after the peer's FIN", "segments that are not drawn: 5")
	do(work, func() {
		leak.send(42_000, false, analyzer.FIN|analyzer.ACK, 0)
		leak.send(42_001, true, analyzer.ACK, 0)
	})
	has("closed", false, "LAST_ACK", "TIME_WAIT")
	do(work, func() { l.advance(300_000) })
	has("forgotten", true, "len 77 ", "TIME_WAIT", "at the end")
	if d := snapshot(t, v, top.Want{Flow: 1, Width: 80}).Detail; d == nil || d.Flow.Number != 1 || !d.Ended {
		t.Errorf("a flow that nobody could open: %+v", d)
	}
	if d := snapshot(t, v, top.Want{Flow: top.NoFlow}).Detail; d != nil {
		t.Errorf("closed again: %+v", d)
	}
}

// answers is answering that also does other work of the lane's.
func answers(t *testing.T, l *lane, work chan func()) {
	t.Helper()
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case do := <-l.asks:
				do()
			case do, more := <-work:
				if !more {
					return
				}
				do()
			}
		}
	})
	t.Cleanup(func() { close(work); done.Wait() })
}

// do waits until the lane has done it.
func do(work chan func(), f func()) {
	done := make(chan struct{})
	work <- func() { f(); close(done) }
	<-done
}

// The view ends with the capture.
func TestSnapshotOfEndedCapture(t *testing.T) {
	s, l := viewed(t)
	close(l.ended)
	if _, err := newViewer(s).Snapshot(t.Context(), top.Want{Flow: top.NoFlow}); !errors.Is(err, io.EOF) {
		t.Errorf("err %v, want EOF", err)
	}
}

// A walk in pieces, each cut off by the clock, sees what one in a piece does, and
// holds the lane up for no more than one step of it beyond its time.
func TestWalkInPieces(t *testing.T) {
	_, l := viewed(t)
	const flows = 3000
	for i := range flows {
		talk(l, i, uint16(1000+i%64)).leaks(int64(i))
	}
	l.advance(60_000)
	l.view.walkOn(time.Now)
	for l.view.next != 0 {
		l.view.walkOn(time.Now)
	}
	whole := l.view.seen
	if whole.stuckAll != flows || len(whole.stuck) != maxStuck || len(whole.listeners) != 64 {
		t.Fatalf("%d stuck, %d kept, of %d listeners", whole.stuckAll, len(whole.stuck), len(whole.listeners))
	}
	for i, f := range whole.stuck {
		if f.Number != i {
			t.Fatalf("place %d has flow %d: not the oldest", i, f.Number)
		}
	}
	now, looks := time.Now().Add(time.Hour), 0
	slow := func() time.Time { looks++; now = now.Add(walkPiece); return now }
	pieces := 0
	for more := true; more; more = l.view.next != 0 {
		looks = 0
		l.view.walkOn(slow)
		if looks > 3 {
			t.Fatalf("piece %d: %d looks at the clock: it goes on though its time is over", pieces, looks)
		}
		pieces++
	}
	if want := flows/walkStep + 1; pieces < want {
		t.Errorf("%d pieces, want %d or more", pieces, want)
	}
	if got := l.view.seen; got.stuckAll != flows || len(got.stuck) != maxStuck || !maps.Equal(got.listeners, whole.listeners) {
		t.Errorf("in pieces %d stuck, %d kept, listeners differ", got.stuckAll, len(got.stuck))
	}
	began := l.view.began
	l.view.walkOn(func() time.Time { return began.Add(walkAgain - 1) })
	if l.view.next != 0 || l.view.began != began {
		t.Error("a walk begins before its time")
	}
}

// Under a scan of every port the listeners with trouble stay, and memory is
// bounded.
func TestListenersBounded(t *testing.T) {
	l := listeners{}
	server := analyzer.AddrFrom4([4]byte{10, 0, 0, 1})
	bad := metrics.Listener{Addr: server, Port: 5432}
	busy := metrics.Listener{Addr: server, Port: 443}
	l.add(bad, listenerCount{findings: 1, worst: analyzer.Detectors[0], severity: analyzer.Error})
	l.add(busy, listenerCount{open: 100})
	for i := range 100_000 {
		at := metrics.Listener{Addr: analyzer.AddrFrom4([4]byte{10, 0, byte(i >> 16), 9}), Port: uint16(i)}
		l.add(at, listenerCount{open: 1})
		if len(l) >= 2*maxListeners {
			t.Fatalf("%d listeners", len(l))
		}
	}
	l.prune()
	if len(l) != maxListeners || l[bad].findings != 1 || l[busy].open != 100 {
		t.Errorf("%d listeners, %+v, %+v", len(l), l[bad], l[busy])
	}
	again := listeners{}
	again.add(bad, listenerCount{findings: 2, worst: analyzer.Detectors[1], severity: analyzer.Warning})
	again.add(bad, listenerCount{findings: 3, worst: analyzer.Detectors[0], severity: analyzer.Error})
	again.add(bad, listenerCount{findings: 4, worst: analyzer.Detectors[1], severity: analyzer.Warning})
	if got := again[bad]; got.findings != 9 || got.worst != analyzer.Detectors[0] || got.severity != analyzer.Error {
		t.Errorf("%+v, want nine findings, the worst an error", got)
	}
}

// Of what is written while the view has the terminal nothing is lost up to a
// bound, and beyond it the user is told.
func TestAsides(t *testing.T) {
	var a asides
	a.holding = true
	line := strings.Repeat("x", 1023) + "\n"
	for range 100 {
		if n, err := a.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	if a.held.Len() != mostHeld || a.lost != 100-mostHeld/1024 {
		t.Errorf("%d octets wait, %d lines lost", a.held.Len(), a.lost)
	}
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
