package evidence

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tcpflow-states/tcpflow-states/capture"
)

// The defaults of Limits.
const (
	DefaultOctets = 1 << 30
	DefaultFiles  = 1000
	DefaultRetry  = 30 * time.Second
)

// Limits bound what a Dir holds. Zero fields stand for the defaults.
type Limits struct {
	// Octets is the size of all files together. Where a file would go beyond
	// it, the oldest complete ones are removed.
	Octets int64
	// Files is how many files there may be: the oldest complete ones are removed.
	// While more than that grow, there are more.
	Files int
	// Retry is for how long nothing is written after an error.
	Retry time.Duration
}

// Dir is a directory that captures are written into. Only files that it has
// written itself count, and only those does it remove. It is safe for concurrent
// use.
type Dir struct {
	path   string
	limits Limits
	warn   func(text string)

	mu      sync.Mutex
	root    *os.Root // what is opened and removed lies below it, whatever its name
	files   []*file  // in the order in which they were begun
	octets  int64
	removed uint64
	failed  int64 // when writing began to fail, ns since 1970-01-01 UTC; 0: it does not
	retry   int64 // when to try again
}

// OpenDir opens a directory, and makes it when there is none, for its owner
// alone. Warn is told, in a sentence, once when writing begins to fail and once
// when it goes on; it must not call the Dir.
func OpenDir(path string, limits Limits, warn func(text string)) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("%w: give a directory that can be written", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("%w: give a directory that can be written", err)
	}
	limits.Octets = cmp.Or(max(limits.Octets, 0), DefaultOctets)
	limits.Files = cmp.Or(max(limits.Files, 0), DefaultFiles)
	limits.Retry = cmp.Or(max(limits.Retry, 0), DefaultRetry)
	return &Dir{path: path, limits: limits, warn: warn, root: root}, nil
}

// Usage returns how many files there are, their octets, and how many were
// removed to make room.
func (d *Dir) Usage() (files int, octets int64, removed uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.files), d.octets, d.removed
}

// Close ends the use of the directory. Keepers and Rotators are closed before.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.root.Close()
}

// file is a capture that is being written, or complete.
type file struct {
	d     *Dir
	name  string
	os    *os.File        // nil: it is complete
	w     *capture.Writer // nil: it is complete
	clock int64           // of its owner, ns since 1970-01-01 UTC
	size  int64           // on the disk
	held  bool            // the writer holds something back
	probe bool            // begun after an error: its first octets show that writing goes on
}

// part is the ending of the name of a file that is not complete.
const part = ".part"

// errBounds ends a file for which there is no room within the limits.
var errBounds = errors.New("the directory's bounds are reached")

// buffer is how much a file holds back: small enough that many can be open.
const buffer = 16 << 10

// around is the most that a file takes for a frame besides its octets: the
// Enhanced Packet Block of section 4.3 of draft-ietf-opsawg-pcapng, and padding.
const around = 32 + 3

// create begins a file of that name, with the ending ".pcapng" or, where there is
// one, "_2.pcapng" and so on. It is nil while writing fails.
func (d *Dir) create(name string, now int64) *file {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed != 0 {
		if now < d.retry {
			return nil
		}
		// The directory may be another one of the same name by now.
		root, err := os.OpenRoot(d.path)
		if err != nil {
			d.fail(err, now)
			return nil
		}
		d.root.Close()
		d.root = root
	}
	f := &file{d: d, clock: now, probe: d.failed != 0}
	err := f.open(name)
	if err != nil {
		d.fail(err, now)
		return nil
	}
	f.w = capture.NewWriterSize(f, buffer)
	d.files = append(d.files, f)
	d.tidy()
	return f
}

// open finds a name that nobody has, and opens the file.
func (f *file) open(name string) (err error) {
	const tries = 1000
	for i := 1; i <= tries; i++ {
		f.name = name + ".pcapng"
		if i > 1 {
			f.name = fmt.Sprintf("%s_%d.pcapng", name, i)
		}
		if _, err = f.d.root.Lstat(f.name); err == nil {
			continue
		}
		f.os, err = f.d.root.OpenFile(f.name+part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return fmt.Errorf("%s: the name is taken, and %d like it", f.name, tries-1)
}

// Write writes whole blocks, or nothing: where the disk is full, what there is
// stays a capture. It is for the Writer.
func (f *file) Write(b []byte) (int, error) {
	d := f.d
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.octets+int64(len(b)) > d.limits.Octets {
		if !d.removeOldest() {
			return 0, errBounds
		}
	}
	if n, err := f.os.Write(b); err != nil {
		if n > 0 {
			err = errors.Join(err, f.os.Truncate(f.size))
		}
		return 0, err
	}
	f.size += int64(len(b))
	d.octets += int64(len(b))
	if f.probe && d.failed != 0 {
		d.recovered(f.clock)
	}
	return len(b), nil
}

// write writes a frame. Where it is false the file can take no more, and is
// complete.
func (f *file) write(x *capture.Frame, comments []string) bool {
	f.held = true
	return f.took(f.w.Write(x, comments))
}

// flush hands on what is held back, as write does.
func (f *file) flush() bool {
	f.held = false
	return f.took(f.w.Flush())
}

func (f *file) took(err error) bool {
	if err != nil {
		f.complete(err)
	}
	return err == nil
}

// finish writes what is held back and completes the file.
func (f *file) finish() { f.complete(f.w.Close()) }

// complete gives a file its name. Of one that an error has ended, what was
// written before stays; it is removed when that is nothing.
func (f *file) complete(err error) {
	d := f.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if errors.Is(err, errBounds) {
		err = nil
	}
	err = errors.Join(err, f.os.Close())
	f.os, f.w = nil, nil
	if f.size > 0 {
		err = errors.Join(err, d.root.Rename(f.name+part, f.name))
	} else {
		d.root.Remove(f.name + part)
		d.forget(f)
	}
	if err != nil {
		d.fail(err, f.clock)
	}
	d.tidy()
}

// tidy removes the oldest files where there are too many.
func (d *Dir) tidy() {
	for len(d.files) > d.limits.Files && d.removeOldest() {
	}
}

// removeOldest removes the oldest complete file; it is false when there is none.
// That somebody else has removed it before is no error.
func (d *Dir) removeOldest() bool {
	for _, f := range d.files {
		if f.w != nil {
			continue
		}
		if err := d.root.Remove(f.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false
		}
		d.forget(f)
		d.removed++
		return true
	}
	return false
}

func (d *Dir) forget(f *file) {
	if i := slices.Index(d.files, f); i >= 0 {
		d.files = slices.Delete(d.files, i, i+1)
		d.octets -= f.size
	}
}

// fail notes an error, and tells of the first.
func (d *Dir) fail(err error, now int64) {
	d.retry = now + int64(d.limits.Retry)
	if d.failed != 0 {
		return
	}
	d.failed = max(now, 1)
	d.warn(fmt.Sprintf("cannot write captures into %s: %v; sniffing goes on, and writing is tried again every %v: free some space or restore the directory",
		d.path, brief(err), d.limits.Retry))
}

// recovered tells that writing goes on.
func (d *Dir) recovered(now int64) {
	d.warn(fmt.Sprintf("captures are written into %s again, after %v without",
		d.path, time.Duration(now-d.failed).Round(time.Second)))
	d.failed = 0
}

// brief is an error in one line, without what was joined to it.
func brief(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}
