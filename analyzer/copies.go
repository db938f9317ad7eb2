package analyzer

import "time"

// copyRing remembers a side's last segments, to tell the same packet seen
// again from a segment sent again.
type copyRing struct {
	at  [8]uint32 // copyTicks
	sig [8]uint32 // 0: none yet
	pos uint8
}

// copiesLive is for how long a packet may be under way, or a capture hold it
// back: no queue keeps it for longer. RFC 9293 allows two minutes, which no
// network uses.
const copiesLive = int64(10 * time.Second)

// forget lets go of what is remembered of a side's last segments, once it has
// sent nothing for so long that no copy of them can come any more.
func (e *Endpoint) forget(now int64) {
	if now-e.LastSent > copiesLive && e.LastSent != 0 {
		e.copies, e.payloads = copyRing{}, payloadRing{}
	}
}

const (
	// captureDuplicateWithin is how far apart a mirror port or `-i any` may
	// record one packet twice.
	captureDuplicateWithin = int64(2 * time.Millisecond)
	// lateCopyWithin bounds a network's copy of a packet that has neither IP
	// ID nor timestamps: below any stack's shortest retransmission timeout.
	lateCopyWithin = int64(50 * time.Millisecond)
)

// seen reports whether x repeats a packet of the ring: FactCaptureDuplicate
// when the capture recorded it twice, FactLateCopy when the network delivered
// it twice, 0 when it is new. A retransmission has a new IP ID or a new TSVal;
// without either, only its time tells.
func (r *copyRing) seen(x *Segment) Facts {
	sig := signature(x)
	for i, s := range r.sig {
		if s != sig {
			continue
		}
		marked := x.IPID != 0 || x.Options.Set&OptTimestamps != 0
		gap := r.since(i, x)
		switch {
		case !marked && !x.occupies() && x.Flags&RST == 0:
			// Duplicate ACKs of a stack without marks look just like this.
		case gap <= captureDuplicateWithin && gap >= -captureDuplicateWithin:
			return FactCaptureDuplicate
		case marked || gap < lateCopyWithin && gap > -lateCopyWithin:
			r.at[i] = copyTicks(x)
			return FactLateCopy
		}
	}
	r.sig[r.pos], r.at[r.pos] = sig, copyTicks(x)
	r.pos = (r.pos + 1) % uint8(len(r.sig))
	return 0
}

// copyTicks is the time of a segment in units of 1.024 us; it goes round in 73 min.
func copyTicks(x *Segment) uint32 { return uint32(x.Time >> copyTick) }

const copyTick = 10

// since is how long after a segment of the ring x comes, ns.
func (r *copyRing) since(i int, x *Segment) int64 {
	return int64(int32(copyTicks(x)-r.at[i])) << copyTick
}

// has reports whether the ring has just taken a packet like x.
func (r *copyRing) has(x *Segment) bool {
	sig := signature(x)
	for i, s := range r.sig {
		if gap := r.since(i, x); s == sig && gap < lateCopyWithin && gap > -lateCopyWithin {
			return true
		}
	}
	return false
}

// marked reports whether a stack makes no two segments like x. Linux gives the
// SYN+ACKs and RSTs that it sends without a socket the IP ID 0, and may answer
// two segments with two such within microseconds.
func (x *Segment) marked() bool { return x.IPID != 0 || x.Flags&(SYN|RST) == 0 }

// duplicated reports whether the capture has had a segment of the flow twice.
func (f *Flow) duplicated() bool {
	return f.Sides[0].Counters.CaptureDuplicates+f.Sides[1].Counters.CaptureDuplicates > 0
}

// signature mixes all of a segment that a router leaves alone. The checksum is
// not always of that: offload fills it in between two taps of one host, and a
// clamped MSS changes it. It counts only where no IP ID tells packets apart.
func signature(x *Segment) uint32 {
	const m = 0x9e3779b97f4a7c15
	mark := uint64(x.IPID) << 16
	if mark == 0 {
		mark = uint64(x.Checksum)
	}
	h := (uint64(x.Seq)<<32 | uint64(x.Ack)) * m
	h ^= h >> 29
	h = (h ^ uint64(x.Len)<<24 ^ uint64(x.Flags)<<16 ^ uint64(x.Window)) * m
	h ^= h >> 32
	h = (h ^ mark) * m
	h ^= h >> 29
	h = (h ^ uint64(x.Options.TSVal)<<32 ^ uint64(x.Options.TSEcr)) * m
	return uint32(h>>32) | 1
}
