package analyzer

import "fmt"

var captureDrops = &Detector{
	Name:  "capture-drops",
	Doc:   "the capturing host dropped frames before they were recorded: what is missing then may only be missing here",
	Cause: "packets came faster than the capturing program took them: its buffer was full",
	Causes: []string{
		"the host's processors were busy with other work, or slept to save power",
		"the disk that the capture was written to was too slow",
		"the card had no room, or took packets for one queue only (rx_missed_errors, rx_no_buffer_count)",
	},
	LooksLike: []string{
		"a few frames in a million, as when a capture begins: up to one in a thousand is tolerated",
		"loss on the network, which is repaired by sending again: nobody but the capture lacks these frames",
		"drops before the capture reached the host (a mirror port that is overloaded): nobody counts those; capture-gap shows them",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:200  ack 300
b > a  .   300      ack 200   @+10ms
a > b  P.  200:300  ack 300   @+5s
b > a  .   300      ack 300   @+10ms
dropped 50 of 1000 @0s..10s
`,
	Next:      "capture with a larger buffer (tcpdump -B 65536), a shorter snap length (-s 128) or a filter; on the capturing host: ethtool -S DEV; nstat; top",
	Reference: "packet(7) PACKET_STATISTICS, pcapng 4.6 (isb_osdrop, isb_ifdrop)",
	Severity:  Warning,
	Capture:   true,
	Lost:      tellDrops,
}

// tellDrops tells of a capture that dropped more than is tolerated. Where that
// was only for some time, and little of all, it explains the doubts of the flows
// of that time, and no more.
func tellDrops(n *Finding, all Loss, much []Loss) bool {
	if len(much) == 0 {
		return false
	}
	var then Loss
	for i := range much {
		then.add(&much[i])
		n.For += much[i].To - much[i].From
	}
	n.At, n.Last, n.Count = then.From, then.To, len(much)
	if !all.much() {
		n.Severity = Info
	}
	n.Evidence = fmt.Sprintf("%s dropped in %s, %s of all: so many at most are missing from the flows",
		all.String(), since(all.To-all.From), all.share())
	if then != all {
		n.Evidence += fmt.Sprintf("; %s (%s) within %s", then.String(), then.share(), since(n.For))
	}
	return true
}
