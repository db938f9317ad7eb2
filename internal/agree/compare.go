package agree

import (
	"fmt"
	"io"
	"net/netip"
	"path"
	"slices"
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

// Add compares one file.
func (s *Score) Add(file string, theirs []Stream, ours []Flow) {
	s.Files++
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
		if x.Segments == 0 && len(mine) == 0 {
			s.Quotes++
			continue
		}
		s.stream(file, x, mine)
	}
	for j := range ours {
		if !used[j] {
			s.count(Difference{File: file, Stream: ours[j].Stream, Column: "seen",
				Ours: fmt.Sprintf("flow %d", ours[j].Number), Theirs: "none"})
		}
	}
}

// covers reports whether the flow's first frame belongs to the stream: the
// streams of one address pair follow one another.
func (x *Stream) covers(f *Flow) bool {
	same := f.Side == x.Side || f.Side == [2]netip.AddrPort{x.Side[1], x.Side[0]}
	return same && x.First <= f.First && f.First <= x.Last
}

// stream compares one stream with what we have of it: one flow, or several that
// tshark takes for one (in two VLANs), whose counters add up.
func (s *Score) stream(file string, x *Stream, mine []*Flow) {
	diff := func(column, ours, theirs string) {
		s.count(Difference{File: file, Stream: x.Number, Column: column, Ours: ours, Theirs: theirs})
	}
	if len(mine) == 0 {
		diff("seen", "none", fmt.Sprintf("%d segments from frame %d", x.Segments, x.First))
		return
	}
	diff("seen", "flow", "flow")
	number, completeness := x.Number, x.Completeness
	var sum [2]Counts
	for _, f := range mine {
		if f.Stream != x.Number {
			number = f.Stream
		}
		if f.Completeness != x.Completeness {
			completeness = f.Completeness
		}
		turned := 0
		if f.Side != x.Side {
			turned = 1
		}
		for side := range f.Counts {
			for c, n := range f.Counts[side] {
				sum[side^turned][c] += n
			}
		}
	}
	if x.Side[0] == x.Side[1] {
		sum[1] = Counts{} // one socket is both ends: all that either side sent
	}
	diff("stream", fmt.Sprint(number), fmt.Sprint(x.Number))
	diff("completeness", fmt.Sprint(completeness), fmt.Sprint(x.Completeness))
	for c := range counters {
		diff(counters[c].name, fmt.Sprintf("%d/%d", sum[0][c], sum[1][c]), fmt.Sprintf("%d/%d", x.Counts[0][c], x.Counts[1][c]))
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
		fmt.Fprintf(t, "%s\t%d\t%d\t%.2f %%\t\n", c, s.Compared[c], s.Agreed[c], 100*float64(s.Agreed[c])/float64(max(s.Compared[c], 1)))
	}
	t.Flush()
}

// Excuse names a difference that stays, and why. An empty field matches all.
type Excuse struct {
	File   string // pattern of path.Match for the last elements of the path
	Stream int    // -1: any
	Column string
	Why    string
}

func excuseFor(d *Difference) *Excuse {
	i := slices.IndexFunc(Excuses, func(e Excuse) bool {
		ok, _ := path.Match(e.File, d.File)
		return (ok || e.File == "") && (e.Stream == -1 || e.Stream == d.Stream) && (e.Column == "" || e.Column == d.Column)
	})
	if i < 0 {
		return nil
	}
	return &Excuses[i]
}

// Excuses is the list of all differences that stay; docs/compatibility.md has
// it in plain words.
var Excuses = []Excuse{}
