package livetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// gauge is what must not grow.
type gauge struct {
	name  string
	slack float64 // beside a tenth: what may come and go
	value [3]float64
}

// Nothing grows while connections come and go: in the last third of the time
// there is no more than in the one before. The first is for tables that find
// their size. Flows are kept for minutes after their end, so a run that is
// shorter than that holds them to a number that it reaches soon.
func TestSoak(t *testing.T) {
	d := length(t, "TCPFLOW_STATES_SOAK", 20*time.Second)
	a, b := hosts(t)
	args := []string{"--metrics", metricsPort, "--interval", "1s"}
	if d < 9*time.Minute {
		args = append(args, "--max-flows", "1000")
	}
	live := b.live(args...)
	end := make(chan bool)
	var busy sync.WaitGroup
	var count atomic.Int64
	churn(t, a, b, 400, end, &busy, &count)
	gauges := []*gauge{
		{name: "resident, KiB", slack: 8 << 10},
		{name: "goroutines", slack: 4},
		{name: "threads", slack: 4},
		{name: "open files", slack: 4},
	}
	begun := time.Now()
	every := max(d/60, 200*time.Millisecond)
	for at := begun.Add(every); time.Since(begun) < d; at = at.Add(every) {
		time.Sleep(time.Until(at))
		third := min(int(3*time.Since(begun)/d), 2)
		all := b.scrape()
		for i, v := range []float64{float64(live.status("VmRSS")), all["go_goroutines"], float64(live.status("Threads")), float64(live.openFiles())} {
			gauges[i].value[third] = max(gauges[i].value[third], v)
		}
	}
	close(end)
	busy.Wait()
	t.Logf("%v, %d connections", d, count.Load())
	for _, g := range gauges {
		t.Logf("%-14s at most %8.0f, %8.0f, %8.0f in each third", g.name, g.value[0], g.value[1], g.value[2])
		if g.value[2] > 1.1*g.value[1]+g.slack {
			t.Errorf("%s grow: %.0f, then %.0f", g.name, g.value[1], g.value[2])
		}
	}
	if code := live.stop(); code != 0 {
		t.Errorf("live ended with %d\n%s", code, &live.err)
	}
}
