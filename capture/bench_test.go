package capture

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"testing"
)

const benchFrames = 200_000

// benchPcap is a capture of 216-octet frames, the mean of real ones.
func benchPcap(frame []byte) []byte {
	b := pcapHeader(binary.LittleEndian, 0xa1b23c4d, 1)
	for i := range benchFrames {
		b = append(b, pcapRecord(binary.LittleEndian, uint32(1000+i/1000), uint32(i%1000), frame, len(frame))...)
	}
	return b
}

// benchPcapng is the same as pcapng.
func benchPcapng(frame []byte) []byte {
	b := join(ngSection(binary.LittleEndian), ngInterface(binary.LittleEndian, 1, 0, ngOption(binary.LittleEndian, optionTSResol, "\x09")))
	for i := range benchFrames {
		b = append(b, ngPacket(binary.LittleEndian, 0, 1e12+uint64(i)*1000, frame, len(frame))...)
	}
	return b
}

func benchFrame(vlans int) []byte {
	f := ip4(protoTCP, tcpSeg("\x01\x01\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x08", string(make([]byte, 216-66))))
	kind := uint16(etherIPv4)
	for range vlans {
		f = join([]byte{0, 100, byte(kind >> 8), byte(kind)}, f)
		kind = etherVLAN
	}
	return ether(kind, f)
}

// benchRead reports the time per packet of reading and decoding.
func benchRead(b *testing.B, file []byte) { benchReadWith(b, file, Options{}) }

func benchReadWith(b *testing.B, file []byte, o Options) {
	b.ReportAllocs()
	runtime.GC() // the building of the file left much to collect
	var p Packet
	for b.Loop() {
		src, err := NewReader(bytes.NewReader(file), "bench", o)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			err = src.Next(&p)
		}
		if err != io.EOF || src.Stats().Segments != benchFrames {
			b.Fatal(err, src.Stats())
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchFrames, "ns/packet")
}

func BenchmarkReadPcap(b *testing.B)     { benchRead(b, benchPcap(benchFrame(0))) }
func BenchmarkReadPcapVLAN(b *testing.B) { benchRead(b, benchPcap(benchFrame(2))) }
func BenchmarkReadPcapng(b *testing.B)   { benchRead(b, benchPcapng(benchFrame(0))) }

func BenchmarkReadPcapVXLAN(b *testing.B) {
	benchRead(b, benchPcap(ether(etherIPv4, over(4789, head(vxlan42, benchFrame(0))))))
}

func BenchmarkDecode(b *testing.B) { benchDecode(b, benchFrame(0)) }
func BenchmarkDecodeVXLAN(b *testing.B) {
	benchDecode(b, ether(etherIPv4, over(4789, head(vxlan42, benchFrame(0)))))
}

// A tap at a switch's trunk sees one VLAN after the other.
func BenchmarkDecodeTwoVLANs(b *testing.B) {
	two := benchFrame(1)
	two[15]++
	benchDecode(b, benchFrame(1), two)
}

func benchDecode(b *testing.B, frames ...[]byte) { benchDecodeWith(b, false, frames...) }

func benchDecodeWith(b *testing.B, verify bool, frames ...[]byte) {
	s := &stream{}
	s.d.frame.verify = verify
	in := port{link: linkTypeOf(1)}
	var p Packet
	b.ReportAllocs()
	for b.Loop() {
		for _, frame := range frames {
			if s.d.decode(s.begin(&in, frame, uint32(len(frame)), 1), &p) != delivered {
				b.Fatal("not delivered")
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(frames)), "ns/packet")
}
