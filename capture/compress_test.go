package capture

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// wholeCapture is the capture of which all files in testdata were made.
const wholeCapture = "../testdata/pcaps/close_client.pcap"

// segments reads a capture file, several times in a row if it holds the same
// capture that often: the packets are numbered on.
func wantPackets(t testing.TB, times int) []Packet {
	t.Helper()
	file, err := os.ReadFile(wholeCapture)
	if err != nil {
		t.Fatal(err)
	}
	once, src, err := readAll(t, file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var all []Packet
	for k := range times {
		for _, p := range once {
			p.Segment.Frame += uint64(k) * src.Stats().Frames
			all = append(all, p)
		}
	}
	return all
}

// compressedSeeds are the files of testdata that one compression made.
func compressedSeeds(t testing.TB, name string) [][]byte {
	t.Helper()
	paths, _ := filepath.Glob("testdata/compressed/" + name + "*")
	if len(paths) == 0 {
		t.Fatal("no files of ", name)
	}
	var files [][]byte
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// What the command-line programs write is read whole: all that is concatenated
// in it, whatever the options.
func TestCompressedFiles(t *testing.T) {
	paths, _ := filepath.Glob("testdata/compressed/*.*")
	if len(paths) < 14 {
		t.Fatalf("%d files", len(paths))
	}
	for _, path := range paths {
		name := filepath.Base(path)
		times := 1
		switch {
		case strings.Contains(name, "two"):
			times = 2
		case strings.Contains(name, "streams"):
			times = 3
		}
		src, err := Open(path, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		packets, err := drain(src)
		if want := wantPackets(t, times); err != nil || !reflect.DeepEqual(packets, want) {
			t.Errorf("%s: %d packets, want %d; %v", name, len(packets), len(want), err)
		}
		st := src.Stats()
		if !strings.HasPrefix(name, st.Compression) || st.Compression == "" || st.Format != "pcap" {
			t.Errorf("%s: compression %q, format %q", name, st.Compression, st.Format)
		}
		if src.Position() != src.Size() || st.Bytes != uint64(1100*times) {
			t.Errorf("%s: at %d of %d, %d bytes of the capture", name, src.Position(), src.Size(), st.Bytes)
		}
		if err := src.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Cut anywhere, what was decompressed until then is reported, and the end is
// clean only where it would be for the compressing program, too.
func TestCompressedCutAnywhere(t *testing.T) {
	want := wantPackets(t, 3)
	for _, c := range compressions {
		for _, file := range compressedSeeds(t, c.name) {
			before := 0
			for n := 1; n < len(file); n++ {
				packets, src, err := readAll(t, file[:n], Options{Window: minWindow})
				if len(packets) < before || !reflect.DeepEqual(packets, want[:len(packets):len(packets)]) && len(packets) > 0 {
					t.Fatalf("%s cut at %d: %d packets, %d with a byte less", c.name, n, len(packets), before)
				}
				before = len(packets)
				// Behind a whole member or stream, and in the zeros or frames that may
				// follow, the end is a clean one.
				if err == nil && len(packets)%11 != 0 {
					t.Fatalf("%s cut at %d: clean end after %d packets", c.name, n, len(packets))
				}
				var e *Error
				if err != nil && (!errors.As(err, &e) || e.Problem == "" || e.Remedy == "") {
					t.Fatalf("%s cut at %d: %v", c.name, n, err)
				}
				if src != nil {
					src.Close()
				}
			}
		}
	}
}

// Damage anywhere ends in a located error or, where the format has no checksum
// over it, in a capture that is read; never in anything else.
func TestCompressedFlippedAnywhere(t *testing.T) {
	for _, c := range compressions {
		file := compressedSeeds(t, c.name)[0]
		for n := range file {
			for _, bit := range []byte{0x01, 0x80} {
				bad := bytes.Clone(file)
				bad[n] ^= bit
				checkReader(t, bad)
			}
		}
	}
}

// A capture that is compressed while it is made is read as far as it was
// flushed, whatever still comes.
func TestCompressedLive(t *testing.T) {
	type flusher interface {
		io.Writer
		Flush() error
	}
	for name, newWriter := range map[string]func(io.Writer) flusher{
		"gzip": func(w io.Writer) flusher { return gzip.NewWriter(w) },
		"zstd": func(w io.Writer) flusher { z, _ := zstd.NewWriter(w); return z },
		"lz4":  func(w io.Writer) flusher { return lz4.NewWriter(w) },
		"xz":   func(w io.Writer) flusher { return &xzStreams{w} },
	} {
		r, w := io.Pipe()
		z := newWriter(w)
		send := func(b []byte) {
			t.Helper()
			if _, err := z.Write(b); err != nil {
				t.Fatal(name, err)
			}
			if err := z.Flush(); err != nil {
				t.Fatal(name, err)
			}
		}
		next := make(chan error)
		proceed := make(chan bool)
		go func() {
			var p Packet
			src, err := NewReader(r, name, Options{})
			for {
				if err == nil {
					err = src.Next(&p)
				}
				next <- err
				<-proceed
			}
		}()
		send(pcapFile(1))
		for i := range uint32(3) {
			send(pcapRecord(le, i, 0, plainFrame(), 71))
			select {
			case err := <-next:
				if err != nil {
					t.Fatal(name, err)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s: packet %d was flushed and does not come", name, i+1)
			}
			proceed <- true
		}
		w.CloseWithError(errors.New("the wire is cut"))
		if err := <-next; err == nil || !strings.Contains(err.Error(), "frame 4 at byte 285 decompressed: reading failed: the wire is cut") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// xzStreams writes each piece as a stream of its own, since the library cannot
// flush.
type xzStreams struct{ w io.Writer }

func (x *xzStreams) Write(b []byte) (int, error) {
	z, err := xz.NewWriter(x.w)
	if err != nil {
		return 0, err
	}
	z.Write(b)
	return len(b), z.Close()
}

func (x *xzStreams) Flush() error { return nil }

// Whoever stops early leaves no goroutine behind.
func TestCloseEndsDecompression(t *testing.T) {
	record := pcapRecord(le, 1, 1, plainFrame(), 71)
	file := gzipped(0, gzipped(0, join(pcapFile(1), bytes.Repeat(record, 100_000))))
	before := runtime.NumGoroutine()
	for range 20 {
		src, err := NewReader(bytes.NewReader(file), "x", Options{})
		if err != nil {
			t.Fatal(err)
		}
		var p Packet
		if err := src.Next(&p); err != nil {
			t.Fatal(err)
		}
		src.Close()
		src.Close()
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// Decompression allocates nothing per packet, and its memory does not grow with
// what comes out.
func TestDecompressionBomb(t *testing.T) {
	var bomb bytes.Buffer
	z, _ := zstd.NewWriter(&bomb)
	z.Write(pcapFile(1))
	record := bytes.Repeat(pcapRecord(le, 1, 1, make([]byte, 1<<20), 1<<20), 4)
	for range 64 {
		z.Write(record)
	}
	z.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, src, err := readAll(t, bomb.Bytes(), Options{})
	runtime.ReadMemStats(&after)
	if err != nil || src.Stats().Frames != 256 {
		t.Errorf("%d frames, %v", src.Stats().Frames, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
		t.Errorf("%s bytes allocated for %s of %s", thousands(used), thousands(src.Stats().Bytes), thousands(uint64(bomb.Len())))
	}
}
