package analyzer_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/internal/gen"
)

// BenchmarkFindings says what all findings together add to a run over a
// healthy capture of a million packets: reading, decoding, tracking. Runs with
// and without them take turns, so that the machine's moods fall on both.
func BenchmarkFindings(b *testing.B) {
	file := filepath.Join(b.TempDir(), "healthy.pcap")
	out, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	made, err := gen.Write(out, gen.Config{Profile: "healthy", Packets: 1_000_000})
	if err := errors.Join(err, out.Close()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var spent [2]time.Duration
	for b.Loop() {
		for i, detectors := range [...][]*analyzer.Detector{{}, analyzer.Detectors} {
			begin := time.Now()
			track(b, file, detectors)
			spent[i] += time.Since(begin)
		}
	}
	b.ReportMetric(100*(float64(spent[1])/float64(spent[0])-1), "%-for-findings")
	b.ReportMetric(float64(spent[1].Nanoseconds())/float64(b.N*made.Packets), "ns/packet")
}

// track runs a file through a Tracker and a Rollup with these detectors.
func track(b *testing.B, file string, detectors []*analyzer.Detector) {
	src, err := capture.Open(file, capture.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	rollup := analyzer.NewRollup(detectors)
	t := analyzer.New(analyzer.Config{Detectors: detectors, OnFlow: rollup.Add})
	var p capture.Packet
	for {
		switch err := src.Next(&p); {
		case err == io.EOF:
			t.Close()
			rollup.Findings()
			return
		case err != nil:
			b.Fatal(err)
		case p.Kind == capture.KindUnreachable:
			t.ObserveUnreachable(&p.Unreachable)
		default:
			t.Observe(&p.Segment)
		}
	}
}
