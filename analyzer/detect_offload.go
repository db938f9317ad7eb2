package analyzer

import "fmt"

var offloadArtifact = &Detector{
	Name:  "offload-artifact",
	Doc:   "segments larger than the receiver's MSS: they were captured before the network card cut them up, or after it joined them",
	Cause: "segmentation offload (TSO, GSO) or receive offload (GRO, LRO) on the host that captured; on the wire the segments are smaller, and nothing is wrong",
	Causes: []string{
		"checksums of frames that the host itself sends look wrong for the same reason: the card fills them in",
	},
	LooksLike: []string{
		"corruption on the wire: a wrong checksum in a segment of ordinary size",
		"jumbo frames and loopback: the MSS in the SYN says so, and nothing exceeds it",
	},
	Next:      "on the capturing host: ethtool -k DEV | grep -E 'segmentation|receive-offload'; to see what the wire sees, capture elsewhere or turn them off: ethtool -K DEV tso off gso off gro off lro off",
	Reference: "RFC 9293 3.7.1 (MSS)",
	Severity:  Info,
	Capture:   true,
	Example: `a > b S 0 mss 1460
b > a S. 0 ack 1 mss 1460 @+20ms
a > b . 1 ack 1
a > b P. 1:101 ack 1
b > a . 1:7241 ack 101 @+20ms
b > a P. 7241:9001 ack 101 @+10us
a > b . 101 ack 9001`,
	End: endOffload,
}

// endOffload tells of the largest segment of either side that its receiver's
// MSS does not allow.
func endOffload(d *Detector, f *Flow) {
	var n Finding
	for s := range Side(2) {
		if f.Sides[s].largest == 0 {
			continue
		}
		r := f.Remark(FactOversize, s)
		if r == nil {
			continue
		}
		if n.Detector == nil || r.First < n.At {
			n.At, n.Frame = r.First, r.Frame
		}
		if n.Detector != nil {
			n.Evidence += "; "
		}
		n.Detector = d
		n.Count += r.Count
		n.Last = max(n.Last, r.Last)
		n.Evidence += fmt.Sprintf("%s of the %s with up to %d octets, where the %s's MSS allows %d (first in frame %s)",
			plural(r.Count, "segment"), f.who(s), f.Sides[s].largest, f.who(s.Peer()), f.Sides[s.Peer()].Offered.MSS, FrameText(r.Frame))
	}
	if n.Detector == nil {
		return
	}
	n.Severity, n.Side = d.Severity, NoSide
	f.Raise(n)
}
