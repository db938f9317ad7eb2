package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/internal/gen"
	"github.com/tcpflow-states/tcpflow-states/internal/schematest"
	"github.com/tcpflow-states/tcpflow-states/report"
)

const ms = int64(1e6)

// maker makes flows that open, and what else is asked for, as a Tracker hands
// them on.
type maker struct {
	c *Capture
	n int
}

func newMaker() *maker { return &maker{c: NewCapture()} }

// flow adds one; change may make it another one.
func (m *maker) flow(client, server string, rtt int64, change ...func(*analyzer.Flow)) {
	f := &analyzer.Flow{Number: m.n, Client: 0}
	m.n++
	for s, text := range []string{client, server} {
		a := netip.MustParseAddrPort(text)
		f.Key.Addr[s], f.Key.Port[s] = analyzer.AddrFrom4(a.Addr().As4()), a.Port()
	}
	f.Handshake = analyzer.Handshake{Result: analyzer.HandshakeEstablished, RTT: rtt}
	move(f, 0, analyzer.Closed, analyzer.SynSent, analyzer.Established)
	move(f, 1, analyzer.Listen, analyzer.SynReceived, analyzer.Established)
	for _, c := range change {
		c(f)
	}
	m.c.Add(f, func(*analyzer.Finding) bool { return true })
}

// move takes a side through states.
func move(f *analyzer.Flow, s analyzer.Side, states ...analyzer.State) {
	for i := range states[1:] {
		f.Transitions = append(f.Transitions, analyzer.Transition{Side: s, From: states[i], To: states[i+1]})
	}
	f.Sides[s].State = states[len(states)-1]
}

var leak = analyzer.Detectors[slices.IndexFunc(analyzer.Detectors, func(d *analyzer.Detector) bool { return d.Name == "stuck-close-wait" })]

// leaked has the server rest in CLOSE_WAIT.
func leaked(f *analyzer.Flow) {
	move(f, 1, analyzer.Established, analyzer.CloseWait)
	f.Findings = append(f.Findings, analyzer.Finding{Detector: leak, Severity: analyzer.Error, Side: 1})
}

func client(n int) string { return fmt.Sprintf("10.0.1.%d:%d", n/50_000, 1024+n%50_000) }

func find(t *testing.T, list []report.DiffCount, name string) report.DiffCount {
	t.Helper()
	i := slices.IndexFunc(list, func(c report.DiffCount) bool { return c.String() == name })
	if i < 0 {
		t.Fatalf("no %s in %+v", name, list)
	}
	return list[i]
}

// What is new is new; a share that grew is told from one that only chance makes
// another.
func TestCounts(t *testing.T) {
	capture := func(flows, leaks int) *Capture {
		m := newMaker()
		for i := range flows {
			var change []func(*analyzer.Flow)
			if i < leaks {
				change = append(change, leaked)
			}
			m.flow(client(i), "10.0.0.9:5432", 5*ms, change...)
		}
		return m.c
	}
	for _, c := range []struct {
		old, oldLeaks, new, newLeaks int
		want                         string
	}{
		{100, 0, 100, 1, "new"},
		{100, 1, 100, 0, "gone"},
		{100, 5, 100, 30, "more"},
		{100, 30, 100, 5, "fewer"},
		{100, 5, 100, 7, "same"},
		{100, 10, 1000, 100, "same"}, // ten times as many of ten times as many
		{100, 50, 1000, 100, "fewer"},
		{50_000, 1, 50_000, 49_999, "more"}, // p is too small for a float64, but there is one
	} {
		d := Diff(capture(c.old, c.oldLeaks), capture(c.new, c.newLeaks))
		l := &d.Listeners[0]
		for _, got := range []report.DiffCount{find(t, l.Findings, "stuck-close-wait@server"), find(t, l.States, "CLOSE_WAIT@server")} {
			if got.Change != c.want || got.Old != c.oldLeaks || got.New != c.newLeaks {
				t.Errorf("%+v: %+v", c, got)
			}
			if tested := c.want != "new" && c.want != "gone"; tested != (got.P > 0) {
				t.Errorf("%+v: p = %v", c, got.P)
			}
		}
		if n := len(l.Histories); (n == 1) != (c.oldLeaks*c.newLeaks == 0) {
			t.Errorf("%+v: histories %+v", c, l.Histories)
		}
		if est := find(t, l.Handshakes, "established"); est.Change != "same" {
			t.Errorf("%+v: %+v", c, est)
		}
	}
}

// normal adds n flows with round trips about a mean.
func normal(m *maker, r *rand.Rand, server string, n int, mean int64) {
	for range n {
		m.flow(client(m.n), server, mean+int64(r.NormFloat64()*float64(mean)/10))
	}
}

func TestLatency(t *testing.T) {
	for _, c := range []struct {
		n        int
		old, new int64
		want     string
	}{
		{50, 10 * ms, 12 * ms, "slower"},
		{50, 12 * ms, 10 * ms, "faster"},
		{50, 10 * ms, 10 * ms, "same"},
		{MinSamples, 10 * ms, 20 * ms, "slower"},
		{MinSamples - 1, 10 * ms, 20 * ms, "too-few"},
	} {
		r := rand.New(rand.NewPCG(3, 4))
		old, new := newMaker(), newMaker()
		normal(old, r, "10.0.0.9:80", c.n, c.old)
		normal(new, r, "10.0.0.9:80", c.n, c.new)
		d := Diff(old.c, new.c)
		l := d.Listeners[0].Latency
		if l.Verdict != c.want || l.Old.N != c.n || d.Listeners[0].Changed != (c.want == "slower" || c.want == "faster") {
			t.Errorf("%+v: %+v", c, l)
		}
		switch x := l.Test; {
		case c.want == "too-few":
			if x != nil {
				t.Errorf("%+v: a test was made: %+v", c, x)
			}
		case x.ShiftLow > x.Shift || x.Shift > x.ShiftHigh:
			t.Errorf("%+v: %+v", c, x)
		case c.n == 50 && (int64(x.ShiftLow) > c.new-c.old || int64(x.ShiftHigh) < c.new-c.old):
			t.Errorf("%+v: the shift is not in its interval: %+v", c, x)
		}
	}
}

// The more listeners are tested the less a small p says.
func TestManyListenersAreNoReasonToWorry(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	old, new := newMaker(), newMaker()
	for i := range 300 {
		normal(old, r, fmt.Sprintf("10.0.0.9:%d", 1+i), 20, 10*ms)
		normal(new, r, fmt.Sprintf("10.0.0.9:%d", 1+i), 20, 10*ms)
	}
	least := 1.0
	d := Diff(old.c, new.c)
	for _, l := range d.Listeners {
		least = min(least, l.Latency.Test.P)
		if l.Changed {
			t.Errorf("port %d has changed: %+v", l.Port, l.Latency.Test)
		}
	}
	if least > Level {
		t.Errorf("the least p is %v: nothing was there to be corrected", least)
	}
}

// A sample is the same whatever the order in which flows end, and p50 of it near
// that of all.
func TestSample(t *testing.T) {
	var a, b, c sample
	for i := range 10_000 {
		a.add(uint64(i), int64(i))
		b.add(uint64(9_999-i), int64(9_999-i))
		if i%2 == 0 {
			c.add(uint64(i), int64(i))
		}
	}
	var odd sample
	for i := 1; i < 10_000; i += 2 {
		odd.add(uint64(i), int64(i))
	}
	c.merge(&odd)
	values := a.values()
	if !slices.Equal(values, b.values()) || !slices.Equal(values, c.values()) {
		t.Error("the order decides what is in the sample")
	}
	if len(values) != maxSample || a.n != 10_000 || c.n != 10_000 {
		t.Errorf("%d of %d", len(values), a.n)
	}
	if p50 := quantile(values, 0.5); p50 < 4700 || p50 > 5300 {
		t.Errorf("median %d of 0 to 9999", p50)
	}
}

// Where hosts have other addresses listeners are paired by port, but not where an
// address is in both captures: there the listener has gone.
func TestPairing(t *testing.T) {
	old, new := newMaker(), newMaker()
	for i, s := range []string{"127.0.0.1:80", "127.0.0.1:81", "172.17.0.2:5432", "172.17.0.3:5432", "172.17.0.3:22"} {
		old.flow(client(i), s, ms)
	}
	for i, s := range []string{"127.0.0.1:80", "127.0.0.1:82", "172.18.0.7:5432", "172.18.0.7:81", "172.18.0.7:5433"} {
		new.flow(client(i), s, ms)
	}
	d := Diff(old.c, new.c)
	got := fmt.Sprintf("%v", func() (list []string) {
		for i := range d.Listeners {
			l := &d.Listeners[i]
			list = append(list, fmt.Sprintf("%s %v=%v", l.Name(), l.Old.Addrs, l.New.Addrs))
		}
		return list
	}())
	if want := "[127.0.0.1:80 [127.0.0.1]=[127.0.0.1] *:5432 [172.17.0.2 172.17.0.3]=[172.18.0.7]]"; got != want {
		t.Errorf("paired %s\nwant %s", got, want)
	}
	alone := func(list []report.DiffAlone) (names []string) {
		for i := range list {
			names = append(names, list[i].Name())
		}
		return names
	}
	if got, want := fmt.Sprint(alone(d.Gone), alone(d.Appeared)), "[172.17.0.3:22 127.0.0.1:81] [172.18.0.7:81 127.0.0.1:82 172.18.0.7:5433]"; got != want {
		t.Errorf("alone %s\nwant %s", got, want)
	}
	if n := d.Listeners[1].Old.Connections; n != 2 {
		t.Errorf("%d connections of two listeners that are one", n)
	}
}

// A listener on an ephemeral port is paired with the only other one on its address,
// and with none where there are several or the port is not one that systems give.
func TestPairingEphemeral(t *testing.T) {
	for _, c := range []struct{ why, old, new, want string }{
		{"the server of a test, on :0", "127.0.0.1:40001 127.0.0.1:80", "127.0.0.1:35000 127.0.0.1:80", "[127.0.0.1:80 127.0.0.1:40001>35000] 0 0"},
		{"the same in both is not looked for", "127.0.0.1:40001 127.0.0.1:40002", "127.0.0.1:40001 127.0.0.1:35000", "[127.0.0.1:40001 127.0.0.1:40002>35000] 0 0"},
		{"two in one of them", "127.0.0.1:40001", "127.0.0.1:35000 127.0.0.1:35001", "[] 1 2"},
		{"no ephemeral port", "127.0.0.1:32767", "127.0.0.1:35000", "[] 1 1"},
		{"each address has its own", "127.0.0.1:40001 127.0.0.2:40001", "127.0.0.1:35000 127.0.0.2:35001", "[127.0.0.1:40001>35000 127.0.0.2:40001>35001] 0 0"},
	} {
		old, new := newMaker(), newMaker()
		for i, s := range strings.Fields(c.old) {
			old.flow(client(i), s, ms)
		}
		for i, s := range strings.Fields(c.new) {
			new.flow(client(i), s, ms)
		}
		d := Diff(old.c, new.c)
		names := []string{}
		for i := range d.Listeners {
			names = append(names, d.Listeners[i].Name())
		}
		if got := fmt.Sprint(names, len(d.Gone), len(d.Appeared)); got != c.want {
			t.Errorf("%s: %s, want %s", c.why, got, c.want)
		}
	}
}

// Flows are paired by endpoints and order; few with the same ports by chance are
// none.
func TestFlowPairs(t *testing.T) {
	capture := func(from, n int, third ...func(*analyzer.Flow)) *Capture {
		m := newMaker()
		for i := range n {
			m.flow(client(from+i), "10.0.0.9:80", ms)
		}
		m.flow(client(from), "10.0.0.9:80", ms)
		m.flow(client(from), "10.0.0.9:80", ms, third...)
		return m.c
	}
	f := Diff(capture(0, 10), capture(0, 10, leaked)).Listeners[0].Flows
	if f == nil || f.Paired != 12 || f.Changed != 1 {
		t.Fatalf("%+v", f)
	}
	if x := f.List[0]; x.Old != 11 || x.New != 11 || !slices.Equal(x.Gained, []string{"stuck-close-wait@server"}) || x.Lost != nil ||
		x.Was.Server[len(x.Was.Server)-1] != "ESTABLISHED" || x.Is.Server[len(x.Is.Server)-1] != "CLOSE_WAIT" {
		t.Errorf("%+v", x)
	}
	if f := Diff(capture(0, 100), capture(50, 100)).Listeners[0].Flows; f != nil {
		t.Errorf("half of the ports are the same, and flows are compared: %+v", f)
	}
}

// How long a capture goes on after the last FIN is no difference.
func TestEndOfTimeWaitIsNoDifference(t *testing.T) {
	capture := func(more ...func(*analyzer.Flow)) *Capture {
		m := newMaker()
		m.flow(client(0), "10.0.0.9:80", ms, append([]func(*analyzer.Flow){func(f *analyzer.Flow) {
			move(f, 0, analyzer.Established, analyzer.FinWait1, analyzer.FinWait2, analyzer.TimeWait)
		}}, more...)...)
		return m.c
	}
	lapse := func(f *analyzer.Flow) {
		move(f, 0, analyzer.TimeWait, analyzer.Closed)
		f.Transitions[len(f.Transitions)-1].Trigger = analyzer.Timeout
	}
	if d := Diff(capture(), capture(lapse)); d.Listeners[0].Changed {
		t.Errorf("%+v", d.Listeners[0])
	}
}

// What there is no room for is counted.
func TestBounds(t *testing.T) {
	m := newMaker()
	for i := range maxListeners + 10 {
		m.flow(client(i), fmt.Sprintf("10.0.0.9:%d", 1+i), ms)
	}
	if c := Diff(m.c, m.c).Old; c.Listeners != maxListeners || c.FlowsLeftOut != 10 || c.Flows != maxListeners+10 {
		t.Errorf("%+v", c)
	}
}

// read takes a generated capture through a Tracker.
func read(t *testing.T, seed uint64) *Capture {
	t.Helper()
	var b bytes.Buffer
	if _, err := gen.Write(&b, gen.Config{Profile: "mix", Packets: 20_000, Open: 1000, Seed: seed}); err != nil {
		t.Fatal(err)
	}
	src, err := capture.NewReader(&b, "generated", capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := NewCapture()
	tracker := analyzer.New(analyzer.Config{OnFlow: func(f *analyzer.Flow) { c.Add(f, func(*analyzer.Finding) bool { return true }) }})
	var p capture.Packet
	for {
		switch err := src.Next(&p); {
		case errors.Is(err, io.EOF):
			tracker.Close()
			return c
		case err != nil:
			t.Fatal(err)
		}
		tracker.Observe(&p.Segment)
	}
}

// A capture does not differ from itself, two of the same service not by test, and
// the result has the same bytes again and again.
func TestGenerated(t *testing.T) {
	d := Diff(read(t, 1), read(t, 1))
	if len(d.Gone)+len(d.Appeared) > 0 || len(d.Listeners) != 16 {
		t.Errorf("%d listeners, %v gone, %v new", len(d.Listeners), d.Gone, d.Appeared)
	}
	for _, l := range d.Listeners {
		if l.Changed || l.Flows == nil || l.Flows.Paired != l.Old.Connections {
			t.Errorf("port %d: %+v", l.Port, l)
		}
	}
	text := func(d *report.Diff) string {
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	d = Diff(read(t, 1), read(t, 2))
	for _, l := range d.Listeners {
		if v := l.Latency.Verdict; v != "same" {
			t.Errorf("%s: %s", l.Name(), v)
		}
		for _, group := range l.Groups() {
			for _, c := range group.Counts {
				if c.Change == "more" || c.Change == "fewer" {
					t.Errorf("%s: %+v", l.Name(), c)
				}
			}
		}
	}
	first := text(d)
	for range 3 {
		if text(Diff(read(t, 1), read(t, 2))) != first {
			t.Fatal("two runs differ")
		}
	}
}

// The JSON is what docs/schema.json says, whatever there is to be said.
func TestJSONMatchesSchema(t *testing.T) {
	schema := schematest.Compile(t, schematest.Read(t, "../../docs/schema.json"))
	one := func(server string, change ...func(*analyzer.Flow)) *Capture {
		m := newMaker()
		m.flow(client(0), server, ms, change...)
		m.c.AddAcross(&analyzer.Finding{Detector: leak})
		return m.c
	}
	for why, d := range map[string]*report.Diff{
		"nothing":   Diff(NewCapture(), NewCapture()),
		"unpaired":  Diff(one("10.0.0.9:80"), one("10.0.0.9:81")),
		"by port":   Diff(one("10.0.0.9:80"), one("10.0.0.8:80")),
		"flows":     Diff(one("10.0.0.9:80"), one("10.0.0.9:80", leaked)),
		"generated": Diff(read(t, 1), read(t, 2)),
	} {
		d.Options.StuckAfter = map[string]report.Seconds{} // the command's to say
		var b bytes.Buffer
		if err := d.JSON(&b); err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(&b)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", why, err)
		}
		v.(map[string]any)["listeners"] = nil
		if schema.Validate(v) == nil {
			t.Errorf("%s: valid with listeners that are null", why)
		}
	}
}
