package analyzer

// deliver puts payload, by relative numbers, to what was reassembled.
func (z *zeek) deliver(s Side, from, to Seq) {
	e, blocks := &z.sides[s], &z.blocks[s]
	if acked := e.ack - e.start; from.Less(acked) {
		from = acked
	}
	switch {
	case to.LessEq(from) || to.LessEq(e.delivered):
	case e.delivered.Less(from):
		blocks.add(from, to)
	default:
		e.delivered = blocks.absorb(to)
	}
}

// trim takes the peer's acknowledgement, relative: what it covers and was not
// reassembled is a gap in the contents.
func (z *zeek) trim(s Side, ack Seq) {
	e, p := &z.sides[s], &z.sides[s.Peer()]
	if e.fins > 0 && e.finEnd.LessEq(ack) {
		ack = e.finEnd - 1
	}
	if ack.LessEq(e.trimmed) {
		return
	}
	e.trimmed = ack
	if ack.LessEq(e.delivered) || z.partial && ack <= 2 {
		return
	}
	for e.delivered.Less(ack) {
		if e.clean() && p.clean() {
			z.recordCount(s, zeekGap)
		}
		hole := ack
		if b := z.blocks[s].s; len(b) > 0 && b[0].from.Less(ack) {
			hole = b[0].from
		}
		e.delivered = z.blocks[s].absorb(hole)
	}
}

// clean says that gaps of the endpoint are believed.
func (e *zeekSide) clean() bool {
	return e.state == zeekEstablished || e.state == zeekClosed && e.before == zeekEstablished
}
