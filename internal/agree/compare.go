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

// group is one stream with the flows of ours that begin in it: several where
// tshark takes them for one (in two VLANs). rest are further streams that
// tshark finds in the middle of these flows. The counters of either side of the
// comparison add up.
type group struct {
	*Stream
	flows []*Flow
	rest  []*Stream
}

// Add compares one file.
func (s *Score) Add(file string, theirs []Stream, ours []Flow) {
	s.Files++
	var groups []*group
	used := make([]bool, len(ours))
	for i := range theirs {
		g := &group{Stream: &theirs[i]}
		for j := range ours {
			if f := &ours[j]; !used[j] && g.covers(f) {
				used[j] = true
				g.flows = append(g.flows, f)
			}
		}
		if len(g.flows) > 0 {
			groups = append(groups, g)
		} else {
			s.alone(file, g.Stream, groups)
		}
	}
	for _, g := range groups {
		s.group(file, g)
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

const isReset = 32 // of completeness

// alone takes a stream in which no flow of ours begins: it is part of one, or
// it is nothing to us.
func (s *Score) alone(file string, x *Stream, groups []*group) {
	d := Difference{File: file, Stream: x.Number, Column: "seen", Ours: "none",
		Theirs: fmt.Sprintf("%d segments from frame %d", x.Segments, x.First)}
	for _, g := range slices.Backward(groups) {
		for _, f := range g.flows {
			if x.samePair(f) && f.First <= x.First && x.First <= f.Last && d.Ours == "none" {
				d.Ours = fmt.Sprintf("part of flow %d", f.Number)
				g.rest = append(g.rest, x)
			}
		}
	}
	switch {
	case x.Segments == 0:
		s.Quotes++
		return
	case d.Ours == "none" && x.Completeness&^isReset == 0:
		d.Theirs = "resets alone"
	}
	s.count(d)
}

// group compares one stream.
func (s *Score) group(file string, g *group) {
	diff := func(column, ours, theirs string) {
		s.count(Difference{File: file, Stream: g.Number, Column: column, Ours: ours, Theirs: theirs})
	}
	number, completeness := g.Number, g.Completeness
	for _, f := range g.flows {
		if f.Stream != g.Number {
			number = f.Stream
		}
		if f.Completeness != g.Completeness {
			completeness = f.Completeness
		}
	}
	diff("seen", "flow", "flow")
	diff("stream", fmt.Sprint(number), fmt.Sprint(g.Number))
	diff("completeness", fmt.Sprint(completeness), fmt.Sprint(g.Completeness))
	ours, theirs := g.ours(), g.theirs()
	for c := range counters {
		diff(counters[c].name, fmt.Sprintf("%d/%d", ours[0][c], ours[1][c]), fmt.Sprintf("%d/%d", theirs[0][c], theirs[1][c]))
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

// ours are the counters of our flows.
func (g *group) ours() (sum [2]Counts) {
	for _, f := range g.flows {
		add(&sum, &f.Counts, f.Side != g.Side)
	}
	if g.Side[0] == g.Side[1] {
		sum[1] = Counts{} // one socket is both ends: all that either side sent
	}
	return sum
}

func (g *group) theirs() (sum [2]Counts) {
	for _, x := range append([]*Stream{g.Stream}, g.rest...) {
		add(&sum, &x.Counts, x.Side != g.Side)
	}
	return sum
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
		fmt.Fprintf(t, "%s\t%d\t%d\t%.2f %%\t\n", c, s.Compared[c], s.Agreed[c], 100*float64(s.Agreed[c])/float64(max(s.Compared[c], 1)))
	}
	t.Flush()
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
		Why: "a reset of a connection that the capture has nothing else of is counted as a stray, and begins no flow"},
	{Column: "seen", Ours: "part of flow",
		Why: "Wireshark begins a stream with every SYN whose number is not the connection's; we, only when the SYN takes " +
			"the connection over: one that is old, forged or answered with a challenge ACK (RFC 5961 4) does not"},
}
