package livetest

import (
	"bufio"
	"fmt"
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

// forRings runs a test with one ring and with two.
func forRings(t *testing.T, test func(t *testing.T, args ...string)) {
	for _, n := range []string{"1", "2"} {
		t.Run(n, func(t *testing.T) { test(t, "--workers", n) })
	}
}

// An interface that is removed ends the capture with an error that says so. What
// came before is told.
func TestInterfaceRemoved(t *testing.T) { forRings(t, interfaceRemoved) }

func interfaceRemoved(t *testing.T, args ...string) {
	a, b := hosts(t)
	live := b.live(args...)
	connection(a, b, b.listen(servicePort), 30000)
	a.ip("link del " + a.name)
	if code := live.wait(); code != 2 {
		t.Errorf("ended with %d, want 2", code)
	}
	lines, _ := live.err.lines(0)
	if last := lines[len(lines)-1]; !strings.Contains(last, "vb: interface was removed") || strings.Count(live.err.String(), "was removed") > 1 {
		t.Errorf("it says, and is to say once\n%s", &live.err)
	} else {
		t.Log(last)
	}
	summarised(t, live, 1)
}

// One that goes down and up again is waited for.
func TestInterfaceDown(t *testing.T) { forRings(t, interfaceDown) }

func interfaceDown(t *testing.T, args ...string) {
	a, b := hosts(t)
	live := b.live(append(args, "--events")...)
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

// With --await one that is removed is waited for, until there is one of its name.
func TestInterfaceReturns(t *testing.T) {
	a, b := hosts(t)
	live := b.live("--events", "--await", "--metrics", metricsPort)
	up := func() float64 { return b.scrape()[`tcpflow_states_capture_interface_up{interface="vb"}`] }
	listener := b.listen(servicePort)
	connection(a, b, listener, 30000)
	a.ip("link del " + a.name)
	b.eventually("it says that vb was removed", func() bool { return live.err.has("vb was removed: waiting") })
	b.eventually("the metrics say that it is down", func() bool { return up() == 0 })
	link(a, b)
	b.eventually("it says that vb is back", func() bool { return live.err.has("vb is back") })
	connection(a, b, listener, 30001)
	b.eventually("what comes after", func() bool {
		return live.out.has("10.77.0.1:30001 > 10.77.0.2:7000  client CLOSED -> SYN_SENT")
	})
	b.eventually("the metrics say that it is up", func() bool { return up() == 1 })
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
func TestSignals(t *testing.T) { forRings(t, signals) }

func signals(t *testing.T, args ...string) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		a, b := hosts(t)
		live := b.live(args...)
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

// A disk that is full is said, a few times at most, and ends nothing: the
// capture goes on, and has its summary.
func TestDiskFull(t *testing.T) {
	needs(t, "unshare")
	help, err := exec.Command(command, "live", "--help").Output()
	for _, flag := range []string{"--write", "--write-all"} {
		if err != nil || !regexp.MustCompile(`(?m)^ +`+flag+` DIR`).Match(help) {
			t.Errorf("live has no %s DIR: %v", flag, err)
			continue
		}
		t.Run(flag, func(t *testing.T) { diskFull(t, flag) })
	}
}

func diskFull(t *testing.T, flag string) {
	a, b := hosts(t)
	dir := t.TempDir()
	// The mount is in a namespace of the command's own, and goes with it. Of its
	// MiB 100 KiB are left.
	p := b.program("unshare", "-m", "sh", "-c", `mount -t tmpfs -o size=1m none "$0" && head -c 924k /dev/zero >"$0"/other && exec "$@"`, dir,
		command, "live", "-i", "vb", "-v", "--duration", safety, flag, dir)
	b.eventually("live begins", func() bool { return p.err.has("it runs as") || p.ended() })
	inside := fmt.Sprintf("/proc/%d/root%s", p.cmd.Process.Pid, dir)
	var st unix.Statfs_t
	if err := unix.Statfs(inside, &st); err != nil || st.Type != unix.TMPFS_MAGIC {
		t.Fatalf("no tmpfs: %v\n%s", err, &p.err)
	}
	// Each is refused, which is a finding and has a file of a page or more.
	refused := 0
	for ; refused < 2000 && !p.err.has("no space left"); refused++ {
		unix.Close(a.dial(uint16(30000+refused), b, servicePort))
		time.Sleep(2 * time.Millisecond)
	}
	eventuallyOr(func() bool { return p.err.has("no space left") })
	if files, _ := os.ReadDir(inside); !p.err.has("no space left") {
		t.Fatalf("%d refused, %d files, and it does not say that the disk is full:\n%s", refused, len(files), &p.err)
	}
	connection(a, b, b.listen(servicePort), 50000)
	time.Sleep(300 * time.Millisecond)
	if p.ended() {
		t.Fatalf("it ended with %d\n%s", p.wait(), &p.err)
	}
	code := p.stop()
	t.Logf("%d connections refused; ended with %d:\n%s", refused, code, &p.err)
	if code != 0 && code != 2 {
		t.Errorf("ended with %d", code)
	}
	if lines, _ := p.err.lines(0); len(lines) > 20 {
		t.Errorf("%d lines on standard error", len(lines))
	}
	summarised(t, p, refused+1)
}

// The file of a finding has the flow from its first SYN on, and analyze finds the
// same in it.
func TestEvidence(t *testing.T) {
	a, b := hosts(t)
	dir := filepath.Join(t.TempDir(), "evidence")
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
	out, err := exec.Command(command, "analyze", files[0]).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "connection-refused") || !strings.Contains(string(out), "10.77.0.1:30000") {
		t.Errorf("%s: %v\n%s", files[0], err, out)
	}
}

// Not one frame more than were asked for, though the ring has them.
func TestCount(t *testing.T) {
	a, b := hosts(t)
	live := b.live("--count", "5", "-f", "tcp")
	listener := b.listen(servicePort)
	for port := uint16(30000); port < 30010; port++ {
		connection(a, b, listener, port)
	}
	if code := live.wait(); code != 0 || !live.out.has("vb: live, 5 frames in ") {
		t.Errorf("ended with %d\n%s\n%s", code, &live.err, &live.out)
	}
}

// While nobody reads what it writes, it cannot end as it should: a second signal
// ends it all the same.
func TestSecondSignal(t *testing.T) {
	a, b := hosts(t)
	listener := b.listen(servicePort)
	live := b.live("--events", "-o", "ndjson")
	live.out.mu.Lock() // the reader waits for it
	// Some 800 KiB, of which the pipe and the buffer take 128.
	for port := uint16(30000); port < 30400; port++ {
		connection(a, b, listener, port)
	}
	live.signal(syscall.SIGINT)
	time.Sleep(500 * time.Millisecond)
	if live.ended() {
		t.Error("it has ended though nobody has read")
	}
	live.signal(syscall.SIGINT)
	b.eventually("a second signal ends it", live.ended)
	live.out.mu.Unlock()
	if code := live.wait(); code != -1 {
		t.Errorf("ended with %d, want by the signal", code)
	}
}

// Who wants no owners looks into no process, also to compare with the kernel.
func TestOwnersGivenUp(t *testing.T) {
	_, b := hosts(t)
	live := b.live("--kernel-check", "--owners=false")
	if code := live.stop(); code != 0 || live.err.has("CAP_SYS_PTRACE") || !live.err.has("it has no capability") {
		t.Errorf("ended with %d\n%s", code, &live.err)
	}
}
