package kernelcheck

import (
	"bytes"
	"encoding/binary"
	"io"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/internal/netns"
	"github.com/tcpflow-states/tcpflow-states/internal/sockets"
)

// must returns a value, and fails the test where there is an error instead.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// tap captures the loopback interface.
type tap struct {
	fd     int
	record bytes.Buffer // a pcap file
}

func newTap(t *testing.T) *tap {
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8
	x := &tap{fd: must(unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, all&0xffff))(t)}
	t.Cleanup(func() { unix.Close(x.fd) })
	head := [6]uint32{0xa1b23c4d, 2 | 4<<16, 0, 0, 1 << 16, 1} // ns, Ethernet
	binary.Write(&x.record, binary.LittleEndian, head)
	return x
}

// flows returns what the packets so far say of each flow.
func (x *tap) flows(t *testing.T) map[int]Flow {
	t.Helper()
	buf := make([]byte, 1<<16)
	for {
		n, from, err := unix.Recvfrom(x.fd, buf, 0)
		if err == unix.EAGAIN {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING {
			continue // loopback shows every packet twice
		}
		now := time.Now()
		binary.Write(&x.record, binary.LittleEndian, [4]uint32{uint32(now.Unix()), uint32(now.Nanosecond()), uint32(n), uint32(n)})
		x.record.Write(buf[:n])
	}
	flows := map[int]Flow{}
	tracker := analyzer.New(analyzer.Config{OnStep: func(s *analyzer.Step) { flows[s.Flow.Number] = FlowOf(s.Flow) }})
	src := must(capture.NewReader(bytes.NewReader(x.record.Bytes()), "lo", capture.Options{}))(t)
	var p capture.Packet
	for {
		if err := src.Next(&p); err == io.EOF {
			return flows
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Kind == capture.KindSegment {
			tracker.Observe(&p.Segment)
		}
	}
}

// Real connections over loopback, captured: what we say of both sides is what
// the kernel says; the one that it threw away without a packet is found; and so
// is the one that is older than the capture.
func TestBesideTheKernel(t *testing.T) {
	netns.Enter(t)
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer listener.Close()
	connect := func() (c, s *net.TCPConn) {
		a := must(net.Dial("tcp", listener.Addr().String()))(t)
		b := must(listener.Accept())(t)
		t.Cleanup(func() { a.Close(); b.Close() })
		return a.(*net.TCPConn), b.(*net.TCPConn)
	}
	connect() // before the capture
	x := newTap(t)
	c, s := connect()
	c.Write([]byte("x"))
	s.Read(make([]byte, 1))
	c, _ = connect()
	c.CloseWrite()
	c, s = connect()
	c.CloseWrite()
	s.Read(make([]byte, 1))
	s.Close()
	c, _ = connect()
	vanish(t, c)

	cache := must(sockets.NewCache(sockets.Options{OnlyOwn: true, Info: true}))(t)
	var check Checker
	var r *Result
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		d := must(cache.Look())(t)
		r = check.Check(maps.Values(x.flows(t)), d)
		if r.Missing.Count == 1 && total(r.Unseen) == 2 && r.Unsettled == 0 {
			break
		}
		if time.Since(start) > 10*time.Second {
			t.Fatalf("not settled within 10 s: %+v", r)
		}
	}
	want := map[string]int{"ESTABLISHED": 3, "FIN_WAIT_2": 1, "CLOSE_WAIT": 1, "TIME_WAIT": 1, "CLOSED": 1}
	if !maps.Equal(r.Agree, want) || r.Disagree.Count != 0 {
		t.Errorf("agree on %v, want %v; %+v", r.Agree, want, r.Disagree)
	}
	if m := r.Missing.List[0]; m.Ours != "ESTABLISHED" || m.Local.String() != c.LocalAddr().String() {
		t.Errorf("%+v", m)
	}
	var text strings.Builder
	r.Text(&text)
	t.Log("\n" + text.String())
}

// vanish closes a socket without a packet, as a kernel does that loses it:
// TCP_REPAIR is for moving connections to another host (tcp(7)).
func vanish(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw := must(c.SyscallConn())(t)
	raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1); err != nil {
			t.Skipf("SKIPPED: TCP_REPAIR needs CAP_NET_ADMIN: %v", err)
		}
	})
	c.Close()
}
