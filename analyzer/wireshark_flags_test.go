package analyzer

import (
	"fmt"
	"strings"
	"testing"
)

// What tshark 4.0.17 -2 says of the same packets is what each case expects.
//
// A line is a segment: when (ms), who, flags as tcpdump spells them, from which
// number, how many octets, ACK, window, and after the colon its stream and
// marks.

const opened = `
0    a S  100 0   0   1000 : 0
1    b S. 300 0   101 1000 : 0
10   a .  101 0   301 1000 : 0`

var markCases = []struct{ why, script string }{
	{"an orderly connection has no marks", opened + `
11   a P. 101 10  301 1000 : 0
12   b .  301 0   111 1000 : 0
13   a F. 111 0   301 1000 : 0
14   b F. 301 0   112 1000 : 0
15   a .  112 0   302 1000 : 0`},
	{"SYN, SYN+ACK and FIN sent again are retransmissions", `
0    a S  100 0   0   1000 : 0
1000 a S  100 0   0   1000 : 0 retransmission
1001 b S. 300 0   101 1000 : 0
2001 b S. 300 0   101 1000 : 0 retransmission
2002 a .  101 0   301 1000 : 0
2003 a F. 101 0   301 1000 : 0
3003 a F. 101 0   301 1000 : 0 retransmission`},
	{"a SYN sent again after a RST that moved the numbers is a retransmission", `
0    a S  100 0   0   1000 : 0
1    b R. 0   0   101 0    : 0
2    a R  900 0   0   0    : 0
1000 a S  100 0   0   1000 : 0 retransmission`},
	{"data sent again after the round trip is a retransmission", opened + `
11   a .  101 10  301 1000 : 0
12   a .  111 10  301 1000 : 0
300  a .  101 10  301 1000 : 0 retransmission`},
	{"what the peer has acknowledged is sent again in vain: spurious, counted as a retransmission", opened + `
11   a .  101 10  301 1000 : 0
12   b .  301 0   111 1000 : 0
13   a .  101 10  301 1000 : 0 retransmission`},
	{"a hole filled within the handshake's round trip is out of order", opened + `
11   a .  111 10  301 1000 : 0
20   a .  101 10  301 1000 : 0 out-of-order`},
	{"later than that it is a retransmission", opened + `
11   a .  111 10  301 1000 : 0
21   a .  101 10  301 1000 : 0 retransmission`},
	{"without a round trip, 3 ms are the limit", `
0    a .  111 10  301 1000 : 0
2    a .  101 5   301 1000 : 0 out-of-order
3    a .  106 5   301 1000 : 0 retransmission`},
	{"what ends where the highest number does is no segment out of order", opened + `
11   a .  101 10  301 1000 : 0
12   a .  111 10  301 1000 : 0
13   a .  111 10  301 1000 : 0 retransmission`},
	{"two duplicate ACKs that ask for it make a fast retransmission, not one out of order", opened + `
11   a .  111 10  301 1000 : 0
12   b .  301 0   101 1000 : 0 duplicate-ack
13   b .  301 0   101 1000 : 0 duplicate-ack
15   a .  101 10  301 1000 : 0 retransmission`},
	{"one duplicate ACK does not", opened + `
11   a .  111 10  301 1000 : 0
13   b .  301 0   101 1000 : 0 duplicate-ack
15   a .  101 10  301 1000 : 0 out-of-order`},
	{"nor two for another number", opened + `
11   a .  121 10  301 1000 : 0
12   b .  301 0   101 1000 : 0 duplicate-ack
13   b .  301 0   101 1000 : 0 duplicate-ack
15   a .  111 10  301 1000 : 0 out-of-order`},
	{"nor two that are 20 ms old", `
0    a S  100 0   0   1000 : 0
1    b S. 300 0   101 1000 : 0
100  a .  101 0   301 1000 : 0
111  a .  111 10  301 1000 : 0
113  b .  301 0   101 1000 : 0 duplicate-ack
114  b .  301 0   101 1000 : 0 duplicate-ack
134  a .  101 10  301 1000 : 0 out-of-order`},
	{"whoever acknowledges what the capture lacks is taken for asked by duplicates itself", opened + `
12   b .  311 10  101 1000 : 0
13   b .  321 0   201 1000 : 0
14   b .  301 10  201 1000 : 0 retransmission`},
	{"until its peer's ACK moves", opened + `
12   b .  311 20  101 1000 : 0
13   b .  331 0   201 1000 : 0
14   a .  201 0   311 1000 : 0
15   b .  311 10  201 1000 : 0 out-of-order`},
	{"a keep-alive stands one below, with an octet or none, and its ACK is no duplicate", opened + `
11   a .  101 10  301 1000 : 0
12   b .  301 0   111 1000 : 0
5000 a .  110 0   301 1000 : 0 keep-alive
5001 b .  301 0   111 1000 : 0
6000 a .  110 1   301 1000 : 0 keep-alive
6001 b .  301 0   111 1000 : 0
6002 b .  301 0   111 1000 : 0`},
	{"the ACK after another segment is one", opened + `
11   a .  101 10  301 1000 : 0
12   b .  301 0   111 1000 : 0
5000 a .  110 0   301 1000 : 0 keep-alive
5001 a .  111 1   301 1000 : 0
5002 b .  301 0   111 1000 : 0 duplicate-ack`},
	{"a SYN, FIN or RST one below is no keep-alive", opened + `
11   a .  101 10  301 1000 : 0
12   a R  110 0   0   1000 : 0`},
	{"an ACK with another window is an update, no duplicate", opened + `
11   a .  101 10  301 1000 : 0
13   b .  301 0   101 1001 : 0
14   b .  301 0   101 1001 : 0 duplicate-ack`},
	{"ACKs of a closed window are no duplicates", opened + `
11   a .  101 10  301 1000 : 0
12   b .  301 0   111 0    : 0 zero-window
13   b .  301 0   111 0    : 0 zero-window`},
	{"the window of a SYN, FIN or RST closes none", `
0    a S  100 0   0   0    : 0
1    b R. 0   0   101 0    : 0
2    a FR 101 0   0   0    : 0`},
	{"an octet into a closed window is a probe and takes no number", opened + `
11   a .  101 10  301 1000 : 0
12   b .  301 0   111 0    : 0 zero-window
300  a .  111 1   301 1000 : 0
301  b .  301 0   111 0    : 0 zero-window
900  a .  111 1   301 1000 : 0
901  b .  301 0   111 1000 : 0
902  a .  111 10  301 1000 : 0`},
	{"segments that begin one below with more than an octet bring new ones", opened + `
11   a .  101 10  301 1000 : 0
12   a .  110 10  301 1000 : 0`},
	{"where the clock goes back, nothing is out of order", opened + `
30   a .  111 10  301 1000 : 0
20   a .  101 10  301 1000 : 0 retransmission`},
	{"number 0 counts as none seen", `
0    a .  4294967286 10 301 1000 : 0
100  a .  4294967286 10 301 1000 : 0`},
	{"a RST without ACK takes the ACK back by which its peer sends in vain", opened + `
11   a .  101 10  301 1000 : 0
12   b .  301 0   111 1000 : 0
13   b R  301 0   0   0    : 0
300  a .  101 10  301 1000 : 0 retransmission
301  a .  101 5   301 1000 : 0 retransmission`},
	{"both ends of the numbers meet", `
0    a .  4294967280 10 301 1000 : 0
1    a .  4294967290 20 301 1000 : 0
300  a .  4294967280 10 301 1000 : 0 retransmission
301  b .  301 0 14 1000 : 0
302  a .  4294967290 20 301 1000 : 0 retransmission`},
}

var streamCases = []struct{ why, script string }{
	{"a SYN with another number begins a stream, whatever became of the one before", opened + `
20   a S  900 0   0   1000 : 1
21   b S. 700 0   901 1000 : 1
22   a .  101 0   301 1000 : 1`},
	{"the same number again is the same stream, even after FIN and RST (later versions part here)", opened + `
20   a F. 101 0   301 1000 : 0
21   b R  301 0   0   0    : 0
900  a S  100 0   0   1000 : 0 retransmission`},
	{"a SYN+ACK with another number only changes where its sender begins", opened + `
20   b S. 500 0   101 1000 : 0
21   b S  500 0   0   1000 : 0
22   b S  501 0   0   1000 : 1`},
	{"a stream met midway begins one below its first number", `
0    a .  101 10  301 1000 : 0
100  a S  100 0   0   1000 : 0 retransmission
200  b S  300 0   0   1000 : 0
300  b S  301 0   0   1000 : 1`},
	{"who has only been acknowledged begins one below that", `
0    a .  101 0   301 1000 : 0
1    b S  299 0   0   1000 : 1`},
	{"a SYN's own ACK field tells nothing", `
0    a S  100 0   301 1000 : 0
1    b S  299 0   0   1000 : 0`},
	{"the other side's SYN is of the same stream (simultaneous open)", `
0    a S  100 0   0   1000 : 0
1    b S  300 0   0   1000 : 0
2    a S. 100 0   301 1000 : 0 retransmission
3    b S. 300 0   101 1000 : 0 retransmission`},
}

func TestWiresharkMarks(t *testing.T) {
	for _, c := range append(markCases, streamCases...) {
		t.Run(c.why, func(t *testing.T) {
			w := newConversations(conversationsKept, nil)
			for _, l := range streamLines(t, c.script) {
				k, s := KeyOf(&l.x)
				c, is := w.segment(&k, nil, s, &l.x)
				if got := strings.TrimSpace(fmt.Sprint(c.stream, " ", is)); got != l.want {
					t.Errorf("%s\nis %s", l.text, got)
				}
			}
		})
	}
}

// String spells the flags that are counted.
func (f streamFlags) String() string {
	var names []string
	for _, is := range []struct {
		flag streamFlags
		name string
	}{
		{streamRetransmission, "retransmission"}, {streamOutOfOrder, "out-of-order"},
		{streamDuplicateACK, "duplicate-ack"}, {streamKeepAlive, "keep-alive"}, {streamZeroWindow, "zero-window"},
	} {
		if f&is.flag != 0 {
			names = append(names, is.name)
		}
	}
	return strings.Join(names, " ")
}

type streamLine struct {
	text string
	x    Segment
	want string
}

// streamLines reads a script.
func streamLines(t *testing.T, script string) (lines []streamLine) {
	t.Helper()
	for text := range strings.Lines(strings.TrimSpace(script)) {
		segment, want, _ := strings.Cut(text, ":")
		l := streamLine{text: strings.TrimSpace(text), want: strings.TrimSpace(want)}
		x := &l.x
		var ms int64
		var who, flags string
		if _, err := fmt.Sscan(segment, &ms, &who, &flags, &x.Seq, &x.Len, &x.Ack, &x.Window); err != nil {
			t.Fatalf("%s: %v", l.text, err)
		}
		x.Time, x.Flags = 1e18+ms*1e6, flagsOf(flags)
		x.Src, x.Dst, x.SrcPort, x.DstPort = AddrFrom4([4]byte{10, 0, 0, 1}), AddrFrom4([4]byte{10, 0, 0, 2}), 4000, 80
		if who == "b" {
			x.Src, x.Dst, x.SrcPort, x.DstPort = x.Dst, x.Src, 80, 4000
		}
		lines = append(lines, l)
	}
	return lines
}

func flagsOf(letters string) (f Flags) {
	for _, l := range letters {
		f |= 1 << strings.IndexRune(flagLetters, l)
	}
	return f
}

// The segments are those of one client and server, as flags, with + where they
// carry data; those of the server in brackets.
func TestWiresharkCompleteness(t *testing.T) {
	for _, c := range []struct {
		why, segments string
		want          uint8
	}{
		{"a SYN", "S", 1},
		{"a SYN with data (Fast Open)", "S+", 9},
		{"SYN_SENT: no bit for the second SYN", "S S", 1},
		{"CLIENT_ESTABLISHED", "S (S.)", 3},
		{"ESTABLISHED", "S (S.) .", 7},
		{"any ACK without data counts, the server's too", "S (S.) (.)", 7},
		{"data sets no ACK bit", "S (S.) .+", 11},
		{"DATA", "S (S.) . P.+", 15},
		{"one side's FIN is enough", "S (S.) . P.+ F.", 31},
		{"a FIN without data is an ACK besides", "S (S.) F.", 23},
		{"a FIN without ACK is nothing", "S (S.) . F", 7},
		{"RST", "S (S.) . P.+ (R)", 47},
		{"RST and FIN", "S (S.) . P.+ F. R", 63},
		{"refused: RST+ACK sets the ACK bit too", "S (R.)", 37},
		{"Complete, NO_DATA", "S (S.) . F. (F.) .", 23},
		{"the first frame of a stream met midway adds nothing", ".", 0},
		{"unless another follows: it then counts in the second pass", ". .+", 12},
		{"SYN+ACK first", "(S.)", 0},
		{"SYN+ACK first, and more", "(S.) .", 6},
		{"a lone RST", "R", 0},
		{"a SYN is sought in the first frame alone", "(S.) S", 2},
	} {
		w := newConversations(conversationsKept, nil)
		var last *conversation
		for i, text := range strings.Fields(c.segments) {
			x := Segment{Src: AddrFrom4([4]byte{10, 0, 0, 1}), Dst: AddrFrom4([4]byte{10, 0, 0, 2}), SrcPort: 4000, DstPort: 80, Time: int64(i)}
			if trimmed := strings.Trim(text, "()"); trimmed != text {
				x.Src, x.Dst, x.SrcPort, x.DstPort = x.Dst, x.Src, 80, 4000
				text = trimmed
			}
			if flags, data := strings.CutSuffix(text, "+"); data {
				x.Len, text = 10, flags
			}
			x.Flags, x.Ack = flagsOf(text), 1
			k, s := KeyOf(&x)
			last, _ = w.segment(&k, nil, s, &x)
		}
		if last.stream != 0 || last.completeness != c.want {
			t.Errorf("%s: %s is %d, want %d (stream %d)", c.why, c.segments, last.completeness, c.want, last.stream)
		}
	}
}

// A SYN that begins a stream on a pair in use is not the first frame of one: it
// sets the bit of SYN, and none for its data.
func TestWiresharkReuseIsIncomplete(t *testing.T) {
	w := newConversations(conversationsKept, nil)
	x := Segment{SrcPort: 4000, DstPort: 80, Flags: SYN, Seq: 100}
	k, s := KeyOf(&x)
	first, _ := w.segment(&k, nil, s, &x)
	x.Seq, x.Len = 200, 10
	if c, _ := w.segment(&k, nil, s, &x); c == first || c.completeness != completeSYN {
		t.Errorf("stream %d is %d complete", c.stream, c.completeness)
	}
}
