package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture/live"
	"github.com/tcpflow-states/tcpflow-states/internal/kernelcheck"
	"github.com/tcpflow-states/tcpflow-states/internal/metrics"
	"github.com/tcpflow-states/tcpflow-states/internal/privilege"
	"github.com/tcpflow-states/tcpflow-states/internal/sockets"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// around is what live has besides what it captures: who holds the sockets of this
// host, the metrics, and what it gives up of its rights.
type around struct {
	owners *sockets.Cache       // nil: not asked for, or not to be had here
	kernel *kernelcheck.Checker // nil without --kernel-check
	beside *sockets.Cache       // what kernel compares with
	all    *metrics.Metrics     // nil without --metrics
	http   *metrics.Exporter
}

// open opens what stays, once the interface is open, and then gives up all else.
func (a *around) open(ctx context.Context, s *sniffer) error {
	o := s.o
	if o.owners || o.kernelCheck {
		cache, err := sockets.NewCache(sockets.Options{Info: o.kernelCheck})
		switch {
		case err != nil && o.kernelCheck:
			return fmt.Errorf("--kernel-check: %w", err)
		case err != nil && o.verbose:
			o.remarkOn("no owners of sockets: " + err.Error())
		}
		if o.owners {
			a.owners = cache
		}
		if o.kernelCheck {
			a.kernel, a.beside = new(kernelcheck.Checker), cache
		}
	}
	if o.metrics != "" {
		if err := a.serve(s); err != nil {
			return err
		}
	}
	if err := a.drop(s); err != nil {
		return err
	}
	if a.owners != nil {
		go a.refresh(ctx)
	}
	return nil
}

// serve begins to answer scrapes.
func (a *around) serve(s *sniffer) (err error) {
	a.all = metrics.New(metrics.Config{Version: version()})
	for _, l := range s.lanes {
		l.feed = a.all.Feed()
	}
	if a.http, err = a.all.Listen(s.o.metrics); err != nil {
		return err
	}
	if w := a.http.Warning(); w != "" {
		s.o.remarkOn(w)
	}
	a.all.Ready()
	return nil
}

// drop gives up root and capabilities. What was opened stays open.
func (a *around) drop(s *sniffer) error {
	o := s.o
	keep := privilege.Options{User: o.user, Processes: a.owners != nil, Write: s.keep.paths(o)}
	if a.http != nil {
		keep.Read = append(keep.Read, "/proc")
	}
	if o.await {
		keep.Keep = append(keep.Keep, privilege.CAPNetRaw)
	}
	kept, err := privilege.Drop(keep)
	if err != nil {
		return err
	}
	if o.verbose {
		o.remarkOn(kept.String())
	}
	return nil
}

// refresh looks at the sockets as soon as that is due, once a second, so that a
// lane with a finding seldom has to.
func (a *around) refresh(ctx context.Context) {
	every := time.NewTicker(100 * time.Millisecond)
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

// owner says who holds a side's socket; nil: nobody knows.
func (a *around) owner(f *analyzer.Flow, s analyzer.Side) *report.Owner {
	if s == analyzer.NoSide {
		return nil
	}
	return a.ownerOf(f.Addr(s), f.Addr(s.Peer()))
}

// ownerOf says who holds the socket with these ends. Where only the listener is
// known that it may belong to, that one's.
func (a *around) ownerOf(local, remote netip.AddrPort) *report.Owner {
	if a.owners == nil {
		return nil
	}
	who, known := a.owners.Owner(local, remote)
	if !known {
		return nil
	}
	o := &report.Owner{Text: who.String(), UID: who.UID, Container: report.Text(who.Container.ID),
		Pod: report.Text(cmp.Or(who.Pod, who.Container.PodUID)), Unit: report.Text(who.Container.Unit), Relation: who.Relation.String()}
	if who.Process != nil {
		o.Process, o.PID = report.Text(who.Process.Command), who.Process.PID
	}
	return o
}

// listenerOf is the listener that a flow counts with.
func listenerOf(f *analyzer.Flow) metrics.Listener {
	if f.Guessed {
		return metrics.Listener{}
	}
	return servedBy(f)
}

// listening says who has the listener at an address.
func (a *around) listening(at netip.AddrPort) string {
	if a.owners == nil {
		return ""
	}
	who, known := a.owners.Owner(at, netip.AddrPort{})
	if !known {
		return ""
	}
	who.Relation = sockets.Holds // that it listens, who asks knows
	return who.String()
}

// counters are those of all rings.
func (s *sniffer) counters() (sum live.Counters) {
	sum.Up = true
	for _, l := range s.lanes {
		c := l.src.Counters()
		sum.Frames, sum.Dropped, sum.Freezes = sum.Frames+c.Frames, sum.Dropped+c.Dropped, sum.Freezes+c.Freezes
		sum.Full, sum.Up = max(sum.Full, c.Full), sum.Up && c.Up
	}
	return sum
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
		complain(err)
	}
}
