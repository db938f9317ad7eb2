package livetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limit is how long anything that is bound to come is waited for.
const limit = 20 * time.Second

// host is a network namespace with one interface.
type host struct {
	t     testing.TB
	name  string // of the interface, too
	addr  netip.Addr
	netns *os.File
}

// hosts makes two that are linked: A is 10.77.0.1 on va, B 10.77.0.2 on vb.
func hosts(t testing.TB) (a, b *host) {
	t.Helper()
	needs(t, "ip")
	a = newHost(t, "va", "10.77.0.1")
	b = newHost(t, "vb", "10.77.0.2")
	link(a, b)
	return a, b
}

// needs skips a test that can do nothing without root and a tool.
func needs(t testing.TB, tool string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: network namespaces take root")
	}
	if !has(t, tool) {
		t.SkipNow()
	}
}

// has reports whether a tool is installed, and says aloud when it is not.
func has(t testing.TB, tool string) bool {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Logf("SKIPPED IN PART: %s is not installed", tool)
		return false
	}
	return true
}

// newHost makes a namespace, which lasts as long as its file or a process in it.
func newHost(t testing.TB, name, addr string) *host {
	t.Helper()
	h := &host{t: t, name: name, addr: netip.MustParseAddr(addr)}
	runtime.LockOSThread()
	back, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		t.Skip("SKIPPED: no network namespace can be made here: ", err)
	}
	h.netns, err = os.Open("/proc/thread-self/ns/net")
	// What the kernel sends by itself for IPv6 would be in between.
	os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
	if err := errors.Join(err, unix.Setns(int(back.Fd()), unix.CLONE_NEWNET)); err != nil {
		t.Fatal(err) // the thread stays locked, and ends with the test
	}
	runtime.UnlockOSThread()
	t.Cleanup(func() { h.netns.Close() })
	h.ip("link set lo up")
	return h
}

// link makes the two interfaces, or makes them anew.
func link(a, b *host) {
	a.t.Helper()
	a.ip(fmt.Sprintf("link add %s type veth peer name %s netns /proc/%d/fd/%d", a.name, b.name, os.Getpid(), b.netns.Fd()))
	for _, h := range []*host{a, b} {
		h.ip("addr add " + h.addr.String() + "/24 dev " + h.name)
		h.ip("link set " + h.name + " up")
	}
	for _, h := range []*host{a, b} {
		h.eventually(h.name+" sends", func() bool { return strings.Contains(h.output("ip", "link", "show", h.name), "state UP") })
	}
}

// in runs something on a thread that is in the namespace: sockets and processes
// that it makes are there for good.
func (h *host) in(f func()) {
	h.t.Helper()
	runtime.LockOSThread()
	back, err := os.Open("/proc/thread-self/ns/net")
	if err == nil {
		defer back.Close()
		err = unix.Setns(int(h.netns.Fd()), unix.CLONE_NEWNET)
	}
	if err != nil {
		h.t.Error(err)
		return
	}
	defer func() {
		if unix.Setns(int(back.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}()
	f()
}

// ip runs the command of that name.
func (h *host) ip(args string) {
	h.t.Helper()
	h.output("ip", strings.Fields(args)...)
}

// output runs a command that is to succeed.
func (h *host) output(name string, args ...string) (text string) {
	h.t.Helper()
	h.in(func() {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			h.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		text = string(out)
	})
	return text
}

// eventually waits for what is done elsewhere.
func (h *host) eventually(what string, done func() bool) {
	h.t.Helper()
	eventually(h.t, what, done)
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	eventuallyWithin(t, limit, what, done)
}

func eventuallyWithin(t testing.TB, longest time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(longest); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, longest)
		}
	}
}

// socket makes a TCP socket that is closed when the test ends. It is bound to
// the port, 0: to any.
func (h *host) socket(port uint16) (fd int) {
	h.t.Helper()
	h.in(func() {
		var err error
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			h.t.Fatal(err)
		}
	})
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := unix.Bind(fd, h.sockaddr(port)); err != nil {
		h.t.Fatal(err)
	}
	return fd
}

func (h *host) sockaddr(port uint16) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: int(port), Addr: h.addr.As4()}
}

func (h *host) listen(port uint16) (fd int) {
	h.t.Helper()
	fd = h.socket(port)
	if err := unix.Listen(fd, 1024); err != nil {
		h.t.Fatal(err)
	}
	return fd
}

// dial begins to connect from a port to one of another host.
func (h *host) dial(from uint16, to *host, port uint16) (fd int) {
	h.t.Helper()
	fd = h.socket(from)
	if err := unix.Connect(fd, to.sockaddr(port)); err != nil && err != unix.EINPROGRESS {
		h.t.Fatal(err)
	}
	return fd
}

func (h *host) accept(listener int) (fd int) {
	h.t.Helper()
	h.eventually("a connection to accept", func() bool {
		var err error
		fd, _, err = unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		return err == nil
	})
	return fd
}

// sender sends frames as they are. None is addressed to the other host: it shows
// them to those who capture, and drops them.
type sender struct {
	fd int
	to unix.SockaddrLinklayer
}

func (h *host) sender() (s *sender) {
	h.t.Helper()
	h.in(func() {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			h.t.Fatal(err)
		}
		h.t.Cleanup(func() { unix.Close(fd) })
		ifr, err := unix.NewIfreq(h.name)
		if err = errors.Join(err, unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr)); err != nil {
			h.t.Fatal(err)
		}
		s = &sender{fd, unix.SockaddrLinklayer{Ifindex: int(ifr.Uint32())}}
	})
	return s
}

// send sends one, and again while the queue is full.
func (s *sender) send(frame []byte) error {
	for {
		switch err := unix.Sendto(s.fd, frame, 0, &s.to); err {
		case unix.ENOBUFS, unix.EAGAIN, unix.EINTR:
			time.Sleep(time.Millisecond)
		default:
			return err
		}
	}
}

// frame is a TCP segment over IPv4 and Ethernet without options and payload.
func frame(src, dst netip.AddrPort, seq, ack uint32, flags byte) []byte {
	b := make([]byte, 54, 60)
	copy(b, "\x02\x00\x00\x00\x00\x99\x02\x00\x00\x00\x00\x98\x08\x00\x45\x00\x00\x28")
	b[22], b[23] = 64, unix.IPPROTO_TCP
	from, to := src.Addr().As4(), dst.Addr().As4()
	copy(b[26:], from[:])
	copy(b[30:], to[:])
	binary.BigEndian.PutUint16(b[34:], src.Port())
	binary.BigEndian.PutUint16(b[36:], dst.Port())
	binary.BigEndian.PutUint32(b[38:], seq)
	binary.BigEndian.PutUint32(b[42:], ack)
	b[46], b[47], b[48] = 0x50, flags, 0xff
	return b
}
