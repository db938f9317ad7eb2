package privilege

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"

	"github.com/tcpflow-states/tcpflow-states/internal/shell"
)

// Drop gives up all but what o keeps, on every thread and for good. After an
// error the process is somewhere in between: it must end.
func Drop(o Options) (*Report, error) {
	who, err := lookUp(o.User)
	if err != nil {
		return nil, err
	}
	keep := slices.Clone(o.Keep)
	if o.Processes {
		keep = append(keep, CAPSysPtrace, CAPDACReadSearch)
	}
	r := new(Report)
	for _, step := range []func() error{
		func() error { return emptyBoundingSet(keep, r) },
		func() error { return become(who, len(keep) > 0) },
		func() error { return capabilities(keep, r) },
		func() error { return allThreads("no_new_privs", unix.PR_SET_NO_NEW_PRIVS, 1, 0) },
		func() error { return usable(o) },
		func() error { return restrict(o, r) },
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("giving up privileges: %w", err)
		}
	}
	r.Kept = append(identity(), r.Kept...)
	return r, nil
}

// identity says who the process is now, as the kernel has it.
func identity() []string {
	groups, _ := os.Getgroups() // it fails only for a buffer that is too small
	list := []string{fmt.Sprintf("it runs as user %d, group %d, with %s", os.Geteuid(), os.Getegid(), supplementary(groups))}
	if set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil && set == 1 {
		list = append(list, "no program that it starts can gain privileges (no_new_privs)")
	}
	return list
}

func supplementary(groups []int) string {
	if len(groups) == 0 {
		return "no supplementary groups"
	}
	return fmt.Sprintf("the supplementary groups %v", groups)
}

// account is who to become.
type account struct {
	name     string
	uid, gid int
}

// lookUp finds a user, and group, by name or number; nil for an empty text.
func lookUp(text string) (*account, error) {
	if text == "" {
		return nil, nil
	}
	name, group, hasGroup := strings.Cut(text, ":")
	a := &account{name: text, gid: -1}
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err == nil {
		a.uid, _ = strconv.Atoi(u.Uid) // of /etc/passwd: numbers
		a.gid, _ = strconv.Atoi(u.Gid)
	} else if a.uid, err = number(name); err != nil {
		return nil, fmt.Errorf("user %q: there is no such user; useradd --system --no-create-home %s makes one, and a number needs none", text, name)
	}
	if hasGroup {
		if a.gid, err = groupNumber(group); err != nil {
			return nil, fmt.Errorf("user %q: there is no group %q", text, group)
		}
	}
	if a.gid < 0 {
		a.gid = a.uid // as useradd gives a user its own group
	}
	return a, nil
}

func groupNumber(text string) (int, error) {
	if g, err := user.LookupGroup(text); err == nil {
		return strconv.Atoi(g.Gid)
	}
	return number(text)
}

// number reads a user's or group's number. The largest stands for none
// (setresuid(2)).
func number(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err == nil && n == 1<<32-1 {
		err = strconv.ErrRange
	}
	return int(n), err
}

// become changes user and group on all threads: package syscall sees to that.
func become(a *account, keep bool) error {
	if a == nil || a.uid == os.Geteuid() && a.uid == os.Getuid() && a.gid == os.Getegid() && os.Geteuid() != 0 {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("user %q: only root can become another user: start it as root, or without --user", a.name)
	}
	if keep { // else the change of user empties the permitted set
		if err := allThreads("PR_SET_KEEPCAPS", unix.PR_SET_KEEPCAPS, 1, 0); err != nil {
			return err
		}
	}
	for _, call := range []struct {
		name string
		err  func() error
	}{
		{"setgroups", func() error { return syscall.Setgroups(nil) }},
		{"setgid", func() error { return syscall.Setresgid(a.gid, a.gid, a.gid) }},
		{"setuid", func() error { return syscall.Setresuid(a.uid, a.uid, a.uid) }},
	} {
		if err := call.err(); err != nil {
			return fmt.Errorf("user %q: %s: %w: it needs CAP_SETUID and CAP_SETGID", a.name, call.name, err)
		}
	}
	return nil
}

// allThreads makes one prctl(2) on all threads.
func allThreads(name string, option, arg2, arg3 uintptr) error {
	if _, _, errno := psx.Syscall6(unix.SYS_PRCTL, option, arg2, arg3, 0, 0, 0); errno != 0 {
		return fmt.Errorf("prctl %s: %w", name, errno)
	}
	return nil
}

// emptyBoundingSet takes from the bounding set all but keep: no file's capability
// can bring them back, even without no_new_privs.
func emptyBoundingSet(keep []Capability, r *Report) error {
	for c := Capability(0); ; c++ {
		there, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if err != nil { // beyond the kernel's last one
			return nil
		}
		if there == 0 || slices.Contains(keep, c) {
			continue
		}
		err = allThreads("PR_CAPBSET_DROP", unix.PR_CAPBSET_DROP, uintptr(c), 0)
		if err == nil {
			continue
		}
		if !errors.Is(err, unix.EPERM) {
			return err
		}
		r.lacks("the bounding set of capabilities stays: only CAP_SETPCAP can empty it; no_new_privs makes it of no use")
		return nil
	}
}

// capabilities empties the ambient and inheritable sets, and leaves keep in the
// permitted and effective ones.
func capabilities(keep []Capability, r *Report) error {
	err := allThreads("PR_CAP_AMBIENT_CLEAR_ALL", unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0)
	if err != nil && !errors.Is(err, unix.EINVAL) { // before Linux 4.3 there was none
		return err
	}
	now, err := permitted()
	if err != nil {
		return err
	}
	var set uint64
	var names []string
	for _, c := range keep {
		if now&(1<<c) == 0 {
			r.lacks("%s was to be kept, and was not there", c)
			continue
		}
		set |= 1 << c
		names = append(names, c.String())
	}
	if err := setCapabilities(set); err != nil {
		return err
	}
	if len(names) == 0 {
		r.kept("it has no capability")
	} else {
		r.kept("it has %s, and no other capability", strings.Join(names, ", "))
	}
	return nil
}

// header is that of capget(2) and capset(2), about the calling thread.
func header() unix.CapUserHeader { return unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3} }

// permitted returns the permitted set of the calling thread.
func permitted() (uint64, error) {
	h, data := header(), [2]unix.CapUserData{}
	if err := unix.Capget(&h, &data[0]); err != nil {
		return 0, fmt.Errorf("capget: %w", err)
	}
	return uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted), nil
}

// setCapabilities makes set the permitted and effective capabilities of all
// threads, and empties the inheritable ones.
func setCapabilities(set uint64) error {
	h, data := header(), [2]unix.CapUserData{}
	for i := range data {
		half := uint32(set >> (32 * i))
		data[i] = unix.CapUserData{Effective: half, Permitted: half}
	}
	_, _, errno := psx.Syscall3(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&h)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return fmt.Errorf("capset: %w", errno)
	}
	return nil
}

// usable checks that the user can do in the directories and files of o what it
// was promised: later, in the middle of the night, is too late.
func usable(o Options) error {
	for _, path := range o.Write {
		if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
			return fmt.Errorf("writing to %s as user %d: %w: chown %d %s", path, os.Geteuid(), err, os.Geteuid(), shell.Word(path))
		}
	}
	for _, path := range o.Read {
		if err := unix.Faccessat(unix.AT_FDCWD, path, unix.R_OK, unix.AT_EACCESS); err != nil {
			return fmt.Errorf("reading %s as user %d: %w", path, os.Geteuid(), err)
		}
	}
	return nil
}

// here finds out where the process runs.
func here() *place {
	p := &place{system: "linux", container: container(os.Getenv, exists), root: os.Geteuid() == 0}
	p.executable, _ = os.Executable() // without /proc it is unknown, and left out
	set, _ := permitted()
	p.capable = set&(1<<CAPNetRaw) != 0
	there, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(CAPNetRaw), 0, 0, 0)
	p.bounded = err == nil && there == 0
	n, _ := unix.Getxattr(p.executable, "security.capability", nil)
	p.fileHas = n > 0
	flag, _ := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	p.noNewPrivs = flag == 1
	var s unix.Statfs_t
	if unix.Statfs(p.executable, &s) == nil {
		p.nosuid = s.Flags&unix.ST_NOSUID != 0
	}
	return p
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// container says what the process is contained in, by the marks that the
// programs which start containers leave.
func container(env func(string) string, exists func(string) bool) string {
	switch {
	case env("KUBERNETES_SERVICE_HOST") != "" || exists("/var/run/secrets/kubernetes.io"):
		return "kubernetes"
	case exists("/run/.containerenv") || env("container") == "podman":
		return "podman"
	case exists("/.dockerenv"):
		return "docker"
	}
	return ""
}

// Give makes a user, named as in Options.User, the owner of what this process has
// just made. An empty user is who it is.
func Give(path, user string) error {
	who, err := lookUp(user)
	if who == nil || err != nil {
		return err
	}
	return os.Chown(path, who.uid, who.gid)
}
