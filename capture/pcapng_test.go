package capture

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
)

// Sections of both byte orders, all packet blocks, several interfaces with
// different link types, and blocks to skip: one file each way round.
func TestPcapngBlocks(t *testing.T) {
	orders := [][2]binary.AppendByteOrder{{binary.LittleEndian, binary.BigEndian}, {binary.BigEndian, binary.LittleEndian}}
	frame := plainFrame()
	raw := frame[14:]
	for _, pair := range orders {
		a, b := pair[0], pair[1]
		file := join(
			ngSection(a),
			ngInterface(a, 1, 0, ngOption(a, optionIfName, "eth0"), ngOption(a, 0, "")),
			ngInterface(a, 101, 0, ngOption(a, optionIfName, "tun0")),
			ngInterface(a, 195, 0),
			ngPacket(a, 0, 1_000_000, frame, len(frame)),
			ngBlock(a, 0x0bad, []byte("not of interest")),
			ngPacket(a, 1, 2_000_000, raw, len(raw)),
			ngPacket(a, 2, 2_500_000, raw, len(raw)),
			ngPacket(a, 7, 2_500_000, raw, len(raw)),
			ngSimple(a, frame, len(frame)),
			ngObsolete(a, 0, 3_000_000, frame, len(frame)),
			ngSection(b),
			ngInterface(b, 101, 0, ngOption(b, optionIfName, "tun0")),
			ngInterface(b, 101, 0),
			ngPacket(b, 0, 4_000_000, raw, len(raw)),
			ngPacket(b, 1, 5_000_000, raw, len(raw)),
		)
		packets, src, err := readAll(t, file, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, p := range packets {
			s := p.Segment
			fmt.Fprintf(&got, "%d %gs %s; ", s.Frame, float64(s.Time)/1e9, src.Links()[s.Link].Interface)
		}
		// The Simple Packet Block has no time (frame 5); an undescribed interface
		// has no clock. The second tun0 is the link that the first was.
		want := "1 1s eth0; 2 2s tun0; 5 2.5s eth0; 6 3s eth0; 7 4s tun0; 8 5s interface 1; "
		if got.String() != want {
			t.Errorf("%v\n got %s\nwant %s", a, got.String(), want)
		}
		if n := len(src.Links()); n != 3 {
			t.Errorf("%d links: %v", n, src.Links())
		}
		st := src.Stats()
		if s := skipped(st); s != "1 unsupported link type, 1 undescribed interface" || st.TimeBackwards != 0 {
			t.Errorf("%v: skipped %s, %d backwards", a, s, st.TimeBackwards)
		}
		if st.Format != "pcapng" || st.Bytes != uint64(len(file)) {
			t.Errorf("%v: %+v", a, st)
		}
	}
}

func TestSimplePacketBlock(t *testing.T) {
	frame := plainFrame()
	for _, c := range []struct {
		why   string
		block []byte
		snap  uint32
		want  uint32 // payload length
	}{
		{"whole", ngSimple(le, frame, len(frame)), 0, 5},
		{"cut by the interface's snap length", ngSimple(le, frame[:68], len(frame)), 68, 5},
		{"cut although the interface says no limit", ngSimple(le, frame[:68], len(frame)), 0, 5},
	} {
		packets, src, err := readAll(t, join(ngSection(le), ngInterface(le, 1, c.snap), c.block), Options{})
		if err != nil || len(packets) != 1 || packets[0].Segment.Len != c.want || packets[0].Segment.Time != 0 {
			t.Errorf("%s: %+v, %v", c.why, packets, err)
			continue
		}
		if st := src.Stats(); st.FirstTime != 0 || st.LastTime != 0 {
			t.Errorf("%s: times from a block without one: %+v", c.why, st)
		}
	}
}

// A resolution is one byte of the file's choosing, and the offset eight.
func TestClock(t *testing.T) {
	for _, c := range []struct {
		why        string
		resolution uint8
		offset     int64
		ticks      uint64
		want       int64
	}{
		{"seconds", 0, 0, 17, 17e9},
		{"milliseconds", 3, 0, 17, 17e6},
		{"microseconds", 6, 0, 1_700_000_000_123_456, 1_700_000_000_123_456_000},
		{"nanoseconds", 9, 0, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789},
		{"picoseconds are cut to nanoseconds", 12, 0, 1_999, 1},
		{"10^-28: nothing is left", 28, 0, math.MaxUint64, 1},
		{"10^-29 would overflow the divisor", 29, 0, math.MaxUint64, 0},
		{"10^-127", 0x7f, 0, math.MaxUint64, 0},
		{"2^0", 0x80, 0, 3, 3e9},
		{"2^-10", 0x8a, 0, 1536, 1_500_000_000},
		{"2^-32, as NTP counts", 0xa0, 0, 1<<32 + 1<<31, 1_500_000_000},
		{"2^-63", 0xbf, 0, 1 << 63, 1e9},
		{"2^-64", 0xc0, 0, 1 << 63, 5e8},
		{"2^-94: the last with a bit left", 0xde, 0, math.MaxUint64, 0},
		{"2^-127: gopacket divides by zero", 0xff, 0, math.MaxUint64, 0},
		{"an offset", 6, 100, 5_000_000, 105e9},
		{"a negative offset", 6, -100, 5_000_000, -95e9},
		{"ticks beyond the range are clamped", 0, 0, math.MaxUint64, math.MaxInt64},
		{"nanoseconds beyond the range are clamped", 9, 0, math.MaxUint64, math.MaxInt64},
		{"an offset beyond the range is clamped", 6, math.MaxInt64, 1 << 40, math.MaxInt64},
		{"a negative offset beyond the range", 6, math.MinInt64, 0, -9_223_372_036_000_000_000},
	} {
		clock := newClock(c.resolution, c.offset)
		if got := clock.nanos(c.ticks); got != c.want {
			t.Errorf("%s: %d, want %d", c.why, got, c.want)
		}
	}
}

func TestInterfaceOptions(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		offset := order.AppendUint64(nil, 10)
		for _, c := range []struct {
			why     string
			options []byte
			name    string
			want    int64
		}{
			{"none: microseconds", nil, "", 1000e3},
			{"nanoseconds and an offset", join(ngOption(order, optionTSResol, "\x09"), ngOption(order, optionTSOffset, string(offset))), "", 10e9 + 1000},
			{"a short offset is no offset", join(ngOption(order, optionTSOffset, "\x00\x00\x00\x0a")), "", 1000e3},
			{"an empty resolution", join(ngOption(order, optionTSResol, "")), "", 1000e3},
			{"what follows the end is not read", join(ngOption(order, 0, ""), ngOption(order, optionTSResol, "\x09")), "", 1000e3},
			{"an option longer than the block", join(ngOption(order, optionIfName, "lo"), []byte("\xff\xff\xff\xff")), "lo", 1000e3},
			{"a name that is not UTF-8", ngOption(order, optionIfName, "a\xffb"), "ab", 1000e3},
			{"a name that is absurdly long", ngOption(order, optionIfName, strings.Repeat("x", 60000)), strings.Repeat("x", maxLinkName), 1000e3},
		} {
			file := join(ngSection(order), ngInterface(order, 1, 0, c.options), ngPacket(order, 0, 1000, plainFrame(), 71))
			packets, src, err := readAll(t, file, Options{})
			if err != nil || len(packets) != 1 {
				t.Errorf("%s: %d packets, %v", c.why, len(packets), err)
				continue
			}
			if got := packets[0].Segment.Time; got != c.want || src.Links()[0].Interface != c.name {
				t.Errorf("%s: time %d, want %d; name %q", c.why, got, c.want, src.Links()[0].Interface)
			}
		}
	}
}

// The counters of a later statistics block replace the earlier ones'.
func TestDropped(t *testing.T) {
	block := func(port uint32, dropped, lost uint64) []byte {
		b := le.AppendUint32(nil, port)
		b = le.AppendUint64(b, 0)
		b = append(b, ngOption(le, optionIfDrop, string(le.AppendUint64(nil, dropped)))...)
		b = append(b, ngOption(le, optionOSDrop, string(le.AppendUint64(nil, lost)))...)
		return ngBlock(le, blockStatistics, b)
	}
	file := join(goodHead, ngInterface(le, 1, 0), block(0, 5, 2), block(1, 1, 0), block(0, 6, 2), block(9, 100, 100))
	_, src, err := readAll(t, file, Options{})
	if err != nil || src.Stats().Dropped != 9 {
		t.Errorf("%d dropped, want 9; %v", src.Stats().Dropped, err)
	}
}

// Some writers leave the padding out of the block length; Wireshark reads them.
func TestUnpaddedBlockLength(t *testing.T) {
	block := ngPacket(le, 0, 1, plainFrame(), 71)
	claim := string(le.AppendUint32(nil, uint32(len(block)-1)))
	block = with(with(block, 4, claim), len(block)-4, claim)
	packets, _, err := readAll(t, join(goodHead, block, block), Options{})
	if err != nil || len(packets) != 2 {
		t.Errorf("%d packets, %v", len(packets), err)
	}
}

// A capture may have as many links as it likes; memory has a bound.
func TestLinkTableIsBounded(t *testing.T) {
	var table linkTable
	for i := range uint32(maxLinks + 1000) {
		p := path{ifIndex: i + 1, depth: 1, hops: [maxHops]hop{hop(i%4000 + 1)}}
		if n, path := table.number(&p); int(n) >= len(table.list) || path == 0 || path > maxLinks {
			t.Fatalf("number %d of %d links, path %d", n, len(table.list), path)
		}
	}
	if last := table.list[len(table.list)-1]; len(table.list) != maxLinks || last.Interface != "other" || last.VLAN != nil {
		t.Errorf("%d links, the last %+v", len(table.list), last)
	}
	for i := range maxLinks + 1000 {
		table.intern(fmt.Sprint(i))
	}
	if len(table.names) != maxLinks {
		t.Errorf("%d names", len(table.names))
	}
}
