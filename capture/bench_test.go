package capture

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"runtime"
	"strconv"
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
	benchSource(b, benchFrames, func() (Source, error) { return NewReader(bytes.NewReader(file), "bench", o) })
}

func benchSource(b *testing.B, frames uint64, open func() (Source, error)) {
	b.ReportAllocs()
	runtime.GC() // the building of the file left much to collect
	var p Packet
	for b.Loop() {
		src, err := open()
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			err = src.Next(&p)
		}
		if err != io.EOF || src.Stats().Segments != frames {
			b.Fatal(err, src.Stats())
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(frames), "ns/packet")
}

// BenchmarkMerge reads captures that overlap from the first packet to the last.
func BenchmarkMerge(b *testing.B) {
	for _, n := range []int{2, 16} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			file := benchPcap(benchFrame(0))
			inputs := make([]Input, n)
			for i := range inputs {
				inputs[i] = Input{Name: "bench", Open: func(o Options) (Source, error) { return NewReader(bytes.NewReader(file), "bench", o) }}
			}
			benchSource(b, uint64(n)*benchFrames, func() (Source, error) { return NewMerge(inputs, Options{}), nil })
		})
	}
}

func BenchmarkReadPcap(b *testing.B)     { benchRead(b, benchPcap(benchFrame(0))) }
func BenchmarkReadPcapVLAN(b *testing.B) { benchRead(b, benchPcap(benchFrame(2))) }
func BenchmarkReadPcapng(b *testing.B)   { benchRead(b, benchPcapng(benchFrame(0))) }

func BenchmarkReadPcapVXLAN(b *testing.B) {
	benchRead(b, benchPcap(ether(etherIPv4, over(4789, head(vxlan42, benchFrame(0))))))
}

// BenchmarkReadGzip is what of the decompression two cores do not hide.
func BenchmarkReadGzip(b *testing.B) {
	// As with real captures, what is in the packets does not repeat itself.
	file := benchPcap(benchFrame(0))
	random := rand.New(rand.NewPCG(1, 2))
	for at := 24; at < len(file); at += 16 + 216 {
		for k := range 75 {
			file[at+16+66+k] = byte(random.Uint32())
		}
	}
	file = gzipped(0, file)
	b.ResetTimer()
	benchRead(b, file)
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
	s := &stream{d: decoder{links: &linkTable{}}}
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
