//go:build !libpcap

package live

import (
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpflow-states/tcpflow-states/capture"
)

// The tests of what libpcap has not, or says otherwise.

// The kernel counts no frame that the filter refuses, neither before the capture
// begins nor when it ends.
func TestCountersAreExact(t *testing.T) {
	pair(t)
	keepSending(t, sendOn(t, "va"), numbered(1), ether(ipv4, segment(flow{40000, 81}, 2, 10)))
	frames := uint64(0)
	s := open(t, Config{Filter: parse(t, "port 81"), Decode: capture.Options{OnFrame: func(*capture.Frame) { frames++ }}})
	seen := 0
	read(t, s, func(*capture.Packet) bool { seen++; return seen == 1000 })
	stopped(t, s, func(*capture.Packet) {})
	if n := s.Counters(); n.Frames != frames+n.Dropped {
		t.Errorf("the kernel has let %d frames in and dropped %d, and %d were read", n.Frames, n.Dropped, frames)
	}
}

// Any takes what all interfaces show, each by its own link type and name, also
// those that come later.
func TestAny(t *testing.T) {
	pair(t)
	tun := openTun(t, "tun0")
	for _, expression := range []string{"", "tcp dst port 80", "ether src 02:00:00:00:00:01"} {
		c := Config{Interface: Any}
		if expression != "" {
			c.Filter = parse(t, expression)
		}
		s := open(t, c)
		connect(t, "vc", "vd")
		sendOn(t, "va").send(numbered(1))
		sendOn(t, "vc").send(numbered(2))
		sendOn(t, "vc").send(ether(ipv4, segment(flow{40000, 81}, 4, 0)))
		unix.Write(tun, segment(toServer, 3, 0))
		want := []string{"tun0 3", "va 1", "vb 1", "vc 2", "vd 2"}
		switch expression {
		case "":
			want = append(want, "vc 4", "vd 4")
		case "ether src 02:00:00:00:00:01": // which raw IP has not
			want = append(want[1:], "vc 4", "vd 4")
		}
		slices.Sort(want)
		counted(t, len(want), s)
		var got []string
		stopped(t, s, func(p *capture.Packet) {
			got = append(got, s.Links()[p.Segment.Link].Interface+" "+string(rune('0'+p.Segment.Seq)))
		})
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", expression, got, want)
		}
		ip(t, "link del vc")
	}
}

// openTun makes an interface of raw IP: what is written to it comes in there.
func openTun(t *testing.T, name string) int {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("SKIPPED: no tun interfaces here: ", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		t.Fatal(err)
	}
	ip(t, "link set "+name+" up")
	return fd
}

// Two rings share the frames: none is lost or doubled, and both directions of a
// flow are on one.
func TestSeveral(t *testing.T) {
	pair(t)
	const flows, each = 200, 50
	keepSending(t, sendOn(t, "va"), ether(ipv4, segment(flow{1, 2}, 0, 0))) // while they are opened
	to := sendOn(t, "va")
	sources, err := OpenSeveral(Config{Interface: "vb", Filter: parse(t, "port 80")}, 2)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan map[uint16]int)
	for _, s := range sources {
		defer s.Close()
		go func() {
			seen := map[uint16]int{}
			var p capture.Packet
			for s.Next(&p) == nil {
				if p.Kind == capture.KindSegment {
					seen[max(p.Segment.SrcPort, p.Segment.DstPort)]++
				}
			}
			done <- seen
		}()
	}
	for range each {
		for i := range uint16(flows) {
			to.send(ether(ipv4, segment(flow{40000 + i, 80}, 0, 0)))
			to.send(ether(ipv4, segment(flow{80, 40000 + i}, 0, 0)))
		}
	}
	for _, s := range sources {
		s.Stop()
	}
	a, b := <-done, <-done
	if len(a) == 0 || len(b) == 0 || len(a)+len(b) != flows {
		t.Errorf("%d flows on one ring and %d on the other, of %d", len(a), len(b), flows)
	}
	for _, seen := range []map[uint16]int{a, b} {
		for port, n := range seen {
			if n != 2*each {
				t.Errorf("port %d: %d of %d frames on its ring", port, n, 2*each)
			}
		}
	}
	for _, s := range sources {
		if s.Counters().Dropped != 0 || len(s.Links()) != 1 {
			t.Errorf("%+v, links %v", s.Counters(), s.Links())
		}
	}
	if _, err := OpenSeveral(Config{Interface: "vb", AwaitReturn: true}, 2); err == nil {
		t.Error("several rings await an interface's return")
	}
}

// noticed waits until the source says that.
func noticed(t *testing.T, s Source, told *[]string, want string) {
	t.Helper()
	var p capture.Packet
	for end := time.Now().Add(limit); time.Now().Before(end); {
		if err := s.Next(&p); err != nil {
			t.Fatalf("ended before %q: %v", want, err)
		}
		if len(*told) > 0 && (*told)[len(*told)-1] == want {
			return
		}
	}
	t.Fatalf("not told %q but %q", want, *told)
}

// An interface that goes down and up again is captured on as before.
func TestDownUp(t *testing.T) {
	pair(t)
	var told []string
	s := open(t, Config{Tick: shortTick, Notice: func(text string) { told = append(told, text) }})
	ip(t, "link set vb down")
	noticed(t, s, &told, "vb is down: waiting for it")
	ip(t, "link set vb up")
	noticed(t, s, &told, "vb is up again")
	running(t, "va")
	sendOn(t, "va").send(numbered(5))
	counted(t, 1, s)
	if got := sequences(t, s); !slices.Equal(got, []uint32{5}) {
		t.Errorf("%v after it came up again", got)
	}
	if len(told) != 2 {
		t.Errorf("told %q", told)
	}
}

// An interface that is removed ends the capture, with all that came before.
func TestRemoved(t *testing.T) {
	pair(t)
	s := open(t, Config{})
	to := sendOn(t, "va")
	for n := range 100 {
		to.send(numbered(n))
	}
	counted(t, 100, s)
	ip(t, "link del vb")
	n := 0
	err := read(t, s, func(*capture.Packet) bool { n++; return false })
	var failed *capture.Error
	if !errors.Is(err, ErrGone) || !errors.As(err, &failed) || !strings.HasPrefix(err.Error(), "vb: interface was removed: ") {
		t.Errorf("ended with %v", err)
	}
	if n != 100 {
		t.Errorf("%d of 100 frames", n)
	}
	if again := s.Next(new(capture.Packet)); again != err {
		t.Errorf("and then with %v", again)
	}
}

// An interface whose return is awaited is captured on again, promiscuously as
// before; so is one that is down when it is opened.
func TestAwaitReturn(t *testing.T) {
	pair(t)
	ip(t, "link set vb down")
	var told []string
	s := open(t, Config{Tick: shortTick, AwaitReturn: true, Promiscuous: true, Notice: func(text string) { told = append(told, text) }})
	noticed(t, s, &told, "vb is down: waiting for it")
	ip(t, "link set vb up")
	noticed(t, s, &told, "vb is up again")
	ip(t, "link del vb")
	noticed(t, s, &told, "vb was removed: waiting for its return")
	connect(t, "va", "vb")
	noticed(t, s, &told, "vb is back")
	sendOn(t, "va").send(numbered(5))
	if out := output(t, "ip -d link show vb"); !strings.Contains(out, "promiscuity 1") {
		t.Errorf("not promiscuous: %s", out)
	}
	counted(t, 1, s)
	if got := sequences(t, s); !slices.Equal(got, []uint32{5}) {
		t.Errorf("%v after it came back", got)
	}
	if s.Links()[0].Interface != "vb" || len(s.Links()) != 1 {
		t.Errorf("links %v", s.Links())
	}
}

// A ring that nobody reads overflows; what was lost is counted, and the rest is
// there.
func TestDropped(t *testing.T) {
	pair(t)
	const count = 20_000
	s := open(t, Config{Buffer: 1}) // 2 MiB is the least
	to := sendOn(t, "va")
	for n := range count {
		to.send(numbered(n))
	}
	counted(t, count, s)
	c := s.Counters()
	if c.Frames != count || c.Dropped == 0 || c.Freezes == 0 || c.Full != 1 {
		t.Errorf("%+v after %d frames", c, count)
	}
	got := sequences(t, s)
	if uint64(len(got))+c.Dropped != count || s.Stats().Dropped != c.Dropped {
		t.Errorf("%d read and %d dropped (%d by the statistics) of %d", len(got), c.Dropped, s.Stats().Dropped, count)
	}
	if again := s.Counters(); again.Frames != count || again.Full != 0 {
		t.Errorf("%+v at the end", again)
	}
}

// What keeps a capture from beginning is said, with what would help.
func TestOpenErrors(t *testing.T) {
	pair(t)
	ip(t, "link add down0 type veth peer name down1")
	for _, c := range []struct {
		why  string
		c    Config
		want string
	}{
		{"no name", Config{}, "no interface given"},
		{"no such one", Config{Interface: "nope"}, "nope: no such interface: tcpflow-states interfaces lists"},
		{"a name that is too long", Config{Interface: "averyveryverylongname"}, "averyveryverylongname: no such interface"},
		{"down", Config{Interface: "down0"}, "down0: interface is down: ip link set dev down0 up"},
		{"veth has no clock", Config{Interface: "vb", HardwareTime: true}, "vb: it cannot stamp every frame in hardware: leave hardware time out"},
		{"too much memory", Config{Interface: "vb", Buffer: math.MaxInt}, "a buffer of "},
	} {
		s, err := Open(c.c)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.why, err, c.want)
		}
	}
	if _, err := OpenSeveral(Config{Interface: "vb"}, 0); err == nil {
		t.Error("no sources are no error")
	}
}

// Without the capability the error says how to get it, with only that everything
// works.
func TestCapability(t *testing.T) {
	pair(t)
	keepOnly(t, 1<<unix.CAP_NET_RAW)
	s, err := Open(Config{Interface: "vb", Promiscuous: true, Filter: parse(t, "tcp")})
	if err != nil {
		t.Fatalf("with CAP_NET_RAW alone: %v", err)
	}
	keepOnly(t, 0)
	if c := s.Counters(); c.Dropped != 0 {
		t.Errorf("%+v", c)
	}
	s.Stop()
	if err := s.Next(new(capture.Packet)); err != io.EOF {
		t.Errorf("without any capability from then on: %v", err)
	}
	s.Close()
	_, err = Open(Config{Interface: "vb"})
	if !errors.Is(err, unix.EPERM) || !errors.Is(err, ErrPermission) || !strings.Contains(err.Error(), "sudo setcap cap_net_raw+ep /") || !strings.Contains(err.Error(), "--cap-add=NET_RAW") {
		t.Errorf("without: %v", err)
	}
	list, err := Interfaces()
	if err != nil || len(list) != 4 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, i := range list {
		if i.Ready() || !strings.Contains(i.Missing[0].Remedy, "setcap") {
			t.Errorf("%+v", i)
		}
	}
}

// keepOnly leaves this thread, which is the test's own, no other capabilities.
func keepOnly(t *testing.T, set uint32) {
	t.Helper()
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: set, Permitted: set}}
	if err := unix.Capset(&head, &data[0]); err != nil {
		t.Fatal(err)
	}
}
