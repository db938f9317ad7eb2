package main

import (
	"testing"

	"github.com/spf13/pflag"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
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
