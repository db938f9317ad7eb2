package main

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/capture/live"
)

// Who may not capture is told one remedy, that of the place; who may, and lacks
// another right, is told the one of that.
func TestRemedied(t *testing.T) {
	const general = "run as root, or do something else"
	lacking := func(err error) error {
		return &capture.Error{File: "eth0", Problem: "no permission", Remedy: general, Err: err}
	}
	err := remedied(lacking(fmt.Errorf("%w: %w", live.ErrPermission, fs.ErrPermission)))
	if strings.Contains(err.Error(), general) || len(err.Error()) < len("eth0: no permission: ")+10 {
		t.Errorf("without CAP_NET_RAW: %v", err)
	}
	if err := remedied(lacking(fs.ErrPermission)); !strings.Contains(err.Error(), general) {
		t.Errorf("without CAP_NET_ADMIN: %v", err)
	}
}

// Every flow is looked at once, in pieces; a lane that has ended holds up nobody.
func TestEachFlow(t *testing.T) {
	s, l := viewed(t)
	ended := &lane{sniffer: s, number: 1, asks: make(chan func(), 1), ended: make(chan struct{})}
	close(ended.ended)
	s.lanes = append(s.lanes, ended)
	const flows = 3 * walkStep
	for i := range flows {
		talk(l, i, 80).leaks(int64(i))
	}
	answering(t, l)
	seen, slow := map[int]int{}, 0
	s.eachFlow(func(on *lane, f *analyzer.Flow) {
		if on != l {
			t.Errorf("flow %d of a lane that has ended", f.Number)
		}
		if seen[f.Number]++; f.Number%walkStep == 0 {
			slow++
			time.Sleep(walkPiece) // the next is of another piece
		}
	})
	if len(seen) != flows || slow != flows/walkStep {
		t.Errorf("%d flows seen of %d, in %d pieces", len(seen), flows, slow)
	}
	for n, times := range seen {
		if times != 1 {
			t.Errorf("flow %d was looked at %d times", n, times)
		}
	}
}
