package live

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpflow-states/tcpflow-states/capture"
)

// Every test has a network namespace of its own, which is that of its thread and
// goes with it: nothing is left, and nothing outside is seen or touched.

// limit is how long anything that is bound to come is waited for.
const limit = 20 * time.Second

// namespace moves the test into a network namespace without anything but lo. Its
// thread ends with the test, which keeps it.
func namespace(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: network namespaces take root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("SKIPPED: no ip command: install iproute2")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("SKIPPED: no network namespace can be made here: ", err)
	}
	// What the kernel sends by itself for IPv6 would be in between.
	for _, which := range []string{"all", "default"} {
		os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/disable_ipv6", []byte("1"), 0)
	}
}

// ip runs the command of that name, in the test's namespace.
func ip(t testing.TB, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
}

// output runs a command in the test's namespace.
func output(t testing.TB, command string) string {
	t.Helper()
	words := strings.Fields(command)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// pair makes two interfaces, va and vb, of which each has what the other sends.
func pair(t testing.TB) {
	t.Helper()
	namespace(t)
	connect(t, "va", "vb")
}

// connect makes two interfaces that are up.
func connect(t testing.TB, a, b string) {
	t.Helper()
	ip(t, "link add "+a+" type veth peer name "+b)
	for _, name := range []string{a, b} {
		ip(t, "link set "+name+" up")
	}
	running(t, a)
	running(t, b)
}

// running waits until an interface sends what it is given: the kernel has it do
// so some time after it was set up.
func running(t testing.TB, name string) {
	t.Helper()
	for end := time.Now().Add(limit); !strings.Contains(output(t, "ip link show "+name), "state UP"); {
		if time.Now().After(end) {
			t.Fatalf("%s does not come up", name)
		}
		time.Sleep(time.Millisecond)
	}
}

// sender sends frames as they are.
type sender struct {
	t  testing.TB
	fd int
	to unix.SockaddrLinklayer
}

func sendOn(t testing.TB, name string) *sender {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &sender{t, fd, unix.SockaddrLinklayer{Ifindex: int(ifr.Uint32())}}
}

// send sends one, and again while the queue is full. It may be called on any
// goroutine.
func (s *sender) send(frame []byte) {
	for {
		err := unix.Sendto(s.fd, frame, 0, &s.to)
		if err == nil {
			return
		}
		if err != unix.ENOBUFS && err != unix.EAGAIN && err != unix.EINTR {
			s.t.Errorf("send: %v", err)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// flow is one direction of a TCP connection, by its ports.
type flow struct{ src, dst uint16 }

// segment is an IPv4 packet with a TCP segment of that sequence number from
// 10.0.0.1 to 10.0.0.2, the other way round if src is the smaller port.
func segment(f flow, seq uint32, payload int) []byte {
	b := make([]byte, 40+payload)
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[8], b[9] = 64, unix.IPPROTO_TCP
	copy(b[12:], "\x0a\x00\x00\x01\x0a\x00\x00\x02")
	if f.src < f.dst {
		b[15], b[19] = 2, 1
	}
	binary.BigEndian.PutUint16(b[20:], f.src)
	binary.BigEndian.PutUint16(b[22:], f.dst)
	binary.BigEndian.PutUint32(b[24:], seq)
	b[32], b[33] = 0x50, 0x10
	return b
}

// ether puts an Ethernet header with that type, and what follows it, before a
// payload.
func ether(kind string, payload []byte) []byte {
	return append([]byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01"+kind), payload...)
}

const ipv4 = "\x08\x00"

var toServer = flow{40000, 80}

// numbered is a frame that can be told by its sequence number.
func numbered(n int) []byte { return ether(ipv4, segment(toServer, uint32(n), 100)) }

func open(t testing.TB, c Config) Source {
	t.Helper()
	if c.Interface == "" {
		c.Interface = "vb"
	}
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// read gives the segments to take until that returns true or the source ends;
// it returns what it ended with.
func read(t *testing.T, s Source, take func(*capture.Packet) (done bool)) error {
	t.Helper()
	var p capture.Packet
	end := time.Now().Add(limit)
	for {
		switch err := s.Next(&p); {
		case err != nil:
			return err
		case p.Kind != capture.KindTick:
			if take(&p) {
				return nil
			}
		case time.Now().After(end):
			t.Fatalf("it did not come within %v", limit)
		}
	}
}

// counted waits until the kernel has so many frames for the sources together: what
// was sent need not have come yet.
func counted(t *testing.T, frames int, sources ...Source) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		n := 0
		for _, s := range sources {
			n += int(s.Counters().Frames)
		}
		if n >= frames {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d frames have come", n, frames)
		}
	}
}

// stopped stops the source and reads the rest.
func stopped(t *testing.T, s Source, take func(*capture.Packet)) {
	t.Helper()
	s.Stop()
	if err := read(t, s, func(p *capture.Packet) bool { take(p); return false }); !errors.Is(err, io.EOF) {
		t.Errorf("ended with %v, not io.EOF", err)
	}
}

// sequences stops the source and returns the sequence numbers that it had.
func sequences(t *testing.T, s Source) (list []uint32) {
	t.Helper()
	stopped(t, s, func(p *capture.Packet) { list = append(list, uint32(p.Segment.Seq)) })
	return list
}
