package conformance

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

// excuse names what no observer at a tap can know, and why: the reason is on
// the wire.
type excuse struct {
	scenario, tap, side string // empty: any
	conn                int    // -1: any
	why                 string
}

// excused is all that the comparison lets pass by name.
var excused = []excuse{
	{"last_ack_dropped", "client", "server", 0, lastACK},
	{"last_ack_dropped", "middle", "server", 0, lastACK},
	{"mid_stream", "late", "", 2, lateFIN},
	{"mid_stream", "late_fin", "", 0, lateFIN},
	{"mid_stream", "late_fin", "", 2, lateFIN},
}

const (
	lastACK = "the last ACK went by three times and was lost twice; the capture ends with the third, " +
		"before the server's next retransmission would have been due"
	lateFIN = "the capture is one FIN and its ACK: the client's FIN, if there was one, came before it; " +
		"FIN_WAIT_1 and LAST_ACK look alike"
)

// maxLag bounds the time in which our states are not the kernels' by more than
// a round trip, as a fraction of the whole: order alone is too kind a judge.
const maxLag = 200

// kernelDir is where the scenarios are; KERNEL_DIR holds the test against
// others.
func kernelDir() string {
	if dir := os.Getenv("KERNEL_DIR"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", "testdata", "kernel")
}

func scenarios(t *testing.T) []*Truth {
	t.Helper()
	dirs, err := Scenarios(kernelDir())
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no scenarios in %s: %v", kernelDir(), err)
	}
	var all []*Truth
	for _, dir := range dirs {
		truth, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, truth)
	}
	return all
}

func (e *excuse) covers(d *Disagreement) bool {
	return (e.scenario == "" || e.scenario == d.Scenario) && (e.tap == "" || e.tap == d.Tap) &&
		(e.side == "" || e.side == d.Side) && (e.conn == -1 || e.conn == d.Conn)
}

// TestKernel holds every side of every connection at every tap against the
// kernel's own record of its states.
func TestKernel(t *testing.T) {
	sum := newSummary()
	for _, truth := range scenarios(t) {
		t.Run(truth.Scenario, func(t *testing.T) {
			for _, tap := range truth.TapNames() {
				packets, err := ReadTap(truth.Path(tap))
				if err != nil {
					t.Error(err)
					continue
				}
				r := Compare(truth, tap, packets, Track(packets))
				for _, line := range Group(sum.add(r)) {
					t.Error(line)
				}
			}
		})
	}
	t.Log("\n" + sum.String())
	if sum.taps > 200 && sum.lagged() > sum.watched/maxLag {
		t.Errorf("our states differ from the kernels' for %s of %s: more than 1/%d", sum.lagged(), sum.watched, maxLag)
	}
	for i, e := range excused {
		if sum.used[i] == 0 && sum.ran[e.scenario] {
			t.Errorf("excuse %+v excuses nothing: remove it", e)
		}
	}
}

// TestCertainty holds what the analyzer is certain of against the kernel, also
// where the capture lacks packets, has them twice or in another order:
// "deleting segments may lower certainty but never gives an observed that the
// whole capture contradicts".
func TestCertainty(t *testing.T) {
	for _, truth := range scenarios(t) {
		t.Run(truth.Scenario, func(t *testing.T) {
			for _, tap := range truth.TapNames() {
				packets, err := ReadTap(truth.Path(tap))
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range Mutations() {
					falsify(t, truth, tap, &m, packets)
				}
			}
		})
	}
}

var moreSeeds = flag.Int("seeds", 1, "try so many times as many random captures")

// falsify reports the first violation of each kind, and how many there are.
func falsify(t *testing.T, truth *Truth, tap string, m *Mutation, packets []capture.Packet) {
	t.Helper()
	type kind struct {
		role Role
		to   analyzer.State
	}
	count, first := map[kind]int{}, map[kind]string{}
	var order []kind
	for seed := range m.Seeds * *moreSeeds {
		for _, v := range Falsify(truth, Track(m.Do(seed, packets))) {
			k := kind{v.Side, v.Transition.To}
			if count[k]++; count[k] == 1 {
				order = append(order, k)
				first[k] = fmt.Sprintf("%s, seed %d, %s", m.Name, seed, v)
			}
		}
	}
	for _, k := range order {
		t.Errorf("%s/%s, %s (%d in all)", truth.Scenario, tap, first[k], count[k])
	}
}

// TestLag prints where our dates differ most from the kernel's, with -v.
func TestLag(t *testing.T) {
	if !testing.Verbose() {
		t.Skip("a listing, for -v")
	}
	type row struct {
		Lag
		at string
	}
	var rows []row
	for _, truth := range scenarios(t) {
		for _, tap := range truth.TapNames() {
			packets, err := ReadTap(truth.Path(tap))
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range Compare(truth, tap, packets, Track(packets)).Lag {
				rows = append(rows, row{l, truth.Scenario + "/" + tap})
			}
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(b.Time, a.Time) })
	for _, r := range rows[:min(40, len(rows))] {
		t.Logf("%s conn %d %s: %s\n      ours:   %s\n      kernel: %s", r.at, r.Conn, r.Side,
			r.Time.Round(time.Millisecond), r.Ours, r.Kernel)
	}
}

// summary adds up the results of all taps.
type summary struct {
	taps, right, sides, agreed, lenient, byName, wrong int
	elided, excused                                    map[string]int
	lag                                                map[string]time.Duration
	watched                                            time.Duration
	used                                               map[int]int
	ran                                                map[string]bool
}

func newSummary() *summary {
	return &summary{elided: map[string]int{}, excused: map[string]int{}, lag: map[string]time.Duration{},
		used: map[int]int{}, ran: map[string]bool{}}
}

// add takes one tap's result and returns what disagrees without an excuse.
func (s *summary) add(r *Result) (rest []Disagreement) {
	for _, d := range r.Disagreements {
		if i := slices.IndexFunc(excused, func(e excuse) bool { return e.covers(&d) }); i >= 0 {
			s.used[i]++
			s.byName++
			continue
		}
		rest = append(rest, d)
	}
	s.ran[r.Scenario] = true
	s.taps++
	s.sides += r.Sides
	s.agreed += r.Agreed
	s.lenient += r.Lenient
	s.wrong += len(rest)
	if len(rest) == 0 {
		s.right++
	}
	for k, n := range r.Elided {
		s.elided[k] += n
	}
	for k, n := range r.Excused {
		s.excused[k] += n
	}
	s.watched += r.Watched
	for _, l := range r.Lag {
		s.lag[r.Scenario+"/"+r.Tap] += l.Time
	}
	return rest
}

// String is the table that `go test -v` prints.
func (s *summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "captures wholly right  %d of %d\n", s.right, s.taps)
	fmt.Fprintf(&b, "sides with a socket    %d, agreed %d, not %d, excused by name %d\n", s.sides, s.agreed, s.wrong, s.byName)
	fmt.Fprintf(&b, "sides without one      %d, judged loosely\n", s.lenient)
	for _, i := range slices.Sorted(maps.Keys(s.used)) {
		fmt.Fprintf(&b, "  %6d  %s/%s: %s\n", s.used[i], excused[i].scenario, excused[i].tap, excused[i].why)
	}
	b.WriteString("states elided on either side:\n" + counts(s.elided))
	b.WriteString("states not asked for:\n" + counts(s.excused))
	b.WriteString("time in another state than the kernel's, spells over a round trip:\n")
	names := slices.SortedFunc(maps.Keys(s.lag), func(a, b string) int { return cmp.Compare(s.lag[b], s.lag[a]) })
	for _, n := range names {
		fmt.Fprintf(&b, "  %10.3f s  %s\n", s.lag[n].Seconds(), n)
	}
	fmt.Fprintf(&b, "  %10.3f s  in all, of %.0f s (%.2f %%)\n", s.lagged().Seconds(),
		s.watched.Seconds(), 100*s.lagged().Seconds()/s.watched.Seconds())
	return b.String()
}

func (s *summary) lagged() (total time.Duration) {
	for _, l := range s.lag {
		total += l
	}
	return total
}

func counts(m map[string]int) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "  %6d  %s\n", m[k], k)
	}
	return b.String()
}
