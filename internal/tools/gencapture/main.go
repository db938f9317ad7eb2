// Gencapture writes a synthetic capture file; the same flags give the same
// bytes.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/tcpflow-states/tcpflow-states/internal/gen"
)

func main() {
	var cfg gen.Config
	out := flag.String("o", "", "file to write; - is standard output")
	flag.StringVar(&cfg.Profile, "profile", "mix", "kind of traffic:"+profiles())
	flag.Uint64Var(&cfg.Seed, "seed", 1, "which capture of the kind")
	flag.IntVar(&cfg.Packets, "packets", 0, "how many packets, about (default: 100000, or as many as -connections make)")
	flag.IntVar(&cfg.Connections, "connections", 0, "at most so many connections")
	flag.IntVar(&cfg.Open, "open", 0, "connections open at a time (default: the profile's)")
	flag.IntVar(&cfg.SnapLen, "snaplen", 0, "octets kept of each packet (default: the profile's)")
	scale := flag.Float64("full", 0, "of the profile's full size so much: 1 is what docs/benchmarks.md is about")
	flag.Parse()
	if p := gen.ProfileNamed(cfg.Profile); p != nil && *scale > 0 {
		cfg = p.Full(cfg.Seed, *scale)
	}
	if err := run(*out, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "gencapture:", err)
		os.Exit(1)
	}
}

func profiles() (s string) {
	for _, p := range gen.Profiles {
		s += "\n" + p.Name + ": " + p.Doc
	}
	return s
}

func run(out string, cfg gen.Config) error {
	if out == "" {
		return fmt.Errorf("no file to write: give -o FILE")
	}
	f := os.Stdout
	if out != "-" {
		var err error
		if f, err = os.Create(out); err != nil {
			return fmt.Errorf("create capture: %w", err)
		}
	}
	n, err := gen.Write(f, cfg)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("close capture: %w", err)
	}
	fmt.Fprintf(os.Stderr, "%s: %d packets, %d connections, %d bytes\n", out, n.Packets, n.Connections, n.Bytes)
	return nil
}
