package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// fullRoll has something in every column.
func fullRoll(addr string, port uint16) Roll {
	oldest, fin := Seconds(41*60e9), Seconds(40*60e9)
	return Roll{
		Addr: addr, Port: port, Connections: 12044, Established: 11000, Refused: 31, Unanswered: 9, HalfOpen: 4,
		Handshakes: Counts{"established": 11000, "refused": 30, "rejected-icmp": 1, "unanswered": 9, "half-open": 4, "midstream": 1000},
		States:     StateCounts{Counts{"FIN_WAIT_2": 37}, Counts{"CLOSE_WAIT": 37}},
		Stuck: StuckSides{
			Client: map[string]Stuck{"FIN_WAIT_2": {37, &fin, 17}, "CLOSING": {1, nil, 18}},
			Server: map[string]Stuck{"CLOSE_WAIT": {37, &oldest, 17}},
		},
		HandshakeLatency: HandshakeLatency{
			Server: &Latency{11000, 8610 * 1000, Seconds(12 * ms), Seconds(35 * ms), Seconds(3020 * ms)},
			Client: &Latency{11000, 200 * 1000, 210 * 1000, 220 * 1000, 230 * 1000},
		},
		Resets: SideCounts{120, 3}, TimeWait: SideCounts{10000, 12},
	}
}

// healthyRoll has little to say.
func healthyRoll(addr string, port uint16) Roll {
	return Roll{Addr: addr, Port: port, Connections: 1, Established: 1, Handshakes: Counts{"established": 1},
		HandshakeLatency: HandshakeLatency{Server: &Latency{1, 8610 * 1000, 8610 * 1000, 8610 * 1000, 8610 * 1000}}, TimeWait: SideCounts{1, 0}}
}

// The roll-up fits the terminal, loses nothing that is wrong, and takes a line
// or two where nothing is.
func TestRollupGolden(t *testing.T) {
	var troubled, pairs []Roll
	for i := range 13 {
		troubled = append(troubled, fullRoll(fmt.Sprintf("192.168.100.%d", 201+i), 5432))
		if i == 1 {
			troubled[i] = fullRoll("2001:db8:1234:5678:9abc:def0:1234:5678", 50432)
		}
	}
	for i := range 14 {
		pair := fullRoll("192.168.100.201", 5432)
		pair.ClientAddr = fmt.Sprintf("10.0.0.%d", i)
		pairs = append(pairs, pair)
	}
	short := []Roll{fullRoll("10.0.0.9", 5432), healthyRoll("10.0.0.8", 80)}
	healthy := []Roll{healthyRoll("10.0.0.9", 5432)}
	for _, c := range []struct {
		name, why string
		width     int
		wide      bool
		list      []Roll
	}{
		{"80", "the narrowest terminal: few rows, several lines each", 80, false, troubled},
		{"80-short", "few listeners with short addresses", 80, false, short},
		{"200", "a wide terminal: a line each", 200, false, append(troubled[:1:1], troubled[2:]...)},
		{"wide", "every column, and the pairs", 80, true, troubled},
		{"healthy", "one healthy listener does not drown what follows", 80, false, healthy},
	} {
		var buf bytes.Buffer
		r := newTable(&buf, &Meta{}, Options{Width: c.width}).(*tableRenderer)
		r.wide = c.wide
		s := NewTally().Summary()
		s.Flows.Selected, s.Listeners, s.Pairs, s.PairsLeftOut = 1, c.list, pairs, 5
		if err := r.writeRollup(&buf, s); err != nil {
			t.Fatal(err)
		}
		golden(t, "rollup-"+c.name+".golden", buf.Bytes())
		if !c.wide {
			fits(t, buf.String(), c.width)
		}
	}
}

// The sentence on top says what is wrong with the worst listener, if anything.
func TestWorstListener(t *testing.T) {
	stuck := func(client bool, state string, n int, oldest *Seconds) Roll {
		r := healthyRoll("10.0.0.9", 5432)
		of := map[string]Stuck{state: {n, oldest, 17}}
		if r.Stuck.Server = of; client {
			r.Stuck = StuckSides{Client: of}
		}
		return r
	}
	failing := func(refused, unanswered, halfOpen int) Roll {
		return Roll{Addr: "2001:db8::1", Port: 80, Connections: 1500, Refused: refused, Unanswered: unanswered, HalfOpen: halfOpen}
	}
	long := Seconds(41 * 60e9)
	for _, c := range []struct {
		roll Roll
		want string
	}{
		{fullRoll("10.0.0.9", 5432), "10.0.0.9:5432 (server) holds 37 CLOSE_WAIT, the oldest for 41m00s (flow 17)"},
		{stuck(false, "LAST_ACK", 1, &long), "10.0.0.9:5432 (server) holds 1 LAST_ACK for 41m00s (flow 17)"},
		{stuck(true, "CLOSE_WAIT", 2, &long), "clients of 10.0.0.9:5432 hold 2 CLOSE_WAIT, the oldest for 41m00s (flow 17)"},
		{stuck(true, "FIN_WAIT_2", 1, nil), "a client of 10.0.0.9:5432 holds 1 FIN_WAIT_2 (flow 17)"},
		{failing(1200, 7, 300), "1,200 of 1,500 connections to [2001:db8::1]:80 were refused"},
		{failing(0, 7, 2), "7 of 1,500 connections to [2001:db8::1]:80 got no answer"},
		{failing(0, 0, 2), "2 of 1,500 connections to [2001:db8::1]:80 are half-open"},
		{failing(1, 0, 0), ""}, // its finding says it
		{healthyRoll("10.0.0.9", 5432), ""},
	} {
		r := newTable(nil, &Meta{}, Options{}).(*tableRenderer)
		if got := r.worstListener(&c.roll); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// The summary is bounded: what is beyond is counted.
func TestSummaryIsBounded(t *testing.T) {
	rollup := analyzer.NewRollup([]*analyzer.Detector{quietPair})
	for i := range maxListed + 7 {
		rollup.Add(newFlow(i, "10.0.0.1:40000", fmt.Sprintf("10.1.%d.%d:80", i/256, i%256), false))
	}
	tally := NewTally()
	found := rollup.Findings()
	for i := range found {
		if found[i].Evidence = "e"; i == len(found)-1 {
			found[i].Severity = analyzer.Error
		}
		tally.AddAcross(&found[i])
	}
	s := tally.Summary()
	s.AddRollup(rollup)
	if len(s.Listeners) != maxListed || s.ListenersLeftOut != 7 || len(s.Pairs) != maxListed || s.PairsLeftOut != 7 {
		t.Errorf("%d listeners and %d more, %d pairs and %d more", len(s.Listeners), s.ListenersLeftOut, len(s.Pairs), s.PairsLeftOut)
	}
	if len(s.Across) != maxListed || s.AcrossLeftOut != 7 || s.Severities.Warning != maxListed+6 || s.Across[0].Severity != "error" {
		t.Errorf("%d findings and %d more, %+v, first %+v", len(s.Across), s.AcrossLeftOut, s.Severities, s.Across[0])
	}
	var buf bytes.Buffer
	if err := newTable(&buf, &Meta{}, Options{}).Close(s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nerror    quiet-pair, 1,000 times\n", "\n         … and 997 more (-o json lists them)\n", "\n… and 7 more findings across flows\n",
	} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("want %q in:\n%s", want, buf.String())
		}
	}
}

// Findings across flows stand before those of single flows of their severity,
// and name the first flows that they rest on.
func TestFindingsAcrossFlowsInTable(t *testing.T) {
	tally := NewTally()
	var buf bytes.Buffer
	r := newTable(&buf, fixtureMeta(), Options{})
	for _, f := range fixture() {
		tally.Add(f)
		if err := r.Flow(f); err != nil {
			t.Fatal(err)
		}
	}
	tally.AddAcross(&analyzer.Finding{Detector: quietPair, Severity: analyzer.Warning, Side: analyzer.NoSide, At: sec(1), Count: 1,
		Evidence: "1,204 flows are silent", Subject: "10.0.0.9", Flows: []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, FlowCount: 1204})
	if err := r.Close(tally.Summary()); err != nil {
		t.Fatal(err)
	}
	out := buf.String()
	at := -1
	for _, want := range []string{
		"\nFindings: 1 error, 2 warnings, 1 info\n", "\nerror    stuck-close-wait\n",
		"\nwarning  quiet-pair\n         10.0.0.9, at 02:00:01.000: 1,204 flows are silent\n         flows: 1, 2, 3, 4, 5 and 1,199 more\n",
		"\nwarning  capture-gap\n",
	} {
		i := strings.Index(out, want)
		if i <= at {
			t.Errorf("want %q, after what comes before, in:\n%s", want, out)
		}
		at = i
	}
}
