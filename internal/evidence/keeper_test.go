package evidence

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

// feed gives a Keeper frames of several flows in turn, from a number up to
// another, and returns those of one flow.
func feed(k *Keeper, from, to uint64, flows, of int, size int) (list []capture.Frame) {
	for n := from; n <= to; n++ {
		f := nth(n, size)
		k.Frame(f)
		k.Claim(n, key(int(n)%flows))
		if int(n)%flows == of {
			list = append(list, kept(f, k.store.snap))
		}
	}
	return list
}

// A finding's file has the flow's frames from the first on, those to come until
// the flow ends, and what it is about.
func TestKeeper(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new")
	d, warnings := directory(t, path, Limits{})
	k := NewKeeper(d, Config{})
	feed(k, 1, 99, 3, 0, 300) // of the connection before, on the same addresses and ports
	want := feed(k, 100, 1000, 3, 1, 300)
	f, n := flowOf(1, len(want), 100)
	n.Frame = 103
	k.Finding(f, n, nth(1000, 0).Time)
	want = append(want, feed(k, 1001, 2000, 3, 1, 300)...)
	if got := names(t, path); len(got) != 1 || !strings.HasSuffix(got[0], ".pcapng.part") {
		t.Errorf("while it grows: %v", got)
	}
	k.Advance(nth(2000, 0).Time)
	same(t, "while it grows", all(t, path), want)
	other := *f
	other.Number++
	k.Ended(&other)
	want = append(want, feed(k, 2001, 2100, 3, 1, 300)...)
	k.Ended(f)
	feed(k, 2101, 3000, 3, 1, 300)
	same(t, "at the end", all(t, path), want)

	list := names(t, path)
	if len(list) != 1 || list[0] != nameOf(f, n)+".pcapng" {
		t.Errorf("at the end: %v", list)
	}
	text := contents(t, filepath.Join(path, list[0]))
	for _, says := range []string{"error stuck-close-wait (server), flow 1: no FIN for 41 min\nAll frames of the flow up to the finding are here.",
		"first 192 octets", "tcpflow-states: stuck-close-wait: no FIN"} {
		if !strings.Contains(text, says) {
			t.Errorf("it does not say %q", says)
		}
	}
	if c := k.Counts(); len(*warnings) != 0 || c.Files != 1 || c.Frames != uint64(len(want)) || c.Gone+c.Skipped+c.Unclaimed != 0 {
		t.Errorf("%+v %v", c, *warnings)
	}
	if info, err := os.Stat(filepath.Join(path, list[0])); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others can read it: %v %v", info.Mode(), err)
	}
}

// What the ring no longer has is counted in the file.
func TestKeeperGone(t *testing.T) {
	path := t.TempDir()
	d, _ := directory(t, path, Limits{})
	k := NewKeeper(d, Config{Memory: 1 << 20, Snap: 100})
	sent := feed(k, 1, 20000, 4, 2, 100)
	over := 0
	for _, f := range sent {
		if f.Number <= k.Store().Overwritten() {
			over++
		}
	}
	f, n := flowOf(2, len(sent), 1)
	k.Finding(f, n, epoch)
	k.Close()
	same(t, "what is left", all(t, path), sent[over:])
	says := fmt.Sprintf("%d of the flow's frames up to the finding are not here", over)
	if text := contents(t, filepath.Join(path, names(t, path)[0])); over == 0 || !strings.Contains(text, says) || k.Counts().Gone != uint64(over) {
		t.Errorf("it does not say %q", says)
	}
}

// Copies on another path count as a flow's frames, but nothing is gone with them.
func TestKeeperCopies(t *testing.T) {
	d, _ := directory(t, t.TempDir(), Limits{})
	k := NewKeeper(d, Config{Memory: 1 << 20})
	feed(k, 1, 20000, 2, 1, 60)
	first := k.Store().Overwritten() + 1
	f, n := flowOf(1, 20000, first)
	k.Finding(f, n, epoch)
	if k.Counts().Gone != 0 {
		t.Errorf("%d are gone since frame %d", k.Counts().Gone, first)
	}
	f.FirstFrame--
	k.Finding(f, n, epoch)
	if k.Counts().Gone == 0 {
		t.Errorf("none is gone since frame %d", first-1)
	}
	k.Close()
}

// Several Keepers, one for each ring, share the bounds of a directory.
func TestKeepersTogether(t *testing.T) {
	path := t.TempDir()
	d, warnings := directory(t, path, Limits{Files: 10, Octets: 1 << 20})
	var rings sync.WaitGroup
	for g := range 4 {
		rings.Go(func() {
			k := NewKeeper(d, Config{Memory: 1 << 20, FileOctets: 32 << 10})
			for i := range 30 {
				from := uint64(i*50 + 1)
				feed(k, from, from+49, 1, 0, 150)
				f, n := flowOf(0, 50, from)
				f.Number, n.At = i, epoch+int64(i)
				n.Detector.Name = fmt.Sprint("ring-", g)
				k.Finding(f, n, n.At)
			}
			k.Close()
		})
	}
	rings.Wait()
	list := names(t, path)
	for _, name := range list {
		if got := read(t, filepath.Join(path, name)); len(got) < 50 {
			t.Errorf("%s: %d frames", name, len(got))
		}
	}
	if len(list) != 10 || len(*warnings) != 0 {
		t.Errorf("%v %q", list, *warnings)
	}
}

// Several findings of several flows at once, each with its file.
func TestKeeperInterleaved(t *testing.T) {
	path := t.TempDir()
	d, _ := directory(t, path, Limits{})
	k := NewKeeper(d, Config{})
	const flows, findings = 20, 3
	want := make([][]capture.Frame, flows)
	take := func(from, to uint64) {
		for n := from; n <= to; n++ {
			of := int(n*n+n/7) % flows
			want[of] = append(want[of], kept(nth(n, 80), 192))
			k.Frame(nth(n, 80))
			k.Claim(n, key(of))
		}
	}
	for i := range findings {
		take(uint64(i*500+1), uint64(i*500+500))
		for of := range flows {
			f, n := flowOf(of, len(want[of]), 1)
			n.Detector.Name = fmt.Sprint("finding-", i)
			k.Finding(f, n, epoch)
		}
	}
	take(findings*500+1, findings*500+500)
	for of := flows - 1; of >= 0; of-- {
		f, _ := flowOf(of, 0, 1)
		k.Ended(f)
	}
	if len(k.flows) != 0 || len(k.open) != 0 || k.Counts().Files != flows*findings {
		t.Errorf("%d flows and %d files are open; %+v", len(k.flows), len(k.open), k.Counts())
	}
	for of := range flows {
		for i := range findings {
			f, n := flowOf(of, 0, 1)
			n.Detector.Name = fmt.Sprint("finding-", i)
			same(t, n.Detector.Name, read(t, filepath.Join(path, nameOf(f, n)+".pcapng")), want[of])
		}
	}
}

// A file stays within its bound; where the beginning and the finding are too far
// apart, the middle is left out.
func TestKeeperFileBound(t *testing.T) {
	const bound = 64 << 10
	for _, before := range []uint64{10, 150, 200, 210, 1000} {
		path := t.TempDir()
		d, _ := directory(t, path, Limits{})
		k := NewKeeper(d, Config{FileOctets: bound})
		sent := feed(k, 1, before, 1, 0, 300)
		f, n := flowOf(0, int(before), 1)
		k.Finding(f, n, epoch)
		sent = append(sent, feed(k, before+1, before+1000, 1, 0, 300)...)
		if len(k.open) != 0 {
			t.Error("the file is still open")
		}
		got := all(t, path)
		_, octets, _ := d.Usage()
		if octets > bound || octets < bound*3/4 {
			t.Errorf("%d octets, %d frames", octets, len(got))
		}
		gap, seen := 0, map[int64]bool{}
		for i, g := range got {
			seen[g.Time] = true
			if i > 0 && g.Time != got[i-1].Time+int64(time.Millisecond) {
				gap++
			}
		}
		if !seen[sent[0].Time] || !seen[sent[before-1].Time] || !seen[sent[before].Time] || gap > 1 || (gap == 1) != (before > 203) {
			t.Errorf("%d before the finding: %d gaps", before, gap)
		}
		if text := contents(t, filepath.Join(path, names(t, path)[0])); !strings.Contains(text, "the last frame here") ||
			strings.Contains(text, "are left out") != (gap == 1) {
			t.Errorf("%d before the finding: it does not say that it is not all", before)
		}
	}
}

// The bounds of a directory, of open files, of time and of files in a minute.
func TestKeeperBounds(t *testing.T) {
	path := t.TempDir()
	mine := filepath.Join(path, "00-not-ours.pcapng")
	if err := os.WriteFile(mine, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d, warnings := directory(t, path, Limits{Files: 5})
	k := NewKeeper(d, Config{Open: 3, PerMinute: 100, Follow: time.Minute})
	feed(k, 1, 100, 1, 0, 60)
	for i := range 20 {
		f, n := flowOf(0, 100, 1)
		f.Number, n.At = i, epoch+int64(i)*int64(time.Second)
		k.Finding(f, n, epoch)
	}
	if c := k.Counts(); c.Files != 10 || c.Skipped != 10 || len(k.open) != 3 {
		t.Errorf("%+v, %d open", c, len(k.open))
	}
	files, _, removed := d.Usage()
	if got := names(t, path); files != 5 || removed != 5 || len(got) != 6 || !strings.Contains(got[1], "000005") || !strings.Contains(got[5], "000009") {
		t.Errorf("%d files, %d removed: %v", files, removed, got)
	}
	k.Advance(epoch + int64(59*time.Second))
	if len(k.open) != 3 {
		t.Error("a file was closed early")
	}
	k.Advance(epoch + int64(time.Minute))
	if got := names(t, path); len(k.open) != 0 || strings.Contains(strings.Join(got, " "), part) {
		t.Errorf("still open: %v", got)
	}
	f, n := flowOf(0, 100, 1)
	k.Finding(f, n, epoch+int64(12*time.Second))
	if k.Counts().Files != 11 || len(*warnings) != 0 {
		t.Errorf("none after a while: %+v %v", k.Counts(), *warnings)
	}
}

// The size of all files stays within the bound whatever comes: the oldest go.
func TestDirOctets(t *testing.T) {
	path := t.TempDir()
	const bound = 200 << 10
	d, _ := directory(t, path, Limits{Octets: bound})
	k := NewKeeper(d, Config{Open: 4})
	for i := range 60 {
		from := uint64(i*200 + 1)
		feed(k, from, from+199, 1, 0, 150)
		f, n := flowOf(0, 200, from)
		f.Number, n.At = i, epoch+int64(i)*int64(time.Second)
		k.Finding(f, n, n.At)
		if _, octets, _ := d.Usage(); octets > bound {
			t.Fatalf("%d octets", octets)
		}
	}
	k.Close()
	on := int64(0)
	for _, name := range names(t, path) {
		info, err := os.Stat(filepath.Join(path, name))
		if err != nil || strings.HasSuffix(name, part) {
			t.Error(name, err)
		}
		on += info.Size()
		read(t, filepath.Join(path, name))
	}
	if _, octets, removed := d.Usage(); on != octets || on > bound || on < bound/4 || removed == 0 {
		t.Errorf("%d octets, Usage says %d, %d removed", on, octets, removed)
	}
}

// The same name twice in one nanosecond, or there from before.
func TestDirTaken(t *testing.T) {
	path := t.TempDir()
	d, _ := directory(t, path, Limits{})
	f, n := flowOf(0, 0, 1)
	old := filepath.Join(path, nameOf(f, n)+".pcapng")
	if err := os.WriteFile(old, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := NewKeeper(d, Config{})
	k.Finding(f, n, epoch)
	k.Finding(f, n, epoch)
	k.Close()
	if got := names(t, path); len(got) != 3 || contents(t, old) != "old" {
		t.Errorf("%v", got)
	}
}

// A directory that vanishes: one warning, and the evidence goes on when it is
// there again.
func TestDirVanishes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d")
	d, warnings := directory(t, path, Limits{})
	k := NewKeeper(d, Config{})
	sent := feed(k, 1, 10, 1, 0, 60)
	f, n := flowOf(0, 10, 1)
	k.Finding(f, n, epoch)
	if err := os.RemoveAll(path); err != nil {
		t.Skip("SKIP: this system keeps a directory in which a file is open")
	}
	k.Ended(f)
	for i := range 10 {
		k.Finding(f, n, epoch+int64(i)*int64(time.Minute))
	}
	if len(*warnings) != 1 || !strings.Contains((*warnings)[0], "cannot write captures into "+path) {
		t.Fatalf("%q", *warnings)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	k.Finding(f, n, epoch+int64(9*time.Minute)) // within Retry
	if c := k.Counts(); c.Skipped != 11 {
		t.Errorf("%+v", c)
	}
	k.Finding(f, n, epoch+int64(10*time.Minute))
	k.Close()
	same(t, "afterwards", all(t, path), sent)
	if len(*warnings) != 2 || !strings.Contains((*warnings)[1], "again, after 10m0s") {
		t.Errorf("%q", *warnings)
	}
}

// The frames of a real capture's findings are those of their flows.
func TestKeeperCapture(t *testing.T) {
	const testdata = "../../testdata/pcaps"
	files, _ := filepath.Glob(filepath.Join(testdata, "*.pcap*"))
	found := 0
	for _, name := range files {
		if found += keepOf(t, name); found > 200 {
			break
		}
	}
	t.Logf("%d findings compared", found)
	if found < 10 {
		t.Errorf("hardly a finding in %d captures of %s", len(files), testdata)
	}
}

// keepOf takes a capture through Tracker and Keeper, as live does, and compares.
func keepOf(t *testing.T, name string) (found int) {
	path := t.TempDir()
	d, warnings := directory(t, path, Limits{})
	k := NewKeeper(d, Config{Snap: 100})
	frames := map[uint64]capture.Frame{}
	src, err := capture.Open(name, capture.Options{OnFrame: func(f *capture.Frame) {
		k.Frame(f)
		g := kept(f, 100)
		g.Data = slices.Clone(g.Data)
		g.Wire = max(g.Wire, uint32(len(f.Data)))
		frames[f.Number] = g
	}})
	if err != nil {
		return 0
	}
	defer src.Close()
	type expected struct {
		key   analyzer.Key
		first uint64
		last  int // index into of[key] behind the last frame
	}
	of := map[analyzer.Key][]capture.Frame{}
	want := map[string]*expected{}
	open := map[int][]*expected{}
	var now int64
	tracker := analyzer.New(analyzer.Config{
		OnFinding: func(f *analyzer.Flow, n *analyzer.Finding) {
			before := len(names(t, path))
			k.Finding(f, n, now)
			e := &expected{key: f.Key, first: f.FirstFrame, last: -1}
			if list := names(t, path); len(list) == before+1 {
				file := k.open[len(k.open)-1].name
				want[file], open[f.Number] = e, append(open[f.Number], e)
			}
		},
		OnFlow: func(f *analyzer.Flow) {
			k.Ended(f)
			for _, e := range open[f.Number] {
				e.last = len(of[e.key])
			}
		},
	})
	var p capture.Packet
	for err = src.Next(&p); err == nil; err = src.Next(&p) {
		if p.Kind != capture.KindSegment {
			continue
		}
		x := &p.Segment
		now = max(now, x.Time)
		flow, _ := analyzer.KeyOf(x)
		k.Claim(x.Frame, flow)
		of[flow] = append(of[flow], frames[x.Frame])
		tracker.Observe(x)
	}
	tracker.Close()
	k.Close()
	if !errors.Is(err, io.EOF) || len(*warnings) != 0 || k.Counts().Unclaimed != 0 {
		t.Logf("%s: %v; %q; %+v", name, err, *warnings, k.Counts())
	}
	for file, e := range want {
		list := of[e.key]
		if e.last >= 0 {
			list = list[:e.last]
		}
		list = slices.DeleteFunc(slices.Clone(list), func(f capture.Frame) bool { return f.Number < e.first })
		same(t, name+": "+file, read(t, filepath.Join(path, file)), list)
	}
	return len(want)
}
