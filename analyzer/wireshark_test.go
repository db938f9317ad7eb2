package analyzer

import "testing"

// streamsOf gives segments to a tracker and returns the streams of the flows,
// in the order of the flows' numbers.
func streamsOf(t *testing.T, give func(*Tracker)) []Wireshark {
	t.Helper()
	var list []Wireshark
	tr := New(Config{Peers: true, OnFlow: func(f *Flow) {
		for len(list) <= f.Number {
			list = append(list, Wireshark{Stream: -1})
		}
		list[f.Number] = f.Wireshark
	}})
	give(tr)
	tr.Close()
	return list
}

// What Wireshark numbers, each as tshark 4.0.17 does it.
func TestStreams(t *testing.T) {
	const start = int64(1e18)
	list := connection(4000, start)
	icmp := func(flags bool) *Unreachable {
		u := &Unreachable{Frame: 1, Time: start, Src: list[0].Src, Dst: list[0].Dst, SrcPort: 4999, DstPort: 80, Seq: 7, Type: 3, Code: 1}
		if flags {
			u.HasFlags, u.Flags = true, SYN
		}
		return u
	}
	for _, c := range []struct {
		why  string
		give func(*Tracker)
		want []Wireshark
	}{
		{"two connections, in the order of their first frames", func(tr *Tracker) {
			other := connection(4001, start+1e6)
			for i := range list {
				tr.Observe(&list[i])
				tr.Observe(&other[i])
			}
		}, []Wireshark{{0, 31}, {1, 31}}},
		{"an ICMP error that quotes a TCP header up to its window takes a number", func(tr *Tracker) {
			tr.ObserveUnreachable(icmp(true))
			tr.Observe(&list[0])
		}, []Wireshark{{1, 1}}},
		{"one that quotes no more than RFC 792 asks for takes none", func(tr *Tracker) {
			tr.ObserveUnreachable(icmp(false))
			tr.Observe(&list[0])
		}, []Wireshark{{0, 1}}},
		{"a lone RST is no flow of ours, and a stream", func(tr *Tracker) {
			x := list[0]
			x.SrcPort, x.Flags = 4998, RST
			tr.Observe(&x)
			tr.Observe(&list[0])
		}, []Wireshark{{1, 1}}},
		{"a first fragment without the others is nothing that Wireshark reads", func(tr *Tracker) {
			x := list[0]
			x.SrcPort, x.Fragment = 4997, true
			tr.Observe(&x)
			tr.Observe(&list[0])
		}, []Wireshark{{-1, 0}, {0, 1}}},
		{"the VLAN is no part of the conversation", func(tr *Tracker) {
			for i := range list {
				x := list[i]
				tr.Observe(&x)
				x.Path, x.IPID, x.Time = 7, x.IPID+1000, x.Time+1e8
				tr.Observe(&x)
			}
		}, []Wireshark{{0, 31}, {0, 31}}},
		{"a SYN with another number begins a stream on the same ports", func(tr *Tracker) {
			for i := range list {
				tr.Observe(&list[i])
			}
			x := list[0]
			x.Seq, x.Time = 5000, x.Time+120e9
			tr.Observe(&x)
		}, []Wireshark{{0, 31}, {1, 1}}},
		{"late segments of a pair are of its last stream, whenever they come", func(tr *Tracker) {
			for i := range list {
				tr.Observe(&list[i])
			}
			x := list[6]
			x.Time += 600e9
			tr.Observe(&x)
		}, []Wireshark{{0, 31}, {0, 31}}},
		{"the first segment of a stream counts once there is another", func(tr *Tracker) {
			x := list[7] // FIN
			tr.Observe(&x)
			x = list[6]
			x.Time += 1e9
			tr.Observe(&x)
		}, []Wireshark{{0, completeFIN | completeACK}}},
		{"alone it counts only as a SYN", func(tr *Tracker) { tr.Observe(&list[7]) }, []Wireshark{{0, 0}}},
	} {
		got := streamsOf(t, c.give)
		same := len(got) == len(c.want)
		for i := range got {
			same = same && got[i] == c.want[i]
		}
		if !same {
			t.Errorf("%s:\n got %v\nwant %v", c.why, got, c.want)
		}
	}
}

// Conversations of ended flows are forgotten, the oldest first; those of flows
// that are held are not.
func TestConversationsAreBounded(t *testing.T) {
	c := newConversations(conversationsKept, nil)
	key := func(i int) *Key { return &Key{Port: [2]uint16{uint16(i), uint16(i >> 16)}} }
	var holder, f Flow
	held, _ := c.find(key(0), nil)
	c.hold(&holder, held)
	for i := 1; i < 3*conversationsKept; i++ {
		v, fresh := c.find(key(i), nil)
		if !fresh || v.stream != i {
			t.Fatalf("conversation %d: stream %d, fresh %v", i, v.stream, fresh)
		}
		c.hold(&f, v)
		c.release(&f)
	}
	if n := len(c.of); n > conversationsKept+1 {
		t.Errorf("%d are kept", n)
	}
	if v, fresh := c.find(key(0), nil); fresh || v.stream != 0 {
		t.Error("one of a flow that is held was forgotten")
	}
	if v, fresh := c.find(key(3*conversationsKept-1), nil); fresh || v.stream != 3*conversationsKept-1 {
		t.Error("the last one was forgotten")
	}
	if _, fresh := c.find(key(5), nil); !fresh {
		t.Error("an old one was not")
	}
	c.release(&holder)
	for i := range 2 * conversationsKept {
		c.find(key(1<<20+i), nil)
	}
	if _, fresh := c.find(key(0), nil); !fresh {
		t.Error("the one that was held is kept for ever")
	}
}
