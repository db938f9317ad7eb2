package capture

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
	"testing"
)

// Builders of packets and files. They write what they are told, true or not:
// most tests are about the untrue.

var be = binary.BigEndian

// Addresses of the built packets.
var (
	testSrc4 = [4]byte{10, 0, 0, 5}
	testDst4 = [4]byte{10, 0, 0, 9}
	testSrc6 = [16]byte{0: 0xfd, 15: 5}
	testDst6 = [16]byte{0: 0xfd, 15: 9}
)

// tcpSeg is a TCP header with options and payload: ports 51544 > 5432, seq
// 1000, ack 2000, PSH+ACK, window 501, checksum 0xbeef.
func tcpSeg(options, payload string) []byte {
	b := make([]byte, 20, 20+len(options)+len(payload))
	be.PutUint16(b, 51544)
	be.PutUint16(b[2:], 5432)
	be.PutUint32(b[4:], 1000)
	be.PutUint32(b[8:], 2000)
	b[12] = byte((20 + len(options)) / 4 << 4)
	b[13] = 0x18
	be.PutUint16(b[14:], 501)
	be.PutUint16(b[16:], 0xbeef)
	return append(append(b, options...), payload...)
}

// ip4 wraps a payload in an IPv4 header: id 4660, TTL 64.
func ip4(proto byte, payload []byte) []byte {
	b := make([]byte, 20, 20+len(payload))
	b[0] = 0x45
	be.PutUint16(b[2:], uint16(20+len(payload)))
	be.PutUint16(b[4:], 4660)
	b[8], b[9] = 64, proto
	copy(b[12:], testSrc4[:])
	copy(b[16:], testDst4[:])
	return append(b, payload...)
}

// ip6 wraps a payload in an IPv6 header: hop limit 63.
func ip6(next byte, payload []byte) []byte {
	b := make([]byte, 40, 40+len(payload))
	b[0] = 0x60
	be.PutUint16(b[4:], uint16(len(payload)))
	b[6], b[7] = next, 63
	copy(b[8:], testSrc6[:])
	copy(b[24:], testDst6[:])
	return append(b, payload...)
}

// ether puts an Ethernet header of that type before a payload.
func ether(kind uint16, payload []byte) []byte {
	b := make([]byte, 14, 14+len(payload))
	copy(b, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02")
	be.PutUint16(b[12:], kind)
	return append(b, payload...)
}

// join concatenates byte strings.
func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// with returns a copy of b with the bytes at offset replaced.
func with(b []byte, offset int, bytes string) []byte {
	b = append([]byte(nil), b...)
	copy(b[offset:], bytes)
	return b
}

// plainFrame is the frame of most tests: Ethernet, IPv4, TCP with timestamps,
// five octets of payload.
func plainFrame() []byte {
	return ether(etherIPv4, ip4(protoTCP, tcpSeg("\x01\x01\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x08", "hello")))
}

// pcapHeader is a pcap file header.
func pcapHeader(order binary.AppendByteOrder, magic, linkType uint32) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 4)
	b = order.AppendUint32(b, 0)
	b = order.AppendUint32(b, 0)
	b = order.AppendUint32(b, 262144)
	return order.AppendUint32(b, linkType)
}

// pcapRecord is a pcap record of a frame, original length wire.
func pcapRecord(order binary.AppendByteOrder, sec, frac uint32, data []byte, wire int) []byte {
	b := order.AppendUint32(nil, sec)
	b = order.AppendUint32(b, frac)
	b = order.AppendUint32(b, uint32(len(data)))
	b = order.AppendUint32(b, uint32(wire))
	return append(b, data...)
}

// pcapFile is a little endian microsecond capture of frames a second apart.
func pcapFile(linkType uint32, frames ...[]byte) []byte {
	b := pcapHeader(binary.LittleEndian, 0xa1b2c3d4, linkType)
	for i, f := range frames {
		b = append(b, pcapRecord(binary.LittleEndian, uint32(1000+i), 500000, f, len(f))...)
	}
	return b
}

// ngBlock is a pcapng block around a body.
func ngBlock(order binary.AppendByteOrder, kind uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body[:len(body):len(body)], 0)
	}
	b := order.AppendUint32(nil, kind)
	b = order.AppendUint32(b, uint32(len(body)+12))
	b = append(b, body...)
	return order.AppendUint32(b, uint32(len(body)+12))
}

// ngSection is a Section Header Block of unknown section length.
func ngSection(order binary.AppendByteOrder) []byte {
	b := order.AppendUint32(nil, 0x1a2b3c4d)
	b = order.AppendUint16(b, 1)
	b = order.AppendUint16(b, 0)
	b = order.AppendUint64(b, 1<<64-1)
	return ngBlock(order, blockSection, b)
}

// ngInterface is an Interface Description Block.
func ngInterface(order binary.AppendByteOrder, linkType uint16, snap uint32, options ...[]byte) []byte {
	b := order.AppendUint16(nil, linkType)
	b = order.AppendUint16(b, 0)
	b = order.AppendUint32(b, snap)
	return ngBlock(order, blockInterface, append(b, join(options...)...))
}

// ngOption is an option of a block.
func ngOption(order binary.AppendByteOrder, code uint16, value string) []byte {
	b := order.AppendUint16(nil, code)
	b = order.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// ngPacket is an Enhanced Packet Block.
func ngPacket(order binary.AppendByteOrder, port uint32, ticks uint64, data []byte, wire int) []byte {
	b := order.AppendUint32(nil, port)
	b = order.AppendUint32(b, uint32(ticks>>32))
	b = order.AppendUint32(b, uint32(ticks))
	b = order.AppendUint32(b, uint32(len(data)))
	b = order.AppendUint32(b, uint32(wire))
	return ngBlock(order, blockEnhanced, append(b, data...))
}

// ngSimple is a Simple Packet Block.
func ngSimple(order binary.AppendByteOrder, data []byte, wire int) []byte {
	return ngBlock(order, blockSimple, append(order.AppendUint32(nil, uint32(wire)), data...))
}

// ngObsolete is an obsolete Packet Block.
func ngObsolete(order binary.AppendByteOrder, port uint16, ticks uint64, data []byte, wire int) []byte {
	b := order.AppendUint16(nil, port)
	b = order.AppendUint16(b, 0)
	b = order.AppendUint32(b, uint32(ticks>>32))
	b = order.AppendUint32(b, uint32(ticks))
	b = order.AppendUint32(b, uint32(len(data)))
	b = order.AppendUint32(b, uint32(wire))
	return ngBlock(order, blockPacket, append(b, data...))
}

// readAll reads a capture to its end: the packets, the source, and the error
// of NewReader or Next, nil for a clean end.
func readAll(t testing.TB, file []byte, o Options) ([]Packet, Source, error) {
	t.Helper()
	src, err := NewReader(bytes.NewReader(file), "test.pcap", o)
	if err != nil {
		return nil, nil, err
	}
	packets, err := drain(src)
	return packets, src, err
}

// drain reads what a source has left; a clean end is no error.
func drain(src Source) ([]Packet, error) {
	var packets []Packet
	for {
		var p Packet
		err := src.Next(&p)
		if err == io.EOF {
			return packets, nil
		}
		if err != nil {
			return packets, err
		}
		packets = append(packets, p)
	}
}

// skipped writes the non-zero counts as "2 arp, 1 udp".
func skipped(st *Stats) string {
	var parts []string
	for r, n := range st.Skipped {
		if n > 0 {
			parts = append(parts, thousands(n)+" "+Reason(r).String())
		}
	}
	return strings.Join(parts, ", ")
}

// snoopFile is a snoop capture of frames a second apart, each padded to a
// multiple of 4.
func snoopFile(datalink uint32, frames ...[]byte) []byte {
	b := be.AppendUint32(be.AppendUint32([]byte(snoopMagic), 2), datalink)
	for i, f := range frames {
		pad := -len(f) & 3
		for _, v := range []int{len(f), len(f), 24 + len(f) + pad, i, 1000 + i, 500000} {
			b = be.AppendUint32(b, uint32(v))
		}
		b = append(append(b, f...), make([]byte, pad)...)
	}
	return b
}

// gzipped compresses with gzip: in pieces of so many bytes with a flush after
// each, 0 for one piece.
func gzipped(piece int, b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	for len(b) > 0 {
		n := len(b)
		if piece > 0 {
			n = min(n, piece)
		}
		z.Write(b[:n])
		z.Flush()
		b = b[n:]
	}
	z.Close()
	return out.Bytes()
}

// xzHead is an xz stream header without check, and a block header that names a
// dictionary size.
func xzHead(dictionary byte) []byte {
	b := join([]byte("\xfd7zXZ\x00\x00\x00"), le.AppendUint32(nil, crc32.ChecksumIEEE([]byte{0, 0})))
	block := []byte{2, 0, 0x21, 1, dictionary, 0, 0, 0}
	return le.AppendUint32(append(b, block...), crc32.ChecksumIEEE(block))
}
