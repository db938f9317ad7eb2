package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/internal/gen"
)

// generated writes a capture to a file of the test's own, and says how many packets
// it has.
func generated(tb testing.TB, cfg gen.Config) (file string, packets int) {
	tb.Helper()
	file = filepath.Join(tb.TempDir(), cfg.Profile+".pcap")
	out, err := os.Create(file)
	if err != nil {
		tb.Fatal(err)
	}
	made, err := gen.Write(out, cfg)
	if err := errors.Join(err, out.Close()); err != nil {
		tb.Fatal(err)
	}
	return file, made.Packets
}

// BenchmarkAnalyze is the whole command on a quarter of the mix, with as many
// flows at once as the whole has: what to take a profile of.
func BenchmarkAnalyze(b *testing.B) {
	mix := gen.ProfileNamed("mix").Full(1, 1)
	mix.Connections /= 4
	file, packets := generated(b, mix)
	for _, c := range []struct {
		name  string
		flags []string
	}{
		{"summary", nil},
		{"ndjson", []string{"-o", "ndjson", "--all"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				root := newRoot()
				root.SetArgs(append([]string{"analyze", file, "--output", file + ".out"}, c.flags...))
				if err := root.Execute(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*packets), "ns/packet")
		})
	}
}
