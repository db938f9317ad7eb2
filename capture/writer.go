package capture

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Frame is one record of a capture, as it was captured.
type Frame struct {
	Number    uint64 // in the capture, from 1
	Time      int64  // ns since 1970-01-01 UTC; 0 where the capture has none
	LinkType  uint16 // as listed at tcpdump.org/linktypes.html
	Interface string // its name, where the capture has one
	Data      []byte // what was captured
	Wire      uint32 // how many octets there were on the wire
}

// Writer writes frames into a capture file. What it hands on in one call is
// whole records or blocks: an output that is cut between two calls is a capture.
// Nothing is allocated per frame.
type Writer struct {
	w       *bufio.Writer
	pcap    bool
	ports   map[writerPort]uint32
	last    writerPort // the port of the frame before, for pcap the only one
	scratch []byte     // the block or record at hand
	comment string
	size    int64
}

type writerPort struct {
	linkType uint16
	name     string
}

// NewWriter writes pcapng (draft-ietf-opsawg-pcapng), with nanoseconds. Close
// it at the end.
func NewWriter(w io.Writer) *Writer { return NewWriterSize(w, windowSize) }

// NewWriterSize is NewWriter with a buffer of so many octets.
func NewWriterSize(w io.Writer, size int) *Writer {
	return &Writer{w: bufio.NewWriterSize(w, size), ports: map[writerPort]uint32{}}
}

// Comment says of the whole capture what it is. It comes before the first Write;
// pcap has no place for it.
func (o *Writer) Comment(text string) { o.comment = text }

// Size is how many octets the capture has so far, those held included.
func (o *Writer) Size() int64 { return o.size }

// Flush hands on what is still held.
func (o *Writer) Flush() error { return o.w.Flush() }

// NewPcapWriter writes pcap with nanoseconds, which holds one link type, and
// neither interfaces nor comments.
func NewPcapWriter(w io.Writer) *Writer {
	o := NewWriter(w)
	o.pcap = true
	return o
}

// Write writes a frame, untouched, with what there is to say of it.
func (o *Writer) Write(f *Frame, comments []string) error {
	port := writerPort{f.LinkType, f.Interface}
	if o.pcap {
		return o.writePcap(f, writerPort{linkType: f.LinkType})
	}
	if len(o.ports) == 0 {
		o.section()
	}
	number, known := o.ports[port]
	if !known {
		number = uint32(len(o.ports))
		o.ports[port] = number
		o.port(port)
	}
	return o.packet(number, f, comments)
}

// Close writes what is still held.
func (o *Writer) Close() error {
	if len(o.ports) == 0 && !o.pcap {
		o.section() // an empty capture is one all the same
	}
	return o.w.Flush()
}

var le = binary.LittleEndian

// section writes a Section Header Block (4.1).
func (o *Writer) section() {
	b := o.begin(0x0a0d0d0a)
	b = le.AppendUint32(b, byteOrderMagic)
	b = le.AppendUint32(b, 1)          // version 1.0
	b = le.AppendUint64(b, ^uint64(0)) // of unknown length
	if o.comment != "" {
		b = option(option(b, 1, o.comment), 0, "")
	}
	o.end(b)
}

// port writes an Interface Description Block (4.2): nanoseconds, any length.
func (o *Writer) port(p writerPort) {
	const name, resolution = 2, 9
	b := le.AppendUint16(o.begin(1), p.linkType)
	b = le.AppendUint32(append(b, 0, 0), 0)
	if p.name != "" {
		b = option(b, name, p.name)
	}
	b = option(b, resolution, "\x09")
	o.end(option(b, 0, ""))
}

// packet writes an Enhanced Packet Block (4.3).
func (o *Writer) packet(port uint32, f *Frame, comments []string) error {
	b := le.AppendUint32(o.begin(6), port)
	b = le.AppendUint32(b, uint32(f.Time>>32))
	b = le.AppendUint32(b, uint32(f.Time))
	b = le.AppendUint32(b, uint32(len(f.Data)))
	b = le.AppendUint32(b, max(f.Wire, uint32(len(f.Data))))
	b = pad(append(b, f.Data...))
	for _, c := range comments {
		b = option(b, 1, c)
	}
	if comments != nil {
		b = option(b, 0, "")
	}
	return o.end(b)
}

// begin begins a block (3.1), of a length that end fills in.
func (o *Writer) begin(kind uint32) []byte {
	return append(le.AppendUint32(o.scratch[:0], kind), 0, 0, 0, 0)
}

// end writes a block with its lengths.
func (o *Writer) end(b []byte) error {
	size := uint32(len(b) + 4)
	le.PutUint32(b[4:], size)
	return o.put(le.AppendUint32(b, size))
}

// put hands a block or a record on, never in two parts.
func (o *Writer) put(b []byte) error {
	o.scratch = b[:0]
	if len(b) > o.w.Available() {
		o.w.Flush() // the Write below has its error again
	}
	o.size += int64(len(b))
	_, err := o.w.Write(b)
	return err
}

// option appends an option (3.5), of what fits into one.
func option(b []byte, code uint16, value string) []byte {
	const most = 65535
	value = value[:min(len(value), most)]
	b = le.AppendUint16(le.AppendUint16(b, code), uint16(len(value)))
	return pad(append(b, value...))
}

// pad fills up to 32 bits.
func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func (o *Writer) writePcap(f *Frame, port writerPort) error {
	const nanoseconds, snapLength = 0xa1b23c4d, 262144
	if len(o.ports) == 0 {
		o.ports[port], o.last = 0, port
		b := le.AppendUint32(o.scratch[:0], nanoseconds)
		b = le.AppendUint16(le.AppendUint16(b, 2), 4)
		b = le.AppendUint32(le.AppendUint64(b, 0), snapLength)
		o.put(le.AppendUint32(b, uint32(port.linkType)))
	}
	if port != o.last {
		return fmt.Errorf("frame %d has link type %d, the frames before it %d: pcap holds one, write pcapng", f.Number, port.linkType, o.last.linkType)
	}
	b := le.AppendUint32(o.scratch[:0], uint32(f.Time/nanosPerSecond))
	b = le.AppendUint32(b, uint32(f.Time%nanosPerSecond))
	b = le.AppendUint32(b, uint32(len(f.Data)))
	b = le.AppendUint32(b, max(f.Wire, uint32(len(f.Data))))
	return o.put(append(b, f.Data...))
}
