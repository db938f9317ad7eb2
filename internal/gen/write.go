package gen

import (
	"encoding/binary"
	"io"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

const (
	recordLen   = 16
	ethernetLen = 14
	ipLen       = 20
	tcpLen      = 20
	bufferLen   = 1 << 20
)

// writer writes segments as Ethernet frames to a pcap file with nanoseconds.
// Payload is zeros, so that it adds nothing to a checksum.
type writer struct {
	w       io.Writer
	buf     []byte
	snapLen int
	bytes   int64
	err     error
}

func newWriter(w io.Writer, snapLen int) *writer {
	o := &writer{w: w, buf: make([]byte, 0, bufferLen), snapLen: snapLen}
	le := binary.LittleEndian
	o.buf = le.AppendUint32(o.buf, 0xa1b23c4d)
	o.buf = le.AppendUint16(o.buf, 2)
	o.buf = le.AppendUint16(o.buf, 4)
	o.buf = append(o.buf, make([]byte, 8)...)
	o.buf = le.AppendUint32(o.buf, uint32(snapLen))
	o.buf = le.AppendUint32(o.buf, 1) // LINKTYPE_ETHERNET
	return o
}

func (o *writer) flush() error {
	if o.err == nil {
		var n int
		n, o.err = o.w.Write(o.buf)
		o.bytes += int64(n)
	}
	o.buf = o.buf[:0]
	return o.err
}

// segment writes one line of a conversation's script.
func (o *writer) segment(c *conversation, l *line) {
	var room [64]byte
	options := c.options(l, room[:0])
	whole := ethernetLen + ipLen + tcpLen + len(options) + int(l.len)
	kept := min(whole, o.snapLen)
	if len(o.buf)+recordLen+whole > cap(o.buf) {
		o.flush()
	}
	from := len(o.buf)
	o.buf = o.buf[:from+recordLen+whole] // a segment is far smaller than the buffer
	b := o.buf[from:]
	clear(b)
	le := binary.LittleEndian
	le.PutUint32(b[0:], uint32(c.at/1e9))
	le.PutUint32(b[4:], uint32(c.at%1e9))
	le.PutUint32(b[8:], uint32(kept))
	le.PutUint32(b[12:], uint32(whole))
	b = b[recordLen:]
	b[5], b[11] = 1+(1-l.from), 1+l.from // locally made MACs: the last octet names the side
	b[0], b[6] = 2, 2
	b[12] = 8 // IPv4
	putIP(b[ethernetLen:], c, l)
	putTCP(b[ethernetLen+ipLen:], c, l, options)
	o.buf = o.buf[:from+recordLen+kept]
}

func putIP(b []byte, c *conversation, l *line) {
	be := binary.BigEndian
	src, dst := c.addr[l.from].Addr().As4(), c.addr[1-l.from].Addr().As4()
	b[0] = 0x45
	be.PutUint16(b[2:], uint16(len(b)))
	c.ipid[l.from]++
	be.PutUint16(b[4:], c.ipid[l.from])
	b[6] = 0x40 // don't fragment
	b[8], b[9] = 60, 6
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	be.PutUint16(b[10:], ^fold(sum(b[:ipLen], 0)))
}

func putTCP(b []byte, c *conversation, l *line, options []byte) {
	be := binary.BigEndian
	be.PutUint16(b[0:], c.addr[l.from].Port())
	be.PutUint16(b[2:], c.addr[1-l.from].Port())
	be.PutUint32(b[4:], c.isn[l.from]+l.seq)
	if l.flags&analyzer.ACK != 0 {
		be.PutUint32(b[8:], c.isn[1-l.from]+l.ack)
	}
	if l.flags.Has(analyzer.RST|analyzer.ACK) && l.seq == 0 && l.ack == 1 {
		be.PutUint32(b[4:], 0) // a port without a socket (RFC 9293 3.10.7.1)
	}
	b[12] = byte((tcpLen + len(options)) / 4 << 4)
	b[13] = byte(l.flags)
	be.PutUint16(b[14:], 502)
	copy(b[tcpLen:], options)
	src, dst := c.addr[l.from].Addr().As4(), c.addr[1-l.from].Addr().As4()
	pseudo := sum(src[:], sum(dst[:], 6+uint32(len(b))))
	be.PutUint16(b[16:], ^fold(sum(b[:tcpLen+len(options)], pseudo)))
}

// options writes what Linux sends: MSS, SACK, timestamps and scaling on a SYN,
// then timestamps on everything but RST.
func (c *conversation) options(l *line, b []byte) []byte {
	if l.flags&analyzer.RST != 0 {
		return nil
	}
	me, peer := l.from, 1-l.from
	c.clock[me] = uint32(c.at/1e6) + c.isn[me]
	if l.flags&analyzer.SYN != 0 {
		b = append(b, 2, 4, 0x05, 0xb4, 4, 2)
	} else {
		b = append(b, 1, 1)
	}
	b = append(b, 8, 10)
	b = binary.BigEndian.AppendUint32(b, c.clock[me])
	b = binary.BigEndian.AppendUint32(b, c.echo[me])
	if l.flags&analyzer.SYN != 0 {
		b = append(b, 1, 3, 3, 7)
	}
	c.hear(peer, l)
	return b
}

// hear lets the peer of a segment that arrives remember its TSVal: the one to
// echo in what it sends next.
func (c *conversation) hear(peer uint8, l *line) {
	end := l.seq + l.len
	if l.flags&(analyzer.SYN|analyzer.FIN) != 0 {
		end++
	}
	for _, later := range c.script[c.next+1:] {
		if later.from == peer {
			if int32(later.ack-end) >= 0 {
				c.echo[peer] = c.clock[1-peer]
			}
			return
		}
	}
}

func sum(b []byte, s uint32) uint32 {
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
