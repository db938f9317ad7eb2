package analyzer_test

import (
	"slices"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// owing plays segments, lets time pass until a second, and returns what the flow
// that is held then is owed, by whom, and since which second.
func owing(list []analyzer.Segment, until int64, awake int) (debts []analyzer.Debt, kinds []string) {
	t := analyzer.New(analyzer.Config{Awake: awake, OnFinding: func(*analyzer.Flow, *analyzer.Finding) {}})
	for i := range list {
		t.Observe(&list[i])
	}
	t.Advance(until * 1e9)
	t.Each(func(f *analyzer.Flow) bool {
		for _, s := range []analyzer.Side{f.Client, f.Server()} {
			if d, ok := f.Debt(s); ok {
				d.Since /= 1e9
				debts = append(debts, d)
			}
		}
		for d := range f.AllTold() {
			kinds = append(kinds, d.Name)
		}
		return true
	})
	return debts, kinds
}

// Each state that a side can be stuck in, and what takes it out of it. Side 0 is the
// client.
func TestDebt(t *testing.T) {
	const client, server = analyzer.Side(0), analyzer.Side(1)
	const fin, ack, push = analyzer.FIN | analyzer.ACK, analyzer.ACK, analyzer.PSH | analyzer.ACK
	more := func(list []analyzer.Segment, at int64, like int, change func(*analyzer.Segment)) []analyzer.Segment {
		x := list[like]
		x.Time, x.Frame, x.IPID = at*1e9, uint64(len(list)+1), uint16(len(list)+1)
		change(&x)
		return append(list, x)
	}
	flags := func(f analyzer.Flags) func(*analyzer.Segment) {
		return func(x *analyzer.Segment) { x.Flags = f }
	}
	sends := func(f analyzer.Flags, seq, ack analyzer.Seq, octets uint32) func(*analyzer.Segment) {
		return func(x *analyzer.Segment) { x.Flags, x.Seq, x.Ack, x.Len = f, seq, ack, octets }
	}
	halfOpen := func() []analyzer.Segment { // the client is heard of once more
		return more(more(leak()[:2], 2, 1, flags(analyzer.SYN|ack)), 4, 1, flags(analyzer.SYN|ack))
	}
	lastACK := func() []analyzer.Segment { // the server's FIN is sent three times
		list := more(leak(), 5, 4, sends(fin, 301, 102, 0))
		return more(more(list, 6, 4, sends(fin, 301, 102, 0)), 8, 4, sends(fin, 301, 102, 0))
	}
	finWait1 := func() []analyzer.Segment {
		list := leak()[:4]
		return more(more(list, 3, 3, flags(fin)), 5, 3, flags(fin))
	}
	window := func() []analyzer.Segment { // the server's is closed, and the client probes it
		list := more(leak()[:3], 3, 2, sends(push, 101, 301, 500))
		list = more(list, 4, 4-3, func(x *analyzer.Segment) { x.Flags, x.Seq, x.Ack, x.Window = ack, 301, 601, 0 })
		for at := int64(5); at < 60; at += 9 {
			list = more(list, at, 2, sends(ack, 600, 301, 0))
			list = more(list, at, 1, func(x *analyzer.Segment) { x.Flags, x.Seq, x.Ack, x.Window = ack, 301, 601, 0 })
		}
		return list
	}
	for _, c := range []struct {
		name, why string
		list      []analyzer.Segment
		until     int64
		want      []analyzer.Debt
	}{
		{"leak", "both wait for the application of one", leak(), 40,
			[]analyzer.Debt{{By: server, What: "FIN", Since: 3}, {By: server, What: "FIN", Since: 2}}},
		{"leak, early", "nobody is stuck before the limit", leak(), 20, nil},
		{"half-close", "data that still comes is a legal half-close: not stuck any more, and then again",
			more(leak(), 50, 4, sends(push, 301, 102, 100)), 60, nil},
		{"half-close, silent", "the time counts from that data",
			more(leak(), 50, 4, sends(push, 301, 102, 100)), 90,
			[]analyzer.Debt{{By: server, What: "FIN", Since: 50}, {By: server, What: "FIN", Since: 50}}},
		{"half-open", "the server answers, and the client does not", halfOpen(), 66,
			[]analyzer.Debt{{By: client, What: "ACK", Since: 1}}},
		{"FIN_WAIT_1", "a FIN sent again and again", finWait1(), 50,
			[]analyzer.Debt{{By: server, What: "ACK of FIN", Since: 2}}},
		{"LAST_ACK", "likewise, after the peer's", lastACK(), 50,
			[]analyzer.Debt{{By: client, What: "ACK of FIN", Since: 5}}},
		{"zero window", "the side itself is to open it", window(), 60,
			[]analyzer.Debt{{By: server, What: "window update", Since: 4}}},
	} {
		for _, awake := range []int{0, 1} {
			got, kinds := owing(c.list, c.until, awake)
			if !slices.Equal(got, c.want) {
				t.Errorf("%s (%s): owed %v, want %v; told %q", c.name, c.why, got, c.want, kinds)
			}
		}
	}
}
