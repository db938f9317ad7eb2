package capture

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// Wireshark's editcap writes what the programs named wrote; all of it is the
// same capture, two of the formats with times to the nanosecond.
func TestVariantFiles(t *testing.T) {
	paths, _ := filepath.Glob("testdata/variants/*.*")
	if len(paths) != 7 {
		t.Fatalf("%d files", len(paths))
	}
	for _, path := range paths {
		src, err := Open(path, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		packets, err := drain(src)
		src.Close()
		if want := wantPackets(t, 1); err != nil || len(packets) != len(want) {
			t.Errorf("%s: %d packets, want %d; %v", path, len(packets), len(want), err)
			continue
		} else if !sameToMicros(packets, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", path, packets, want)
		}
		if info, _ := os.Stat(path); src.Stats().Bytes != uint64(info.Size()) {
			t.Errorf("%s: %d of %d bytes", path, src.Stats().Bytes, info.Size())
		}
	}
}

// sameToMicros compares packets with times cut to microseconds.
func sameToMicros(got, want []Packet) bool {
	cut := func(packets []Packet) []Packet {
		var out []Packet
		for _, p := range packets {
			p.Segment.Time -= p.Segment.Time % nanosPerMicro
			out = append(out, p)
		}
		return out
	}
	return reflect.DeepEqual(cut(got), cut(want))
}

// appender both puts and appends.
type appender interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

func TestPcapWriters(t *testing.T) {
	frame := plainFrame()
	for _, order := range []appender{binary.LittleEndian, binary.BigEndian} {
		header := func(magic, link uint32, major, minor uint16, more int) []byte {
			b := pcapHeader(order, magic, link)
			order.PutUint16(b[4:], major)
			order.PutUint16(b[6:], minor)
			return append(b, make([]byte, more)...)
		}
		lengths := func(frac, first, second uint32, data []byte) []byte {
			b := pcapRecord(order, 1000, frac, data, 0)
			order.PutUint32(b[8:], first)
			order.PutUint32(b[12:], second)
			return b
		}
		cut := frame[:68]
		for _, c := range []struct {
			why  string
			file []byte
			time int64
		}{
			{"IXIA's files have four more bytes of header", join(header(pcapMagicIxiaSoft, 1, 2, 4, 4), pcapRecord(order, 1000, 5, frame, 71)), 1000e9 + 5e3},
			{"hardware captures in microseconds, as Wireshark reads them", join(header(pcapMagicIxiaHard, 1, 2, 4, 4), pcapRecord(order, 1000, 5, frame, 71)), 1000e9 + 5e3},
			{"hardware captures with fractions that can only be nanoseconds", join(header(pcapMagicIxiaHard, 1, 2, 4, 4), pcapRecord(order, 1000, 5, frame, 71), pcapRecord(order, 1000, 999_999_999, frame, 71)), 1000e9 + 5},
			{"version 2.2: original length first", join(header(pcapMagicMicros, 1, 2, 2, 0), lengths(5, 100, 68, cut)), 1000e9 + 5e3},
			{"version 2.3 of some writers: the same", join(header(pcapMagicMicros, 1, 2, 3, 0), lengths(5, 100, 68, cut)), 1000e9 + 5e3},
			{"version 2.3 of others: captured length first", join(header(pcapMagicMicros, 1, 2, 3, 0), lengths(5, 68, 100, cut)), 1000e9 + 5e3},
			{"DG/UX's version 543.0", join(header(pcapMagicMicros, 1, 543, 0, 0), lengths(5, 100, 68, cut)), 1000e9 + 5e3},
			{"AIX: ifType for Ethernet, nanoseconds", join(header(pcapMagicMicros, 6, 2, 2, 0), lengths(5, 100, 68, cut)), 1000e9 + 5},
			{"AIX: ifType for loopback", join(header(pcapMagicMicros, 24, 2, 2, 0), lengths(5, 100, 58, join([]byte{0, 0, 0, 2}, cut[14:]))), 1000e9 + 5},
			{"AIX: three bytes before FDDI frames", join(header(pcapMagicMicros, 15, 2, 2, 0),
				lengths(5, 100, 3+13+8+54, join(make([]byte, 3), []byte{0x50}, make([]byte, 12), []byte("\xaa\xaa\x03\x00\x00\x00\x08\x00"), cut[14:]))), 1000e9 + 5},
		} {
			packets, _, err := readAll(t, c.file, Options{})
			if err != nil || len(packets) == 0 {
				t.Errorf("%s: %d packets, %v", c.why, len(packets), err)
				continue
			}
			s := packets[0].Segment
			if s.Time != c.time || s.Len != 5 || s.DstPort != 5432 {
				t.Errorf("%s: time %d, want %d; %+v", c.why, s.Time, c.time, s)
			}
		}
	}
}

// A damaged file of the common layout is not taken for one of a rare one.
func TestLayoutIsNotGuessed(t *testing.T) {
	frame := plainFrame()
	zeros := make([]byte, 400)
	for _, c := range []struct {
		why    string
		file   []byte
		frames uint64
	}{
		{"a second record that claims too much", join(pcapFile(1, frame), []byte("\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff")), 1},
		{"zeros behind the first record", join(pcapFile(1, frame), zeros), 26},
		{"a single record of Nokia's: nothing proves it", join(pcapFile(1), pcapRecord(le, 1, 1, frame, 71)[:16], make([]byte, 4), frame), 1},
		{"a fraction beyond a second", join(pcapFile(1), pcapRecord(le, 1, 2_000_000, frame, 71), pcapRecord(le, 1, 1, frame, 71)), 2},
		{"more captured than there was", join(pcapFile(1), pcapRecord(le, 1, 1, frame, 20), pcapRecord(le, 1, 1, frame, 20)), 2},
	} {
		_, src, _ := readAll(t, c.file, Options{})
		if n := src.Stats().Frames; n != c.frames {
			t.Errorf("%s: %d frames, want %d", c.why, n, c.frames)
		}
	}
}

func TestSnoop(t *testing.T) {
	frame := plainFrame()
	ipnet := join([]byte{1, 2, 0, 2}, make([]byte, 20), frame[14:])
	for _, c := range []struct {
		why      string
		datalink uint32
		data     []byte
	}{
		{"Ethernet", 4, frame},
		{"IEEE 802.3", 0, frame},
		{"Surveyor's Gigabit Ethernet", 12, frame},
		{"FDDI", 8, join([]byte{0x50}, make([]byte, 12), []byte("\xaa\xaa\x03\x00\x00\x00\x08\x00"), frame[14:])},
		{"HDLC", 5, join([]byte{0x0f, 0, 8, 0}, frame[14:])},
		{"loopback", 14, join([]byte{0, 0, 0, 2}, frame[14:])},
		{"Solaris 11's loopback", 0x80000005, ipnet},
	} {
		packets, src, err := readAll(t, snoopFile(c.datalink, c.data, c.data), Options{})
		if err != nil || len(packets) != 2 {
			t.Errorf("%s: %d packets, %v", c.why, len(packets), err)
			continue
		}
		st := src.Stats()
		if s := packets[1].Segment; s.Time != 1001_500_000_000 || s.Len != 5 || s.Frame != 2 {
			t.Errorf("%s: %+v", c.why, s)
		}
		if st.Format != "snoop" || st.Dropped != 1 || st.Truncated != 0 {
			t.Errorf("%s: %+v", c.why, st)
		}
	}
}

// The snap length is told by the two lengths, and Surveyor's trailer stands in
// the padding.
func TestSnoopLengths(t *testing.T) {
	file := snoopFile(4, plainFrame())
	be.PutUint32(file[16:], 100)     // original
	be.PutUint32(file[20:], 68)      // included
	be.PutUint32(file[24:], 24+71+1) // record
	packets, src, err := readAll(t, join(file, snoopFile(4, plainFrame())[16:]), Options{})
	if err != nil || len(packets) != 2 || packets[0].Segment.Len != 5 || src.Stats().Truncated != 1 {
		t.Errorf("%d packets, %v, %+v", len(packets), err, src.Stats())
	}
}

// Captures put together by cat, whatever they are: frames are numbered on, and
// each has its own link type, byte order and resolution.
func TestJoinedFiles(t *testing.T) {
	frame := plainFrame()
	raw := frame[14:]
	pcap := pcapFile(1, frame)
	nanos := join(pcapHeader(be, pcapMagicNanos, 101), pcapRecord(be, 2000, 7, raw, len(raw)))
	kuznetzov := pcapRecord(le, 3000, 7, frame, len(frame))
	kuznetzov = join(pcapHeader(le, pcapMagicKuznetz, 1), kuznetzov[:16], make([]byte, 8), kuznetzov[16:])
	ng := join(ngSection(be), ngInterface(be, 101, 0), ngPacket(be, 0, 4000_000_000, raw, len(raw)))
	snoop := snoopFile(4, frame)
	zone := with(pcap, 8, "\x10\x0e\x00\x00") // thiszone 3600: a length, where this is read as a record
	for _, c := range []struct {
		why    string
		files  [][]byte
		format string
	}{
		{"pcap, the commonest: cat x.pcap0 x.pcap1", [][]byte{pcap, pcap, pcap}, "pcap"},
		{"other byte orders, resolutions and link types", [][]byte{pcap, nanos, pcap, kuznetzov, nanos}, "pcap"},
		{"a header without records at the end", [][]byte{pcap, pcapFile(1)}, "pcap"},
		{"headers without records between", [][]byte{pcapFile(1), pcapFile(101), nanos}, "pcap"},
		{"pcapng behind pcap and the other way round", [][]byte{pcap, ng, pcap, ng}, "pcap, pcapng"},
		{"pcap behind pcapng", [][]byte{ng, nanos, ng, ng}, "pcapng, pcap"},
		{"snoop behind all and before all", [][]byte{snoop, pcap, snoop, ng, snoop, snoop}, "snoop, pcap, pcapng"},
		{"a time zone in the second header", [][]byte{pcap, zone}, "pcap"},
	} {
		var want []Packet
		frames := uint64(0)
		for _, file := range c.files {
			packets, src, err := readAll(t, file, Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range packets {
				p.Segment.Frame += frames
				want = append(want, p)
			}
			frames += src.Stats().Frames
		}
		packets, src, err := readAll(t, join(c.files...), Options{})
		if err != nil && !errors.Is(err, ErrFlawed) || !reflect.DeepEqual(packets, want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", c.why, err, packets, want)
			continue
		}
		st := src.Stats()
		if st.Format != c.format || st.Frames != frames || st.Bytes != uint64(len(join(c.files...))) {
			t.Errorf("%s: %+v", c.why, st)
		}
	}
}

// A joined file that cannot be decoded takes nothing from what was before it.
func TestJoinedUndecodable(t *testing.T) {
	frame := plainFrame()
	_, src, err := readAll(t, join(pcapFile(1, frame), pcapFile(195, frame)), Options{})
	if err != nil || skipped(src.Stats()) != "1 unsupported link type" || src.Stats().Segments != 1 {
		t.Errorf("%v, %+v", err, src.Stats())
	}
	_, src, err = readAll(t, join(pcapFile(1, frame), goodHead[:20]), Options{})
	want := "test.pcap: at byte 131: file ends inside the pcapng section header (20 of 28 bytes): results cover the files before it: frame 1"
	if err == nil || err.Error() != want || src.Stats().Segments != 1 {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
}

// Many files joined, of two kinds in turn, are no recursion.
func TestManyJoinedFiles(t *testing.T) {
	b := make([]byte, 0, 6<<20)
	ng := ngSection(le)
	for range 100_000 {
		b = append(append(b, pcapFile(1)...), ng...)
	}
	_, src, err := readAll(t, append(b, pcapFile(1, plainFrame())...), Options{})
	if err != nil || src.Stats().Segments != 1 {
		t.Errorf("%v, %+v", err, src.Stats())
	}
}

// What is lost before a packet is counted by the packet's block, too; Interface
// Statistics count the same packets.
func TestDroppedByPackets(t *testing.T) {
	frame := plainFrame()
	packet := func(drops uint64) []byte {
		b := ngPacket(le, 0, 1, frame, 71)
		body := join(b[8:len(b)-4], ngOption(le, 1, "a comment"), ngOption(le, optionDropCount, string(le.AppendUint64(nil, drops))), ngOption(le, 0, ""))
		return ngBlock(le, blockEnhanced, body)
	}
	obsolete := func(drops uint16) []byte {
		b := ngObsolete(le, 1, 1, frame, 71)
		le.PutUint16(b[packetDrops:], drops)
		return b
	}
	statistics := func(dropped uint64) []byte {
		b := le.AppendUint64(le.AppendUint32(nil, 0), 0)
		return ngBlock(le, blockStatistics, append(b, ngOption(le, optionIfDrop, string(le.AppendUint64(nil, dropped)))...))
	}
	for _, c := range []struct {
		why    string
		blocks [][]byte
		want   uint64
	}{
		{"epb_dropcount", [][]byte{packet(2), packet(3)}, 5},
		{"the obsolete block's drops count, and where that is not known", [][]byte{obsolete(4), obsolete(dropsUnknown), obsolete(1)}, 5},
		{"both kinds on two interfaces", [][]byte{packet(2), obsolete(4)}, 6},
		{"statistics that say more", [][]byte{packet(2), statistics(7)}, 7},
		{"statistics that say less", [][]byte{statistics(1), packet(2)}, 2},
	} {
		packets, src, err := readAll(t, join(goodHead, ngInterface(le, 1, 0), join(c.blocks...)), Options{})
		if err != nil || src.Stats().Dropped != c.want || len(packets) == 0 {
			t.Errorf("%s: %d dropped, want %d; %d packets, %v", c.why, src.Stats().Dropped, c.want, len(packets), err)
		}
	}
}

// Blocks without packets are passed over, in sections of either byte order: name
// resolution, comments, secrets, what is private.
func TestBlocksPassedOver(t *testing.T) {
	frame := plainFrame()
	for _, order := range []appender{binary.LittleEndian, binary.BigEndian} {
		names := join(order.AppendUint16(nil, 1), order.AppendUint16(nil, 9), []byte("\x0a\x00\x00\x05host\x00\x00\x00\x00"), make([]byte, 4))
		secrets := join(order.AppendUint32(nil, 0x544c534b), order.AppendUint32(nil, 8), []byte("CLIENT_R"))
		file := join(
			ngSection(order), ngBlock(order, 4, names), ngInterface(order, 1, 0, ngOption(order, 1, "a comment")),
			ngPacket(order, 0, 1, frame, len(frame)),
			ngBlock(order, 10, secrets),                               // Decryption Secrets
			ngBlock(order, 9, []byte("MESSAGE=systemd journal\n")),    // Journal Export
			ngBlock(order, 0x00000bad, []byte("\x00\x00\x7d\x0aown")), // Custom, may be copied
			ngBlock(order, 0x40000bad, []byte("\x00\x00\x7d\x0aown")), // Custom, may not
			ngBlock(order, 0x80000001, make([]byte, 20)),              // Apple's Process Event
			ngBlock(order, 0x00000204, make([]byte, 16)),              // Sysdig's event
			ngPacket(order, 0, 2, frame, len(frame)),
		)
		packets, src, err := readAll(t, file, Options{})
		if err != nil || len(packets) != 2 || src.Stats().Bytes != uint64(len(file)) {
			t.Errorf("%v: %d packets, %v", order, len(packets), err)
		}
	}
}
