// Package script reads segment scripts: connections as tcpdump prints them,
// with what the tracker must say of them below. analyzer/testdata/README.txt
// has the format. The analyzer's tests run them; `explain` draws the examples
// of the findings from them.
package script

import (
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Script is one parsed segment script.
type Script struct {
	Name string
	Why  string // why it exists

	Blocks []Block // one, unless the script is about many flows

	// What the tracker must say; Asked: Findings is complete, even when empty.
	States   []Want // one per segment, unless there are none at all
	Final    []Want
	Findings []Want
	Asked    bool
	Zeek     []Want // conn_state and history of each flow
	History  map[string]Want

	// What it takes to write the script as a capture (internal/oddity): the
	// headers around its segments, a list for each capture, and the snap length.
	// Such a script may expect nothing of the tracker.
	Over    [][]string
	SnapLen int

	one     string // "socket" or "host": a and b share it
	profile *analyzer.Profile
	stuck   *time.Duration
	stuckIn map[analyzer.State]time.Duration
}

// Want is one expected line and where it stands.
type Want struct {
	Text string
	Line int
}

// Block is a run of lines that is played for each of a number of flows.
type Block struct {
	Lines []Line

	given bool
	flows int
	at    int64 // when the first one begins, ns after the script's start
	apart int64 // ns between the beginnings of two
	by    []string
	to    uint16 // the server's port, or the first of them; 0: 7000
}

// Line is one thing that happens.
type Line struct {
	Text string
	Line int
	ICMP *analyzer.Unreachable // nil: none
	Lost *analyzer.Loss        // nil: none; it is known where the line stands
	Wait bool
	Wire map[string]string // what only a capture can show, by the word: see WireWords

	from int // 0: a, 1: b
	seg  analyzer.Segment
	at   int64 // ns after the flow's start
	auto bool  // its IP ID is the next of its sender
}

// Packet reports whether the line is one that passes the tap.
func (l *Line) Packet() bool { return !l.Wait && l.Lost == nil }

// Variant is one way to play a script that may swap sides and nothing else.
type Variant struct {
	Name  string
	Swap  bool // b has the lower address
	Shift [2]analyzer.Seq
}

// Variants are the ways to play a script. The first shift puts the wrap among
// the numbers that scripts use (100 to a few thousand), the second one octet
// after the first number of many.
var Variants = []Variant{
	{Name: "as written"},
	{Name: "addresses swapped", Swap: true},
	{Name: "a wraps", Shift: [2]analyzer.Seq{^analyzer.Seq(0) - 100, 0}},
	{Name: "b wraps", Shift: [2]analyzer.Seq{0, ^analyzer.Seq(0) - 300}},
	{Name: "both wrap, swapped", Swap: true, Shift: [2]analyzer.Seq{^analyzer.Seq(0) - 150, ^analyzer.Seq(0) - 349}},
}

// Many reports whether the script is about many flows: what it expects then
// names their addresses, so that they cannot be swapped.
func (s *Script) Many() bool { return len(s.Blocks) > 1 || s.Blocks[0].flows > 1 }

// Lose tells a Rollup what the capture lost, if it did. Its name is eth0.
func (s *Script) Lose(r *analyzer.Rollup) {
	for i := range s.Blocks {
		for j := range s.Blocks[i].Lines {
			if l := &s.Blocks[i].Lines[j]; l.Lost != nil {
				r.Lose("eth0", *l.Lost)
			}
		}
	}
}

// Config returns what the script asks of a Tracker.
func (s *Script) Config() analyzer.Config {
	return analyzer.Config{Profile: s.profile, Stuck: s.limits()}
}

func (s *Script) limits() *analyzer.Limits {
	p := s.profile
	if p == nil {
		p = &analyzer.Profiles[0]
	}
	l := analyzer.DefaultLimits(p)
	if s.stuck != nil {
		for i := range l {
			l[i] = *s.stuck
		}
	}
	for st, d := range s.stuckIn {
		l[st] = d
	}
	return l
}
