package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/internal/gen"
)

// A file that is big enough for all cores gives the flows that it gives as a
// pipe, which one core reads: the same octets in the same order, whatever is
// chosen.
func TestCoresWriteTheSame(t *testing.T) {
	file, _ := generated(t, gen.Config{Profile: "mix", Packets: 40000, Seed: 3})
	if info, err := os.Stat(file); err != nil || info.Size() < much {
		t.Fatal("the capture is too small for the test", err)
	}
	for _, flags := range [][]string{
		{"-o", "ndjson", "--all"},
		{"-o", "json"},
		{"-o", "ndjson", "--min-severity", "warning"},
		{"-o", "json", "--finding", "retransmission-heavy,connection-refused", "--port", "443-5432"},
		{"-o", "wide", "--all", "--limit", "0"},
	} {
		whole, piped := flowsOf(t, file, "", flags), flowsOf(t, "-", file, flags)
		if len(whole) < 1000 || !bytes.Equal(whole, piped) {
			t.Errorf("%v: %d octets from the file, %d from the pipe, and not the same", flags, len(whole), len(piped))
		}
	}
}

// flowsOf is what analyze writes of the flows of a capture, which stdin may be:
// the lines that name no file.
func flowsOf(t *testing.T, capture, stdin string, flags []string) (flows []byte) {
	t.Helper()
	if stdin != "" {
		in, err := os.Open(stdin)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		defer func(was *os.File) { os.Stdin = was }(os.Stdin)
		os.Stdin = in
	}
	result := filepath.Join(t.TempDir(), "result")
	root := newRoot()
	root.SetArgs(append([]string{"analyze", capture, "--quiet", "--output", result}, flags...))
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(written) {
		if !bytes.Contains(line, []byte("mix.pcap")) && !bytes.Contains(line, []byte("standard input")) {
			flows = append(flows, line...)
		}
	}
	return flows
}
