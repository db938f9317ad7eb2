package evidence

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

// epoch is when the frames of the tests begin.
const epoch = int64(1767225600_000000000)

// key is the n-th flow.
func key(n int) analyzer.Key {
	return analyzer.Key{Addr: [2]analyzer.Addr{analyzer.AddrFrom4([4]byte{10, 0, 0, 1}), analyzer.AddrFrom4([4]byte{10, 0, 0, 2})},
		Port: [2]uint16{uint16(n), 443}, Path: uint32(n >> 16)}
}

// nth is the n-th frame of a test, from 1, 1 ms after the one before; its octets
// and its length are its own.
func nth(n uint64, size int) *capture.Frame {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(n>>(8*(i%4))) ^ byte(i)
	}
	return &capture.Frame{Number: n, Time: epoch + int64(n)*int64(time.Millisecond), LinkType: 1,
		Interface: []string{"eth0", "eth1"}[n%2], Data: data, Wire: uint32(size + int(n%3))}
}

// kept is what is left of a frame in a Store.
func kept(f *capture.Frame, snap int) capture.Frame {
	k := *f
	k.Data = f.Data[:min(len(f.Data), snap)]
	return k
}

// flowOf is a flow whose finding is told.
func flowOf(n, frames int, first uint64) (*analyzer.Flow, *analyzer.Finding) {
	f := &analyzer.Flow{Key: key(n), Number: n, FirstFrame: first, Frames: uint64(frames)}
	return f, &analyzer.Finding{Detector: &analyzer.Detector{Name: "stuck-close-wait"}, Severity: analyzer.Error, Side: 1,
		At: epoch, Evidence: "no FIN for 41 min"}
}

// directory opens a Dir whose warnings the test collects.
func directory(t testing.TB, path string, l Limits) (*Dir, *[]string) {
	t.Helper()
	warnings := new([]string)
	d, err := OpenDir(path, l, func(text string) { *warnings = append(*warnings, text) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, warnings
}

// names lists a directory, in order.
func names(t testing.TB, path string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// read returns the frames of a capture, which must have no flaw.
func read(t testing.TB, path string) (frames []capture.Frame) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	src, err := capture.NewReader(file, path, capture.Options{OnFrame: func(f *capture.Frame) {
		g := *f
		g.Data = slices.Clone(f.Data)
		frames = append(frames, g)
	}})
	if err != nil {
		t.Fatal(err)
	}
	var p capture.Packet
	for err == nil {
		err = src.Next(&p)
	}
	if err != io.EOF {
		t.Fatalf("%s: %v", path, err)
	}
	return frames
}

// same compares frames, but for their numbers, which a file does not have.
func same(t testing.TB, what string, got, want []capture.Frame) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d frames, want %d", what, len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		if g.Time != w.Time || g.LinkType != w.LinkType || g.Interface != w.Interface || g.Wire != w.Wire || !bytes.Equal(g.Data, w.Data) {
			t.Fatalf("%s: frame %d is %+v, want %+v", what, i, g, w)
		}
	}
}

// all reads every file of a directory, in the order of their names.
func all(t testing.TB, path string) (frames []capture.Frame) {
	t.Helper()
	for _, name := range names(t, path) {
		frames = append(frames, read(t, filepath.Join(path, name))...)
	}
	return frames
}

func contents(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Whoever names things cannot leave the directory, or make a name that some
// system refuses.
func TestNames(t *testing.T) {
	f, n := flowOf(51544, 1, 1)
	f.Client = 0
	if got, want := nameOf(f, n), "20260101T000000.000000000Z_stuck-close-wait_10.0.0.1-51544_10.0.0.2-443"; got != want {
		t.Errorf("named %s, want %s", got, want)
	}
	f.Client = 1
	if got := nameOf(f, n); !strings.HasSuffix(got, "_10.0.0.2-443_10.0.0.1-51544") {
		t.Errorf("the client is not first: %s", got)
	}
	f.Key.Addr[0] = analyzer.Addr{0: 0xfe, 1: 0x80, 15: 1}
	n.Detector.Name = "../../etc/pass\x00wd " + strings.Repeat("x", 300)
	got := nameOf(f, n)
	if strings.ContainsAny(got, "/\\: \x00") || !strings.Contains(got, "fe80..1-51544") || len(got) > 200 {
		t.Errorf("named %q", got)
	}
	dir := t.TempDir()
	d, warnings := directory(t, filepath.Join(dir, "in"), Limits{})
	if out := d.create("../out", epoch); out != nil || len(*warnings) != 1 {
		t.Errorf("a file outside of the directory was made: %v", *warnings)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("%v", got)
	}
}
