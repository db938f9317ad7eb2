package capture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ulikunitz/xz"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// seedFiles adds the project's captures and the damaged ones of the bad-input
// table.
func seedFiles(f *testing.F, add func(file []byte)) {
	paths, _ := filepath.Glob("../testdata/pcaps/*.pcap*")
	fragments, _ := filepath.Glob("testdata/fragments/*.pcap")
	paths = append(paths, fragments...)
	for _, path := range paths {
		if file, err := os.ReadFile(path); err == nil && len(file) < 20<<10 {
			add(file)
		}
	}
	for _, c := range badInputs {
		if len(c.file) < 4<<10 {
			add(c.file)
		}
	}
}

// checkReader reads any bytes as a capture and holds what no bytes may break.
func checkReader(t *testing.T, file []byte) {
	src, err := NewReader(bytes.NewReader(file), "fuzz", Options{Window: minWindow, VerifyChecksums: len(file)%2 == 1})
	if err == nil {
		defer src.Close()
		var p Packet
		for err == nil {
			if err = src.Next(&p); err == nil && p.Kind == KindSegment && int(p.Segment.Link) >= len(src.Links()) {
				t.Fatalf("link %d of %d", p.Segment.Link, len(src.Links()))
			}
		}
		checkStats(t, src, len(file))
	}
	if err == io.EOF {
		return
	}
	var e *Error
	if !errors.As(err, &e) || e.Problem == "" || e.Remedy == "" || strings.ContainsAny(err.Error(), "\n\r") {
		t.Fatalf("error %#v", err)
	}
	if e.Offset < 0 || e.Offset > int64(len(file)) && e.Compression == "" {
		t.Fatalf("offset %d in a file of %d bytes: %v", e.Offset, len(file), err)
	}
}

func checkStats(t *testing.T, src Source, size int) {
	st := src.Stats()
	sum := st.Segments + st.Unreachable
	for _, n := range st.Skipped {
		sum += n
	}
	if sum != st.Frames {
		t.Fatalf("%d frames, %d accounted for: %+v", st.Frames, sum, st)
	}
	if st.Compression != "" {
		size *= 1 << 20 // no compression here does better
	}
	if st.Bytes > uint64(size) || src.Position() > int64(size) {
		t.Fatalf("%d bytes consumed, %d read, of %d", st.Bytes, src.Position(), size)
	}
	if st.Frames > uint64(size)/16 {
		t.Fatalf("%d frames in %d bytes", st.Frames, size)
	}
	if st.FirstTime > st.LastTime {
		t.Fatalf("first time %d, last time %d", st.FirstTime, st.LastTime)
	}
}

func FuzzPcap(f *testing.F) {
	seedFiles(f, func(file []byte) {
		if len(file) == 0 || file[0] != 0x0a {
			f.Add(file)
		}
	})
	f.Fuzz(checkReader)
}

func FuzzPcapng(f *testing.F) {
	seedFiles(f, func(file []byte) {
		if len(file) > 0 && file[0] == 0x0a {
			f.Add(file)
		}
	})
	frame := plainFrame()
	f.Add(join(goodHead, ngPacket(le, 0, 1, frame, 71), ngSimple(le, frame, 71), ngObsolete(le, 0, 1, frame, 71),
		ngSection(be), ngInterface(be, 276, 96, ngOption(be, optionTSResol, "\xff"), ngOption(be, optionTSOffset, "12345678"), ngOption(be, optionIfName, "any")),
		ngPacket(be, 0, 1<<63, frame, 71), ngBlock(be, blockStatistics, make([]byte, 12)), ngBlock(be, 0x99, []byte("unknown"))))
	f.Fuzz(checkReader)
}

func FuzzSnoop(f *testing.F) {
	frame := plainFrame()
	f.Add(snoopFile(4, frame, frame))
	f.Add(join(snoopFile(0x80000005, frame), snoopFile(8, frame), pcapFile(1, frame)))
	f.Add(snoopFile(4, frame)[:60])
	f.Fuzz(func(t *testing.T, file []byte) {
		checkReader(t, join([]byte(snoopMagic), file[min(len(file), len(snoopMagic)):]))
	})
}

// FuzzCompressed reads any bytes as a file of each compression.
func FuzzCompressed(f *testing.F) {
	for i := range compressions {
		for _, file := range compressedSeeds(f, compressions[i].name) {
			f.Add(uint8(i), file)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, file []byte) {
		magic := compressions[int(which)%len(compressions)].magics[0]
		file = join([]byte(magic), file[min(len(file), len(magic)):])
		if which%2 == 1 { // damage within, not a wrong magic number
			checkReader(t, join(file, file))
		}
		checkReader(t, file)
	})
}

// FuzzXZDictionary holds the guard against the library: with it, nothing is read
// otherwise than without, and no dictionary beyond the limit gets through.
func FuzzXZDictionary(f *testing.F) {
	for _, file := range compressedSeeds(f, "xz") {
		f.Add(file)
	}
	f.Add(xzHead(40))
	f.Fuzz(func(t *testing.T, file []byte) {
		var guarded bytes.Buffer
		err := unpackXZ(&limitedWriter{&guarded, 1 << 20}, bufio.NewReader(bytes.NewReader(file)))
		if errors.Is(err, errDictionary) || guarded.Len() >= 1<<20 {
			return
		}
		var plain bytes.Buffer
		z, want := xz.NewReader(bytes.NewReader(file))
		if want == nil {
			_, want = io.Copy(&limitedWriter{&plain, 1 << 20}, z)
		}
		if (err == nil) != (want == nil) || !bytes.Equal(guarded.Bytes(), plain.Bytes()) {
			t.Fatalf("guarded: %d bytes, %v; plain: %d bytes, %v", guarded.Len(), err, plain.Len(), want)
		}
	})
}

// limitedWriter takes left bytes and fails then.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.left -= n
	l.w.Write(b[:n])
	if n < len(b) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// FuzzDecode decodes any bytes as a frame of any link type. The decoder must not
// look past the frame's end, where the next record lies in the window; and where
// gopacket finds a segment behind well-formed headers, it must be ours.
func FuzzDecode(f *testing.F) {
	paths, _ := filepath.Glob("../testdata/pcaps/*.pcap")
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil || len(file) < 24 {
			continue
		}
		link := le.Uint16(file[20:])
		for at, n := 24, 0; at+16 <= len(file) && n < 6; n++ {
			size := int(le.Uint32(file[at+8:]))
			f.Add(link, file[at+16:at+16+size], le.Uint16(file[at+12:])-uint16(size))
			at += 16 + size
		}
	}
	for _, l := range linkTypes {
		f.Add(l.number, join([]byte{0x11, 0, 0, 1, 0, 47, 0, 0x21}, packet4), uint16(0))
	}
	for _, c := range encapsulations() {
		f.Add(c.link, c.data, uint16(0))
	}
	f.Add(uint16(101), ip6(protoHopByHop, join(ext(protoFragment, ""), ext(protoTCP, ""), hello)), uint16(9))
	f.Add(uint16(105), join([]byte(dot11), packet4), uint16(0))
	f.Add(uint16(127), join([]byte(radiotap+dot11), packet4), uint16(0))
	f.Fuzz(func(t *testing.T, link uint16, data []byte, more uint16) {
		if len(data) == 0 {
			return
		}
		alone := decodeOne(link, data, len(data)+int(more))
		if again := decodeInWindow(link, data, len(data)+int(more)); alone != again {
			t.Fatalf("alone: %s\nwith more bytes behind: %s", alone, again)
		}
		if link == 1 || link == 101 || link == 113 {
			checkOracle(t, link, data, len(data)+int(more))
		}
	})
}

// checkOracle holds a frame against gopacket. Broken headers are another matter:
// there it reads on where we stop.
func checkOracle(t *testing.T, link uint16, data []byte, wire int) {
	want, plain := oracle(link, data, 1, time.Unix(0, 0))
	if want == nil || !plain {
		return
	}
	s := &stream{d: decoder{links: &linkTable{}}}
	var p Packet
	reason := s.d.decode(s.begin(&port{link: linkTypeOf(link)}, data, uint32(wire), 0), &p)
	switch reason {
	case SkippedMalformedIP, SkippedMalformedTCP, SkippedMalformedLink, SkippedCut:
		return
	case delivered:
		if p.Kind == KindSegment {
			break
		}
		fallthrough
	default:
		t.Fatalf("gopacket has %+v\nwe have %v", *want, reason)
	}
	got := p.Segment
	if got.Src != want.Src || got.Dst != want.Dst || got.SrcPort != want.SrcPort || got.DstPort != want.DstPort ||
		got.Seq != want.Seq || got.Ack != want.Ack || got.Flags != want.Flags || got.Checksum != want.Checksum {
		t.Fatalf("gopacket %+v\nours     %+v", *want, got)
	}
}

// decodeInWindow is decodeOne with other bytes behind the frame's.
func decodeInWindow(link uint16, data []byte, wire int) string {
	s := &stream{d: decoder{links: &linkTable{}}}
	window := join(data, bytes.Repeat([]byte{0xa5}, 300))
	before := bytes.Clone(window)
	var p Packet
	reason := s.d.decode(s.begin(&port{link: linkTypeOf(link)}, window[:len(data)], uint32(wire), 0), &p)
	if !bytes.Equal(window, before) {
		return "the decoder wrote into the window"
	}
	return decoded(s, reason, &p)
}

// FuzzMerge reads any bytes as two captures that are one: each must give as many
// packets as alone, and end as it does there.
func FuzzMerge(f *testing.F) {
	whole := at(10, 11, 12, 14)
	f.Add(whole, at(9, 11, 13))
	f.Add(whole[:len(whole)-3], at(12, 5, 13))
	f.Add(arpAt(10), join(goodHead, ngPacket(le, 0, 1, plainFrame(), 71), ngSimple(le, plainFrame(), 71)))
	f.Add(at(), []byte("no capture"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		files := [][]byte{a, b}
		var inputs []Input
		for _, file := range files {
			inputs = append(inputs, Input{Name: "x", Open: func(o Options) (Source, error) { return NewReader(bytes.NewReader(file), "x", o) }})
		}
		m := NewMerge(inputs, Options{})
		var got [2]uint64
		var p Packet
		for m.Next(&p) == nil {
			frame := p.Segment.Frame
			if p.Kind == KindUnreachable {
				frame = p.Unreachable.Frame
			}
			of, _ := analyzer.SplitFrame(frame)
			got[of-1]++
		}
		for i, part := range m.Parts() {
			src, err := NewReader(bytes.NewReader(files[i]), "x", Options{})
			var want Stats
			if err == nil {
				for err == nil {
					err = src.Next(&p)
				}
				want = *src.Stats()
			}
			if err == io.EOF {
				err = nil
			}
			if !part.Done || part.Stats != want && err == nil || got[i] != want.Segments+want.Unreachable {
				t.Errorf("capture %d: %d packets, %+v; alone %+v", i+1, got[i], part.Stats, want)
			}
			if fmt.Sprint(part.Err) != fmt.Sprint(err) {
				t.Errorf("capture %d: %v; alone %v", i+1, part.Err, err)
			}
		}
	})
}

// FuzzFragments sends fragments of a few datagrams, three octets of input each,
// and holds what is put together against a reassembly that holds every octet.
func FuzzFragments(f *testing.F) {
	f.Add([]byte{0x80, 0, 7, 0x00, 8, 7}, false)
	f.Add([]byte{0x81, 0, 3, 0x80, 4, 3, 0x01, 4, 9, 0x82, 0, 0, 0x02, 1, 99, 0x80, 0, 3, 0x00, 8, 5}, false)
	f.Add([]byte{0x80, 0, 3, 0x80, 3, 3, 0x00, 8, 7, 0x80, 0, 3, 0x00, 4, 9}, true)
	f.Add([]byte{0x80, 0, 3, 0x00, 4, 9, 0x00, 4, 10, 0x80, 9, 3}, true)
	segment := tcpSeg("", string(make([]byte, 2500)))
	f.Fuzz(func(t *testing.T, input []byte, v6 bool) {
		var frames [][]byte
		var want []string
		var models [4]fragmentModel
		for len(input) >= 3 && len(frames) < maxWaiting {
			id, more, from := int(input[0]&3), input[0]&0x80 != 0, int(input[1])*fragmentUnit
			size := 1 + int(input[2])
			if input = input[3:]; more {
				size = max(size&^(fragmentUnit-1), fragmentUnit)
			}
			// Where to ends says whether more fragments are to come.
			whole := segment[:from+size]
			if more {
				whole = segment
			}
			if v6 {
				frames = append(frames, cut6(uint32(id), whole, from, from+size))
			} else {
				frames = append(frames, cut4(uint16(id), whole, from, from+size))
			}
			if length := models[id].add(from, size, more, v6); length >= tcpHeaderLen {
				want = append(want, fmt.Sprintln(len(frames), length-tcpHeaderLen))
			}
		}
		packets, src, err := readAll(t, quickFile(frames...), Options{Window: minWindow})
		if err != nil {
			t.Fatal(err)
		}
		checkStats(t, src, 1<<30)
		var got []string
		last := uint64(0)
		for i := range packets {
			s := &packets[i].Segment
			if s.Frame <= last {
				t.Fatalf("frame %d after %d", s.Frame, last)
			}
			if last = s.Frame; !s.Fragment {
				got = append(got, fmt.Sprintln(s.Frame, s.Len))
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v\nwant %v\n%s", got, want, skipped(src.Stats()))
		}
	})
}

// fragmentModel is a datagram that is being put together, octet by octet.
type fragmentModel struct {
	there    map[int]bool
	end, top int
	bad      bool
}

// add returns the datagram's length when it is whole, 0 until then.
func (m *fragmentModel) add(from, size int, more, v6 bool) int {
	if m.bad || from == 0 && !more { // the latter is no fragment
		if from == 0 && !more {
			return size
		}
		return 0
	}
	if m.there == nil {
		*m = fragmentModel{there: map[int]bool{}}
	}
	known := 0
	for i := range size {
		if m.there[from+i] {
			known++
		}
	}
	to := from + size
	m.bad = v6 && known != 0 && known != size || !more && m.end != 0 && m.end != to
	if !more {
		m.end = to
	}
	m.top = max(m.top, to)
	if m.bad = m.bad || m.end != 0 && m.top > m.end; m.bad {
		return 0
	}
	for i := range size {
		m.there[from+i] = true
	}
	if m.end != 0 && len(m.there) == m.end {
		m.there = nil
		end := m.end
		m.end, m.top = 0, 0
		return end
	}
	return 0
}
