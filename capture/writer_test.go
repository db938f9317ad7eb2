package capture

import (
	"bytes"
	"io"
	"slices"
	"testing"
)

// What is written is what was read: the same frames, times, lengths and
// interfaces, in both formats.
func TestWriter(t *testing.T) {
	frames := []Frame{
		{Time: 1767225600_000000001, LinkType: 1, Interface: "eth0", Data: plainFrame(), Wire: uint32(len(plainFrame()))},
		{Time: 1767225601_999999999, LinkType: 1, Interface: "eth1", Data: plainFrame()[:60], Wire: 1514},
		{Time: 1767225602_000000000, LinkType: 101, Interface: "eth0", Data: plainFrame()[14:], Wire: 100},
	}
	for _, pcap := range []bool{false, true} {
		var file bytes.Buffer
		w, n := NewWriter(&file), 3
		if pcap {
			w, n = NewPcapWriter(&file), 2
		}
		for i := range frames {
			err := w.Write(&frames[i], []string{"why", "and what"})
			if (err != nil) != (i >= n) {
				t.Errorf("pcap %t: frame %d: %v", pcap, i, err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		var got []Frame
		_, _, err := readAll(t, file.Bytes(), Options{OnFrame: func(f *Frame) {
			f.Data = slices.Clone(f.Data)
			got = append(got, *f)
		}})
		if err != nil || len(got) != n {
			t.Fatalf("pcap %t: %d frames: %v", pcap, len(got), err)
		}
		for i, f := range got {
			want := frames[i]
			if pcap {
				want.Interface = ""
			}
			if f.Number != uint64(i+1) || f.Time != want.Time || f.LinkType != want.LinkType || f.Interface != want.Interface ||
				f.Wire != want.Wire || !bytes.Equal(f.Data, want.Data) {
				t.Errorf("pcap %t: frame %d is %+v, want %+v", pcap, i, f, want)
			}
		}
	}
}

// tally counts what it is given, and ends each call where a capture may end.
type tally struct {
	file   bytes.Buffer
	bounds []int
}

func (y *tally) Write(p []byte) (int, error) {
	defer func() { y.bounds = append(y.bounds, y.file.Len()) }()
	return y.file.Write(p)
}

// Every call to the output ends with a whole block, whatever the buffer's size,
// so that a full disk leaves a capture that reads without error.
func TestWriterWholeBlocks(t *testing.T) {
	for _, size := range []int{16, 100, 300, 4096} {
		var out tally
		w := NewWriterSize(&out, size)
		w.Comment("what this is")
		for i := range 50 {
			f := Frame{Time: int64(i + 1), LinkType: 1, Interface: "eth0", Data: plainFrame(), Wire: 1500}
			if err := w.Write(&f, []string{"why"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil || w.Size() != int64(out.file.Len()) {
			t.Errorf("buffer %d: Size says %d of %d octets: %v", size, w.Size(), out.file.Len(), err)
		}
		frames := 0
		for _, bound := range out.bounds {
			_, src, err := readAll(t, out.file.Bytes()[:bound], Options{})
			if err != nil {
				t.Fatalf("buffer %d, cut at %d: %v", size, bound, err)
			}
			frames = int(src.Stats().Frames)
		}
		if frames != 50 || !bytes.Contains(out.file.Bytes(), []byte("what this is")) {
			t.Errorf("buffer %d: %d frames", size, frames)
		}
	}
}

func TestWriterAllocates(t *testing.T) {
	f := Frame{Time: 1, LinkType: 1, Interface: "eth0", Data: plainFrame(), Wire: 1500}
	for name, w := range map[string]*Writer{"pcapng": NewWriter(io.Discard), "pcap": NewPcapWriter(io.Discard)} {
		w.Write(&f, nil)
		if n := testing.AllocsPerRun(1000, func() { w.Write(&f, nil) }); n != 0 {
			t.Errorf("%s: %v allocations per frame", name, n)
		}
	}
}
