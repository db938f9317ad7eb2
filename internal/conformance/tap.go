package conformance

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

// ReadTap returns all packets of a capture file.
func ReadTap(path string) ([]capture.Packet, error) {
	src, err := capture.Open(path, capture.Options{})
	if err != nil {
		return nil, fmt.Errorf("open tap: %w", err)
	}
	defer src.Close()
	var all []capture.Packet
	for {
		var p capture.Packet
		err := src.Next(&p)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read tap: %w", err)
		}
		all = append(all, p)
	}
}

// Flow is what the analyzer said of one flow, kept beyond its callback.
type Flow struct {
	Number      int
	Key         analyzer.Key
	Start, End  int64
	Frames      uint64
	State       [2]analyzer.State
	Transitions []analyzer.Transition
}

// Track runs packets through the analyzer and returns the flows by number.
func Track(packets []capture.Packet) []*Flow {
	var flows []*Flow
	t := analyzer.New(analyzer.Config{OnFlow: func(f *analyzer.Flow) {
		flows = append(flows, &Flow{
			Number: f.Number, Key: pairOf(f.Key), Start: f.Start, End: f.End, Frames: f.Frames,
			State:       [2]analyzer.State{f.Sides[0].State, f.Sides[1].State},
			Transitions: slices.Clone(f.Transitions),
		})
	}})
	for i := range packets {
		// The tracker may not keep what it is given, so it gets a copy.
		p := packets[i]
		if p.Kind == capture.KindUnreachable {
			t.ObserveUnreachable(&p.Unreachable)
		} else {
			t.Observe(&p.Segment)
		}
	}
	t.Close()
	slices.SortFunc(flows, func(a, b *Flow) int { return a.Number - b.Number })
	return flows
}

// pairOf is the key without its VLAN: the kernels know nothing of the trunk
// between them.
func pairOf(k analyzer.Key) analyzer.Key {
	k.Path = 0
	return k
}

// believed returns one side's transitions without the withdrawn ones.
func (f *Flow) believed(s analyzer.Side) []analyzer.Transition {
	var h []analyzer.Transition
	for _, t := range f.Transitions {
		if t.Side == s && t.Withdrawn == nil {
			h = append(h, t)
		}
	}
	return h
}

// evidence is what one tap has of one address pair.
type evidence struct {
	key     analyzer.Key
	packets []seen
}

// seen is one packet: a segment of side from, or an ICMP error towards it.
type seen struct {
	time    int64
	from    analyzer.Side
	flags   analyzer.Flags
	len     uint32
	icmp    bool
	segment bool
}

// collect sorts a tap's packets by address pair.
func collect(packets []capture.Packet) map[analyzer.Key]*evidence {
	all := map[analyzer.Key]*evidence{}
	add := func(x *analyzer.Segment, icmp bool) {
		k, s := analyzer.KeyOf(x)
		k = pairOf(k)
		e := all[k]
		if e == nil {
			e = &evidence{key: k}
			all[k] = e
		}
		e.packets = append(e.packets, seen{time: x.Time, from: s, flags: x.Flags, len: x.Len, icmp: icmp, segment: !icmp})
	}
	for i := range packets {
		if p := &packets[i]; p.Kind == capture.KindUnreachable {
			u := &p.Unreachable
			add(&analyzer.Segment{Time: u.Time, Src: u.Src, Dst: u.Dst, SrcPort: u.SrcPort, DstPort: u.DstPort}, true)
		} else {
			add(&p.Segment, false)
		}
	}
	return all
}

// within returns those packets of [from, to) that match.
func (e *evidence) within(from, to int64, match func(seen) bool) (n int, first int64) {
	if e == nil {
		return 0, 0
	}
	for _, p := range e.packets {
		if p.time < from || p.time >= to || !match(p) {
			continue
		}
		if n++; n == 1 {
			first = p.time
		}
	}
	return n, first
}

func sentBy(s analyzer.Side, flags, mask analyzer.Flags) func(seen) bool {
	return func(p seen) bool { return p.segment && p.from == s && p.flags&mask == flags }
}
