package report

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// toRecord makes of a flow the Go value that appendFlow must spell like
// encoding/json does.
func toRecord(f *analyzer.Flow, o Origin) *Flow {
	c, s := f.Client, f.Server()
	rec := &Flow{
		Type: "flow", Schema: Schema, Flow: f.Number, File: Text(o.File), Client: toPeer(f, c), Server: toPeer(f, s),
		Roles: "observed", Start: Time(f.Start), End: Time(f.End),
		Frames:      f.Frames,
		State:       States{f.Sides[c].State.String(), f.Sides[s].State.String()},
		Basis:       Bases{f.Sides[c].Basis.String(), f.Sides[s].Basis.String()},
		Transitions: []Transition{}, Findings: []Finding{},
		Counters: BothCounters{toCounters(&f.Sides[c]), toCounters(&f.Sides[s])},
		Handshake: Handshake{
			Result: f.Handshake.Result.String(), Tap: f.Handshake.Tap.String(),
			RTT: toSeconds(f.Handshake.RTT), RTTServer: toSeconds(f.Handshake.RTTServer), RTTClient: toSeconds(f.Handshake.RTTClient),
			SYNRetransmits: f.Handshake.SYNRetransmits, SYNACKRetransmits: f.Handshake.SYNACKRetransmits,
			ClientOptions: toOptions(&f.Sides[c].Offered), ServerOptions: toOptions(&f.Sides[s].Offered),
		},
		Close: Close{Result: f.Close.Result.String(), ActiveCloser: sideName(f, f.Close.ActiveCloser), By: f.Close.By.String()},
	}
	rec.FirstCapture, rec.FirstFrame = analyzer.SplitFrame(f.FirstFrame)
	rec.LastCapture, rec.LastFrame = analyzer.SplitFrame(f.LastFrame)
	if f.Guessed {
		rec.Roles = "guessed"
	}
	if l := (Link{Interface: Text(o.Link.Interface), VLAN: o.Link.VLAN}); l.Interface != "" || l.VLAN != nil || o.Link.Tunnel != nil {
		for _, t := range o.Link.Tunnel {
			l.Tunnel = append(l.Tunnel, Text(t))
		}
		rec.Link = &l
	}
	if in := (InState{toSeconds(f.InState(c)), toSeconds(f.InState(s))}); in != (InState{}) {
		rec.InState = &in
	}
	if f.ReplacedBy >= 0 {
		rec.ReplacedBy = &f.ReplacedBy
	}
	if f.Close.By != analyzer.CloseByNothing {
		rec.Close.Duration = toSeconds(f.Close.Duration)
	}
	for i := range f.Transitions {
		rec.Transitions = append(rec.Transitions, toTransition(f, &f.Transitions[i]))
	}
	for i := range f.Findings {
		rec.Findings = append(rec.Findings, toFinding(f, &f.Findings[i]))
	}
	if f.Zeek.ConnState != "" {
		rec.Zeek = &Zeek{f.Zeek.ConnState, string(f.Zeek.History)}
		if f.Wireshark.Stream >= 0 {
			rec.Wireshark = &Wireshark{f.Wireshark.Stream, f.Wireshark.Completeness}
		}
	}
	return rec
}

func toPeer(f *analyzer.Flow, s analyzer.Side) Peer {
	return Peer{f.Addr(s).Addr().String(), f.Addr(s).Port()}
}

func toSeconds(ns int64) *Seconds {
	if ns < 0 {
		return nil
	}
	s := Seconds(ns)
	return &s
}

func toCounters(e *analyzer.Endpoint) Counters {
	c := &e.Counters
	return Counters{Segments: c.Segments, Bytes: c.Bytes, Retransmitted: uint64(c.Retransmitted), OutOfOrder: uint64(c.OutOfOrder),
		DuplicateACK: uint64(c.DuplicateACK), KeepAlive: uint64(c.KeepAlive), ZeroWindow: uint64(c.ZeroWindow),
		Resets: c.Resets, SYN: c.SYN, FIN: c.FIN, CaptureDuplicates: c.CaptureDuplicates, CaptureLostBytes: c.CaptureLostBytes}
}

func toOptions(n *analyzer.Negotiated) *SYNOptions {
	if !n.Known {
		return nil
	}
	o := &SYNOptions{SACK: n.Set&analyzer.OptSACKPermitted != 0, Timestamps: n.Set&analyzer.OptTimestamps != 0,
		FastOpen: n.Set&analyzer.OptFastOpen != 0}
	if n.Set&analyzer.OptMSS != 0 {
		o.MSS = &n.MSS
	}
	if n.Set&analyzer.OptWindowScale != 0 {
		o.WScale = &n.WindowScale
	}
	return o
}

func toTransition(f *analyzer.Flow, t *analyzer.Transition) Transition {
	rec := Transition{Side: sideName(f, t.Side), Time: Time(t.Time), From: t.From.String(), To: t.To.String(),
		Trigger: t.Trigger.String(), Basis: t.Basis.String()}
	rec.Capture, rec.Frame = analyzer.SplitFrame(t.Frame)
	if t.Withdrawn != nil {
		rec.Withdrawn = Text(t.Withdrawn.Why)
		rec.WithdrawnCapture, rec.WithdrawnFrame = analyzer.SplitFrame(t.Withdrawn.Frame)
	}
	if t.ConfirmedFrame != 0 {
		at := Time(t.ConfirmedAt)
		rec.ConfirmedAt = &at
		rec.ConfirmedCapture, rec.ConfirmedFrame = analyzer.SplitFrame(t.ConfirmedFrame)
	}
	return rec
}

func toFinding(f *analyzer.Flow, n *analyzer.Finding) Finding {
	rec := Finding{Name: n.Detector.Name, Severity: n.Severity.String(), Side: sideName(f, n.Side), At: Time(n.At),
		Count: max(n.Count, 1), Pending: n.Pending, Evidence: Text(n.Evidence), Doubt: Text(n.Doubt),
		Cause: Text(n.Detector.Cause), Next: Text(n.Next), Reference: Text(n.Detector.Reference)}
	rec.Capture, rec.Frame = analyzer.SplitFrame(n.Frame)
	rec.Frames, rec.Captures = splitFrames(n.Frames)
	if n.Last > n.At {
		last := Time(n.Last)
		rec.Last = &last
	}
	if n.For > 0 {
		rec.For = toSeconds(n.For)
	}
	return rec
}

// The encoder that knows no reflection must spell every flow as encoding/json
// spells the documented types, byte for byte.
func TestAppendFlowIsEncodingJSON(t *testing.T) {
	o := fixtureOptions()
	bare := newFlow(5, "10.0.0.1:1", "10.0.0.2:2", false) // everything that can be left out is
	flows := append(fixture(), bare, acrossCaptures())
	for _, f := range flows {
		got := appendFlow(nil, f, o.origin(f))
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(toRecord(f, o.origin(f))); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimSuffix(want.String(), "\n"), string(got)); diff != "" {
			t.Errorf("flow %d (-encoding/json +appendFlow):\n%s", f.Number, diff)
		}
		// The types also read what they describe.
		var back Flow
		dec := json.NewDecoder(bytes.NewReader(got))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&back); err != nil {
			t.Errorf("flow %d: %v", f.Number, err)
		}
		if back.Start != Time(f.Start) || back.Flow != f.Number {
			t.Errorf("flow %d reads back as flow %d from %d, want %d", f.Number, back.Flow, back.Start, f.Start)
		}
	}
}

// Whatever text comes in, the string is JSON and nothing in it is obeyed by a
// terminal.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b[31m", "a\"b\\c", "\u2028\u202e", "\xff\xfe", "日本 😀", "\U000e0001\U0010ffff", "<&>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendString(nil, s)
		var back string
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); len([]rune(back)) != len([]rune(s)) || !strings.ContainsRune(s, 0xfffd) && want == s && back != s {
			t.Errorf("%q reads back as %q", s, back)
		}
		harmless(t, string(b), false)
	})
}

// decoded is the whole object of -o json.
type decoded struct {
	Meta    Meta    `json:"meta"`
	Flows   []Flow  `json:"flows"`
	Summary Summary `json:"summary"`
}

// Flows come by number whatever the order in which they end, and whatever
// does not fit into memory goes through a file.
func TestJSONOrdersFlows(t *testing.T) {
	for _, c := range []struct {
		why   string
		flows int
		skip  func(int) bool
	}{
		{"few flows wait in memory", 40, func(int) bool { return false }},
		{"numbers that the filters leave out hold nothing up", 40, func(n int) bool { return n%2 == 0 }},
		{"reversed flows beyond the memory's bound wait in a file", 60_000, func(int) bool { return false }},
	} {
		t.Run(c.why, func(t *testing.T) {
			if c.flows > 1000 && testing.Short() {
				t.Skip("writes 100 MB")
			}
			var buf bytes.Buffer
			r := newJSON(&buf, fixtureMeta(), fixtureOptions())
			want := 0
			for _, f := range many(c.flows) {
				var err error
				if c.skip(f.Number) {
					err = r.(Skipper).Skip(f.Number)
				} else {
					want++
					err = r.Flow(f)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Close(NewTally().Summary()); err != nil {
				t.Fatal(err)
			}
			var got decoded
			if err := json.Unmarshal(buf.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if len(got.Flows) != want {
				t.Fatalf("%d flows, want %d", len(got.Flows), want)
			}
			for i := 1; i < len(got.Flows); i++ {
				if got.Flows[i-1].Flow >= got.Flows[i].Flow {
					t.Fatalf("flow %d comes before flow %d", got.Flows[i-1].Flow, got.Flows[i].Flow)
				}
			}
		})
	}
}

// A flow costs no memory beyond the encoder's own buffer.
func TestAppendFlowAllocatesNothing(t *testing.T) {
	f, o := halfClosed(), fixtureOptions()
	origin := o.origin(f)
	buf := make([]byte, 0, 8192)
	if n := testing.AllocsPerRun(100, func() { buf = appendFlow(buf[:0], f, origin) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkAppendFlow(b *testing.B) {
	f, o := halfClosed(), fixtureOptions()
	origin := o.origin(f)
	buf := make([]byte, 0, 8192)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendFlow(buf[:0], f, origin)
	}
	b.SetBytes(int64(len(buf)))
}

// TestAppendTime holds our spelling of a time to that of package time: digits,
// fractions that end early, the ends of years, and what lies before 1970.
func TestAppendTime(t *testing.T) {
	times := []int64{0, 1, -1, 999_999_999, 1_000_000_000, 1_500_000_000, -1_500_000_000, math.MaxInt64, math.MinInt64}
	for _, day := range []string{"1972-02-29", "1999-12-31", "2000-03-01", "2026-11-21", "2100-02-28"} {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []time.Duration{0, time.Hour + 23*time.Minute + 45*time.Second, 24*time.Hour - 1, 120 * time.Microsecond} {
			times = append(times, at.Add(d).UnixNano())
		}
	}
	for _, ns := range times {
		want := strconv.Quote(time.Unix(0, ns).UTC().Format(time.RFC3339Nano))
		if got := string(appendTime(nil, ns)); got != want {
			t.Errorf("%d: got %s, want %s", ns, got, want)
		}
	}
}
