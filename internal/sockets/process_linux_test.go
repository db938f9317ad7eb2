package sockets

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// fakeProc is a directory like proc(5).
type fakeProc struct {
	testing.TB
	dir string
}

func newFakeProc(t testing.TB) *fakeProc { return &fakeProc{t, t.TempDir()} }

// process makes one, with what its descriptors are links to.
func (p *fakeProc) process(pid int, comm, cmdline, cgroup, environ string, start int, links ...string) {
	dir := filepath.Join(p.dir, fmt.Sprint(pid))
	os.RemoveAll(dir)
	err := errors.Join(os.MkdirAll(filepath.Join(dir, "fd"), 0o755), os.MkdirAll(filepath.Join(dir, "ns"), 0o755))
	for name, text := range map[string]string{
		"stat":    fmt.Sprintf("%d (%s) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 %d 20\n", pid, comm, start),
		"status":  "Name:\tx\nUid:\t0\t70\t0\t0\n",
		"cmdline": cmdline, "cgroup": cgroup, "environ": environ,
	} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	for i, link := range links {
		err = errors.Join(err, os.Symlink(link, filepath.Join(dir, "fd", fmt.Sprint(i))))
	}
	err = errors.Join(err, os.Symlink("net:[4026531840]", filepath.Join(dir, "ns", "net")))
	if err != nil {
		p.Fatal(err)
	}
}

func (p *fakeProc) scan(last *scan) *scan {
	p.Helper()
	return check((&host{proc: p.dir}).scan(last))(p)
}

// Who holds which inode, and what is known of them.
func TestScan(t *testing.T) {
	proc := newFakeProc(t)
	pod := "0::/kubepods/pod" + podID + "/" + someID + "\n"
	env := "SECRET=x\x00HOSTNAME=db-0\x00KUBERNETES_SERVICE_HOST=10.96.0.1\x00"
	proc.process(812, "postgres", "postgres: checkpointer\x00", pod, env, 500, "/dev/null", "socket:[11]", "pipe:[12]", "socket:[13]", "socket:[13]")
	proc.process(813, "postgres", "postgres: client\x00", pod, env, 501, "socket:[11]", "anon_inode:[eventpoll]", "socket:[x]", "socket:[")
	proc.process(90, "a) S (b", "a\x00--flag\x00", "0::/\n", "", 77, "socket:[14]")
	proc.process(91, "very-long-comma", "/usr/sbin/very-long-command-name\x00-x\x00", "0::/system.slice/v.service\n", "", 78, "socket:[15]")
	proc.process(92, "evil\x1b[2J", strings.Repeat("é", 300)+"\x00", "0::/\n", "", 79, "socket:[16]")
	proc.process(93, "cat", "cat\x00", "0::/\n", "", 80, "/dev/null")
	if err := errors.Join(os.Mkdir(filepath.Join(proc.dir, "sys"), 0o755), os.Mkdir(filepath.Join(proc.dir, "94"), 0o755)); err != nil {
		t.Fatal(err) // no process, and one that has just ended
	}
	s := proc.scan(&scan{})
	for inode, want := range map[uint32]struct {
		pid, others int
		owner       string
	}{
		11: {812, 1, "postgres (pid 812 and 1 more, pod db-0)"},
		13: {812, 0, "postgres (pid 812, pod db-0)"}, // one process, two descriptors
		14: {90, 0, "a) S (b (pid 90)"},
		15: {91, 0, "very-long-command-name (pid 91, v.service)"},
		16: {92, 0, "evil?[2J (pid 92)"},
	} {
		h := s.holders[inode]
		if h.process == nil || h.process.PID != want.pid || int(h.others) != want.others || h.owner(Holds).String() != want.owner {
			t.Errorf("inode %d: %+v: %q, want %+v", inode, h.process, h.owner(Holds), want)
		}
	}
	if len(s.holders) != 5 || s.processes[93] != nil || s.hidden != 0 {
		t.Errorf("%d sockets, process without one %v, %d hidden", len(s.holders), s.processes[93], s.hidden)
	}
	p := s.processes[812]
	if p.UID != 70 || p.Namespace != 4026531840 || p.Cmdline != "postgres: checkpointer" || len(s.processes[92].Cmdline) > maxCmdline {
		t.Errorf("%+v", *p)
	}
	if len(s.namespaces) == 0 || s.namespaces[0].ID != 4026531840 {
		t.Errorf("namespaces: %+v", s.namespaces)
	}
}

// A process is read once, and again when its number went to another or it runs
// another program.
func TestScanAgain(t *testing.T) {
	proc := newFakeProc(t)
	proc.process(7, "sh", "sh\x00", "0::/\n", "", 100, "socket:[1]")
	first := proc.scan(&scan{})
	if again := proc.scan(first); again.processes[7] != first.processes[7] {
		t.Error("read again although it is the same")
	}
	proc.process(7, "nginx", "nginx\x00", "0::/\n", "", 100, "socket:[1]")
	second := proc.scan(first)
	if c := second.processes[7].Command; c != "nginx" {
		t.Errorf("after execve: %s", c)
	}
	proc.process(7, "nginx", "nginx\x00-t\x00", "0::/\n", "", 200, "socket:[1]")
	if c := proc.scan(second).processes[7].Cmdline; c != "nginx -t" {
		t.Errorf("another process of the same number: %s", c)
	}
}

// What may not be read is counted, and said.
func TestScanHidden(t *testing.T) {
	proc := newFakeProc(t)
	proc.process(7, "sh", "sh\x00", "0::/\n", "", 100, "socket:[1]")
	closed := filepath.Join(proc.dir, "7", "fd")
	// t.TempDir's own are closed to others too.
	if err := errors.Join(os.Chmod(closed, 0), os.Chmod(proc.dir, 0o755), os.Chmod(filepath.Dir(proc.dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(closed, 0o755) })
	s := scanAsNobody(t, proc)
	if s.hidden != 1 || len(s.holders) != 0 {
		t.Errorf("%d hidden, %d sockets", s.hidden, len(s.holders))
	}
	c := newCache(Options{}, nil)
	c.scan = s
	if why := strings.Join(c.Blind(), "; "); why != "the sockets of 1 process may not be seen: that needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or Landlock forbids it" {
		t.Error(why)
	}
}

// Cgroups are found by the inodes of their directories.
func TestCgroups(t *testing.T) {
	root := t.TempDir()
	inner := filepath.Join(root, "system.slice", "docker-"+someID+".scope")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	id := inodeOf(check(os.Stat(inner))(t))
	want := map[uint64]string{id: "", inodeOf(check(os.Stat(root))(t)): "", 1: ""}
	cgroupsBelow(root, want)
	if c := containerOf(want[id]); c.ID != someID || want[1] != "" || len(want) != 3 {
		t.Errorf("%v", want)
	}
}

// scanAsNobody scans without root's way around permission bits.
func scanAsNobody(t *testing.T, proc *fakeProc) (s *scan) {
	if os.Geteuid() != 0 {
		return proc.scan(&scan{})
	}
	var err error
	withoutCapabilities(func() { s, err = (&host{proc: proc.dir}).scan(&scan{}) })
	return check(s, err)(t)
}

// withoutCapabilities runs f on a thread that has become nobody's, which ends
// afterwards.
func withoutCapabilities(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		// The system call itself is of the calling thread alone. Leaving uid 0
		// clears the effective capabilities (capabilities(7)).
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			panic(errno)
		}
		f()
	}()
	<-done
}
