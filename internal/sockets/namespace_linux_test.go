package sockets

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/netns"
)

// childEnv makes this test's binary a child that holds a connection in another
// network namespace.
const childEnv = "SOCKETS_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

// child connects to itself over loopback, says its ends and waits for its
// parent to close the pipe.
func child() {
	t := &testing.B{} // for the helpers; a failure panics, and the parent sees no ends
	if err := netns.RaiseLoopback(); err != nil {
		t.Fatal(err)
	}
	l := check(net.Listen("tcp", "127.0.0.1:0"))(t)
	c := check(net.Dial("tcp", l.Addr().String()))(t)
	s := check(l.Accept())(t)
	fmt.Println(c.LocalAddr(), s.LocalAddr())
	bufio.NewReader(os.Stdin).ReadByte()
	c.Close()
	s.Close()
}

// elsewhere starts a child in a network namespace of its own.
func elsewhere(t testing.TB) (pid int, local, remote netip.AddrPort) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	in := check(cmd.StdinPipe())(t)
	out := check(cmd.StdoutPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Skipf("SKIPPED: making a network namespace needs root (CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	line, _ := bufio.NewReader(out).ReadString('\n')
	f := strings.Fields(line)
	if len(f) != 2 {
		t.Fatalf("the child says %q", line)
	}
	return cmd.Process.Pid, ap(f[0]), ap(f[1])
}

// A socket in a container's network namespace is found, and whose it is; the
// namespace goes when its last process does.
func TestOtherNamespace(t *testing.T) {
	pid, local, remote := elsewhere(t)
	c := check(NewCache(Options{}))(t)
	o, ok := c.Owner(local, remote)
	if !ok || o.Process == nil || o.Process.PID != pid {
		t.Fatalf("%v, %v; %v", o, ok, c.Blind())
	}
	d := check(c.Look())(t)
	s, _ := d.Find(local, remote)
	if s == nil || s.Namespace == d.Namespaces[0].ID || s.Namespace != o.Process.Namespace {
		t.Errorf("%+v in %+v, own %d", s, o.Process.Namespace, d.Namespaces[0].ID)
	}
	if o, ok := check(NewCache(Options{OnlyOwn: true}))(t).Owner(local, remote); ok {
		t.Errorf("the own namespace alone has it: %v", o)
	}
	if id := netnsOf(t, "/proc/thread-self/ns/net"); id != d.Namespaces[0].ID {
		t.Errorf("the thread stayed in namespace %d", id)
	}
}

func netnsOf(t *testing.T, path string) uint64 {
	t.Helper()
	return inodeOf(check(os.Stat(path))(t))
}

// Without any right, this process's own sockets are found, in the namespace
// that it is in.
func TestOwnNamespace(t *testing.T) {
	l := check(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer l.Close()
	c := check(net.Dial("tcp", l.Addr().String()))(t)
	defer c.Close()
	s := check(l.Accept())(t)
	defer s.Close()
	c.(*net.TCPConn).CloseWrite()
	near, far := ap(c.LocalAddr().String()), ap(c.RemoteAddr().String())
	cache := check(NewCache(Options{}))(t)
	for _, x := range []struct {
		local, remote netip.AddrPort
		state         analyzer.State
	}{{near, far, analyzer.FinWait2}, {far, near, analyzer.CloseWait}} {
		eventually(t, x.state.String(), func() bool {
			s, ok, err := Lookup(x.local, x.remote)
			return err == nil && ok && s.State == x.state
		})
		check(cache.Look())(t)
		if o, ok := cache.Owner(x.local, x.remote); !ok || o.Process == nil || o.Process.PID != os.Getpid() || o.State != x.state {
			t.Errorf("%s: %v, %v", x.state, o, ok)
		}
	}
	if o, ok := cache.Owner(far, netip.AddrPort{}); !ok || o.Relation != Listens || o.Process.PID != os.Getpid() {
		t.Errorf("the listener: %v, %v", o, ok)
	}
	if _, ok, err := Lookup(near, ap("127.0.0.1:1")); ok || err != nil {
		t.Errorf("a socket that is not there: %v, %v", ok, err)
	}
	if _, ok, err := Lookup(far, ap("127.0.0.1:1")); ok || err != nil {
		t.Errorf("a listener is no connection: %v, %v", ok, err)
	}
}

// Without the right to enter a namespace, that is said, and the own one is
// looked at all the same.
func TestNamespaceDenied(t *testing.T) {
	pid, local, remote := elsewhere(t)
	h := check(newHost(Options{}))(t)
	var d *Dump
	var err error
	withoutCapabilities(func() {
		d, err = h.dump(Options{}, []Namespace{{ID: 1, path: fmt.Sprintf("/proc/%d/ns/net", pid)}})
	})
	if err != nil || d.Denied != 1 || len(d.Namespaces) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	if s, _ := d.Find(local, remote); s != nil {
		t.Errorf("found %+v", *s)
	}
	c := newCache(Options{}, h)
	c.dump = d
	if why := strings.Join(c.Blind(), "; "); why != "the sockets of 1 network namespace may not be seen: that needs CAP_SYS_ADMIN" {
		t.Error(why)
	}
}

// A namespace that has gone is passed over.
func TestNamespaceGone(t *testing.T) {
	h := check(newHost(Options{}))(t)
	d, err := h.dump(Options{}, []Namespace{{ID: 1, path: "/proc/4194305/ns/net"}})
	if err != nil || d.Denied != 0 || len(d.Namespaces) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}

// crowd makes 20,000 sockets in five listeners' connections, of which 15,000
// have a descriptor here and 5,000 wait to be accepted.
func crowd(b *testing.B) {
	for n := range 5 {
		l := server(b, unix.AF_INET, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(7000+n)))
		if err := unix.Listen(l, 4096); err != nil {
			b.Fatal(err)
		}
		to := check(unix.Getsockname(l))(b)
		for i := range 2000 {
			fd := tcp(b, unix.AF_INET)
			if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
				b.Fatal(err)
			}
			if i%2 == 0 {
				accept(b, l)
			}
		}
	}
}

func inCrowd(b *testing.B) *host {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); limit.Cur < 15100 {
		b.Skipf("SKIPPED: 15,100 descriptors are needed, and %d are allowed", limit.Cur)
	}
	netns.Enter(b)
	crowd(b)
	return check(newHost(Options{}))(b)
}

// BenchmarkDump is of 20,000 sockets.
func BenchmarkDump(b *testing.B) { benchmarkDump(b, false) }

// BenchmarkDumpInfo is the same with tcp_info.
func BenchmarkDumpInfo(b *testing.B) { benchmarkDump(b, true) }

func benchmarkDump(b *testing.B, info bool) {
	h := inCrowd(b)
	b.ReportAllocs()
	for b.Loop() {
		if d := check(h.dump(Options{Info: info}, nil))(b); len(d.Sockets) < 20000 {
			b.Fatalf("%d sockets", len(d.Sockets))
		}
	}
}

// BenchmarkScan reads who holds 15,000 sockets, and all other processes.
func BenchmarkScan(b *testing.B) {
	h := inCrowd(b)
	last := check(h.scan(&scan{}))(b)
	b.ReportAllocs()
	for b.Loop() {
		if last = check(h.scan(last))(b); len(last.holders) < 15000 {
			b.Fatalf("%d sockets", len(last.holders))
		}
	}
}

// BenchmarkOwner asks for each of 20,000 sockets in turn, looking each second.
func BenchmarkOwner(b *testing.B) {
	inCrowd(b)
	c := check(NewCache(Options{OnlyOwn: true}))(b)
	d := check(c.Look())(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s := &d.Sockets[i%len(d.Sockets)]
		if _, ok := c.Owner(s.Local, s.Remote); !ok {
			b.Fatalf("%+v", *s)
		}
		i++
	}
}

// BenchmarkEnterNamespace is what each network namespace adds to a dump.
func BenchmarkEnterNamespace(b *testing.B) {
	pid, _, _ := elsewhere(b)
	h := check(newHost(Options{}))(b)
	there := []Namespace{{ID: 1, path: fmt.Sprintf("/proc/%d/ns/net", pid)}}
	b.ReportAllocs()
	for b.Loop() {
		if d := check(h.dump(Options{}, there))(b); len(d.Namespaces) != 2 {
			b.Fatal(d.Denied)
		}
	}
}
