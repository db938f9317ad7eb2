package capture

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// goodHead is the beginning of every damaged pcapng: 28 and 20 bytes.
var goodHead = join(ngSection(le), ngInterface(le, 1, 0))

// badInputs are the captures that end in an error: the exact line, and how many
// frames are delivered before it.
var badInputs = []struct {
	why    string
	file   []byte
	frames int
	want   string
}{
	{
		why:  "a capture that never got its first write",
		file: nil,
		want: "test.pcap: file is empty: the capturing program wrote nothing; let it end by Ctrl-C or SIGTERM, or use tcpdump -U",
	},
	{
		why:    "a clock set back, or files joined in the wrong order: all is read, and the end says so",
		file:   join(pcapFile(1), pcapRecord(le, 1000, 0, plainFrame(), 60), pcapRecord(le, 900, 0, plainFrame(), 60), pcapRecord(le, 800, 0, plainFrame(), 60)),
		frames: 3,
		want:   "test.pcap: frame 2 at byte 111: time runs backwards by 1m40s: results cover all frames, but no duration across this place is right; sort them first: reordercap test.pcap sorted.pcap",
	},
	{
		why:    "the same in pcapng, whose blocks between the packets have bytes of their own",
		file:   join(goodHead, ngPacket(le, 0, 9e6, plainFrame(), 60), ngInterface(le, 1, 0), ngPacket(le, 0, 7.5e6, plainFrame(), 60)),
		frames: 2,
		want:   "test.pcap: frame 2 at byte 172: time runs backwards by 1.5s: results cover all frames, but no duration across this place is right; sort them first: reordercap test.pcap sorted.pcap",
	},
	{
		why:    "records without bytes: what they were is lost, what stands between them is not",
		file:   pcapFile(1, nil, plainFrame(), nil),
		frames: 1,
		want:   "test.pcap: frame 1 at byte 24: record is empty, the first of 2: results cover the other frames; capture again with a snap length that leaves the headers (tcpdump -s 128)",
	},
	{
		why:  "a pcapng section that lost its interfaces: no packet can be decoded",
		file: join(ngSection(le), ngPacket(le, 0, 1e6, plainFrame(), 60)),
		want: "test.pcap: no packet block names an interface that the capture describes: its Interface Description Blocks are lost; capture or convert it again",
	},
	{
		why:  "too short for any magic number",
		file: []byte("\xd4\xc3\xb2"),
		want: "test.pcap: not a capture: only 3 bytes long: give a pcap or pcapng file, as tcpdump -w or dumpcap -w writes it",
	},
	{
		why:  "tcpdump's text output saved instead of -w",
		file: []byte("05:01:18.000000 IP 10.0.0.5.51544 > 10.0.0.9.5432: Flags [S] – naïve"),
		want: "test.pcap: not a capture: it is text: give a pcap or pcapng file, as tcpdump -w or dumpcap -w writes it",
	},
	{
		why:  "some other file",
		file: []byte("\x7fELF\x02\x01\x01\x00\x00\x00"),
		want: "test.pcap: not a capture: begins with bytes 7f 45 4c 46: give a pcap or pcapng file, as tcpdump -w or dumpcap -w writes it",
	},
	{
		why:  "gzip data of which hardly the header was written",
		file: []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00"),
		want: "test.pcap: gzip data end too early, at byte 8 of the file: file was cut off, or is still being written; nothing before it could be read",
	},
	{
		why:  "zstd likewise",
		file: []byte("\x28\xb5\x2f\xfd\x00\x00\x00\x00"),
		want: "test.pcap: zstd data end too early, at byte 8 of the file: file was cut off, or is still being written; nothing before it could be read",
	},
	{
		why:  "xz likewise",
		file: []byte("\xfd7zXZ\x00\x00\x04"),
		want: "test.pcap: xz data end too early, at byte 8 of the file: file was cut off, or is still being written; nothing before it could be read",
	},
	{
		why:  "bzip2's magic is printable and must not be taken for text",
		file: []byte("BZh91AY&"),
		want: "test.pcap: bzip2 data end too early, at byte 8 of the file: file was cut off, or is still being written; nothing before it could be read",
	},
	{
		why:  "text may begin as bzip2's magic does",
		file: []byte("BZhello"),
		want: "test.pcap: not a capture: it is text: give a pcap or pcapng file, as tcpdump -w or dumpcap -w writes it",
	},
	{
		why:  "lz4 likewise",
		file: []byte("\x04\x22\x4d\x18\x64\x40\xa7\x00"),
		want: "test.pcap: lz4 data end too early, at byte 8 of the file: file was cut off, or is still being written; nothing before it could be read",
	},
	{
		why:    "a compressed capture that is cut: its frames are reported, and both places named",
		file:   gzipped(60, pcapFile(1, plainFrame(), plainFrame()))[:125],
		frames: 1,
		want:   "test.pcap: frame 2 at byte 111 decompressed: gzip data end too early, at byte 125 of the file: file was cut off, or is still being written; results cover frame 1",
	},
	{
		why:    "a wrong checksum: all frames are there, but may be wrong",
		file:   with(gzipped(0, pcapFile(1, plainFrame())), len(gzipped(0, pcapFile(1, plainFrame())))-8, "\x00"),
		frames: 1,
		want:   "test.pcap: frame 2 at byte 111 decompressed: gzip data are damaged near byte 124 of the file (invalid checksum): copy the file again; results cover frame 1",
	},
	{
		why:    "something appended to a compressed capture",
		file:   join(gzipped(0, pcapFile(1, plainFrame())), []byte("\x00hello")),
		frames: 1,
		want:   "test.pcap: frame 2 at byte 111 decompressed: gzip data are followed by something else, at byte 125 of the file: remove what does not belong there; results cover frame 1",
	},
	{
		why:    "a capture that was cut before it was compressed",
		file:   gzipped(0, pcapFile(1, plainFrame(), plainFrame())[:197]),
		frames: 1,
		want:   "test.pcap: frame 2 at byte 111 decompressed: file ends inside the record (86 of 87 bytes): capture was cut off here, or is still being written; results cover frame 1",
	},
	{
		why:  "compressed nothing, as tcpdump | gzip leaves it where nothing was captured",
		file: gzipped(0, nil),
		want: "test.pcap: file is empty but for its gzip compression: the capturing program wrote nothing; let it end by Ctrl-C or SIGTERM, or use tcpdump -U",
	},
	{
		why:  "compressions around one another without end",
		file: gzipped(0, gzipped(0, gzipped(0, gzipped(0, pcapFile(1))))),
		want: "test.pcap: file is compressed more than 3 times over (gzip in gzip in gzip in gzip): decompress it first",
	},
	{
		why:  "zstd with a window of 256 MiB, as zstd --long=28 asks for",
		file: []byte("\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00"),
		want: "test.pcap: zstd data need a window of more than 128 MiB, at byte 6 of the file: decompress apart, where the memory is: zstd -dc --long=31 test.pcap | tcpflow-states analyze -",
	},
	{
		why:  "xz with a dictionary of 4 GiB, which the library would allocate",
		file: xzHead(40),
		want: "test.pcap: xz data need a window of more than 128 MiB, at byte 24 of the file: decompress apart, where the memory is: xz -dc test.pcap | tcpflow-states analyze -",
	},
	{
		why:  "a compressed file that is no capture",
		file: gzipped(0, []byte("hello\n")),
		want: "test.pcap: not a capture: it is text: give a pcap or pcapng file, as tcpdump -w or dumpcap -w writes it",
	},
	{
		why:  "captures in a compressed archive: tar unpacks both, and joined captures can be read",
		file: gzipped(0, with(make([]byte, 1024), 257, "ustar")),
		want: "test.pcap: file is a tar archive: unpack first: tar -xOf test.pcap | tcpflow-states analyze -",
	},
	{
		why:  "a capture format that others convert",
		file: []byte("GMBU\x00\x02\x01\x00"),
		want: "test.pcap: file is a Network Monitor capture: convert first: editcap -F pcapng test.pcap - | tcpflow-states analyze -",
	},
	{
		why:  "ERF has no magic number",
		file: []byte("\x00\x00\x00\x80\x00\xf0\x53\x65\x02\x04\x00\x60\x00\x00\x00\x4e\x00\x00"),
		want: "test.pcap: file is an ERF capture, as it seems: convert first: editcap -F pcapng test.pcap - | tcpflow-states analyze -",
	},
	{
		why:  "tcpdump's dump of packets is text, too",
		file: []byte("12:00:00.000000 IP 10.0.0.5.1 > 10.0.0.9.2: Flags [S]\n\t0x0000:  4500 003c 1234 4000\n"),
		want: "test.pcap: not a capture: it is the text of tcpdump -x: convert first: sed '/^[0-9]/s/ .*//;/^ /d;/^\\t0x/{s///;s/:  / /;s/  .*//;s/ \\(..\\)\\(..\\)/ \\1 \\2/g}' test.pcap | text2pcap -t %H:%M:%S.%f -l 101 - - | tcpflow-states analyze -",
	},
	{
		why:  "a hex dump, as od and Wireshark write it",
		file: []byte("0000   02 00 00 00 00 01 02 00  ........\n0010   00 00\n"),
		want: "test.pcap: not a capture: it is a hex dump: convert first: text2pcap test.pcap - | tcpflow-states analyze -",
	},
	{
		why:  "packets that were dissected already",
		file: []byte("[\n  {\n    \"_index\": \"packets-2026-11-21\","),
		want: "test.pcap: not a capture: it is text, as tshark -T json or -T pdml prints it: give the capture that it was made from",
	},
	{
		why:  "snoop of a version that was never written",
		file: []byte("snoop\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x04"),
		want: "test.pcap: at byte 8: snoop version 7; this program reads version 2 (RFC 1761): convert first: editcap -F pcapng test.pcap - | tcpflow-states analyze -",
	},
	{
		why:  "cut inside snoop's file header",
		file: []byte("snoop\x00\x00\x00\x00\x00\x00\x02"),
		want: "test.pcap: at byte 12: file ends inside the snoop file header (12 of 16 bytes): nothing could be read; copy or capture it again",
	},
	{
		why:  "snoop on ATM",
		file: snoopFile(18),
		want: "test.pcap: snoop datalink type 18 has no decoder here: capture on an interface that carries IP; the numbers are in RFC 1761",
	},
	{
		why:    "a snoop record whose length is that of nothing",
		file:   join(snoopFile(4, plainFrame()), make([]byte, 24)),
		frames: 1,
		want:   "test.pcap: frame 2 at byte 112: record claims 0 bytes, of them 0 of the packet: capture is damaged from here; results cover frame 1",
	},
	{
		why:    "cut inside a snoop record",
		file:   snoopFile(4, plainFrame(), plainFrame())[:200],
		frames: 1,
		want:   "test.pcap: frame 2 at byte 112: file ends inside the record (88 of 96 bytes): capture was cut off here, or is still being written; results cover frame 1",
	},
	{
		why:  "cut inside the file header",
		file: pcapFile(1)[:10],
		want: "test.pcap: at byte 10: file ends inside the pcap file header (10 of 24 bytes): nothing could be read; copy or capture it again",
	},
	{
		why:  "cut inside the first section header",
		file: goodHead[:27],
		want: "test.pcap: at byte 27: file ends inside the pcapng section header (27 of 28 bytes): nothing could be read; copy or capture it again",
	},
	{
		why:  "a link type without decoder makes the whole file useless",
		file: pcapFile(195, plainFrame()),
		want: "test.pcap: link type 195 has no decoder here: capture on an interface that carries IP (tcpdump -L lists link types); the numbers are at tcpdump.org/linktypes.html",
	},
	{
		why:    "cut inside a record's header",
		file:   join(pcapFile(1, plainFrame(), plainFrame()), make([]byte, 15)),
		frames: 2,
		want:   "test.pcap: frame 3 at byte 198: file ends inside the record's header (15 of 16 bytes): capture was cut off here, or is still being written; results cover frames 1-2",
	},
	{
		why:    "cut inside a record's bytes: the commonest damage, the capturing program was killed",
		file:   pcapFile(1, plainFrame(), plainFrame())[:197],
		frames: 1,
		want:   "test.pcap: frame 2 at byte 111: file ends inside the record (86 of 87 bytes): capture was cut off here, or is still being written; results cover frame 1",
	},
	{
		why:    "a length of all ones",
		file:   join(pcapFile(1, plainFrame()), []byte("\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff")),
		frames: 1,
		want:   "test.pcap: frame 2 at byte 111: record claims 4,294,967,295 bytes: capture is damaged from here; results cover frame 1",
	},
	{
		why:  "one more than the most that is sane, in the first record",
		file: join(pcapFile(1), []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x01\x01\x00\x00\x01")),
		want: "test.pcap: frame 1 at byte 24: record claims 16,777,217 bytes: capture is damaged from here; nothing before it could be read",
	},
	{
		why:    "a sane length larger than the window, in a file that ends before",
		file:   join(pcapFile(1, plainFrame()), pcapRecord(le, 1, 1, make([]byte, 2<<20), 2<<20)[:2<<20]),
		frames: 1,
		want:   "test.pcap: frame 2 at byte 111: file ends inside the record (2,097,152 of 2,097,168 bytes): capture was cut off here, or is still being written; results cover frame 1",
	},
	{
		why:  "no byte-order magic: the lengths cannot be read",
		file: with(goodHead, 8, "\x00\x00\x00\x00"),
		want: "test.pcap: section header has the byte-order magic 00 00 00 00: capture is damaged from here; nothing before it could be read",
	},
	{
		why:  "a version that may lay out everything differently",
		file: with(goodHead, 12, "\x02\x00"),
		want: "test.pcap: pcapng version 2.0; this program reads version 1: capture is damaged from here; nothing before it could be read",
	},
	{
		why:  "the first section header claims less than its fields",
		file: with(goodHead, 4, "\x10\x00\x00\x00"),
		want: "test.pcap: block claims 16 bytes, its kind takes 28: capture is damaged from here; nothing before it could be read",
	},
	{
		why:  "a block length of 0 must not loop",
		file: join(goodHead, make([]byte, 64)),
		want: "test.pcap: frame 1 at byte 48: block claims 0 bytes: capture is damaged from here; nothing before it could be read",
	},
	{
		why:    "the two lengths of a block differ: the next one is not where it seems",
		file:   with(join(goodHead, ngPacket(le, 0, 1, plainFrame(), 71), ngPacket(le, 0, 1, plainFrame(), 71)), 48+2*104-4, "\x67"),
		frames: 1,
		want:   "test.pcap: frame 2 at byte 152: block claims 104 bytes at its start, 103 at its end: capture is damaged from here; results cover frame 1",
	},
	{
		why:  "a packet longer than its block",
		file: with(join(goodHead, ngPacket(le, 0, 1, plainFrame(), 71)), 48+20, "\xff\xff\xff\xff"),
		want: "test.pcap: frame 1 at byte 48: packet claims 4,294,967,295 bytes in a block that has room for 72: capture is damaged from here; nothing before it could be read",
	},
	{
		why:  "a packet block of 4 GiB",
		file: join(goodHead, []byte("\x06\x00\x00\x00\xfc\xff\xff\xff"), make([]byte, 40)),
		want: "test.pcap: frame 1 at byte 48: packet block claims 4,294,967,292 bytes: capture is damaged from here; nothing before it could be read",
	},
	{
		why:  "a packet block too small for its fields",
		file: join(goodHead, ngBlock(le, blockEnhanced, make([]byte, 16))),
		want: "test.pcap: frame 1 at byte 48: packet block claims 28 bytes: capture is damaged from here; nothing before it could be read",
	},
	{
		why:    "cut inside a packet block; gopacket reports a clean end here",
		file:   join(goodHead, ngPacket(le, 0, 1, plainFrame(), 71), ngPacket(le, 0, 1, plainFrame(), 71)[:60]),
		frames: 1,
		want:   "test.pcap: frame 2 at byte 152: file ends inside the packet block (60 of 104 bytes): capture was cut off here, or is still being written; results cover frame 1",
	},
	{
		why:  "cut inside a block's type and length",
		file: join(goodHead, []byte("\x06\x00\x00\x00\x68")),
		want: "test.pcap: frame 1 at byte 48: file ends inside the block's header (5 of 12 bytes): capture was cut off here, or is still being written; nothing before it could be read",
	},
	{
		why:  "an unknown block that claims 4 GiB is skipped without being held",
		file: join(goodHead, []byte("\x99\x00\x00\x00\xfc\xff\xff\xff"), make([]byte, 3<<20)),
		want: "test.pcap: frame 1 at byte 48: file ends inside the block (3,145,736 of 4,294,967,292 bytes): capture was cut off here, or is still being written; nothing before it could be read",
	},
	{
		why:  "a pcapng file of which no interface can be decoded",
		file: join(ngSection(le), ngInterface(le, 195, 0), ngPacket(le, 0, 1, plainFrame(), 71)),
		want: "test.pcap: link type 195 has no decoder here: capture on an interface that carries IP (tcpdump -L lists link types); the numbers are at tcpdump.org/linktypes.html",
	},
	{
		why:  "more interfaces than memory should be spent on",
		file: join(ngSection(le), bytes.Repeat(ngInterface(le, 1, 0), maxInterfaces+1)),
		want: "test.pcap: frame 1 at byte 1,310,748: section describes more than 65,536 interfaces: capture is damaged from here; nothing before it could be read",
	},
}

func TestBadInput(t *testing.T) {
	for _, c := range badInputs {
		t.Run(c.why, func(t *testing.T) {
			packets, _, err := readAll(t, c.file, Options{})
			if err == nil {
				t.Fatalf("no error, want %s", c.want)
			}
			if err.Error() != c.want {
				t.Errorf("error\n got %s\nwant %s", err, c.want)
			}
			if len(packets) != c.frames {
				t.Errorf("%d packets before it, want %d", len(packets), c.frames)
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("error is a %T", err)
			}
			if (strings.Contains(c.want, "file ends") || strings.Contains(c.want, "is empty but") || strings.Contains(c.want, "end too early")) != errors.Is(err, io.ErrUnexpectedEOF) && len(c.file) > 0 {
				t.Errorf("errors.Is(err, io.ErrUnexpectedEOF) is wrong")
			}
		})
	}
}

// No length that a capture claims makes memory grow: the window is all there is.
func TestMemoryIsBounded(t *testing.T) {
	for _, c := range badInputs {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if src, err := NewReader(bytes.NewReader(c.file), "x", Options{}); err == nil {
			drain(src)
			src.Close()
		}
		runtime.ReadMemStats(&after)
		limit := uint64(windowSize + 1<<20)
		if len(c.file) > 0 && strings.IndexByte("\x1f\x28\xfd\x04B", c.file[0]) >= 0 {
			limit += 4 << 20 // another window for each layer, and what the decompressors need
		}
		if strings.HasPrefix(c.why, "more interfaces") {
			limit += maxInterfaces << 10 // they are held, and counted: at most 1 kB for each
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > limit {
			t.Errorf("%s: %s bytes allocated", c.why, thousands(used))
		}
	}
}

// An error stays: a caller that asks again must not read on in the middle.
func TestErrorIsFinal(t *testing.T) {
	src, err := NewReader(bytes.NewReader(pcapFile(1, plainFrame())[:100]), "x", Options{})
	if err != nil {
		t.Fatal(err)
	}
	var p Packet
	first := src.Next(&p)
	if again := src.Next(&p); first == nil || again != first {
		t.Errorf("first %v, then %v", first, again)
	}
}

func TestReadFailure(t *testing.T) {
	broken := errors.New("input/output error")
	file := pcapFile(1, plainFrame(), plainFrame())
	for _, c := range []struct {
		why  string
		read int
		want string
	}{
		{"before anything", 0, "x: reading failed: input/output error: check that the file can be read"},
		{"in the file header", 20, "x: at byte 20: reading failed: input/output error: nothing could be read; copy or capture it again"},
		{"in a record", 150, "x: frame 2 at byte 111: reading failed: input/output error: capture is unreadable from here; results cover frame 1"},
		{"between records: not a clean end", 111, "x: frame 2 at byte 111: reading failed: input/output error: capture is unreadable from here; results cover frame 1"},
	} {
		src, err := NewReader(io.MultiReader(bytes.NewReader(file[:c.read]), iotest.ErrReader(broken)), "x", Options{})
		if err == nil {
			_, err = drain(src)
		}
		if err == nil || err.Error() != c.want || !errors.Is(err, broken) {
			t.Errorf("%s:\n got %v\nwant %s", c.why, err, c.want)
		}
	}
}

// A reader that never gives anything must not hang the program.
func TestNoProgress(t *testing.T) {
	_, err := NewReader(stuck{}, "x", Options{})
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// A pipe gives what it has: the packets of a record come without waiting for
// more than that record, and however the bytes are split.
func TestSmallReads(t *testing.T) {
	file := pcapFile(1, plainFrame(), plainFrame(), plainFrame())
	for name, r := range map[string]io.Reader{
		"one byte":   iotest.OneByteReader(bytes.NewReader(file)),
		"half":       iotest.HalfReader(bytes.NewReader(file)),
		"eof early":  iotest.DataErrReader(bytes.NewReader(file)),
		"first only": io.MultiReader(bytes.NewReader(file[:111]), stuck{}),
	} {
		src, err := NewReader(r, name, Options{})
		if err != nil {
			t.Fatal(name, err)
		}
		var p Packet
		if err := src.Next(&p); err != nil || p.Segment.Frame != 1 {
			t.Errorf("%s: first frame: %v", name, err)
		}
		if name == "first only" {
			continue
		}
		if rest, err := drain(src); err != nil || len(rest) != 2 {
			t.Errorf("%s: rest: %d packets, %v", name, len(rest), err)
		}
	}
}

// Frames and blocks larger than the window are decoded from their beginning and
// streamed over.
func TestLargerThanWindow(t *testing.T) {
	big := ether(etherIPv4, ip4(protoTCP, tcpSeg("", string(make([]byte, 65000)))))
	plain := plainFrame()
	for name, file := range map[string][]byte{
		"pcap": pcapFile(1, plain, big, plain),
		"pcapng": join(goodHead, ngPacket(le, 0, 1, plain, len(plain)), ngBlock(le, 0x99, make([]byte, 70000)),
			ngPacket(le, 0, 2, big, len(big)), ngPacket(le, 0, 3, plain, len(plain)),
			ngInterface(le, 1, 0, ngOption(le, 1, string(make([]byte, 60000))))),
	} {
		packets, src, err := readAll(t, file, Options{Window: 1})
		if err != nil || len(packets) != 3 || packets[1].Segment.Len != 65000 || packets[2].Segment.Frame != 3 {
			t.Errorf("%s: %d packets, %v", name, len(packets), err)
			continue
		}
		if st := src.Stats(); st.Bytes != uint64(len(file)) || src.Position() != int64(len(file)) {
			t.Errorf("%s: %d bytes consumed, %d read, of %d", name, st.Bytes, src.Position(), len(file))
		}
	}
}

// Frames that several queues or interfaces wrote a little out of order are
// what a healthy capture has: they are counted, and no flaw.
func TestLittleDisorderIsNoFlaw(t *testing.T) {
	b := pcapFile(1)
	for _, micros := range []uint32{900_000, 0, 899_999} {
		b = append(b, pcapRecord(le, 5, micros, plainFrame(), 60)...)
	}
	packets, src, err := readAll(t, b, Options{})
	if err != nil || len(packets) != 3 || src.Stats().TimeBackwards != 1 {
		t.Errorf("%d packets, %v, %+v", len(packets), err, src.Stats())
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.pcap")
	file := pcapFile(1, plainFrame())
	if err := os.WriteFile(good, file, 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := Open(good, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := src.Size(); n != int64(len(file)) {
		t.Errorf("size %d, want %d", n, len(file))
	}
	if packets, err := drain(src); err != nil || len(packets) != 1 || src.Stats().Name != good {
		t.Errorf("%d packets, %v", len(packets), err)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}

	missing := filepath.Join(dir, "missing.pcap")
	_, err = Open(missing, Options{})
	if want := missing + ": no such file or directory: check the name and the directory"; err == nil || err.Error() != want || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file:\n got %v\nwant %s", err, want)
	}
	_, err = Open(dir, Options{})
	if want := dir + ": is a directory: name the captures in it: tcpflow-states analyze " + dir + "/*.pcap"; err == nil || err.Error() != want {
		t.Errorf("directory:\n got %v\nwant %s", err, want)
	}
}

// Permission bits do not hold root back, so the wording is tested apart from
// the system call.
func TestOpenPermission(t *testing.T) {
	err := openError("my capture.pcap", &fs.PathError{Op: "open", Path: "my capture.pcap", Err: fs.ErrPermission})
	want := "my capture.pcap: permission denied: make it readable for this user, or: sudo cat 'my capture.pcap' | tcpflow-states analyze -"
	if got := err.Error(); got != want || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if os.Geteuid() == 0 {
		return
	}
	path := filepath.Join(t.TempDir(), "secret.pcap")
	if err := os.WriteFile(path, pcapFile(1), 0o000); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
}

func TestStandardInput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdin
	os.Stdin = r
	defer func() { os.Stdin = old }()
	go func() {
		w.Write([]byte("GMBU\x00\x00\x00\x00"))
		w.Close()
	}()
	_, err = Open("-", Options{})
	want := "standard input: file is a Network Monitor capture: convert first: editcap -F pcapng - - | tcpflow-states analyze -"
	if err == nil || err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
}

func TestErrorIsOneLine(t *testing.T) {
	_, err := Open("no\nsuch", Options{})
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 88310: "88,310", 1<<32 - 1: "4,294,967,295"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestReasonNames(t *testing.T) {
	for r := Reason(0); r < NumReasons; r++ {
		if r.String() == "" {
			t.Errorf("reason %d has no name", uint8(r))
		}
	}
}

// Nothing is allocated per packet, whatever the packet is. The captures are
// long enough that one allocation per frame would show in every run.
func TestAllocations(t *testing.T) {
	tagged := ether(etherVLAN, join([]byte{0, 100, 8, 0}, ip4(protoTCP, tcpSeg("\x02\x04\x05\xb4", ""))))
	frames := [][]byte{plainFrame(), tagged, ether(etherIPv6, ip6(protoTCP, tcpSeg("", ""))), ether(etherARP, nil), ether(etherIPv4, ip4(protoUDP, nil))}
	var body []byte
	for i := range 1000 {
		f := frames[i%len(frames)]
		body = append(body, pcapRecord(le, 1, 1, f, len(f))...)
	}
	src, err := NewReader(io.MultiReader(bytes.NewReader(pcapFile(1)), &repeat{b: body}), "x", Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkAllocations(t, "pcap", src)

	body = nil
	for i := range 1000 {
		f := frames[i%len(frames)]
		body = append(body, ngPacket(le, 0, 1, f, len(f))...)
	}
	src, err = NewReader(io.MultiReader(bytes.NewReader(goodHead), &repeat{b: body}), "x", Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkAllocations(t, "pcapng", src)
}

func checkAllocations(t *testing.T, name string, src Source) {
	t.Helper()
	var p Packet
	n := testing.AllocsPerRun(100, func() {
		for range 500 {
			if err := src.Next(&p); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n != 0 {
		t.Errorf("%s: %v allocations in 500 packets", name, n)
	}
}

// repeat gives its bytes for ever.
type repeat struct {
	b  []byte
	at int
}

func (r *repeat) Read(b []byte) (int, error) {
	n := copy(b, r.b[r.at:])
	r.at = (r.at + n) % len(r.b)
	return n, nil
}
