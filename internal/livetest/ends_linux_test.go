package livetest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// connection opens one from a to b and closes it on both sides.
func connection(a, b *host, listener int, port uint16) {
	a.t.Helper()
	fd := a.dial(port, b, servicePort)
	unix.Close(b.accept(listener))
	unix.Close(fd)
}

// summarised fails where there is no end summary with so many connections.
func summarised(t testing.TB, p *program, connections int) {
	t.Helper()
	if n, _ := number(p.out.String(), `(?m)^([0-9,]+) flows?`); n != uint64(connections) || !p.out.has("frames in ") {
		t.Errorf("the summary is to be of %d connections:\n%s", connections, &p.out)
	}
}

// An interface that is removed ends the capture with an error that says so. What
// came before is told.
func TestInterfaceRemoved(t *testing.T) {
	a, b := hosts(t)
	live := b.live()
	connection(a, b, b.listen(servicePort), 30000)
	a.ip("link del " + a.name)
	if code := live.wait(); code != 2 {
		t.Errorf("ended with %d, want 2", code)
	}
	lines, _ := live.err.lines(0)
	if last := lines[len(lines)-1]; !strings.Contains(last, "vb: interface was removed") {
		t.Errorf("it says\n%s", &live.err)
	} else {
		t.Log(last)
	}
	summarised(t, live, 1)
}

// One that goes down and up again is waited for.
func TestInterfaceDown(t *testing.T) {
	a, b := hosts(t)
	live := b.live("--events")
	listener := b.listen(servicePort)
	connection(a, b, listener, 30000)
	b.ip("link set vb down")
	b.eventually("it says that vb is down", func() bool { return live.err.has("vb is down") })
	b.ip("link set vb up")
	b.eventually("it says that vb is up", func() bool { return live.err.has("vb is up again") })
	connection(a, b, listener, 30001)
	b.eventually("what comes after", func() bool {
		return live.out.has("10.77.0.1:30001 > 10.77.0.2:7000  client CLOSED -> SYN_SENT")
	})
	if code := live.stop(); code != 0 {
		t.Errorf("ended with %d\n%s", code, &live.err)
	}
	summarised(t, live, 2)
}

// One that is not there is an error at once, which says what would help.
func TestNoInterface(t *testing.T) {
	_, b := hosts(t)
	p := b.program(command, "live", "-i", "nosuch0")
	if code := p.wait(); code != 2 || !p.err.has("nosuch0: no such interface") || !p.err.has("tcpflow-states interfaces") || p.out.String() != "" {
		t.Errorf("ended with %d\n%s\n%s", code, &p.err, &p.out)
	}
}

// Who ends it gets the summary, also where no packet comes.
func TestSignals(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		a, b := hosts(t)
		live := b.live()
		connection(a, b, b.listen(servicePort), 30000)
		time.Sleep(300 * time.Millisecond) // the link is idle
		live.signal(s)
		if code := live.wait(); code != 0 {
			t.Errorf("%v: ended with %d\n%s", s, code, &live.err)
		}
		summarised(t, live, 1)
	}
}

// A reader that has seen enough ends it, without a word of that.
func TestReaderGone(t *testing.T) {
	for _, format := range []string{"table", "ndjson"} {
		t.Run(format, func(t *testing.T) {
			a, b := hosts(t)
			listener := b.listen(servicePort)
			cmd := exec.Command(command, "live", "-i", "vb", "--events", "-o", format, "--duration", safety)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			said := written{}
			errs, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			b.in(func() {
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
			})
			ended := make(chan error, 1)
			go func() { said.read(errs); ended <- cmd.Wait() }()
			first := make(chan bool)
			go func() { bufio.NewReader(out).ReadString('\n'); out.Close(); close(first) }()
			for port := uint16(30000); ; port++ {
				if port == 31000 {
					cmd.Process.Kill()
					t.Fatalf("it has not ended: %v", <-ended)
				}
				connection(a, b, listener, port)
				select {
				case err := <-ended:
					<-first
					t.Logf("ended with %v", err)
					if said.String() != "" {
						t.Errorf("it says: %s", &said)
					}
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
}

// A disk that is full ends the evidence and nothing else.
func TestDiskFull(t *testing.T) {
	a, b := hosts(t)
	help, err := exec.Command(command, "live", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^ +--write DIR`).Match(help) {
		t.Fatal("live has no --write DIR")
	}
	dir := t.TempDir()
	// The mount is in a namespace of the command's own, and goes with it.
	p := b.program("unshare", "-m", "sh", "-c", `mount -t tmpfs -o size=1m none "$0" && exec "$@"`, dir,
		command, "live", "-i", "vb", "-v", "--duration", safety, "--write", dir)
	b.eventually("live begins", func() bool { return p.err.has("it runs as") || p.ended() })
	inside := fmt.Sprintf("/proc/%d/root%s", p.cmd.Process.Pid, dir)
	full := func() bool {
		var st unix.Statfs_t
		if err := unix.Statfs(inside, &st); err != nil || st.Type != unix.TMPFS_MAGIC {
			t.Fatalf("no tmpfs: %v\n%s", err, &p.err)
		}
		return st.Bavail == 0
	}
	// Each is refused, which is a finding, and has a file of a page or more.
	refused := 0
	for ; refused < 2000 && !p.err.has("no space left"); refused++ {
		unix.Close(a.dial(uint16(30000+refused), b, servicePort))
		time.Sleep(2 * time.Millisecond)
	}
	b.eventually("it says that the disk is full", func() bool { return p.err.has("no space left") })
	files, _ := os.ReadDir(inside)
	t.Logf("%d connections refused, %d files, full: %v", refused, len(files), full())
	listener := b.listen(servicePort)
	connection(a, b, listener, 50000)
	if p.ended() {
		t.Fatalf("it ended with %d\n%s", p.wait(), &p.err)
	}
	code := p.stop()
	t.Logf("ended with %d: %s", code, &p.err)
	if code != 0 && code != 2 {
		t.Errorf("ended with %d", code)
	}
	if lines, _ := p.err.lines(0); len(lines) > 50 {
		t.Errorf("%d lines about it", len(lines))
	}
	summarised(t, p, refused+1)
}

// Evidence is of whole files only: what the disk had no room for is not left as a
// part. Checked where files can be read after the end.
func TestEvidence(t *testing.T) {
	a, b := hosts(t)
	dir := filepath.Join(t.TempDir(), "evidence")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	live := b.live("--write", dir)
	unix.Close(a.dial(30000, b, servicePort))
	b.eventually("the finding", func() bool { return live.out.has("connection-refused") })
	if code := live.stop(); code != 0 {
		t.Errorf("ended with %d\n%s", code, &live.err)
	}
	files, err := filepath.Glob(dir + "/*.pcapng")
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, want 1: %v", len(files), err)
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	check := exec.Command(command, "analyze", "-")
	check.Stdin = f
	out, err := check.Output()
	if err != nil || !strings.Contains(string(out), "connection-refused") {
		t.Errorf("%s: %v\n%s", files[0], err, out)
	}
	io.Copy(io.Discard, f)
}
