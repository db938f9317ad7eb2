package analyzer

// Zeek is what Zeek's conn.log says of a flow: of the record that the flow's
// first segment belongs to. Zeek may write several for one connection, since
// it forgets one after 5 s without an answer or 5 min of silence.
type Zeek struct {
	ConnState string // conn_state, as S1 or RSTO
	History   []byte // history: upper case is what its originator sent
}

// zeek follows a flow by the rules of Zeek 7 (its TCPSessionAdapter and
// TCP_Endpoint, and the script base/protocols/conn), as run with -C: checksums
// are taken for right.
type zeek struct {
	sides [2]zeekSide
	orig  Side // the originator, by Zeek's own guess

	begun, over    bool // over: what comes now is of another record
	partial        bool
	closing        bool // it is removed zeekCloseDelay after its last packet
	start, last    int64
	removeAt       int64
	firstSeen      [2]bool // by originator and responder
	handshakeEnded bool
	zeekHistory
	zeekRest // what is above holds no pointer: see dormant.go
}

// zeekRest is what few flows have.
type zeekRest struct {
	long   []byte     // the history, where it is
	blocks [2]spanSet // payload beyond a hole
}

func (r *zeekRest) empty() bool { return len(r.long)+len(r.blocks[0].s)+len(r.blocks[1].s) == 0 }

// zeekState is what Zeek keeps of one endpoint; the order of names is its own.
type zeekState uint8

const (
	zeekInactive zeekState = iota
	zeekSYNSent
	zeekSYNACKSent
	zeekPartial
	zeekEstablished
	zeekClosed // has sent a FIN, acknowledged or not
	zeekReset
)

// handshaking reports whether the connection may still be opening for the
// endpoint.
func (s zeekState) handshaking() bool { return s <= zeekSYNACKSent }

// idle is what the script calls inactive.
func (s zeekState) idle() bool { return s == zeekInactive || s == zeekPartial }

// The timers of Zeek's default configuration (scripts/base/init-bare.zeek), ns.
const (
	zeekAttemptDelay    = int64(5e9)   // tcp_attempt_delay
	zeekSYNTimeout      = int64(5e9)   // tcp_SYN_timeout
	zeekSessionTimer    = int64(6e9)   // tcp_session_timer
	zeekLinger          = int64(5e9)   // tcp_connection_linger
	zeekCloseDelay      = int64(5e9)   // tcp_close_delay
	zeekSetupInactivity = int64(60e9)  // udp_inactivity_timeout, until the handshake is over
	zeekInactivity      = int64(300e9) // tcp_inactivity_timeout
)

// zeekJump is how far numbers of a SYN or RST may be off to be believed.
const zeekJump = 1 << 20

// zeekPorts are the TCP ports of likely_server_ports: those of Zeek's protocol
// analyzers.
var zeekPorts = func() (set [1 << 16]bool) {
	for _, p := range []uint16{
		21, 22, 25, 53, 79, 80, 81, 88, 110, 135, 139, 143, 389, 443, 445, 502, 563, 585, 587, 614, 631,
		636, 989, 990, 992, 993, 995, 1080, 1434, 1883, 2811, 3128, 3268, 3306, 3389, 5222, 5223, 5269,
		5432, 6379, 6666, 6667, 6668, 6669, 8000, 8080, 8888, 20000,
	} {
		set[p] = true
	}
	return set
}()

// zeekSide is one endpoint.
type zeekSide struct {
	state, before    zeekState
	closed           bool // reported as closed
	start, last, ack Seq  // its first number, the highest sent, the highest acknowledged
	fins             int
	finEnd           Seq // relative
	letters          zeekLetters
	delivered        Seq // relative: everything below was reassembled, or given up
	trimmed          Seq // relative: everything below was acknowledged
}

func (e *zeekSide) enter(s zeekState) {
	if s != e.state {
		e.before, e.state = e.state, s
	}
}

// take lets one segment of side s act.
func (z *zeek) take(s Side, x *Segment) {
	switch {
	case z.over:
		return
	case !z.begun:
		z.begin(s, x)
	case z.removed(x.Time) || z.reused(s, x):
		z.over = true
		return
	}
	e, p := &z.sides[s], &z.sides[s.Peer()]
	if !z.firstSeen[s] {
		if s == z.orig {
			z.partial = x.Flags&(SYN|ACK) != SYN
		} else if !z.partial {
			z.partial = x.Flags&SYN == 0
		}
	}
	end := x.Seq.Add(zeekLen(x))
	e.number(x, end)
	rel := x.Seq - e.start
	underflow := x.Seq.Less(e.start)
	z.recordFlags(s, x, rel)
	if x.Window == 0 && x.Flags&RST == 0 && p.state != zeekClosed && e.state != zeekReset {
		z.recordCount(s, zeekZeroWindow)
	}
	if !e.closed || !p.closed {
		z.last = x.Time
	}
	if x.Flags&FIN != 0 {
		e.fins++
		e.finEnd = rel.Add(zeekLen(x))
	}
	relAck := p.acknowledged(x)
	z.advance(s, x, end)
	z.step(s, x)
	if x.Flags&ACK != 0 {
		z.trim(s.Peer(), relAck)
	}
	z.firstSeen[s] = true
	if x.Len > 0 && x.Flags&RST == 0 && !underflow {
		if x.Flags&SYN != 0 {
			rel++
		}
		z.deliver(s, rel, rel.Add(x.Len))
	}
}

// zeekLen is the sequence space that a segment takes; a RST's data takes none.
func zeekLen(x *Segment) uint32 {
	n := uint32(x.end() - x.Seq)
	if x.Flags&RST != 0 {
		n -= x.Len
	}
	return n
}

// reset empties the record for its next use.
func (z *zeek) reset() {
	if z != nil {
		*z = zeek{zeekRest: zeekRest{long: z.long[:0]}}
	}
}

// begin guesses who originates: the sender of the first segment, but of one
// without SYN or with SYN+ACK the side that has no server's port.
func (z *zeek) begin(s Side, x *Segment) {
	z.begun, z.orig, z.start, z.last = true, s, x.Time, x.Time
	for i := range z.sides {
		z.sides[i].delivered, z.sides[i].trimmed = 1, 1
	}
	if x.Flags&(SYN|ACK) == SYN || !zeekPorts[x.SrcPort] {
		return
	}
	if !zeekPorts[x.DstPort] || x.Flags&SYN == 0 && x.SrcPort < x.DstPort {
		z.flip()
	}
}

func (z *zeek) flip() {
	z.orig = z.orig.Peer()
	z.partial = false
	z.write('^')
}

// number sets the endpoint's numbers by its first segment, and again by a SYN
// while it may still be opening.
func (e *zeekSide) number(x *Segment, end Seq) {
	syn := x.Flags&SYN != 0
	switch e.state {
	case zeekInactive:
		e.start, e.ack, e.last = x.Seq, x.Seq, end
		if !syn { // as if there had been one
			e.start, e.ack, e.last = x.Seq-1, x.Seq-1, x.Seq
		}
	case zeekSYNSent, zeekSYNACKSent:
		if syn && x.Seq != e.start {
			e.start, e.ack, e.last = x.Seq, x.Seq, end
		}
	case zeekEstablished, zeekPartial:
		if syn {
			e.start, e.ack, e.last = x.Seq, x.Seq, end
		}
	case zeekReset:
		if syn && e.before == zeekInactive {
			e.start, e.ack, e.last = x.Seq, x.Seq, end
		}
	}
}

// acknowledged takes the ACK of a segment to the endpoint, and returns it
// relative to its first number.
func (e *zeekSide) acknowledged(x *Segment) Seq {
	switch {
	case x.Flags&ACK == 0:
		return 0
	case e.state == zeekInactive:
		e.start, e.ack, e.last = x.Ack-1, x.Ack-1, x.Ack-1
		return 1
	case x.Ack.Less(e.start):
		return 0
	}
	d := int32(x.Ack - e.ack)
	if x.Flags&RST == 0 && d > 0 && (x.Ack != 0 || d <= zeekJump) {
		e.ack = x.Ack
	}
	return x.Ack - e.start
}

// advance moves the highest number sent to end, the segment's; payload that
// does not reach beyond it was sent again.
func (z *zeek) advance(s Side, x *Segment, end Seq) {
	e := &z.sides[s]
	d := int64(int32(end - e.last))
	switch {
	case x.Flags&(SYN|RST) != 0 && max(d, -d) > zeekJump:
	case x.Flags&FIN != 0 && e.last == e.start.Add(1):
		e.last = end
	case e.state == zeekReset:
	case d > 0:
		e.last = end
	case x.Len > 0:
		z.recordCount(s, zeekRetransmission)
	}
}

// removed reports whether a timer has removed the connection before now.
func (z *zeek) removed(now int64) bool {
	o, r := &z.sides[z.orig], &z.sides[z.orig.Peer()]
	idle := zeekSetupInactivity
	if z.handshakeEnded {
		idle = zeekInactivity
	}
	switch {
	case z.closing:
		return now >= z.removeAt
	case now-z.last >= idle:
		return true
	case o.state == zeekSYNSent || o.state == zeekSYNACKSent:
		return r.state == zeekInactive && now-z.start >= zeekAttemptDelay
	}
	// Otherwise a timer looks every six seconds for what is over.
	done := o.closed && r.closed || (o.closed || r.closed) &&
		(o.state == zeekReset || r.state == zeekReset || o.state == zeekInactive || r.state == zeekInactive)
	if !done || now < z.start+zeekSYNTimeout {
		return false
	}
	looked := now - (now-z.start-zeekSYNTimeout)%zeekSessionTimer
	return looked > z.last+zeekLinger
}

// reused reports whether a SYN begins another connection on the pair.
func (z *zeek) reused(s Side, x *Segment) bool {
	if x.Flags&SYN == 0 {
		return false
	}
	o, r := &z.sides[z.orig], &z.sides[z.orig.Peer()]
	named := o
	if x.Flags&ACK != 0 {
		if o.state != zeekInactive {
			return false
		}
		named = r
	}
	if o.closed && r.closed {
		return true
	}
	swapped := x.Flags&ACK == 0 && named.state == zeekSYNACKSent && r.state == zeekInactive && x.Seq == r.start
	return x.Seq != named.start && !swapped
}

// size is how much payload the endpoint has sent, as its numbers say.
func (e *zeekSide) size(p *zeekSide) uint32 {
	acked := e.ack != e.start && e.ack != e.start.Add(1)
	if e.before == zeekSYNSent && e.state == zeekReset && p.state == zeekInactive && acked {
		return 0
	}
	n := uint32(e.last.Max(e.ack) - e.start)
	if n != 0 {
		n--
	}
	if e.fins > 0 && n != 0 {
		n--
	}
	return n
}

// result is what conn.log says, by the conditions of its script in their order.
func (z *zeek) result() Zeek {
	o, r := &z.sides[z.orig], &z.sides[z.orig.Peer()]
	os, rs := o.state, r.state
	state := "OTH"
	switch {
	case rs == zeekReset && (os == zeekSYNSent || os == zeekSYNACKSent ||
		os == zeekReset && o.size(r) == 0 && r.size(o) == 0):
		state = "REJ"
	case rs == zeekReset && os.idle():
		state = "RSTRH"
	case rs == zeekReset:
		state = "RSTR"
	case os == zeekReset && !rs.idle():
		state = "RSTO"
	case os == zeekReset && zeekGaveUp(z.history()):
		state = "RSTOS0"
	case os == zeekReset:
	case os == zeekClosed && rs == zeekClosed:
		state = "SF"
	case os == zeekClosed && rs.idle():
		state = "SH"
	case os == zeekClosed:
		state = "S2"
	case rs == zeekClosed && os.idle():
		state = "SHR"
	case rs == zeekClosed:
		state = "S3"
	case os == zeekSYNSent && rs == zeekInactive:
		state = "S0"
	case os == zeekEstablished && rs == zeekEstablished:
		state = "S1"
	}
	return Zeek{ConnState: state, History: z.history()}
}

// zeekGaveUp matches the script's pattern ^\^?S[^HAFGIQ]*R.*$.
func zeekGaveUp(history []byte) bool {
	if len(history) > 0 && history[0] == '^' {
		history = history[1:]
	}
	if len(history) == 0 || history[0] != 'S' {
		return false
	}
	for _, c := range history[1:] {
		switch c {
		case 'H', 'A', 'F', 'G', 'I', 'Q':
			return false
		case 'R':
			return true
		}
	}
	return false
}
