package analyzer

// Facts are what one segment is, measured against what both sides expected
// when it came: numbers compared, states not yet touched.
type Facts uint64

// The facts of a segment. All but FactData and FactACK are rare.
const (
	FactData             Facts = 1 << iota // carries new payload
	FactACK                                // acknowledges something new
	FactCaptureDuplicate                   // the same packet recorded twice
	FactLateCopy                           // the same packet again, delivered late by the network
	FactRetransmission                     // repeats sequence space already sent
	FactOutOfOrder                         // fills a hole left by the segments before it
	FactHole                               // starts beyond what its sender has sent so far
	FactDuplicateACK                       // acknowledges nothing new, changes nothing
	FactKeepAlive                          // one below the next number: RFC 9293 3.8.4
	FactWindowProbe                        // into a zero window
	FactZeroWindow                         // closes its sender's window
	FactACKUnseen                          // acknowledges what was never captured
	FactSYN                                // a SYN of this flow
	FactSYNACK                             // a SYN+ACK of this flow
	FactFIN                                // a FIN that counts
	FactFINIgnored                         // a FIN out of window: it may be forged
	FactRST                                // a RST that its receiver obeys
	FactRSTInWindow                        // in window, not exact: RFC 5961 3.2 challenges it
	FactRSTIgnored                         // out of window, or an answer to something else
	FactRefused                            // a RST that answers a SYN
	FactSYNInWindow                        // a SYN inside a connection: RFC 5961 4.2 challenges it
	FactChallengeACK                       // the answer to one of these two
	FactBadSYNACK                          // a SYN+ACK that acknowledges no SYN of the peer
	FactToClosed                           // data or FIN towards a side that is CLOSED
	FactDataAfterFIN                       // data towards a side that has sent FIN
	FactTimeWait                           // reached a side in TIME_WAIT and restarted 2 MSL
	FactReuse                              // first SYN on an address pair used before
	FactUnreachable                        // an ICMP error that quotes the flow
	FactNotAccepted                        // a SYN+ACK again though its ACK came with data, or twice
	FactReordered                          // sent before the segments that it was captured after
	FactNeedless                           // sends again what the peer has long acknowledged
	FactDSACK                              // says that what was sent again came twice: RFC 2883
	FactConflict                           // sends a range again with other octets
	FactStale                              // an older timestamp than reordering explains: RFC 7323 5
	FactOversize                           // larger than the receiver's MSS allows
	FactNoACK                              // has none of ACK, SYN and RST: every receiver drops it
	FactAfterRST                           // of a side that goes on after a RST in its name
	FactACKStorm                           // one more ACK of nothing, in a long exchange of such
	FactPlainSYN                           // the SYN again, without the Fast Open of the first
)

var factNames = [...]string{
	"data", "ack", "capture duplicate", "late copy", "retransmission", "out of order",
	"hole before", "duplicate ACK", "keep-alive", "zero-window probe", "zero window",
	"ACK of unseen bytes", "SYN", "SYN+ACK", "FIN", "FIN ignored", "RST", "RST in window",
	"RST ignored", "refused", "SYN in window", "challenge ACK", "SYN+ACK with wrong ACK",
	"to a closed side", "data after the peer's FIN", "in TIME_WAIT", "address pair reused", "ICMP error",
	"handshake's ACK not accepted",
	"overtaken", "already acknowledged", "duplicate SACK", "other octets than before", "old timestamp",
	"larger than the MSS",
	"no ACK", "after its RST", "ACK storm", "SYN without Fast Open",
}

// usual are the facts that leave no Remark: those of every connection, and ACKs
// that are counted.
const usual = FactData | FactACK | FactDuplicateACK | FactSYN | FactSYNACK | FactFIN

// Names returns the words for every fact in the set, in order.
func (f Facts) Names() []string {
	var names []string
	for i, n := range factNames {
		if f&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// Step is what one segment did: its flow, its facts, and where both sides
// stand after it.
type Step struct {
	Flow    *Flow
	Segment *Segment
	From    Side
	Facts   Facts
	State   [2]State // after the segment, as believed then
	Basis   [2]Basis
	Seq     uint32 // relative to the sender's ISN, as far as it is known
	Ack     uint32 // relative to the peer's ISN
}

// Remark remembers the segments of a flow that had one of the rarer facts (not usual), for
// the detectors that look when the flow ends.
type Remark struct {
	Fact        Facts // exactly one
	Side        Side  // who sent them
	Count       int
	First, Last int64 // times, ns since 1970-01-01 UTC
	Frame       uint64
	LastFrame   uint64
}

// Remark returns what is remembered of a fact's segments that side s sent, or
// nil when there were none.
func (f *Flow) Remark(fact Facts, s Side) *Remark {
	for i := range f.Remarks {
		if r := &f.Remarks[i]; r.Fact == fact && r.Side == s {
			return r
		}
	}
	return nil
}
