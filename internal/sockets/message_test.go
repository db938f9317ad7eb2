package sockets

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// recorded reads a file of testdata: datagrams as the kernel sent them, in
// hexadecimal, a line each; # begins a comment.
func recorded(t testing.TB, name string) (datagrams [][]byte) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if order.Uint16([]byte{1, 0}) != 1 {
		t.Skip("SKIPPED: the messages were recorded on a little-endian machine")
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		b, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		datagrams = append(datagrams, b)
	}
	return datagrams
}

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// The kernel's own answers for sockets of every state are read.
func TestRecorded(t *testing.T) {
	d := &Dump{}
	ended := 0
	for _, b := range recorded(t, "states.hex") {
		var err error
		var done bool
		// IPv4 was asked first: seq 1. What is of another request is passed over.
		d.Sockets, done, err = appendSockets(d.Sockets, b, order.Uint32(b[8:]))
		if err != nil {
			t.Fatal(err)
		}
		if done {
			ended++
		}
		if none, _, _ := appendSockets(nil, b, 77); none != nil {
			t.Errorf("another request's answer gave %+v", none)
		}
	}
	if ended != 2 || len(d.Sockets) != 23 {
		t.Fatalf("%d answers ended, %d sockets", ended, len(d.Sockets))
	}
	d.finish()
	for _, c := range []struct {
		local, remote string
		state         analyzer.State
		kind          Kind
		timer         Timer
		inode         bool
		accepted      bool
		rtt           bool
	}{
		{"127.0.0.1:6001", "127.0.0.1:7000", analyzer.Established, KindFull, TimerNone, true, true, true},
		{"127.0.0.1:6002", "127.0.0.1:7000", analyzer.FinWait2, KindFull, TimerNone, true, true, true},
		{"127.0.0.1:7000", "127.0.0.1:6002", analyzer.CloseWait, KindFull, TimerNone, true, true, true},
		{"127.0.0.1:6003", "127.0.0.1:7000", analyzer.FinWait2, KindTimeWait, TimerTimeWait, false, true, false},
		{"127.0.0.1:6004", "127.0.0.1:7000", analyzer.TimeWait, KindTimeWait, TimerTimeWait, false, true, false},
		{"127.0.0.1:6005", "127.0.0.1:7000", analyzer.FinWait1, KindFull, TimerProbe, true, true, true},
		{"127.0.0.1:7000", "127.0.0.1:6006", analyzer.LastAck, KindFull, TimerProbe, true, true, true},
		{"127.0.0.1:6009", "127.0.0.1:7009", analyzer.SynSent, KindFull, TimerRetransmit, true, true, false},
		{"127.0.0.1:7010", "127.0.0.1:6010", analyzer.SynReceived, KindRequest, TimerRetransmit, false, false, false},
		{"[::1]:7011", "[::1]:6011", analyzer.Established, KindFull, TimerNone, false, false, true},
		{"127.0.0.1:6012", "127.0.0.1:7000", analyzer.Established, KindFull, TimerNone, true, true, true},
	} {
		s, _ := d.Find(ap(c.local), ap(c.remote))
		if s == nil {
			t.Errorf("%s > %s: not found", c.local, c.remote)
			continue
		}
		if s.State != c.state || s.Kind != c.kind || s.Timer != c.timer || s.Inode != 0 != c.inode ||
			s.Accepted() != c.accepted || s.Info.RTT > 0 != c.rtt || s.Timer != TimerNone && s.Expires <= 0 ||
			s.Kind == KindFull && s.Cgroup == 0 || s.Cookie == 0 {
			t.Errorf("%+v: want %+v", *s, c)
		}
	}
	if s, _ := d.Find(ap("127.0.0.1:7000"), ap("127.0.0.1:6002")); s.RecvQueue != 1 || s.Info.CongestionWindow == 0 {
		t.Errorf("a FIN that was not read counts one octet: %+v", *s)
	}
}

// What a damaged answer, or a refusal, says. Nothing is read beyond the end.
func TestDamaged(t *testing.T) {
	for _, b := range recorded(t, "states.hex") {
		whole, _, _ := appendSockets(nil, b, order.Uint32(b[8:]))
		for n := range b {
			cut := append([]byte(nil), b[:n]...)
			got, _, err := appendSockets(nil, cut, order.Uint32(b[8:]))
			if len(got) > len(whole) || err != nil && !errors.Is(err, errDamaged) {
				t.Fatalf("%d octets of %d: %d sockets, %v", n, len(b), len(got), err)
			}
		}
	}
	refuse := func(kind uint16, errno int32) []byte {
		b := make([]byte, headerLen+4)
		order.PutUint32(b, uint32(len(b)))
		order.PutUint16(b[4:], kind)
		order.PutUint32(b[headerLen:], uint32(-errno))
		return b
	}
	for _, c := range []struct {
		b    []byte
		want error
		why  string
	}{
		{refuse(typeError, int32(syscall.ENOENT)), errNone, "no such socket, or no handler for the family"},
		{refuse(typeError, int32(syscall.EPERM)), syscall.EPERM, "a security module refuses"},
		{refuse(typeDone, int32(syscall.EINVAL)), syscall.EINVAL, "a dump that fails says so at its end"},
		{refuse(typeDone, 0), nil, "the end"},
		{refuse(typeError, 0)[:headerLen], errDamaged, "shorter than it says"},
	} {
		if _, done, err := appendSockets(nil, c.b, 0); !errors.Is(err, c.want) || !done {
			t.Errorf("%s: %v", c.why, err)
		}
	}
}

// A number that no kernel has yet is UNKNOWN, and a new kind of timer is no
// crash.
func TestNumbersToCome(t *testing.T) {
	if s := stateOf(99); s != analyzer.Unknown {
		t.Error(s)
	}
	if s := Timer(99).String(); s != "unknown" {
		t.Error(s)
	}
}

func FuzzAppendSockets(f *testing.F) {
	for _, b := range recorded(f, "states.hex") {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 12 {
			return
		}
		got, _, err := appendSockets(nil, b, order.Uint32(b[8:]))
		if len(got) > len(b)/messageLen {
			t.Errorf("%d sockets in %d octets", len(got), len(b))
		}
		if err != nil && err.Error() == "" {
			t.Error("an error without a word")
		}
		d := &Dump{Sockets: got}
		d.finish()
		for i := range got {
			if s := &got[i]; s.State != analyzer.Listen {
				if found, _ := d.Find(s.Local, s.Remote); found == nil {
					t.Errorf("%+v is not found", *s)
				}
			}
		}
	})
}
