package top

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/internal/tmuxtest"
)

// asProgram makes the test binary the program that a terminal shows.
const asProgram = "TCPFLOW_STATES_TEST_TOP"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := Run(ctx, &minuteLong{}, Options{Every: time.Millisecond, Color: os.Getenv("NO_COLOR") == ""})
	fmt.Println("left:", err)
}

// minuteLong gives the fixture's minute, and then nothing until it is asked for a
// flow or the view is left.
type minuteLong struct{ n int }

func (s *minuteLong) Snapshot(ctx context.Context, w Want) (Snapshot, error) {
	if s.n < minute {
		s.n++
		return second(s.n - 1), nil
	}
	<-ctx.Done()
	return Snapshot{}, ctx.Err()
}

// TestTerminal looks at a real terminal, of both sizes: keys arrive, a resize is
// followed, the screen is left as it was.
func TestTerminal(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	term := tmuxtest.New(t, 80, 24)
	sees := func(name string) {
		t.Helper()
		want, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		awaits(t, name, string(want), func() string {
			seen := trimmed(strings.TrimSuffix(term.Text(), "\n"))
			return strings.ReplaceAll(seen, "one every 1ms", "one every 1s") // the test is in a hurry
		})
	}
	term.Type("clear; "+asProgram+"=1 "+self, "Enter")
	sees("overview.80x24.txt")
	term.Type("Down", "j")
	sees("chosen.80x24.txt")
	term.Type("k", "Up", "?")
	sees("help.80x24.txt")
	term.Resize(160, 48)
	term.Type("Escape")
	sees("overview.160x48.txt")
	if colored := term.Colored(); !strings.Contains(colored, "\x1b[31m") {
		t.Errorf("nothing is red:\n%q", colored)
	}
	left := func(how string) {
		t.Helper()
		awaits(t, "the shell's screen", "left: <nil>", func() string {
			for l := range strings.Lines(term.Text()) {
				if strings.HasPrefix(l, "left:") {
					return strings.TrimSpace(l)
				}
			}
			return ""
		})
		term.Restored(how)
	}
	term.Type("q")
	left("by q")

	pid := filepath.Join(t.TempDir(), "pid")
	term.Type("clear; sh -c 'echo $$ >"+pid+"; "+asProgram+"=1 exec "+self+"'", "Enter")
	sees("overview.160x48.txt")
	tmuxtest.Terminate(t, pid)
	left("by SIGTERM")
}

// awaits waits until the terminal has what is wanted, for ten seconds at most.
func awaits(t *testing.T, name, want string, get func() string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got = get(); got == want {
			return
		}
	}
	t.Fatalf("%s: the terminal has\n%s\nwant\n%s", name, got, want)
}

// waiting is a Source that never has anything, and says when it is asked and let go.
type waiting struct{ asked, released chan struct{} }

func newWaiting() waiting { return waiting{make(chan struct{}), make(chan struct{})} }

func (w waiting) Snapshot(ctx context.Context, _ Want) (Snapshot, error) {
	close(w.asked)
	<-ctx.Done()
	close(w.released)
	return Snapshot{}, ctx.Err()
}

// broken is a Source that ends with an error.
type broken struct{ err error }

func (b broken) Snapshot(context.Context, Want) (Snapshot, error) { return Snapshot{}, b.err }

func TestRun(t *testing.T) {
	t.Run("q leaves, and lets go of a Source that waits", func(t *testing.T) {
		source := newWaiting()
		keys, hand := io.Pipe()
		defer hand.Close()
		go func() {
			<-source.asked
			_, _ = hand.Write([]byte("q"))
		}()
		if err := runs(t, t.Context(), source, keys); err != nil {
			t.Errorf("err %v, want none", err)
		}
		within(t, "the Source", source.released)
	})
	t.Run("the context ends it", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if err := runs(t, ctx, newWaiting(), hush(t)); err != nil {
			t.Errorf("err %v, want none", err)
		}
	})
	t.Run("the capture has ended", func(t *testing.T) {
		if err := runs(t, t.Context(), broken{io.EOF}, hush(t)); err != nil {
			t.Errorf("err %v, want none", err)
		}
	})
	t.Run("the capture has failed", func(t *testing.T) {
		gone := errors.New("eth0: interface is gone")
		if err := runs(t, t.Context(), broken{gone}, hush(t)); !errors.Is(err, gone) {
			t.Errorf("err %v, want %v", err, gone)
		}
	})
	t.Run("no terminal", func(t *testing.T) {
		err := Run(t.Context(), broken{io.EOF}, Options{Output: &bytes.Buffer{}})
		if err == nil || !strings.Contains(err.Error(), "needs a terminal") {
			t.Errorf("err %v, want one that says what is missing", err)
		}
	})
}

// hush is a keyboard on which nobody types.
func hush(t *testing.T) io.Reader {
	r, w := io.Pipe()
	t.Cleanup(func() { _ = w.Close() })
	return r
}

// runs is Run on a screen that nobody sees, for ten seconds at most.
func runs(t *testing.T, ctx context.Context, source Source, keys io.Reader) (err error) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = Run(ctx, source, Options{Input: keys, Output: io.Discard, Width: 80, Height: 24})
	}()
	within(t, "Run", done)
	return err
}

func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s does not return", what)
	}
}
