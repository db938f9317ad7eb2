package analyzer

import "fmt"

var duplicateCapture = &Detector{
	Name:  "duplicate-capture",
	Doc:   "the capture holds packets twice; the copies are left out of every count",
	Cause: "a mirror port that copies both ingress and egress, a bond, or `-i any` on a host that forwards",
	Causes: []string{
		"a router or bridge captured on both its ports: the copy has a TTL one less, or another VLAN tag",
		"two mirror sessions or TAPs that feed one port",
		"files of two captures of one link, merged",
	},
	LooksLike: []string{
		"a retransmission: it has an IP ID of its own and comes a timeout later",
		"a packet that the network doubles now and then: one direction, not both",
		"copies that come later than 2 ms: delivered twice, not recorded twice",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:200  ack 300  id 1
a > b  P.  100:200  ack 300  id 1  ttl 63  @+60us
b > a  .   300      ack 200  id 2  @+10ms
b > a  .   300      ack 200  id 2  ttl 63  @+60us
a > b  P.  200:300  ack 300  id 3
a > b  P.  200:300  ack 300  id 3  ttl 63  @+60us
`,
	Next:      "capture on one interface, or mirror one direction per port; editcap -d takes copies out",
	Reference: "RFC 791 3.2 (identification)",
	Severity:  Info,
	Capture:   true,
	End:       endDuplicateCapture,
}

// endDuplicateCapture wants copies of both sides' packets, where both were
// captured: one copy here and there is the network's doing. Copies that come
// later than a mirror port's count where nearly every packet has one, as on a
// bridge that is slow, and leave the doubt.
func endDuplicateCapture(d *Detector, f *Flow) {
	quick, systematic := true, true
	var dup, late, frames uint64
	for s := range Side(2) {
		c := &f.Sides[s].Counters
		total, slow := c.Segments+c.CaptureDuplicates, uint64(0)
		if r := f.Remark(FactLateCopy, s); r != nil {
			slow = uint64(r.Count)
		}
		quick = quick && (total == 0 || c.CaptureDuplicates > 0)
		systematic = systematic && (c.CaptureDuplicates+slow)*5 >= total*2
		dup, late, frames = dup+c.CaptureDuplicates, late+slow, frames+total
	}
	n := Finding{Detector: d, Severity: d.Severity, Side: NoSide, Last: f.End, Count: int(dup)}
	switch {
	case quick && dup >= 2:
	case systematic && dup+late >= 4:
		n.Count = int(dup + late)
		n.lower("the copies come later than a mirror port's: the network may deliver them twice")
	default:
		return
	}
	n.At, n.Frame = f.firstCopy()
	n.Evidence = fmt.Sprintf("%d of %d frames repeat a packet already captured, in both directions; the first is frame %s",
		n.Count, frames, FrameText(n.Frame))
	f.Raise(n)
}

// firstCopy returns time and frame of the first packet that came again.
func (f *Flow) firstCopy() (at int64, frame uint64) {
	for s := range Side(2) {
		for _, fact := range [...]Facts{FactCaptureDuplicate, FactLateCopy} {
			if r := f.Remark(fact, s); r != nil && (frame == 0 || r.First < at) {
				at, frame = r.First, r.Frame
			}
		}
	}
	return at, frame
}
