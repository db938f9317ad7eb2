package capture

import (
	"bytes"
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
