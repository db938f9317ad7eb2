package expect

import (
	"fmt"
	"slices"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Story is an expected history and a real one, side by side.
type Story struct {
	Side  string
	Lines []StoryLine
	Says  string // where they part, in a sentence
}

// StoryLine is a state that is in one of the histories or in both.
type StoryLine struct {
	Mark byte // ' ' in both, '-' only expected, '+' only seen
	Text string
	Move *Move // the real one; nil with '-'
	At   int64 // when, after the flow's start, ns; negative: before it
}

// maxStory bounds the histories that are laid side by side.
const maxStory = 200

// tell lays the history of a side beside the pattern that is nearest to it.
func tell(want History, f *Flow, side int) *Story {
	got := f.History[side]
	var best []StoryLine
	least := -1
	for _, p := range want {
		lines, cost := align(p[:min(len(p), maxStory)], got[:min(len(got), maxStory)])
		if least < 0 || cost < least {
			best, least = lines, cost
		}
	}
	s := &Story{Side: sides[side], Lines: best}
	for i := range s.Lines {
		l := &s.Lines[i]
		if l.At = -1; l.Move != nil && l.Move.Time != 0 {
			l.At = l.Move.Time - f.Start
		}
	}
	s.Says = s.sentence(f, side)
	return s
}

// align lays states beside a pattern with as few as possible that are only in
// one of them, and says how few.
func align(p Pattern, got []Move) ([]StoryLine, int) {
	// cost[i][j] is that of what is left from p[i] and got[j] on.
	cost := make([][]int, len(p)+1)
	for i := range cost {
		cost[i] = make([]int, len(got)+1)
	}
	for i := len(p); i >= 0; i-- {
		for j := len(got); j >= 0; j-- {
			_, cost[i][j] = step(p, got, cost, i, j)
		}
	}
	var lines []StoryLine
	for i, j := 0, 0; i < len(p) || j < len(got); {
		mark, _ := step(p, got, cost, i, j)
		switch mark {
		case '-':
			lines = append(lines, StoryLine{Mark: '-', Text: p[i].String()})
			i++
			continue
		case '.':
			i++ // the run is over
			continue
		case ' ':
			if p[i] != nil {
				i++
			}
		}
		m := got[j]
		lines = append(lines, StoryLine{Mark: mark, Text: m.State.String(), Move: &m})
		j++
	}
	return lines, cost[0][0]
}

// step is what to do next, at p[i] and got[j], and what it costs from there on.
func step(p Pattern, got []Move, cost [][]int, i, j int) (byte, int) {
	atEnd := j == len(got)
	switch {
	case i == len(p) && atEnd:
		return '.', 0
	case i == len(p):
		return '+', 1 + cost[i][j+1]
	case p[i] == nil:
		// A run ends, or takes one more state.
		if !atEnd && cost[i][j+1] < cost[i+1][j] {
			return ' ', cost[i][j+1]
		}
		return '.', cost[i+1][j]
	case atEnd:
		return '-', 1 + cost[i+1][j]
	case p[i].has(got[j].State):
		return ' ', cost[i+1][j+1]
	case cost[i+1][j] <= cost[i][j+1]:
		return '-', 1 + cost[i+1][j]
	}
	return '+', 1 + cost[i][j+1]
}

// sentence says where the histories part.
func (s *Story) sentence(f *Flow, side int) string {
	at := slices.IndexFunc(s.Lines, func(l StoryLine) bool { return l.Mark != ' ' })
	if at < 0 {
		return ""
	}
	text := "The " + s.Side
	if at == 0 {
		text += " is not seen as expected from the beginning"
	} else {
		text += " goes as expected as far as " + s.Lines[at-1].Text + s.Lines[at-1].where()
	}
	next := s.Lines[at:]
	missing := slices.IndexFunc(next, func(l StoryLine) bool { return l.Mark != '+' })
	other := slices.IndexFunc(next, func(l StoryLine) bool { return l.Mark != '-' })
	switch {
	case missing < 0:
		return text + "; it should have stayed there, and goes on to " + next[other].event() + "."
	case other >= 0 && at == 0:
		return "The " + s.Side + " begins with " + next[other].event() + ", not " + next[missing].Text + "."
	case other >= 0:
		return text + "; " + next[other].event() + " follows, not " + next[missing].Text + "."
	}
	text += "; " + next[missing].Text + " does not follow"
	if in := f.InState[side]; in >= 0 {
		text += fmt.Sprintf(": it has been in %s for %s at the end", f.State[side], brief(in))
	}
	return text + "."
}

// event is a state with what brought it about.
func (l *StoryLine) event() string {
	switch {
	case l.Move.Trigger == analyzer.NoEvent:
		return l.Text
	case l.Move.Frame == 0:
		return l.Text + " (" + l.Move.Trigger.String() + ")"
	}
	return l.Text + " (frame " + analyzer.FrameText(l.Move.Frame) + ": " + l.Move.Trigger.String() + ")"
}

// where names the frame of a state.
func (l *StoryLine) where() string {
	if l.Move == nil || l.Move.Frame == 0 {
		return ""
	}
	return " (frame " + analyzer.FrameText(l.Move.Frame) + ")"
}

// brief rounds a duration to the three digits that a person reads.
func brief(ns int64) string {
	unit := time.Duration(1)
	for time.Duration(ns)/unit >= 1000 {
		unit *= 10
	}
	return time.Duration(ns).Round(unit).String()
}
