package evidence

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Whatever happens in whatever order, within bounds so tight that they are
// always met: every file is a whole capture of frames of one flow, in order, the
// directory is within its bounds, and nothing stays incomplete.
func FuzzKeeper(f *testing.F) {
	f.Add([]byte("aaaafaaaafbbbbgaaaacccchaaaaxyzaaaa"))
	f.Add(bytes.Repeat([]byte{1, 250, 2, 3, 251, 252, 255, 4, 200, 253}, 60))
	base, err := os.MkdirTemp("", "evidence")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { os.RemoveAll(base) })
	f.Fuzz(func(t *testing.T, script []byte) {
		path, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(path)
		const octets, files = 40 << 10, 4
		d, warnings := directory(t, path, Limits{Octets: octets, Files: files})
		k := NewKeeper(d, Config{Memory: 1 << 20, Snap: 64, FileOctets: 1, Open: 3, Follow: 3 * time.Second})
		k.store.entries, k.store.data, k.store.heads = k.store.entries[:64], k.store.data[:2000], k.store.heads[:2]
		number := uint64(0)
		for _, b := range script[:min(len(script), 2000)] {
			flow := int(b % 4)
			now := nth(number, 0).Time
			switch {
			case b < 240:
				for range 1 + b/8 {
					number++
					k.Frame(nth(number, int(b)+1)) // an empty record is a flaw
					k.Claim(number, key(flow))
				}
			case b < 248:
				fl, n := flowOf(flow, int(number), number/2)
				n.Frame = number
				k.Finding(fl, n, now)
			case b < 252:
				fl, _ := flowOf(flow, 0, 0)
				k.Ended(fl)
			default:
				number += 1000 // a second without frames
				k.Advance(now + int64(time.Second))
			}
			if n, size, _ := d.Usage(); n > files || size > octets {
				t.Fatalf("%d files of %d octets", n, size)
			}
		}
		k.Close()
		if len(k.flows)+len(k.open)+len(*warnings) != 0 {
			t.Fatalf("%d flows, %d open, %q", len(k.flows), len(k.open), *warnings)
		}
		for _, name := range names(t, path) {
			if strings.HasSuffix(name, part) {
				t.Fatalf("%s is not complete", name)
			}
			ordered(t, filepath.Join(path, name))
		}
	})
}

// ordered reads a file of FuzzKeeper: its frames follow one another, and each has
// the octets that it was fed with.
func ordered(t *testing.T, path string) {
	last := epoch
	for _, g := range read(t, path) {
		if g.Time <= last {
			t.Fatalf("%s: a frame of %d after one of %d", path, g.Time-epoch, last-epoch)
		}
		last = g.Time
		n := uint64(g.Time-epoch) / uint64(time.Millisecond)
		if want := nth(n, int(g.Wire)-int(n%3)); !bytes.Equal(g.Data, want.Data[:min(64, len(want.Data))]) {
			t.Fatalf("%s: frame %d has other octets", path, n)
		}
	}
}

// BenchmarkFinding is how long sniffing waits for the file of a flow of 40,000
// frames.
func BenchmarkFinding(b *testing.B) {
	d, _ := directory(b, b.TempDir(), Limits{})
	k := NewKeeper(d, Config{PerMinute: 1 << 30})
	feed(k, 1, 80000, 2, 0, 192)
	f, n := flowOf(0, 40000, 1)
	for b.Loop() {
		k.Finding(f, n, epoch)
		k.Ended(f)
	}
}

// BenchmarkKeeper is what a frame costs while 50 other flows have findings.
func BenchmarkKeeper(b *testing.B) {
	d, _ := directory(b, b.TempDir(), Limits{})
	k := NewKeeper(d, Config{})
	for i := range 50 {
		f, n := flowOf(10000+i, 0, 1)
		k.Finding(f, n, epoch)
	}
	x := nth(1, 1400)
	keys := make([]analyzer.Key, 4096)
	for i := range keys {
		keys[i] = key(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k.Frame(x)
		k.Claim(x.Number, keys[i%len(keys)])
		x.Number++
	}
	k.Close()
}

// BenchmarkRotator is what a frame of 1,400 octets costs.
func BenchmarkRotator(b *testing.B) {
	d, _ := directory(b, b.TempDir(), Limits{Octets: 64 << 20})
	r := NewRotator(d, Rotation{Octets: 16 << 20})
	f := nth(1, 1400)
	b.ReportAllocs()
	b.SetBytes(1400)
	for b.Loop() {
		r.Frame(f)
		f.Time++
	}
	r.Close()
}
