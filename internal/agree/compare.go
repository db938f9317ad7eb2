package agree

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
)

// columns are what is compared of a stream, in the order of the table.
func columns() []string {
	list := []string{"seen", "stream", "completeness"}
	for _, c := range counters {
		list = append(list, c.name)
	}
	return list
}

// Difference is one column of a stream of which we say something else.
type Difference struct {
	File         string
	Stream       int // tshark's number; ours where it sees none
	Column       string
	Ours, Theirs string
	Excuse       *Excuse // why it is so, when that is known
}

func (d Difference) String() string {
	return fmt.Sprintf("%s stream %d %s: ours %s, tshark's %s", d.File, d.Stream, d.Column, d.Ours, d.Theirs)
}

// Score counts, by column, the streams that are compared and those that agree.
type Score struct {
	Files       int
	Compared    map[string]int
	Agreed      map[string]int
	Quotes      int // streams that are nothing but quotes in ICMP errors: not compared
	Differences []Difference
	Skipped     []string // files that cannot be compared, with the reason
}

// NewScore returns an empty one.
func NewScore() *Score { return &Score{Compared: map[string]int{}, Agreed: map[string]int{}} }

// group is a stream with the flows of ours that begin in it, several where
// tshark takes them for one (in two VLANs); and further streams of the pair
// where a flow of ours has frames of several. The counters of either side of
// the comparison add up.
type group struct {
	streams []*Stream
	flows   []*Flow
}

// Add compares one file.
func (s *Score) Add(file string, theirs []Stream, ours []Flow) {
	s.Files++
	var groups []*group
	used := make([]bool, len(ours))
	for i := range theirs {
		x := &theirs[i]
		var mine []*Flow
		for j := range ours {
			if f := &ours[j]; !used[j] && x.covers(f) {
				used[j] = true
				mine = append(mine, f)
			}
		}
		g, within := groupOf(groups, x)
		s.stream(file, x, mine, within)
		if g == nil && len(mine) > 0 {
			g = &group{}
			groups = append(groups, g)
		}
		if g != nil {
			g.streams = append(g.streams, x)
			g.flows = append(g.flows, mine...)
		}
	}
	for _, g := range groups {
		s.counters(file, g)
	}
	for j := range ours {
		if !used[j] {
			s.count(Difference{File: file, Stream: ours[j].Stream, Column: "seen",
				Ours: fmt.Sprintf("flow %d", ours[j].Number), Theirs: "none"})
		}
	}
}

// samePair reports whether the flow is between the stream's ends.
func (x *Stream) samePair(f *Flow) bool {
	return f.Side == x.Side || f.Side == [2]netip.AddrPort{x.Side[1], x.Side[0]}
}

// covers reports whether the flow's first frame belongs to the stream: the
// streams of one address pair follow one another.
func (x *Stream) covers(f *Flow) bool {
	return x.samePair(f) && x.First <= f.First && f.First <= x.Last
}

// groupOf returns the group with a flow that goes on where the stream begins,
// and that flow; nil when none does.
func groupOf(groups []*group, x *Stream) (*group, *Flow) {
	for _, g := range slices.Backward(groups) {
		for _, f := range g.flows {
			if x.samePair(f) && f.First <= x.First && x.First <= f.Last {
				return g, f
			}
		}
	}
	return nil, nil
}

const isReset = 32 // of completeness

// stream compares what a stream is: its number, and how complete. Where no flow
// of ours begins in it, it is part of one, or nothing to us.
func (s *Score) stream(file string, x *Stream, mine []*Flow, within *Flow) {
	diff := func(column, ours, theirs string) {
		s.count(Difference{File: file, Stream: x.Number, Column: column, Ours: ours, Theirs: theirs})
	}
	segments := fmt.Sprintf("%d segments from frame %d", x.Segments, x.First)
	switch {
	case len(mine) > 0:
		diff("seen", "flow", "flow")
	case x.Segments == 0:
		s.Quotes++
	case within != nil:
		diff("seen", fmt.Sprintf("part of flow %d", within.Number), segments)
	case x.Completeness&^isReset == 0:
		diff("seen", "none", "resets alone")
	default:
		diff("seen", "none", segments)
	}
	if len(mine) == 0 {
		return
	}
	number, completeness := x.Number, x.Completeness
	for _, f := range mine {
		if f.Stream != x.Number {
			number = f.Stream
		}
		if f.Completeness != x.Completeness {
			completeness = f.Completeness
		}
	}
	diff("stream", fmt.Sprint(number), fmt.Sprint(x.Number))
	diff("completeness", fmt.Sprint(completeness), fmt.Sprint(x.Completeness))
}

// counters compares those of a group.
func (s *Score) counters(file string, g *group) {
	first := g.streams[0]
	var ours, theirs [2]Counts
	for _, f := range g.flows {
		add(&ours, &f.Counts, f.Side != first.Side)
	}
	for _, x := range g.streams {
		add(&theirs, &x.Counts, x.Side != first.Side)
	}
	if first.Side[0] == first.Side[1] {
		ours[1] = Counts{} // one socket is both ends: all that either side sent
	}
	for c := range counters {
		s.count(Difference{File: file, Stream: first.Number, Column: counters[c].name,
			Ours:   fmt.Sprintf("%d/%d", ours[0][c], ours[1][c]),
			Theirs: fmt.Sprintf("%d/%d", theirs[0][c], theirs[1][c])})
	}
}

// add adds counters, with the sides turned round where the ends are.
func add(sum *[2]Counts, counts *[2]Counts, turned bool) {
	for side := range counts {
		to := side
		if turned {
			to = 1 - side
		}
		for c, n := range counts[side] {
			sum[to][c] += n
		}
	}
}

// count takes one comparison.
func (s *Score) count(d Difference) {
	s.Compared[d.Column]++
	if d.Ours == d.Theirs {
		s.Agreed[d.Column]++
		return
	}
	d.Excuse = excuseFor(&d)
	s.Differences = append(s.Differences, d)
}

// Share is the least of the columns' parts that agree, 0 to 1.
func (s *Score) Share() float64 {
	least := 1.0
	for column, n := range s.Compared {
		least = min(least, float64(s.Agreed[column])/float64(n))
	}
	return least
}

// Table prints the agreement by column.
func (s *Score) Table(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "column\tstreams\tagreed\tshare\t")
	for _, c := range columns() {
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t\n", c, s.Compared[c], s.Agreed[c], s.share(c))
	}
	t.Flush()
}

// Markdown is the agreement as a page shows it, with what stays different and
// why.
func (s *Score) Markdown(version string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "With tshark %s, over %d captures:\n\n| column | streams | agree | |\n|---|--:|--:|--:|\n", version, s.Files)
	for _, c := range columns() {
		fmt.Fprintf(&b, "| %s | %d | %d | %s |\n", c, s.Compared[c], s.Agreed[c], s.share(c))
	}
	b.WriteString("\nThe differences that stay:\n\n")
	for i := range Excuses {
		n, first := 0, ""
		for _, d := range s.Differences {
			if d.Excuse == &Excuses[i] {
				if n++; n == 1 {
					first = d.File
				}
			}
		}
		fmt.Fprintf(&b, "* %s (%d): %s. First in `%s`.\n", Excuses[i].Column, n, Excuses[i].Why, first)
	}
	return b.String()
}

// share is the part of a column's streams that agree. Only all are 100 %.
func (s *Score) share(column string) string {
	part := 100 * float64(s.Agreed[column]) / float64(max(s.Compared[column], 1))
	if s.Agreed[column] < s.Compared[column] {
		part = min(part, 99.99)
	}
	return fmt.Sprintf("%.2f %%", part)
}

// Excuse names differences that stay, and why. A field matches by its
// beginning, empty all.
type Excuse struct {
	File   string
	Column string
	Ours   string
	Theirs string
	Why    string
}

func excuseFor(d *Difference) *Excuse {
	i := slices.IndexFunc(Excuses, func(e Excuse) bool {
		return strings.HasPrefix(d.File, e.File) && strings.HasPrefix(d.Column, e.Column) &&
			strings.HasPrefix(d.Ours, e.Ours) && strings.HasPrefix(d.Theirs, e.Theirs)
	})
	if i < 0 {
		return nil
	}
	return &Excuses[i]
}

// Excuses is the list of all differences that stay; docs/compatibility.md has
// it, too.
var Excuses = []Excuse{
	{Column: "seen", Ours: "none", Theirs: "resets alone",
		Why: "a reset of a connection of which the capture has nothing else begins no flow: it is counted as a stray segment"},
	{Column: "seen", Ours: "part of flow",
		Why: "to Wireshark every SYN with another number begins a stream; to us it does when it takes the connection over, " +
			"and not when it is old, forged or answered with a challenge ACK (RFC 5961 4)"},
	{File: "capture/testdata/encapsulations/frelay", Column: "stream", Why: frameRelay},
	{File: "capture/testdata/encapsulations/juniper_frelay", Column: "stream", Why: frameRelay},
}

const frameRelay = "where a Frame Relay circuit carries IPv4 and IPv6, tshark 4.0 leaves out a stream number"
