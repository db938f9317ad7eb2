package analyzer

// FrameIn returns the number by which a frame of one of several captures goes:
// that of the capture, from 1, stands in its upper bits. The frames of a single
// capture go by their own.
func FrameIn(capture int, frame uint64) uint64 { return uint64(capture)<<frameBits | frame }

// frameBits hold the number of a frame within its capture: at 10 million frames
// a second, two years.
const frameBits = 48
