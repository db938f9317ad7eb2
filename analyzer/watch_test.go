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

// Where there is no room for all, a connection that somebody was told of stays before
// those that nothing is wrong with, though it is older; half-open ones go first of all.
func TestFlowsWithFindingsStay(t *testing.T) {
	var ended []string
	full := false
	tr := analyzer.New(analyzer.Config{MaxFlows: 10,
		OnFinding: func(*analyzer.Flow, *analyzer.Finding) {},
		OnFlow: func(f *analyzer.Flow) {
			if full {
				ended = append(ended, fmt.Sprintf("%d %s", f.Number, f.Sides[f.Client].State))
			}
		}})
	now, frame := int64(0), uint64(0)
	play := func(list []analyzer.Segment, port uint16) {
		for _, x := range list {
			frame++
			x.Frame, x.Time = frame, now
			if x.SrcPort == 40000 {
				x.SrcPort = port
			} else {
				x.DstPort = port
			}
			tr.Observe(&x)
		}
	}
	play(leak(), 1000) // flow 0
	now += 100e9
	tr.Advance(now)
	for port := uint16(2000); port < 2009; port++ { // flows 1 to 9, of which 5 is half open
		n := 3
		if port == 2004 {
			n = 1
		}
		play(leak()[:n], port)
	}
	full = true
	play(leak()[:3], 3000)
	play(leak()[:3], 3001)
	play(leak()[:3], 3002)
	if want := []string{"5 SYN_SENT", "1 ESTABLISHED", "2 ESTABLISHED"}; !slices.Equal(ended, want) {
		t.Errorf("given up: %q, want %q", ended, want)
	}
}
