package analyzer

// Seq is a TCP sequence or acknowledgment number: a point on a circle of 2^32
// (RFC 9293 3.4). Two of them compare by the shorter way round, so every
// comparison holds across the wrap; numbers 2^31 or more apart have no order.
type Seq uint32

// Less reports whether s comes before t.
func (s Seq) Less(t Seq) bool { return int32(s-t) < 0 }

// LessEq reports whether s comes before t or is t.
func (s Seq) LessEq(t Seq) bool { return int32(s-t) <= 0 }

// Add returns the number n octets after s.
func (s Seq) Add(n uint32) Seq { return s + Seq(n) }

// Distance returns how many octets t is after s; negative when it is before.
func (s Seq) Distance(t Seq) int32 { return int32(t - s) }

// Max returns the later of s and t.
func (s Seq) Max(t Seq) Seq {
	if s.Less(t) {
		return t
	}
	return s
}
