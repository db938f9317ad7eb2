package capture

import (
	"cmp"
	"container/heap"
	"errors"
	"io"
	"slices"
	"sync/atomic"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Input is one of several captures that a Merge reads.
type Input struct {
	Name string
	// Open opens it. It is called once when Once is set, else for a look at
	// the first frame and again when its time has come: so a ring of thousands
	// of files needs few open at a time.
	Open func(Options) (Source, error)
	Once bool // it cannot be read a second time: a pipe
}

// Merge is a Source that reads several captures as one, in the order of time:
// rotated files in any order, or captures of several interfaces that overlap.
// It holds as many files open as overlap in time. Fragments of one datagram
// that are in two captures are not put together.
//
// Of packets with the same time, those of the capture that began first come
// first: so a rotated file goes before the next one, whatever the order given.
//
// The frame of a packet says in which capture it is (analyzer.FrameIn), counted
// from 1 in the order given.
type Merge struct {
	parts   []*Part
	waiting []*Part // not open, by the time of the first frame
	active  byTime
	last    *Part // whose packet was delivered last: its next one is not read before it is asked for
	links   *linkTable
	options Options
	stats   Stats
	err     error // final
}

// Part is one capture of a Merge.
type Part struct {
	Name  string
	Stats Stats // as far as it was read; live while it is
	Err   error // why it was not read, or not to its end; nil when it was
	Done  bool  // it was read to its end, or as far as that goes

	input  *Input
	number int // from 1
	head   Packet
	time   int64 // of head; of a waiting part, of its first frame
	start  int64 // time of its first frame
	src    atomic.Pointer[Source]
	size   atomic.Int64
	opened atomic.Bool
	done   atomic.Int64 // bytes read of what is closed
}

const (
	// maxWindows is how many parts that overlap in time get a window of full
	// size. Thousands may overlap; the others make do with less.
	maxWindows  = 32
	smallWindow = 64 << 10
)

// NewMerge looks at the beginning of every input, and waits for the first
// packet of those that can be read only once. An input that cannot be read does
// not keep the others from being read: Parts says what is wrong with it.
func NewMerge(inputs []Input, o Options) *Merge {
	o.links = &linkTable{}
	m := &Merge{links: o.links, options: o}
	for i := range inputs {
		p := &Part{Name: inputs[i].Name, input: &inputs[i], number: i + 1}
		m.parts = append(m.parts, p)
		switch {
		case p.number > analyzer.MaxCaptures:
			p.fail(tooMany(p.Name))
		case p.input.Once:
			m.admitOne(p)
		default:
			m.look(p)
		}
	}
	slices.SortStableFunc(m.waiting, func(a, b *Part) int { return cmp.Compare(a.time, b.time) })
	return m
}

// tooMany is the Error for an input whose number has no room in a frame's.
func tooMany(name string) *Error {
	return &Error{
		File:    name,
		Problem: "not read: at most " + thousands(analyzer.MaxCaptures) + " captures are read as one",
		Remedy:  "join some of them first: mergecap -w joined.pcapng",
	}
}

// look reads the first frame of a part, to know when its time comes.
func (m *Merge) look(p *Part) {
	o := m.options
	o.Window, o.look = minWindow, true
	if !p.open(o) {
		return
	}
	src := *p.src.Load()
	err := src.Next(&p.head)
	if err != nil && err != errLooked {
		p.end(err)
		return
	}
	st := src.Stats()
	p.time, p.start = st.FirstTime, st.FirstTime
	p.close()
	// What it holds is counted when it is read.
	p.Stats = Stats{Name: st.Name, Format: st.Format}
	p.done.Store(0)
	m.waiting = append(m.waiting, p)
}

// admitOne opens a part to read it.
func (m *Merge) admitOne(p *Part) {
	o := m.options
	if o.Window == 0 {
		o.Window = windowSize
		if len(m.active) >= maxWindows {
			o.Window = smallWindow
		}
		if size := p.size.Load(); size > 0 { // rings are often of many small files
			o.Window = int(min(size, int64(o.Window)))
		}
	}
	if !p.open(o) || !p.next() {
		return
	}
	if p.input.Once {
		p.start = (*p.src.Load()).Stats().FirstTime
	}
	heap.Push(&m.active, p)
}

// open opens a part, and reports whether that worked.
func (p *Part) open(o Options) bool {
	src, err := p.input.Open(o)
	if err != nil {
		p.fail(err)
		return false
	}
	p.size.Store(src.Size())
	p.opened.Store(true)
	p.src.Store(&src)
	return true
}

// fail notes that a part cannot be read.
func (p *Part) fail(err error) {
	p.Err, p.Done = err, true
	p.opened.Store(false)
}

// end closes a part whose source has ended with err.
func (p *Part) end(err error) {
	p.Done = true
	if err != io.EOF {
		p.Err = err
	}
	p.close()
}

// next reads the next packet of a part into its head; false at its end.
func (p *Part) next() bool {
	src := *p.src.Load()
	if err := src.Next(&p.head); err != nil {
		p.end(err)
		return false
	}
	p.time = p.head.Time()
	if p.head.Kind == KindUnreachable {
		p.head.Unreachable.Frame = analyzer.FrameIn(p.number, p.head.Unreachable.Frame)
	} else {
		p.head.Segment.Frame = analyzer.FrameIn(p.number, p.head.Segment.Frame)
	}
	return true
}

// close closes a part and keeps its statistics.
func (p *Part) close() {
	if src := p.src.Swap(nil); src != nil {
		p.Stats = *(*src).Stats()
		p.done.Store((*src).Position())
		(*src).Close()
	}
}

// byTime is a heap of parts by the time of their next packet.
type byTime []*Part

func (h byTime) Len() int      { return len(h) }
func (h byTime) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h byTime) Less(i, j int) bool {
	a, b := h[i], h[j]
	if a.time != b.time {
		return a.time < b.time
	}
	return a.start < b.start || a.start == b.start && a.number < b.number
}
func (h *byTime) Push(x any) { *h = append(*h, x.(*Part)) }
func (h *byTime) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// Next implements Source. Its error is io.EOF when every part was read to its
// end, else what was wrong with them.
func (m *Merge) Next(p *Packet) error {
	if m.last != nil { // it is the front
		if m.last.next() {
			heap.Fix(&m.active, 0)
		} else {
			heap.Pop(&m.active)
		}
		m.last = nil
	}
	m.admit()
	if len(m.active) == 0 {
		return m.end()
	}
	m.last = m.active[0]
	*p = m.last.head
	return nil
}

// admit opens the parts whose time has come.
func (m *Merge) admit() {
	for len(m.waiting) > 0 && (len(m.active) == 0 || m.waiting[0].time <= m.active[0].time) {
		p := m.waiting[0]
		m.waiting = m.waiting[1:]
		m.admitOne(p)
	}
}

func (m *Merge) end() error {
	if m.err == nil {
		var all []error
		for _, p := range m.parts {
			all = append(all, p.Err)
		}
		if m.err = errors.Join(all...); m.err == nil {
			m.err = io.EOF
		}
	}
	return m.err
}

// Parts returns the captures in the order given. What they say is final when
// Next has returned an error.
func (m *Merge) Parts() []*Part {
	for _, p := range m.parts {
		if src := p.src.Load(); src != nil {
			p.Stats = *(*src).Stats()
		}
	}
	return m.parts
}

// Stats implements Source: the sums of all parts. FirstTime is known from the
// beginning.
func (m *Merge) Stats() *Stats {
	sum := &m.stats
	*sum = Stats{Name: "all captures"}
	for _, p := range m.Parts() {
		st := &p.Stats
		sum.Frames += st.Frames
		sum.Bytes += st.Bytes
		sum.FirstTime = earliest(sum.FirstTime, earliest(p.start, st.FirstTime))
		sum.LastTime = max(sum.LastTime, st.LastTime)
		sum.Segments += st.Segments
		sum.Unreachable += st.Unreachable
		for i, n := range st.Skipped {
			sum.Skipped[i] += n
		}
		sum.TimeBackwards += st.TimeBackwards
		sum.Truncated += st.Truncated
		sum.Dropped += st.Dropped
	}
	return sum
}

// earliest is the earlier of two times of which 0 is none.
func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// Links implements Source: the parts number their links together.
func (m *Merge) Links() []analyzer.Link { return m.links.links() }

// Position implements Source.
func (m *Merge) Position() (n int64) {
	for _, p := range m.parts {
		if src := p.src.Load(); src != nil {
			n += (*src).Position()
		} else {
			n += p.done.Load()
		}
	}
	return n
}

// Size implements Source; 0 when that of a part is not known.
func (m *Merge) Size() (n int64) {
	for _, p := range m.parts {
		size := p.size.Load()
		if size == 0 && p.opened.Load() {
			return 0
		}
		n += size
	}
	return n
}

// Close implements Source.
func (m *Merge) Close() error {
	for _, p := range m.parts {
		p.close()
	}
	return nil
}
