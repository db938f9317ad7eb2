package manual

import (
	"fmt"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Transition explains the way from one state to another, be there an arrow of
// RFC 9293's Figure 5 or not.
func Transition(from, to analyzer.State) Entry {
	e := Entry{Name: from.String() + " -> " + to.String(), Kind: "transitions", Title: "transition, RFC 9293 3.3.2 Figure 5"}
	var when []string
	for i := range analyzer.Arcs {
		a := &analyzer.Arcs[i]
		if a.From != from || a.To != to {
			continue
		}
		when = append(when, fmt.Sprintf("the side %s (%s): %s", a.On, a.Note, basisOf(a.On)))
		if e.Example == "" {
			e.Example = exampleOf(a)
		}
	}
	switch len(when) {
	case 0:
		e.Means, e.Example = noArrow(from, to)
	case 1:
		e.Means = "When " + when[0] + "."
	default:
		e.Means = fmt.Sprintf("There are %d ways:", len(when))
		e.Points = []Point{{Label: "when", List: when}}
	}
	return e
}

// Transitions returns the entries of all arrows, each pair of states once.
func Transitions() (list []Entry) {
	seen := map[string]bool{}
	for _, a := range analyzer.Arcs {
		e := Transition(a.From, a.To)
		if !seen[e.Name] {
			seen[e.Name] = true
			list = append(list, e)
		}
	}
	return list
}

// basisOf says how certain a transition on an event is.
func basisOf(e analyzer.Event) string {
	switch e {
	case analyzer.SndSYN, analyzer.SndSYNACK, analyzer.SndFIN:
		return "observed, since the side's own segment makes it"
	case analyzer.SndRST:
		return "inferred until nothing contradicts it, since an exact forgery of a RST looks alike"
	case analyzer.Timeout, analyzer.FoundOpen, analyzer.FoundOpened:
		return "assumed, since no segment says so"
	}
	return "inferred when the segment passes the tap, confirmed when the side's next segment proves that it arrived"
}

// noArrow says how one comes from one state to another without an arrow.
func noArrow(from, to analyzer.State) (means, example string) {
	if from == analyzer.FinWait1 && to == analyzer.TimeWait {
		return "Two arrows taken by one segment, which acknowledges the side's FIN and carries the peer's (note 3 of RFC 9293's " +
			"Figure 5): FIN_WAIT_1 -> FIN_WAIT_2 -> TIME_WAIT.", allStates[analyzer.TimeWait].example
	}
	for _, mid := range analyzer.Arcs {
		if mid.From != from || mid.To == analyzer.Closed {
			continue
		}
		for _, last := range analyzer.Arcs {
			if last.From == mid.To && last.To == to {
				return fmt.Sprintf("RFC 9293's Figure 5 has no such arrow; the way is %s -> %s -> %s.", from, mid.To, to), ""
			}
		}
	}
	return "RFC 9293's Figure 5 has no such arrow, nor two that lead there.", ""
}

// arrow names an arc for the table of examples.
type arrow struct {
	from analyzer.State
	on   analyzer.Event
}

// exampleOf returns a script in which a side takes the arc.
func exampleOf(a *analyzer.Arc) string {
	if s, ok := arrows[arrow{a.From, a.On}]; ok {
		return s
	}
	return resets(a)
}

const given = "given a ESTABLISHED b ESTABLISHED\n"

// arrows are the examples of all arcs but those of RSTs.
var arrows = map[arrow]string{
	{analyzer.Closed, analyzer.SndSYN}:           opened,
	{analyzer.Listen, analyzer.SndSYNACK}:        opened,
	{analyzer.SynSent, analyzer.SndSYNACK}:       crossed,
	{analyzer.SynSent, analyzer.RcvSYNACK}:       opened,
	{analyzer.SynSent, analyzer.RcvACKofSYN}:     "a > b  S  100\nb > a  S  300\na > b  .  101  ack 301  @+20ms\nb > a  .  301  ack 101",
	{analyzer.SynReceived, analyzer.RcvACKofSYN}: opened,
	{analyzer.SynReceived, analyzer.RcvSYNACK}:   crossed,
	{analyzer.SynReceived, analyzer.SndFIN}:      "a > b  S   100:150(50)  tfo\nb > a  S.  300      ack 151  tfo  @+20ms\nb > a  P.  301:401  ack 151\nb > a  F.  401      ack 151\na > b  .   151      ack 402  @+20ms",
	{analyzer.Established, analyzer.SndFIN}:      closedByA,
	{analyzer.Established, analyzer.RcvFIN}:      closedByA,
	{analyzer.FinWait1, analyzer.RcvACKofFIN}:    closedByA,
	{analyzer.FinWait1, analyzer.RcvFIN}:         closedByBoth,
	{analyzer.FinWait2, analyzer.RcvFIN}:         closedByA,
	{analyzer.CloseWait, analyzer.SndFIN}:        closedByA,
	{analyzer.Closing, analyzer.RcvACKofFIN}:     closedByBoth,
	{analyzer.LastAck, analyzer.RcvACKofFIN}:     closedByA,
	{analyzer.TimeWait, analyzer.Timeout}:        closedByA + "\nwait 61s",
	{analyzer.SynSent, analyzer.Timeout}:         "a > b  S  100\na > b  S  100  @+1s\na > b  S  100  @+2s\nwait 130s",
	{analyzer.SynReceived, analyzer.Timeout}:     "a > b  S   100\nb > a  S.  300  ack 101  @+100us\nb > a  S.  300  ack 101  @+1s\nwait 70s",
	{analyzer.SynSent, analyzer.RcvICMP}:         "a > b  S  100\nicmp unreachable a seq 100 code 13",
	{analyzer.Unknown, analyzer.FoundOpen}:       "a > b  P.  100:200  ack 300\nb > a  .   300      ack 200  @+20ms",
	{analyzer.Unknown, analyzer.FoundOpened}:     "b > a  S.  300  ack 101\na > b  .   101  ack 301  @+20ms",
	{analyzer.Unknown, analyzer.SndSYNACK}:       "b > a  S.  300  ack 101\na > b  .   101  ack 301  @+20ms",
}

const (
	opened  = "a > b  S   100\nb > a  S.  300  ack 101  @+20ms\na > b  .   101  ack 301  @+100us"
	crossed = "a > b  S   100\nb > a  S   300\na > b  S.  100  ack 301  @+20ms\nb > a  S.  300  ack 101\n" +
		"a > b  .   101  ack 301  @+20ms\nb > a  .   301  ack 101"
	closedByA = given + "a > b  F.  100  ack 300\nb > a  .   300  ack 101  @+20ms\nb > a  F.  300  ack 101  @+5ms\n" +
		"a > b  .   101  ack 301  @+100us"
	closedByBoth = given + "a > b  F.  100  ack 300\nb > a  F.  300  ack 100  @+100us\na > b  .   101  ack 301  @+20ms\n" +
		"b > a  .   301  ack 101"
)

// before brings a into a state, b in SYN_RECEIVED; in, and out of it, come the
// numbers with which a RST is exact.
var before = map[analyzer.State]struct{ lines, in, out string }{
	analyzer.SynSent:     {"a > b  S   100", "b > a  R.  0    ack 101  @+20ms", "b > a  S.  300  ack 101  @+20ms\na > b  R   101  @+100us"},
	analyzer.SynReceived: {"a > b  S   100\nb > a  S.  300  ack 101  @+20ms", "a > b  R   101  @+100us", "b > a  R.  301  ack 101  @+1s"},
	analyzer.Established: {given + "a > b  P.  100:200  ack 300\nb > a  .   300  ack 200  @+20ms", "b > a  R.  300  ack 200  @+1s", "a > b  R.  200  ack 300  @+1s"},
	analyzer.FinWait1:    {given + "a > b  F.  100  ack 300", "b > a  R.  300  ack 100  @+20ms", "a > b  R.  101  ack 300  @+1s"},
	analyzer.FinWait2:    {given + "a > b  F.  100  ack 300\nb > a  .   300  ack 101  @+20ms", "b > a  R.  300  ack 101  @+1s", "b > a  P.  300:400  ack 101  @+1s\na > b  R   101  @+100us"},
	analyzer.CloseWait:   {given + "b > a  F.  300  ack 100\na > b  .   100  ack 301  @+20ms", "b > a  R.  301  ack 100  @+1s", "a > b  R.  100  ack 301  @+1s"},
	analyzer.Closing:     {given + "a > b  F.  100  ack 300\nb > a  F.  300  ack 100  @+100us\na > b  .   101  ack 301  @+20ms", "b > a  R.  301  ack 100  @+1s", "a > b  R.  101  ack 301  @+1s"},
	analyzer.LastAck:     {given + "b > a  F.  300  ack 100\na > b  .   100  ack 301  @+20ms\na > b  F.  100  ack 301  @+5ms", "b > a  R   301  @+20ms", "a > b  R.  101  ack 301  @+1s"},
	analyzer.TimeWait:    {closedByA, "b > a  R   301  @+1s", "a > b  R   101  @+1s"},
}

// resets is the example of an arc on which a RST ends a state.
func resets(a *analyzer.Arc) string {
	b, ok := before[a.From]
	if !ok {
		return ""
	}
	last := b.in
	if a.On == analyzer.SndRST {
		last = b.out
	}
	return strings.Join([]string{b.lines, last}, "\n")
}
