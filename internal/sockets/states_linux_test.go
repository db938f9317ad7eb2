package sockets

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/netns"
)

var record = flag.Bool("record", false, "write testdata/states.hex from this kernel's answers")

// check returns a value, and fails the test where there is an error instead.
func check[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// tcp makes a socket that is closed when the test ends.
func tcp(t testing.TB, family int) int {
	t.Helper()
	fd := check(unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0))(t)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func sockaddr(family int, a netip.AddrPort) unix.Sockaddr {
	if family == unix.AF_INET {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// server makes a listener.
func server(t testing.TB, family int, at netip.AddrPort) int {
	t.Helper()
	fd := tcp(t, family)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := errors.Join(unix.Bind(fd, sockaddr(family, at)), unix.Listen(fd, 16)); err != nil {
		t.Fatal(err)
	}
	return fd
}

// client connects, from a port that is known.
func client(t testing.TB, family int, from, to netip.AddrPort) int {
	t.Helper()
	fd := tcp(t, family)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := unix.Bind(fd, sockaddr(family, from)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, sockaddr(family, to)); err != nil && err != unix.EINPROGRESS {
		t.Fatal(err)
	}
	return fd
}

func accept(t testing.TB, listener int) (fd int) {
	t.Helper()
	eventually(t, "a connection to accept", func() bool {
		var err error
		fd, _, err = unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		return err == nil
	})
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// eventually waits for what the kernel does on its own.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			out, _ := exec.Command("ss", "-tane").Output()
			t.Fatalf("%s: not within 10 s\n%s", what, out)
		}
	}
}

func inodeOfFD(t testing.TB, fd int) uint32 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	return uint32(st.Ino)
}

// nft runs a script in the namespace of the test's thread.
func nft(t testing.TB, script string) {
	t.Helper()
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: states that need lost packets need nft and nf_tables: %v: %s", err, out)
	}
}

// expected is a socket that a test has made.
type expected struct {
	local, remote string
	state         analyzer.State
	kind          Kind
	fd            int    // -1: no descriptor is open
	owner         string // Owner.String with ME for this process; empty: none is known
}

// dropping is a firewall in which a port of the set "dead" is cut off, one of
// "mute" loses what is an ACK and nothing else, and one of "half" its SYN+ACK.
const dropping = `
add table inet t
add set inet t dead { type inet_service; }
add set inet t mute { type inet_service; }
add set inet t half { type inet_service; }
add chain inet t out { type filter hook output priority 0; }
add rule inet t out tcp dport @dead drop
add rule inet t out tcp sport @dead drop
add rule inet t out tcp dport @mute tcp flags == ack drop
add rule inet t out tcp sport @mute tcp flags == ack drop
add rule inet t out tcp sport @half tcp flags == syn|ack drop
`

// world opens sockets in every state that a program can reach.
func world(t *testing.T, c *Cache) (want []expected) {
	nft(t, dropping)
	const inet, any = unix.AF_INET, unix.AF_INET6
	add := func(local, remote string, st analyzer.State, k Kind, fd int, owner string) {
		want = append(want, expected{local, remote, st, k, fd, owner})
	}
	l := server(t, inet, ap("127.0.0.1:7000"))
	add("127.0.0.1:7000", "0.0.0.0:0", analyzer.Listen, KindFull, l, "ME, the listener)")
	pair := func(port string) (a, b int, from string) {
		from = "127.0.0.1:" + port
		a = client(t, inet, ap(from), ap("127.0.0.1:7000"))
		return a, accept(t, l), from
	}
	to := "127.0.0.1:7000"

	a, b, from := pair("6001")
	add(from, to, analyzer.Established, KindFull, a, "ME)")
	add(to, from, analyzer.Established, KindFull, b, "ME)")

	a, b, from = pair("6002")
	unix.Shutdown(a, unix.SHUT_WR)
	add(from, to, analyzer.FinWait2, KindFull, a, "ME)")
	add(to, from, analyzer.CloseWait, KindFull, b, "ME)")

	a, b, from = pair("6003")
	c.Look() // whose they are is known before they close
	unix.Close(a)
	add(from, to, analyzer.FinWait2, KindTimeWait, -1, "ME, until it closed)")
	add(to, from, analyzer.CloseWait, KindFull, b, "ME)")

	a, b, from = pair("6004")
	unix.Shutdown(a, unix.SHUT_WR)
	unix.Shutdown(b, unix.SHUT_WR)
	add(from, to, analyzer.TimeWait, KindTimeWait, -1, "")

	a, b, from = pair("6005")
	nft(t, "add element inet t dead { 6005 }")
	unix.Shutdown(a, unix.SHUT_WR)
	add(from, to, analyzer.FinWait1, KindFull, a, "ME)")
	add(to, from, analyzer.Established, KindFull, b, "ME)")

	a, b, from = pair("6006")
	unix.Shutdown(a, unix.SHUT_WR)
	eventually(t, "the ACK of a FIN", func() bool { return stateOfFD(t, a) == analyzer.FinWait2 })
	nft(t, "add element inet t dead { 6006 }")
	unix.Shutdown(b, unix.SHUT_WR)
	add(from, to, analyzer.FinWait2, KindFull, a, "ME)")
	add(to, from, analyzer.LastAck, KindFull, b, "ME)")

	a, b, from = pair("6007")
	nft(t, "add element inet t dead { 6007 }\nadd element inet t mute { 6007 }")
	unix.Shutdown(a, unix.SHUT_WR)
	unix.Shutdown(b, unix.SHUT_WR)
	nft(t, "delete element inet t dead { 6007 }")
	closing := b // or a, as whose FIN is sent again first; or both
	eventually(t, "CLOSING", func() bool { return stateOfFD(t, a) == analyzer.Closing || stateOfFD(t, b) == analyzer.Closing })
	nft(t, "add element inet t dead { 6007 }")
	if stateOfFD(t, a) == analyzer.Closing {
		closing, from, to = a, to, from
	}
	add(to, from, analyzer.Closing, KindFull, closing, "ME)")
	to = "127.0.0.1:7000"

	nft(t, "add element inet t dead { 7009 }")
	a = client(t, inet, ap("127.0.0.1:6009"), ap("127.0.0.1:7009"))
	add("127.0.0.1:6009", "127.0.0.1:7009", analyzer.SynSent, KindFull, a, "ME)")

	nft(t, "add element inet t half { 7010 }")
	half := server(t, any, ap("[::]:7010"))
	add("[::]:7010", "[::]:0", analyzer.Listen, KindFull, half, "")
	a = client(t, inet, ap("127.0.0.1:6010"), ap("127.0.0.1:7010"))
	add("127.0.0.1:6010", "127.0.0.1:7010", analyzer.SynSent, KindFull, a, "ME)")
	add("127.0.0.1:7010", "127.0.0.1:6010", analyzer.SynReceived, KindRequest, -1, "ME, the listener)")

	six := server(t, any, ap("[::1]:7011"))
	add("[::1]:7011", "[::]:0", analyzer.Listen, KindFull, six, "ME, the listener)")
	a = client(t, any, ap("[::1]:6011"), ap("[::1]:7011"))
	add("[::1]:6011", "[::1]:7011", analyzer.Established, KindFull, a, "ME)")
	add("[::1]:7011", "[::1]:6011", analyzer.Established, KindFull, -1, "ME, the listener)") // not accepted

	a = client(t, any, ap("[::ffff:127.0.0.1]:6012"), ap("[::ffff:127.0.0.1]:7000"))
	b = accept(t, l)
	add("127.0.0.1:6012", to, analyzer.Established, KindFull, a, "ME)") // an IPv6 socket with mapped addresses
	add(to, "127.0.0.1:6012", analyzer.Established, KindFull, b, "ME)")
	return want
}

// stateOfFD asks a socket itself, by TCP_INFO.
func stateOfFD(t testing.TB, fd int) analyzer.State {
	t.Helper()
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		t.Fatal(err)
	}
	return stateOf(info.State)
}

// Sockets of every state are found, as what they are and as this process's.
func TestStates(t *testing.T) {
	netns.Enter(t)
	c := check(NewCache(Options{OnlyOwn: true, Info: true}))(t)
	want := world(t, c)
	var d *Dump
	eventually(t, "every state", func() bool {
		d = check(c.Look())(t)
		return !slices.ContainsFunc(want, func(w expected) bool { s := w.in(d); return s == nil || s.State != w.state || s.Kind != w.kind })
	})
	c.scanDue = time.Time{}
	d = check(c.Look())(t)
	me := fmt.Sprintf("sockets.test (pid %d", os.Getpid())
	for _, w := range want {
		w.judge(t, c, d, me)
	}
	if len(d.Sockets) != len(want)+1 { // one of 6007 is not in want
		t.Errorf("%d sockets, %d made", len(d.Sockets), len(want)+1)
	}
	againstSS(t, d)
	if *record {
		recordStates(t)
	}
}

// in returns the socket of a dump; nil: it is not there.
func (w expected) in(d *Dump) *Socket {
	if w.state != analyzer.Listen {
		s, _ := d.Find(ap(w.local), ap(w.remote))
		return s
	}
	for i := range d.Sockets {
		if s := &d.Sockets[i]; s.State == analyzer.Listen && s.Local == ap(w.local) {
			return s
		}
	}
	return nil
}

func (w expected) judge(t *testing.T, c *Cache, d *Dump, me string) {
	t.Helper()
	s := w.in(d)
	name := w.local + " > " + w.remote
	if s == nil {
		t.Errorf("%s: %s is gone", name, w.state)
		return
	}
	if s.State != w.state || s.Kind != w.kind || s.Remote != ap(w.remote) {
		t.Errorf("%s: %s %s, want %s %s", name, s.State, s.Kind, w.state, w.kind)
	}
	if w.fd < 0 && s.Inode != 0 || w.fd >= 0 && s.Inode != inodeOfFD(t, w.fd) {
		t.Errorf("%s: %s: inode %d of descriptor %d", name, w.state, s.Inode, w.fd)
	}
	got := ""
	if o, ok := c.Owner(ap(w.local), ap(w.remote)); ok {
		got = o.String()
	}
	want := strings.Replace(w.owner, "ME", me, 1)
	if unit := containerOf(pathIn(string(check(os.ReadFile("/proc/self/cgroup"))(t)))); want != "" && unit.Unit != "" {
		want = strings.Replace(want, me, me+", "+unit.Unit, 1)
	}
	if got != want {
		t.Errorf("%s %s: owner %q, want %q", name, w.state, got, want)
	}
	alone, ok, err := Lookup(ap(w.local), ap(w.remote))
	if err != nil || !ok || alone.State != w.state || alone.Cookie != s.Cookie {
		t.Errorf("%s: looked up alone: %+v, %v, %v", name, alone, ok, err)
	}
}

// ssNames are the states as ss(8) writes them.
var ssNames = map[string]analyzer.State{
	"ESTAB": analyzer.Established, "SYN-SENT": analyzer.SynSent, "SYN-RECV": analyzer.SynReceived,
	"FIN-WAIT-1": analyzer.FinWait1, "FIN-WAIT-2": analyzer.FinWait2, "TIME-WAIT": analyzer.TimeWait,
	"CLOSE-WAIT": analyzer.CloseWait, "LAST-ACK": analyzer.LastAck, "LISTEN": analyzer.Listen, "CLOSING": analyzer.Closing,
}

// againstSS holds a dump against what ss lists: the same sockets, states,
// queues and holders.
func againstSS(t *testing.T, d *Dump) {
	out, err := exec.Command("ss", "-tanpeOH").Output()
	if err != nil {
		t.Logf("SKIPPED: the comparison with ss: %v", err)
		return
	}
	var theirs, ours []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		inode := "0"
		for _, w := range f[5:] {
			if n, ok := strings.CutPrefix(w, "ino:"); ok {
				inode = n
			}
		}
		theirs = append(theirs, fmt.Sprint(ssNames[f[0]], " ", f[1], " ", f[2], " ", ssEnd(f[3]), " ", ssEnd(f[4]), " ", inode))
	}
	for i := range d.Sockets {
		s := &d.Sockets[i]
		ours = append(ours, fmt.Sprint(s.State, " ", s.RecvQueue, " ", s.SendQueue, " ", s.Local, " ", s.Remote, " ", s.Inode))
	}
	slices.Sort(theirs)
	slices.Sort(ours)
	if !slices.Equal(theirs, ours) {
		t.Errorf("ss lists\n%s\nwe have\n%s", strings.Join(theirs, "\n"), strings.Join(ours, "\n"))
	}
	if n := bytes.Count(out, fmt.Appendf(nil, "pid=%d,", os.Getpid())); n == 0 {
		t.Errorf("ss does not find this process:\n%s", out)
	}
}

// ssEnd reads an end as ss writes it, with * for a port or address of none.
func ssEnd(s string) netip.AddrPort {
	s = strings.Replace(s, "*:*", "[::]:0", 1)
	s = strings.Replace(strings.Replace(s, "*:", "[::]:", 1), ":*", ":0", 1)
	a := netip.MustParseAddrPort(s)
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// recordStates writes the kernel's answers for TestRecorded.
func recordStates(t *testing.T) {
	c := check(dial(make([]byte, answerSize)))(t)
	defer c.close()
	var b strings.Builder
	fmt.Fprintf(&b, "# sock_diag's answers in the namespace of TestStates, request 1 (IPv4) and 2 (IPv6); go test -record wrote it\n")
	for seq, family := range []uint8{familyIPv4, familyIPv6} {
		req := request(family, true, uint32(seq+1), nil)
		if err := unix.Sendto(c.fd, req[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			t.Fatal(err)
		}
		for done := false; !done; {
			n, _, err := unix.Recvfrom(c.fd, c.buf, 0)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&b, hex.EncodeToString(c.buf[:n]))
			if _, done, err = appendSockets(nil, c.buf[:n], uint32(seq+1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile("testdata/states.hex", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
