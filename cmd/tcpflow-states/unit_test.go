package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

func TestDidYouMean(t *testing.T) {
	names := []string{"stuck-close-wait", "stuck-fin-wait-2", "error", "CLOSE_WAIT", "json", "ndjson"}
	for _, c := range []struct{ why, typed, want string }{
		{"a letter left out", "stuck-clos-wait", "stuck-close-wait"},
		{"two letters swapped", "jsno", "json"},
		{"the other way of writing states", "close-wait", "CLOSE_WAIT"},
		{"only the beginning", "stuck-fin", "stuck-fin-wait-2"},
		{"nothing near: a wrong guess is worse than none", "banana", ""},
	} {
		got := didYouMean(c.typed, names)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: didYouMean(%q) = %q, want %q", c.why, c.typed, got, c.want)
		}
	}
}

func TestProgressLine(t *testing.T) {
	for _, c := range []struct {
		why      string
		at, size int64
		width    int
		want     string
	}{
		{"a file has an end", 500e6, 1000e6, 80, "x.pcap  ━━━━━━━━━━┄┄┄┄┄┄┄┄┄┄  50 %  250.0 MB/s  2s left"},
		{"a pipe has none", 500e6, 0, 80, "x.pcap  500.0 MB  250.0 MB/s"},
		{"a narrow terminal loses the name first", 500e6, 1000e6, 50, "━━━━━━━━━━┄┄┄┄┄┄┄┄┄┄  50 %  250.0 MB/s  2s left"},
		{"a file that grew meanwhile is not over 100 %", 1100e6, 1000e6, 80, "x.pcap  ━━━━━━━━━━━━━━━━━━━━ 100 %  550.0 MB/s  0s left"},
	} {
		if got := progressLine("x.pcap", c.at, c.size, 2*time.Second, c.width); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.why, got, c.want)
		}
	}
}

// Whatever sizes its producer writes in, the pipe hands on the same bytes.
func TestPipePassesAllOn(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789"), 30_000)
	p := newPipe(iotest.HalfReader(bytes.NewReader(want)), context.Background())
	if err := iotest.TestReader(p, want); err != nil {
		t.Error(err)
	}
}

// Ctrl-C ends a read that waits for a silent producer, after what it had
// written already was read.
func TestPipeEndsAtInterrupt(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(context.Background())
	p := newPipe(r, ctx)
	p.grace = 0
	if _, err := w.Write([]byte("before")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, err := p.Read(b)
	if string(b[:n]) != "before" || err != nil {
		t.Fatalf("read %q, %v", b[:n], err)
	}
	cancel()
	if n, err := p.Read(b); n != 0 || err != io.EOF {
		t.Errorf("read %d bytes, %v after the interrupt, want io.EOF", n, err)
	}
}

// endless is a Source of one flow's data.
type endless struct {
	capture.Source
	left int
	seq  analyzer.Seq
}

func (s *endless) Size() int64 { return 1 }

func (s *endless) Next(p *capture.Packet) error {
	if s.left == 0 {
		return io.EOF
	}
	s.left--
	s.seq += 10
	p.Kind = capture.KindSegment
	p.Segment = analyzer.Segment{
		Frame: uint64(s.seq), Time: int64(s.seq) * 1e3, Flags: analyzer.ACK, Seq: s.seq, Ack: 1, Len: 10, IPID: uint16(s.seq),
		Src: analyzer.AddrFrom4([4]byte{10, 0, 0, 1}), Dst: analyzer.AddrFrom4([4]byte{10, 0, 0, 2}), SrcPort: 1000, DstPort: 80,
	}
	return nil
}

// The packet loop allocates for flows, not for packets.
func TestReadAllocatesNothingPerPacket(t *testing.T) {
	const packets = 10_000
	in := &inputs{interrupt: context.Background()}
	src := &endless{}
	tracker := analyzer.New(analyzer.Config{})
	n := testing.AllocsPerRun(3, func() {
		src.left = packets
		if err := in.read(src, tracker, func() bool { return false }); err != nil {
			t.Fatal(err)
		}
	})
	if n > packets/100 {
		t.Errorf("%v allocations for %d packets of one flow", n, packets)
	}
}
