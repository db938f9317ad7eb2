package analyzer_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// leak is a connection that the client closes and the server does not: its last
// segment is at 3 s.
func leak() (list []analyzer.Segment) {
	a, b := analyzer.AddrFrom4([4]byte{10, 0, 0, 1}), analyzer.AddrFrom4([4]byte{10, 0, 0, 2})
	send := func(at int64, client bool, flags analyzer.Flags, seq, ack analyzer.Seq) {
		x := analyzer.Segment{Frame: uint64(len(list) + 1), Time: at * 1e9, Src: a, Dst: b, SrcPort: 40000, DstPort: 80,
			Flags: flags, Seq: seq, Ack: ack, Window: 500, IPID: uint16(len(list) + 1)}
		if !client {
			x.Src, x.Dst, x.SrcPort, x.DstPort = b, a, 80, 40000
		}
		list = append(list, x)
	}
	send(1, true, analyzer.SYN, 100, 0)
	send(1, false, analyzer.SYN|analyzer.ACK, 300, 101)
	send(2, true, analyzer.ACK, 101, 301)
	send(2, true, analyzer.FIN|analyzer.ACK, 101, 301)
	send(3, false, analyzer.ACK, 301, 102)
	return list
}

// watching plays segments and then lets time pass, a second at a time; it returns
// what was told, each with the second in which it was.
func watching(list []analyzer.Segment, until int64, awake int) (said []string) {
	now := int64(0)
	t := analyzer.New(analyzer.Config{Awake: awake, OnFinding: func(f *analyzer.Flow, n *analyzer.Finding) {
		said = append(said, fmt.Sprintf("%d s: %s of %s", now, n.Detector.Name, f.Sides[n.Side].State))
	}})
	for ; now <= until; now++ {
		t.Advance(now * 1e9)
		for i := range list {
			if list[i].Time == now*1e9 {
				t.Observe(&list[i])
			}
		}
	}
	return said
}

// A stuck side is reported when its threshold passes, though no packet comes, and
// once: the server's CLOSE_WAIT began at 2 s and lasts 30 s, and the clock of
// this test looks each second.
func TestStuckIsToldInTime(t *testing.T) {
	want := []string{"33 s: stuck-close-wait of CLOSE_WAIT", "33 s: stuck-fin-wait-2 of FIN_WAIT_2"}
	for _, awake := range []int{0, 1} {
		if got := watching(leak(), 500, awake); !slices.Equal(got, want) {
			t.Errorf("%d awake: told %q, want %q", awake, got, want)
		}
	}
}

// What closes in time is nobody's trouble.
func TestClosedInTimeIsNotTold(t *testing.T) {
	list := leak()
	fin, last := list[4], list[3]
	fin.Time, fin.Frame, fin.Flags, fin.IPID = 30e9, 6, analyzer.FIN|analyzer.ACK, 6
	last.Time, last.Frame, last.Flags, last.Seq, last.Ack, last.IPID = 31e9, 7, analyzer.ACK, 102, 302, 7
	if got := watching(append(list, fin, last), 500, 0); len(got) > 0 {
		t.Errorf("told %q of a connection that was closed", got)
	}
}

// A connection that was refused is told of a second later, not when its pair is
// forgotten.
func TestRefusalIsToldSoon(t *testing.T) {
	list := leak()[:2]
	list[1].Flags, list[1].Seq = analyzer.RST|analyzer.ACK, 0
	want := []string{"3 s: connection-refused of CLOSED"}
	if got := watching(list, 500, 0); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}
