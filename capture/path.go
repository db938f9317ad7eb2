package capture

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

const (
	// maxHops is how many VLAN tags and tunnels, together, a path holds; what
	// has more is passed over as too deep.
	maxHops = 12
	// maxTunnels is how many of them may be tunnels.
	maxTunnels = 8
	// maxLinks bounds what a hostile capture can make linkTable hold; the links
	// after it share one number.
	maxLinks = 1 << 16
	// maxLinkName is twice what the longest interface names take (Windows'
	// device paths).
	maxLinkName = 128
)

// hop is a VLAN tag or a tunnel on the way to the packet: a VLAN identifier,
// which is never 0, or a tunnelName with the identifier that it takes. There is
// none without a bit set.
type hop uint64

const (
	hopID       hop = 1<<32 - 1
	hopNumbered hop = 1 << 32 // the tunnel has an identifier
	hopName         = 33      // where the tunnelName begins
)

// tunnel reports whether the hop is one, and no VLAN tag.
func (h hop) tunnel() bool { return h>>hopName != 0 }

// String writes a tunnel as analyzer.Link has it.
func (h hop) String() string {
	name := tunnelNames[h>>hopName]
	if h&hopNumbered == 0 {
		return name
	}
	return name + ":" + strconv.FormatUint(uint64(h&hopID), 10)
}

// path is where a frame was seen, in a form without pointers.
type path struct {
	name    uint32 // of the interface, index into linkTable.names
	ifIndex uint32 // Linux cooked v2's interface index, 0 when not said
	depth   uint8  // how many of hops are used; what follows them is anything
	hops    [maxHops]hop
}

// same reports whether two paths are one. That only the hops in use count
// spares each frame the clearing of the others.
func (p *path) same(q *path) bool {
	return p.name == q.name && p.ifIndex == q.ifIndex && p.depth == q.depth &&
		(p.depth == 0 || slices.Equal(p.hops[:p.depth], q.hops[:q.depth]))
}

// push adds a hop to the frame's path.
func (f *frame) push(h hop) Reason {
	p := &f.path
	if p.depth == maxHops {
		return SkippedTooDeep
	}
	p.hops[p.depth] = h
	p.depth++
	return delivered
}

// linkTable numbers the links that a capture shows, in the order in which they
// first deliver something, and the paths of VLANs and tunnels among them. Several
// decoders may share one, each in its own goroutine.
type linkTable struct {
	mu      sync.Mutex // of all below but shown and the options
	list    []analyzer.Link
	shown   atomic.Pointer[[]analyzer.Link] // list, for any goroutine
	paths   []uint32                        // Segment.Path of each link
	numbers map[path]uint32
	byHops  map[[maxHops]hop]uint32 // number of a VLAN and tunnel path, from 1
	names   []string                // of interfaces
	byName  map[string]uint32

	ignoreVLAN, ignoreTunnel bool // Options
}

// lastPlace is the path that a decoder has asked for last, and its numbers:
// nearly always it asks for the same next.
type lastPlace struct {
	at         path
	link, path uint32
	known      bool
}

// number returns the numbers of a path: Segment.Link and Segment.Path. It
// allocates only for a new one.
func (d *decoder) number(p *path) (link, path uint32) {
	l := &d.last
	if !l.known || !p.same(&l.at) {
		clear(p.hops[p.depth:])
		l.link, l.path = d.links.number(p)
		l.at, l.known = *p, true
	}
	return l.link, l.path
}

// number is the decoder's for a path that it did not ask for last.
func (t *linkTable) number(p *path) (link, path uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, known := t.numbers[*p]
	if !known {
		n = t.add(p)
	}
	return n, t.paths[n]
}

// links returns the links so far; callable from any goroutine.
func (t *linkTable) links() []analyzer.Link {
	if list := t.shown.Load(); list != nil {
		return *list
	}
	return nil
}

func (t *linkTable) add(p *path) uint32 {
	if len(t.list) >= maxLinks {
		return maxLinks - 1
	}
	var l analyzer.Link
	number := t.hopsNumber(p)
	switch {
	case len(t.list) == maxLinks-1:
		// Its path is nobody else's: there are fewer paths than links.
		l.Interface, number = "other", maxLinks
	case p.ifIndex != 0:
		l.Interface = "if" + strconv.FormatUint(uint64(p.ifIndex), 10)
	case int(p.name) < len(t.names):
		l.Interface = t.names[p.name]
	}
	if number != maxLinks {
		for _, h := range p.hops[:p.depth] {
			if h.tunnel() {
				l.Tunnel = append(l.Tunnel, h.String())
			} else {
				l.VLAN = append(l.VLAN, uint16(h))
			}
		}
	}
	if t.numbers == nil {
		t.numbers = make(map[path]uint32)
	}
	n := uint32(len(t.list))
	t.numbers[*p] = n
	t.list = append(t.list, l)
	shown := t.list
	t.shown.Store(&shown)
	t.paths = append(t.paths, number)
	return n
}

// hopsNumber numbers the hops of a path that are not ignored; 0 for none.
func (t *linkTable) hopsNumber(p *path) uint32 {
	var key [maxHops]hop
	n := 0
	for _, h := range p.hops[:p.depth] {
		if h.tunnel() && t.ignoreTunnel || !h.tunnel() && t.ignoreVLAN {
			continue
		}
		key[n] = h
		n++
	}
	if n == 0 {
		return 0
	}
	number, known := t.byHops[key]
	if !known {
		if t.byHops == nil {
			t.byHops = make(map[[maxHops]hop]uint32)
		}
		number = uint32(len(t.byHops)) + 1
		t.byHops[key] = number
	}
	return number
}

// internBytes is intern for a name that a frame carries; it allocates only for
// a new one.
func (t *linkTable) internBytes(name []byte) uint32 {
	t.mu.Lock()
	n, known := t.byName[string(name)]
	t.mu.Unlock()
	if known {
		return n
	}
	return t.intern(strings.ToValidUTF8(string(name), ""))
}

// intern numbers an interface name, so that an interface of the same name in a
// later section of a pcapng file is the same link. A pcap file has one
// interface without a name, number 0.
func (t *linkTable) intern(name string) uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n, known := t.byName[name]; known {
		return n
	}
	if t.byName == nil {
		t.names, t.byName = []string{""}, map[string]uint32{"": 0}
	}
	if name == "" || len(t.names) >= maxLinks {
		return 0
	}
	n := uint32(len(t.names))
	t.names = append(t.names, name)
	t.byName[name] = n
	return n
}

// nameOf is the interface name of a number that intern has given.
func (t *linkTable) nameOf(number uint32) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if int(number) < len(t.names) {
		return t.names[number]
	}
	return ""
}
