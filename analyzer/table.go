package analyzer

import "time"

// A flow rests in one list by what it waits for; a list has one limit, and a
// flow goes to its back when touched, so that the front is the next to expire.
const (
	listHandshake = iota // a side is in SYN_SENT or SYN_RECEIVED
	listClosed           // both sides are CLOSED, LISTEN or in TIME_WAIT
	listOpen             // everything else waits for no timer
	numLists
)

type list struct {
	front, back uint32 // ids
	len         int
	limit       int64 // ns; 0: never
}

// A flow that is held has an id, by which the index, the lists and other flows'
// places know it whether it is awake, a Flow to work with, or dormant.
type entry struct {
	queued        int64  // when it was put into its list
	before, after uint32 // in its list; of an id that is free, after is the next such
	where         uint32 // the place among those awake, or the piece of the arena
	list          uint8
	dormant       bool
	states        [2]State // of client and server
}

// place is what a flow that is awake has besides.
type place struct {
	turn   uint64 // the tracker's, when it was last asked for
	id     uint32
	paired bool // two flows share its pair: it stays awake
	asleep bool // it went to sleep, and left memory behind
}

// rules are what a Tracker says of all its flows alike.
type rules struct {
	limits  *Limits
	profile *Profile
	lost    losses // by who captures
}

// entriesChunk is how many entries are allocated at once, so that the table
// grows without moving.
const entriesChunk = 1 << 12

func (t *Tracker) entry(id uint32) *entry { return &t.entries[id/entriesChunk][id%entriesChunk] }

// newID takes an id that is free.
func (t *Tracker) newID() uint32 {
	if id := t.freeID; id != 0 {
		t.freeID = t.entry(id).after
		return id
	}
	t.lastID++
	if int(t.lastID/entriesChunk) == len(t.entries) {
		t.entries = append(t.entries, new([entriesChunk]entry))
	}
	return t.lastID
}

// DefaultAwake is how many flows are ready to be worked with at once. Their
// memory is some 25 MB; a flow that rests takes a fifth.
const DefaultAwake = 1 << 13

// get returns a flow that is held. It is valid until the tracker's next turn.
func (t *Tracker) get(id uint32) *Flow {
	e := t.entry(id)
	if e.dormant {
		at := t.makePlace()
		f := t.awake[at]
		f.id = id
		t.wake(e, f)
		e.where, e.dormant = at, false
	}
	f := t.awake[e.where]
	f.turn, t.recent[e.where] = t.turn, true
	return f
}

// find returns the flow of a key, nil when there is none.
func (t *Tracker) find(k *Key) *Flow {
	return t.findTagged(k, t.index.tag(k))
}

// findTagged is find where the key's tag is known.
func (t *Tracker) findTagged(k *Key, tag uint32) *Flow {
	if id := t.index.get(t, k, tag); id != 0 {
		return t.get(id)
	}
	return nil
}

// makePlace returns a place for one more flow that is awake; what is there is
// nobody's. When there is none, a flow that was not asked for lately goes to
// sleep: the hand goes round, and passes over those that were since it last came
// by.
func (t *Tracker) makePlace() uint32 {
	if n := len(t.free); n > 0 {
		at := t.free[n-1]
		t.free = t.free[:n-1]
		if t.awake[at] == nil {
			t.awake[at] = t.makeFlow()
		}
		return at
	}
	if len(t.awake) >= t.cfg.Awake {
		for range 2 * len(t.awake) {
			if t.clock++; t.clock == len(t.awake) {
				t.clock = 0
			}
			if t.recent[t.clock] {
				t.recent[t.clock] = false
			} else if f := t.awake[t.clock]; f.turn != t.turn && !f.paired {
				t.sleep(f)
				return uint32(t.clock)
			}
		}
	}
	t.awake, t.recent = append(t.awake, t.makeFlow()), append(t.recent, false)
	return uint32(len(t.awake) - 1)
}

// roomy is a flow with room for the lists of an ordinary connection: one piece of
// memory, where lists that grow would take several and leave half of them.
type roomy struct {
	Flow
	transitions [12]Transition
	remarks     [2]Remark
	inbox       [2][2]input
}

// flowsChunk is how many flows are allocated at once: the heap would round each up.
const flowsChunk = 32

// makeFlow returns an empty flow: one that was delivered, or a new one.
func (t *Tracker) makeFlow() *Flow {
	if s := t.share; s != nil && len(s.spare) > 0 {
		n := len(s.spare) - 1
		f := s.spare[n]
		s.spare = s.spare[:n]
		return f
	}
	if len(t.unused) == 0 {
		t.unused = make([]roomy, flowsChunk)
	}
	r := &t.unused[0]
	t.unused = t.unused[1:]
	f := &r.Flow
	f.rules = t.rules
	f.Transitions, f.Remarks = r.transitions[:0], r.remarks[:0]
	for s := range f.Sides {
		f.Sides[s].inbox = r.inbox[s][:0:len(r.inbox[s])]
	}
	return f
}

// drop lets go of a flow: nothing knows it any more.
func (t *Tracker) drop(f *Flow) {
	t.release(f.id)
	f.reset()
}

// release makes an id and its place free.
func (t *Tracker) release(id uint32) {
	if t.wheel != nil {
		t.wheel.remove(id)
	}
	e := t.entry(id)
	t.free = append(t.free, e.where)
	*e = entry{after: t.freeID}
	t.freeID = id
}

// limits sets how long each list lets a flow rest untouched. A closed flow
// rests for 2 MSL too: late segments of it must find it.
func (t *Tracker) limits() {
	p := t.cfg.Profile
	t.lists[listHandshake].limit = int64(max(p.SynSent, p.SynReceived) + time.Second)
	t.lists[listClosed].limit = int64(p.TimeWait + time.Second)
}

// push puts a flow at the back of a list.
func (t *Tracker) push(id uint32, to uint8) {
	l, e := &t.lists[to], t.entry(id)
	e.list, e.queued, e.before, e.after = to, t.now, l.back, 0
	if l.limit != 0 {
		t.due = min(t.due, t.now+l.limit)
	}
	if l.back != 0 {
		t.entry(l.back).after = id
	} else {
		l.front = id
	}
	l.back = id
	l.len++
}

// unlist takes a flow out of its list.
func (t *Tracker) unlist(id uint32) {
	e := t.entry(id)
	l := &t.lists[e.list]
	if e.before != 0 {
		t.entry(e.before).after = e.after
	} else {
		l.front = e.after
	}
	if e.after != 0 {
		t.entry(e.after).before = e.before
	} else {
		l.back = e.before
	}
	l.len--
}

// enlist puts a flow where its states say it waits. It is the last thing that is
// done with a flow in a turn.
func (t *Tracker) enlist(f *Flow) {
	to := uint8(listOpen)
	a, b := f.Sides[0].State, f.Sides[1].State
	switch {
	case resting(a) && resting(b):
		to = listClosed
	case a == SynSent || a == SynReceived || b == SynSent || b == SynReceived:
		to = listHandshake
	}
	e := t.entry(f.id)
	e.states = [2]State{f.Sides[f.Client].State, f.Sides[f.Server()].State}
	if e.list == to && to == listOpen {
		return
	}
	t.unlist(f.id)
	t.push(f.id, to)
	if to == listClosed && len(t.awake) >= t.cfg.Awake && f.older == nil && !f.paired {
		t.retire(f)
	}
}

// retire puts a flow to sleep that most likely has had its last segment: what is
// to be packed is in the caches now, and the place goes to one that needs it.
func (t *Tracker) retire(f *Flow) {
	at := t.entry(f.id).where
	t.sleep(f)
	t.free = append(t.free, at)
}

func resting(s State) bool { return gone(s) || s == TimeWait }

// gone reports whether a side holds no connection, as far as anybody knows.
func gone(s State) bool { return s == Closed || s == Listen || s == Unknown }

// open begins a flow for x, or returns nil when x begins none: a lone RST is
// of a connection that the capture knows nothing of. A RST+ACK with SEQ 0
// reveals a SYN that the tap missed (RFC 9293 3.10.7.1).
func (t *Tracker) open(k Key, s Side, x *Segment) *Flow {
	refusal := x.Flags&(RST|ACK) == RST|ACK && x.Seq == 0
	if x.Flags&RST != 0 && !refusal {
		return nil
	}
	f := t.alloc()
	f.Key, f.Number, f.ReplacedBy = k, t.nextNumber(f.id), -1
	for s := range Side(2) {
		f.begin(s, Unknown, Assumed, 0)
	}
	f.reuse = t.index.put(t, &k, f.id)
	t.enterPath(k)
	if x.Flags&(SYN|RST|ACK) == 0 {
		t.push(f.id, listClosed) // it opens nothing
	} else {
		t.push(f.id, listOpen)
	}
	f.Client, f.Guessed = t.guessClient(k, s), true
	if refusal {
		f.meetAnswer(s, x)
	}
	return f
}

// nextNumber returns the number of a new flow.
func (t *Tracker) nextNumber(id uint32) int {
	if t.share != nil {
		return t.share.flows.add(t.share.place, id)
	}
	t.number += t.cfg.NumberStep
	return t.number - t.cfg.NumberStep
}

// takeBack makes a number free again where nobody has seen it.
func (t *Tracker) takeBack(number int) {
	switch {
	case t.share != nil && provisional(number):
		b := t.share.flows.of(number)
		b.id, b.gone = 0, true
	case t.share == nil && number == t.number-t.cfg.NumberStep:
		t.number = number
	}
}

func (t *Tracker) held() (n int) {
	for i := range t.lists {
		n += t.lists[i].len
	}
	return n
}

// room hands on the flows that can best be spared, until there is room for
// one more.
func (t *Tracker) room() {
	for t.held() >= t.cfg.MaxFlows {
		t.totals.Evicted++
		t.finish(t.spare())
	}
}

// passedOver is how many flows with findings are passed over for one without.
const passedOver = 8

// spare returns the flow that can best be spared, of those that are held: the
// lists are in that order. An open one with findings is what somebody looks for,
// and goes to the back of its list, which has no limit, so that its order is
// nothing but this.
func (t *Tracker) spare() (f *Flow) {
	for i := range t.lists {
		l := &t.lists[i]
		for tries := 0; l.front != 0; tries++ {
			f = t.get(l.front)
			if l.limit != 0 || tries == passedOver || len(f.Findings)+len(f.told) == 0 {
				return f
			}
			list := t.entry(f.id).list
			t.unlist(f.id)
			t.push(f.id, list)
		}
	}
	return f
}

// alloc returns an empty flow with an id.
func (t *Tracker) alloc() *Flow {
	at, id := t.makePlace(), t.newID()
	*t.entry(id) = entry{where: at}
	f := t.awake[at]
	if f.asleep {
		f.reset()
	}
	f.id, f.turn, t.recent[at] = id, t.turn, true
	return f
}

// guessClient says who opened a flow whose SYN may never be seen: not the side
// that has accepted others, not the one with a registered port, not the one
// with the lower port; else the first to speak.
func (t *Tracker) guessClient(k Key, first Side) Side {
	var listens [2]bool
	for s := range listens {
		_, listens[s] = t.listeners[listener{k.Addr[s], k.Port[s]}]
	}
	const registered = 1024 // system ports, RFC 6335 6
	low := [2]bool{k.Port[0] < registered, k.Port[1] < registered}
	switch {
	case listens[0] != listens[1]:
		return clientOf(listens[0])
	case low[0] != low[1]:
		return clientOf(low[0])
	case k.Port[0] != k.Port[1]:
		return clientOf(k.Port[0] < k.Port[1])
	}
	return first
}

func clientOf(zeroIsServer bool) Side {
	if zeroIsServer {
		return 1
	}
	return 0
}

// expire handles a flow whose list's limit has passed: its timers run out, and
// when both sides are then done it is handed on.
func (t *Tracker) expire(f *Flow) {
	f.release(0, t.now, false)
	f.release(1, t.now, false)
	f.timeouts(t.cfg.Profile, t.now)
	t.tellMoves(f)
	if gone(f.Sides[0].State) && gone(f.Sides[1].State) {
		t.finish(f)
		return
	}
	t.enlist(f)
}

// timeouts applies the timers of the profile: what a kernel does without a
// packet is assumed once its time has passed.
func (f *Flow) timeouts(p *Profile, now int64) {
	for s := range Side(2) {
		e := &f.Sides[s]
		rest := int64(p.rest(e.State))
		if rest == 0 || e.Since == 0 {
			continue
		}
		from := e.Since
		if e.State == TimeWait {
			from = max(from, e.timeWait)
		}
		if now-from <= rest {
			continue
		}
		at := passing{time: from + rest}
		f.queue(s, input{on: Timeout, basis: Assumed, first: at, last: at})
	}
}

// finish hands a flow on and takes its memory back.
func (t *Tracker) finish(f *Flow) {
	if f.refuted() {
		t.dissolve(f)
		return
	}
	if f.older != nil {
		t.finish(f.older)
	}
	t.end(f)
	if t.share != nil {
		t.share.end(t, f)
	} else {
		t.drop(f)
	}
}

// end says the last of a flow, and hands it on.
func (t *Tracker) end(f *Flow) {
	if g := t.find(&f.Key); g != f && g.refuted() {
		t.dissolve(g)
	} else if g != f {
		g.older, g.paired = nil, false // the youngest of a pair is always in the index
	}
	t.unlist(f.id)
	if t.index.remove(t, &f.Key, f.id) {
		t.leavePath(f)
	}
	t.remember(f)
	f.Now = t.now
	for s := range Side(2) {
		f.release(s, t.now, true)
		f.hiddenACK(s, t.now)
	}
	f.timeouts(t.cfg.Profile, t.now)
	t.tellMoves(f)
	f.summarise()
	t.tellHandshake(f)
	if t.streams != nil {
		f.Wireshark = t.streams.result(f)
	}
	t.judgeEnd(f)
	if t.cfg.OnFinding != nil {
		t.tell(f, f.Findings)
	}
	if t.cfg.OnFlow != nil {
		t.cfg.OnFlow(f)
	}
	t.streams.release(f)
}

// judgeEnd has the detectors look at a flow's end, unless there is nothing to see.
func (t *Tracker) judgeEnd(f *Flow) {
	if f.orderly() {
		return
	}
	for _, d := range t.ends {
		d.End(d, f)
	}
}

// remember keeps who listens, for flows that the capture meets midway.
func (t *Tracker) remember(f *Flow) {
	if f.Guessed || len(t.listeners) >= maxListeners {
		return
	}
	s := f.Server()
	l := listener{f.Key.Addr[s], f.Key.Port[s]}
	if _, known := t.listeners[l]; !known {
		t.listeners[l] = struct{}{}
		if t.share != nil {
			t.share.heard = append(t.share.heard, l)
		}
	}
}

// reset empties a flow for its next use and keeps the memory of its lists.
func (f *Flow) reset() {
	transitions, findings, remarks, mirrors := f.Transitions[:0], f.Findings[:0], f.Remarks[:0], f.mirrors[:0]
	inbox := [2][]input{f.Sides[0].inbox[:0], f.Sides[1].inbox[:0]}
	zeek, rules, told := f.zeek, f.rules, f.told[:0]
	zeek.reset()
	*f = Flow{}
	f.Transitions, f.Findings, f.Remarks, f.mirrors = transitions, findings, remarks, mirrors
	f.Sides[0].inbox, f.Sides[1].inbox = inbox[0], inbox[1]
	f.zeek, f.rules, f.told = zeek, rules, told
}
