package sockets

import (
	"path"
	"strings"
	"unicode"
)

// Process is one that holds a socket. Its texts hold no control characters.
type Process struct {
	PID       int
	Command   string // of /proc/PID/stat, or the program's name where that is cut at 15 octets
	Cmdline   string // arguments, separated by spaces; at most 256 octets
	UID       uint32 // effective
	Cgroup    string // path
	Container Container
	Pod       string // name of its Kubernetes pod, where its environment tells
	Namespace uint64 // inode of the network namespace that it is in

	start uint64 // clock ticks after boot: with PID it names the process
	comm  string // as in /proc/PID/stat: execve(2) changes it, and Cmdline
}

// scan is what /proc says of sockets at one time.
type scan struct {
	holders    map[uint32]holder // by inode
	processes  map[int]*Process  // that hold sockets
	namespaces []Namespace
	hidden     int                 // processes whose descriptors may not be read
	missed     map[uint32]struct{} // sockets whose holders were looked for in vain
	cgroups    map[uint64]string   // paths of those in which sockets without a process are, by id
}

// holder is who has a socket open.
type holder struct {
	process *Process // the one with the lowest number: a parent comes before its children
	others  uint16   // how many more
}

// maxHolders bounds the sockets whose holders are remembered.
const maxHolders = 1 << 20

const maxCmdline = 256

// command returns a process's name from what the kernel keeps of it, which is
// cut at 15 octets (TASK_COMM_LEN), and its arguments.
func command(comm, cmdline string) string {
	if len(comm) == 15 {
		if full := path.Base(firstArg(cmdline)); strings.HasPrefix(full, comm) {
			comm = full
		}
	}
	return clean(comm)
}

func firstArg(cmdline string) string {
	arg, _, _ := strings.Cut(cmdline, "\x00")
	return arg
}

// joined returns a NUL-separated command line for reading.
func joined(cmdline string) string {
	line := clean(strings.ReplaceAll(strings.TrimRight(cmdline, "\x00"), "\x00", " "))
	if len(line) > maxCmdline {
		line = strings.ToValidUTF8(line[:maxCmdline-3], "") + "..."
	}
	return line
}

// clean replaces what may not reach a terminal: a process chooses its name.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return '?'
	}, s)
}

// podName returns the name of a container's pod from a process's environment.
// Kubernetes sets HOSTNAME to it, but to the node's name in a pod with
// hostNetwork; POD_NAME is what manifests commonly make of metadata.name. Of the
// environment nothing else is kept.
func podName(environ, node string) string {
	var host, pod string
	kubernetes := false
	for v := range strings.SplitSeq(environ, "\x00") {
		name, value, _ := strings.Cut(v, "=")
		switch name {
		case "HOSTNAME":
			host = value
		case "POD_NAME":
			pod = value
		case "KUBERNETES_SERVICE_HOST":
			kubernetes = true
		}
	}
	if pod == "" && kubernetes && host != node {
		pod = host
	}
	return clean(pod)
}
