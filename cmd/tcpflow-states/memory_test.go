package main

import (
	"io"
	"runtime"
	"testing"

	"github.com/spf13/pflag"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// The default of live's --max-flows follows the memory, within bounds, and help says
// the number that holds here.
func TestFlowsByMemory(t *testing.T) {
	for _, c := range []struct {
		room uint64
		want int
	}{
		{1 << 20, leastFlows},
		{512 << 20, 89_478},
		{1 << 40, analyzer.DefaultMaxFlows},
	} {
		if got := flowsFor(c.room); got != c.want {
			t.Errorf("%d octets: %d flows, want %d", c.room, got, c.want)
		}
	}
	var n int
	if memory() == 0 {
		t.Skip("this system does not tell how much memory it has")
	}
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.IntVar(&n, "max-flows", 1, "beyond it")
	flowsByMemory(fs, &n)
	if n < leastFlows || fs.Lookup("max-flows").DefValue == "1" {
		t.Errorf("%d flows, told as %s", n, fs.Lookup("max-flows").DefValue)
	}
}

// What live holds does not grow with the connections that have ended: after three
// times as many there is as much on the heap.
func TestNothingGrowsWithEndedFlows(t *testing.T) {
	tally, rollup := report.NewTally(), analyzer.NewRollup(nil)
	table := report.Formats[0].New(io.Discard, &report.Meta{}, report.Options{Limit: 50})
	tr := analyzer.New(analyzer.Config{OnFinding: func(*analyzer.Flow, *analyzer.Finding) {}, OnFlow: func(f *analyzer.Flow) {
		tally.Add(f)
		rollup.Add(f)
		if err := table.Flow(f); err != nil {
			t.Fatal(err)
		}
	}})
	const often = 60_000 // connections: 20,000 are held, for what may still come of them
	churn(tr, 0, often)
	before := heap()
	churn(tr, often, 3*often)
	if after := heap(); after > before+before/20 {
		t.Errorf("the heap has %d octets after %d connections, and %d after %d", before, often, after, 3*often)
	}
	runtime.KeepAlive(table)
}

// churn lets connections open and close, 330 a second; every seventh is reset.
func churn(tr *analyzer.Tracker, from, to int) {
	client, server := analyzer.AddrFrom4([4]byte{10, 0, 0, 1}), analyzer.AddrFrom4([4]byte{10, 0, 0, 2})
	for n := from; n < to; n++ {
		now, frame := int64(1e18)+int64(n)*3e6, uint64(n)*8
		isn := analyzer.Seq(n * 100_000)
		send := func(byClient bool, flags analyzer.Flags, seq, ack, length uint32) {
			frame++
			now += 10_000
			x := analyzer.Segment{Frame: frame, Time: now, Src: client, Dst: server, SrcPort: uint16(30_000 + n%28_000), DstPort: 80,
				Flags: flags, Seq: isn.Add(seq), Ack: isn.Add(ack), Window: 500, Len: length, IPID: uint16(frame)}
			if !byClient {
				x.Src, x.Dst, x.SrcPort, x.DstPort = x.Dst, x.Src, x.DstPort, x.SrcPort
			}
			tr.Observe(&x)
		}
		send(true, analyzer.SYN, 0, 0, 0)
		send(false, analyzer.SYN|analyzer.ACK, 7, 1, 0)
		send(true, analyzer.ACK, 1, 8, 0)
		send(true, analyzer.ACK|analyzer.PSH, 1, 8, 100)
		send(false, analyzer.ACK|analyzer.PSH, 8, 101, 100)
		if n%7 == 0 {
			send(true, analyzer.RST|analyzer.ACK, 101, 108, 0)
			continue
		}
		send(true, analyzer.ACK|analyzer.FIN, 101, 108, 0)
		send(false, analyzer.ACK|analyzer.FIN, 108, 102, 0)
		send(true, analyzer.ACK, 102, 109, 0)
	}
}

// heap is how much there is on it, in octets, once the collector has been by.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
