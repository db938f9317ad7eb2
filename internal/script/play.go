package script

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Start is when every script begins: 2026-01-01, ns since 1970-01-01 UTC.
const Start = int64(1767225600e9)

// Taker takes what happens in a script: a Tracker, or what writes a capture.
type Taker interface {
	Observe(*analyzer.Segment)
	ObserveUnreachable(*analyzer.Unreachable)
	Advance(now int64)
	Lose(analyzer.Loss)
}

// Play gives the script's segments to a tracker, and calls after for each line
// once the tracker has taken it. The lines of a `given` have the number 0.
func (s *Script) Play(v Variant, t Taker, after func(*Line)) {
	w := wire{v: v, tr: t, one: s.one}
	for _, e := range s.events() {
		w.block, w.blockNumber, w.flow = &s.Blocks[e.block], e.block, e.flow
		w.put(e.line, Start+e.at)
		if after != nil {
			after(e.line)
		}
	}
}

// event is one line of one flow.
type event struct {
	at          int64 // ns after the script's start
	block, flow int
	line        *Line
}

// events is all that happens, in the order of time.
func (s *Script) events() (all []event) {
	for b := range s.Blocks {
		block := &s.Blocks[b]
		lines := block.Lines
		if block.given {
			lines = slices.Concat(block.handshake(), lines)
		}
		for k := range max(block.flows, 1) {
			start := block.at + int64(k)*block.apart
			for i := range lines {
				all = append(all, event{start + lines[i].at, b, k, &lines[i]})
			}
		}
	}
	if s.Many() {
		slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	}
	return all
}

// handshake opens the connection before the block, 1 ms a segment, so that
// each side's first number in the block is its ISN+1.
func (b *Block) handshake() []Line {
	first := [2]analyzer.Seq{b.firstSeq(0), b.firstSeq(1)}
	line := func(at int64, from int, fl analyzer.Flags, seq, ack analyzer.Seq, o analyzer.Options) Line {
		return Line{from: from, at: at, auto: true,
			seg: analyzer.Segment{Flags: fl, Seq: seq, Ack: ack, Window: 65535, Options: o}}
	}
	offer := analyzer.Options{Set: analyzer.OptMSS | analyzer.OptSACKPermitted, MSS: 1460}
	return []Line{
		line(-3e6, 0, analyzer.SYN, first[0]-1, 0, offer),
		line(-2e6, 1, analyzer.SYN|analyzer.ACK, first[1]-1, first[0], offer),
		line(-1e6, 0, analyzer.ACK, first[0], first[1], analyzer.Options{}),
	}
}

// firstSeq returns the first number that a side uses in the block, or that
// its peer acknowledges where it sends nothing.
func (b *Block) firstSeq(side int) analyzer.Seq {
	for i := range b.Lines {
		if l := &b.Lines[i]; l.segment() && l.from == side {
			return l.seg.Seq
		}
	}
	for i := range b.Lines {
		if l := &b.Lines[i]; l.segment() && l.seg.Flags.Has(analyzer.ACK) {
			return l.seg.Ack
		}
	}
	return 1
}

func (l *Line) segment() bool { return l.Packet() && l.ICMP == nil }

// wire turns script lines into segments.
type wire struct {
	v           Variant
	one         string
	tr          Taker
	block       *Block
	blockNumber int
	flow        int // within the block
	frame       uint64
	id          [2]uint16
}

// put sends one line.
func (w *wire) put(l *Line, at int64) {
	switch {
	case l.Wait:
		w.tr.Advance(at)
		return
	case l.Lost != nil:
		w.tr.Lose(*l.Lost)
		return
	}
	w.frame++
	if l.ICMP == nil {
		w.segment(l, at)
		return
	}
	u := *l.ICMP
	u.Frame, u.Time = w.frame, at
	x := analyzer.Segment{}
	w.address(l.from, &x)
	u.Src, u.Dst, u.SrcPort, u.DstPort = x.Src, x.Dst, x.SrcPort, x.DstPort
	u.Seq += w.v.Shift[l.from]
	w.tr.ObserveUnreachable(&u)
}

func (w *wire) segment(l *Line, at int64) {
	w.id[l.from]++
	x := l.seg
	x.Frame, x.Time = w.frame, at
	if l.auto {
		x.IPID = w.id[l.from]
	}
	w.address(l.from, &x)
	bare := x.Flags&analyzer.RST != 0 && x.Seq == 0 // the 0 of a refusal is no number of the side
	if !bare {
		x.Seq += w.v.Shift[l.from]
	}
	peer := 1 - l.from
	if w.one == "socket" {
		peer = l.from
	}
	if x.Flags&analyzer.ACK != 0 {
		x.Ack += w.v.Shift[peer]
	}
	if x.Options.Set&analyzer.OptSACK != 0 {
		x.SACK[0] += w.v.Shift[peer]
		x.SACK[1] += w.v.Shift[peer]
	}
	w.tr.Observe(&x)
}

// address fills in who sends to whom. a is the client where nobody's SYN is
// seen, because b has the lower port.
func (w *wire) address(from int, x *analyzer.Segment) {
	addr := [2][4]byte{{10, 0, 0, 1}, {10, 0, 0, 2}}
	port := [2]uint16{40000 + uint16(3000*w.blockNumber), cmp.Or(w.block.to, 7000)}
	for _, by := range w.block.by {
		k := w.flow
		by, among, some := strings.Cut(by, "%")
		if n, err := strconv.Atoi(among); some && err == nil && n > 0 {
			k %= n
		}
		switch by {
		case "port":
			port[0] += uint16(k)
		case "service":
			port[1] += uint16(k)
		case "client":
			addr[0] = [4]byte{10, 1 + byte(w.blockNumber), byte(k >> 8), byte(k)}
		case "server":
			addr[1] = [4]byte{10, 101 + byte(w.blockNumber), byte(k >> 8), byte(k)}
		}
	}
	if w.v.Swap {
		addr[0], addr[1] = addr[1], addr[0]
	}
	if w.one != "" {
		addr[1] = addr[0]
	}
	if w.one == "socket" {
		port[1] = port[0]
	}
	x.Src, x.Dst = analyzer.AddrFrom4(addr[from]), analyzer.AddrFrom4(addr[1-from])
	x.SrcPort, x.DstPort = port[from], port[1-from]
	x.TTL = cmp.Or(x.TTL, 64)
}
