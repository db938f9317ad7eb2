// Package tmuxtest gives tests a real terminal, which tmux(1) draws.
package tmuxtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Terminal is one with a shell in it, for as long as its test runs.
type Terminal struct {
	t      testing.TB
	socket string
}

// New opens a terminal of so many columns and lines. Without tmux the test is
// skipped.
func New(t testing.TB, columns, lines int) *Terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("SKIPPED: no tmux on this machine: nothing is looked at in a real terminal")
	}
	term := &Terminal{t, filepath.Join(t.TempDir(), "tmux")}
	term.tmux("new-session", "-d", "-x", strconv.Itoa(columns), "-y", strconv.Itoa(lines), "sh")
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", term.socket, "kill-server").Run() })
	term.tmux("set", "-g", "status", "off")
	term.Resize(columns, lines)
	return term
}

func (term *Terminal) tmux(args ...string) string {
	term.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-u", "-S", term.socket, "-f", "/dev/null"}, args...)...).CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

// Resize makes it so many columns and lines.
func (term *Terminal) Resize(columns, lines int) {
	term.t.Helper()
	term.tmux("resize-window", "-x", strconv.Itoa(columns), "-y", strconv.Itoa(lines))
}

// Type sends texts, and keys by their tmux names.
func (term *Terminal) Type(keys ...string) {
	term.t.Helper()
	term.tmux(append([]string{"send-keys"}, keys...)...)
}

// Text is what is on the screen.
func (term *Terminal) Text() string {
	term.t.Helper()
	return term.tmux("capture-pane", "-p")
}

// Colored is Text with its colours, as escape sequences.
func (term *Terminal) Colored() string {
	term.t.Helper()
	return term.tmux("capture-pane", "-p", "-e")
}

// Restored checks that a full-screen program has left the screen as it was.
func (term *Terminal) Restored(step string) {
	term.t.Helper()
	if mode := term.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}"); mode != "0 1\n" {
		term.t.Errorf("%s: alternate screen, cursor: %q, want 0 1", step, mode)
	}
}

// Terminate sends SIGTERM to the process whose number is in the file.
func Terminate(t testing.TB, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}
