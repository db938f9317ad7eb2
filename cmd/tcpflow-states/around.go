package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/kernelcheck"
	"github.com/tcpflow-states/tcpflow-states/internal/metrics"
	"github.com/tcpflow-states/tcpflow-states/internal/privilege"
	"github.com/tcpflow-states/tcpflow-states/internal/sockets"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// around is what live has besides what it captures: who holds the sockets of this
// host, the metrics, and what it gives up of its rights.
type around struct {
	owners *sockets.Cache // nil: not asked for, or not to be had here
	feed   *metrics.Feed  // nil without --metrics
	all    *metrics.Metrics
	http   *metrics.Exporter
	name   string

	kernel *kernelcheck.Checker // nil without --kernel-check

	second, census, checked int64 // when the metrics, and the next check, are due
}

// How often the metrics are brought up to date, ns of the capture's time. The
// census looks at every flow.
const (
	countsEvery = int64(time.Second)
	censusEvery = int64(10 * time.Second)
	checkEvery  = int64(10 * time.Second)
)

// open opens what stays, once the interface is open, and then gives up all else.
func (a *around) open(ctx context.Context, o *liveOptions) (err error) {
	a.name = o.device
	if o.owners || o.kernelCheck {
		a.owners, err = sockets.NewCache(sockets.Options{Info: o.kernelCheck})
		switch {
		case err != nil && o.kernelCheck:
			return fmt.Errorf("--kernel-check: %w", err)
		case err != nil && o.verbose:
			a.say("no owners of sockets: " + err.Error())
		}
	}
	if o.kernelCheck {
		a.kernel = new(kernelcheck.Checker)
	}
	if o.metrics != "" {
		a.all = metrics.New(metrics.Config{Version: version()})
		a.feed = a.all.Feed()
		if a.http, err = a.all.Listen(o.metrics); err != nil {
			return fmt.Errorf("--metrics: %w", err)
		}
		if w := a.http.Warning(); w != "" {
			a.say(w)
		}
		a.all.Ready()
	}
	if err := a.drop(o); err != nil {
		return err
	}
	if a.owners != nil {
		go a.refresh(ctx)
	}
	return nil
}

// drop gives up root and capabilities. What was opened stays open.
func (a *around) drop(o *liveOptions) error {
	keep := privilege.Options{User: o.user, Processes: a.owners != nil}
	if a.http != nil {
		keep.Read = append(keep.Read, "/proc")
	}
	kept, err := privilege.Drop(keep)
	if err != nil {
		return err
	}
	if o.verbose && !o.quiet {
		a.say(kept.String())
	}
	return nil
}

func (a *around) say(text string) { complain(errors.New(text)) }

// refresh keeps what is known of sockets a second old at most.
func (a *around) refresh(ctx context.Context) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		a.owners.Refresh() // what cannot be looked at has no owner
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// owner says who holds a side's socket; empty: nobody knows.
func (a *around) owner(f *analyzer.Flow, s analyzer.Side) string {
	if a.owners == nil || s == analyzer.NoSide {
		return ""
	}
	var local, remote netip.AddrPort = f.Addr(s), f.Addr(s.Peer())
	if who, known := a.owners.Owner(local, remote); known {
		return who.String()
	}
	return ""
}

// listenerOf is the listener that a flow counts with.
func listenerOf(f *analyzer.Flow) metrics.Listener {
	if f.Guessed {
		return metrics.Listener{}
	}
	v := f.Server()
	return metrics.Listener{Addr: f.Key.Addr[v], Port: f.Key.Port[v]}
}

// ended counts a flow that has ended.
func (a *around) ended(f *analyzer.Flow) {
	if a.feed != nil {
		a.feed.Handshake(listenerOf(f), f.Handshake.Result, f.Handshake.RTTServer, f.Handshake.RTTClient)
	}
}

// found counts a finding.
func (a *around) found(f *analyzer.Flow, n *analyzer.Finding) {
	if a.feed != nil {
		a.feed.Finding(listenerOf(f), n.Detector, n.Severity)
	}
}

// update brings the metrics up to date when that is due.
func (a *around) update(s *sniffer) {
	if a.feed == nil || s.now < a.second {
		return
	}
	a.second = s.now + countsEvery
	c := s.src.Counters()
	a.all.Capture(a.name, metrics.Capture{Packets: c.Frames - c.Dropped, Dropped: c.Dropped, Freezes: c.Freezes, Up: true})
	if s.now >= a.census {
		a.census = s.now + censusEvery
		s.tracker.Each(func(f *analyzer.Flow) bool {
			at := listenerOf(f)
			a.feed.Socket(at, metrics.Client, f.Sides[f.Client].State, f.Told(f.Client))
			a.feed.Socket(at, metrics.Server, f.Sides[f.Server()].State, f.Told(f.Server()))
			return true
		})
		a.feed.Publish()
	}
	a.feed.Flush(s.now, s.tracker.Totals())
}

// check lays our states beside the kernel's when that is due. Differences are
// standard error's: they are about us, not about the traffic.
func (a *around) check(s *sniffer) error {
	if a.kernel == nil || s.now < a.checked {
		return nil
	}
	a.checked = s.now + checkEvery
	dump, err := a.owners.Look()
	if err != nil {
		return fmt.Errorf("kernel check: %w", err)
	}
	flows := func(yield func(kernelcheck.Flow) bool) {
		s.tracker.Each(func(f *analyzer.Flow) bool { return yield(kernelcheck.FlowOf(f)) })
	}
	return a.kernel.Check(flows, dump).Text(os.Stderr)
}

// close ends what was opened.
func (a *around) close(err error) {
	if a.http == nil {
		return
	}
	if err != nil {
		a.all.Failed(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := a.http.Shutdown(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "tcpflow-states: metrics: "+report.Clean(err.Error()))
	}
}
