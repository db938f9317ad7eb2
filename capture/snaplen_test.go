package capture

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// snapped is a little endian pcap file cut as with that snap length, as
// editcap -s does it.
func snapped(file []byte, snap int) []byte {
	out := file[:24:24]
	for at := 24; at+16 <= len(file); {
		size := int(le.Uint32(file[at+8:]))
		kept := min(size, snap)
		out = append(out, file[at:at+8]...)
		out = le.AppendUint32(out, uint32(kept))
		out = append(out, file[at+12:at+16+kept]...)
		at += 16 + size
	}
	return out
}

// Captures of kernels, cut with every snap length that leaves anything of IP:
// what remains of a segment is what it was, as far as its header was captured.
func TestEverySnapLengthOfKernels(t *testing.T) {
	for _, c := range []struct {
		name  string
		least int // octets before the TCP header
	}{
		{"close_client/client.pcap", 14 + 20},
		{"close_client_v6/client.pcap", 14 + 40},
		{"loss_5_percent/client.pcap", 14 + 20},
		{"any_interface/any_sll.pcap", cooked1Len + 20},
		{"any_interface/any.pcap", cooked2Len + 20},
		{"ip_fragments/middle.pcap", 14 + 20},
		{"offload_on/client.pcap", 14 + 20},
	} {
		file, err := os.ReadFile(filepath.Join("../testdata/kernel", c.name))
		if err != nil {
			t.Fatal(err)
		}
		whole, _, err := readAll(t, file, Options{})
		if err != nil || len(whole) == 0 {
			t.Fatal(c.name, err)
		}
		for snap := 34; snap <= 140; snap++ {
			cut := snapped(file, snap)
			packets, src, err := readAll(t, cut, Options{Window: minWindow})
			if err != nil {
				t.Fatalf("%s, %d octets: %v", c.name, snap, err)
			}
			checkStats(t, src, len(cut))
			checkSnapped(t, src.Stats(), packets, whole, snap-c.least)
			if t.Failed() {
				t.Fatalf("%s, %d octets", c.name, snap)
			}
		}
	}
}

// checkSnapped holds the packets of a cut capture, of which so much of each TCP
// header is left, against those of the whole one.
func checkSnapped(t *testing.T, st *Stats, packets, whole []Packet, left int) {
	t.Helper()
	if left < tcpLeast {
		if st.Skipped[SkippedCut] == 0 || len(packets) != 0 || st.SnapNeeded < 96 || st.SnapNeeded > 160 {
			t.Errorf("%d packets, %s, a snap length of %d needed", len(packets), skipped(st), st.SnapNeeded)
		}
		return
	}
	if len(packets) != len(whole) || st.Skipped[SkippedCut] != 0 || st.SnapNeeded != 0 {
		t.Errorf("%d packets of %d, %s, a snap length of %d needed", len(packets), len(whole), skipped(st), st.SnapNeeded)
		return
	}
	for i := range packets {
		got, want := packets[i].Segment, whole[i].Segment
		if left < tcpWindowEnd {
			want.Window = unknownWindow
		}
		if left < tcpChecksumEnd {
			want.Checksum = 0
		}
		if left < maxTCPHeaderLen {
			got.HeaderSum, want.HeaderSum = 0, 0
		}
		if got.Options.Set&analyzer.OptTruncated != 0 {
			got.Options, got.SACK = want.Options, want.SACK
		}
		if got != want {
			t.Errorf("packet %d\n got %+v\nwant %+v", i, got, want)
		}
	}
}

// What snap length is asked for leaves the headers, whatever stands before them.
func TestSnapNeeded(t *testing.T) {
	for _, c := range []struct {
		why    string
		frame  []byte
		snap   int
		enough uint32
	}{
		{"40 octets of Ethernet and IPv4", ether(etherIPv4, packet4), 40, 96},
		{"of Ethernet and IPv6, within its header", ether(etherIPv6, packet6), 40, 128},
		{"three VLAN tags", ether(etherVLAN, head(vlanTag(1, "\x81\x00")+vlanTag(2, "\x81\x00")+vlanTag(3, "\x08\x00"), packet4)), 50, 128},
		{"a tunnel", ether(etherIPv4, over(4789, head(vxlan42, frame4))), 90, 160},
	} {
		long := join(c.frame, make([]byte, 200))
		file := join(pcapHeader(le, 0xa1b2c3d4, 1), pcapRecord(le, 1000, 0, c.frame[:c.snap], len(c.frame)))
		_, src, err := readAll(t, file, Options{})
		if got := src.Stats().SnapNeeded; err != nil || got != c.enough {
			t.Errorf("%s: %d, want %d (%s)", c.why, got, c.enough, skipped(src.Stats()))
		}
		file = join(pcapHeader(le, 0xa1b2c3d4, 1), pcapRecord(le, 1000, 0, long[:min(int(c.enough), len(c.frame))], len(c.frame)))
		if packets, _, _ := readAll(t, file, Options{}); len(packets) != 1 || strings.Contains(skipped(src.Stats()), "malformed") {
			t.Errorf("%s: %d octets are not enough", c.why, c.enough)
		}
	}
}

// 40 octets hold all of raw IPv4 and TCP without options.
func TestSnapLength40OfRawIP(t *testing.T) {
	if got := decodeOne(101, packet4[:40], len(packet4)); got != plain4 {
		t.Error(got)
	}
}
