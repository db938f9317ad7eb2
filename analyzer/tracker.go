package analyzer

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Config says how a Tracker works. The zero value works.
type Config struct {
	// Profile gives the timers that no packet shows; nil is Profiles[0].
	Profile *Profile
	// Stuck says how long a side may rest silent in a state before a finding
	// calls it stuck; nil is DefaultLimits of the profile.
	Stuck *Limits
	// MaxFlows bounds the flows held at once; 0 is DefaultMaxFlows. Beyond
	// it the flow that has waited longest is handed on early: half-open ones
	// first, then closed ones, then any, those with findings last.
	MaxFlows int
	// Awake is how many of them are held ready; the others are packed, to take
	// less memory, and unpacked when a segment of theirs comes. 0 is
	// DefaultAwake. Results do not depend on it.
	Awake int
	// Peers asks for what other tools say of each flow: Flow.Zeek,
	// Flow.Wireshark and the counters that are Wireshark's. It costs time and
	// memory for each flow.
	Peers bool
	// FirstNumber is the number of the first flow, and NumberStep what is added
	// for each further one; 0 is 1. Trackers that share the flows of one capture
	// number them apart by it.
	FirstNumber, NumberStep int
	// OnFlow is given each flow as it ends; the flows that the capture's end
	// cuts off come last, by number.
	OnFlow func(*Flow)
	// OnFinding, if set, is given each finding about one flow as soon as it is
	// known, once for a detector and side: those of a segment with it, those of
	// a side that is stuck when its time has passed (Advance), and the others
	// before the flow is given to OnFlow. A later segment may take back what
	// such a finding rests on; then OnFlow's flow does not have it.
	OnFinding func(*Flow, *Finding)
	// OnHandshake, if set, is given each flow once, when the result of its
	// handshake is known: when both sides have proved that they are ESTABLISHED,
	// or else before OnFlow. Flow.Handshake is filled in by then.
	OnHandshake func(*Flow)
	// OnTransition, if set, is given each change of a side's state when it is
	// known, those that timers make included (Advance), and given it again when it
	// is taken back: Transition.Withdrawn is then set. What is taken back as soon
	// as it is made is not given.
	OnTransition func(*Flow, *Transition)
	// OnStep, if set, is given each step of every flow.
	OnStep func(*Step)
	// Detectors are what looks for findings; nil is Detectors.
	Detectors []*Detector
}

// DefaultMaxFlows bounds the memory of a Tracker whose Config does not.
const DefaultMaxFlows = 4 << 20

// Limits say how long a side may rest in each state before it counts as
// stuck.
type Limits [NumStates]time.Duration

// DefaultLimits are 30 s for the closing states, and the profile's last retry
// for those of the handshake.
func DefaultLimits(p *Profile) *Limits {
	var l Limits
	for s := range l {
		l[s] = 30 * time.Second
	}
	l[SynSent], l[SynReceived] = p.SynSent, p.SynReceived
	return &l
}

// Totals count what a Tracker has seen.
type Totals struct {
	Segments          uint64
	CaptureDuplicates uint64
	Flows             int    // begun
	Open              int    // held now
	Evicted           uint64 // handed on early because MaxFlows was reached
	Strays            uint64 // segments that began no flow: lone RSTs
	TimeBackwards     uint64 // segments older than the one before them
}

// Tracker rebuilds the states of both sides of every flow from the segments
// that it is given, in capture order. It is not safe for concurrent use.
type Tracker struct {
	cfg       Config
	rules     *rules      // known to every flow
	wants     Facts       // of all detectors
	ends      []*Detector // those that look at a flow's end
	lists     [numLists]list
	listeners map[listener]struct{}
	paths     map[Key]uint32 // of the flows on a path: by the pair, the first
	mirrors   map[Key]Key    // pairs on a path that repeat those of another
	now       int64          // the highest capture time seen
	due       int64          // no list lets a flow rest for less
	number    int
	totals    Totals
	step      Step
	streams   *conversations // nil without Config.Peers
	wheel     *wheel         // nil without Config.OnFinding
	glance    Flow           // see watch.go
	glanced   []Finding

	// The flows held: see table.go and dormant.go.
	index    index
	entries  []*[entriesChunk]entry
	lastID   uint32
	freeID   uint32
	awake    []*Flow
	recent   []bool // of each of them: it was asked for since the hand came by
	unused   []roomy
	scratch  *Flow    // of Each
	blank    Flow     // what it is when it is no flow
	free     []uint32 // places without a flow
	clock    int      // goes round the places, and looks who can sleep
	touched  uint64   // see foresee.go
	expected int
	turn     uint64 // counts the occasions on which flows are asked for
	arena    arena
	rests    map[uint32]*rest
	writer   wordWriter
	reader   wordReader
	share    *share // nil: it is no part of Shards
}

// listener is an endpoint that has been seen to accept connections.
type listener struct {
	addr Addr
	port uint16
}

// maxListeners bounds what the tracker remembers of them.
const maxListeners = 1 << 16

// New returns a Tracker.
func New(cfg Config) *Tracker {
	if cfg.Profile == nil {
		cfg.Profile = &Profiles[0]
	}
	if cfg.Stuck == nil {
		cfg.Stuck = DefaultLimits(cfg.Profile)
	}
	if cfg.MaxFlows <= 0 {
		cfg.MaxFlows = DefaultMaxFlows
	}
	if cfg.Detectors == nil {
		cfg.Detectors = Detectors
	}
	if cfg.Awake <= 0 {
		cfg.Awake = DefaultAwake
	}
	cfg.NumberStep = max(cfg.NumberStep, 1)
	t := &Tracker{cfg: cfg, number: cfg.FirstNumber, listeners: make(map[listener]struct{}),
		paths: make(map[Key]uint32), mirrors: make(map[Key]Key),
		index: newIndex(), rests: make(map[uint32]*rest), rules: &rules{limits: cfg.Stuck, profile: cfg.Profile}}
	t.arena.moved = func(id, ref uint32) { t.entry(id).where = ref }
	if cfg.OnFinding != nil {
		t.wheel = new(wheel)
	}
	if cfg.Peers {
		t.streams = newConversations(conversationsKept, nil)
	}
	for _, d := range cfg.Detectors {
		t.wants |= d.Wants
		if d.End != nil {
			t.ends = append(t.ends, d)
		}
	}
	t.limits()
	return t
}

// Totals returns the counts so far.
func (t *Tracker) Totals() Totals {
	n := t.totals
	n.Flows = (t.number - t.cfg.FirstNumber) / t.cfg.NumberStep
	for i := range t.lists {
		n.Open += t.lists[i].len
	}
	return n
}

// KeyOf returns the key of a segment's flow and the side that sent it.
func KeyOf(x *Segment) (Key, Side) {
	return keyOf(&x.Src, &x.Dst, x.SrcPort, x.DstPort, x.Path)
}

func keyOf(src, dst *Addr, sport, dport uint16, path uint32) (k Key, s Side) {
	a, b := src.halves(), dst.halves()
	if a[0] < b[0] || a[0] == b[0] && (a[1] < b[1] || a[1] == b[1] && sport <= dport) {
		return Key{[2]Addr{*src, *dst}, [2]uint16{sport, dport}, path}, 0
	}
	return Key{[2]Addr{*dst, *src}, [2]uint16{dport, sport}, path}, 1
}

// self reports whether one socket is both ends: connected to itself, by a
// simultaneous open (RFC 9293 3.5). What it sends, either side sends.
func (k *Key) self() bool { return k.Addr[0] == k.Addr[1] && k.Port[0] == k.Port[1] }

// Observe takes one segment, in capture order. It does not keep x.
func (t *Tracker) Observe(x *Segment) {
	k, s := KeyOf(x)
	t.observe(k, s, t.index.tag(&k), x)
}

// observe is Observe where the key is known, with the tag that it has in the
// index.
func (t *Tracker) observe(k Key, s Side, tag uint32, x *Segment) {
	t.totals.Segments++
	if x.Time < t.now {
		t.totals.TimeBackwards++
	}
	t.Advance(x.Time)
	t.turn++
	f := t.findTagged(&k, tag)
	if f == nil {
		if f = t.mirrored(k, s, x); f != nil {
			k = f.Key
		}
	}
	var of *conversation
	var flags streamFlags
	if t.streams != nil {
		of, flags = t.streams.segment(&k, f, s, x)
	}
	f = t.choose(f, k, s, x)
	if f == nil {
		t.totals.Strays++
		return
	}
	before := [2]State{f.Sides[0].State, f.Sides[1].State}
	f.Sides[s].forget(t.now)
	f.timeouts(t.cfg.Profile, t.now)
	f.note(s, x)
	if t.streams != nil {
		t.tellPeers(f, s, x, of, flags)
	}
	facts := f.take(s, x)
	if k.self() {
		f.take(s.Peer(), x)
	}
	if facts&FactCaptureDuplicate != 0 {
		t.totals.CaptureDuplicates++
	}
	t.after(f, s, x, facts, before)
}

// after does what follows each segment, once its flow has taken it.
func (t *Tracker) after(f *Flow, s Side, x *Segment, facts Facts, before [2]State) {
	if f.reuse {
		facts |= FactReuse
		f.reuse = false
	}
	if rare := facts &^ usual; rare != 0 {
		f.remarkAll(rare, s, x)
	}
	if f.older != nil {
		t.succeed(f)
	}
	if facts&t.wants != 0 || t.cfg.OnStep != nil {
		t.hand(f, s, x, facts)
	}
	t.tellMoves(f)
	if t.cfg.OnHandshake != nil && !f.opened && f.establishedAt != 0 &&
		f.Sides[0].proven >= Established && f.Sides[1].proven >= Established {
		f.summariseHandshake()
		t.tellHandshake(f)
	}
	if t.wheel != nil {
		t.watch(f)
	}
	if f.Sides[0].State != before[0] || f.Sides[1].State != before[1] || t.entry(f.id).list != listOpen {
		t.enlist(f)
	}
}

// succeed lets a flow take over its pair from the older one: when its SYN is
// answered, when the old one is over after all, and for good when it is
// established.
func (t *Tracker) succeed(f *Flow) {
	a, b := &f.Sides[0], &f.Sides[1]
	if f.candidate && (a.hasISN && b.hasISN || f.older.over()) {
		f.takeOver()
	}
	if !f.candidate && a.proven >= Established && b.proven >= Established {
		t.finish(f.older)
	}
}

// hand shows a step to whoever wants it.
func (t *Tracker) hand(f *Flow, s Side, x *Segment, facts Facts) {
	st := &t.step
	*st = Step{Flow: f, Segment: x, From: s, Facts: facts,
		State: [2]State{f.Sides[0].State, f.Sides[1].State},
		Basis: [2]Basis{f.Sides[0].Basis, f.Sides[1].Basis},
		Seq:   f.Sides[s].relative(x.Seq)}
	if x.Flags&ACK != 0 {
		st.Ack = f.Sides[s.Peer()].relative(x.Ack)
	}
	for _, d := range t.cfg.Detectors {
		if d.Wants&facts != 0 {
			d.Segment(d, st)
		}
	}
	if t.cfg.OnStep != nil {
		t.cfg.OnStep(st)
	}
}

// relative returns a number relative to the side's ISN; where the SYN was not
// captured, relative to the first number seen, taken for ISN+1.
func (e *Endpoint) relative(n Seq) uint32 {
	if !e.hasBase {
		e.base, e.hasBase = n-1, true
		if e.hasISN {
			e.base = e.isn
		}
	}
	return uint32(n - e.base)
}

// ObserveUnreachable takes one ICMP error that quotes a segment. It begins no
// flow.
func (t *Tracker) ObserveUnreachable(u *Unreachable) {
	t.Advance(u.Time)
	k, s := keyOf(&u.Src, &u.Dst, u.SrcPort, u.DstPort, u.Path)
	if t.streams != nil && u.HasFlags {
		t.streams.quote(&k, s, u)
	}
	t.turn++
	f := t.find(&k)
	if f == nil {
		k = k.plain() // a router on the way knows no tunnel
		f = t.find(&k)
	}
	if f == nil {
		return
	}
	f.takeUnreachable(s, u)
	t.tellMoves(f)
	if t.wheel != nil {
		t.watch(f)
	}
	t.enlist(f)
}

// Advance says that the capture's clock has reached now (ns since 1970-01-01
// UTC). The clock never goes back. Flows whose time is up are handed on.
func (t *Tracker) Advance(now int64) {
	if now <= t.now {
		return
	}
	for t.due < now {
		id, at := t.nextExpiry()
		if t.due = at; at >= now {
			break
		}
		t.turn++
		t.now = max(t.now, at+1)
		t.foreseeExpiry(&t.lists[t.entry(id).list])
		t.expire(t.get(id))
	}
	t.now = now
	if t.wheel != nil {
		t.look(now)
	}
}

// nextExpiry returns the flow whose list lets it rest no longer than at, before
// all others; id 0: there is none, and at is far away.
func (t *Tracker) nextExpiry() (id uint32, at int64) {
	at = math.MaxInt64
	for i := range t.lists {
		l := &t.lists[i]
		if l.front == 0 || l.limit == 0 {
			continue
		}
		if due := t.entry(l.front).queued + l.limit; due < at {
			id, at = l.front, due
		}
	}
	return id, at
}

// Close hands on every flow that is still held, by number. The Tracker must
// not be used afterwards.
func (t *Tracker) Close() {
	for _, r := range t.remaining() {
		t.turn++
		f := t.get(r.id)
		t.end(f)
		t.drop(f)
	}
}

// numbered is a flow that is held.
type numbered struct {
	number int
	id     uint32
}

// remaining returns the flows that are still held at the end, by number.
func (t *Tracker) remaining() []numbered {
	t.dissolveRefuted()
	rest := make([]numbered, 0, t.held())
	for i := range t.lists {
		for id := t.lists[i].front; id != 0; id = t.entry(id).after {
			rest = append(rest, numbered{t.numberOf(id), id})
		}
	}
	slices.SortFunc(rest, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	return rest
}

// dissolveRefuted gives the SYNs of candidates that came to nothing to the
// flows that they came upon, the last first.
func (t *Tracker) dissolveRefuted() {
	var refuted []*Flow
	for _, f := range t.awake {
		if f != nil && f.refuted() {
			refuted = append(refuted, f)
		}
	}
	slices.SortFunc(refuted, func(a, b *Flow) int { return cmp.Compare(b.Number, a.Number) })
	for _, f := range refuted {
		t.dissolve(f)
	}
}
