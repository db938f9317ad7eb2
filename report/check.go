package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/expect"
)

// CheckSchema names the version of check's machine-readable output.
const CheckSchema = "tcpflow-states/check/1"

// CheckRun is what came of holding captures against their expectations.
type CheckRun struct {
	Version string // of the program
	Cases   []CheckCase
}

// CheckCase is one capture.
type CheckCase struct {
	Capture     string // paths, with slashes
	Expectation string // empty: there is none
	Reason      string // of the expectation
	Outcome     Outcome
	Flows       uint64
	Error       string // why it could not be checked
	Failures    []expect.Failure
	LeftOut     uint64        // failing flows that Failures leaves out
	Ladders     []CheckLadder // of the first flows that fail
	Show        string        // the command that draws another flow that fails; empty: all are drawn
	Update      string        // what --update did; empty: nothing
}

// CheckLadder is the drawing of a flow that fails.
type CheckLadder struct {
	Flow int
	Text string
}

// Outcome is what came of one capture.
type Outcome uint8

// The outcomes.
const (
	CheckPassed  Outcome = iota
	CheckFailed          // it was analyzed, and is not as expected
	CheckError           // it could not be checked: it or its expectations cannot be read
	CheckSkipped         // nothing is expected of it
)

var outcomeNames = [...]string{"passed", "failed", "error", "skipped"}

// String returns the name that JSON uses.
func (o Outcome) String() string { return outcomeNames[o] }

// Count returns how many captures have an outcome.
func (r *CheckRun) Count(o Outcome) (n int) {
	for i := range r.Cases {
		if r.Cases[i].Outcome == o {
			n++
		}
	}
	return n
}

// Summary is the last line for people. It names the first captures of those that
// did not pass.
func (r *CheckRun) Summary() string {
	text := plural(len(r.Cases), "capture") + ": " + Thousands(r.Count(CheckPassed)) + " passed, " +
		Thousands(r.Count(CheckFailed)) + " failed" + r.named(CheckFailed)
	if n := r.Count(CheckError); n > 0 {
		text += ", " + plural(n, "error") + r.named(CheckError)
	}
	if n := r.Count(CheckSkipped); n > 0 {
		text += ", " + Thousands(n) + " without expectation"
	}
	return text
}

// named lists the first captures that have an outcome.
func (r *CheckRun) named(o Outcome) string {
	const most = 4
	var names []string
	for i := range r.Cases {
		if r.Cases[i].Outcome == o {
			names = append(names, Clean(r.Cases[i].Capture))
		}
	}
	if more := len(names) - most; more > 0 {
		names = append(names[:most], Thousands(more)+" more")
	}
	if names == nil {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// CheckFormat is one kind of output of check.
type CheckFormat struct {
	Name  string
	Doc   string // one line
	Write func(w io.Writer, r *CheckRun, o Options) error
	// People says that a person reads it, with the summary line in it.
	People bool
}

// CheckFormats is the list of all of them; the first is the default.
var CheckFormats = []*CheckFormat{
	{"table", "what a person reads: what differs, as a story, and the flow that does", writeCheckText, true},
	{"junit", "JUnit XML: a test case for each capture", writeJUnit, false},
	{"sarif", "SARIF 2.1.0: a result for each failure, at its line of the expectation file", writeSARIF, false},
	{"json", "one object: cases with their failures, summary", writeCheckJSON, false},
	{"github", "workflow commands: annotations at the lines of the expectation files", writeGitHub, true},
	{"tap", "Test Anything Protocol, version 14", writeTAP, false},
	{"markdown", "a table and what differs, for a job's summary or a comment", writeCheckMarkdown, true},
}

// CheckFormatNamed returns the format of that name.
func CheckFormatNamed(name string) (*CheckFormat, bool) {
	i := slices.IndexFunc(CheckFormats, func(f *CheckFormat) bool { return f.Name == name })
	if i < 0 {
		return nil, false
	}
	return CheckFormats[i], true
}

// failureGroup is the failures of one key: the first in full, the others by their
// flows.
type failureGroup struct {
	expect.Failure
	others  []expect.Failure
	partner string // what else fails of the same flows, being their other end
}

// groups puts the failures of one key together.
func (c *CheckCase) groups() (list []failureGroup) {
	for _, f := range c.Failures {
		if n := len(list); n > 0 && list[n-1].Key == f.Key && f.Flow >= 0 {
			list[n-1].others = append(list[n-1].others, f)
			continue
		}
		list = append(list, failureGroup{Failure: f})
	}
	var told []failureGroup
	joined := make([]bool, len(list))
	for i := range list {
		joined[i] = list[i].joins(list)
	}
	for i, g := range list {
		if !joined[i] {
			told = append(told, g)
		}
	}
	return told
}

// joins reports whether a group is told by another one: it is about the other end of
// the same flows, for the same reason.
func (g *failureGroup) joins(list []failureGroup) bool {
	parent := g.Key[:strings.LastIndexByte(g.Key, '.')+1]
	i := slices.IndexFunc(list, func(o failureGroup) bool {
		return g.Partner != "" && o.Key == parent+g.Partner && slices.Equal(o.flows(), g.flows())
	})
	if i >= 0 {
		list[i].partner = g.Got
	}
	return i >= 0
}

// flows are the numbers of those that fail.
func (g *failureGroup) flows() []int {
	list := []int{g.Flow}
	for i := range g.others {
		list = append(list, g.others[i].Flow)
	}
	return list
}

// file is where failures are: the expectation file, and without one the capture.
func (c *CheckCase) file() string { return cmp.Or(c.Expectation, c.Capture) }

// place is where the expectation is.
func (c *CheckCase) place(f *expect.Failure) string {
	if c.Expectation == "" || f.Line == 0 {
		return Clean(c.file())
	}
	return Clean(c.Expectation) + ":" + strconv.Itoa(f.Line)
}

// subject is what a failure is about.
func subject(f *expect.Failure) string {
	if f.Flow < 0 {
		return ""
	}
	return fmt.Sprintf("flow %d, %s > %s", f.Flow, f.Client, f.Server)
}

// headline is a failure in one line.
func headline(f *expect.Failure) string {
	text := f.Key
	if text == "" {
		text = "expectation"
	}
	return text + ": expected " + Clean(f.Expected) + ", got " + Clean(f.Got)
}

// also names what goes with a group: the finding of the other end, and further flows.
func (g *failureGroup) also() string {
	var parts []string
	if g.partner != "" {
		parts = append(parts, "and with it the other end: "+Clean(g.partner))
	}
	if more := g.further(); more != "" {
		parts = append(parts, more)
	}
	return strings.Join(parts, "; ")
}

// further names the further flows of a group.
func (g *failureGroup) further() string {
	const most = 10
	if len(g.others) == 0 {
		return ""
	}
	var list []string
	for _, f := range g.others[:min(len(g.others), most)] {
		text := strconv.Itoa(f.Flow)
		if f.Got != g.Got && f.Story == nil {
			text += " (" + Clean(f.Got) + ")"
		}
		list = append(list, text)
	}
	if len(g.others) > most {
		list = append(list, "…")
	}
	verb := "so do "
	if len(g.others) == 1 {
		verb = "so does "
	}
	return verb + plural(len(g.others), "more flow") + ": " + strings.Join(list, ", ")
}

// checkWriter writes cases for people, coloured or not.
type checkWriter struct {
	w     io.Writer
	p     *painter
	width int // of prose
}

// body writes what differs in a case.
func (d *checkWriter) body(c *CheckCase, indent string) {
	if c.Error != "" {
		for line := range strings.Lines(c.Error) {
			Wrap(d.w, indent, Clean(strings.TrimSuffix(line, "\n")), d.width)
		}
	}
	for i, g := range c.groups() {
		if i > 0 {
			fmt.Fprintln(d.w)
		}
		d.group(c, &g, indent)
	}
	if c.LeftOut > 0 {
		Wrap(d.w, indent, plural(int(c.LeftOut), "more flow")+" fail: only the first are listed", d.width)
	}
}

// group writes one key's failures.
func (d *checkWriter) group(c *CheckCase, g *failureGroup, indent string) {
	head := c.place(&g.Failure)
	if g.Key != "" {
		head += ": " + d.p.head(g.Key)
	}
	fmt.Fprintln(d.w, indent+head)
	indent += "  "
	if s := subject(&g.Failure); s != "" {
		fmt.Fprintln(d.w, indent+s)
	}
	if g.Story != nil && len(g.Story.Lines) > 0 {
		Wrap(d.w, indent, g.Story.Says, d.width)
		d.story(g.Story, indent)
	} else {
		Wrap(d.w, indent+d.p.of(analyzer.Error, "- ")+"expected ", Clean(g.Expected), d.width)
		Wrap(d.w, indent+d.p.of(analyzer.Info, "+ ")+"got      ", Clean(g.Got), d.width)
	}
	if g.Note != "" {
		Wrap(d.w, indent, Clean(g.Note), d.width)
	}
	if also := g.also(); also != "" {
		Wrap(d.w, indent, also, d.width)
	}
}

// story writes two histories side by side: a line for each state.
func (d *checkWriter) story(s *expect.Story, indent string) {
	state, at, frame := 0, 0, 0
	for i := range s.Lines {
		l := &s.Lines[i]
		state = max(state, width(l.Text))
		if happened(l) {
			at, frame = max(at, len(seconds(max(l.At, 0)))), max(frame, len(frameIn(l, 0)))
		}
	}
	for i := range s.Lines {
		l := &s.Lines[i]
		text := string(rune(l.Mark)) + " " + l.Text
		if happened(l) {
			text += fmt.Sprintf("%*s  %*s  %s  %s", state-width(l.Text), "", at, seconds(max(l.At, 0)), frameIn(l, frame), l.Move.Trigger)
		}
		switch l.Mark {
		case '-':
			text = d.p.of(analyzer.Error, text)
		case '+':
			text = d.p.of(analyzer.Info, text)
		}
		fmt.Fprintln(d.w, indent+text)
	}
}

// happened reports whether something brought a state about.
func happened(l *expect.StoryLine) bool { return l.Move != nil && l.Move.Trigger != analyzer.NoEvent }

// frameIn names the frame of a state, where there is one, in so many columns.
func frameIn(l *expect.StoryLine, columns int) string {
	const word = "frame "
	if l.Move.Frame == 0 {
		return strings.Repeat(" ", columns)
	}
	return fmt.Sprintf("%s%*s", word, max(columns-len(word), 0), analyzer.FrameText(l.Move.Frame))
}

// plainBody is body as text without colours.
func (c *CheckCase) plainBody() string {
	var b strings.Builder
	d := checkWriter{&b, newPainter(false), 0}
	d.body(c, "")
	return b.String()
}
