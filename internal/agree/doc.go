// Package agree compares what we say of a capture's TCP streams with what
// tshark says of the same file: the number, the completeness, and how many of
// each side's segments are retransmissions, out of order and so on. docs/compatibility.md
// has the rules.
//
// Theirs come from tshark where it is installed (tshark.go), or from its
// answers as they were written down (golden.go); ours from the program's NDJSON
// (ours.go). The unit is tshark's stream (compare.go).
package agree

import "net/netip"

// Counter is one of the numbers that a stream has for each side.
type Counter int

// The counters, by the names of the NDJSON output.
const (
	Retransmitted Counter = iota
	OutOfOrder
	DuplicateACK
	KeepAlive
	ZeroWindow
	numCounters
)

// counter is our name, the letter of the golden file, and tshark's fields, of
// which each marks a segment.
type counter struct {
	name   string
	letter byte
	fields []string
}

// counters is the list of all.
var counters = [numCounters]counter{
	Retransmitted: {"retransmitted", 'r', []string{
		"tcp.analysis.retransmission", "tcp.analysis.fast_retransmission", "tcp.analysis.spurious_retransmission"}},
	OutOfOrder:   {"out_of_order", 'o', []string{"tcp.analysis.out_of_order"}},
	DuplicateACK: {"duplicate_ack", 'd', []string{"tcp.analysis.duplicate_ack"}},
	KeepAlive:    {"keep_alive", 'k', []string{"tcp.analysis.keep_alive"}},
	ZeroWindow:   {"zero_window", 'z', []string{"tcp.analysis.zero_window"}},
}

// Counts are the counters of one side.
type Counts [numCounters]int

// Stream is one of tshark's, as far as we compare it. Its sides are in the
// order of its first segment.
type Stream struct {
	Number       int
	First, Last  int // frames, those of ICMP errors that quote it among them
	Segments     int // 0: there is nothing of it but quotes
	Side         [2]netip.AddrPort
	Completeness int
	Counts       [2]Counts
}

// Flow is one of ours.
type Flow struct {
	Number       int
	First, Last  int // frames
	Frames       int // how many
	Side         [2]netip.AddrPort
	Stream       int // -1: none is printed
	Completeness int
	Counts       [2]Counts
}
