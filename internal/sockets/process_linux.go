package sockets

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// scanner reads /proc. Most of its work is a readlink for every descriptor of
// the host.
type scanner struct {
	host  *host
	last  *scan
	now   *scan
	names []byte // of a directory
	link  []byte
	node  string // this host's name
}

// scan reads all processes. What it read before of one that still runs, it does
// not read again.
func (h *host) scan(last *scan) (*scan, error) {
	node, _ := os.Hostname()
	sc := &scanner{host: h, last: last, names: make([]byte, 32<<10), link: make([]byte, 64), node: node,
		now: &scan{holders: make(map[uint32]holder, len(last.holders)), processes: map[int]*Process{}}}
	entries, err := os.ReadDir(h.proc)
	if err != nil {
		return nil, err
	}
	seen := map[uint64]bool{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue // it is of no process
		}
		if err := sc.descriptors(pid, sc.namespace(pid, seen)); errors.Is(err, fs.ErrPermission) {
			sc.now.hidden++
		}
	}
	sc.named(seen)
	return sc.now, nil
}

// namespace returns the network namespace of a process, 0 where it may not be
// seen, and notes it for the first of those that are in it.
func (sc *scanner) namespace(pid int, seen map[uint64]bool) uint64 {
	path := filepath.Join(sc.host.proc, strconv.Itoa(pid), "ns", "net")
	id, ok := bracketed(sc.readlink(path), "net:[")
	if ok && !seen[id] {
		seen[id] = true
		sc.now.namespaces = append(sc.now.namespaces, Namespace{ID: id, path: path})
	}
	return id
}

// namedNamespaces are where ip-netns(8) and docker bind namespaces to names:
// they live without a process too.
var namedNamespaces = []string{"/run/netns", "/run/docker/netns"}

// named notes the namespaces that have a name.
func (sc *scanner) named(seen map[uint64]bool) {
	for _, dir := range namedNamespaces {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			var st unix.Statfs_t
			if unix.Statfs(path, &st) != nil || st.Type != unix.NSFS_MAGIC {
				continue
			}
			info, err := os.Stat(path)
			if err != nil {
				continue
			}
			sc.name(Namespace{ID: inodeOf(info), Name: clean(e.Name()), path: path}, seen)
		}
	}
}

// name gives a namespace its name, or adds it.
func (sc *scanner) name(n Namespace, seen map[uint64]bool) {
	if !seen[n.ID] {
		seen[n.ID] = true
		sc.now.namespaces = append(sc.now.namespaces, n)
		return
	}
	for i := range sc.now.namespaces {
		if old := &sc.now.namespaces[i]; old.ID == n.ID && old.Name == "" {
			old.Name = n.Name
		}
	}
}

// descriptors notes the sockets that a process of a network namespace has open.
func (sc *scanner) descriptors(pid int, namespace uint64) error {
	path := filepath.Join(sc.host.proc, strconv.Itoa(pid), "fd")
	dir, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	var p *Process
	for {
		n, err := unix.Getdents(dir, sc.names)
		if err != nil || n <= 0 {
			return err
		}
		for b := sc.names[:n]; len(b) > 0; {
			// struct linux_dirent64 (getdents(2)): d_reclen at 16, d_name at 19.
			size := int(order.Uint16(b[16:]))
			name := b[19:size]
			b = b[size:]
			if name[0] == '.' {
				continue
			}
			link, err := unix.Readlinkat(dir, unix.ByteSliceToString(name), sc.link)
			if errors.Is(err, fs.ErrPermission) {
				return err // the next one may not be read either
			}
			inode, ok := bracketed(sc.link[:max(link, 0)], "socket:[")
			if !ok {
				continue // a file, or closed meanwhile
			}
			if p == nil {
				p = sc.process(pid, namespace)
			}
			sc.hold(uint32(inode), p)
		}
	}
}

// hold notes that a process has a socket open. Many descriptors of a process
// may be the same socket.
func (sc *scanner) hold(inode uint32, p *Process) {
	old, ok := sc.now.holders[inode]
	switch {
	case !ok && len(sc.now.holders) < maxHolders:
		sc.now.holders[inode] = holder{process: p}
	case !ok, old.process == p:
	case p.PID < old.process.PID:
		sc.now.holders[inode] = holder{p, old.others + 1}
	case old.others < 1<<16-1:
		old.others++
		sc.now.holders[inode] = old
	}
}

// process returns what /proc says of a process.
func (sc *scanner) process(pid int, namespace uint64) *Process {
	comm, start := sc.stat(pid)
	if p := sc.last.processes[pid]; p != nil && p.start == start && p.comm == comm {
		sc.now.processes[pid] = p
		return p
	}
	cmdline := sc.read(pid, "cmdline", 4<<10)
	p := &Process{PID: pid, Namespace: namespace, start: start, comm: comm, Command: command(comm, cmdline), Cmdline: joined(cmdline),
		UID: effectiveUID(sc.read(pid, "status", 8<<10)), Cgroup: clean(pathIn(sc.read(pid, "cgroup", 16<<10)))}
	p.Container = containerOf(p.Cgroup)
	if p.Container.PodUID != "" || p.Container.ID != "" {
		p.Pod = podName(sc.read(pid, "environ", 64<<10), sc.node)
	}
	sc.now.processes[pid] = p
	return p
}

// stat returns fields 2 and 22 of /proc/PID/stat (proc_pid_stat(5)). The name
// stands in parentheses and may hold any character.
func (sc *scanner) stat(pid int) (comm string, start uint64) {
	line := sc.read(pid, "stat", 4<<10)
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return "", 0
	}
	if f := strings.Fields(line[end+1:]); len(f) > 19 {
		start, _ = strconv.ParseUint(f[19], 10, 64)
	}
	return line[open+1 : end], start
}

// read returns the beginning of a file of a process; nothing where it may not
// be read.
func (sc *scanner) read(pid int, name string, most int) string {
	f, err := os.Open(filepath.Join(sc.host.proc, strconv.Itoa(pid), name))
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, most)
	n := 0
	for n < most {
		m, err := f.Read(b[n:])
		if n += m; err != nil {
			break
		}
	}
	return string(b[:n])
}

// readlink returns where a link leads, which is valid until the next call.
func (sc *scanner) readlink(path string) []byte {
	n, err := unix.Readlink(path, sc.link)
	if err != nil {
		return nil
	}
	return sc.link[:n]
}

// effectiveUID reads the Uid line of /proc/PID/status: real, effective, saved,
// file system.
func effectiveUID(status string) uint32 {
	for line := range strings.Lines(status) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "Uid:" {
			uid, _ := strconv.ParseUint(f[2], 10, 32)
			return uint32(uid)
		}
	}
	return 0
}

// bracketed reads the number of a link as proc(5) has them: socket:[4711].
func bracketed(link []byte, prefix string) (n uint64, ok bool) {
	rest, ok := bytes.CutPrefix(link, []byte(prefix))
	if !ok || len(rest) < 2 || rest[len(rest)-1] != ']' {
		return 0, false
	}
	for _, c := range rest[:len(rest)-1] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

func inodeOf(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// maxCgroups bounds the cgroups that are looked through.
const maxCgroups = 1 << 16

// cgroups finds the paths of version 2 cgroups by their ids, which are the
// inodes of their directories (kernfs).
func (h *host) cgroups(want map[uint64]string) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			cgroupsBelow(f[1], want)
			return
		}
	}
}

// cgroupsBelow walks until it has found all that are wanted.
func cgroupsBelow(root string, want map[uint64]string) {
	found, visited := 0, 0
	filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return nil // gone, or closed to us: its siblings may not be
		}
		if visited++; visited > maxCgroups {
			return fs.SkipAll
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		if _, ok := want[inodeOf(info)]; ok {
			want[inodeOf(info)] = clean("/" + strings.Trim(strings.TrimPrefix(path, root), "/"))
			found++
		}
		if found == len(want) {
			return fs.SkipAll
		}
		return nil
	})
}
