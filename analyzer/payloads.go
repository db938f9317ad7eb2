package analyzer

// payloadRing remembers of a side's last data segments what their checksums
// say of their payload.
type payloadRing struct {
	seq   [4]Seq
	len   [4]uint16
	sum   [4]uint16 // HeaderSum, folded
	check [4]uint16 // Checksum
	pos   uint8
}

// add remembers a segment. One that no link carries says nothing.
func (r *payloadRing) add(x *Segment) {
	if x.Len > 0xffff {
		return
	}
	i := r.pos % uint8(len(r.seq))
	r.seq[i], r.len[i], r.sum[i], r.check[i] = x.Seq, uint16(x.Len), foldSum(x.HeaderSum), x.Checksum
	r.pos++
}

// conflicts reports whether side s has sent the range of x with other octets
// before. Ranges of another start or end are not comparable. Where a network
// card had the checksum yet to fill in, or has put a segment together from
// several, it says nothing of the payload.
func (f *Flow) conflicts(s Side, x *Segment) bool {
	r := &f.Sides[s].payloads
	if x.HeaderSum == 0 || x.Fragment || x.Len > 0xffff || f.oversize(s, x) {
		return false
	}
	for i, seq := range r.seq {
		if seq == x.Seq && uint32(r.len[i]) == x.Len && r.check[i] != x.Checksum && r.sum[i] != foldSum(x.HeaderSum) {
			return !unfilled(r.check[i], x) && !unfilled(x.Checksum, x)
		}
	}
	return false
}

// oversize reports whether x is larger than its receiver's MSS allows: offload
// made one of several segments. No stack sends less than the least MSS.
func (f *Flow) oversize(s Side, x *Segment) bool {
	const leastMSS = 536 // RFC 9293 3.7.1
	o := &f.Sides[s.Peer()].Offered
	return o.Set&OptMSS != 0 && x.Len > max(uint32(o.MSS), leastMSS)
}

// ChecksumUnfilled reports whether Checksum is what a network card finds that is
// to fill it in: then it says nothing of the segment.
func (x *Segment) ChecksumUnfilled() bool { return unfilled(x.Checksum, x) }

// unfilled reports whether the checksum of a segment with the addresses and the
// length of x is what a card finds in a field that it is to fill in: nothing, or
// the sum of the pseudo-header, with or without the length.
func unfilled(check uint16, x *Segment) bool {
	const tcp = 6
	pseudo := uint64(tcp)
	for i := 0; i < len(x.Src); i += 2 {
		pseudo += uint64(x.Src[i])<<8 + uint64(x.Src[i+1]) + uint64(x.Dst[i])<<8 + uint64(x.Dst[i+1])
	}
	rest := foldSum(uint64(check) + 0xffff - uint64(foldSum(pseudo)))
	if check == 0 || rest == 0 {
		return true
	}
	for header := uint32(20); header <= 60; header += 4 {
		if rest == foldSum(uint64(x.Len+header)) {
			return true
		}
	}
	return false
}

// foldSum makes 16 bits of a ones' complement sum. 0xffff is 0 (RFC 1071).
func foldSum(sum uint64) uint16 { return uint16(sum % 0xffff) }
