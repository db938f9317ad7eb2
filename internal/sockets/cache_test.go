package sockets

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// fakeHost is a kernel and /proc that a test sets.
type fakeHost struct {
	mu           sync.Mutex
	sockets      []Socket
	holders      map[uint32]holder
	now          int64
	fails        error
	dumps, scans int
}

func (h *fakeHost) dump(Options, []Namespace) (*Dump, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dumps++
	if h.fails != nil {
		return nil, h.fails
	}
	own := []Namespace{{ID: 1, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.9")}}}
	return NewDump(h.now, h.now, own, append([]Socket(nil), h.sockets...)...), nil
}

func (h *fakeHost) scan(*scan) (*scan, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.scans++
	if h.holders == nil {
		return nil, errScan
	}
	s := &scan{holders: map[uint32]holder{}}
	for inode, x := range h.holders {
		s.holders[inode] = x
	}
	return s, nil
}

func (h *fakeHost) cgroups(want map[uint64]string) {
	for id := range want {
		if id == 4711 {
			want[id] = "/system.slice/docker-" + someID + ".scope"
		}
	}
}

// errScan is a /proc that cannot be listed, as under Landlock.
var errScan = errors.New("open /proc: permission denied")

// later lets a Cache look again, as if the time had come.
func (h *fakeHost) later(c *Cache) {
	h.now += int64(time.Second)
	c.dumpDue, c.scanDue = time.Time{}, time.Time{}
}

func owner(c *Cache, local, remote string) string {
	o, ok := c.Owner(ap(local), ap(remote))
	if !ok {
		return ""
	}
	return o.String()
}

const (
	dbEnd     = "10.0.0.9:5432"
	clientEnd = "10.0.0.5:51544"
)

func newFakeHost() *fakeHost {
	db := &Process{PID: 812, Command: "postgres"}
	return &fakeHost{now: 1e18, holders: map[uint32]holder{11: {process: db}, 12: {process: db}}, sockets: []Socket{
		{Local: ap("0.0.0.0:5432"), Remote: ap("0.0.0.0:0"), State: analyzer.Listen, Inode: 11, Namespace: 1},
		{Local: ap(dbEnd), Remote: ap(clientEnd), State: analyzer.CloseWait, Inode: 12, UID: 70, Cookie: 5, Namespace: 1},
	}}
}

// An owner is known while the socket is held, when it is an orphan, and for a
// while after it has gone; then the listener is what is left.
func TestOwnerOverTime(t *testing.T) {
	h := newFakeHost()
	c := newCache(Options{}, h)
	step := func(when, want string) {
		t.Helper()
		if got := owner(c, dbEnd, clientEnd); got != want {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	step("held", "postgres (pid 812)")
	h.sockets[1].State, h.sockets[1].Inode = analyzer.LastAck, 0
	delete(h.holders, 12)
	step("within the same second", "postgres (pid 812)")
	h.later(c)
	step("an orphan", "postgres (pid 812, until it closed)")
	h.sockets[1].Cookie = 6
	h.later(c)
	step("another orphan with the same ends", "a process that may not be seen (uid 70)")
	h.sockets[1].State, h.sockets[1].UID = analyzer.Established, 0
	h.later(c)
	step("a new connection that nobody has accepted", "postgres (pid 812, the listener)")
	h.sockets = h.sockets[:1]
	h.later(c)
	step("gone", "postgres (pid 812, until it closed)")
	h.now += int64(2 * remembered)
	h.later(c)
	step("long gone", "postgres (pid 812, the listener)")
	if got := owner(c, clientEnd, dbEnd); got != "" {
		t.Errorf("the other side is another host's: %q", got)
	}
	if got := owner(c, "10.0.0.8:5432", clientEnd); got != "" {
		t.Errorf("a listener on all addresses is none of another host's: %q", got)
	}
}

// However many flows are asked for, the kernel is asked once a second, and
// /proc only for holders that may be found.
func TestLooksAreFew(t *testing.T) {
	h := newFakeHost()
	c := newCache(Options{}, h)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				c.Owner(ap(dbEnd), ap(clientEnd))
				c.Owner(ap(clientEnd), ap(dbEnd))
			}
		})
	}
	all.Wait()
	if h.dumps != 1 || h.scans != 1 {
		t.Errorf("%d dumps, %d scans", h.dumps, h.scans)
	}
	h.later(c)
	if c.Refresh(); h.dumps != 2 || h.scans != 1 {
		t.Errorf("nothing new: %d dumps, %d scans", h.dumps, h.scans)
	}
	h.sockets = append(h.sockets, Socket{Local: ap(dbEnd), Remote: ap("10.0.0.5:2"), State: analyzer.Established, Inode: 99, Namespace: 1})
	h.later(c)
	if c.Refresh(); h.scans != 2 {
		t.Errorf("a new socket: %d scans", h.scans)
	}
	h.later(c)
	if c.Refresh(); h.scans != 2 {
		t.Errorf("a socket whose holder cannot be found: %d scans", h.scans)
	}
	if got := owner(c, dbEnd, "10.0.0.5:2"); got != "a process that may not be seen (uid 0)" {
		t.Error(got)
	}
	h.sockets[2].Cgroup = 4711
	h.later(c)
	c.scanTime = c.scanTime.Add(-2 * scanAnyway)
	if c.Refresh(); h.scans != 3 {
		t.Errorf("after a while anyway: %d scans", h.scans)
	}
	if got := owner(c, dbEnd, "10.0.0.5:2"); got != "a process that may not be seen (uid 0, container 3f1a9c0d2b4e)" {
		t.Errorf("by its cgroup: %s", got)
	}
}

// A kernel that cannot be asked is an error that stays until it can; what was
// known stays known.
func TestRefreshFails(t *testing.T) {
	h := newFakeHost()
	c := newCache(Options{}, h)
	h.fails = errors.New("sock_diag: no buffer space available")
	if _, ok := c.Owner(ap(dbEnd), ap(clientEnd)); ok {
		t.Error("an owner out of nothing")
	}
	if err := c.Refresh(); err != h.fails || !strings.Contains(strings.Join(c.Blind(), ""), "no buffer space") {
		t.Error(err, c.Blind())
	}
	h.fails = nil
	h.later(c)
	if err := c.Refresh(); err != nil || len(c.Blind()) != 0 {
		t.Error(err, c.Blind())
	}
	h.fails = errors.New("again")
	h.later(c)
	if got := owner(c, dbEnd, clientEnd); got != "postgres (pid 812)" {
		t.Error(got)
	}
}

// A /proc that cannot be listed hides the holders, and nothing else.
func TestScanFails(t *testing.T) {
	h := newFakeHost()
	h.holders = nil
	c := newCache(Options{}, h)
	if got := owner(c, dbEnd, clientEnd); got != "a process that may not be seen (uid 70)" {
		t.Error(got)
	}
	if why := strings.Join(c.Blind(), "; "); why != "who holds sockets may not be seen: open /proc: permission denied" {
		t.Error(why)
	}
}

// Containers' networks overlap: the own namespace goes first, and the doubt is
// said.
func TestAlike(t *testing.T) {
	h := newFakeHost()
	other := h.sockets[1]
	other.Namespace, other.Inode = 2, 40
	h.holders[40] = holder{process: &Process{PID: 9, Command: "other"}}
	h.sockets = append(h.sockets, other)
	if got := owner(newCache(Options{}, h), dbEnd, clientEnd); got != "postgres (pid 812, or that of 1 other network namespace)" {
		t.Error(got)
	}
}

// What is remembered is bounded: the oldest makes room.
func TestPastIsBounded(t *testing.T) {
	p := past{at: map[pair]int{}}
	key := func(i int) pair { return pair{ports: uint32(i)} }
	for i := range maxPast + 100 {
		p.add(key(i), former{uid: uint32(i)})
		p.add(key(i), former{uid: uint32(i) + 1}) // the same one again takes no more room
	}
	if len(p.ring) != maxPast || len(p.at) != maxPast {
		t.Errorf("%d and %d kept", len(p.ring), len(p.at))
	}
	if _, ok := p.find(key(99)); ok {
		t.Error("the oldest is still there")
	}
	if f, ok := p.find(key(100)); !ok || f.uid != 101 {
		t.Error(f, ok)
	}
}

// Which listener takes a connection.
func TestListener(t *testing.T) {
	d := &Dump{Namespaces: []Namespace{{ID: 1, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("fd00::9")}}}}
	for _, l := range []struct {
		at     string
		v6only bool
	}{{"[::]:80", false}, {"[::]:81", true}, {"0.0.0.0:82", false}, {"10.0.0.9:82", false}, {"127.0.0.1:83", false}} {
		d.Sockets = append(d.Sockets, Socket{Local: ap(l.at), State: analyzer.Listen, V6Only: l.v6only, Namespace: 1})
	}
	d.finish()
	for _, c := range []struct {
		at   string
		want int
		why  string
	}{
		{"10.0.0.9:80", 0, "IPv4 at an IPv6 listener"},
		{"[fd00::9]:80", 0, "IPv6"},
		{"10.0.0.9:81", -1, "IPv4 at an IPv6-only listener"},
		{"[fd00::9]:82", -1, "IPv6 at an IPv4 listener"},
		{"10.0.0.9:82", 3, "the one that is bound to the address"},
		{"127.0.0.1:82", 2, "the one of all addresses"},
		{"10.0.0.9:83", -1, "bound to another address"},
		{"10.0.0.7:80", -1, "another host's address"},
	} {
		if got := d.listener(ap(c.at), 0); got != c.want {
			t.Errorf("%s: %s: %d, want %d", c.why, c.at, got, c.want)
		}
	}
	if d.listener(ap("10.0.0.9:80"), 2) != -1 {
		t.Error("another namespace's listener")
	}
}

// Who asks for the holder of a socket that came after the last look at /proc need
// not wait for the next one.
func TestHolderIsLookedForWhenAskedFor(t *testing.T) {
	h := newFakeHost()
	c := newCache(Options{}, h)
	owner(c, dbEnd, clientEnd)
	h.sockets = append(h.sockets, Socket{Local: ap(dbEnd), Remote: ap("10.0.0.6:40000"), State: analyzer.Established, Inode: 13, UID: 70, Cookie: 6, Namespace: 1})
	h.holders[13] = holder{process: &Process{PID: 900, Command: "postgres"}}
	c.dumpDue = time.Time{} // a second later
	c.scanSoon = time.Time{}
	if got, want := owner(c, dbEnd, "10.0.0.6:40000"), "postgres (pid 900)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	scans := h.scans
	h.sockets[len(h.sockets)-1].Inode = 14
	c.dumpDue = time.Time{}
	owner(c, dbEnd, "10.0.0.6:40000")
	if h.scans != scans {
		t.Error("it looks at /proc again within a second")
	}
}
