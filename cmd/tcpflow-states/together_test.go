//go:build unix

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

// smallPcap is a capture with a segment at each of the seconds.
func smallPcap(t *testing.T, seconds ...uint32) []byte {
	t.Helper()
	le := binary.LittleEndian
	out := []byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x65\x00\x00\x00")
	_, packet, err := parseSegment("0 10.0.0.1:1000 > 10.0.0.2:80 S 100 ack 0 len=0")
	if err != nil {
		t.Fatal(err)
	}
	for _, sec := range seconds {
		out = le.AppendUint32(out, sec)
		out = le.AppendUint32(out, 0)
		out = le.AppendUint32(out, uint32(len(packet)))
		out = append(le.AppendUint32(out, uint32(len(packet))), packet...)
	}
	return out
}

// written writes captures to files of these names and returns their directory.
func written(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Ctrl-C is how a pipe ends, and no trouble; of files that it leaves unread one
// line tells, however many there are.
func TestInterruptedTogether(t *testing.T) {
	dir := written(t, map[string][]byte{"a": smallPcap(t, 10, 30), "b": smallPcap(t, 20, 40), "c": smallPcap(t, 50), "d": []byte("no capture")})
	fifo := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(fifo, 0o666); err != nil {
		t.Skip(err)
	}
	silent := make(chan struct{})
	defer close(silent)
	go func() {
		w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
		if err != nil {
			panic(err)
		}
		whole := smallPcap(t, 11, 12)
		w.Write(whole[:len(whole)-3]) // Ctrl-C may come within a packet
		<-silent
		w.Close()
	}()
	ctx, cancel := context.WithCancel(context.Background())
	in := &inputs{pipes: map[string]*pipe{}, interrupt: ctx}
	for _, name := range []string{"a", "b", "pipe", "c", "d"} {
		in.names = append(in.names, filepath.Join(dir, name))
	}
	m := in.merge()
	defer m.Close()
	tracker := analyzer.New(analyzer.Config{})
	segments := 0
	time.AfterFunc(100*time.Millisecond, func() { // the pipe is silent by now
		in.stopped.Store(true)
		cancel()
	})
	err := in.read(m, tracker, func() bool { segments++; return false })
	faults := in.faults(m)
	var got []string
	for i, want := range []string{"interrupted after frame 2", "interrupted before it was read", "", "interrupted before it was read", "not a capture"} {
		text := ""
		if faults[i] != nil {
			text = faults[i].Error()
		}
		if want == "" && text != "" || !strings.Contains(text, want) {
			t.Errorf("%s: %q, want %q", in.names[i], text, want)
		}
		got = append(got, text)
	}
	if !errors.Is(err, errInterrupted) || strings.Count(err.Error(), "interrupted") != 1 || !strings.Contains(err.Error(), "3 of 5 captures were not read to their end") {
		t.Errorf("error %v of %q", err, got)
	}
}

// One producer may feed several named pipes: all are read from the beginning.
func TestPipesTogether(t *testing.T) {
	dir := t.TempDir()
	in := &inputs{pipes: map[string]*pipe{}, interrupt: context.Background()}
	for _, name := range []string{"one", "two"} {
		path := filepath.Join(dir, name)
		if err := syscall.Mkfifo(path, 0o666); err != nil {
			t.Skip(err)
		}
		in.names = append(in.names, path)
	}
	go func() { // like tee: opens both, then writes
		var files []io.WriteCloser
		for _, name := range in.names {
			w, err := os.OpenFile(name, os.O_WRONLY, 0)
			if err != nil {
				panic(err)
			}
			files = append(files, w)
		}
		for _, w := range files {
			w.Write(smallPcap(t, 10, 11))
			w.Close()
		}
	}()
	tracker := analyzer.New(analyzer.Config{})
	if err := in.read(in.merge(), tracker, func() bool { return false }); err != nil || tracker.Totals().Segments != 4 {
		t.Errorf("%v after %d segments", err, tracker.Totals().Segments)
	}
}

// What a Tracker counts goes to the capture whose packets made it count.
func TestShares(t *testing.T) {
	tracker := analyzer.New(analyzer.Config{})
	s := newShares(tracker, 3)
	for i, of := range []int{1, 1, 3, 1, 3, 3} { // lone RSTs belong to no flow
		p := capture.Packet{Segment: analyzer.Segment{Frame: analyzer.FrameIn(of, uint64(i+1)), Time: int64(i + 1), Flags: analyzer.RST,
			SrcPort: uint16(i + 1), DstPort: 80}}
		s.take(&p)
		tracker.Observe(&p.Segment)
	}
	s.settle()
	var strays []uint64
	for _, of := range s.of {
		strays = append(strays, of.Strays)
	}
	if !slices.Equal(strays, []uint64{0, 3, 0, 3}) {
		t.Errorf("strays by capture are %v", strays)
	}
}
