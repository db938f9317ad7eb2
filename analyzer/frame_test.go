package analyzer

import "testing"

// A frame's number says in which capture it is, and a single capture's frames
// keep theirs.
func TestFrames(t *testing.T) {
	for _, c := range []struct {
		why     string
		n       uint64
		capture int
		frame   uint64
		text    string
	}{
		{"a single capture", 12, 0, 12, "12"},
		{"one of several", FrameIn(2, 12), 2, 12, "12 of capture 2"},
		{"the last that there is room for", FrameIn(MaxCaptures, 1<<frameBits-1), MaxCaptures, 1<<frameBits - 1, "281474976710655 of capture 65535"},
		{"no frame", 0, 0, 0, "0"},
	} {
		capture, frame := SplitFrame(c.n)
		if capture != c.capture || frame != c.frame || FrameText(c.n) != c.text {
			t.Errorf("%s: capture %d, frame %d, %q", c.why, capture, frame, FrameText(c.n))
		}
	}
}

func TestCompareFrames(t *testing.T) {
	for _, c := range []struct {
		why          string
		a            uint64
		aTime, bTime int64
		b            uint64
		want         int
	}{
		{"within a capture the number tells, also where its time runs backwards", 1, 20, 10, 2, -1},
		{"the same of one of several", FrameIn(2, 2), 10, 20, FrameIn(2, 1), 1},
		{"between two captures the time tells", FrameIn(2, 1), 10, 20, FrameIn(1, 9), -1},
		{"a frame is itself", FrameIn(1, 1), 10, 10, FrameIn(1, 1), 0},
	} {
		if got := CompareFrames(c.a, c.aTime, c.b, c.bTime); got != c.want {
			t.Errorf("%s: %d, want %d", c.why, got, c.want)
		}
	}
}
