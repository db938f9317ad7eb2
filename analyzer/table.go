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
	front, back *Flow
	len         int
	limit       int64 // ns; 0: never
}

// limits sets how long each list lets a flow rest untouched. A closed flow
// rests for 2 MSL too: late segments of it must find it.
func (t *Tracker) limits() {
	p := t.cfg.Profile
	t.lists[listHandshake].limit = int64(max(p.SynSent, p.SynReceived) + time.Second)
	t.lists[listClosed].limit = int64(p.TimeWait + time.Second)
}

func (l *list) push(f *Flow) {
	f.before, f.after = l.back, nil
	if l.back != nil {
		l.back.after = f
	} else {
		l.front = f
	}
	l.back = f
	l.len++
}

func (l *list) remove(f *Flow) {
	if f.before != nil {
		f.before.after = f.after
	} else {
		l.front = f.after
	}
	if f.after != nil {
		f.after.before = f.before
	} else {
		l.back = f.before
	}
	f.before, f.after = nil, nil
	l.len--
}

// enlist puts a flow where its states say it waits.
func (t *Tracker) enlist(f *Flow) {
	to := uint8(listOpen)
	a, b := f.Sides[0].State, f.Sides[1].State
	switch {
	case resting(a) && resting(b):
		to = listClosed
	case a == SynSent || a == SynReceived || b == SynSent || b == SynReceived:
		to = listHandshake
	}
	if f.list == to && to == listOpen {
		return
	}
	t.lists[f.list].remove(f)
	f.list, f.queued = to, t.now
	t.lists[to].push(f)
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
	f.Key, f.Number, f.ReplacedBy = k, t.number, -1
	f.limits, f.profile = t.cfg.Stuck, t.cfg.Profile
	for s := range Side(2) {
		f.begin(s, Unknown, Assumed, 0)
	}
	t.number++
	f.reuse = t.flows[k] != nil
	t.flows[k] = f
	t.enterPath(k)
	f.list, f.queued = listOpen, t.now
	if x.Flags&(SYN|RST|ACK) == 0 {
		f.list = listClosed // it opens nothing
	}
	t.lists[f.list].push(f)
	f.Client, f.Guessed = t.guessClient(k, s), true
	if refusal {
		f.meetAnswer(s, x)
	}
	return f
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
		for i := range t.lists {
			if f := t.lists[i].front; f != nil {
				t.totals.Evicted++
				t.finish(f)
				break
			}
		}
	}
}

func (t *Tracker) alloc() *Flow {
	if n := len(t.free); n > 0 {
		f := t.free[n-1]
		t.free = t.free[:n-1]
		return f
	}
	return new(Flow)
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
	if g := t.flows[f.Key]; g != f && g.refuted() {
		t.dissolve(g)
	} else if g != f {
		g.older = nil // the youngest of a pair is always in the table
	}
	t.lists[f.list].remove(f)
	if t.flows[f.Key] == f {
		delete(t.flows, f.Key)
		t.leavePath(f)
	}
	t.remember(f)
	f.Now = t.now
	for s := range Side(2) {
		f.release(s, t.now, true)
		f.hiddenACK(s, t.now)
	}
	f.timeouts(t.cfg.Profile, t.now)
	f.summarise()
	if !f.orderly() {
		for _, d := range t.ends {
			d.End(d, f)
		}
	}
	if t.cfg.OnFlow != nil {
		t.cfg.OnFlow(f)
	}
	if f.stream != nil {
		t.streams.release(f.stream)
	}
	f.reset()
	t.free = append(t.free, f)
}

// remember keeps who listens, for flows that the capture meets midway.
func (t *Tracker) remember(f *Flow) {
	if f.Guessed || len(t.listeners) >= maxListeners {
		return
	}
	s := f.Server()
	t.listeners[listener{f.Key.Addr[s], f.Key.Port[s]}] = struct{}{}
}

// reset empties a flow for its next use and keeps the memory of its lists.
func (f *Flow) reset() {
	transitions, findings, remarks, mirrors := f.Transitions[:0], f.Findings[:0], f.Remarks[:0], f.mirrors[:0]
	inbox := [2][]input{f.Sides[0].inbox[:0], f.Sides[1].inbox[:0]}
	f.zeek.reset()
	*f = Flow{Transitions: transitions, Findings: findings, Remarks: remarks, tracked: tracked{mirrors: mirrors, zeek: f.zeek}}
	f.Sides[0].inbox, f.Sides[1].inbox = inbox[0], inbox[1]
}
