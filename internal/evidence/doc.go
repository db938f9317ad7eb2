// Package evidence keeps the packets that findings of a live capture rest on.
//
// A finding is often about what began long ago: a side that is stuck in
// CLOSE_WAIT opened its connection hours before. So the headers of every frame
// go through a Store, a ring of fixed size in which the frames of one flow are
// chained. When a Keeper is told of a finding, it writes what the Store still has
// of that flow into a pcapng file, and what comes of it later. A Rotator writes
// all frames, into one file after the other. Both write into a Dir, which bounds
// what there is on the disk, and outlives that the disk is full or the directory
// gone: a capture never ends because its evidence cannot be written.
//
// A file has the ending .part until it is complete. Files are not synced to the
// disk, as that would hold up the capture: they outlive this process, not a
// power cut.
//
// Writes go to the page cache from the goroutine that captures. Where a disk is
// so slow that it throttles its writers, the kernel's ring of the capture has to
// hold what comes meanwhile.
package evidence
