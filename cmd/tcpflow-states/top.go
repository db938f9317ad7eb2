package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/top"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// The full-screen view takes nothing from the capture as it goes: it asks. What is
// cheap, it asks for once a second (Snapshot). To know which flows are stuck, and
// whose listeners they are, somebody has to look at each, which of a million takes a
// second: a walk does that in pieces, between packets, and what the view shows is of
// the last walk that has ended.

// checkTop says what is wrong with --top.
func (o *liveOptions) checkTop() error {
	switch {
	case strings.HasSuffix(o.format.Name, "json"):
		return fmt.Errorf("--top is for a person, -o %s for a program: leave one of them out", o.format.Name)
	case o.events || o.interval > 0:
		return errors.New("--top shows what --events and --interval write: leave --top out, or these")
	case !onTerminal(os.Stdin) || !onTerminal(os.Stdout) || os.Getenv("TERM") == "dumb":
		return errors.New("--top needs a terminal on standard input and output that can move its cursor: leave it out, or give --interval 10s for a line of counts every so often")
	}
	return nil
}

// watch shows the view until the user leaves it or the capture ends, and then lets
// both be over.
func (s *sniffer) watch(ctx context.Context) {
	s.o.asides.hold()
	s.viewErr = top.Run(ctx, newViewer(s), top.Options{Color: s.o.color(os.Stdout)})
	s.o.asides.release()
	s.stop()
}

// asides is where remarks on standard error go. While the view has the terminal,
// they wait.
type asides struct {
	mu      sync.Mutex
	holding bool
	held    bytes.Buffer
	lost    int
}

// mostHeld bounds what waits, in octets.
const mostHeld = 64 << 10

// Write implements io.Writer.
func (a *asides) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !a.holding:
		return os.Stderr.Write(b)
	case a.held.Len()+len(b) > mostHeld:
		a.lost++
		return len(b), nil
	}
	return a.held.Write(b)
}

// hold lets all that is written wait, where standard error is a terminal.
func (a *asides) hold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holding = onTerminal(os.Stderr)
}

// release writes what has waited.
func (a *asides) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holding = false
	_, _ = a.held.WriteTo(os.Stderr)
	if a.lost > 0 {
		fmt.Fprintf(os.Stderr, "tcpflow-states: %s more remarks, while the full-screen view had the terminal\n", report.Thousands(a.lost))
	}
}

const (
	walkEvery = 100 * time.Millisecond // between two pieces of a walk
	walkAgain = time.Second            // from the beginning of a walk to that of the next, at least

	maxStuck     = 1000 // that the view is given: the oldest
	ladderLength = 100  // segments that are drawn of a flow, at least; at most twice as many
)

// walk goes on with the walk of every lane.
func (s *sniffer) walk() error {
	s.ask(func(l *lane) { l.view.walkOn(time.Now) })
	return nil
}

// laneView is what a lane keeps for the view. All of it belongs to the lane's
// goroutine.
type laneView struct {
	*lane
	past listeners // failures and findings since the capture began

	next    uint32    // the place from which the walk goes on; 0: none is under way
	began   time.Time // the walk, or the last
	walking seen
	seen    seen // by the last walk that has ended; not changed any more

	wanted int // number of the flow to be drawn, or top.NoFlow
	place  uint32
	ladder report.Ladder
	final  *top.Detail // of wanted, when it has ended
	width  int
}

// seen is what a walk sees.
type seen struct {
	listeners listeners
	stuck     []stuckFlow // the oldest
	stuckAll  int
}

// stuckFlow is one that a side of is stuck.
type stuckFlow struct {
	top.Flow
	lane        *lane
	place       uint32
	holds, peer netip.AddrPort // of the socket whose owner is to be named: who owes
}

func newLaneView(l *lane) *laneView {
	return &laneView{lane: l, past: listeners{}, wanted: top.NoFlow}
}

// onStep draws a flow while it goes on.
func (v *laneView) onStep(st *analyzer.Step) {
	if st.Flow.Number != v.wanted {
		return
	}
	v.ladder.Step(st)
	v.ladder.Keep(ladderLength)
}

// onFlow counts a flow that has ended.
func (v *laneView) onFlow(f *analyzer.Flow) {
	if f.Number == v.wanted {
		v.final = v.draw(f, "at the end")
		v.final.Ended = true
	}
	if failedToOpen(f) && v.o.wants(f) {
		v.past.add(servedBy(f), listenerCount{failed: 1})
	}
}

// onFinding counts a finding that is worth a line.
func (v *laneView) onFinding(f *analyzer.Flow, n *analyzer.Finding) {
	if !v.o.matters(n) {
		return
	}
	v.past.add(servedBy(f), listenerCount{findings: 1, worst: n.Detector, severity: n.Severity})
}

// walkOn looks at further flows, for walkPiece at most. The clock is the host's.
func (v *laneView) walkOn(clock func() time.Time) {
	now := clock()
	if v.next == 0 {
		if now.Sub(v.began) < walkAgain {
			return
		}
		v.began, v.next, v.walking = now, 1, seen{listeners: listeners{}}
	}
	v.next = v.piece(v.next, clock, v.visit)
	if v.next == 0 {
		v.publish()
	}
}

// visit counts one flow.
func (v *laneView) visit(place uint32, f *analyzer.Flow) {
	if !v.o.wants(f) {
		return
	}
	n := listenerCount{}
	client, server := f.Sides[f.Client].State, f.Sides[f.Server()].State
	switch {
	case over(client) && over(server):
		if !failedToOpen(f) {
			return
		}
		n.failed = 1 // counted in past when it is forgotten
	case client == analyzer.SynSent || client == analyzer.SynReceived || server == analyzer.SynReceived:
		n.open, n.halfOpen = 1, 1
	default:
		n.open = 1
	}
	if debt, ok := owed(f); ok && v.found(f) {
		n.stuck = 1
		v.keepStuck(place, f, debt)
	}
	v.walking.listeners.add(servedBy(f), n)
}

// over reports whether a side has no connection any more, or none yet.
func over(s analyzer.State) bool { return !s.Synchronized() && !opening(s) || s == analyzer.TimeWait }

func opening(s analyzer.State) bool { return s == analyzer.SynSent || s == analyzer.SynReceived }

// failedToOpen reports whether a flow's handshake has come to nothing, for one that
// no side of is open.
func failedToOpen(f *analyzer.Flow) bool {
	tried := false
	for i := range f.Transitions {
		t := &f.Transitions[i]
		if t.Withdrawn == nil && t.To == analyzer.Established {
			return false
		}
		tried = tried || opening(t.To)
	}
	return tried
}

// owed returns the debt of a flow with a side that is stuck. Of two the one that can
// be paid without the other.
func owed(f *analyzer.Flow) (d analyzer.Debt, ok bool) {
	for s := range analyzer.Side(2) {
		if own, stuck := f.Debt(s); stuck && (!ok || own.By == s) {
			d, ok = own, true
		}
	}
	return d, ok
}

// found reports whether the filters leave a finding of the flow.
func (v *laneView) found(f *analyzer.Flow) bool {
	if !v.o.onFindings() {
		return true
	}
	for d, severity := range f.AllTold() {
		if v.o.wantsFinding(&analyzer.Finding{Detector: d, Severity: severity}) {
			return true
		}
	}
	return false
}

// keepStuck keeps a flow if it is one of the oldest.
func (v *laneView) keepStuck(place uint32, f *analyzer.Flow, d analyzer.Debt) {
	w := &v.walking
	w.stuckAll++
	if len(w.stuck) >= 2*maxStuck {
		w.stuck = oldest(w.stuck)
	}
	if len(w.stuck) >= maxStuck && d.Since >= w.stuck[maxStuck-1].Since && w.stuckAll > 2*maxStuck {
		return
	}
	w.stuck = append(w.stuck, stuckFlow{Flow: flowRow(f), lane: v.lane, place: place, holds: f.Addr(d.By), peer: f.Addr(d.By.Peer())})
}

// oldest returns the maxStuck that have been stuck for longest.
func oldest(list []stuckFlow) []stuckFlow {
	slices.SortFunc(list, func(a, b stuckFlow) int { return cmp.Or(cmp.Compare(a.Since, b.Since), a.Number-b.Number) })
	return list[:min(len(list), maxStuck)]
}

// flowRow is what the view shows of a flow.
func flowRow(f *analyzer.Flow) top.Flow {
	row := top.Flow{Number: f.Number, Client: f.Addr(f.Client).String(), Server: f.Addr(f.Server()).String()}
	for i, s := range [...]analyzer.Side{f.Client, f.Server()} {
		row.State[i], row.Basis[i] = f.Sides[s].State, f.Sides[s].Basis
	}
	if d, ok := owed(f); ok {
		row.Since, row.Owes = d.Since, "server "+d.What
		if d.By == f.Client {
			row.Owes = "client " + d.What
		}
	}
	for d, severity := range f.AllTold() {
		row.Severity = max(row.Severity, severity)
		if !slices.Contains(row.Findings, d.Name) {
			row.Findings = append(row.Findings, d.Name)
		}
	}
	return row
}

// publish ends a walk.
func (v *laneView) publish() {
	w := &v.walking
	w.stuck = oldest(w.stuck)
	for at, n := range v.past {
		w.listeners.add(at, n)
	}
	v.seen, v.walking = *w, seen{}
}

// want lets a flow be drawn that is in a place, and no other.
func (v *laneView) want(number int, place uint32) {
	if v.wanted != number {
		v.wanted, v.place, v.final, v.ladder = number, place, nil, report.Ladder{}
	}
}

// detail draws the flow that is wanted, as it is now; nil: it is not held, and what
// became of it nobody has seen.
func (v *laneView) detail() (d *top.Detail) {
	if v.final != nil || v.place == 0 {
		return v.final
	}
	v.tracker.EachFrom(v.place, 1, func(_ uint32, f *analyzer.Flow) {
		if f.Number == v.wanted {
			d = v.draw(f, "now")
		}
	})
	return d
}

// draw draws the flow that is wanted.
func (v *laneView) draw(f *analyzer.Flow, as string) *top.Detail {
	var b strings.Builder
	_ = v.ladder.WriteTail(&b, f, v.width, as) // a Builder takes all
	return &top.Detail{Flow: flowRow(f), Lines: strings.Split(strings.TrimRight(b.String(), "\n"), "\n")}
}

// viewer is the view's Source: it asks the lanes.
type viewer struct {
	*sniffer
	wanted int
	flow   stuckFlow         // that is wanted, as it was when it was opened
	known  map[int]stuckFlow // all that the user may open, by number: a view that pauses has old ones
}

// mostKnown bounds them.
const mostKnown = 16 * maxStuck

func newViewer(s *sniffer) *viewer {
	return &viewer{sniffer: s, wanted: top.NoFlow, known: map[int]stuckFlow{}}
}

// Snapshot implements top.Source.
func (v *viewer) Snapshot(ctx context.Context, want top.Want) (top.Snapshot, error) {
	if want.Flow != v.wanted {
		v.choose(want.Flow)
	}
	snap := top.Snapshot{Title: strings.TrimSpace(v.o.device + "  " + v.o.filter)}
	var mu sync.Mutex
	var parts []seen
	v.ask(func(l *lane) {
		census, totals := l.tracker.Census(), l.tracker.Totals()
		d := l.view.look(v, want.Width)
		mu.Lock()
		defer mu.Unlock()
		addCensus(&snap.Census, &census)
		snap.Time, snap.Open = max(snap.Time, l.now), snap.Open+totals.Open
		snap.Capture.Evicted += totals.Evicted
		parts = append(parts, l.view.seen)
		if d != nil {
			snap.Detail = d
		}
	})
	if ctx.Err() != nil || len(parts) < len(v.lanes) {
		return snap, io.EOF
	}
	c := v.counters()
	snap.Capture.Frames, snap.Capture.Drops, snap.Capture.Ring = c.Frames, c.Dropped, c.Full
	if !c.Up {
		snap.Title += "  (interface is down)"
	}
	v.merge(&snap, parts)
	v.complete(&snap)
	return snap, nil
}

// choose makes another flow the one that is wanted.
func (v *viewer) choose(number int) {
	v.wanted, v.flow = number, v.known[number]
}

// look tells the lane which flow is wanted, and draws it if it is one of its own.
func (v *laneView) look(from *viewer, width int) *top.Detail {
	if from.flow.lane != v.lane {
		v.want(top.NoFlow, 0)
		return nil
	}
	v.width = width
	v.want(from.wanted, from.flow.place)
	return v.detail()
}

// merge puts together what the lanes have seen.
func (v *viewer) merge(snap *top.Snapshot, parts []seen) {
	all := listeners{}
	var stuck []stuckFlow
	for _, p := range parts {
		for at, n := range p.listeners {
			all.add(at, n)
		}
		stuck = append(stuck, p.stuck...)
		snap.StuckAll += p.stuckAll
	}
	all.prune()
	for at, n := range all {
		l, addr := n.row(), at.AddrPort()
		l.Address, l.Owner = addr.String(), v.around.listening(addr)
		snap.Listeners = append(snap.Listeners, l)
	}
	slices.SortFunc(snap.Listeners, func(a, b top.Listener) int { return cmp.Compare(a.Address, b.Address) })
	if len(v.known) > mostKnown {
		clear(v.known)
	}
	for _, f := range oldest(stuck) {
		f.Owner = v.owner(&f)
		v.known[f.Number] = f
		snap.Stuck = append(snap.Stuck, f.Flow)
	}
}

// owner names who owes, or else who waits.
func (v *viewer) owner(f *stuckFlow) string {
	who := v.around.ownerOf(f.holds, f.peer)
	if who == nil {
		who = v.around.ownerOf(f.peer, f.holds)
	}
	if who == nil {
		return ""
	}
	return who.Text
}

// complete fills in what is known of a flow that is wanted besides what its lane
// draws.
func (v *viewer) complete(snap *top.Snapshot) {
	switch {
	case v.wanted == top.NoFlow:
	case snap.Detail == nil:
		snap.Detail = &top.Detail{Flow: v.flow.Flow, Lines: []string{"it ended before it could be drawn"}, Ended: true}
		snap.Detail.Flow.Number = v.wanted
	default:
		d := *snap.Detail // the lane's is not changed
		d.Flow.Owner = v.owner(&v.flow)
		snap.Detail = &d
	}
}

// addCensus adds one census to another.
func addCensus(sum, c *analyzer.Census) {
	for role := range c {
		for state, n := range c[role] {
			sum[role][state] += n
		}
	}
}
