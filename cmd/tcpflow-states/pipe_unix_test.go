//go:build unix

package main

import (
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/capture"
)

// fifo makes a named pipe.
func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "edge.pcap")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// within fails a test whose step takes too long.
func within(t *testing.T, what string, step func()) {
	t.Helper()
	done := make(chan bool)
	go func() { step(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: nothing within 10 s", what)
	}
}

// A named pipe is read as it is written: each packet comes while the producer
// has the pipe open, plain or compressed.
func TestNamedPipeIsLive(t *testing.T) {
	file, err := os.ReadFile("../../testdata/pcaps/close_client.pcap")
	if err != nil {
		t.Fatal(err)
	}
	for _, compressed := range []bool{false, true} {
		path := fifo(t)
		in := &inputs{names: []string{path}, pipes: map[string]*pipe{}, interrupt: context.Background()}
		if !in.piped() {
			t.Error("a named pipe is not taken for one")
		}
		sent := make(chan *os.File)
		go func() {
			w, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Error(err)
			}
			if compressed {
				z := gzip.NewWriter(w)
				z.Write(file)
				z.Flush()
			} else {
				w.Write(file)
			}
			sent <- w
		}()
		within(t, path, func() {
			src, err := in.open(path, capture.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer src.Close()
			var p capture.Packet
			for range 11 {
				if err := src.Next(&p); err != nil {
					t.Error(err)
				}
			}
			w := <-sent
			if w.Close(); compressed {
				return // the gzip trailer is missing
			}
			if err := src.Next(&p); err != io.EOF || src.Size() != 0 || src.Stats().Name != path {
				t.Errorf("%v, size %d, name %q", err, src.Size(), src.Stats().Name)
			}
		})
	}
}

// Ctrl-C ends the wait for a producer that never comes, and for one that says
// nothing more.
func TestNamedPipeEndsAtInterrupt(t *testing.T) {
	path := fifo(t)
	ctx, cancel := context.WithCancel(context.Background())
	in := &inputs{names: []string{path}, pipes: map[string]*pipe{}, interrupt: ctx}
	time.AfterFunc(10*time.Millisecond, cancel)
	within(t, "nobody writes", func() {
		if _, err := in.open(path, capture.Options{}); err == nil || !strings.Contains(err.Error(), "file is empty") {
			t.Error(err)
		}
	})

	path = fifo(t)
	ctx, cancel = context.WithCancel(context.Background())
	in = &inputs{names: []string{path}, pipes: map[string]*pipe{}, interrupt: ctx}
	context.AfterFunc(ctx, func() { in.stopped.Store(true) })
	w, err := os.OpenFile(path, os.O_RDWR, 0) // does not wait for a reader
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Write([]byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x65\x00\x00\x00"))
	within(t, "the producer is silent", func() {
		src, err := in.open(path, capture.Options{})
		if err != nil {
			t.Error(err)
			return
		}
		defer src.Close()
		time.AfterFunc(10*time.Millisecond, cancel)
		var p capture.Packet
		if err := in.end(src, src.Next(&p)); err != nil {
			t.Error(err)
		}
	})
}

// What a producer that cannot be read is, is said as of any file.
func TestNamedPipeWithoutPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("permission bits do not hold root back")
	}
	path := fifo(t)
	os.Chmod(path, 0)
	in := &inputs{names: []string{path}, pipes: map[string]*pipe{}, interrupt: context.Background()}
	if _, err := in.open(path, capture.Options{}); err == nil || !strings.Contains(err.Error(), "permission denied: make it readable") {
		t.Error(err)
	}
}
