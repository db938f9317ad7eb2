package oddity

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/script"
)

const maxSnap = 262144

// writer makes a capture of what it is given: pcap with nanoseconds.
type writer struct {
	over []spec
	snap int
	out  bytes.Buffer
	link int                // of the first frame
	sent map[sentKey]packet // what an ICMP error may quote
	due  *analyzer.Segment
	from analyzer.Segment // room for due
	icmp *analyzer.Unreachable
	time int64
	err  error
}

type sentKey struct {
	src   analyzer.Addr
	sport uint16
	seq   analyzer.Seq
}

func newWriter(over []string, snap int) (*writer, error) {
	list, err := parseOver(over)
	if err != nil {
		return nil, err
	}
	if snap == 0 {
		snap = maxSnap
	}
	return &writer{over: list, snap: snap, link: -1, sent: map[sentKey]packet{}}, nil
}

// Observe implements script.Taker: the line's words come after it.
func (w *writer) Observe(x *analyzer.Segment) {
	w.from = *x
	w.due, w.time = &w.from, x.Time
}

// ObserveUnreachable implements script.Taker.
func (w *writer) ObserveUnreachable(u *analyzer.Unreachable) {
	w.icmp, w.time = u, u.Time
}

// Advance implements script.Taker: a capture has no frames where nothing
// happens.
func (w *writer) Advance(int64) {}

// Lose implements script.Taker: pcap has no room for it.
func (w *writer) Lose(analyzer.Loss) {}

// line writes what the line of a script was. It has what the segment lacks.
func (w *writer) line(l *script.Line) {
	if w.err != nil || !l.Packet() {
		return
	}
	list := w.over
	if o := l.Wire["over"]; o != "" {
		if list, w.err = parseOver(strings.Split(o, ",")); w.err != nil {
			return
		}
	}
	if w.due != nil {
		w.segment(w.due, l.Wire, list)
	} else if w.icmp != nil {
		w.unreachable(w.icmp, l.Wire["quote"], list)
	}
	w.due, w.icmp = nil, nil
	if w.err != nil {
		w.err = fmt.Errorf("%q: %w", l.Text, w.err)
	}
}

func (w *writer) segment(x *analyzer.Segment, words map[string]string, list []spec) {
	p, err := segment(x, words, isV6(list))
	if err != nil {
		w.err = err
		return
	}
	w.sent[sentKey{x.Src, x.SrcPort, x.Seq}] = p
	if x.Fragment {
		list = append([]spec{list[0], {&layer{put: firstFragment}, ""}}, list[1:]...)
	}
	w.frames(wrap(list, p))
}

// firstFragment says that the packet goes on in fragments that are not there.
func firstFragment(_ string, p packet) []packet {
	if p.kind == kindIPv4 {
		p.data[6] |= 0x20
		be.PutUint16(p.data[10:], 0)
		be.PutUint16(p.data[10:], checksum(0, p.data[:20]))
	}
	return []packet{p}
}

// unreachable quotes what was sent with that number, or a SYN that the capture
// does not have.
func (w *writer) unreachable(u *analyzer.Unreachable, quote string, list []spec) {
	n := 8
	if quote != "" {
		n, w.err = strconv.Atoi(quote)
	}
	sent, ok := w.sent[sentKey{u.Src, u.SrcPort, u.Seq}]
	if !ok {
		p, err := segment(&analyzer.Segment{Src: u.Src, Dst: u.Dst, SrcPort: u.SrcPort, DstPort: u.DstPort,
			Seq: u.Seq, Flags: analyzer.SYN, Window: 65535, TTL: 60}, nil, isV6(list))
		if err != nil {
			w.err = err
			return
		}
		sent = p
	}
	w.frames(wrap(list, icmpError(u, sent, n, isV6(list))))
}

// frames writes the records.
func (w *writer) frames(list []packet) {
	for _, p := range list {
		link := p.kind &^ ofLink
		if p.kind == kindEther {
			link = 1
		} else if p.kind&ofLink == 0 {
			w.err = fmt.Errorf("what over names ends in no link layer")
			return
		}
		w.record(link, p.data)
	}
}

func (w *writer) record(link int, data []byte) {
	var b []byte
	if w.link < 0 {
		b = le.AppendUint32(b, 0xa1b23c4d)
		b = le.AppendUint16(le.AppendUint16(b, 2), 4)
		b = le.AppendUint64(b, 0)
		b = le.AppendUint32(b, uint32(w.snap))
		b = le.AppendUint32(b, uint32(link))
		w.link = link
	}
	if w.link != link {
		w.err = fmt.Errorf("link types %d and %d in one capture", w.link, link)
		return
	}
	kept := min(len(data), w.snap)
	b = le.AppendUint32(b, uint32(w.time/1e9))
	b = le.AppendUint32(b, uint32(w.time%1e9))
	b = le.AppendUint32(b, uint32(kept))
	b = le.AppendUint32(b, uint32(len(data)))
	w.out.Write(append(b, data[:kept]...))
}

// Play returns a script as a capture, with those headers around its segments.
func Play(s *script.Script, v script.Variant, over []string, snap int) ([]byte, error) {
	w, err := newWriter(over, snap)
	if err != nil {
		return nil, err
	}
	s.Play(v, w, w.line)
	return w.out.Bytes(), w.err
}
