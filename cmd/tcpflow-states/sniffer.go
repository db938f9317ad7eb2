package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/capture/live"
	"github.com/tcpflow-states/tcpflow-states/internal/evidence"
	"github.com/tcpflow-states/tcpflow-states/internal/metrics"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// sniffer is one run of live: lanes that capture and follow flows, what they
// write to together, and what looks at them from time to time.
//
//	ring ─ lane ─ Tracker ─┐ flows, findings, changes
//	ring ─ lane ─ Tracker ─┴─ mu ─ analysis, events ─ out
type sniffer struct {
	o     *liveOptions
	lanes []*lane
	begun time.Time

	mu sync.Mutex // of what follows
	*analysis
	out    *bufio.Writer
	events report.Events // nil: the format has none
	calm   bool          // a person reads them: only what matters
	ending bool          // what is told now, the summary tells

	around around
	keep   keep
	asking sync.Mutex // one asks at a time

	viewErr error // with which the full-screen view ended
}

// lane is a ring, and what follows the flows in it, for one goroutine.
type lane struct {
	*sniffer
	number  int
	src     live.Source
	tracker *analyzer.Tracker
	feed    *metrics.Feed    // nil without --metrics
	keeper  *evidence.Keeper // nil without --write
	view    *laneView        // nil without --top
	now     int64            // the capture's clock
	told    live.Counters    // as they were when the Tracker was last told of drops,
	toldAt  int64            // at this time by the host's clock; 0: never

	asks  chan func()   // what others want done between two packets
	asked atomic.Bool   // there is one
	ended chan struct{} // closed when nothing is done any more
	err   error         // with which the source ended
}

func sniff(o *liveOptions) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	if o.count > 0 {
		o.workers = 1 // several cannot end at one frame
	}
	s := &sniffer{o: o}
	if err := s.keep.open(o); err != nil {
		return err
	}
	sources, err := o.openInterface(s.keep.frames())
	if err != nil {
		return err
	}
	defer func() {
		for _, src := range sources {
			src.Close()
		}
	}()
	file, err := o.open(nil)
	if err != nil {
		return err
	}
	s.prepare(sources, file)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second one kills: nobody may read what is still to be written
	if err := s.around.open(ctx, s); err != nil {
		return err
	}
	s.run(ctx)
	return s.finish(file)
}

// prepare makes the lanes, and what they write to.
func (s *sniffer) prepare(sources []live.Source, file *os.File) {
	o := s.o
	s.begun = time.Now()
	s.out = bufio.NewWriterSize(file, 64<<10)
	names := []string{o.device}
	if len(sources) > 1 {
		names = ringNames(o.device, len(sources))
	}
	s.analysis = &analysis{o: &o.analyzeOptions, in: &inputs{names: names},
		tally: report.NewTally(), rollup: analyzer.NewRollup(nil), failed: map[string]int{}, src: sources[0]}
	for i, src := range sources {
		l := &lane{sniffer: s, number: i, src: src, asks: make(chan func(), 1), ended: make(chan struct{})}
		if s.keep.keepers != nil {
			l.keeper = s.keep.keepers[i]
		}
		if o.top {
			l.view = newLaneView(l)
		}
		l.tracker = analyzer.New(l.watching())
		s.lanes = append(s.lanes, l)
	}
	options := report.Options{Width: columns(file), Color: o.color(file), All: o.all || o.onFlows(), Limit: o.limit, Flush: true, Origin: s.origin}
	if len(names) > 1 {
		options.Captures = names
	}
	s.renderer = o.format.New(s.out, s.meta(), options)
	if o.format.Events != nil && !o.top {
		s.events = o.format.Events(s.out, o.color(file))
		_, s.calm = s.events.(*report.Log)
	}
}

// ringNames tell the rings of an interface apart, in which frames are counted.
func ringNames(device string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%s, ring %d", device, i+1))
	}
	return names
}

// watching is how the lane's Tracker works.
func (l *lane) watching() analyzer.Config {
	cfg := l.o.config(l.number)
	cfg.OnFlow, cfg.OnFinding = l.onFlow, l.onFinding
	if l.o.metrics != "" {
		cfg.OnHandshake = l.onHandshake
	}
	if l.o.events {
		cfg.OnTransition = l.onTransition
	}
	if l.view != nil {
		cfg.OnStep = l.view.onStep
	}
	return cfg
}

// onHandshake counts a handshake.
func (l *lane) onHandshake(f *analyzer.Flow) {
	l.feed.Handshake(listenerOf(f), f.Handshake.Result, f.Handshake.RTTServer, f.Handshake.RTTClient)
}

// onFlow takes a flow that has ended.
func (l *lane) onFlow(f *analyzer.Flow) {
	if l.keeper != nil {
		l.keeper.Ended(f)
	}
	if l.view != nil {
		l.view.onFlow(f)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flow(f)
}

// onFinding takes a finding as soon as it is known.
func (l *lane) onFinding(f *analyzer.Flow, n *analyzer.Finding) {
	if l.feed != nil {
		l.feed.Finding(listenerOf(f), n.Detector, n.Severity)
	}
	if !l.o.wants(f) || !l.o.wantsFinding(n) {
		return
	}
	if l.keeper != nil && l.o.matters(n) {
		l.keeper.Finding(f, n, l.now)
	}
	if l.view != nil {
		l.view.onFinding(f, n)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.events != nil && !l.ending && (!l.calm || l.o.matters(n) && !explained(f, n)) {
		l.wrote(l.events.Finding(l.now, f, n, l.around.owner(f, n.Side)))
	}
}

// explained reports whether a finding says once more what was said of the peer: a
// side in FIN_WAIT_2 waits for one that is stuck in CLOSE_WAIT.
func explained(f *analyzer.Flow, n *analyzer.Finding) bool {
	return n.Detector.Stuck && f.Sides[n.Side].State == analyzer.FinWait2 &&
		f.Sides[n.Side.Peer()].State == analyzer.CloseWait && f.Told(n.Side.Peer())
}

// onTransition takes a change of a side's state.
func (l *lane) onTransition(f *analyzer.Flow, t *analyzer.Transition) {
	if !l.o.wants(f) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ending {
		l.wrote(l.events.Transition(l.now, f, t))
	}
}

// wrote takes the error of something written. There is no more use in going on
// after one: flush sees it.
func (s *sniffer) wrote(err error) {
	if s.analysis.err == nil {
		s.analysis.err = err
	}
}

// run captures until there is an end.
func (s *sniffer) run(ctx context.Context) {
	if s.o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.o.duration)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(ctx, s.stop)()
	var lanes, others sync.WaitGroup
	if s.o.top {
		others.Go(func() { s.watch(ctx) })
	}
	for _, task := range s.tasks() {
		others.Go(func() { task.repeat(ctx, s) })
	}
	for _, l := range s.lanes {
		lanes.Go(l.run)
	}
	lanes.Wait()
	cancel()
	others.Wait()
}

// flushEvery is how long what is written may wait for more.
const flushEvery = 50 * time.Millisecond

// flush writes out what there is. Its error is that with which anything written
// has ended.
func (s *sniffer) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrote(s.out.Flush())
	return s.analysis.err
}

// stop lets all lanes end.
func (s *sniffer) stop() {
	for _, l := range s.lanes {
		l.src.Stop()
	}
}

// run takes packets until the source ends. When it does, so do the others.
func (l *lane) run() {
	defer l.stop()
	defer close(l.ended)
	var p capture.Packet
	for {
		if err := l.src.Next(&p); err != nil {
			if !errors.Is(err, io.EOF) {
				l.err = err
			}
			return
		}
		if l.asked.Load() {
			l.answer() // first: who asks wants what was true for a while, not what p begins
		}
		l.take(&p)
		if l.o.count > 0 && l.src.Stats().Frames >= l.o.count {
			return // not by way of Stop, after which all is read that the ring has
		}
	}
}

// take takes one packet, or that none came.
func (l *lane) take(p *capture.Packet) {
	l.now = max(l.now, p.Time())
	switch p.Kind {
	case capture.KindSegment:
		x := &p.Segment
		if l.keeper != nil {
			key, _ := analyzer.KeyOf(x)
			l.keeper.Claim(x.Frame, key)
		}
		x.Frame = l.frame(x.Frame)
		l.tracker.Observe(x)
	case capture.KindUnreachable:
		p.Unreachable.Frame = l.frame(p.Unreachable.Frame)
		l.tracker.ObserveUnreachable(&p.Unreachable)
	case capture.KindTick:
		l.tracker.Advance(p.Tick)
	}
}

// lose tells what was dropped since the last time, before what follows may rest on
// what is missing. The clock is the host's, as that of the frames is unless the
// card has stamped them.
func (l *lane) lose() {
	c, now := l.src.Counters(), time.Now().UnixNano()
	loss := analyzer.Loss{From: l.toldAt, To: now, Frames: c.Frames - l.told.Frames, Dropped: c.Dropped - l.told.Dropped}
	if l.toldAt == 0 {
		loss.From = l.begun.UnixNano()
	}
	l.told, l.toldAt = c, now
	l.tracker.Lose(loss)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rollup.Lose(l.in.names[l.number], loss)
}

// frame names a frame with its ring, where there are several.
func (l *lane) frame(n uint64) uint64 {
	if len(l.lanes) == 1 {
		return n
	}
	return analyzer.FrameIn(l.number+1, n)
}

// answer does what was asked for.
func (l *lane) answer() {
	l.asked.Store(false)
	select {
	case do := <-l.asks:
		do()
	default:
	}
}

// ask has every lane that has not ended do something between two packets, each
// beside the others, and waits until all have.
func (s *sniffer) ask(do func(*lane)) {
	s.asking.Lock()
	defer s.asking.Unlock()
	var all sync.WaitGroup
	for _, l := range s.lanes {
		all.Go(func() {
			answered := make(chan struct{})
			select {
			case l.asks <- func() { do(l); close(answered) }:
			case <-l.ended:
				return
			}
			l.asked.Store(true)
			select {
			case <-answered:
			case <-l.ended:
			}
		})
	}
	all.Wait()
}

// finish writes what analyze writes of a capture.
func (s *sniffer) finish(file *os.File) error {
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()
	for _, l := range s.lanes {
		l.lose()
		l.tracker.Close()
	}
	failed := s.failure()
	s.keep.close(s.o)
	s.around.close(failed)
	s.across()
	summary := s.tally.Summary()
	summary.AddRollup(s.rollup)
	for i, l := range s.lanes {
		totals := l.tracker.Totals()
		f := describe(s.in.names[i], l.src.Stats(), &totals, l.err)
		f.Name = report.Text(s.in.names[i])
		summary.AddFile(f)
	}
	if failed != nil {
		complain(failed)
	}
	if s.analysis.err == nil {
		s.wrote(s.renderer.Close(summary))
		s.wrote(s.out.Flush())
	}
	if file != os.Stdout {
		s.wrote(file.Close())
	}
	if err := s.verdict(summary); err != nil || s.viewErr == nil {
		return err
	}
	return errReported
}

// failure is why it has ended before it was to. An interface that is removed is so
// for all rings: what all say is said once.
func (s *sniffer) failure() error {
	list := []error{s.viewErr}
	said := map[string]bool{}
	for _, l := range s.lanes {
		if l.err != nil && !said[l.err.Error()] {
			said[l.err.Error()] = true
			list = append(list, l.err)
		}
	}
	return errors.Join(list...)
}
