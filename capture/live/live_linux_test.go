//go:build !libpcap || cgo

package live

import (
	"bytes"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/capture/filter"
)

// A burst is wholly seen, in order, and costs no allocation for each frame.
func TestBurst(t *testing.T) {
	pair(t)
	const count = 100_000
	s := open(t, Config{})
	to := sendOn(t, "va")
	go func() {
		frame := numbered(0)
		for n := range count {
			frame[38], frame[39], frame[40], frame[41] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
			to.send(frame)
		}
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	next, last := uint32(0), int64(0)
	read(t, s, func(p *capture.Packet) bool {
		if seq := uint32(p.Segment.Seq); seq != next {
			t.Fatalf("segment %d where %d was to come", seq, next)
		}
		if p.Segment.Time < last {
			t.Fatalf("segment %d is %d ns older than the one before", next, last-p.Segment.Time)
		}
		next, last = next+1, p.Segment.Time
		return next == count
	})
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > count/20 {
		t.Errorf("%d allocations for %d frames", n, count)
	}
	if rest := sequences(t, s); len(rest) > 0 {
		t.Errorf("%d segments after the last one", len(rest))
	}
	if c := s.Counters(); c.Frames != count || c.Dropped != 0 || s.Stats().Frames != count || s.Stats().Segments != count {
		t.Errorf("sent %d: %+v, %+v", count, c, s.Stats())
	}
	if since := time.Since(time.Unix(0, last)); since < 0 || since > limit {
		t.Errorf("the last one's time is %v ago", since)
	}
}

// The kernel takes the outer VLAN tag out of what it receives; a frame is shown
// as it was on the wire.
func TestVLAN(t *testing.T) {
	pair(t)
	subInterface := exec.Command("ip", "link", "add", "link", "va", "name", "va.5", "up", "type", "vlan", "id", "5").Run() == nil
	if !subInterface {
		t.Log("SKIPPED IN PART: the kernel has no VLAN interfaces (module 8021q)")
	}
	var shown []capture.Frame
	s := open(t, Config{Decode: capture.Options{OnFrame: func(f *capture.Frame) {
		shown = append(shown, *f)
		shown[len(shown)-1].Data = bytes.Clone(f.Data)
	}}})
	payload := segment(toServer, 1, 10)
	for _, c := range []struct {
		why  string
		on   string
		sent []byte
		want []byte // nil: as sent
		vlan []uint16
	}{
		{"no tag", "va", ether(ipv4, payload), nil, nil},
		{"a sub-interface's tag", "va.5", ether(ipv4, payload), ether("\x81\x00\x00\x05"+ipv4, payload), []uint16{5}},
		{"a tag in the frame", "va", ether("\x81\x00\x60\x07"+ipv4, payload), nil, []uint16{7}},
		{"TCI 0 is a tag, too", "va", ether("\x81\x00\x00\x00"+ipv4, payload), nil, nil},
		{"a service tag", "va", ether("\x88\xa8\x00\x09"+ipv4, payload), nil, []uint16{9}},
		{"two tags", "va", ether("\x88\xa8\x00\x09\x81\x00\x00\x05"+ipv4, payload), nil, []uint16{9, 5}},
	} {
		if c.on == "va.5" && !subInterface {
			continue
		}
		shown = nil
		sendOn(t, c.on).send(c.sent)
		if c.want == nil {
			c.want = c.sent
		}
		var p capture.Packet
		read(t, s, func(q *capture.Packet) bool { p = *q; return true })
		if len(shown) != 1 || !bytes.Equal(shown[0].Data, c.want) || int(shown[0].Wire) != len(c.want) {
			t.Errorf("%s: shown:\n%+v\nwant % x", c.why, shown, c.want)
			continue
		}
		if got := s.Links()[p.Segment.Link]; got.Interface != "vb" || !slices.Equal(got.VLAN, c.vlan) {
			t.Errorf("%s: link %+v, want VLAN %v", c.why, got, c.vlan)
		}
		if f := shown[0]; f.Interface != "vb" || f.LinkType != linkEthernet || f.Time != p.Segment.Time {
			t.Errorf("%s: %+v", c.why, f)
		}
	}
}

func parse(t *testing.T, expression string) *filter.Filter {
	t.Helper()
	f, err := filter.Parse(expression, FilterOptions)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// keepSending sends while the test runs, so that there is traffic before a
// capture begins and when it ends.
func keepSending(t *testing.T, to *sender, frames ...[]byte) {
	stop, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for n := 0; n < 1_000_000; n++ {
			select {
			case <-stop:
				return
			default:
				to.send(frames[n%len(frames)])
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
}

// Nothing comes in that the filter refuses, from the first frame on.
func TestFilter(t *testing.T) {
	pair(t)
	keepSending(t, sendOn(t, "va"),
		ether(ipv4, segment(flow{40000, 80}, 1, 10)), ether(ipv4, segment(flow{40000, 81}, 2, 10)),
		ether("\x81\x00\x00\x05"+ipv4, segment(flow{40000, 80}, 3, 10)), ether("\x81\x00\x00\x06"+ipv4, segment(flow{40000, 80}, 4, 10)))
	for _, c := range []struct {
		expression string
		want       uint32
	}{{"tcp port 81", 2}, {"vlan 5 and port 80", 3}, {"tcp port 80 and not vlan", 1}} {
		s := open(t, Config{Filter: parse(t, c.expression)})
		seen := 0
		check := func(p *capture.Packet) bool {
			if uint32(p.Segment.Seq) != c.want {
				t.Errorf("%s: segment %d was captured", c.expression, p.Segment.Seq)
			}
			seen++
			return seen == 2000
		}
		read(t, s, check)
		stopped(t, s, func(p *capture.Packet) { check(p) })
		s.Close()
	}
}

// No more than Snap is copied, with and without a filter; the length on the wire
// stays.
func TestSnap(t *testing.T) {
	pair(t)
	to := sendOn(t, "va")
	for _, f := range []*filter.Filter{nil, parse(t, "tcp")} {
		var size, wire int
		s := open(t, Config{Snap: 64, Filter: f, Decode: capture.Options{OnFrame: func(f *capture.Frame) { size, wire = len(f.Data), int(f.Wire) }}})
		to.send(numbered(7))
		var p capture.Packet
		read(t, s, func(q *capture.Packet) bool { p = *q; return true })
		if size != 64 || wire != 154 || p.Segment.Len != 100 {
			t.Errorf("%d octets of %d, and a segment of %d; want 64, 154, 100", size, wire, p.Segment.Len)
		}
		if s.Stats().Truncated != 1 {
			t.Errorf("%d frames cut, want 1", s.Stats().Truncated)
		}
		s.Close()
	}
}

// Loopback shows every frame twice, as it leaves and as it comes in.
func TestLoopback(t *testing.T) {
	namespace(t)
	ip(t, "link set lo up")
	for _, name := range []string{"lo", Any} {
		s := open(t, Config{Interface: name})
		to := sendOn(t, "lo")
		for n := range 20 {
			to.send(numbered(n))
		}
		counted(t, 20, s)
		if got := sequences(t, s); len(got) != 20 {
			t.Errorf("%s: %d of 20 frames: %v", name, len(got), got)
		}
	}
}

const shortTick = 20 * time.Millisecond

// Promiscuity ends with the source.
func TestPromiscuous(t *testing.T) {
	pair(t)
	for _, c := range []struct {
		on   bool
		want string
	}{{true, "promiscuity 1"}, {false, "promiscuity 0"}} {
		s := open(t, Config{Promiscuous: c.on})
		if out := output(t, "ip -d link show vb"); !strings.Contains(out, c.want) {
			t.Errorf("want %s: %s", c.want, out)
		}
		s.Close()
	}
}

// A source that waits is stopped from elsewhere; nothing is lost that came
// before.
func TestStop(t *testing.T) {
	pair(t)
	to := sendOn(t, "va")
	s := open(t, Config{Tick: time.Hour})
	ended := make(chan error)
	go func() { ended <- s.Next(new(capture.Packet)) }()
	s.Stop()
	s.Stop()
	select {
	case err := <-ended:
		if err != io.EOF {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(limit):
		t.Fatal("it still waits")
	}
	for range 20 { // whatever the kernel's timer is at
		s := open(t, Config{Tick: time.Hour})
		for n := range 30 {
			to.send(numbered(n))
		}
		counted(t, 30, s)
		if got := sequences(t, s); len(got) != 30 {
			t.Errorf("%d of 30 frames", len(got))
		}
		s.Close()
		s.Close()
		s.Stop()
		if err := s.Next(new(capture.Packet)); err != io.EOF {
			t.Errorf("after Close: %v", err)
		}
	}
}

// Where nothing comes, or nothing of interest, ticks do.
func TestTick(t *testing.T) {
	pair(t)
	s := open(t, Config{Tick: shortTick})
	var p capture.Packet
	tick := func(why string) int64 {
		for range 100 {
			if err := s.Next(&p); err != nil {
				t.Fatal(err)
			}
			if p.Kind == capture.KindTick {
				return p.Tick
			}
		}
		t.Fatalf("%s: no tick", why)
		return 0
	}
	began := time.Now()
	first := tick("idle")
	if back := began.Sub(time.Unix(0, first)); back > lag || back < -limit {
		t.Errorf("the tick says %v before now", back)
	}
	if second := tick("idle"); second <= first {
		t.Errorf("a tick of %d after one of %d", second, first)
	}
	other := ether(ipv4, segment(toServer, 0, 10))
	other[23] = unix.IPPROTO_UDP
	keepSending(t, sendOn(t, "va"), other)
	for range 20 {
		tick("frames without TCP")
	}
	if s.Stats().Skipped[capture.SkippedUDP] == 0 {
		t.Errorf("%+v", s.Stats())
	}
}

// A tick is never later than what comes after it.
func TestTickIsPast(t *testing.T) {
	pair(t)
	s := open(t, Config{Tick: time.Millisecond})
	to := sendOn(t, "va")
	go func() {
		for n := range 300 {
			to.send(numbered(n))
			time.Sleep(time.Millisecond)
		}
	}()
	latest := int64(0)
	var p capture.Packet
	for n := 0; n < 300; {
		if err := s.Next(&p); err != nil {
			t.Fatal(err)
		}
		if p.Kind == capture.KindTick {
			latest = max(latest, p.Tick)
			continue
		}
		if n++; p.Segment.Time < latest {
			t.Fatalf("segment %d is %d ns older than a tick before it", p.Segment.Seq, latest-p.Segment.Time)
		}
	}
}
