package capture

import (
	"bytes"
	"errors"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture/filter"
)

func parseFilter(t testing.TB, expression string) *filter.Filter {
	f, err := filter.Parse(expression, filter.Options{NoTcpdump: true})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What the filter leaves out is counted; the others keep their numbers.
func TestFilter(t *testing.T) {
	udp := ether(etherIPv4, ip4(17, []byte("\x00\x35\x00\x35\x00\x08\x00\x00")))
	tagged := ether(etherVLAN, join([]byte{0, 100, 8, 0}, plainFrame()[14:]))
	file := pcapFile(1, udp, plainFrame(), nil, tagged, udp, plainFrame())
	for _, c := range []struct {
		why, expression string
		frames          []uint64
		skipped         string
	}{
		{"everything matches nothing said", "", []uint64{2, 4, 6}, "2 udp, 1 empty record"},
		{"as with tcpdump, the tag hides what is behind it", "tcp", []uint64{2, 6}, "1 empty record, 3 left out by the filter"},
		{"and vlan looks there", "tcp or (vlan and tcp)", []uint64{2, 4, 6}, "1 empty record, 2 left out by the filter"},
		{"a filter that leaves no TCP", "udp", nil, "2 udp, 1 empty record, 3 left out by the filter"},
	} {
		packets, src, err := readAll(t, file, Options{Filter: parseFilter(t, c.expression)})
		if !errors.Is(err, ErrFlawed) || len(packets) != len(c.frames) {
			t.Errorf("%s: %d packets, %v", c.why, len(packets), err)
			continue
		}
		for i, p := range packets {
			if p.Segment.Frame != c.frames[i] {
				t.Errorf("%s: frame %d, want %d", c.why, p.Segment.Frame, c.frames[i])
			}
		}
		if got := skipped(src.Stats()); got != c.skipped || src.Stats().Frames != 6 {
			t.Errorf("%s: skipped %s of %d, want %s", c.why, got, src.Stats().Frames, c.skipped)
		}
	}
}

// Each interface of a capture has the program of its link type; those that cannot
// be decoded need none.
func TestFilterByInterface(t *testing.T) {
	cooked := join([]byte{0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0}, plainFrame()[14:])
	file := join(ngSection(le), ngInterface(le, 1, 0), ngInterface(le, 113, 0), ngInterface(le, 101, 0), ngInterface(le, 189, 0),
		ngPacket(le, 0, 1e6, plainFrame(), 60), ngPacket(le, 1, 1e6, cooked, len(cooked)),
		ngPacket(le, 2, 1e6, plainFrame()[14:], 46), ngPacket(le, 3, 1e6, []byte{1, 2, 3}, 3))
	packets, src, err := readAll(t, file, Options{Filter: parseFilter(t, "tcp and len < 1000")})
	if err != nil || len(packets) != 3 || skipped(src.Stats()) != "1 unsupported link type" {
		t.Errorf("%d packets, skipped %s, %v", len(packets), skipped(src.Stats()), err)
	}
}

// Where a filter does not fit a link type, the source ends and says so.
func TestFilterThatDoesNotFit(t *testing.T) {
	file := join(goodHead, ngInterface(le, 101, 0), ngPacket(le, 0, 1e6, plainFrame(), 60), ngPacket(le, 1, 1e6, plainFrame()[14:], 46))
	packets, _, err := readAll(t, file, Options{Filter: parseFilter(t, "tcp or vlan 5")})
	want := `test.pcap: frame 2 at byte 172: filter "vlan 5" cannot be applied: raw IP frames have no VLAN tags: leave this condition out for such captures`
	if len(packets) != 1 || err == nil || err.Error() != want {
		t.Errorf("%d packets, %v\nwant %s", len(packets), err, want)
	}
	var wrong *filter.Error
	if !errors.As(err, &wrong) || wrong.Part() != "vlan 5" {
		t.Errorf("the cause is %v", errors.Unwrap(err))
	}

	// A compiled program is of one link type.
	program, err := filter.ParseProgram("1,6 0 0 1")
	if err != nil {
		t.Fatal(err)
	}
	if packets, _, err = readAll(t, file, Options{Filter: program}); len(packets) != 1 || err == nil {
		t.Errorf("%d packets, %v", len(packets), err)
	}
}

// OnFrame is shown what the filter accepts.
func TestFilterBeforeOnFrame(t *testing.T) {
	var shown []uint64
	o := Options{Filter: parseFilter(t, "arp"), OnFrame: func(f *Frame) { shown = append(shown, f.Number) }}
	readAll(t, pcapFile(1, plainFrame(), ether(etherARP, make([]byte, 46))), o)
	if len(shown) != 1 || shown[0] != 2 {
		t.Errorf("frames %v", shown)
	}
}

// Captures that are read as one share the programs, and their numbers hold.
func TestFilterOfMerge(t *testing.T) {
	file := pcapFile(1, ether(etherARP, make([]byte, 46)), plainFrame())
	open := func(o Options) (Source, error) { return NewReader(bytes.NewReader(file), "test.pcap", o) }
	m := NewMerge([]Input{{Name: "a", Open: open}, {Name: "b", Open: open}}, Options{Filter: parseFilter(t, "tcp")})
	packets, err := drain(m)
	if err != nil || len(packets) != 2 || packets[1].Segment.Frame != analyzer.FrameIn(2, 2) || m.Stats().Skipped[SkippedFilter] != 2 {
		t.Errorf("%d packets, %v, skipped %s", len(packets), err, skipped(m.Stats()))
	}
}

func TestFilterAllocatesNothing(t *testing.T) {
	s := newStream(nil, "test.pcap", Options{Filter: parseFilter(t, "net 10.0.0.0/8 or tcp port 80")})
	in := port{link: linkTypeOf(1), number: 1}
	frame := plainFrame()
	var p Packet
	s.d.decode(s.begin(&in, frame, 60, 1), &p) // compiles
	if n := testing.AllocsPerRun(100, func() { s.d.decode(s.begin(&in, frame, 60, 1), &p) }); n != 0 {
		t.Errorf("%v allocations for a frame", n)
	}
}

func BenchmarkDecodeFiltered(b *testing.B) {
	f := parseFilter(b, "tcp port 443")
	s := newStream(nil, "test.pcap", Options{Filter: f})
	in := port{link: linkTypeOf(1), number: 1}
	frame := benchFrame(0)
	var p Packet
	b.ReportAllocs()
	for b.Loop() {
		s.d.decode(s.begin(&in, frame, uint32(len(frame)), 1), &p)
	}
}
