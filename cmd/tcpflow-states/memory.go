package main

import (
	"os"
	"runtime/debug"
)

// Nearly all that we hold is the table of open flows, which the collector need
// not look into and which is not garbage: with Go's default the heap may grow
// to twice the table before anything is collected. A quarter is room enough,
// and memory is then 1.25 times what is open.
const collectAt = 25 // percent

// heapFloor is the size of a piece of the heap that is held and never touched,
// so that it takes addresses and no memory. Without it the quarter of a heap
// that is still small would be collected again and again, and only that costs
// time.
const heapFloor = 64 << 20

// tuneCollector sets how much garbage may gather, unless the environment does.
// What it returns is to be kept until the end.
func tuneCollector() (floor []byte) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	debug.SetGCPercent(collectAt)
	return make([]byte, heapFloor)
}
