package report

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// TestBehindOrder fills two buffers in turn: nothing may be lost, changed while
// it waits, or out of order.
func TestBehindOrder(t *testing.T) {
	var got, want bytes.Buffer
	h := newBehind(&got)
	var b []byte
	var err error
	for i := range 100 {
		b = append(b, strings.Repeat(string(rune('a'+i%26)), i+1)...)
		want.Write(b)
		if b, err = h.put(b); err != nil || len(b) != 0 {
			t.Fatalf("got %d octets and error %v back", len(b), err)
		}
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("got %d octets, want the %d that were put, in their order", got.Len(), want.Len())
	}
}

// fullDisk fails from the nth write on.
type fullDisk struct{ left int }

var errFull = errors.New("no room")

func (d *fullDisk) Write(b []byte) (int, error) {
	if d.left--; d.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

// TestNDJSONFull: a write that fails beside the encoding is reported, by a later
// flow or at the end, whichever write it is.
func TestNDJSONFull(t *testing.T) {
	for left := range 4 {
		w := &fullDisk{left}
		r := newNDJSON(w, &Meta{}, Options{})
		var err error
		for written := 0; err == nil && written < 3*ndjsonBuffer; written += 1 << 10 {
			err = r.Flow(fixture()[0])
		}
		if closed := r.Close(&Summary{}); !errors.Is(closed, errFull) || err != nil && !errors.Is(err, errFull) {
			t.Errorf("%d writes succeed: got %v and %v, want %v", left, err, closed, errFull)
		}
	}
}

// A flow that is only written, or that no table will print, allocates nothing.
func TestFlowsAllocateNothing(t *testing.T) {
	flows := many(200)
	for _, format := range []string{"table", "ndjson"} {
		f, _ := FormatNamed(format)
		r := f.New(&fullDisk{1 << 30}, &Meta{}, Options{Limit: 10, All: true})
		tally, number := NewTally(), 0
		take := func() {
			for _, f := range flows {
				f.Number = number
				number++
				tally.Add(f)
				if err := r.Flow(f); err != nil {
					t.Fatal(err)
				}
			}
		}
		take()
		if n := testing.AllocsPerRun(50, take); n != 0 {
			t.Errorf("%s: %v allocations for %d flows", format, n, len(flows))
		}
	}
}
