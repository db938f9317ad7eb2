package sockets

import (
	"net/netip"
	"slices"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Options say what is asked of the kernel. The zero value works.
type Options struct {
	// Proc is where the proc(5) of the host is mounted; empty is /proc. In a
	// container that was given the host's, it is that one.
	Proc string
	// OnlyOwn leaves the network namespaces of others alone.
	OnlyOwn bool
	// Info asks for Socket.Info. The kernel locks each socket for it.
	Info bool
}

// Namespace is a network namespace.
type Namespace struct {
	ID    uint64       // inode of its nsfs file
	Name  string       // below /run/netns; empty: it has none
	Addrs []netip.Addr // of its interfaces, without zones
	path  string       // of a file that setns(2) takes; empty: the own one
}

// Dump is all TCP sockets at, more or less, one instant: the kernel walks its
// tables from Start to End, while sockets change.
type Dump struct {
	Start, End int64 // ns since 1970-01-01 UTC
	Sockets    []Socket
	Namespaces []Namespace // that were asked, the own first
	Denied     int         // namespaces that may not be entered
	Left       int         // namespaces beyond MaxNamespaces
	HasInfo    bool        // the sockets' Info means something

	index     map[pair]int32
	alike     map[pair]int32 // pairs that several namespaces have: in how many others
	listeners map[uint16][]int32
	local     map[netip.Addr]struct{}
}

// MaxNamespaces bounds the network namespaces that one dump enters.
const MaxNamespaces = 512

// pair is the two ends of a connection, without a pointer: netip.AddrPort has
// one, and takes longer to hash.
type pair struct {
	local, remote analyzer.Addr
	ports         uint32
}

func pairOf(local, remote netip.AddrPort) pair {
	return pair{analyzer.Addr(local.Addr().As16()), analyzer.Addr(remote.Addr().As16()),
		uint32(local.Port())<<16 | uint32(remote.Port())}
}

// NewDump returns a Dump of sockets that come from elsewhere: a record, or a
// test. Times are ns since 1970-01-01 UTC; the own namespace and its sockets
// come first.
func NewDump(start, end int64, namespaces []Namespace, all ...Socket) *Dump {
	d := &Dump{Start: start, End: end, Sockets: all, Namespaces: namespaces}
	d.finish()
	return d
}

// finish makes the dump ready to be searched. Sockets of the own namespace come
// first, and win where another has the same pair.
func (d *Dump) finish() {
	d.index = make(map[pair]int32, len(d.Sockets))
	d.listeners = map[uint16][]int32{}
	d.local = map[netip.Addr]struct{}{}
	for i := range d.Sockets {
		s := &d.Sockets[i]
		if s.State == analyzer.Listen {
			d.listeners[s.Local.Port()] = append(d.listeners[s.Local.Port()], int32(i))
			continue
		}
		p := pairOf(s.Local, s.Remote)
		if first, ok := d.index[p]; !ok {
			d.index[p] = int32(i)
		} else if d.Sockets[first].Namespace != s.Namespace {
			if d.alike == nil {
				d.alike = map[pair]int32{}
			}
			d.alike[p]++
		}
	}
	for _, n := range d.Namespaces {
		for _, a := range n.Addrs {
			d.local[a] = struct{}{}
		}
	}
}

// Find returns the socket with these ends, and in how many other namespaces
// there is one too: containers' networks may overlap. It returns nil where
// there is none; the Socket is part of the Dump.
func (d *Dump) Find(local, remote netip.AddrPort) (s *Socket, alike int) {
	i := d.Index(local, remote)
	if i < 0 {
		return nil, 0
	}
	if d.alike != nil {
		alike = int(d.alike[pairOf(local, remote)])
	}
	return &d.Sockets[i], alike
}

// Index returns the place in Sockets of the one with these ends, or -1. Of a
// listener it returns none.
func (d *Dump) Index(local, remote netip.AddrPort) int {
	if i, ok := d.index[pairOf(local, remote)]; ok {
		return int(i)
	}
	return -1
}

// listener returns the place of the listener that takes connections to an end
// of this host, or -1. One that is bound to the address goes before one of all
// addresses (inet_lhash2_lookup). namespace 0 is any, the own one first.
func (d *Dump) listener(at netip.AddrPort, namespace uint64) int {
	found := -1
	for _, i := range d.listeners[at.Port()] {
		s := &d.Sockets[i]
		if !s.listens(at) || namespace != 0 && s.Namespace != namespace {
			continue
		}
		if !s.Local.Addr().IsUnspecified() {
			return int(i)
		}
		if found < 0 && d.has(s.Namespace, at.Addr()) {
			found = int(i)
		}
	}
	return found
}

// has reports whether an address is one of a namespace's own.
func (d *Dump) has(namespace uint64, a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	for i := range d.Namespaces {
		if n := &d.Namespaces[i]; n.ID == namespace && slices.Contains(n.Addrs, a) {
			return true
		}
	}
	return false
}

// Local reports whether an address is one of this host: of a namespace that
// was asked. All of 127.0.0.0/8 is.
func (d *Dump) Local(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	_, ok := d.local[a.Unmap().WithZone("")]
	return ok
}
