package livetest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// command is the one under test, as it is built by default.
var command string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Geteuid() != 0 {
		return m.Run() // all is skipped
	}
	dir, err := os.MkdirTemp("", "livetest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	command = filepath.Join(dir, "tcpflow-states")
	build := exec.Command("go", "build", "-o", command, "../../cmd/tcpflow-states")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n%s", build, err, out)
		return 1
	}
	return m.Run()
}

// program is a command that runs, with what it has written so far.
type program struct {
	t      testing.TB
	cmd    *exec.Cmd
	out    written
	err    written
	reader sync.WaitGroup
	waited bool
	code   int // with which it ended; -1: by a signal
}

// written are lines, with the time at which they came.
type written struct {
	mu   sync.Mutex
	line []string
	at   []time.Time
}

func (w *written) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		now := time.Now()
		w.mu.Lock()
		w.line, w.at = append(w.line, lines.Text()), append(w.at, now)
		w.mu.Unlock()
	}
}

// lines returns those from number n on, and when they came.
func (w *written) lines(n int) ([]string, []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n = min(n, len(w.line))
	return w.line[n:len(w.line):len(w.line)], w.at[n:len(w.at):len(w.at)]
}

func (w *written) String() string {
	l, _ := w.lines(0)
	return strings.Join(l, "\n")
}

// has reports whether a line has the text.
func (w *written) has(text string) bool { return strings.Contains(w.String(), text) }

// safety ends a command that outlives its test, as when that is killed.
const safety = "20m"

// live starts the command on the host's interface, and returns once it captures.
func (h *host) live(args ...string) *program {
	h.t.Helper()
	p := h.program(command, append([]string{"live", "-i", h.name, "-v", "--duration", safety}, args...)...)
	// It says what it has kept of its rights after it has opened all else.
	h.eventually("live begins: "+p.cmd.String(), func() bool { return p.err.has("it runs as") || p.ended() })
	if p.ended() {
		h.t.Fatalf("live has ended: %d\n%s", p.wait(), &p.err)
	}
	return p
}

// program starts a command, and reads what it writes.
func (h *host) program(name string, args ...string) *program {
	h.t.Helper()
	p := &program{t: h.t, cmd: exec.Command(name, args...)}
	for _, s := range []struct {
		to   *written
		pipe func() (io.ReadCloser, error)
	}{{&p.out, p.cmd.StdoutPipe}, {&p.err, p.cmd.StderrPipe}} {
		r, err := s.pipe()
		if err != nil {
			h.t.Fatal(err)
		}
		p.reader.Add(1)
		defer func() { go func() { defer p.reader.Done(); s.to.read(r) }() }()
	}
	h.in(func() {
		if err := p.cmd.Start(); err != nil {
			h.t.Fatal(err)
		}
	})
	h.t.Cleanup(func() {
		if !p.waited {
			p.cmd.Process.Kill()
			p.wait()
		}
	})
	return p
}

// ended reports whether the command has ended and is only not waited for.
func (p *program) ended() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	return err != nil || strings.HasPrefix(rest, "Z")
}

// wait waits for the end, and returns the exit code.
func (p *program) wait() int {
	p.t.Helper()
	if p.waited {
		return p.code
	}
	kill := time.AfterFunc(limit, func() {
		p.t.Errorf("%s does not end within %v", p.cmd, limit)
		p.cmd.Process.Kill()
	})
	p.reader.Wait()
	p.cmd.Wait()
	kill.Stop()
	p.waited, p.code = true, p.cmd.ProcessState.ExitCode()
	return p.code
}

// stop ends the command as Ctrl-C does, and returns the exit code.
func (p *program) stop() int {
	p.t.Helper()
	p.signal(syscall.SIGINT)
	return p.wait()
}

func (p *program) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Error(err)
	}
}

// cpu is what the command used; it has ended.
func (p *program) cpu() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// status is a number of /proc/PID/status, in its unit.
func (p *program) status(name string) int {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+)`).FindStringSubmatch(string(text))
	if m == nil {
		p.t.Fatalf("no %s in %s", name, text)
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// openFiles is how many descriptors the command has.
func (p *program) openFiles() int {
	p.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(list)
}

// number is that of the first match of a pattern's group in a text, as people
// read it: 1,234.
func number(text, pattern string) (uint64, bool) {
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.ReplaceAll(m[1], ",", ""), 10, 64)
	return n, err == nil
}

// metricsPort is of each host's own loopback.
const metricsPort = "9465"

// get asks the metrics server that listens in the host.
func (h *host) get(path string) (status int, body, kind string) {
	h.t.Helper()
	var conn net.Conn
	h.in(func() {
		var err error
		if conn, err = net.DialTimeout("tcp", "127.0.0.1:"+metricsPort, limit); err != nil {
			h.t.Fatal(err)
		}
	})
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limit))
	req, err := http.NewRequest("GET", "http://127.0.0.1:"+metricsPort+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Close = true
	if err := req.Write(conn); err != nil {
		h.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header.Get("Content-Type")
}

// scrape reads the metrics by name and labels: name{label="value"}. It fails
// where they are not of the text format, read as Prometheus does.
func (h *host) scrape() map[string]float64 {
	h.t.Helper()
	status, body, kind := h.get("/metrics")
	if status != http.StatusOK || !strings.HasPrefix(kind, "text/plain") {
		h.t.Fatalf("/metrics: %d, %s\n%s", status, kind, body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		h.t.Fatalf("/metrics: %v\n%s", err, body)
	}
	all := map[string]float64{}
	for name, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			key := name
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			all[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() // one of them
		}
	}
	return all
}
