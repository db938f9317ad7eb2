package evidence

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// small mounts a file system of 1 MiB.
func small(t *testing.T) string {
	t.Helper()
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("SKIP: mounting a small tmpfs needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
			t.Errorf("%s stays mounted: %v", path, err)
		}
	})
	return path
}

// fill takes what there is left, but for so many octets.
func fill(t *testing.T, path string, leave int64) (remove func()) {
	t.Helper()
	name := filepath.Join(path, "other")
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, make([]byte, int64(st.Bavail)*st.Bsize-leave), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() { os.Remove(name) }
}

// A full disk: what is there stays a whole capture, one warning, and the next
// files come when there is room again.
func TestFullDiskKeeper(t *testing.T) {
	path := small(t)
	d, warnings := directory(t, path, Limits{})
	k := NewKeeper(d, Config{})
	sent := feed(k, 1, 1000, 1, 0, 150)
	f, n := flowOf(0, 1000, 1)
	remove := fill(t, path, 40<<10)
	k.Finding(f, n, epoch)
	for i := range 5 {
		k.Finding(f, n, epoch+int64(i)*int64(time.Second))
	}
	if c := k.Counts(); len(*warnings) != 1 || !strings.Contains((*warnings)[0], "no space left on device") || c.Skipped != 5 {
		t.Fatalf("%q %+v", *warnings, c)
	}
	first := read(t, filepath.Join(path, nameOf(f, n)+".pcapng"))
	if len(first) < 50 || len(first) >= 1000 {
		t.Errorf("%d frames in the file that filled the disk", len(first))
	}
	same(t, "when the disk was full", first, sent[:len(first)])

	remove()
	n.At += int64(time.Minute)
	k.Finding(f, n, epoch+int64(time.Minute))
	k.Close()
	same(t, "with room again", read(t, filepath.Join(path, nameOf(f, n)+".pcapng")), sent)
	if len(*warnings) != 2 || len(names(t, path)) != 2 {
		t.Errorf("%q %v", *warnings, names(t, path))
	}
}

// A rotating capture on a full disk loses what does not fit, counts it, and goes
// on when there is room again.
func TestFullDiskRotator(t *testing.T) {
	path := small(t)
	d, warnings := directory(t, path, Limits{})
	r := NewRotator(d, Rotation{Octets: 100 << 10})
	remove := fill(t, path, 250<<10)
	for n := uint64(1); n <= 20000; n++ { // 20 s, within Retry
		r.Frame(nth(n, 200))
	}
	frames, lost := r.Counts()
	got := timesIn(t, path)
	if len(*warnings) != 1 || frames+lost != 20000 || lost < 15000 || len(got) < 500 || int(frames)-len(got) > buffer/200 {
		t.Errorf("%q; %d written, %d lost, %d on the disk", *warnings, frames, lost, len(got))
	}
	for i, time := range got {
		if time != nth(uint64(i+1), 0).Time {
			t.Fatalf("frame %d is missing", i+1)
		}
	}
	remove()
	for n := uint64(60001); n <= 61000; n++ {
		r.Frame(nth(n, 200))
	}
	r.Close()
	if after := timesIn(t, path); len(after) != len(got)+1000 || len(*warnings) != 2 {
		t.Errorf("%d frames after %d; %q", len(after), len(got), *warnings)
	}
}

// timesIn are the times of the frames in all captures of a directory.
func timesIn(t *testing.T, path string) (times []int64) {
	for _, name := range names(t, path) {
		if strings.Contains(name, "_all") {
			for _, f := range read(t, filepath.Join(path, name)) {
				times = append(times, f.Time)
			}
		}
	}
	return times
}
