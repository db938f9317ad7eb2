package capture

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// addPairs is the sum of RFC 1071 as it is written there, to hold the fast one
// against.
func addPairs(parts ...[]byte) uint16 {
	sum := uint32(0)
	for _, b := range parts {
		for i, c := range b {
			sum += uint32(c) << (8 - i%2*8)
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// pseudo is the pseudo-header of a packet of ip4 or ip6 with so long a payload.
func pseudo(packet []byte, length int) []byte {
	addresses := packet[12:20]
	if packet[0]>>4 == 6 {
		addresses = packet[8:40]
	}
	return join(addresses, be.AppendUint32(nil, uint32(length)), []byte{0, 0, 0, protoTCP})
}

// right fills in the checksums of a packet of ip4 or ip6 with TCP.
func right(packet []byte) []byte {
	b := bytes.Clone(packet)
	segment := b[20:]
	if b[0]>>4 == 6 {
		segment = b[40:]
	}
	be.PutUint16(segment[16:], 0)
	be.PutUint16(segment[16:], ^addPairs(pseudo(b, len(segment)), segment))
	return rightHeader(b)
}

// rightHeader fills in the checksum of an IPv4 header.
func rightHeader(packet []byte) []byte {
	b := bytes.Clone(packet)
	if b[0]>>4 == 4 {
		header := b[:b[0]&15*4]
		be.PutUint16(header[10:], 0)
		be.PutUint16(header[10:], ^addPairs(header))
	}
	return b
}

func TestOnesSum(t *testing.T) {
	b := make([]byte, 100)
	for i := range b {
		b[i] = byte(i*37 + 11)
	}
	for from := range 9 {
		for to := from; to <= len(b); to++ {
			if got, want := onesSum(b[from:to]), addPairs(b[from:to])%0xffff; got != want {
				t.Fatalf("octets %d to %d: %x, want %x", from, to, got, want)
			}
		}
	}
}

func TestChecksums(t *testing.T) {
	segment := tcpSeg("\x01\x01\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x08", "hello")
	good4, good6 := right(ip4(protoTCP, segment)), right(ip6(protoTCP, segment))
	wrong4, wrong6 := with(good4, len(good4)-1, "x"), with(good6, len(good6)-1, "x")
	field := func(packet []byte, sum uint16) []byte { // the TCP checksum of an IPv4 packet
		return with(packet, 36, string(be.AppendUint16(nil, sum)))
	}
	big := right(ip4(protoTCP, tcpSeg("", strings.Repeat("x", 1461))))
	full := right(ip4(protoTCP, tcpSeg("", strings.Repeat("x", 1460))))
	routed := func(packet []byte) []byte {
		return ip6(protoRouting, join([]byte{protoTCP, 0, 4, 1, 0, 0, 0, 0}, packet[40:]))
	}
	sourceRoute := func(packet []byte) []byte {
		b := join([]byte{0x47}, packet[1:20], []byte{131, 7, 4, 10, 0, 0, 1, 0}, packet[20:])
		be.PutUint16(b[2:], uint16(len(b)))
		return rightHeader(b)
	}
	const delivered, tcp, header = "", "1 bad TCP checksum", "1 bad IP header checksum"
	for _, c := range []struct {
		why    string
		packet []byte
		want   string
	}{
		{"both right", good4, delivered},
		{"a payload changed on the way", wrong4, tcp},
		{"of an odd length, that is a whole one longer", right(ip4(protoTCP, append(segment, '!'))), delivered},
		{"a header changed after the checksum was made, as by a router's memory", with(good4, 8, "\x01"), header},
		{"an address changed without the TCP checksum, as by a broken NAT", rightHeader(with(good4, 15, "\x77")), tcp},
		{"octets exchanged by twos: no checksum sees that", with(good4, len(good4)-5, "elho"), tcp},
		{"IPv6", good6, delivered},
		{"IPv6 with a wrong payload", wrong6, tcp},
		{"a TCP checksum that the card is to fill in: 0", field(wrong4, 0), delivered},
		{"the pseudo-header's sum, as Linux leaves it", field(wrong4, addPairs(pseudo(wrong4, len(segment)))), delivered},
		{"the same without the length, as for segmentation", field(wrong4, addPairs(pseudo(wrong4, 0))), delivered},
		{"an IP checksum that the card is to fill in", with(good4, 10, "\x00\x00"), delivered},
		{"larger than a frame: offload put it together, or takes it apart", with(big, 60, "y"), delivered},
		{"just a frame", full, delivered},
		{"just a frame and wrong", with(full, 60, "y"), tcp},
		{"an IPv6 Routing header: the destination is another one", routed(good6), delivered},
		{"the same and wrong: that cannot be told", routed(wrong6), delivered},
		{"a source route of IPv4 likewise", sourceRoute(wrong4), delivered},
		{"in a tunnel", rightHeader(ip4(protoIPv4, good4)), delivered},
		{"in a tunnel and wrong", rightHeader(ip4(protoIPv4, wrong4)), tcp},
		{"a tunnel's wrong header", with(rightHeader(ip4(protoIPv4, good4)), 10, "\x12\x34"), header},
		{"UDP is not looked at", with(rightHeader(ip4(protoUDP, segment)), 26, "\x12\x34"), "1 udp"},
	} {
		got := ""
		for _, verify := range []bool{false, true} {
			// Padding is no part of the checksum.
			frame := join(ether(etherIPv4, nil)[:12], []byte{8, 0}, c.packet, []byte("padding!!"))
			if c.packet[0]>>4 == 6 {
				frame[12], frame[13] = 0x86, 0xdd
			}
			packets, src, err := readAll(t, pcapFile(1, frame), Options{VerifyChecksums: verify})
			if err != nil {
				t.Fatal(err)
			}
			got = skipped(src.Stats())
			if !verify && len(packets) != 1 && c.want != "1 udp" {
				t.Errorf("%s: not delivered though it is not verified: %s", c.why, got)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}

// Each octet of a segment is covered; where it was cut, or is not all there,
// nothing can be said.
func TestChecksumsFindEachOctet(t *testing.T) {
	good := right(ip4(protoTCP, tcpSeg("\x01\x01\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x08", "hello, world")))
	for at := range good {
		if at == 32 {
			continue // the data offset: a longer header than the packet is malformed
		}
		bad := bytes.Clone(good)
		bad[at] ^= 0x04
		packets, src, err := readAll(t, pcapFile(101, bad), Options{VerifyChecksums: true})
		if err != nil || len(packets) != 0 {
			t.Errorf("octet %d: %d packets, %v, %s", at, len(packets), err, skipped(src.Stats()))
		}
		if at < 20 {
			continue
		}
		cut := join(pcapHeader(le, 0xa1b2c3d4, 101), pcapRecord(le, 1000, 0, bad[:len(bad)-1], len(bad)))
		if packets, src, _ := readAll(t, cut, Options{VerifyChecksums: true}); len(packets) != 1 {
			t.Errorf("octet %d, cut: %s", at, skipped(src.Stats()))
		}
	}
}

// The checksum of a fragmented segment is that of its fragments.
func TestChecksumsOfFragments(t *testing.T) {
	segment := right(ip4(protoTCP, tcpSeg("", strings.Repeat("x", 3001))))[20:]
	pieces := func(segment []byte) [][]byte {
		return [][]byte{
			ether(etherIPv4, rightHeader(piece4(1, protoTCP, segment, 0, 1400))),
			ether(etherIPv4, rightHeader(piece4(1, protoTCP, segment, 1400, 2800))),
			ether(etherIPv4, rightHeader(piece4(1, protoTCP, segment, 2800, 3021))),
		}
	}
	whole, wrong := pieces(segment), pieces(with(segment, 2000, "y"))
	for _, c := range []struct {
		why    string
		frames [][]byte
		want   string
	}{
		{"right", whole, "2 joined IP fragment"},
		{"right in another order, one twice", [][]byte{whole[2], whole[1], whole[2], whole[0]}, "3 joined IP fragment"},
		{"an octet changed in the middle", wrong, "3 bad TCP checksum"},
		{"the rest is missing: it cannot be told", wrong[:1], ""},
		{"cut by the snap length: it cannot be told", [][]byte{whole[0], wrong[1][:100], whole[2]}, "2 joined IP fragment"},
	} {
		b := pcapHeader(le, 0xa1b2c3d4, 1)
		for i, f := range c.frames {
			b = append(b, pcapRecord(le, 1000, uint32(i), f, 14+int(be.Uint16(f[16:])))...)
		}
		packets, src, err := readAll(t, b, Options{VerifyChecksums: true})
		if got := skipped(src.Stats()); err != nil || got != c.want || (len(packets) == 1) == strings.Contains(c.want, "bad") {
			t.Errorf("%s: %d packets, %s, want %s, %v", c.why, len(packets), got, c.want, err)
		}
		checkStats(t, src, len(b))
	}
}

// What kernels have sent is right, or was captured before the card had filled it
// in: nothing of it is passed over. Each of these changes in one octet of its
// payload would be.
func TestChecksumsOfKernels(t *testing.T) {
	paths, _ := filepath.Glob("../testdata/kernel/*/*.pcap")
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, plain, _ := readAll(t, file, Options{})
		got, src, _ := readAll(t, file, Options{VerifyChecksums: true})
		if len(got) != len(want) {
			t.Errorf("%s: %d packets of %d: %s; without verifying: %s", path, len(got), len(want), skipped(src.Stats()), skipped(plain.Stats()))
		}
	}
	if len(paths) < 50 {
		t.Errorf("only %d captures", len(paths))
	}
}

func BenchmarkReadPcapVerified(b *testing.B) {
	f := ether(etherIPv4, right(benchFrame(0)[14:]))
	benchReadWith(b, benchPcap(f), Options{VerifyChecksums: true})
}

func BenchmarkDecodeVerified1460(b *testing.B) {
	benchDecodeWith(b, true, ether(etherIPv4, right(ip4(protoTCP, tcpSeg("", strings.Repeat("x", 1460))))))
}

// One octet changed in each data segment that a router has seen, where
// checksums are filled in.
func TestChecksumsOfChangedKernels(t *testing.T) {
	paths, _ := filepath.Glob("../testdata/kernel/*/middle.pcap")
	changed := 0
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 24; at+16 <= len(file); {
			size := int(le.Uint32(file[at+8:]))
			record := file[at : at+16+size]
			at += 16 + size
			packets, _, _ := readAll(t, join(file[:24], record), Options{})
			if len(packets) != 1 || packets[0].Kind != KindSegment || packets[0].Segment.Len == 0 || packets[0].Segment.Fragment || size < int(le.Uint32(record[12:])) {
				continue
			}
			changed++
			bad := with(record, len(record)-1, string(^record[len(record)-1]))
			packets, src, err := readAll(t, join(file[:24], bad), Options{VerifyChecksums: true})
			if err != nil || len(packets) != 0 || src.Stats().Skipped[SkippedTCPChecksum] != 1 {
				t.Errorf("%s: before byte %d: %d packets, %v", path, at, len(packets), err)
			}
		}
	}
	if changed < 20 {
		t.Errorf("only %d segments with data", changed)
	}
}
