package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

var update = flag.Bool("update", false, "write testdata and docs/schema.json anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run go test ./report -update and look at what it wrote", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// Every format writes the same flows as ever; a change is seen in review.
func TestFormatsGolden(t *testing.T) {
	cases := []struct {
		name, why string
		set       func(*Options)
	}{
		{"pipe", "not a terminal: nothing is cut", func(o *Options) { o.All = true }},
		{"80", "the narrowest terminal that people have", func(o *Options) { o.All, o.Width = true, 80 }},
		{"200", "a wide terminal", func(o *Options) { o.All, o.Width = true, 200 }},
		{"findings", "without --all only flows with findings are listed", func(o *Options) { o.Width = 80 }},
		{"limit", "rows beyond the limit are counted, the worst stay", func(o *Options) { o.All, o.Limit, o.Width = true, 1, 80 }},
		{"color", "colour changes nothing else", func(o *Options) { o.All, o.Color, o.Width = true, true, 80 }},
	}
	for _, format := range Formats {
		for _, c := range cases {
			if strings.HasSuffix(format.Name, "json") && c.name != "pipe" || format.Name == "wide" && c.name != "pipe" && c.name != "80" {
				continue
			}
			t.Run(format.Name+"/"+c.name, func(t *testing.T) {
				var buf bytes.Buffer
				o := fixtureOptions()
				c.set(&o)
				if err := run(format.New(&buf, fixtureMeta(), o), fixture()); err != nil {
					t.Fatal(err)
				}
				golden(t, format.Name+"-"+c.name+".golden", buf.Bytes())
				harmless(t, buf.String(), o.Color)
				if o.Width > 0 && format.Name == "table" {
					fits(t, buf.String(), o.Width)
				}
			})
		}
	}
}

// The ladder fits 80 columns, and shows timers, findings and what was taken
// back in their places.
func TestLadderGolden(t *testing.T) {
	flow := halfClosed()
	flow.Transitions = append(flow.Transitions,
		analyzer.Transition{Side: 0, From: analyzer.FinWait2, To: analyzer.Closed, Trigger: analyzer.Timeout, Basis: analyzer.Assumed, Time: sec(71.8)})
	flow.Sides[0].State, flow.Sides[0].Basis, flow.Sides[0].Since = analyzer.Closed, analyzer.Assumed, sec(71.8)
	swapped := halfClosed()
	swapped.Client = 1
	for _, c := range []struct {
		name, why string
		flow      *analyzer.Flow
		width     int
		color     bool
	}{
		{"80", "the narrowest terminal", flow, 80, false},
		{"pipe", "room for remarks", flow, 0, false},
		{"swapped", "the client is the higher side", swapped, 80, false},
		{"color", "colour changes nothing else", flow, 80, true},
	} {
		var buf bytes.Buffer
		o := fixtureOptions()
		o.Width, o.Color = c.width, c.color
		if err := fixtureLadder().Write(&buf, c.flow, o); err != nil {
			t.Fatal(err)
		}
		golden(t, "ladder-"+c.name+".golden", buf.Bytes())
		harmless(t, buf.String(), c.color)
		if c.width > 0 {
			fits(t, buf.String(), c.width)
		}
	}
}

// Where several captures are read as one, every format says which of them a
// frame is in; of many captures a table names those that its text does.
func TestCapturesGolden(t *testing.T) {
	files := manyFiles()
	for _, format := range Formats {
		var buf bytes.Buffer
		o := Options{All: true, Captures: captureNames(files)}
		r := format.New(&buf, fixtureMeta(), o)
		tally := NewTally()
		for _, f := range []*analyzer.Flow{acrossCaptures(), refused()} {
			tally.Add(f)
			if err := r.Flow(f); err != nil {
				t.Fatal(err)
			}
		}
		s := tally.Summary()
		for _, f := range files {
			s.AddFile(f)
		}
		if err := r.Close(s); err != nil {
			t.Fatal(err)
		}
		golden(t, format.Name+"-captures.golden", buf.Bytes())
		harmless(t, buf.String(), false)
	}
	l := &Ladder{}
	fixtureSteps(l, inCapture)
	l.Aside(&analyzer.Step{Segment: &analyzer.Segment{Frame: inCapture(127), Time: sec(10), Flags: analyzer.SYN},
		State: [2]analyzer.State{analyzer.SynSent, analyzer.Listen}})
	f := acrossCaptures()
	f.Remarks = []analyzer.Remark{{Fact: analyzer.FactSYNInWindow, Side: 0, Count: 1, Frame: inCapture(127), LastFrame: inCapture(127),
		First: sec(10), Last: sec(10)}}
	var buf bytes.Buffer
	if err := l.Write(&buf, f, Options{Width: 80, Captures: captureNames(files)}); err != nil {
		t.Fatal(err)
	}
	golden(t, "ladder-captures.golden", buf.Bytes())
	harmless(t, buf.String(), false)
	fits(t, buf.String(), 80)
}

// A SYN that was taken for a new flow, and was none, stands where it came.
func TestLadderAsides(t *testing.T) {
	f := halfClosed()
	f.Remarks = []analyzer.Remark{{Fact: analyzer.FactSYNInWindow, Side: 0, Count: 1, Frame: 127, LastFrame: 127}}
	l := fixtureLadder()
	for _, frame := range []uint64{127, 140} { // the second began a flow of its own
		l.Aside(&analyzer.Step{Segment: &analyzer.Segment{Frame: frame, Time: sec(10), Flags: analyzer.SYN},
			State: [2]analyzer.State{analyzer.SynSent, analyzer.Listen}})
	}
	var buf bytes.Buffer
	if err := l.Write(&buf, f, Options{Width: 80}); err != nil {
		t.Fatal(err)
	}
	golden(t, "ladder-aside.golden", buf.Bytes())
}

// harmless fails where text of a capture could make a terminal do something.
func harmless(t *testing.T, out string, color bool) {
	t.Helper()
	if color {
		out = strings.ReplaceAll(out, "\x1b[", "")
	}
	for _, r := range out {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("output has %U", r)
		}
	}
}

// fits fails where a line is wider than the terminal.
func fits(t *testing.T, out string, limit int) {
	t.Helper()
	for line := range strings.Lines(out) {
		if n := width(strings.TrimSuffix(line, "\n")); n > limit {
			t.Errorf("%d columns, want at most %d: %s", n, limit, line)
		}
	}
}

// An empty capture is said to be one, and --all to help where it would.
func TestTableWithoutFlows(t *testing.T) {
	for _, c := range []struct {
		why, want string
		count     func(*Tally)
		file      File
	}{
		{"a capture filter that matched nothing", "no frame was captured", func(*Tally) {}, File{Format: "pcap"}},
		{"another kind of traffic is named", "the capture has 7 udp, 2 arp. Is it the right interface", func(*Tally) {},
			File{Format: "pcap", Frames: 9, Skipped: Counts{"arp": 2, "udp": 7}}},
		{"a snap length that left no TCP header", "Capture again with more of each frame (tcpdump -s 128)", func(*Tally) {},
			File{Format: "pcap", Frames: 9, Skipped: Counts{"truncated before TCP header": 9}, SnapNeeded: 128}},
		{"an encrypted tunnel's outside", "Capture where the tunnel ends", func(*Tally) {},
			File{Format: "pcap", Frames: 9, Skipped: Counts{"encrypted or compressed": 9}}},
		{"what a port scan's sender leaves behind", "lone RSTs", func(*Tally) {}, File{Format: "pcap", Frames: 1, Segments: 1, Strays: 1}},
		{"an error says it already", "no TCP flow in what could be read", func(*Tally) {}, File{Format: "pcapng", Frames: 9, Error: "no interface"}},
		{"filters too narrow", "no flow passes the filters, of 1", func(t *Tally) { t.Pass() }, File{Format: "pcap", Frames: 1, Segments: 1}},
		{"nothing wrong", "--all lists every flow", func(t *Tally) { t.Add(refused()) }, File{Format: "pcap", Frames: 1, Segments: 1}},
	} {
		var buf bytes.Buffer
		r := newTable(&buf, fixtureMeta(), Options{})
		tally := NewTally()
		c.count(tally)
		s := tally.Summary()
		s.AddFile(c.file)
		if err := r.Close(s); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(buf.String(), c.want) {
			t.Errorf("%s: want %q in:\n%s", c.why, c.want, buf.String())
		}
	}
}

// Many findings of one name take the room of few: the worst in full, the
// others in a line, and what they share once.
func TestManyFindingsOfOneName(t *testing.T) {
	for _, c := range []struct {
		why         string
		limit       int
		want, wants string
	}{
		{"all rows are listed", 0, "… and 7 more below", "stuck-close-wait, 10 flows, all to 10.0.0.9:5432\n"},
		{"rows are beyond the limit", 5, "… and 7 more (--finding stuck-close-wait --limit 0 lists them)",
			"\n         flow 5, server 10.0.0.9:5432, since 02:00:11.800 for 4m48s (2 times)\n"},
	} {
		var buf bytes.Buffer
		r := newTable(&buf, fixtureMeta(), Options{Limit: c.limit})
		tally := NewTally()
		for _, f := range many(30) {
			tally.Add(f)
			if err := r.Flow(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(tally.Summary()); err != nil {
			t.Fatal(err)
		}
		out := buf.String()
		if !strings.Contains(out, c.want) || !strings.Contains(out, c.wants) || strings.Count(out, "no FIN from the server") != 1 {
			t.Errorf("%s: want %q and %q in:\n%s", c.why, c.want, c.wants, out)
		}
	}
}

// Beyond gridRows our own writer draws: it must draw what tablewriter does.
func TestGridWritersAgree(t *testing.T) {
	g := &grid{cols: []column{{name: "FLOW", right: true}, {name: "NAME"}, {name: "N", right: true}, {name: "LAST"}},
		rows: [][]string{{"1", "a\nlonger name", "12\n3", "x"}, {"123456", "日本", "", "\nsecond"}, {"", "", "7", ""}}}
	var short, long bytes.Buffer
	p := newPainter(false)
	if err := g.render(&short, p); err != nil {
		t.Fatal(err)
	}
	if err := g.renderLong(&long, p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(short.String(), long.String()); diff != "" {
		t.Errorf("tablewriter and renderLong differ:\n%s", diff)
	}
	golden(t, "grid.golden", short.Bytes())
}

// With a limit the rows kept stay few, and they are the worst.
func TestTableKeepsTheWorst(t *testing.T) {
	r := newTable(&bytes.Buffer{}, fixtureMeta(), Options{All: true, Limit: 5}).(*tableRenderer)
	for _, f := range many(300) {
		if err := r.Flow(f); err != nil {
			t.Fatal(err)
		}
		if len(r.rows) > 10 {
			t.Fatalf("%d rows kept for a limit of 5", len(r.rows))
		}
	}
	r.trim()
	for i, want := range []int{2, 5, 8, 11, 14} {
		if got := r.rows[i]; got.number != want || got.worst != int(analyzer.Error) {
			t.Errorf("row %d is flow %d with severity %d, want flow %d and an error", i, got.number, got.worst, want)
		}
	}
}

// Durations are rounded like those in the evidence of findings, which stands
// beside them: 142 ms there must not be 141ms here.
func TestSpan(t *testing.T) {
	for _, c := range []struct {
		ns   int64
		want string
	}{
		{0, "0ns"}, {999, "999ns"}, {1500, "1.5µs"}, {12_100_000, "12.1ms"}, {999_999_999, "1s"}, {999_499_999, "999ms"},
		{141_600_000, "142ms"}, {1_005_000_000, "1.01s"}, {100_000_000, "100ms"}, {1_000, "1µs"},
		{288_200_000_000, "4m48s"}, {59_940_000_000, "59.9s"}, {59_990_000_000, "1m00s"}, {3_599_900_000_000, "1h00m"},
		{3_600_000_000_000, "1h00m"}, {48*3600e9 - 1, "2d00h"},
		{200_000_000_000_000, "2d08h"}, {-1500, "-1.5µs"},
	} {
		if got := span(c.ns); got != c.want {
			t.Errorf("span(%d) = %q, want %q", c.ns, got, c.want)
		}
	}
}
