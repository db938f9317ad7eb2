package main

import (
	"context"
	"slices"
	"sync"
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

// tasks are those that the flags ask for.
func (s *sniffer) tasks() (list []task) {
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

// count brings the metrics up to date.
func (s *sniffer) count() error {
	c := s.counters()
	s.around.all.Capture(s.o.device, metrics.Capture{Packets: c.Frames - c.Dropped, Dropped: c.Dropped, Freezes: c.Freezes, Full: c.Full, Up: c.Up})
	s.ask(func(l *lane) { l.feed.Flush(l.now, l.tracker.Totals()) })
	return nil
}

// countSockets counts the sockets for the metrics: it looks at every flow.
func (s *sniffer) countSockets() error {
	s.ask(func(l *lane) {
		l.tracker.Each(func(f *analyzer.Flow) bool {
			at := listenerOf(f)
			l.feed.Socket(at, metrics.Client, f.Sides[f.Client].State, f.Told(f.Client))
			l.feed.Socket(at, metrics.Server, f.Sides[f.Server()].State, f.Told(f.Server()))
			return true
		})
		l.feed.Publish()
	})
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
// they are about us, not about the traffic.
func (s *sniffer) checkKernel() error {
	dump, err := s.around.look()
	if err != nil {
		return err
	}
	var flows []kernelcheck.Flow
	var mu sync.Mutex
	s.ask(func(l *lane) {
		mu.Lock()
		defer mu.Unlock()
		l.tracker.Each(func(f *analyzer.Flow) bool {
			flows = append(flows, kernelcheck.FlowOf(f))
			return true
		})
	})
	return s.around.compare(&s.o.asides, slices.Values(flows), dump)
}
