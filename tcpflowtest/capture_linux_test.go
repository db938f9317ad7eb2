package tcpflowtest

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/netns"
)

// service accepts connections on loopback and answers each; if it leaks it does
// not close them once their clients have.
type service struct {
	net.Listener
	leak chan net.Conn // nil: it closes
}

func serve(t *testing.T, leaks bool) *service {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{Listener: l}
	if leaks {
		s.leak = make(chan net.Conn, 100)
	}
	t.Cleanup(func() {
		l.Close()
		for len(s.leak) > 0 {
			(<-s.leak).Close()
		}
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.answer(c)
		}
	}()
	return s
}

func (s *service) answer(c net.Conn) {
	io.Copy(c, c)
	if s.leak != nil {
		s.leak <- c
		return
	}
	c.Close()
}

func (s *service) port() uint16 { return uint16(s.Addr().(*net.TCPAddr).Port) }

// ask opens n connections, talks on each, and closes it.
func (s *service) ask(t *testing.T, n int) {
	t.Helper()
	for range n {
		c, err := net.Dial("tcp4", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		b := []byte("hello")
		if _, err = c.Write(b); err == nil {
			_, err = io.ReadFull(c, b)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

// able skips the test, aloud, where nothing can be captured.
func able(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Skipf("SKIPPED: no packet socket: %v: run as root, or with CAP_NET_RAW", err)
	}
	unix.Close(fd)
}

// A service that closes passes on loopback; every connection is whole, the last
// one, too.
func TestCaptureOfClosing(t *testing.T) {
	able(t)
	s := serve(t, false)
	c := Capture(t, Options{Port: s.port()})
	s.ask(t, 20)
	flows := c.Stop()
	flows.Count(20).Established().EventuallyClosed().Clean().ClosedFirstBy(Client)
	flows.Server(s.Addr().String()).Count(20).Through(Server, analyzer.CloseWait, analyzer.LastAck).State(Client, analyzer.TimeWait)
	if again := c.Stop(); again != flows {
		t.Error("a second Stop has another result")
	}
}

// A service that leaks is found out, and the capture of the failed test is kept.
func TestCaptureOfLeak(t *testing.T) {
	able(t)
	s := serve(t, true)
	keep := filepath.Join(t.TempDir(), "failed.pcapng")
	r := told(t, func(tb testing.TB) {
		c := Capture(tb, Options{Port: s.port(), Keep: keep})
		s.ask(t, 3)
		c.Stop().Established().EventuallyClosed().Without("stuck-close-wait")
	})
	if r.fatal+r.skipped != "" || len(r.errors) != 2 {
		t.Fatalf("%q %q %q", r.fatal, r.skipped, r.errors)
	}
	for i, want := range []string{"EventuallyClosed does not hold for 3 of 3 flows of lo", "Without(stuck-close-wait) does not hold for 3 of 3"} {
		if !strings.Contains(r.errors[i], want) || !strings.Contains(r.errors[i], "server  ESTABLISHED  > CLOSE_WAIT") {
			t.Errorf("%s\nwant %q", r.errors[i], want)
		}
	}
	if len(r.logs) != 1 || !strings.Contains(r.logs[0], "tcpflow-states analyze "+keep) {
		t.Errorf("log: %q", r.logs)
	}
	Read(t, keep).Count(3).With("stuck-close-wait").Count(3)
}

// Of a test that passes no file is left; nor is the capture of one that forgot to
// stop it.
func TestCaptureCleansUp(t *testing.T) {
	able(t)
	keep := filepath.Join(t.TempDir(), "kept.pcapng")
	var c *Recorder
	r := told(t, func(tb testing.TB) { c = Capture(tb, Options{Port: 9, Keep: keep}) })
	if r.fatal+r.skipped != "" || r.Failed() {
		t.Fatal(r.fatal, r.skipped, r.errors)
	}
	if _, err := os.Stat(keep); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", keep, err)
	}
	select {
	case <-c.done:
	default:
		t.Error("the capture goes on")
	}
}

// A port without a listener refuses.
func TestCaptureOfRefusal(t *testing.T) {
	able(t)
	s := serve(t, false)
	s.Close()
	c := Capture(t, Options{Port: s.port()})
	if conn, err := net.Dial("tcp4", s.Addr().String()); err == nil {
		conn.Close()
		t.Skip("SKIPPED: somebody else took the port")
	}
	c.Stop().Count(1).Refused().With("connection-refused")
}

// A capture sees what goes on in its thread's network namespace, and nothing else.
func TestCaptureInNamespace(t *testing.T) {
	able(t)
	outside := serve(t, false)
	netns.Enter(t)
	inside := serve(t, false)
	c := Capture(t, Options{})
	inside.ask(t, 5)
	done := make(chan bool)
	go func() { // on a thread of the namespace that the test came from
		defer close(done)
		if conn, err := net.Dial("tcp4", outside.Addr().String()); err == nil {
			conn.Close()
		}
	}()
	<-done
	c.Stop().Count(5).Port(inside.port()).Count(5).Established().EventuallyClosed()
}

// Without the privilege a test is skipped and says why, unless it must run.
func TestCaptureWithoutPrivilege(t *testing.T) {
	unprivileged := func(o Options) *recordingTB {
		return told(t, func(tb testing.TB) {
			runtime.LockOSThread() // what is given up goes with the thread
			h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var none [2]unix.CapUserData
			if err := unix.Capset(&h, &none[0]); err != nil {
				t.Errorf("capset: %v", err)
			}
			Capture(tb, o)
		})
	}
	if r := unprivileged(Options{}); !strings.HasPrefix(r.skipped, "SKIPPED: tcpflowtest cannot capture: lo: no permission") || !strings.Contains(r.skipped, "cap_net_raw") || r.Failed() {
		t.Errorf("skipped %q, fatal %q", r.skipped, r.fatal)
	}
	if r := unprivileged(Options{Required: true}); r.skipped != "" || !strings.Contains(r.fatal, "no permission") {
		t.Errorf("required: skipped %q, fatal %q", r.skipped, r.fatal)
	}
}

// An interface that is not there is no reason to skip.
func TestCaptureOfNothing(t *testing.T) {
	able(t)
	r := told(t, func(tb testing.TB) { Capture(tb, Options{Interface: "no-such-if"}) })
	if r.skipped != "" || !strings.Contains(r.fatal, "no such interface") {
		t.Errorf("skipped %q, fatal %q", r.skipped, r.fatal)
	}
	r = told(t, func(tb testing.TB) { Capture(tb, Options{Filter: "port x"}) })
	if !strings.Contains(r.fatal, `filter "port x"`) {
		t.Errorf("fatal %q", r.fatal)
	}
}
