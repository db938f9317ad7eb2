package analyzer

import (
	"fmt"
	"slices"
)

// Loss is what a capturing host says it lost in a stretch of time.
type Loss struct {
	From, To int64  // ns since 1970-01-01 UTC; To is not before From
	Frames   uint64 // that came then, those dropped included
	Dropped  uint64 // of these, those that were not recorded
}

// lossTolerated is how many frames there are for each that is dropped, at the
// least, where the loss does not matter. One frame that is missing shows: TCP
// sends again what nobody acknowledges, and an ACK of what was not captured
// reveals it. A finding is wrong when a frame and what answers it are both
// missing. Drops come in bursts (a ring that is full takes nothing until it has
// room: packet(7)), so that the answer is often dropped with its frame: a
// capture that drops one frame in a thousand hides up to one FIN in a thousand.
const lossTolerated = 1000

// much reports whether so much was dropped that what is not in the capture may
// only be missing there.
func (l *Loss) much() bool { return l.Dropped > l.Frames/lossTolerated }

// add puts another loss to this one. A zero Loss is none.
func (l *Loss) add(o *Loss) {
	if *l == (Loss{}) {
		*l = *o
		return
	}
	l.From, l.To = min(l.From, o.From), max(l.To, o.To)
	l.Frames += o.Frames
	l.Dropped += o.Dropped
}

// checked believes the loss where its counts or times contradict each other: they
// are what a file says.
func (l Loss) checked() Loss {
	l.From, l.Frames = min(l.From, l.To), max(l.Frames, l.Dropped)
	return l
}

// String says how much was dropped.
func (l *Loss) String() string { return fmt.Sprintf("%d of %d frames", l.Dropped, l.Frames) }

// share is how much of the frames was dropped, in percent.
func (l *Loss) share() string {
	percent := 100 * float64(l.Dropped) / float64(max(l.Frames, 1))
	if percent < 0.1 {
		return "less than 0.1 %"
	}
	return fmt.Sprintf("%.1f %%", percent)
}

// maxLosses bounds the stretches of time that are kept.
const maxLosses = 64

// losses are the stretches of time in which much was dropped, in their order.
type losses struct{ much []Loss }

// take takes what was lost since the last time. A stretch that follows another
// is one with it. Beyond maxLosses the two oldest become one, with what is
// between them: what began so long ago rests on many frames, and few ask.
func (ls *losses) take(l Loss) {
	if !l.much() {
		return
	}
	if n := len(ls.much); n > 0 && l.From <= ls.much[n-1].To {
		ls.much[n-1].add(&l)
		return
	}
	ls.much = append(ls.much, l)
	if len(ls.much) > maxLosses {
		ls.much[0].add(&ls.much[1])
		ls.much = slices.Delete(ls.much, 1, 2)
	}
}

// between adds up the stretches that have a part in a time.
func (ls *losses) between(from, to int64) (sum Loss) {
	for i := range ls.much {
		if l := &ls.much[i]; l.From <= to && l.To >= from {
			sum.add(l)
		}
	}
	return sum
}

// Lose takes what the capturing host lost since the last time, as soon as that is
// known: about once a second, also when it was nothing. Where it is more than one
// frame in a thousand, findings that rest on what did not come meanwhile are less
// certain.
func (t *Tracker) Lose(l Loss) { t.rules.lost.take(l.checked()) }

// captured is what a Rollup knows of one capture.
type captured struct {
	name string
	all  Loss // since its beginning
	losses
}

// Lose counts what a capture lost, a file or an interface by its name, since the
// last time that it was told of this one: also when it was nothing.
func (r *Rollup) Lose(name string, l Loss) {
	i := slices.IndexFunc(r.captures, func(c captured) bool { return c.name == name })
	if i < 0 {
		i = len(r.captures)
		r.captures = append(r.captures, captured{name: name})
	}
	c, l := &r.captures[i], l.checked()
	c.all.add(&l)
	c.take(l)
}

// findings appends what there is to say of a capture.
func (c *captured) findings(all []Finding, detectors []*Detector) []Finding {
	for _, d := range detectors {
		n := Finding{Detector: d, Severity: d.Severity, Side: NoSide, Subject: c.name, Count: 1, Next: d.Next}
		if d.Lost != nil && d.Lost(&n, c.all, c.much) {
			all = append(all, n)
		}
	}
	return all
}
