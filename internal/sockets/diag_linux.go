package sockets

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// conn is a netlink socket to sock_diag. It stays in the network namespace in
// which it was opened. While it is open the namespace cannot go, so none is
// kept.
type conn struct {
	fd  int
	seq uint32
	buf []byte
}

// answerSize is more than the kernel puts into one datagram of a dump
// (netlink_dump: 32 KiB).
const answerSize = 64 << 10

func dial(buf []byte) (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("sock_diag: %w: the kernel lacks CONFIG_INET_DIAG, or a seccomp profile forbids netlink", err)
	}
	// The kernel answers from within the system call. The limit is for a
	// sandbox that does not answer at all.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("sock_diag: %w", err)
	}
	return &conn{fd: fd, buf: buf}, nil
}

func (c *conn) close() { unix.Close(c.fd) }

// ask sends one request and appends the sockets of its answer. id is nil for a
// dump, whose answer takes several datagrams.
func (c *conn) ask(to []Socket, family uint8, info bool, id *[48]byte) ([]Socket, error) {
	c.seq++
	req := request(family, info, c.seq, id)
	if err := unix.Sendto(c.fd, req[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return to, fmt.Errorf("sock_diag: %w", err)
	}
	for {
		n, from, err := unix.Recvfrom(c.fd, c.buf, unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return to, fmt.Errorf("sock_diag: %w", err)
		case n > len(c.buf):
			return to, fmt.Errorf("sock_diag: an answer of %d bytes: no more than %d were expected", n, len(c.buf))
		}
		if peer, ok := from.(*unix.SockaddrNetlink); !ok || peer.Pid != 0 {
			continue // not from the kernel: any process may write to any (netlink(7))
		}
		before := len(to)
		var done bool
		to, done, err = appendSockets(to, c.buf[:n], c.seq)
		if err != nil || done || id != nil && len(to) > before {
			return to, err
		}
	}
}

// host is what this system can be asked.
type host struct {
	proc  string
	buf   []byte
	count int // sockets of the dump before
}

func newHost(o Options) (*host, error) {
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	h := &host{proc: o.Proc, buf: make([]byte, answerSize)}
	c, err := dial(nil)
	if err != nil {
		return nil, err
	}
	c.close()
	return h, nil
}

// dump asks the own network namespace, and each of others.
func (h *host) dump(o Options, others []Namespace) (*Dump, error) {
	d := &Dump{HasInfo: o.Info, Sockets: make([]Socket, 0, h.count+h.count/8+64)}
	d.Start = time.Now().UnixNano()
	own := Namespace{}
	if st, err := os.Stat("/proc/thread-self/ns/net"); err == nil {
		own.ID = inodeOf(st)
	}
	if err := h.gather(d, own, o.Info); err != nil {
		return nil, err
	}
	asked := 0
	for _, n := range others {
		switch {
		case n.ID == own.ID:
			d.Namespaces[0].Name = n.Name
			continue
		case asked == MaxNamespaces:
			d.Left++
			continue
		}
		asked++
		err := within(n.path, func() error { return h.gather(d, n, o.Info) })
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
			d.Denied++
		} // otherwise its last process has gone meanwhile
	}
	d.End = time.Now().UnixNano()
	h.count = len(d.Sockets)
	d.finish()
	return d, nil
}

// gather adds the sockets and addresses of the calling thread's namespace.
func (h *host) gather(d *Dump, n Namespace, info bool) error {
	c, err := dial(h.buf)
	if err != nil {
		return err
	}
	defer c.close()
	first := len(d.Sockets)
	for _, family := range []uint8{familyIPv4, familyIPv6} {
		d.Sockets, err = c.ask(d.Sockets, family, info, nil)
		if err != nil && !(family == familyIPv6 && errors.Is(err, errNone)) { // ipv6.disable=1
			d.Sockets = d.Sockets[:first]
			return err
		}
	}
	for i := first; i < len(d.Sockets); i++ {
		d.Sockets[i].Namespace = n.ID
	}
	n.Addrs = addresses()
	d.Namespaces = append(d.Namespaces, n)
	return nil
}

// addresses returns those of the calling thread's namespace.
func addresses() (addrs []netip.Addr) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range all {
		if p, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(p.IP); ok {
				addrs = append(addrs, ip.Unmap())
			}
		}
	}
	return addrs
}

// within runs f on a thread that is in another network namespace meanwhile.
func within(path string, f func() error) error {
	there, err := os.Open(path)
	if err != nil {
		return err
	}
	defer there.Close()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		back, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return
		}
		defer back.Close()
		if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("setns %s: %w", path, err)
			return
		}
		err = f()
		// A thread that cannot come back stays locked, and ends with the
		// goroutine.
		if unix.Setns(int(back.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// Lookup asks the kernel for one socket of the own network namespace: ok is
// false where there is none. A link-local address needs its zone. What the
// kernel reports where only a listener matches (inet_lookup) is not an answer.
func Lookup(local, remote netip.AddrPort) (s Socket, ok bool, err error) {
	c, err := dial(make([]byte, 4<<10))
	if err != nil {
		return s, false, err
	}
	defer c.close()
	family, id := sockID(local, remote, zoneOf(local.Addr()))
	found, err := c.ask(nil, family, true, &id)
	if errors.Is(err, errNone) {
		return s, false, nil
	}
	if err != nil || len(found) == 0 || found[0].Remote.Port() != remote.Port() {
		return s, false, err
	}
	return found[0], true, nil
}

// zoneOf returns the index of the interface that an address's zone names; 0
// where it has none.
func zoneOf(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	i, err := net.InterfaceByName(a.Zone())
	if err != nil {
		return 0
	}
	return uint32(i.Index)
}
