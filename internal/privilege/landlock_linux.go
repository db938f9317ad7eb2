package privilege

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// What Landlock lets pass below a path (landlock(7)). No rule has the right to
// execute.
const (
	readFile  = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readDir   = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	writeDir  = readDir | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | makeThere
	makeThere = unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR
)

// landlockSince says what each version of Landlock's interface was the first to
// restrict (Documentation/userspace-api/landlock.rst, "Previous limitations").
var landlockSince = []struct {
	version int
	what    string
}{
	{3, "truncating files (Linux 6.2)"},
	{4, "binding and connecting TCP sockets (Linux 6.7)"},
	{6, "signals to other processes and abstract Unix sockets (Linux 6.12)"},
	{9, "Unix sockets with a path"},
	{10, "UDP sockets"},
}

// restrict confines the process to the paths and ports of o, as far as the
// kernel knows how.
//
// Sockets and files that are open stay so: rules are about opening, binding and
// connecting. Multipath TCP is not restricted by any kernel yet
// (github.com/landlock-lsm/linux/issues/54).
func restrict(o Options, r *Report) error {
	if o.Processes {
		r.lacks("Landlock is left out: it would forbid looking into other processes")
		return nil
	}
	version, err := landlockVersion()
	if err != nil {
		r.lacks("files and ports stay as open to it as to its user, without Landlock: %v", err)
		return nil
	}
	rules, err := landlockRules(o)
	if err != nil {
		return err
	}
	if err := landlock.V11.BestEffort().Restrict(rules...); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	r.kept("files are closed to it (Landlock ABI %d): it can read %s, write below %s", version, orNothing(o.Read), orNothing(o.Write))
	if version >= 4 {
		r.kept("it can connect to no TCP port, and bind %s", ports(o.Ports))
	}
	for _, s := range landlockSince {
		if version < s.version {
			r.lacks("this kernel's Landlock does not restrict %s", s.what)
		}
	}
	return nil
}

// landlockVersion asks the kernel for the version of the interface.
func landlockVersion() (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch {
	case errno == 0:
		return int(n), nil
	case errors.Is(errno, unix.EOPNOTSUPP):
		return 0, errors.New("it is switched off: put it into the kernel's parameter lsm=")
	case errors.Is(errno, unix.ENOSYS):
		return 0, errors.New("the kernel is without it (Linux 5.13, CONFIG_SECURITY_LANDLOCK)")
	}
	return 0, fmt.Errorf("landlock: %w", errno) // a seccomp filter, most likely
}

func landlockRules(o Options) ([]landlock.Rule, error) {
	var rules []landlock.Rule
	for _, path := range o.Read {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		var right landlock.AccessFSSet = readFile
		if info.IsDir() {
			right = readDir
		}
		rules = append(rules, landlock.PathAccess(right, path))
	}
	for _, path := range o.Write {
		rules = append(rules, landlock.PathAccess(writeDir, path))
	}
	for _, port := range o.Ports {
		rules = append(rules, landlock.BindTCP(port))
	}
	return rules, nil
}

func orNothing(paths []string) string {
	if len(paths) == 0 {
		return "nothing"
	}
	return strings.Join(paths, ", ")
}

func ports(list []uint16) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Trim(fmt.Sprint(list), "[]")
}
