package analyzer_test

import (
	"bytes"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/internal/gen"
)

// From the file to the ended flow, healthy connections that come and go
// allocate for what stays open of them, and nothing for a packet. The warm-up
// is longer than TIME_WAIT: from then on flows end as others begin.
func TestPacketsAllocateNothing(t *testing.T) {
	t.Run("awake", func(t *testing.T) { packetsAllocate(t, 0) })
	t.Run("asleep", func(t *testing.T) { packetsAllocate(t, 20) })
}

func packetsAllocate(t *testing.T, awake int) {
	const packets, warm, runs = 10_000, 8, 3
	var file bytes.Buffer
	made := gen.Config{Profile: "healthy", Seed: 1, Open: 5, Packets: (warm + runs + 2) * packets}
	if _, err := gen.Write(&file, made); err != nil {
		t.Fatal(err)
	}
	src, err := capture.NewReader(&file, "healthy", capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tracker := analyzer.New(analyzer.Config{Awake: awake})
	var p capture.Packet
	read := func() {
		for range packets {
			if err := src.Next(&p); err != nil {
				t.Fatal(err)
			}
			tracker.Observe(&p.Segment)
		}
	}
	for range warm {
		read()
	}
	if n := testing.AllocsPerRun(runs, read); n > packets/100 {
		t.Errorf("%v allocations for %d packets", n, packets)
	}
}
