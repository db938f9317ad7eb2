package capture

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// All that a file leads to, its frames lead to by a Feed.
func TestFeedIsAsFiles(t *testing.T) {
	files, err := filepath.Glob("../testdata/pcaps/*.pcap*")
	if err != nil || len(files) == 0 {
		t.Fatal("no captures: ", err)
	}
	fed := 0
	for _, name := range files {
		if info, err := os.Stat(name); err != nil || info.Size() > 1<<20 {
			continue
		}
		feed := NewFeed(name, "pcap", Options{})
		feed.s.d.patience = fragmentsLast
		ports := map[writerPort]int{}
		var got, want []Packet
		var p Packet
		take := func(f *Frame) {
			for feed.Waited(&p) {
				got = append(got, p)
			}
			key := writerPort{f.LinkType, f.Interface}
			port, known := ports[key]
			if !known {
				port = feed.Port(f.LinkType, f.Interface)
				ports[key] = port
			}
			if feed.Frame(port, f.Data, f.Wire, f.Time, &p) {
				got = append(got, p)
			}
		}
		src, err := Open(name, Options{OnFrame: take})
		if err != nil {
			continue // what cannot be opened is the file's trouble
		}
		var q Packet
		for src.Next(&q) == nil {
			want = append(want, q)
		}
		feed.End()
		for feed.Waited(&p) {
			got = append(got, p)
		}
		fed += len(got)
		a, b := *feed.Stats(), *src.Stats()
		if a.Frames == b.Frames { // else the file ended within one
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			if a.Skipped != b.Skipped || a.Segments != b.Segments || a.Truncated != b.Truncated || !cmp.Equal(feed.Links(), src.Links()) {
				t.Errorf("%s: %+v, want %+v", name, a, b)
			}
		}
		src.Close()
	}
	if fed < 100 {
		t.Errorf("only %d packets compared", fed)
	}
}

// Feeds beside each other number links alike.
func TestFeedsBeside(t *testing.T) {
	first := NewFeed("a", "live", Options{})
	feeds := []*Feed{first, first.Beside("b", Options{}), first.Beside("c", Options{})}
	frame := func(vlan byte) []byte {
		return ether(etherVLAN, join([]byte{0, vlan, 8, 0}, ip4(6, tcpSeg("", ""))))
	}
	var all sync.WaitGroup
	numbers := make([][100][2]uint32, len(feeds))
	for i, f := range feeds {
		all.Go(func() {
			port := f.Port(1, "eth0")
			var p Packet
			for n := range byte(100) {
				b := frame((n+byte(30*i))%100 + 1)
				if f.Frame(port, b, uint32(len(b)), 0, &p) {
					numbers[i][(n+byte(30*i))%100] = [2]uint32{p.Segment.Link, p.Segment.Path}
				}
			}
		})
	}
	all.Wait()
	if numbers[0] != numbers[1] || numbers[0] != numbers[2] {
		t.Error("the same VLAN has different numbers")
	}
	for vlan, n := range numbers[0] {
		if l := feeds[2].Links()[n[0]]; l.Interface != "eth0" || !slices.Equal(l.VLAN, []uint16{uint16(vlan + 1)}) {
			t.Errorf("VLAN %d is %+v", vlan+1, l)
		}
	}
}

// A datagram that stays incomplete holds what is behind it up for a second, by
// ticks also where no frame comes.
func TestFeedPatience(t *testing.T) {
	f := NewFeed("eth0", "live", Options{})
	port := f.Port(1, "eth0")
	first := ip4(6, tcpSeg("", "01234567"))
	first[6] = 0x20 // more fragments
	fragment, whole := ether(etherIPv4, first), ether(etherIPv4, ip4(6, tcpSeg("", "")))
	var p Packet
	const second = int64(1e9)
	for i, b := range [][]byte{fragment, whole} {
		if f.Frame(port, b, uint32(len(b)), second+int64(i), &p) {
			t.Fatalf("frame %d does not wait", i)
		}
	}
	f.Tick(2 * second)
	if f.Waited(&p) {
		t.Fatal("given up within a second")
	}
	f.Tick(2*second + 1)
	for want := uint64(1); want <= 2; want++ {
		if !f.Waited(&p) || p.Segment.Frame != want {
			t.Fatalf("after a second: %+v, want frame %d", p.Segment, want)
		}
	}
	if f.Waited(&p) {
		t.Error("more than the two")
	}
}

// Decoding what is fed allocates nothing for a frame, shown or not.
func TestFeedAllocates(t *testing.T) {
	frames := 0
	f := NewFeed("eth0", "live", Options{OnFrame: func(*Frame) { frames++ }})
	port := f.Port(1, "eth0")
	b := ether(etherIPv4, ip4(6, tcpSeg("", "0123")))
	var p Packet
	n := testing.AllocsPerRun(100, func() {
		if !f.Frame(port, b, uint32(len(b)), 1, &p) {
			t.Fatal("no segment")
		}
	})
	if n != 0 || frames == 0 {
		t.Errorf("%v allocations for a frame", n)
	}
}
