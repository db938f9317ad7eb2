// Package capture turns capture files into TCP segments.
//
// A record of the file goes through three steps: the reader of the file format
// (pcap.go, pcapng.go, snoop.go) yields frames, the decoder of the link type
// (link.go) finds the IP packet in the frame, and ip.go, tcp.go and icmp.go fill
// the caller's Packet. Where the IP packet is a tunnel's (tunnels.go), it begins
// again with what the tunnel carries; where it is a fragment (fragments.go), it
// goes on with the one that completes the datagram. All of it works in one
// window of fixed size over the input (window.go): nothing is allocated per
// frame, and no length that a capture claims makes memory grow. What is
// compressed is decompressed on the way into the window, beside the analysis
// (compress.go).
//
// Two rules run through the decoder. A segment's payload length comes from the
// IP header, never from the bytes captured: a snap length cuts data, and
// Ethernet padding adds some, without the segment being another one. And what
// is not TCP, or is broken, is no error but a count in Stats: errors are for a
// source that cannot go on.
//
// The list of file formats is below (formats), that of compressions in
// compress.go (compressions), of link types in link.go (linkTypes), of headers
// between link and IP in ethertypes.go (etherTypes), of tunnels in tunnels.go
// (tunnels); a new one of any is one line there and its code.
package capture

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture/filter"
)

// Kind says which field of a Packet Next has filled.
type Kind uint8

// The kinds of packets that a Source delivers.
const (
	KindSegment     Kind = iota // Packet.Segment: a TCP segment
	KindUnreachable             // Packet.Unreachable: an ICMP error that quotes a TCP segment
	KindTick                    // Packet.Tick: nothing came for a while; of live sources only
)

// Packet is one thing of interest to the analyzer. It is a value without
// pointers into the source's buffer and may be kept.
type Packet struct {
	Kind        Kind
	Segment     analyzer.Segment     // meaningful when Kind is KindSegment
	Unreachable analyzer.Unreachable // meaningful when Kind is KindUnreachable

	// Tick is meaningful when Kind is KindTick: what the source delivers later
	// was captured later than this, in ns since 1970-01-01 UTC. Timers may run
	// up to it.
	Tick int64
}

// Time is the capture time of what the packet is, in ns since 1970-01-01 UTC.
func (p *Packet) Time() int64 {
	switch p.Kind {
	case KindUnreachable:
		return p.Unreachable.Time
	case KindTick:
		return p.Tick
	}
	return p.Segment.Time
}

// Source delivers the packets of one capture in file order. Its methods are for
// one goroutine, but for Position and Size.
type Source interface {
	// Next fills p with the next TCP segment or ICMP error about one, and
	// counts all else that it passes over. It returns io.EOF at the clean end
	// of the capture and an *Error when it cannot go on, or when the end is
	// there and what led to it has a flaw (ErrFlawed); all are final, and p
	// says nothing then. It allocates nothing per frame for the common link
	// types.
	Next(p *Packet) error
	// Stats returns the live counters, of the frames read so far: those before
	// the last one delivered, that one, and where a packet waits for the rest
	// of its IP fragments, up to 1024 packets after it.
	Stats() *Stats
	// Links returns the links met so far; Segment.Link is an index into it.
	// The slice only ever grows and its elements never change. Callable from
	// any goroutine.
	Links() []analyzer.Link
	// Position is the number of bytes read from the input so far, before any
	// decompression; callable from any goroutine, for a progress display.
	Position() int64
	// Size is the input's length in bytes, 0 when unknown (a pipe); callable
	// from any goroutine.
	Size() int64
	// Close closes the input if Open opened it, and ends what decompresses it.
	Close() error
}

// Options change how a source reads. The zero value works.
type Options struct {
	// Window is the size of the read buffer in bytes: 1 MiB when 0, and 16 KiB
	// at the least.
	Window int

	// IgnoreVLAN leaves VLAN tags out of Segment.Path, for networks that use
	// one VLAN for each direction, and IgnoreTunnel tunnels. Links has both all
	// the same.
	IgnoreVLAN, IgnoreTunnel bool

	// Filter, if set, passes over the frames that it does not accept, as they
	// were captured: before tunnels are entered and fragments put together. They
	// have their numbers all the same. It is an error when the filter cannot be
	// compiled for the link type of a frame.
	Filter *filter.Filter

	// OnFrame, if set, is shown every frame that Filter accepts before it is
	// decoded, whatever it carries: for who wants the captured bytes. It keeps nothing of the Frame.
	// Of a frame larger than the window it is shown the beginning.
	OnFrame func(*Frame)

	links *linkTable // of the sources that are read together
	look  bool       // Next ends with errLooked behind the first frame that has a time

	// VerifyChecksums passes over what its receiver drops: packets with a wrong
	// IPv4 header checksum, and segments with a wrong TCP checksum. Segments
	// that were not wholly captured, and those that offload has left without a
	// checksum, are delivered unverified.
	VerifyChecksums bool
}

// errLooked ends a source of which the time of the first frame was wanted.
var errLooked = errors.New("looked at")

// Stats counts what a source has met.
type Stats struct {
	Name        string // the file, as given to Open, or "standard input"
	Format      string // "pcap", "pcapng" or "snoop"; several, as "pcap, pcapng", where such files were joined
	Compression string // "gzip", "zstd", …; "gzip in zstd" where one is in the other; empty without any

	Frames      uint64 // frames read, whatever they carry; the last frame's number
	Bytes       uint64 // bytes of the capture consumed, after any decompression
	Segments    uint64 // TCP segments delivered
	Unreachable uint64 // ICMP errors about TCP delivered
	Skipped     [NumReasons]uint64

	FirstTime     int64  // earliest frame's time, ns since 1970-01-01 UTC; 0 without one
	LastTime      int64  // latest frame's time
	TimeBackwards uint64 // frames with a time before that of the frame before
	Truncated     uint64 // frames of which the snap length cut a part
	SnapNeeded    uint32 // snap length that would have left the TCP headers of those SkippedCut, at least; 0 without any
	Dropped       uint64 // frames that the capturing program says it lost (pcapng, snoop)
}

// Reason says why a frame was passed over.
type Reason uint8

// The reasons. Frames == Segments + Unreachable + the sum of Skipped.
const (
	delivered              Reason = iota // not passed over; never counted
	SkippedARP                           // ARP and RARP
	SkippedUDP                           // UDP over IP
	SkippedICMP                          // ICMP or ICMPv6 that is no error about a TCP segment
	SkippedIPProtocol                    // IP with another protocol, no TCP and no tunnel that is looked into
	SkippedFragment                      // a fragment without TCP header, of a datagram that is not wholly in the capture
	SkippedCut                           // the snap length cut the TCP header, or one before it
	SkippedMalformedIP                   // an IP header that contradicts itself
	SkippedMalformedTCP                  // a TCP header that contradicts itself or the IP header
	SkippedMalformedLink                 // a link header that is too short or contradicts itself
	SkippedLinkType                      // a frame of an interface whose link type has no decoder here
	SkippedNotIP                         // neither IP nor ARP, by the ethertype or what stands for it
	SkippedEmpty                         // a record without bytes
	SkippedNoInterface                   // a pcapng packet of an interface that the section does not describe
	SkippedMalformedTunnel               // a tunnel header that is too short or contradicts itself
	SkippedTooDeep                       // more VLAN tags, tunnels or other headers one in another than are followed
	SkippedEncrypted                     // IPsec, WireGuard, MACsec, 802.11 or PPP whose payload is encrypted or compressed
	SkippedJoined                        // a fragment of an IP datagram that was delivered with the one that completed it
	SkippedBadFragment                   // fragments that cannot be of one datagram: IPv6 has them dropped (RFC 5722)
	SkippedHeaderChecksum                // a wrong IPv4 header checksum, if Options.VerifyChecksums
	SkippedTCPChecksum                   // a wrong TCP checksum, if Options.VerifyChecksums
	SkippedFilter                        // not accepted by Options.Filter
	NumReasons             = iota        // the length of Stats.Skipped
)

var reasonNames = [NumReasons]string{
	delivered:            "delivered",
	SkippedARP:           "arp",
	SkippedUDP:           "udp",
	SkippedICMP:          "icmp",
	SkippedIPProtocol:    "other IP protocol",
	SkippedFragment:      "later IP fragment",
	SkippedCut:           "truncated before TCP header",
	SkippedMalformedIP:   "malformed IP",
	SkippedMalformedTCP:  "malformed TCP",
	SkippedMalformedLink: "malformed link header",
	SkippedLinkType:      "unsupported link type",
	SkippedNotIP:         "not IP",
	SkippedEmpty:         "empty record",
	SkippedNoInterface:   "undescribed interface",

	SkippedMalformedTunnel: "malformed tunnel header",
	SkippedTooDeep:         "nested too deep",
	SkippedEncrypted:       "encrypted or compressed",
	SkippedJoined:          "joined IP fragment",
	SkippedBadFragment:     "contradictory IP fragment",
	SkippedHeaderChecksum:  "bad IP header checksum",
	SkippedTCPChecksum:     "bad TCP checksum",
	SkippedFilter:          "left out by the filter",
}

// encapsulated is no reason and never counted: the IP layer has come to a
// tunnel, and frame.inner says what is in it.
const encapsulated Reason = 0xff

// String names the reason as reports print it.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// stream is what the readers of all formats share.
type stream struct {
	w      window
	joined reader    // of the file at hand, where it is not the first in the input
	input  *input    // the compressed input, nil without compression
	packed *unpacker // the innermost, nil without compression
	d      decoder
	stats  Stats
	prev   int64 // time of the frame before
	timed  bool  // there was one with a time
	look   bool  // it is all that is wanted
	at     int64 // byte at which the record at hand begins
	flaw   flaw
	size   int64
	closer io.Closer
	err    error // final: io.EOF or *Error

	onFrame func(*Frame)
	shown   Frame // to onFrame; here so that it is not allocated
	filter  *filter.Filter
}

func (s *stream) Stats() *Stats          { return &s.stats }
func (s *stream) Links() []analyzer.Link { return s.d.links.links() }
func (s *stream) Size() int64            { return s.size }

func (s *stream) Position() int64 {
	if s.input != nil {
		return s.input.read.Load()
	}
	return s.w.read.Load()
}

// follow is Next from the reader's end on, or from where another file was joined
// to the reader's.
func (s *stream) follow(p *Packet) error {
	for s.err == nil {
		if s.waited(p) || s.joined.record(p) {
			return nil
		}
	}
	if s.waited(p) {
		return nil
	}
	return s.err
}

func (s *stream) Close() error {
	if s.packed != nil {
		s.packed.close()
	}
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

// begin prepares the decoder for the next frame: data as captured, of wire
// octets originally. Some writers leave that smaller than what they captured,
// and damage makes it anything: it may become a segment's length (ip.go).
func (s *stream) begin(port *port, data []byte, wire uint32, time int64) *frame {
	f := &s.d.frame
	f.refused = s.filter != nil && !s.accepts(port, data, wire)
	if s.onFrame != nil && !f.refused {
		s.shown = Frame{Number: s.stats.Frames + 1, Time: time, LinkType: port.number,
			Interface: s.d.links.nameOf(port.name), Data: data, Wire: wire}
		s.onFrame(&s.shown)
	}
	f.port = port
	f.data = data
	f.wire = max(int(min(wire, maxRecord)), len(data))
	f.size = len(data)
	f.number = s.stats.Frames + 1
	f.time = time
	f.path.name, f.path.ifIndex, f.path.depth = port.name, 0, 0
	f.headers, f.tunnels, f.ifName = 0, 0, nil
	return f
}

// accepts runs the filter on a frame. Where there is no program for its link type
// the source ends there.
func (s *stream) accepts(port *port, data []byte, wire uint32) bool {
	if port.program == nil && port.link != nil {
		var err error
		if port.program, err = s.filter.Program(port.number); err != nil {
			s.err = s.filterError(err)
			return false
		}
	}
	return port.link == nil || port.program.Match(data, wire)
}

// count takes a frame into the statistics once it is wholly read, and reports
// whether p is to be delivered now.
func (s *stream) count(r Reason, cut bool, p *Packet) bool {
	st := &s.stats
	switch r {
	case SkippedEmpty:
		s.flawed(0)
	case SkippedCut:
		s.stats.SnapNeeded = max(s.stats.SnapNeeded, s.d.frame.snapNeeded)
	}
	st.Frames++
	st.Bytes = uint64(s.w.offset())
	if cut {
		st.Truncated++
	}
	switch {
	case r != delivered:
		st.Skipped[r]++
	case s.d.unreachable:
		st.Unreachable++
	default:
		st.Segments++
	}
	if g := s.d.frags; g != nil {
		return g.settle(r, p, st, s.d.frame.time)
	}
	return r == delivered
}

// waited fills p with a packet that has waited for fragments, if there is one.
func (s *stream) waited(p *Packet) bool {
	return s.d.frags != nil && s.d.frags.next(p, s.err != nil, &s.stats)
}

// clock takes a frame's time into the statistics. Frames without a time of
// their own (pcapng's Simple Packet Blocks) do not come here.
func (s *stream) clock(time int64) {
	st := &s.stats
	if !s.timed {
		s.timed = true
		st.FirstTime, st.LastTime, s.prev = time, time, time
		if s.look {
			s.err = errLooked
		}
	}
	if time < s.prev {
		st.TimeBackwards++
		// The difference of absurd times has no room in an int64.
		if back := s.prev - time; back < 0 || back > maxBack {
			s.flawed(max(back, 1))
		}
		st.FirstTime = min(st.FirstTime, time)
	}
	st.LastTime = max(st.LastTime, time)
	s.prev = time
}

// reader reads the records of one file format. Its Next calls record itself for
// the first file in the input, which is nearly always the only one, and follow
// from there on.
type reader interface {
	Source
	// record reads one record, or a block without a packet, and reports whether
	// p was filled. At the end it sets stream.err; where another file begins, it
	// calls stream.join.
	record(p *Packet) bool
}

// format is one kind of file that Open knows by its first bytes: one that can
// be read has open, for the others hint says what turns it into one.
type format struct {
	name   string
	magics []string
	open   func(*stream) (reader, error)
	// follows reports whether the bytes after a magic number bear it out, for
	// where a file may begin after another one and the magic number may be part
	// of a record instead. It peeks, and consumes nothing.
	follows func(*stream) bool
	hint    string // printf format for the file's name as a shell word
}

// formats is the list of all file formats, filled by init because readers look
// into it themselves, for a file that follows theirs.
var formats []format

func init() {
	formats = []format{
		{name: "pcap", magics: pcapMagics, open: newPcap, follows: pcapFollows},
		{name: "pcapng", magics: []string{"\x0a\x0d\x0d\x0a"}, open: newPcapng, follows: pcapngFollows},
		{name: "snoop", magics: []string{snoopMagic}, open: newSnoop, follows: snoopFollows},

		{name: "a zip archive", magics: []string{"PK\x03\x04"}, hint: "unpack first: unzip -p %s | tcpflow-states analyze -"},
		{name: "a 7-Zip archive", magics: []string{"7z\xbc\xaf\x27\x1c"}, hint: "unpack first: 7z x -so %s | tcpflow-states analyze -"},
		{name: "compressed by compress", magics: []string{"\x1f\x9d"}, hint: "decompress first: gzip -dc %s | tcpflow-states analyze -"},
		{name: "lzip-compressed", magics: []string{"LZIP"}, hint: "decompress first: lzip -dc %s | tcpflow-states analyze -"},
		{name: "a Network Monitor capture", magics: []string{"GMBU", "RTSS"}, hint: viaEditcap},
		{name: "an AIX iptrace capture", magics: []string{"iptrace "}, hint: viaEditcap},
		{name: "a Sniffer capture", magics: []string{"TRSNIFF ", "XCP\x00"}, hint: viaEditcap},
		{name: "a Peek capture", magics: []string{"\x7fver"}, hint: viaEditcap},
		{name: "an Observer capture", magics: []string{"Observer"}, hint: viaEditcap},
		{name: "a 5View capture", magics: []string{"\xaa\xaa\xaa\xaa"}, hint: viaEditcap},
		{name: "a Visual Networks capture", magics: []string{"\x05VNF"}, hint: viaEditcap},
	}
}

// viaEditcap is the hint for what Wireshark's editcap reads and we do not.
const viaEditcap = "convert first: editcap -F pcapng %s - | tcpflow-states analyze -"

// notCapture is the remedy for what no line of formats matches.
const notCapture = "give a pcap or pcapng file, as tcpdump -w or dumpcap -w writes it"

// standardInput is what Stats and errors call it.
const standardInput = "standard input"

// Open opens a capture file; "-" is standard input. Its errors are of type
// *Error and wrap the system's, so that errors.Is(err, fs.ErrNotExist) works.
func Open(path string, o Options) (Source, error) {
	file, name := os.Stdin, standardInput
	if path != "-" {
		var err error
		if file, err = os.Open(path); err != nil {
			return nil, openError(path, err)
		}
		name = path
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = syscall.EISDIR
	}
	if err != nil {
		file.Close()
		return nil, openError(name, err)
	}
	s := newStream(file, name, o)
	s.closer = file
	if info.Mode().IsRegular() {
		s.size = info.Size()
	}
	src, err := s.identify()
	if err != nil {
		file.Close()
	}
	return src, err
}

// NewReader reads a capture from r; name stands for it in Stats and errors. Its
// errors are of type *Error. It waits for no more than the capture's file
// header, and the Source never closes r.
func NewReader(r io.Reader, name string, o Options) (Source, error) {
	return newStream(r, name, o).identify()
}

func newStream(r io.Reader, name string, o Options) *stream {
	size := windowSize
	if o.Window > 0 {
		size = max(o.Window, minWindow)
	}
	s := newDecoding(name, o)
	s.filter = o.Filter
	s.w.r = r
	s.w.buf = make([]byte, size)
	return s
}

// newDecoding makes a stream without an input.
func newDecoding(name string, o Options) *stream {
	s := &stream{stats: Stats{Name: name}, look: o.look}
	if s.d.links = o.links; s.d.links == nil {
		s.d.links = &linkTable{}
	}
	s.d.frame.verify = o.VerifyChecksums
	s.onFrame = o.OnFrame
	s.d.links.ignoreVLAN, s.d.links.ignoreTunnel = o.IgnoreVLAN, o.IgnoreTunnel
	return s
}

// identify finds the format by the first bytes, through all compression, and
// opens its reader.
func (s *stream) identify() (Source, error) {
	if err := s.decompress(); err != nil {
		return nil, err
	}
	if len(s.w.peek(4)) == 0 {
		return nil, s.emptyError()
	}
	f := s.format()
	switch {
	case f == nil:
		return nil, s.unknownError()
	case f.open == nil:
		return nil, &Error{File: s.stats.Name, Problem: "file is " + f.name, Remedy: s.hint(f.hint)}
	}
	s.stats.Format = f.name
	r, err := f.open(s)
	if err != nil {
		return nil, err // a nil reader must not become a Source that is not nil
	}
	return r, nil
}

// format is the one that the input is in from here, nil when none is known.
func (s *stream) format() *format {
	head := string(s.w.peek(8))
	for i := range formats {
		for _, magic := range formats[i].magics {
			if strings.HasPrefix(head, magic) {
				return &formats[i]
			}
		}
	}
	return nil
}

// join goes on with the file that begins here, where a record of the one before
// could be, and reports whether one does. Rotated captures are put together by
// cat, and tcpdump -w - is appended to files by the shell.
func (s *stream) join() bool {
	f := s.format()
	if f == nil || f.open == nil || !f.follows(s) {
		return false
	}
	if !strings.Contains(s.stats.Format+",", f.name+",") {
		s.stats.Format += ", " + f.name
	}
	next, err := f.open(s)
	if err != nil {
		s.err = err
		return true
	}
	s.joined = next
	return true
}

// atStart reports whether nothing was consumed yet: the file at hand is the
// first of those joined.
func (s *stream) atStart() bool { return s.w.offset() == 0 }

// hint fills a format's hint with the input's name as a command would take it.
func (s *stream) hint(text string) string {
	name := s.stats.Name
	if name == standardInput {
		name = "-"
	}
	return fmt.Sprintf(text, shellWord(name))
}

func (s *stream) emptyError() *Error {
	e := &Error{File: s.stats.Name, Err: s.w.err}
	if s.w.err != io.EOF {
		var opening *fs.PathError
		if errors.As(s.w.err, &opening) && opening.Op == "open" {
			return openError(s.stats.Name, s.w.err) // of a reader that opens late
		}
		s.unreadable(e, "check that the file can be read")
		return e
	}
	e.Err = io.ErrUnexpectedEOF
	e.Problem = "file is empty"
	if s.packed != nil {
		e.Problem = "file is empty but for its " + s.stats.Compression + " compression"
	}
	e.Remedy = "the capturing program wrote nothing; let it end by Ctrl-C or SIGTERM, or use tcpdump -U"
	return e
}

// unknownError words what the input is, as far as its beginning shows.
func (s *stream) unknownError() *Error {
	e := &Error{File: s.stats.Name, Remedy: notCapture}
	// One read's worth: more might have to be waited for.
	b := s.w.buf[s.w.start:min(s.w.end, s.w.start+4096)]
	switch {
	case len(b) < 4:
		e.Problem = fmt.Sprintf("not a capture: only %d bytes long", len(b))
	case isTar(b):
		e.Problem = "file is a tar archive"
		e.Remedy = s.hint("unpack first: tar -xOf %s | tcpflow-states analyze -")
	case isText(b):
		e.Problem, e.Remedy = s.textError(b)
	case isERF(b):
		e.Problem = "file is an ERF capture, as it seems"
		e.Remedy = s.hint(viaEditcap)
	default:
		e.Problem = fmt.Sprintf("not a capture: begins with bytes % x", b[:4])
	}
	return e
}
