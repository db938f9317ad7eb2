package analyzer

import (
	"cmp"
	"strconv"
)

// FrameIn returns the number by which a frame of one of several captures goes:
// that of the capture, from 1 to MaxCaptures, stands in its upper bits. The
// frames of a single capture go by their own.
func FrameIn(capture int, frame uint64) uint64 { return uint64(capture)<<frameBits | frame }

// SplitFrame takes a number that FrameIn has made apart: capture is 0 for a
// frame of a single capture.
func SplitFrame(n uint64) (capture int, frame uint64) {
	return int(n >> frameBits), n & (1<<frameBits - 1)
}

// FrameText spells the number of a frame for a sentence: "12", or "12 of
// capture 2" where there are several.
func FrameText(n uint64) string {
	capture, frame := SplitFrame(n)
	if capture == 0 {
		return strconv.FormatUint(frame, 10)
	}
	return strconv.FormatUint(frame, 10) + " of capture " + strconv.Itoa(capture)
}

// CompareFrames says which of two frames came first: within a capture their
// numbers tell, between two captures their times.
func CompareFrames(a uint64, aTime int64, b uint64, bTime int64) int {
	if a>>frameBits == b>>frameBits {
		return cmp.Compare(a, b)
	}
	return cmp.Compare(aTime, bTime)
}

// frameBits hold the number of a frame within its capture: at 10 million frames
// a second, two years.
const frameBits = 48

// MaxCaptures is how many captures can be told apart.
const MaxCaptures = 1<<(64-frameBits) - 1
