package capture

import (
	"io"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// feedPatience is how long the packets of a Feed wait behind an incomplete IP
// datagram. The fragments of one arrive together; what a file may look ahead
// for, a report of what happens now must not be held up by.
const feedPatience = int64(time.Second)

// Feed decodes frames that come from elsewhere than a file, as those of a live
// interface do: they go through all that the frames of files go through, and into
// the same Stats. It is for whoever writes a Source. Its methods are for one
// goroutine, but for Links.
type Feed struct {
	s     *stream
	ports []port
}

// NewFeed makes one. Name and format are for Stats. Of the options Window and
// Filter mean nothing to it.
func NewFeed(name, format string, o Options) *Feed {
	f := &Feed{s: newDecoding(name, o)}
	f.s.stats.Format = format
	f.s.d.patience = feedPatience
	return f
}

// Beside makes a Feed, for another goroutine, whose links are numbered together
// with those of f: Segment.Link and Segment.Path of both mean the same.
func (f *Feed) Beside(name string, o Options) *Feed {
	o.links = f.s.d.links
	return NewFeed(name, f.s.stats.Format, o)
}

// Port describes an interface by its link type, as numbered at
// tcpdump.org/linktypes.html, and its name, and returns what Frame takes for it.
// Frames of a link type without decoder are counted as SkippedLinkType.
func (f *Feed) Port(linkType uint16, name string) int {
	f.ports = append(f.ports, port{link: linkTypeOf(linkType), number: linkType, name: f.s.d.links.intern(name)})
	return len(f.ports) - 1
}

// Frame decodes a frame that was captured at a time, in ns since 1970-01-01 UTC,
// of which data was captured and that had wire octets. It reports whether p was
// filled. Data is not kept. Nothing is allocated for the common link types.
func (f *Feed) Frame(port int, data []byte, wire uint32, time int64, p *Packet) bool {
	s := f.s
	size := s.stats.Bytes + uint64(len(data))
	reason := s.d.decode(s.begin(&f.ports[port], data, wire, time), p)
	s.clock(time)
	ready := s.count(reason, uint32(len(data)) < wire, p)
	s.stats.Bytes = size
	return ready
}

// Waited fills p with a packet that has waited for the rest of an IP datagram,
// and reports whether there was one. Ask before each Frame, until there is none.
func (f *Feed) Waited(p *Packet) bool { return f.s.waited(p) }

// Tick tells that no frame before a time, in ns since 1970-01-01 UTC, will come:
// datagrams that are incomplete since long are no longer waited for.
func (f *Feed) Tick(time int64) {
	if g := f.s.d.frags; g != nil {
		g.expire(time, &f.s.stats)
	}
}

// End tells that no frame will come. Waited has what is left.
func (f *Feed) End() { f.s.err = io.EOF }

// Stats returns the live counters. Bytes are those of the frames.
func (f *Feed) Stats() *Stats { return &f.s.stats }

// Links returns the links met so far, as Source has it; callable from any
// goroutine.
func (f *Feed) Links() []analyzer.Link { return f.s.d.links.links() }

// LinkTypeName names a link type that has a decoder; it is empty for others.
func LinkTypeName(number uint16) string {
	if l := linkTypeOf(number); l != nil {
		return l.name
	}
	return ""
}
