package sockets

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Cache answers who holds a socket from the last look at the kernel and /proc.
// It looks again on demand: at the kernel's sockets once a second at most, at
// /proc when a new socket's holder is not known and the last look was 5 s ago,
// or is asked for and it was 1 s ago, and anyway after 30 s; and so that neither takes more than a twentieth of the
// time. It is safe for concurrent use.
type Cache struct {
	options Options
	host    source

	refreshing sync.Mutex // held while it looks
	mu         sync.Mutex // guards what follows
	dump       *Dump
	held       []holder // of dump.Sockets
	scan       *scan
	dumpDue    time.Time
	scanDue    time.Time // not before
	scanSoon   time.Time // and not before this where a holder is asked for
	scanTime   time.Time // of the last one
	past       past
	err        error // of the last look at the sockets
	scanErr    error // and at /proc
}

// source is what a Cache asks: the host, or a test's.
type source interface {
	dump(Options, []Namespace) (*Dump, error)
	scan(*scan) (*scan, error)
	cgroups(want map[uint64]string)
}

const (
	dumpEvery = time.Second
	scanEvery = 5 * time.Second
	// scanAnyway finds what no new socket of a known namespace tells of: new
	// namespaces, and descriptors that were passed on.
	scanAnyway = 30 * time.Second
	// share is what part of the time looking may take at most: one in so many.
	share = 20
)

// NewCache returns a Cache that has not looked yet. The error says what the
// kernel lacks or forbids; on systems other than Linux there always is one.
func NewCache(o Options) (*Cache, error) {
	h, err := newHost(o)
	if err != nil {
		return nil, err
	}
	return newCache(o, h), nil
}

func newCache(o Options, h source) *Cache {
	return &Cache{options: o, host: h, scan: &scan{}, past: past{at: map[pair]int{}}}
}

// Owner returns who holds the socket of this host with these ends, or held it
// within the last ten minutes; ok is false where no socket of this host is
// known to have had them, or nothing of its holder. When the last look is a
// second old it looks again, which takes milliseconds (see Refresh).
func (c *Cache) Owner(local, remote netip.AddrPort) (o Owner, ok bool) {
	// Who comes while another looks takes what was known before.
	if c.refreshing.TryLock() {
		c.refresh(false)
		c.refreshing.Unlock()
	}
	o, ok, unseen := c.known(local, remote)
	if unseen && c.refreshing.TryLock() {
		if !time.Now().Before(c.scanSoon) { // somebody wants to know: /proc sooner than by itself
			c.scanDue = time.Time{}
			c.refresh(true)
			o, ok, _ = c.known(local, remote)
		}
		c.refreshing.Unlock()
	}
	return o, ok
}

// known is what the last look says; unseen, that it saw the socket and that /proc
// was not scanned since it is there.
func (c *Cache) known(local, remote netip.AddrPort) (o Owner, ok, unseen bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dump == nil {
		return o, false, false
	}
	i := c.dump.Index(local, remote)
	if i < 0 {
		o, ok = c.gone(local, remote)
		return o, ok, false
	}
	inode := c.dump.Sockets[i].Inode
	_, missed := c.scan.missed[inode]
	o, ok = c.present(i, pairOf(local, remote))
	return o, ok, inode != 0 && !missed && c.held[i].process == nil
}

// Refresh looks now, unless it did within the last second. Called several times
// a second by a goroutine of its own, it looks before Owner has to. It returns
// what kept it from looking at the own network namespace's sockets.
func (c *Cache) Refresh() error {
	c.refreshing.Lock()
	defer c.refreshing.Unlock()
	return c.refresh(false)
}

// Look looks now, whenever it last did, and returns the sockets. The Dump is
// not changed afterwards.
func (c *Cache) Look() (*Dump, error) {
	c.refreshing.Lock()
	defer c.refreshing.Unlock()
	if err := c.refresh(true); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dump, nil
}

// Blind says what could not be looked at, and what would let it; empty when
// nothing was kept back.
func (c *Cache) Blind() (why []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		why = append(why, c.err.Error())
	}
	if c.scanErr != nil {
		why = append(why, "who holds sockets may not be seen: "+c.scanErr.Error())
	}
	if n := c.scan.hidden; n > 0 {
		why = append(why, fmt.Sprintf("the sockets of %s may not be seen: that needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or Landlock forbids it", many(n, "process", "processes")))
	}
	if c.dump != nil && c.dump.Denied > 0 {
		why = append(why, fmt.Sprintf("the sockets of %s may not be seen: that needs CAP_SYS_ADMIN", many(c.dump.Denied, "network namespace", "network namespaces")))
	}
	if c.dump != nil && c.dump.Left > 0 {
		why = append(why, fmt.Sprintf("%s left out: more than %d are not asked", many(c.dump.Left, "network namespace was", "network namespaces were"), MaxNamespaces))
	}
	return why
}

// refresh looks if it is time; c.refreshing is held.
func (c *Cache) refresh(now bool) error {
	start := time.Now()
	if !now && start.Before(c.dumpDue) {
		return c.err
	}
	d, s, err := c.look(start)
	end := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dumpDue = start.Add(max(dumpEvery, share*end.Sub(start)))
	c.scan = s
	if c.err = err; err != nil {
		return err
	}
	held := make([]holder, len(d.Sockets))
	for i := range d.Sockets {
		if inode := d.Sockets[i].Inode; inode != 0 {
			held[i] = s.holders[inode]
		}
	}
	c.remember(d)
	c.dump, c.held = d, held
	return nil
}

// look dumps the sockets, and scans /proc where that is due: first to find
// network namespaces, later when somebody new holds a socket.
func (c *Cache) look(start time.Time) (*Dump, *scan, error) {
	s := c.scan
	due := !start.Before(c.scanDue)
	if due && c.dump == nil {
		s, due = c.scanProc(start), false
	}
	d, err := c.host.dump(c.options, c.others(s))
	if err == nil && due && (s.lacks(d) || start.Sub(c.scanTime) > scanAnyway) {
		s = c.scanProc(start)
		s.miss(d)
		if len(s.cgroups) > 0 {
			c.host.cgroups(s.cgroups)
		}
	}
	return d, s, err
}

// others returns the network namespaces to ask besides the own one.
func (c *Cache) others(s *scan) []Namespace {
	if c.options.OnlyOwn {
		return nil
	}
	return s.namespaces
}

// scanProc scans /proc. Where that fails, what was known stays; the scan is the
// caller's alone to change.
func (c *Cache) scanProc(start time.Time) *scan {
	s, err := c.host.scan(c.scan)
	if err != nil {
		known := *c.scan
		s = &known
	}
	c.mu.Lock()
	c.scanErr = err
	c.mu.Unlock()
	spent := share * time.Since(start)
	c.scanTime, c.scanDue, c.scanSoon = start, start.Add(max(scanEvery, spent)), start.Add(max(dumpEvery, spent))
	return s
}

// lacks reports whether a socket is held by somebody that the scan has not
// seen and may find.
func (s *scan) lacks(d *Dump) bool {
	for i := range d.Sockets {
		inode := d.Sockets[i].Inode
		if _, missed := s.missed[inode]; inode != 0 && !missed && s.holders[inode].process == nil {
			return true
		}
	}
	return false
}

// miss notes whose holders a scan after the dump did not find: the kernel's own
// sockets, and those of processes that may not be seen. It is useless to look
// for them again, but their cgroup may tell the container. So may that of an
// orphan.
func (s *scan) miss(d *Dump) {
	s.missed, s.cgroups = map[uint32]struct{}{}, map[uint64]string{}
	for i := range d.Sockets {
		x := &d.Sockets[i]
		if s.holders[x.Inode].process != nil {
			continue
		}
		if x.Inode != 0 {
			s.missed[x.Inode] = struct{}{}
		}
		if x.Cgroup > 1 { // 1 is the root
			s.cgroups[x.Cgroup] = ""
		}
	}
}

// present returns the owner of a socket of the dump.
func (c *Cache) present(i int, p pair) (o Owner, ok bool) {
	s := &c.dump.Sockets[i]
	h := c.held[i]
	switch {
	case h.process != nil:
		o = h.owner(Holds)
	case !s.Accepted():
		if o, ok = c.listener(s.Local, s.Namespace); !ok {
			return o, false
		}
	default:
		if was, ok := c.past.find(p); ok && was.cookie == s.Cookie {
			o = was.holder.owner(Held)
			o.UID = was.uid
		} else if s.Kind == KindTimeWait {
			return o, false // it tells nothing
		}
	}
	if s.UID != 0 || o.Process == nil {
		o.UID = s.UID
	}
	if o.Process == nil {
		o.Container = containerOf(c.scan.cgroups[s.Cgroup])
	}
	o.State, o.Seen = s.State, c.dump.End
	if c.dump.alike != nil {
		o.Alike = int(c.dump.alike[p])
	}
	return o, true
}

// gone returns the owner of a socket that is in no dump any more, or never was.
func (c *Cache) gone(local, remote netip.AddrPort) (Owner, bool) {
	if was, ok := c.past.find(pairOf(local, remote)); ok && c.dump.Start-was.seen < int64(remembered) {
		o := was.holder.owner(Held)
		o.UID, o.State, o.Seen = was.uid, was.state, was.seen
		return o, true
	}
	return c.listener(local, 0)
}

// listener returns the holder of the listener that takes connections to an end.
// namespace 0 is any.
func (c *Cache) listener(at netip.AddrPort, namespace uint64) (Owner, bool) {
	i := c.dump.listener(at, namespace)
	if i < 0 || c.held[i].process == nil {
		return Owner{}, false
	}
	o := c.held[i].owner(Listens)
	o.UID = c.dump.Sockets[i].UID
	return o, true
}

// remember keeps who held the sockets that the new dump has no more, or has
// without a descriptor.
func (c *Cache) remember(d *Dump) {
	for i, h := range c.held {
		s := &c.dump.Sockets[i]
		if h.process == nil || s.State == analyzer.Listen {
			continue
		}
		if j := d.Index(s.Local, s.Remote); j < 0 || d.Sockets[j].Inode != s.Inode {
			c.past.add(pairOf(s.Local, s.Remote), former{h, s.Cookie, s.UID, s.State, c.dump.End})
		}
	}
}

const (
	// remembered is for how long a socket that is gone keeps its owner.
	remembered = 10 * time.Minute
	// maxPast bounds how many do. The oldest makes room.
	maxPast = 1 << 16
)

// former is what is remembered of a socket.
type former struct {
	holder holder
	cookie uint64
	uid    uint32
	state  analyzer.State
	seen   int64
}

// past is a ring of them.
type past struct {
	at   map[pair]int
	ring []struct {
		pair
		former
	}
	next int
}

func (p *past) add(k pair, f former) {
	if i, ok := p.at[k]; ok {
		p.ring[i].former = f
		return
	}
	if len(p.ring) < maxPast {
		p.ring = append(p.ring, struct {
			pair
			former
		}{})
	} else {
		delete(p.at, p.ring[p.next].pair)
	}
	p.ring[p.next].pair, p.ring[p.next].former = k, f
	p.at[k] = p.next
	p.next = (p.next + 1) % maxPast
}

func (p *past) find(k pair) (former, bool) {
	i, ok := p.at[k]
	if !ok {
		return former{}, false
	}
	return p.ring[i].former, true
}
