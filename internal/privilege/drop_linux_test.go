package privilege

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tcpflow-states/tcpflow-states/internal/metrics"
)

// The tests start this binary again as a child that drops its privileges, tries
// what it must be able to do and what it must not, and says what came of it.
const childEnv = "PRIVILEGE_TEST_CHILD"

func TestMain(m *testing.M) {
	if task := os.Getenv(childEnv); task != "" {
		os.Exit(child(task))
	}
	os.Exit(m.Run())
}

// trial is what a child is told.
type trial struct {
	Options   Options
	Dir, Else string // a directory to write in, and one that is closed
	Port      uint16 // one that may be bound, where Options.Ports has it
	Suid      string // a program of root's with the set-user-ID bit
}

// outcome is what a child says.
type outcome struct {
	Drop    string // the error
	Report  Report
	Threads []map[string]string // the lines of /proc/self/task/*/status
	Errs    map[string]string   // what was tried, and its error; empty: none
	Packets int                 // frames that the open socket took after the drop
	Stats   uint32              // what PACKET_STATISTICS counted
}

func child(task string) int {
	var in trial
	if err := json.Unmarshal([]byte(task), &in); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if in.Dir == "who" { // started through the set-user-ID program
		fmt.Println(os.Geteuid())
		return 0
	}
	if in.Dir == "explain" {
		_, err := packetSocket()
		fmt.Println(Explain(err))
		return 0
	}
	out := outcome{Errs: make(map[string]string)}
	sniffer, err := packetSocket()
	if err != nil {
		out.Errs["open the packet socket"] = err.Error()
	}
	for range 8 { // threads that nobody but the kernel can reach now
		ready := make(chan bool)
		go func() {
			runtime.LockOSThread()
			ready <- true
			select {}
		}()
		<-ready
	}
	r, err := Drop(in.Options)
	if err != nil {
		out.Drop = err.Error()
	} else {
		out.Report = *r
		out.Threads = threads()
		out.Packets, out.Stats = sniff(sniffer)
		in.try(out.Errs)
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return 0
}

// try does each thing that may or may not be possible.
func (in *trial) try(errs map[string]string) {
	note := func(what string, err error) {
		errs[what] = ""
		if err != nil {
			errs[what] = err.Error()
		}
	}
	file := filepath.Join(in.Dir, "evidence")
	note("write inside", os.WriteFile(file, []byte("x"), 0o600))
	note("rename inside", os.Rename(file, file+".1"))
	note("remove inside", os.Remove(file+".1"))
	note("write outside", os.WriteFile(filepath.Join(in.Else, "x"), nil, 0o600))
	_, err := os.ReadFile("/etc/passwd")
	note("read outside", err)
	_, err = os.ReadFile("/proc/self/stat")
	note("read /proc/self/stat", err)
	_, err = os.ReadDir("/proc/self/fd")
	note("count own descriptors", err)
	_, err = os.Readlink("/proc/" + fmt.Sprint(os.Getppid()) + "/fd/0")
	note("look into another process", err)
	note("show own metrics", ownMetrics())
	fd, err := packetSocket()
	note("open another packet socket", err)
	if err == nil {
		mreq := unix.PacketMreq{Ifindex: 1, Type: unix.PACKET_MR_PROMISC}
		note("set promiscuous mode", unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq))
	}
	note("become root", syscall.Setuid(0))
	note("take capabilities", setCapabilities(1<<CAPNetRaw|1<<21))
	note("kill another process", syscall.Kill(os.Getppid(), 0))
	note("bind the allowed port", bind(in.Port))
	note("bind another port", bind(0))
	note("start a program", exec.Command("/bin/true").Run())
	who := exec.Command(in.Suid)
	who.Env = []string{childEnv + `={"Dir":"who"}`}
	b, err := who.Output()
	if err == nil {
		err = fmt.Errorf("it is user %s", strings.TrimSpace(string(b)))
	}
	note("gain root through a set-user-ID program", err)
}

// ownMetrics asks the collectors of the process for what they have.
func ownMetrics() error {
	w := httptest.NewRecorder()
	metrics.New(metrics.Config{}).Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, name := range []string{"process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds", "process_cpu_seconds_total"} {
		if !strings.Contains(w.Body.String(), "\n"+name+" ") {
			return fmt.Errorf("%s is not there", name)
		}
	}
	return nil
}

// bind binds a plain TCP port: Multipath TCP is not restricted.
func bind(port uint16) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Bind(fd, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}})
}

// packetSocket opens one on the loopback interface, which has index 1 in every
// network namespace.
func packetSocket() (int, error) {
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, int(all&0xffff))
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	wait := unix.Timeval{Sec: 5}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return -1, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all & 0xffff, Ifindex: 1})
}

// sniff sends datagrams over loopback until the socket has seen one of them, and
// reads what the kernel counted.
func sniff(fd int) (packets int, stats uint32) {
	c, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		return 0, 0
	}
	defer c.Close()
	const mark = "after the drop"
	buf := make([]byte, 2048)
	for range 100 {
		c.Write([]byte(mark)) // refused by the port next time: no matter
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err == nil && strings.HasSuffix(string(buf[:n]), mark) {
			packets++
			break
		}
	}
	if s, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		stats = s.Packets
	}
	return packets, stats
}

// threads returns the status of each thread of this process.
func threads() (list []map[string]string) {
	paths, _ := filepath.Glob("/proc/self/task/*/status")
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		status := make(map[string]string)
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(line, ":")
			status[name] = strings.Join(strings.Fields(value), " ")
		}
		list = append(list, status)
	}
	return list
}

// drop runs a child in this very network namespace.
func drop(t *testing.T, in trial) outcome {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: giving up root needs root")
	}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(b))
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("child: %v\n%s", err, text)
	}
	var out outcome
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatalf("child says %q: %v", text, err)
	}
	t.Logf("report:\n%s", out.Report.String())
	return out
}

// nobody is a user that owns nothing.
const nobody = 65534

// directories makes one that nobody may write in and one that anyone may, which
// is not in the options, outside the test's own, which nobody cannot enter.
func directories(t *testing.T) (in, out string) {
	t.Helper()
	for _, dir := range []*string{&in, &out} {
		d, err := os.MkdirTemp("", "privilege")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(d) })
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
		*dir = d
	}
	return in, out
}

// suid copies this binary as a program of root's with the set-user-ID bit.
func suid(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "suid")
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	return path
}

// want holds what was tried against what should have come of it: ok, or any
// error.
func (out *outcome) want(t *testing.T, ok bool, tried ...string) {
	t.Helper()
	for _, what := range tried {
		err, there := out.Errs[what]
		if !there {
			t.Errorf("%s: not tried", what)
		} else if (err == "") != ok {
			t.Errorf("%s: error %q, want it to work: %v", what, err, ok)
		}
	}
}

// everyThread holds a line of the status of each thread against a value.
func (out *outcome) everyThread(t *testing.T, name, want string) {
	t.Helper()
	if len(out.Threads) < 8 {
		t.Fatalf("%d threads seen", len(out.Threads))
	}
	for i, status := range out.Threads {
		if status[name] != want {
			t.Errorf("thread %d of %d: %s is %q, want %q", i, len(out.Threads), name, status[name], want)
		}
	}
}

const none = "0000000000000000"

// Root becomes nobody, with nothing left but the socket, one directory and one
// port.
func TestDropAll(t *testing.T) {
	in, elsewhere := directories(t)
	port := freePort(t)
	out := drop(t, trial{Dir: in, Else: elsewhere, Port: port, Suid: suid(t, elsewhere),
		Options: Options{User: fmt.Sprint(nobody), Read: []string{"/proc"}, Write: []string{in}, Ports: []uint16{port}}})
	if out.Drop != "" {
		t.Fatal(out.Drop)
	}
	ids := "65534 65534 65534 65534"
	for name, want := range map[string]string{"Uid": ids, "Gid": ids, "Groups": "", "NoNewPrivs": "1",
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none} {
		out.everyThread(t, name, want)
	}
	if out.Packets != 1 || out.Stats == 0 {
		t.Errorf("the open socket took %d packets, and PACKET_STATISTICS counts %d", out.Packets, out.Stats)
	}
	out.want(t, true, "write inside", "rename inside", "remove inside", "bind the allowed port", "read /proc/self/stat", "count own descriptors", "show own metrics")
	out.want(t, false, "become root", "take capabilities", "open another packet socket", "kill another process",
		"look into another process", "gain root through a set-user-ID program")
	version, err := landlockVersion()
	if err != nil {
		t.Skipf("SKIPPED: what Landlock forbids: %v", err)
	}
	out.want(t, false, "write outside", "read outside", "start a program")
	if version < 4 {
		t.Skipf("SKIPPED: what Landlock forbids of ports: its ABI here is %d", version)
	}
	out.want(t, false, "bind another port")
	for _, want := range []string{"user 65534", "no supplementary groups", "no capability", "no_new_privs", in, fmt.Sprint("bind ", port)} {
		if !strings.Contains(out.Report.String(), want) {
			t.Errorf("the report is without %q", want)
		}
	}
}

// CAP_NET_RAW stays where it is asked for: it is all that a ring and promiscuous
// mode need.
func TestKeepNetRaw(t *testing.T) {
	in, elsewhere := directories(t)
	out := drop(t, trial{Dir: in, Else: elsewhere, Suid: suid(t, elsewhere),
		Options: Options{User: fmt.Sprint(nobody), Keep: []Capability{CAPNetRaw}, Read: []string{"/proc"}, Write: []string{in}}})
	if out.Drop != "" {
		t.Fatal(out.Drop)
	}
	raw := fmt.Sprintf("%016x", uint64(1)<<CAPNetRaw)
	for name, want := range map[string]string{"CapInh": none, "CapPrm": raw, "CapEff": raw, "CapBnd": raw, "CapAmb": none} {
		out.everyThread(t, name, want)
	}
	out.want(t, true, "open another packet socket", "set promiscuous mode", "write inside")
	out.want(t, false, "become root", "take capabilities", "gain root through a set-user-ID program")
}

// Who holds a socket can be found where it is asked for, and nothing else comes
// with it but what the report says.
func TestProcesses(t *testing.T) {
	in, elsewhere := directories(t)
	out := drop(t, trial{Dir: in, Else: elsewhere, Suid: suid(t, elsewhere),
		Options: Options{User: fmt.Sprint(nobody), Processes: true}})
	if out.Drop != "" {
		t.Fatal(out.Drop)
	}
	both := fmt.Sprintf("%016x", uint64(1)<<CAPSysPtrace|uint64(1)<<CAPDACReadSearch)
	out.everyThread(t, "CapPrm", both)
	out.everyThread(t, "NoNewPrivs", "1")
	out.want(t, true, "look into another process", "start a program")
	out.want(t, false, "become root", "take capabilities", "open another packet socket", "kill another process")
	// The program starts, and is nobody: no_new_privs.
	if got := out.Errs["gain root through a set-user-ID program"]; got != "it is user 65534" {
		t.Errorf("through a set-user-ID program: %s", got)
	}
	if !slices.ContainsFunc(out.Report.Lacks, func(s string) bool { return strings.Contains(s, "Landlock is left out") }) {
		t.Errorf("the report does not say that Landlock is left out: %q", out.Report.Lacks)
	}
}

// Landlock forbids to look into processes even with the capabilities: why
// Options.Processes leaves it out.
func TestLandlockHidesProcesses(t *testing.T) {
	if _, err := landlockVersion(); err != nil {
		t.Skipf("SKIPPED: no Landlock here: %v", err)
	}
	in, elsewhere := directories(t)
	out := drop(t, trial{Dir: in, Else: elsewhere, Options: Options{Keep: []Capability{CAPSysPtrace, CAPDACReadSearch}, Read: []string{"/proc"}}})
	if out.Drop != "" {
		t.Fatal(out.Drop)
	}
	out.want(t, false, "look into another process")
}

// What would surprise later is an error now.
func TestDropErrors(t *testing.T) {
	in, _ := directories(t)
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why     string
		options Options
		want    string
	}{
		{"a user that is not there", Options{User: "nobody-of-that-name"}, "useradd"},
		{"a group that is not there", Options{User: "0:nobody-of-that-name"}, "no group"},
		{"the number that stands for none", Options{User: "4294967295"}, "no such user"},
		{"a directory that the user cannot write in", Options{User: fmt.Sprint(nobody), Write: []string{closed}}, "chown 65534 "},
		{"a directory that is not there", Options{Write: []string{in + "/no"}}, "no such file"},
		{"a file that is not there", Options{Read: []string{in + "/no"}}, "no such file"},
	} {
		if out := drop(t, trial{Options: c.options}); !strings.Contains(out.Drop, c.want) {
			t.Errorf("%s: error %q, want it with %q", c.why, out.Drop, c.want)
		}
	}
}

// A user who is not root gives up what there is, and cannot become another.
func TestDropWithoutRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: becoming a user who is not root needs root")
	}
	in, elsewhere := directories(t)
	exe := suid(t, elsewhere)
	if err := os.Chmod(exe, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		user string
		want string // of the error
	}{{"", ""}, {fmt.Sprint(nobody), ""}, {"0", "only root can"}} {
		b, _ := json.Marshal(trial{Dir: in, Else: elsewhere, Options: Options{User: c.user, Read: []string{"/proc"}, Write: []string{in}}})
		cmd := exec.Command(exe)
		cmd.Env = []string{childEnv + "=" + string(b)}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		text, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var out outcome
		if err := json.Unmarshal(text, &out); err != nil {
			t.Fatal(err)
		}
		if c.want != "" {
			if !strings.Contains(out.Drop, c.want) {
				t.Errorf("user %q: error %q, want it with %q", c.user, out.Drop, c.want)
			}
			continue
		}
		if out.Drop != "" {
			t.Fatalf("user %q: %s", c.user, out.Drop)
		}
		out.everyThread(t, "CapPrm", none)
		out.everyThread(t, "NoNewPrivs", "1")
		if !strings.Contains(strings.Join(out.Report.Lacks, "\n"), "bounding set") {
			t.Errorf("user %q: the report does not say that the bounding set stays: %q", c.user, out.Report.Lacks)
		}
	}
}

// The remedy is what the message says, to the letter: without it a user who is
// not root is refused, and with it he sniffs.
func TestRemedyWorks(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: sudo is root's part, and needs root")
	}
	_, dir := directories(t)
	exe := suid(t, dir)
	if err := os.Chmod(exe, 0o755); err != nil {
		t.Fatal(err)
	}
	explain := func() string {
		cmd := exec.Command(exe)
		cmd.Env = []string{childEnv + `={"Dir":"explain"}`}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		text, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return strings.TrimSpace(string(text))
	}
	var s unix.Statfs_t
	if err := unix.Statfs(exe, &s); err != nil {
		t.Fatal(err)
	}
	if at := here(); at.bounded || at.noNewPrivs || s.Flags&unix.ST_NOSUID != 0 {
		t.Skipf("SKIPPED: capabilities of files count for nothing here: %+v", at)
	}
	_, command, _ := strings.Cut(explain(), "\n  sudo ")
	if want := "setcap cap_net_raw+ep " + exe; command != want {
		t.Fatalf("the message says %q, want %q", command, want)
	}
	if _, err := exec.LookPath("setcap"); err != nil {
		t.Skip("SKIPPED: no setcap here: apt-get install libcap2-bin")
	}
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: the file system of %s has no capabilities: %v: %s", exe, err, out)
	}
	if got := explain(); got != "<nil>" {
		t.Errorf("after the remedy: %s", got)
	}
}

// A name in /etc/passwd has its own group; a number needs no /etc/passwd.
func TestLookUp(t *testing.T) {
	for text, want := range map[string]account{
		"root":        {"root", 0, 0},
		"0:12345":     {"0:12345", 0, 12345},
		"54321":       {"54321", 54321, 54321},
		"54321:12345": {"54321:12345", 54321, 12345},
	} {
		if got, err := lookUp(text); err != nil || *got != want {
			t.Errorf("%q: %+v (%v), want %+v", text, got, err, want)
		}
	}
}

// The marks that programs which start containers leave.
func TestContainer(t *testing.T) {
	for _, c := range []struct{ env, file, want string }{
		{"KUBERNETES_SERVICE_HOST", "/.dockerenv", "kubernetes"},
		{"", "/var/run/secrets/kubernetes.io", "kubernetes"},
		{"", "/run/.containerenv", "podman"},
		{"", "/.dockerenv", "docker"},
		{"HOME", "/etc/passwd", ""},
	} {
		env := func(name string) string {
			if name == c.env {
				return "10.96.0.1"
			}
			return ""
		}
		if got := container(env, func(path string) bool { return path == c.file }); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// freePort returns one that nobody listens on just now.
func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}
