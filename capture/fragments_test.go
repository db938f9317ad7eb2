package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// piece4 is a fragment of testSrc4's datagram of that identification: octets
// from to before to of its payload.
func piece4(id uint16, proto byte, payload []byte, from, to int) []byte {
	b := ip4(proto, payload[from:to])
	be.PutUint16(b[4:], id)
	place := uint16(from / fragmentUnit)
	if to < len(payload) {
		place |= moreFragments
	}
	be.PutUint16(b[6:], place)
	return b
}

// piece6 is the same of IPv6.
func piece6(id uint32, proto byte, payload []byte, from, to int) []byte {
	h := []byte{proto, 0, byte(from >> 8), byte(from), 0, 0, 0, 0}
	if to < len(payload) {
		h[3] |= 1
	}
	be.PutUint32(h[4:], id)
	return ip6(protoFragment, join(h, payload[from:to]))
}

// cut4 and cut6 put them into Ethernet.
func cut4(id uint16, payload []byte, from, to int) []byte {
	return ether(etherIPv4, piece4(id, protoTCP, payload, from, to))
}

func cut6(id uint32, payload []byte, from, to int) []byte {
	return ether(etherIPv6, piece6(id, protoTCP, payload, from, to))
}

func tagged(vlan byte, frame []byte) []byte {
	return join(frame[:12], []byte{0x81, 0, 0, vlan}, frame[12:])
}

// delivers writes what a capture delivers, a line for each packet, and what it
// passes over.
func delivers(t *testing.T, file []byte, o Options) string {
	t.Helper()
	packets, src, err := readAll(t, file, o)
	if err != nil {
		t.Fatal(err)
	}
	checkStats(t, src, len(file))
	var b strings.Builder
	for i := range packets {
		p := &packets[i]
		frame := p.Segment.Frame
		if p.Kind == KindUnreachable {
			frame = p.Unreachable.Frame
		}
		fmt.Fprintf(&b, "%d: %s\n", frame, describe(p, src.Links()))
	}
	return b.String() + skipped(src.Stats())
}

// whole4 is what a segment of testSrc4 decodes to.
func whole4(length, id int) string {
	return fmt.Sprintf("10.0.0.5:51544 > 10.0.0.9:5432 P. seq 1000 ack 2000 len %d win 501 ttl 64 id %d sum beef", length, id)
}

func TestFragments(t *testing.T) {
	long := tcpSeg("", strings.Repeat("x", 1200)) // 1220 octets
	timestamps := tcpSeg("\x01\x01\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x08", strings.Repeat("x", 1200))
	other := tcpSeg("", strings.Repeat("y", 1000))
	plain := plainFrame()
	const plainLine = "10.0.0.5:51544 > 10.0.0.9:5432 P. seq 1000 ack 2000 len 5 win 501 ttl 64 id 4660 sum beef ts 7/8"
	inner := ip4(protoTCP, long)
	vx := over(4789, head(vxlan42, ether(etherIPv4, inner)))[20:] // UDP and what is in it
	for _, c := range []struct {
		why    string
		frames [][]byte
		want   string
	}{
		{"in order: the last one brings the whole", [][]byte{cut4(1, long, 0, 400), cut4(1, long, 400, 800), cut4(1, long, 800, 1220)},
			"3: " + whole4(1200, 1) + "\n2 joined IP fragment"},
		{"the last one first, as old Linux sent them", [][]byte{cut4(1, long, 800, 1220), cut4(1, long, 400, 800), cut4(1, long, 0, 400)},
			"3: " + whole4(1200, 1) + "\n2 joined IP fragment"},
		{"two datagrams at once", [][]byte{cut4(1, long, 0, 400), cut4(2, other, 0, 400), cut4(1, long, 400, 1220), cut4(2, other, 400, 1020)},
			"3: " + whole4(1200, 1) + "\n4: " + whole4(1000, 2) + "\n2 joined IP fragment"},
		{"what comes while fragments are on their way is not held up by a whole one", [][]byte{plain, cut4(1, long, 0, 400), plain, cut4(1, long, 400, 1220), plain},
			"1: " + plainLine + "\n3: " + plainLine + "\n4: " + whole4(1200, 1) + "\n5: " + plainLine + "\n1 joined IP fragment"},
		{"the TCP header in three fragments, out of order", [][]byte{cut4(1, timestamps, 8, 16), cut4(1, timestamps, 16, 1232), cut4(1, timestamps, 0, 8)},
			"3: " + whole4(1200, 1) + " ts 7/8\n2 joined IP fragment"},
		{"a fragment sent twice is one", [][]byte{cut4(1, long, 0, 400), cut4(1, long, 0, 400), cut4(1, long, 400, 1220)},
			"3: " + whole4(1200, 1) + "\n2 joined IP fragment"},
		{"overlapping fragments of IPv4: the first octets stay (here ports), the length is the datagram's",
			[][]byte{cut4(1, long, 0, 400), cut4(1, bytes.Repeat([]byte{7}, 1220), 0, 480), cut4(1, long, 480, 1220)},
			"3: " + whole4(1200, 1) + "\n2 joined IP fragment"},
		{"two ends: no datagram has them", [][]byte{cut4(1, long, 0, 400), cut4(1, long, 400, 1220), cut4(2, other, 400, 1020), cut4(2, long, 400, 1220), cut4(2, other, 0, 400), plain},
			"2: " + whole4(1200, 1) + "\n6: " + plainLine + "\n1 joined IP fragment, 3 contradictory IP fragment"},
		{"a fragment behind the end", [][]byte{cut4(1, other, 400, 1020), cut4(1, long, 1024, 1100), cut4(1, other, 0, 400)},
			"3 contradictory IP fragment"},
		{"an end before what has come", [][]byte{cut4(1, long, 1024, 1100), cut4(1, other, 400, 1020)}, "2 contradictory IP fragment"},
		{"the ping of death: beyond 65,535 octets", [][]byte{cut4(1, long, 0, 400), ether(etherIPv4, with(ip4(protoTCP, long), 6, "\x1f\xff"))},
			"1: " + whole4(380, 1) + " fragment\n1 malformed IP"},
		{"65,515 octets of payload are the most", [][]byte{cut4(1, make([]byte, 65515), 65024, 65515), cut4(2, make([]byte, 65516), 65024, 65516)},
			"1 later IP fragment, 1 malformed IP"},
		{"a fragment without octets", [][]byte{cut4(1, long, 0, 400), cut4(1, make([]byte, 400), 400, 400)},
			"1: " + whole4(380, 1) + " fragment\n1 malformed IP"},
		{"the rest is missing: the first fragment alone, in its place", [][]byte{plain, cut4(1, long, 0, 400), plain, plain},
			"1: " + plainLine + "\n2: " + whole4(380, 1) + " fragment\n3: " + plainLine + "\n4: " + plainLine + "\n"},
		{"one in the middle is missing", [][]byte{cut4(1, long, 0, 400), cut4(1, long, 800, 1220), plain},
			"1: " + whole4(380, 1) + " fragment\n3: " + plainLine + "\n1 later IP fragment"},
		{"the first is missing: there is no TCP header", [][]byte{cut4(1, long, 400, 800), cut4(1, long, 800, 1220)}, "2 later IP fragment"},
		{"a first fragment without the whole TCP header, and the rest is missing", [][]byte{cut4(1, long, 0, 16), cut4(1, long, 400, 1220)}, "2 later IP fragment"},
		{"the same identification in two VLANs, or without any, is not one datagram",
			[][]byte{tagged(1, cut4(1, long, 0, 400)), tagged(2, cut4(1, long, 400, 1220)), cut4(1, long, 400, 1220)},
			"1: " + whole4(380, 1) + " fragment on [1]\n2 later IP fragment"},
		{"nor with two protocols", [][]byte{cut4(1, long, 0, 400), ether(etherIPv4, piece4(1, protoUDP, long, 400, 1220))},
			"1: " + whole4(380, 1) + " fragment\n1 udp"},
		{"a datagram of which an old one's end was left over: 31 s later it is gone",
			slicesOf(cut4(1, other, 400, 1020), 31, plain, cut4(1, long, 0, 400), cut4(1, long, 400, 1220)),
			strings.Join(numbered(2, 31, plainLine), "") + "34: " + whole4(1200, 1) + "\n1 later IP fragment, 1 joined IP fragment"},
		{"a first fragment waits for 30 s, and all that is behind it", slicesOf(cut4(1, long, 0, 400), 30, plain, cut4(1, long, 400, 1220)),
			"1: " + whole4(380, 1) + " fragment\n" + strings.Join(numbered(2, 30, plainLine), "") + "1 later IP fragment"},
		{"one fragment lost is no capture filter: the next datagram is put together",
			slicesOf(cut4(1, long, 0, 400), 1, cut4(2, long, 0, 400), append(slicesOf(cut4(2, long, 400, 1220), 30, plain), cut4(3, long, 0, 400), cut4(3, long, 400, 1220))...),
			"1: " + whole4(380, 1) + " fragment\n3: " + whole4(1200, 2) + "\n" + strings.Join(numbered(4, 30, plainLine), "") + "35: " + whole4(1200, 3) + "\n2 joined IP fragment"},
		{"IPv6", [][]byte{cut6(1, long, 0, 400), cut6(1, long, 400, 800), cut6(1, long, 800, 1220)},
			"3: " + strings.Replace(plain6, "len 5", "len 1200", 1) + "\n2 joined IP fragment"},
		{"overlapping fragments of IPv6 are dropped, those to come, too (RFC 5722)",
			[][]byte{cut6(1, long, 0, 400), cut6(1, long, 392, 800), cut6(1, long, 800, 1220), plain},
			"4: " + plainLine + "\n3 contradictory IP fragment"},
		{"IPv6 options behind the Fragment header: the first one says what follows",
			[][]byte{ether(etherIPv6, piece6(1, protoTCP, join(ext(protoTCP, ""), long), 400, 1228)), ether(etherIPv6, piece6(1, protoDestOptions, join(ext(protoTCP, ""), long), 0, 400))},
			"2: " + strings.Replace(plain6, "len 5", "len 1200", 1) + "\n1 joined IP fragment"},
		{"fragments of UDP that is no tunnel are UDP", [][]byte{ether(etherIPv4, piece4(1, protoUDP, long, 0, 400)), ether(etherIPv4, piece4(1, protoUDP, long, 400, 1220))}, "2 udp"},
		{"a tunnel's packet in two", [][]byte{ether(etherIPv4, piece4(1, protoUDP, vx, 0, 800)), ether(etherIPv4, piece4(1, protoUDP, vx, 800, len(vx)))},
			"2: " + whole4(1200, 4660) + " in vxlan:42\n1 joined IP fragment"},
		{"in tiny ones", [][]byte{ether(etherIPv4, piece4(1, protoUDP, vx, 0, 8)), ether(etherIPv4, piece4(1, protoUDP, vx, 8, 40)), ether(etherIPv4, piece4(1, protoUDP, vx, 40, 72)), ether(etherIPv4, piece4(1, protoUDP, vx, 72, len(vx)))},
			"4: " + whole4(1200, 4660) + " in vxlan:42\n3 joined IP fragment"},
		{"fragments in a tunnel whose packets are fragmented",
			[][]byte{nest(7, piece4(1, protoTCP, long, 0, 800), 0, 400), nest(7, piece4(1, protoTCP, long, 0, 800), 400, 820), nest(8, piece4(1, protoTCP, long, 800, 1220), 0, 400), nest(8, piece4(1, protoTCP, long, 800, 1220), 400, 440)},
			"4: " + whole4(1200, 1) + " in ipip\n3 joined IP fragment"},
		{"a tunnel's packet of which the rest is missing: what it carries has its own length",
			[][]byte{nest(7, ip4(protoTCP, long), 0, 400)}, "1: " + whole4(1200, 4660) + " in ipip\n"},
		{"an ICMP error in fragments is none that could be read", [][]byte{ether(etherIPv4, piece4(1, protoICMP, long, 0, 400)), ether(etherIPv4, piece4(1, protoICMP, long, 400, 1220))}, "2 icmp"},
		{"OSPF has no TCP in it", [][]byte{ether(etherIPv4, piece4(1, 89, long, 0, 400)), ether(etherIPv4, piece4(1, 89, long, 400, 1220))}, "2 other IP protocol"},
		{"ESP neither, and is said to be encrypted", [][]byte{ether(etherIPv4, piece4(1, 50, long, 0, 400)), ether(etherIPv4, piece4(1, 50, long, 400, 1220))}, "2 encrypted or compressed"},
	} {
		if got := delivers(t, pcapFile(1, c.frames...), Options{}); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.why, got, c.want)
		}
	}
}

// nest is a fragment of an IP-in-IP packet.
func nest(id uint16, packet []byte, from, to int) []byte {
	return ether(etherIPv4, piece4(id, protoIPv4, packet, from, to))
}

// slicesOf is first, n times the next frame, and the rest.
func slicesOf(first []byte, n int, next []byte, rest ...[]byte) [][]byte {
	frames := [][]byte{first}
	for range n {
		frames = append(frames, next)
	}
	return append(frames, rest...)
}

func numbered(from, n int, line string) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf("%d: %s\n", from+i, line))
	}
	return lines
}

// quickFile is a capture of frames a microsecond apart.
func quickFile(frames ...[]byte) []byte {
	b := pcapHeader(binary.LittleEndian, 0xa1b2c3d4, 1)
	for i, f := range frames {
		b = append(b, pcapRecord(binary.LittleEndian, uint32(1000+i/1_000_000), uint32(i%1_000_000), f, len(f))...)
	}
	return b
}

// Where a capture filter on ports has let no later fragment through, nothing
// waits for one, once that is known.
func TestFilteredFragments(t *testing.T) {
	long := tcpSeg("", strings.Repeat("x", 1200))
	src, err := NewReader(bytes.NewReader(pcapFile(1, slicesOf(cut4(1, long, 0, 400), 31, plainFrame(), cut4(2, long, 0, 400), plainFrame())...)), "x", Options{})
	if err != nil {
		t.Fatal(err)
	}
	var p Packet
	for frame := uint64(1); frame <= 34; frame++ {
		if err := src.Next(&p); err != nil || p.Segment.Frame != frame || p.Segment.Fragment != (frame == 1 || frame == 33) {
			t.Fatalf("frame %d: %+v, %v", frame, p.Segment, err)
		}
		if read := src.Stats().Frames; frame >= 32 && read != frame {
			t.Errorf("frame %d came after %d", frame, read)
		}
	}
}

// However a datagram is cut, ordered and repeated, it is the segment that it is
// in one piece.
func TestFragmentsAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 2000 {
		segment := tcpSeg("\x01\x01\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x08", strings.Repeat("x", rng.IntN(2500)))
		v6 := rng.IntN(2) == 0
		var frames [][]byte
		for from := 0; from < len(segment); {
			to := min(from+fragmentUnit*(1+rng.IntN(60)), len(segment))
			piece := cut4(9, segment, from, to)
			if v6 {
				piece = cut6(9, segment, from, to)
			}
			for range 1 + rng.IntN(5)/4 {
				frames = append(frames, piece)
			}
			from = to
		}
		rng.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
		packets, src, err := readAll(t, quickFile(frames...), Options{})
		if err != nil {
			t.Fatal(err)
		}
		checkStats(t, src, 1<<20)
		if len(packets) == 0 || len(packets) > 2 { // one more where those sent twice make a datagram of their own
			t.Fatalf("%d packets of %d fragments, %s", len(packets), len(frames), skipped(src.Stats()))
		}
		s := &packets[0].Segment
		if int(s.Len) != len(segment)-32 || s.Fragment || s.Options.TSEcr != 8 || s.Flags != 0x18 {
			t.Fatalf("%d octets: %+v", len(segment), *s)
		}
	}
}

// A flood of fragments that are never completed costs the memory of
// maxDatagrams and maxWaiting, and hides nothing else.
func TestFragmentFlood(t *testing.T) {
	long := tcpSeg("", strings.Repeat("x", 1200))
	for _, c := range []struct {
		why   string
		flood func(i int) []byte
		want  string
	}{
		{"first fragments", func(i int) []byte { return cut4(uint16(i), long, 0, 400) }, ""},
		{"last fragments", func(i int) []byte { return cut4(uint16(i), long, 400, 1220) }, "later IP fragment"},
		{"fragments of one datagram with a gap after each", func(i int) []byte { return cut4(0, make([]byte, 65000), i%4000*16, i%4000*16+8) }, "later IP fragment"},
		{"fragments of IPv6 that overlap", func(i int) []byte { return cut6(uint32(i/3), long, i%3*8, 24+i%3*8) }, "contradictory IP fragment"},
	} {
		var frames [][]byte
		const n = 30_000
		for i := range n {
			frames = append(frames, c.flood(i))
			if i%10 == 0 {
				frames = append(frames, plainFrame(), cut4(0xffff, long, 0, 400), cut4(0xffff, long, 400, 1220))
			}
		}
		file := quickFile(frames...)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		src, err := NewReader(bytes.NewReader(file), "x", Options{})
		if err != nil {
			t.Fatal(err)
		}
		whole, plain, last := 0, 0, uint64(0)
		var p Packet
		for err == nil {
			if err = src.Next(&p); err != nil {
				break
			}
			switch {
			case p.Segment.Len == 1200 && !p.Segment.Fragment:
				whole++
			case p.Segment.Len == 5:
				plain++
			}
			if p.Segment.Frame <= last {
				t.Fatalf("%s: frame %d after %d", c.why, p.Segment.Frame, last)
			}
			last = p.Segment.Frame
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > windowSize+4<<20 {
			t.Errorf("%s: %d bytes held", c.why, used)
		}
		runtime.KeepAlive(src)
		checkStats(t, src, len(file))
		if whole != n/10 || plain != n/10 {
			t.Errorf("%s: of %d each, %d whole datagrams and %d other segments: %s", c.why, n/10, whole, plain, skipped(src.Stats()))
		}
		if !strings.Contains(skipped(src.Stats()), c.want) {
			t.Errorf("%s: %s", c.why, skipped(src.Stats()))
		}
	}
}

// Cut at any byte, a capture of fragments still counts each frame once, and
// with any snap length the segment keeps its length.
func TestFragmentsCut(t *testing.T) {
	segment := tcpSeg("\x01\x01\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x08", "hello, hello, hello")
	frames := [][]byte{cut4(1, segment, 0, 24), plainFrame(), cut4(1, segment, 24, 32), cut4(1, segment, 32, 51)}
	file := quickFile(frames...)
	for n := 24; n < len(file); n++ {
		_, src, err := readAll(t, file[:n], Options{})
		if src == nil {
			t.Fatal(err)
		}
		checkStats(t, src, n)
	}
	for snap := 34; snap < 90; snap++ {
		b := pcapHeader(le, 0xa1b2c3d4, 1)
		for i, f := range frames {
			b = append(b, pcapRecord(le, 1000, uint32(i), f[:min(snap, len(f))], len(f))...)
		}
		got := delivers(t, b, Options{})
		if lines := strings.Count(got, "\n"); snap >= 48 && (lines != 2 || !strings.Contains(got, "4: ") || !strings.Contains(got, " len 19 ")) {
			t.Errorf("%d octets of each: %s", snap, got)
		}
	}
}

// The input ends in a fragment that is larger than the window: it was decoded,
// but is no frame. What waits is handed on all the same.
func TestFragmentsEndInside(t *testing.T) {
	long := tcpSeg("", strings.Repeat("x", 60000))
	for _, c := range []struct {
		why         string
		frame, last []byte
		want        string
	}{
		{"the one that completes the datagram", cut4(1, long, 0, 8000), cut4(1, long, 8000, 60020), "1: " + whole4(7980, 1) + " fragment\n"},
		{"one that contradicts the first", cut6(1, long, 0, 8000), cut6(1, long, 7992, 60020), "1: " + strings.Replace(plain6, "len 5", "len 7980", 1) + " fragment\n"},
		{"a first one that is nothing alone", ether(etherIPv4, piece4(1, protoUDP, long, 8000, 16000)), ether(etherIPv4, piece4(1, protoUDP, long, 0, 60000)), "1 udp"},
		{"a first one", plainFrame(), cut4(1, long, 0, 60000), "1: " + plain4 + " ts 7/8\n"},
	} {
		file := quickFile(c.frame, c.last)
		file = file[:len(file)-100]
		packets, src, err := readAll(t, file, Options{Window: minWindow})
		if err == nil {
			t.Errorf("%s: no error", c.why)
		}
		got := ""
		for i := range packets {
			got += fmt.Sprintf("%d: %s\n", packets[i].Segment.Frame, describe(&packets[i], src.Links()))
		}
		if got += skipped(src.Stats()); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.why, got, c.want)
		}
		checkStats(t, src, len(file))
	}
}

// Fragments take memory from a pool, and so do the packets that wait for them.
func TestFragmentsDoNotAllocate(t *testing.T) {
	long := tcpSeg("", strings.Repeat("x", 1200))
	records := quickFile(cut4(1, long, 0, 400), plainFrame(), cut4(1, long, 400, 1220), cut6(1, long, 0, 400), cut6(1, long, 400, 1220))[24:]
	src, err := NewReader(io.MultiReader(bytes.NewReader(quickFile()), &repeat{b: records}), "x", Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkAllocations(t, "fragments", src)
}

func BenchmarkReadFragments(b *testing.B) {
	long := tcpSeg("", string(make([]byte, 1200)))
	file := pcapHeader(le, 0xa1b23c4d, 1)
	for i := range benchFrames {
		f := cut4(uint16(i), long, 0, 800)
		file = append(file, pcapRecord(le, uint32(1000+i/1000), uint32(i%1000), f, len(f))...)
		f = cut4(uint16(i), long, 800, 1220)
		file = append(file, pcapRecord(le, uint32(1000+i/1000), uint32(i%1000), f, len(f))...)
	}
	benchRead(b, file)
}

// tshark puts together the same segments, at the same frames, and their
// checksums are right.
func TestFragmentsAgainstTshark(t *testing.T) {
	text, err := os.ReadFile("testdata/fragments/tshark.txt")
	if err != nil {
		t.Fatal(err)
	}
	paths, _ := filepath.Glob("testdata/fragments/*.pcap")
	var got strings.Builder
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		packets, src, err := readAll(t, file, Options{VerifyChecksums: true})
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, p := range packets {
			s := &p.Segment
			if s.Fragment || s.Options.TSVal != 7 {
				t.Errorf("%s: %+v", path, s)
			}
			fmt.Fprintln(&got, strings.TrimSuffix(filepath.Base(path), ".pcap"), s.Frame, s.SrcPort, s.DstPort, uint32(s.Seq), s.Len)
		}
		checkStats(t, src, len(file))
		if st := src.Stats(); st.Skipped[SkippedTCPChecksum]+st.Skipped[SkippedHeaderChecksum] != 0 {
			t.Errorf("%s: %s", path, skipped(st))
		}
	}
	if got.String() != string(text) {
		t.Errorf("got\n%swant\n%s", got.String(), text)
	}
}
