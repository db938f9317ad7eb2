package analyzer_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/internal/conformance"
)

// tap is one of the kernel captures.
type tap struct {
	name    string
	packets []capture.Packet
}

// taps returns all kernel captures; in short mode, one tap of each scenario.
func taps(t testing.TB) (all []tap) {
	t.Helper()
	dirs, err := conformance.Scenarios(filepath.Join("..", "testdata", "kernel"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no kernel captures: %v", err)
	}
	for _, dir := range dirs {
		truth, err := conformance.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range truth.TapNames() {
			if testing.Short() && name != "middle" {
				continue
			}
			packets, err := conformance.ReadTap(truth.Path(name))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, tap{truth.Scenario + "/" + name, packets})
		}
	}
	return all
}

// mapping turns one capture into another that means the same.
type mapping struct {
	segment     func(*analyzer.Segment)
	unreachable func(*analyzer.Unreachable)
	side        func(analyzer.Key, analyzer.Side) analyzer.Side // of the original key
	time        int64
}

// describe tracks packets under a mapping and spells all that is known of each
// flow, sides and times as they were before the mapping.
func describe(packets []capture.Packet, m mapping, back func(analyzer.Key) analyzer.Key) (flows []string) {
	t := analyzer.New(analyzer.Config{OnFlow: func(f *analyzer.Flow) {
		key := f.Key
		if back != nil {
			key = back(key)
		}
		side := func(s analyzer.Side) analyzer.Side {
			if s == analyzer.NoSide || m.side == nil {
				return s
			}
			return m.side(key, s)
		}
		flows = append(flows, spell(f, key, side, m.time))
	}})
	for i := range packets {
		p := packets[i]
		if p.Kind == capture.KindUnreachable {
			if m.unreachable != nil {
				m.unreachable(&p.Unreachable)
			}
			t.ObserveUnreachable(&p.Unreachable)
			continue
		}
		if m.segment != nil {
			m.segment(&p.Segment)
		}
		t.Observe(&p.Segment)
	}
	t.Close()
	return flows
}

func spell(f *analyzer.Flow, key analyzer.Key, side func(analyzer.Side) analyzer.Side, shift int64) string {
	at := func(ns int64) int64 {
		if ns == 0 {
			return 0
		}
		return ns - shift
	}
	var b strings.Builder
	fmt.Fprintf(&b, "flow %d %v client %d guessed %v replaced %d frames %d %d-%d %d-%d\n", f.Number, key,
		side(f.Client), f.Guessed, f.ReplacedBy, f.Frames, f.FirstFrame, f.LastFrame, at(f.Start), at(f.End))
	// The record interleaves both sides; each side's own order is what counts.
	for _, s := range []analyzer.Side{side(0), side(1)} {
		e := &f.Sides[s]
		fmt.Fprintf(&b, " side %s %s %d %d %+v\n", e.State, e.Basis, at(e.Since), at(e.LastSent), e.Counters)
		for _, tr := range f.Transitions {
			if tr.Side == s {
				withdrawn := analyzer.Withdrawal{}
				if tr.Withdrawn != nil {
					withdrawn = *tr.Withdrawn
				}
				fmt.Fprintf(&b, "  %s %s %s %s %d @%d, %d @%d, %t @%d\n", tr.From, tr.To, tr.Trigger, tr.Basis,
					at(tr.Time), tr.Frame, at(tr.ConfirmedAt), tr.ConfirmedFrame, withdrawn.Why != "", withdrawn.Frame)
			}
		}
	}
	fmt.Fprintf(&b, " %+v\n close %s %d %s %d\n", f.Handshake, f.Close.Result, side(f.Close.ActiveCloser), f.Close.By, f.Close.Duration)
	var found []string
	for _, d := range f.Findings {
		found = append(found, fmt.Sprintf(" %s %s %d @%d %d", d.Detector.Name, d.Severity, side(d.Side), d.Frame, d.Count))
	}
	slices.Sort(found)
	b.WriteString(strings.Join(found, "\n"))
	return b.String()
}

// unchanged holds what is known of every capture, under a mapping, against
// what is known of it as it is.
func unchanged(t *testing.T, m mapping, back func(analyzer.Key) analyzer.Key) {
	t.Helper()
	for _, tap := range taps(t) {
		plain := describe(tap.packets, mapping{}, nil)
		mapped := describe(tap.packets, m, back)
		slices.Sort(plain)
		slices.Sort(mapped)
		if len(plain) != len(mapped) {
			t.Errorf("%s: %d flows became %d", tap.name, len(plain), len(mapped))
			continue
		}
		for i := range plain {
			if plain[i] != mapped[i] {
				t.Errorf("%s: flow differs\n%s\nmapped:\n%s", tap.name, plain[i], mapped[i])
				break
			}
		}
	}
}

// TestReplay: tracking has no memory of its own and no clock but the
// capture's.
func TestReplay(t *testing.T) { unchanged(t, mapping{}, nil) }

// TestSwappedAddresses: which address is the lower decides the sides' indices
// and nothing else. Complementing every address turns the order of each pair.
func TestSwappedAddresses(t *testing.T) {
	turn := func(a analyzer.Addr) analyzer.Addr {
		for i := range a {
			a[i] = ^a[i]
		}
		return a
	}
	turned := func(k analyzer.Key) bool { return k.Addr[0] != k.Addr[1] }
	unchanged(t, mapping{
		segment:     func(x *analyzer.Segment) { x.Src, x.Dst = turn(x.Src), turn(x.Dst) },
		unreachable: func(u *analyzer.Unreachable) { u.Src, u.Dst = turn(u.Src), turn(u.Dst) },
		side: func(k analyzer.Key, s analyzer.Side) analyzer.Side {
			if turned(k) {
				return s.Peer()
			}
			return s
		},
	}, func(k analyzer.Key) analyzer.Key {
		if turned(k) {
			return analyzer.Key{Addr: [2]analyzer.Addr{turn(k.Addr[1]), turn(k.Addr[0])}, Port: [2]uint16{k.Port[1], k.Port[0]}, Path: k.Path}
		}
		return analyzer.Key{Addr: [2]analyzer.Addr{turn(k.Addr[0]), turn(k.Addr[1])}, Port: k.Port, Path: k.Path}
	})
}

// TestShiftedNumbers: only differences of sequence numbers mean anything; each
// shift makes the numbers of one side wrap somewhere else.
func TestShiftedNumbers(t *testing.T) {
	for _, by := range [][2]uint32{{1, 0}, {0, 1 << 31}, {0xfffffff0, 12345}, {1 << 30, 3 << 30}} {
		unchanged(t, mapping{
			segment: func(x *analyzer.Segment) {
				_, s := analyzer.KeyOf(x)
				// SEQ 0 of a RST+ACK is no number of a connection but says
				// that there is none (RFC 9293 3.10.7.1).
				if !(x.Seq == 0 && x.Flags.Has(analyzer.RST|analyzer.ACK)) {
					x.Seq = x.Seq.Add(by[s])
				}
				if x.Flags.Has(analyzer.ACK) {
					x.Ack = x.Ack.Add(by[s.Peer()])
				}
				for i := range x.SACK {
					x.SACK[i] = x.SACK[i].Add(by[s.Peer()])
				}
			},
			unreachable: func(u *analyzer.Unreachable) {
				_, s := analyzer.KeyOf(&analyzer.Segment{Src: u.Src, Dst: u.Dst, SrcPort: u.SrcPort, DstPort: u.DstPort})
				u.Seq = u.Seq.Add(by[s])
			},
		}, nil)
	}
}

// TestShiftedTime: only differences of times mean anything.
func TestShiftedTime(t *testing.T) {
	const by = int64(86_400e9)
	unchanged(t, mapping{
		segment:     func(x *analyzer.Segment) { x.Time += by },
		unreachable: func(u *analyzer.Unreachable) { u.Time += by },
		time:        by,
	}, nil)
}

// TestFigure5Holds: whatever a capture lacks or has twice, the believed
// history of a side is one unbroken walk along the arrows of Figure 5.
func TestFigure5Holds(t *testing.T) {
	for _, tap := range taps(t) {
		for _, m := range conformance.Mutations() {
			for seed := range m.Seeds {
				for _, f := range conformance.Track(m.Do(seed, tap.packets)) {
					if err := walk(f.Transitions, f.State); err != nil {
						t.Errorf("%s, %s, seed %d, flow %d: %v", tap.name, m.Name, seed, f.Number, err)
					}
				}
			}
		}
	}
}

// walk reports where the believed record of either side leaves Figure 5, has a
// gap, or does not end in the state that the side is said to be in.
func walk(record []analyzer.Transition, end [2]analyzer.State) error {
	for s := range analyzer.Side(2) {
		var last *analyzer.Transition
		for i := range record {
			tr := &record[i]
			if tr.Side != s || tr.Withdrawn != nil {
				continue
			}
			if !isArc(tr) {
				return fmt.Errorf("side %d: no arrow %s -> %s on %q", s, tr.From, tr.To, tr.Trigger)
			}
			if last != nil && last.To != tr.From {
				return fmt.Errorf("side %d: %s -> %s (frame %d), then %s -> %s (frame %d)",
					s, last.From, last.To, last.Frame, tr.From, tr.To, tr.Frame)
			}
			last = tr
		}
		if last != nil && last.To != end[s] {
			return fmt.Errorf("side %d: the record ends in %s, the side is in %s", s, last.To, end[s])
		}
	}
	return nil
}

func isArc(tr *analyzer.Transition) bool {
	return slices.ContainsFunc(analyzer.Arcs, func(a analyzer.Arc) bool {
		return a.From == tr.From && a.On == tr.Trigger && a.To == tr.To
	})
}
