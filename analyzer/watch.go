package analyzer

import "time"

// What a detector says of a segment is known at once, and what it says of a
// flow's end is known late: a connection that nobody closes has none. So where
// somebody waits for findings (Config.OnFinding), a flow with a side that should
// not stay where it is is looked at as if the capture ended, once it has been
// there for as long as Config.Stuck allows; and one that is closed, soon after.

// told names a finding that OnFinding was given.
type told struct {
	detector *Detector
	side     Side
	severity Severity
}

// watched says until when each side may rest where it is: 0 where it may for ever.
func (f *Flow) watched() (due int64) {
	a, b := &f.Sides[0], &f.Sides[1]
	switch {
	case f.replaced():
		return 0
	case resting(a.State) && resting(b.State):
		return f.End + afterClose
	}
	for s := range f.Sides {
		e := &f.Sides[s]
		limit := int64(f.limits[e.State])
		if !unfinished(e) || limit <= 0 {
			continue
		}
		if at := max(e.Since, e.LastData, f.Start) + limit; due == 0 || at < due {
			due = at
		}
	}
	return due
}

// afterClose is how long after the last segment of a flow that is closed it is
// looked at: what was sent before that has arrived by then.
const afterClose = int64(time.Second)

// unfinished reports whether a side waits for somebody: of those that are
// established, one that does not let its peer send.
func unfinished(e *Endpoint) bool {
	switch e.State {
	case SynSent, SynReceived, FinWait1, FinWait2, CloseWait, Closing, LastAck:
		return true
	case Established:
		return e.stall() != nil
	}
	return false
}

// watch lets a flow be looked at when it is due, and tells what detectors have
// said of its last segment.
func (t *Tracker) watch(f *Flow) {
	t.tell(f, f.Findings)
	t.wheel.call(f.id, f.watched())
}

// look looks at flows whose time has come.
func (t *Tracker) look(now int64) {
	for {
		id := t.wheel.next(now)
		if id == 0 {
			return
		}
		t.turn++
		f := t.get(id)
		t.wheel.call(id, t.asIfEnded(f, now))
	}
}

// asIfEnded tells what detectors would say of a flow if the capture ended now,
// and returns when more is due; 0: not before its next segment. The flow stays as
// it is.
func (t *Tracker) asIfEnded(f *Flow, now int64) (due int64) {
	t.glance = *f
	g := &t.glance
	g.Findings = append(t.glanced[:0], f.Findings...)
	g.Now = now
	g.summarise()
	t.judgeEnd(g)
	t.tell(f, g.Findings)
	for i := range g.Findings {
		n := &g.Findings[i]
		if !n.Pending || n.Side == NoSide {
			continue
		}
		if left := int64(f.limits[f.Sides[n.Side].State]) - n.For; left > 0 && (due == 0 || now+left < due) {
			due = now + left
		}
	}
	t.glanced = g.Findings[:0]
	t.glance = Flow{}
	return due
}

// tell gives OnFinding what it was not given yet of a flow's findings, but for
// those that wait for their time.
func (t *Tracker) tell(f *Flow, list []Finding) {
	for i := range list {
		n := &list[i]
		if n.Pending || f.hasTold(n) {
			continue
		}
		f.told = append(f.told, told{n.Detector, n.Side, n.Severity})
		t.cfg.OnFinding(f, n)
	}
}

// Told reports whether Config.OnFinding was given a finding that says that the side
// is stuck.
func (f *Flow) Told(s Side) bool {
	for _, old := range f.told {
		if old.side == s && old.detector.Stuck {
			return true
		}
	}
	return false
}

func (f *Flow) hasTold(n *Finding) bool {
	for _, old := range f.told {
		if old.detector == n.Detector && old.side == n.Side {
			return true
		}
	}
	return false
}

// tellHandshake gives OnHandshake a flow of which it is known how it opened.
func (t *Tracker) tellHandshake(f *Flow) {
	if t.cfg.OnHandshake != nil && !f.opened {
		f.opened = true
		t.cfg.OnHandshake(f)
	}
}

// tellMoves gives OnTransition what has happened to a flow's states since it was
// last called for it.
func (t *Tracker) tellMoves(f *Flow) {
	if t.cfg.OnTransition == nil {
		return
	}
	for i := range f.Transitions {
		tr := &f.Transitions[i]
		back := tr.Withdrawn != nil
		if tr.told == !back && tr.toldBack == back {
			continue
		}
		tell := !back || tr.told
		tr.told, tr.toldBack = !back, back
		if tell {
			t.cfg.OnTransition(f, tr)
		}
	}
}
