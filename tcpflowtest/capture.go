package tcpflowtest

import (
	"cmp"
	"errors"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/capture/live"
)

// Recorder is a capture that goes on beside a test.
type Recorder struct {
	t     testing.TB
	o     Options
	src   live.Source
	watch *watch
	last  atomic.Int64 // when a packet came last, ns since 1970-01-01 UTC
	until atomic.Int64 // when it was stopped
	done  chan struct{}
	err   error // of the reading; once done is closed

	file   *os.File // Options.Keep; nil: none
	writer *capture.Writer
	once   sync.Once
	result *Flows
}

// Capture begins to capture; connections that begin after it has returned are
// wholly seen. Where that is not possible for want of privilege, or of a system
// that can, the test is skipped, or fails at once if the Options say Required; an
// interface that is not there, or a filter that is wrong, is fatal. The capture
// ends with Stop, or with the test.
func Capture(t testing.TB, o Options) *Recorder {
	t.Helper()
	o.Interface, o.Quiet = cmp.Or(o.Interface, "lo"), cmp.Or(o.Quiet, defaultQuiet)
	r := &Recorder{t: t, o: o, watch: o.watch(), done: make(chan struct{})}
	cfg := live.Config{Interface: o.Interface, Tick: defaultQuiet}
	var err error
	if cfg.Filter, err = o.parse(live.FilterOptions); err != nil {
		t.Fatalf("tcpflowtest: %v", err)
	}
	if o.Keep != "" {
		cfg.Decode.OnFrame = r.record
	}
	if r.src, err = live.Open(cfg); err != nil {
		if !o.Required && (errors.Is(err, os.ErrPermission) || errors.Is(err, errors.ErrUnsupported)) {
			t.Skipf("SKIPPED: tcpflowtest cannot capture: %v", err)
		}
		t.Fatalf("tcpflowtest: %v", err)
	}
	r.keep()
	r.last.Store(time.Now().UnixNano())
	go r.run()
	t.Cleanup(r.clean)
	return r
}

// run reads until the end.
func (r *Recorder) run() {
	defer close(r.done)
	r.err = r.watch.read(r.src, func() { r.last.Store(time.Now().UnixNano()) })
	if r.err == nil {
		r.watch.tracker.Advance(r.until.Load()) // nothing came since the last packet
		r.watch.tracker.Close()
	}
}

// Stop ends the capture once nothing has come for Options.Quiet, waits until the
// kernel has handed over all that it had captured, and returns the flows. It is
// fatal to the test when the capture broke off or the kernel lost frames of it:
// what is missing would be found wrong. Further calls return the same.
func (r *Recorder) Stop() *Flows {
	r.t.Helper()
	r.once.Do(func() {
		r.settle()
		r.end()
	})
	switch dropped := r.src.Counters().Dropped; {
	case r.err != nil:
		r.t.Fatalf("tcpflowtest: %v", r.err)
	case dropped > 0:
		r.t.Fatalf("tcpflowtest: the kernel dropped %d frames of %s: capture less (Options.Port, Options.Filter)", dropped, r.o.Interface)
	}
	return r.result
}

// settle waits until it is quiet.
func (r *Recorder) settle() {
	for begun := time.Now(); time.Since(begun) < quietPatience*r.o.Quiet; {
		left := r.o.Quiet - time.Since(time.Unix(0, r.last.Load()))
		if since := r.o.Quiet - time.Since(begun); since > left {
			left = since // what was sent just now may not have been read yet
		}
		if left <= 0 {
			return
		}
		select {
		case <-time.After(left):
		case <-r.done:
			return
		}
	}
}

// end stops the source, has it read to its end, and makes the result.
func (r *Recorder) end() {
	r.until.Store(time.Now().UnixNano())
	r.src.Stop()
	<-r.done
	r.src.Close()
	from := r.o.Interface
	if r.o.Port != 0 {
		from += ", port " + strconv.Itoa(int(r.o.Port))
	}
	r.result = r.watch.flows(r.t, from)
}

// keep makes the file of Options.Keep.
func (r *Recorder) keep() {
	if r.o.Keep == "" {
		return
	}
	var err error
	if r.file, err = os.Create(r.o.Keep); err != nil {
		r.src.Close()
		r.t.Fatalf("tcpflowtest: Options.Keep: %v", err)
	}
	r.writer = capture.NewWriter(r.file)
}

// record writes a frame. An error is in the writer, and comes back when it is
// closed.
func (r *Recorder) record(f *capture.Frame) { r.writer.Write(f, nil) }

// clean ends a capture that the test did not stop, and leaves its file where the
// test has failed.
func (r *Recorder) clean() {
	r.once.Do(r.end)
	if r.file == nil {
		return
	}
	err := errors.Join(r.writer.Close(), r.file.Close())
	switch {
	case !r.t.Failed():
		err = errors.Join(err, os.Remove(r.o.Keep))
	case err == nil:
		r.t.Logf("tcpflowtest: the capture of the failed test is in %s: tcpflow-states analyze %s", r.o.Keep, r.o.Keep)
	}
	if err != nil {
		r.t.Errorf("tcpflowtest: Options.Keep: %v", err)
	}
}
