package evidence

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/capture"
)

// Nothing is lost or swapped between one file and the next.
func TestRotatorOctets(t *testing.T) {
	path := t.TempDir()
	d, _ := directory(t, path, Limits{})
	r := NewRotator(d, Rotation{Octets: 50 << 10})
	var want []capture.Frame
	for n := uint64(1); n <= 2000; n++ {
		f := nth(n, int(n*n%1400)+1)
		want = append(want, *f)
		r.Frame(f)
	}
	r.Close()
	same(t, "all files", all(t, path), want)
	list := names(t, path)
	for _, name := range list {
		if info, err := os.Stat(filepath.Join(path, name)); err != nil || info.Size() > 50<<10 || strings.HasSuffix(name, part) {
			t.Errorf("%s: %d octets: %v", name, info.Size(), err)
		}
	}
	if len(list) < 20 {
		t.Errorf("%d files", len(list))
	}
}

// Time ends a file with and without frames, and only the newest files stay.
func TestRotatorEvery(t *testing.T) {
	path := t.TempDir()
	d, _ := directory(t, path, Limits{Files: 3})
	r := NewRotator(d, Rotation{Every: time.Second})
	for n := uint64(1); n <= 5500; n++ { // 5.5 s
		r.Frame(nth(n, 60))
	}
	r.Advance(nth(5700, 0).Time)
	if list := names(t, path); len(list) != 3 || !strings.HasSuffix(list[2], part) {
		t.Errorf("%v", list)
	}
	r.Advance(nth(6900, 0).Time)
	list := names(t, path)
	if len(list) != 3 || list[2] != "20260101T000005.001000000Z_all.pcapng" {
		t.Errorf("%v", list)
	}
	got := all(t, path)
	if len(got) != 2500 || got[0].Time != nth(3001, 0).Time {
		t.Errorf("%d frames from %d on", len(got), got[0].Time-epoch)
	}
	if frames, lost := r.Counts(); frames != 5500 || lost != 0 {
		t.Errorf("%d frames, %d lost", frames, lost)
	}
}

// Several rings write into one file, each in its order.
func TestRotatorTogether(t *testing.T) {
	path := t.TempDir()
	d, _ := directory(t, path, Limits{})
	r := NewRotator(d, Rotation{Octets: 1 << 20})
	var rings sync.WaitGroup
	for g := range uint64(4) {
		rings.Go(func() {
			for n := uint64(1); n <= 3000; n++ {
				f := nth(n, 100)
				f.Interface, f.Time = strconv.Itoa(int(g)), epoch+int64(n)
				r.Frame(f)
			}
		})
	}
	rings.Wait()
	r.Close()
	last := map[string]int64{}
	got := all(t, path)
	for _, f := range got {
		if f.Time <= last[f.Interface] {
			t.Fatalf("out of order: %d after %d", f.Time, last[f.Interface])
		}
		last[f.Interface] = f.Time
	}
	if len(got) != 12000 {
		t.Errorf("%d frames", len(got))
	}
}
