package capture

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// Every magic number in both byte orders gives the same packet at the same
// time, to the format's resolution.
func TestPcapVariants(t *testing.T) {
	frame := plainFrame()
	for _, c := range []struct {
		why   string
		magic uint32
		frac  uint32
		extra int // record header octets beyond 16
		want  int64
	}{
		{"microseconds", 0xa1b2c3d4, 123456, 0, 1_700_000_000_123_456_000},
		{"nanoseconds", 0xa1b23c4d, 123456789, 0, 1_700_000_000_123_456_789},
		{"Kuznetzov's record headers", 0xa1b2cd34, 123456, 8, 1_700_000_000_123_456_000},
		{"a fraction above a second is added, as tcpdump does", 0xa1b2c3d4, 1_500_000, 0, 1_700_000_001_500_000_000},
	} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			record := pcapRecord(order, 1_700_000_000, c.frac, frame, len(frame))
			record = join(record[:16], make([]byte, c.extra), record[16:])
			packets, src, err := readAll(t, join(pcapHeader(order, c.magic, 1), record), Options{})
			if err != nil || len(packets) != 1 {
				t.Errorf("%s %v: %d packets, %v", c.why, order, len(packets), err)
				continue
			}
			if s := packets[0].Segment; s.Time != c.want || s.Len != 5 || s.Frame != 1 {
				t.Errorf("%s %v: time %d, want %d; length %d, frame %d", c.why, order, s.Time, c.want, s.Len, s.Frame)
			}
			if src.Stats().Format != "pcap" {
				t.Errorf("format %q", src.Stats().Format)
			}
		}
	}
}

func TestPcapTimeIsUnsigned(t *testing.T) {
	// 32 bits of seconds last until 2106; the fraction must not overflow either.
	file := join(pcapHeader(le, 0xa1b2c3d4, 1), pcapRecord(le, math.MaxUint32, math.MaxUint32, plainFrame(), 71))
	packets, _, err := readAll(t, file, Options{})
	if want := int64(math.MaxUint32)*1e9 + int64(math.MaxUint32)*1e3; err != nil || packets[0].Segment.Time != want {
		t.Errorf("time %d, want %d, %v", packets[0].Segment.Time, want, err)
	}
}

// What tcpdump reads, we read.
func TestPcapLenience(t *testing.T) {
	frame := plainFrame()
	for _, c := range []struct {
		why     string
		file    []byte
		packets int
		skipped string
	}{
		{"no packets at all", pcapFile(1), 0, ""},
		{"snap length 0 in the header", with(pcapFile(1, frame), 16, "\x00\x00\x00\x00"), 1, ""},
		{"a record longer than the header's snap length", with(pcapFile(1, frame), 16, "\x10\x00\x00\x00"), 1, ""},
		{"frame check sequence bits above the link type", with(pcapFile(1, frame), 20, "\x01\x00\x00\x14"), 1, ""},
		{"captured length above the original one", join(pcapFile(1), pcapRecord(le, 1, 1, frame, 20)), 1, ""},
		{"an unknown version", with(pcapFile(1, frame), 4, "\x63\x00"), 1, ""},
		{"the magic number alone may not decide the text check", pcapFile(1, []byte("hello, hello, hello")), 0, "1 not IP"},
	} {
		packets, src, err := readAll(t, c.file, Options{})
		if err != nil || len(packets) != c.packets || skipped(src.Stats()) != c.skipped {
			t.Errorf("%s: %d packets, %v; skipped %q", c.why, len(packets), err, skipped(src.Stats()))
		}
	}
}

func TestStatsTimes(t *testing.T) {
	b := pcapFile(1)
	for _, sec := range []uint32{100, 101, 99, 98, 105, 104} {
		b = append(b, pcapRecord(le, sec, 0, plainFrame(), 100)...)
	}
	_, src, err := readAll(t, b, Options{})
	st := src.Stats()
	if !errors.Is(err, ErrFlawed) || st.FirstTime != 98e9 || st.LastTime != 105e9 || st.TimeBackwards != 3 || st.Truncated != 6 || st.Frames != 6 || st.Segments != 6 {
		t.Errorf("%+v, %v", st, err)
	}
}

// Every capture of the project can be read whole, and the counts add up.
func TestTestdata(t *testing.T) {
	paths, _ := filepath.Glob("../testdata/pcaps/*.pcap*")
	if len(paths) == 0 {
		t.Fatal("no captures in testdata/pcaps")
	}
	for _, path := range paths {
		src, err := Open(path, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		_, err = drain(src)
		src.Close()
		if err != nil {
			t.Error(err)
		}
		st := src.Stats()
		sum := st.Segments + st.Unreachable
		for _, n := range st.Skipped {
			sum += n
		}
		if sum != st.Frames || st.Frames == 0 {
			t.Errorf("%s: %d frames, %d accounted for", path, st.Frames, sum)
		}
		if info, _ := os.Stat(path); st.Bytes != uint64(info.Size()) {
			t.Errorf("%s: %d of %d bytes", path, st.Bytes, info.Size())
		}
	}
}
