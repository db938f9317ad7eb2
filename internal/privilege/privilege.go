// Package privilege gives up what a process that sniffs needs no more once its
// sockets are open: root, capabilities, files and ports. It says in words what it
// kept, and what the kernel could not take.
//
// The order is forced: the user's name is looked up while /etc can be read; the
// bounding set is emptied while there is CAP_SETPCAP, groups before the user
// while there is CAP_SETGID; capabilities go after the change of user, which
// empties the effective set; no_new_privs comes before Landlock, which asks for it
// (landlock(7)); Landlock comes last, since it forbids what the steps before it
// read.
//
// Linux credentials are those of a thread, not of a process: every step is made
// on all threads (nptl(7)).
package privilege

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/internal/shell"
)

// Options say what stays. The zero value gives up all that can be given up, but
// stays the user that it is.
type Options struct {
	// User is who the process becomes: a name or number, with ":group" where
	// the group is not the user's own. Empty: it stays who it is. Numbers need
	// no /etc/passwd. Supplementary groups are given up.
	User string
	// Keep are the capabilities that stay. CAPNetRaw opens a ring again when an
	// interface has come back.
	Keep []Capability
	// Read are the files and directories that can still be read, Write the
	// directories that can still be written to, with all that is below them.
	// They must exist, and User must have the right to do so by itself: nothing
	// is given here. Who serves metrics needs /proc, for those of the process.
	Read, Write []string
	// Ports are the TCP ports that can still be bound. Those bound before stay
	// so, whatever is here.
	Ports []uint16
	// Processes leaves other processes open to view under /proc/PID/fd, to find
	// who holds a socket. It costs much: CAPSysPtrace and CAPDACReadSearch
	// stay, and Landlock is left out, because a process that it restricts
	// cannot look into those that it does not (landlock(7), "ptrace
	// restrictions").
	Processes bool
}

// Report says what a process has kept.
type Report struct {
	Kept  []string // what it still is and can, a sentence each
	Lacks []string // what was not given up, and why, a sentence each
}

// String has a sentence on each line.
func (r *Report) String() string {
	return strings.Join(append(append([]string(nil), r.Kept...), r.Lacks...), "\n")
}

func (r *Report) kept(format string, args ...any) {
	r.Kept = append(r.Kept, fmt.Sprintf(format, args...))
}

func (r *Report) lacks(format string, args ...any) {
	r.Lacks = append(r.Lacks, fmt.Sprintf(format, args...))
}

// Capability is one of Linux's, by its number (capabilities(7),
// include/uapi/linux/capability.h).
type Capability uint8

// Those that a program that sniffs can have a use for.
const (
	CAPDACReadSearch Capability = 2  // read files and directories of others
	CAPNetRaw        Capability = 13 // open packet sockets, and set promiscuous mode through one
	CAPSysPtrace     Capability = 19 // look into other users' processes
)

// capabilityNames are by number, without "CAP_".
var capabilityNames = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID
	SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
	SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
	SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM
	BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)

// String returns the name that capabilities(7) gives it.
func (c Capability) String() string {
	if int(c) < len(capabilityNames) {
		return "CAP_" + capabilityNames[c]
	}
	return fmt.Sprintf("capability %d", uint8(c))
}

// place is where the process runs, as far as it bears on what it may do.
type place struct {
	system     string // runtime.GOOS
	executable string // the path of its file
	container  string // "kubernetes", "podman", "docker", or empty
	root       bool
	capable    bool // it has CAP_NET_RAW, and was refused all the same
	bounded    bool // CAP_NET_RAW is not in its bounding set: nothing can give it
	fileHas    bool // its file has capabilities
	noNewPrivs bool // they count for nothing, because of this
	nosuid     bool // or because of the file system
}

// Explain adds to an error of opening a socket what the user has to do, when it
// is one of permission; other errors, and nil, come back as they are.
func Explain(err error) error {
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w: %s", err, here().remedy())
}

// remedy says what to do so that the process may sniff.
func (p *place) remedy() string {
	switch {
	case p.system != "linux":
		return "sniffing needs root here: run it with sudo"
	case p.capable && p.container != "":
		return "CAP_NET_RAW is there, and not good for this network: a rootless container has no say over the host's; run it rootful"
	case p.capable:
		return "CAP_NET_RAW is there, and something else refuses: a seccomp filter or a security module (look at dmesg and journalctl), or a user namespace"
	case p.bounded:
		return p.unbound() + p.ownCapability("; and ")
	case p.root:
		return "root is without CAP_NET_RAW here: who started this process took it away"
	case p.noNewPrivs:
		return p.newPrivs() + p.ownCapability("; and ")
	}
	return p.ownCapability("sniffing needs CAP_NET_RAW: ")
}

// unbound says how to get the capability into the bounding set.
func (p *place) unbound() string {
	switch p.container {
	case "kubernetes":
		return "the container's securityContext needs\n  capabilities: {add: [NET_RAW]}"
	case "":
		return "CAP_NET_RAW is not in the bounding set: systemd's CapabilityBoundingSet= must have it, and so must AmbientCapabilities="
	}
	return fmt.Sprintf("the container needs it:\n  %s run --cap-add NET_RAW --network host …", p.container)
}

// newPrivs says how to let capabilities of files count again.
func (p *place) newPrivs() string {
	const hidden = "no_new_privs hides capabilities of files: "
	switch p.container {
	case "kubernetes":
		return hidden + "leave allowPrivilegeEscalation: false out of the securityContext"
	case "":
		return hidden + "with systemd's NoNewPrivileges= use AmbientCapabilities=CAP_NET_RAW"
	}
	return hidden + "leave --security-opt no-new-privileges out"
}

// ownCapability says how to give the file its capability, where it has none and
// its process does not have all of them anyway.
func (p *place) ownCapability(before string) string {
	switch {
	case p.root || p.fileHas && !p.nosuid:
		return ""
	case p.nosuid:
		return fmt.Sprintf("%s%s is on a file system that is mounted nosuid, where capabilities of files count for nothing: "+
			"copy it to /usr/local/bin, and there\n  sudo setcap cap_net_raw+ep /usr/local/bin/tcpflow-states", before, p.executable)
	case strings.Contains(p.executable, "/go-build"):
		return before + "go run makes a new file each time: go build ./cmd/tcpflow-states, and then\n  sudo setcap cap_net_raw+ep ./tcpflow-states"
	case p.bounded || p.container != "" && p.noNewPrivs:
		return before + "the image's file must have it too: RUN setcap cap_net_raw+ep " + shell.Word(p.executable)
	}
	return before + "once and for all\n  sudo setcap cap_net_raw+ep " + shell.Word(p.executable)
}
