package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/kernelcheck"
	"github.com/tcpflow-states/tcpflow-states/internal/metrics"
)

// task is something that live does from time to time. None of it is done by the
// goroutines that take packets, but what has to look at flows: see sniffer.ask.
type task struct {
	every time.Duration
	do    func(*sniffer) error
}

// tasks are those that there always are, and those that the flags ask for.
func (s *sniffer) tasks() []task {
	list := []task{{flushEvery, (*sniffer).flush}, {time.Second, (*sniffer).lose}}
	if s.keep.keepers != nil || s.keep.rotator != nil {
		list = append(list, task{time.Second, (*sniffer).keepOn})
	}
	if s.around.all != nil {
		list = append(list, task{time.Second, (*sniffer).count}, task{10 * time.Second, (*sniffer).countSockets})
	}
	if s.around.kernel != nil {
		list = append(list, task{10 * time.Second, (*sniffer).checkKernel})
	}
	if s.o.top {
		list = append(list, task{walkEvery, (*sniffer).walk})
	}
	if s.o.interval > 0 {
		list = append(list, task{s.o.interval, (*sniffer).census})
	}
	return list
}

// repeat does it until there is an end. The capture ends with its error.
func (t task) repeat(ctx context.Context, s *sniffer) {
	every := time.NewTicker(t.every)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if err := t.do(s); err != nil {
			s.mu.Lock()
			s.wrote(err)
			s.mu.Unlock()
			s.stop()
			return
		}
	}
}

// lose asks the kernel what it had no room for.
func (s *sniffer) lose() error {
	s.ask((*lane).lose)
	return nil
}

// keepOn completes files whose time has come.
func (s *sniffer) keepOn() error {
	s.ask(func(l *lane) {
		if l.keeper != nil {
			l.keeper.Advance(l.now)
		}
		if s.keep.rotator != nil {
			s.keep.rotator.Advance(l.now)
		}
	})
	return nil
}

// count brings the metrics up to date. The packets are counted before the segments
// that were found in them, so that no scrape sees more of these.
func (s *sniffer) count() error {
	var mu sync.Mutex
	s.ask(func(l *lane) {
		mu.Lock()
		c := s.counters()
		s.around.all.Capture(s.o.device, metrics.Capture{Packets: c.Frames - c.Dropped, Dropped: c.Dropped, Freezes: c.Freezes, Full: c.Full, Up: c.Up})
		mu.Unlock()
		l.feed.Flush(l.now, l.tracker.Totals())
	})
	return nil
}

const (
	walkPiece = 5 * time.Millisecond  // that looking at flows may hold up a lane
	walkPause = 20 * time.Millisecond // until it may do so again
	walkStep  = 64                    // flows between two looks at the clock
)

// piece looks at the flows from a place on, for walkPiece at most, and returns the
// place to go on from; 0: that was all. The clock is the host's.
func (l *lane) piece(place uint32, clock func() time.Time, visit func(place uint32, f *analyzer.Flow)) uint32 {
	now := clock()
	for end := now.Add(walkPiece); place != 0 && now.Before(end); now = clock() {
		place = l.tracker.EachFrom(place, walkStep, visit)
	}
	return place
}

// eachFlow looks at every flow that is held from the first piece to the last. To
// look at a million takes a second, for which the ring has no room: hence pieces.
func (s *sniffer) eachFlow(visit func(*lane, *analyzer.Flow)) {
	places := slices.Repeat([]uint32{1}, len(s.lanes))
	for {
		var more atomic.Bool // stays false when the lanes have ended
		s.ask(func(l *lane) {
			at := &places[l.number]
			*at = l.piece(*at, time.Now, func(_ uint32, f *analyzer.Flow) { visit(l, f) })
			if *at != 0 {
				more.Store(true)
			}
		})
		if !more.Load() {
			return
		}
		time.Sleep(walkPause)
	}
}

// countSockets counts the sockets for the metrics.
func (s *sniffer) countSockets() error {
	s.eachFlow(func(l *lane, f *analyzer.Flow) {
		at := listenerOf(f)
		l.feed.Socket(at, metrics.Client, f.Sides[f.Client].State, f.Told(f.Client))
		l.feed.Socket(at, metrics.Server, f.Sides[f.Server()].State, f.Told(f.Server()))
	})
	s.ask(func(l *lane) { l.feed.Publish() })
	return nil
}

// census says how many sides are in each state.
func (s *sniffer) census() error {
	var sum analyzer.Census
	var now int64
	var mu sync.Mutex
	s.ask(func(l *lane) {
		c := l.tracker.Census()
		mu.Lock()
		defer mu.Unlock()
		now = max(now, l.now)
		addCensus(&sum, &c)
	})
	if now == 0 {
		return nil // the lanes have ended
	}
	c := s.counters()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events.Census(now, &sum, c.Frames-c.Dropped, c.Dropped)
}

// checkKernel lays our states beside the kernel's. Differences are standard error's:
// they are about us, not about the traffic. Where the kernel does not answer the
// capture goes on.
func (s *sniffer) checkKernel() error {
	dump, err := s.around.beside.Look()
	if err != nil {
		s.o.remarkOn("--kernel-check: " + err.Error())
		return nil
	}
	flows := make([][]kernelcheck.Flow, len(s.lanes))
	s.eachFlow(func(l *lane, f *analyzer.Flow) { flows[l.number] = append(flows[l.number], kernelcheck.FlowOf(f)) })
	return s.around.kernel.Check(slices.Values(slices.Concat(flows...)), dump).Text(&s.o.asides)
}
