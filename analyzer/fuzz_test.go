package analyzer_test

import (
	"encoding/binary"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

// A fuzzed segment is this many octets: pair and direction, flags, time since
// the one before (10 us units), sequence and acknowledgment numbers relative
// to the first of their side, length, window, TSVal, TSEcr. Relative numbers
// keep what the fuzzer makes of a seed near the numbers that mean something.
const fuzzed = 1 + 1 + 2 + 4 + 4 + 2 + 2 + 4 + 4

// FuzzTracker feeds segments of few pairs: whatever comes, the tracker does
// not panic, believes only walks along Figure 5, and holds no more than it is
// allowed.
func FuzzTracker(f *testing.F) {
	for _, tap := range taps(f) {
		if b := fuzzSeed(tap.packets); len(b) > 0 && len(b) < 200*fuzzed {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const maxFlows = 3 // fewer than pairs, so that eviction happens
		seen := 0
		tracker := analyzer.New(analyzer.Config{
			MaxFlows: maxFlows,
			OnFlow: func(f *analyzer.Flow) {
				if err := walk(f.Transitions, [2]analyzer.State{f.Sides[0].State, f.Sides[1].State}); err != nil {
					t.Errorf("flow %d: %v", f.Number, err)
				}
				// Each segment makes few transitions; a record that grows
				// faster runs in a circle.
				if len(f.Transitions) > 16+8*seen {
					t.Errorf("flow %d: %d transitions of %d segments", f.Number, len(f.Transitions), seen)
				}
			},
			OnStep: func(st *analyzer.Step) {
				for s := range analyzer.Side(2) {
					if n := analyzer.InboxLen(&st.Flow.Sides[s]); n > 2*analyzer.NumEvents {
						t.Fatalf("inbox of %d inputs", n)
					}
				}
			},
		})
		for x := range fuzzSegments(b) {
			seen++
			tracker.Observe(x)
			if n := tracker.Totals(); n.Open > maxFlows {
				t.Fatalf("holds %d flows, may hold %d", n.Open, maxFlows)
			}
		}
		tracker.Close()
		if n := tracker.Totals(); n.Open != 0 || n.Segments != uint64(seen) {
			t.Errorf("after Close: %+v of %d segments", n, seen)
		}
	})
}

// fuzzSegments decodes what fuzzSeed encodes.
func fuzzSegments(b []byte) func(func(*analyzer.Segment) bool) {
	le := binary.LittleEndian
	return func(yield func(*analyzer.Segment) bool) {
		now, frame := int64(1e18), uint64(0)
		for ; len(b) >= fuzzed; b = b[fuzzed:] {
			now += int64(le.Uint16(b[2:])) * 10_000
			frame++
			pair := b[0] >> 1 & 3
			x := &analyzer.Segment{Frame: frame, Time: now,
				Src: analyzer.AddrFrom4([4]byte{10, 0, 0, 1}), SrcPort: 40000 + uint16(pair),
				Dst: analyzer.AddrFrom4([4]byte{10, 0, 0, 2}), DstPort: 443,
				Flags: analyzer.Flags(b[1]), Seq: analyzer.Seq(le.Uint32(b[4:])), Ack: analyzer.Seq(le.Uint32(b[8:])),
				Len: uint32(le.Uint16(b[12:])), Window: le.Uint16(b[14:])}
			if b[0]&1 != 0 {
				x.Src, x.Dst, x.SrcPort, x.DstPort = x.Dst, x.Src, x.DstPort, x.SrcPort
			}
			if b[0]&8 != 0 {
				x.Options = analyzer.Options{Set: analyzer.OptTimestamps,
					TSVal: le.Uint32(b[16:]), TSEcr: le.Uint32(b[20:])}
			}
			x.IPID = uint16(frame) & uint16(b[0]>>4) // some have none, some repeat
			if !yield(x) {
				return
			}
		}
	}
}

// fuzzSeed encodes the first connections of a capture.
func fuzzSeed(packets []capture.Packet) (b []byte) {
	le := binary.LittleEndian
	base, pairs := map[analyzer.Key]*[2]*analyzer.Seq{}, map[analyzer.Key]byte{}
	last := int64(0)
	for i := range packets {
		x := &packets[i].Segment
		if packets[i].Kind != capture.KindSegment {
			continue
		}
		k, s := analyzer.KeyOf(x)
		if base[k] == nil {
			if len(base) == 4 {
				continue
			}
			base[k], pairs[k] = &[2]*analyzer.Seq{}, byte(len(base))
		}
		relative := func(s analyzer.Side, n analyzer.Seq) uint32 {
			if base[k][s] == nil {
				base[k][s] = &n
			}
			return uint32(n - *base[k][s])
		}
		head := pairs[k]<<1 | byte(s) | 0xf0
		if x.Options.Set&analyzer.OptTimestamps != 0 {
			head |= 8
		}
		if last == 0 {
			last = x.Time
		}
		b = append(b, head, byte(x.Flags))
		b = le.AppendUint16(b, uint16(min(max(0, x.Time-last)/10_000, 0xffff)))
		b = le.AppendUint32(b, relative(s, x.Seq))
		ack := uint32(0)
		if x.Flags.Has(analyzer.ACK) {
			ack = relative(s.Peer(), x.Ack)
		}
		b = le.AppendUint32(b, ack)
		b = le.AppendUint16(b, uint16(x.Len))
		b = le.AppendUint16(b, x.Window)
		b = le.AppendUint32(b, x.Options.TSVal)
		b = le.AppendUint32(b, x.Options.TSEcr)
		last = x.Time
	}
	return b
}
