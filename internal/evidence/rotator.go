package evidence

import (
	"cmp"
	"sync"
	"time"

	"github.com/tcpflow-states/tcpflow-states/capture"
)

// DefaultRotateOctets is Rotation.Octets when that is 0.
const DefaultRotateOctets = 100 << 20

// Rotation says when a Rotator goes on to the next file. How many files there
// are, and how large together, are the Dir's Limits.
type Rotation struct {
	Octets int64         // a file has so many at the most, unless one frame is larger; DefaultRotateOctets when 0
	Every  time.Duration // after this much time, by the frames' clock; not by time when 0
}

// Rotator writes every frame that it is given, as it was captured and in the
// order of the calls, into one file after the other. It is safe for concurrent
// use. Nothing is allocated per frame.
type Rotator struct {
	dir      *Dir
	rotation Rotation

	mu     sync.Mutex
	file   *file // nil: the next frame begins one
	begun  int64 // time of its first frame
	second int64 // in which Advance has looked
	frames uint64
	lost   uint64
}

// NewRotator makes one.
func NewRotator(dir *Dir, r Rotation) *Rotator {
	r.Octets = min(cmp.Or(max(r.Octets, 0), DefaultRotateOctets), dir.limits.Octets/2) // while one grows another one can go
	return &Rotator{dir: dir, rotation: r}
}

// Frame writes a frame, of which it keeps nothing.
func (r *Rotator) Frame(f *capture.Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil && (r.old(f.Time) || r.file.w.Size()+int64(len(f.Data))+around > r.rotation.Octets) {
		r.finish()
	}
	if r.file == nil {
		if r.file = r.dir.create(stamp(f.Time)+"_all", f.Time); r.file == nil {
			r.lost++
			return
		}
		r.begun = f.Time
	}
	r.file.clock = max(r.file.clock, f.Time)
	if !r.file.write(f, nil) {
		r.file = nil
		r.lost++
		return
	}
	r.frames++
}

func (r *Rotator) old(now int64) bool {
	return r.rotation.Every > 0 && now-r.begun >= int64(r.rotation.Every)
}

// Advance is to be called with the clock every second or so, ns since 1970-01-01
// UTC, also when nothing comes. It completes the file when it is time, and hands
// on what is held back.
func (r *Rotator) Advance(now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil || now/int64(time.Second) == r.second {
		return
	}
	r.second = now / int64(time.Second)
	r.file.clock = max(r.file.clock, now)
	switch {
	case r.old(now):
		r.finish()
	case r.file.held && !r.file.flush():
		r.file = nil
	}
}

// Counts returns how many frames were written, and how many could not be. Of
// those written, up to 16 KiB may be lost where the disk is full.
func (r *Rotator) Counts() (frames, lost uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.frames, r.lost
}

// Close completes the file.
func (r *Rotator) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finish()
}

func (r *Rotator) finish() {
	if r.file != nil {
		r.file.finish()
		r.file = nil
	}
}
