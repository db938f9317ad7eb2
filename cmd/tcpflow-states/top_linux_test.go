package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/internal/tmuxtest"
)

// screen is a terminal of 100 columns and 30 lines.
type screen struct {
	*tmuxtest.Terminal
	t *testing.T
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: not root: nothing can be captured, --top is not looked at")
	}
	return &screen{tmuxtest.New(t, 100, 30), t}
}

// sees waits until all texts are on the screen, for twenty seconds at most.
func (s *screen) sees(step string, texts ...string) (all string) {
	s.t.Helper()
	missing := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		all, missing = s.Text(), ""
		for _, text := range texts {
			if !strings.Contains(all, text) {
				missing = text
			}
		}
		if missing == "" {
			return all
		}
	}
	s.t.Fatalf("%s: no %q on the screen:\n%s", step, missing, all)
	return ""
}

// isLeft checks that the terminal is as it was, and echoes.
func (s *screen) isLeft(step string) {
	s.t.Helper()
	s.Restored(step)
	s.Type("clear; stty -a | tr ';' '\\n' | grep -c -w -e '-echo' -e '-icanon'; echo done", "Enter")
	if all := s.sees(step, "\ndone\n"); !strings.HasPrefix(strings.TrimSpace(all), "0") {
		s.t.Errorf("%s: the terminal does not echo:\n%s", step, all)
	}
}

// leakOnLoopback is a connection that its client has closed and its server never
// will; it returns the server's port.
func leakOnLoopback(t *testing.T, closing <-chan struct{}) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		<-closing
		c, err := net.Dial("tcp4", l.Addr().String())
		if err == nil {
			_ = c.Close()
		}
	}()
	go func() {
		if c, err := l.Accept(); err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// The whole of --top on a real terminal, with a real connection: its listener and
// who owes what are seen, its ladder, and when the user has left, what analyze says.
func TestTopLive(t *testing.T) {
	s := newScreen(t)
	command, err := exec.LookPath("tcpflow-states")
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{})
	port := leakOnLoopback(t, begun)
	server := "127.0.0.1:" + strconv.Itoa(port)
	pid := filepath.Join(t.TempDir(), "pid")
	start := func(flags string) {
		s.Type(fmt.Sprintf("clear; sh -c 'echo $$ >%s; exec %s live -i lo -f \"tcp port %d\" --top --stuck-after 1s %s'; echo exit $?", pid, command, port, flags), "Enter")
	}
	start("-v")
	s.sees("begun", "no side is stuck", "LISTENERS")
	close(begun)
	s.sees("stuck", "STUCK FLOWS 1 ", server, "CLOSE_WAIT", "server FIN", "stuck-close-wait")
	s.Type("Enter")
	s.sees("ladder", "flow 0", "owes: server FIN", "segments that are not drawn", "now")
	s.Type("Escape") // with q at once it would be alt+q
	s.sees("back", "STUCK FLOWS 1 ")
	s.Type("q")
	s.sees("left by q", "Findings: 1 error", "half-closed", "exit 0")
	s.isLeft("left by q")

	start("--duration 2s")
	s.sees("again", "tcpflow-states live  lo")
	s.sees("left by itself", "no TCP flow", "exit 0")
	s.isLeft("left by itself")

	start("")
	s.sees("and again", "no side is stuck")
	tmuxtest.Terminate(t, pid)
	s.sees("left by SIGTERM", "no TCP flow", "exit 0")
	s.isLeft("left by SIGTERM")
}
