package report

import (
	"net/netip"
	"slices"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// The flows that every format is tested with. Together they use every field
// that an output has.

var (
	stuckCloseWait = &analyzer.Detector{
		Name: "stuck-close-wait", Severity: analyzer.Error, Stuck: true,
		Doc:       "a side has received the peer's FIN and does not close",
		Cause:     "the server's application has not closed its socket",
		Next:      "ss -tnp state close-wait",
		Reference: "RFC 9293 3.6",
	}
	challengeACK = &analyzer.Detector{
		Name: "challenge-ack", Severity: analyzer.Info,
		Doc:       "a RST or SYN inside the window was answered by an ACK",
		Cause:     "a blind reset attempt or a stale peer; the connection survived",
		Reference: "RFC 5961 3",
	}
	captureGap = &analyzer.Detector{
		Name: "capture-gap", Severity: analyzer.Warning,
		Doc:   "bytes were acknowledged that the capture does not have",
		Cause: "the capturing host lost packets",
	}
)

// Detectors that look across flows: one says little, of each pair; one says
// all that can be said, of one listener.
var (
	quietPair = &analyzer.Detector{
		Name: "quiet-pair", Severity: analyzer.Warning, Cause: "nobody talks", Next: "ask CLIENT",
		Across: &analyzer.Across{
			By:    analyzer.ByPair,
			Wants: func(*analyzer.Flow, analyzer.Side) bool { return true },
			New:   func() analyzer.Tally { return &acrossTally{} },
		},
	}
	fullListener = &analyzer.Detector{
		Name: "full-listener", Severity: analyzer.Error, Doc: "a listener is full",
		Cause: "accept() is not called", Next: "ss -tln sport = :PORT", Reference: "RFC 9293 3.9",
		Across: &analyzer.Across{
			By:    analyzer.ByListener,
			Wants: func(f *analyzer.Flow, s analyzer.Side) bool { return f.Key.Port[s] == 5432 },
			New:   func() analyzer.Tally { return &acrossTally{all: true} },
		},
	}
)

// acrossTally finds something in every group.
type acrossTally struct {
	all   bool // fills every field
	flows []int
}

func (t *acrossTally) Add(f *analyzer.Flow, _ analyzer.Side) { t.flows = append(t.flows, f.Number) }

func (t *acrossTally) Find(n *analyzer.Finding) bool {
	n.At, n.Flows, n.FlowCount = sec(7), t.flows[:min(len(t.flows), 10)], len(t.flows)
	n.Evidence = "nothing was said for 300 s"
	if t.all {
		n.Last, n.For, n.Count, n.Pending = sec(9), 2000*ms, 4, true
		n.Frame, n.Frames, n.Doubt = 120, []uint64{121, 122}, "the capture has a gap"
		n.Evidence = "4 SYN+ACKs \x1b[31m<sent> again"
	}
	return true
}

// base is the fixture's first moment: its nanoseconds must come through.
var base = time.Date(2026, 11, 21, 2, 0, 0, 1, time.UTC).UnixNano()

const ms = int64(time.Millisecond)

// sec is a point of the fixture's time.
func sec(s float64) int64 { return base + int64(s*1e9) }

func addr(s string) analyzer.Addr { return netip.MustParseAddr(s).As16() }

// newFlow makes a flow between a client and a server; the client is the
// higher side where swap is set.
func newFlow(number int, client, server string, swap bool) *analyzer.Flow {
	c, s := netip.MustParseAddrPort(client), netip.MustParseAddrPort(server)
	f := &analyzer.Flow{Number: number, ReplacedBy: -1, Start: sec(0), End: sec(300), Now: sec(300),
		FirstFrame: 120, LastFrame: 998, Frames: 44}
	f.Handshake = analyzer.Handshake{RTT: -1, RTTServer: -1, RTTClient: -1}
	f.Close.ActiveCloser = analyzer.NoSide
	if swap {
		f.Client = 1
	}
	for side, a := range map[analyzer.Side]netip.AddrPort{f.Client: c, f.Server(): s} {
		f.Key.Addr[side], f.Key.Port[side] = addr(a.Addr().String()), a.Port()
	}
	return f
}

// halfClosed is interface.md's example.
func halfClosed() *analyzer.Flow {
	f := newFlow(17, "10.0.0.5:51544", "10.0.0.9:5432", false)
	f.Link = 1
	f.Handshake = analyzer.Handshake{Result: analyzer.HandshakeEstablished, RTT: 12100000, RTTServer: 11900000,
		RTTClient: 200000, Tap: analyzer.TapNearClient}
	f.Close = analyzer.Close{Result: analyzer.CloseHalfClosed, ActiveCloser: 0, By: analyzer.CloseByFIN, Duration: 288200 * ms}
	f.Sides[0] = analyzer.Endpoint{State: analyzer.FinWait2, Basis: analyzer.Inferred, Since: sec(11.8), LastSent: sec(11.8),
		Counters: analyzer.Counters{Segments: 20, Bytes: 811, SYN: 1, FIN: 1},
		Offered: analyzer.Negotiated{Known: true, Options: analyzer.Options{MSS: 1460, WindowScale: 7,
			Set: analyzer.OptMSS | analyzer.OptWindowScale | analyzer.OptSACKPermitted | analyzer.OptTimestamps}}}
	f.Sides[1] = analyzer.Endpoint{State: analyzer.CloseWait, Since: sec(11.8), LastSent: sec(11.8),
		Counters: analyzer.Counters{Segments: 24, Bytes: 1204, Retransmitted: 2, OutOfOrder: 3, DuplicateACK: 4, KeepAlive: 5,
			ZeroWindow: 6, Resets: 7, SYN: 8, FIN: 9, CaptureDuplicates: 10, CaptureLostBytes: 11},
		Offered: analyzer.Negotiated{Known: true, Options: analyzer.Options{Set: analyzer.OptFastOpen}}}
	f.Transitions = []analyzer.Transition{
		{Side: 0, From: analyzer.Closed, To: analyzer.SynSent, Trigger: analyzer.SndSYN, Time: sec(0), Frame: 120},
		{Side: 1, From: analyzer.SynReceived, To: analyzer.Established, Trigger: analyzer.RcvACKofSYN, Basis: analyzer.Inferred,
			Time: sec(0.0121), Frame: 122, ConfirmedAt: sec(0.0321), ConfirmedFrame: 124},
		{Side: 0, From: analyzer.FinWait1, To: analyzer.FinWait2, Trigger: analyzer.RcvACKofFIN, Basis: analyzer.Inferred,
			Time: sec(11.5), Frame: 130, Withdrawn: &analyzer.Withdrawal{Why: "FIN sent again in frame 133, 210 ms after the ACK passed", Frame: 133}},
		{Side: 0, From: analyzer.FinWait1, To: analyzer.FinWait2, Trigger: analyzer.RcvACKofFIN, Basis: analyzer.Inferred,
			Time: sec(11.8), Frame: 131},
	}
	f.Zeek = analyzer.Zeek{ConnState: "S2", History: []byte("ShADFa")}
	f.Wireshark = analyzer.Wireshark{Stream: 3, Completeness: 31}
	f.Findings = []analyzer.Finding{{
		Detector: stuckCloseWait, Next: stuckCloseWait.Next, Severity: analyzer.Error, Side: 1, At: sec(11.8), Last: sec(300), Frame: 131,
		Frames: []uint64{129, 133}, For: 288200 * ms, Count: 2,
		Evidence: "client's FIN (frame 129) acknowledged in frame 131; no FIN from the server in the 288.2 s that follow",
	}}
	return f
}

// acrossCaptures is halfClosed with its frames in two captures of several, the
// later half in the one that was given first.
func acrossCaptures() *analyzer.Flow {
	f := halfClosed()
	f.Link = 0
	f.FirstFrame, f.LastFrame = inCapture(f.FirstFrame), inCapture(f.LastFrame)
	for i := range f.Transitions {
		t := &f.Transitions[i]
		t.Frame, t.ConfirmedFrame = inCapture(t.Frame), inCapture(t.ConfirmedFrame)
		if w := t.Withdrawn; w != nil {
			w.Frame = inCapture(w.Frame)
			w.Why = "FIN sent again in frame " + analyzer.FrameText(w.Frame) + ", 210 ms after the ACK passed"
		}
	}
	n := &f.Findings[0]
	n.Frame = inCapture(n.Frame)
	for i := range n.Frames {
		n.Frames[i] = inCapture(n.Frames[i])
	}
	n.Evidence = "client's FIN (frame " + analyzer.FrameText(n.Frames[0]) + ") acknowledged in frame " + analyzer.FrameText(n.Frame)
	return f
}

// inCapture puts the frames from 130 on into capture 2, the others into 4.
func inCapture(n uint64) uint64 {
	switch {
	case n == 0:
		return 0
	case n < 130:
		return analyzer.FrameIn(4, n)
	}
	return analyzer.FrameIn(2, n-129)
}

// captureNames are those of as many captures as there are files.
func captureNames(files []File) (names []string) {
	for i := range files {
		names = append(names, string(files[i].Name))
	}
	return names
}

// manyFiles is five captures read as one.
func manyFiles() (files []File) {
	first, last := Time(sec(0)), Time(sec(300))
	for _, name := range []string{"ring.pcap2", "ring\x1b.pcap1", "ring.pcap3", "ring.pcap0", "ring.pcap4"} {
		files = append(files, File{Name: Text(name), Format: "pcap", Frames: 1000, Segments: 990, Skipped: Counts{"arp": 10}, First: &first, Last: &last})
	}
	files[4].Error = "ring.pcap4: frame 1001 at byte 88,310: record claims 4,294,967,295 bytes"
	files[4].Duplicates = 3
	return files
}

// hostile has text that a terminal must not get, all doubts, and IPv6.
func hostile() *analyzer.Flow {
	f := newFlow(2, "[fd77::1]:40000", "[2001:db8:0:1:1:1:1:1]:443", true)
	f.Link = 2
	f.Guessed = true
	f.ReplacedBy = 3
	f.Handshake.Result = analyzer.HandshakeMidstream
	f.Sides[0] = analyzer.Endpoint{State: analyzer.Established, Basis: analyzer.Assumed}
	f.Sides[1] = analyzer.Endpoint{State: analyzer.Established, Basis: analyzer.Assumed, Since: sec(1)}
	f.Findings = []analyzer.Finding{
		{Detector: challengeACK, Severity: analyzer.Info, Side: 1, At: sec(5), Count: 3, Pending: true,
			Evidence: "RST <seq 12> in \"window\" \x1b[31m\u202e\xff\x00 & answered", Doubt: "the capture has a gap"},
		{Detector: captureGap, Severity: analyzer.Warning, Side: analyzer.NoSide, At: sec(6), Frame: 200, Count: 1,
			Evidence: "1,448 bytes acknowledged in frame 200 were never captured"},
	}
	return f
}

// refused ends before flow 2 begins and has no finding.
func refused() *analyzer.Flow {
	f := newFlow(0, "192.0.2.7:33000", "198.51.100.1:80", false)
	f.End, f.Now, f.Frames = sec(0.0005), sec(300), 2
	f.Handshake = analyzer.Handshake{Result: analyzer.HandshakeRefused, RTT: -1, RTTServer: 0, RTTClient: -1, SYNRetransmits: 1}
	f.Close = analyzer.Close{Result: analyzer.CloseReset, ActiveCloser: 1, By: analyzer.CloseByRST}
	f.Sides[0] = analyzer.Endpoint{State: analyzer.Closed, Basis: analyzer.Inferred, Since: sec(0.0005)}
	f.Sides[1] = analyzer.Endpoint{State: analyzer.Closed, Since: sec(0.0005)}
	f.Transitions = []analyzer.Transition{
		{Side: 0, From: analyzer.SynSent, To: analyzer.Closed, Trigger: analyzer.Timeout, Basis: analyzer.Assumed, Time: sec(127)},
	}
	return f
}

// fixture is the flows in the order in which they end.
func fixture() []*analyzer.Flow { return []*analyzer.Flow{halfClosed(), refused(), hostile()} }

func fixtureMeta() *Meta {
	return &Meta{Type: "meta", Schema: Schema, Tool: "tcpflow-states", Version: "v0.0.0-test",
		Files: []Text{"edge.pcap", "odd\x1b]0;name.pcap"},
		Options: MetaOptions{OS: "linux", StuckAfter: map[string]Seconds{"CLOSE_WAIT": Seconds(30 * time.Second)}, MaxFlows: 10,
			Flow: []int{2, 17}, Host: []string{"10.0.0.0/8"}, Port: []string{"443"}, State: []string{"CLOSE_WAIT@server"},
			Finding: []string{"stuck-close-wait"}, MinSeverity: "info"},
	}
}

func fixtureOptions() Options {
	origins := []Origin{{}, {File: "edge.pcap", Link: analyzer.Link{Interface: "eth0", VLAN: []uint16{100, 7}, Tunnel: []string{"vxlan:42", "gre"}}},
		{File: "odd\x1b]0;name.pcap", Link: analyzer.Link{Interface: "e\x07th\x9b\u009b"}}}
	return Options{Origin: func(f *analyzer.Flow) Origin { return origins[f.Link] }}
}

func fixtureFiles() []File {
	first, last := Time(sec(0)), Time(sec(300))
	return []File{
		{Name: "edge.pcap", Format: "pcap", Frames: 12044, Segments: 11898, ICMPErrors: 2, Skipped: Counts{"arp": 120, "udp": 24},
			First: &first, Last: &last, Duplicates: 12, Truncated: 3, TimeBackwards: 4, Dropped: 5, Evicted: 6, Strays: 7,
			Error: "edge.pcap: frame 12045 at byte 88,310: record claims 4,294,967,295 bytes: capture is damaged from here; results cover frames 1-12044"},
		{Name: "odd\x1b]0;name.pcap", Error: "no such file or directory"},
	}
}

// fixtureLadder is the steps of halfClosed.
func fixtureLadder() *Ladder {
	l := &Ladder{}
	fixtureSteps(l, func(n uint64) uint64 { return n })
	return l
}

// fixtureSteps adds the steps, with the frames' numbers as number gives them.
func fixtureSteps(l *Ladder, number func(uint64) uint64) {
	step := func(at float64, frame uint64, from analyzer.Side, flags analyzer.Flags, seq, ack, n uint32, facts analyzer.Facts,
		client, server analyzer.State, cb, sb analyzer.Basis) {
		l.Step(&analyzer.Step{Segment: &analyzer.Segment{Frame: number(frame), Time: sec(at), Flags: flags, Len: n}, From: from, Facts: facts,
			Seq: seq, Ack: ack, State: [2]analyzer.State{client, server}, Basis: [2]analyzer.Basis{cb, sb}})
	}
	const (
		obs, inf, asm = analyzer.Observed, analyzer.Inferred, analyzer.Assumed
		sSent, sRcvd  = analyzer.SynSent, analyzer.SynReceived
		est, fw1, fw2 = analyzer.Established, analyzer.FinWait1, analyzer.FinWait2
		cw            = analyzer.CloseWait
		S, F, A, P    = analyzer.SYN, analyzer.FIN, analyzer.ACK, analyzer.PSH
	)
	step(0, 120, 0, S, 0, 0, 0, analyzer.FactSYN, sSent, analyzer.Listen, obs, asm)
	step(0.0119, 121, 1, S|A, 0, 1, 0, analyzer.FactSYNACK, est, sRcvd, inf, obs)
	step(0.0121, 122, 0, A, 1, 1, 0, analyzer.FactACK, est, est, obs, inf)
	step(0.0321, 124, 1, P|A, 1, 1, 1204, analyzer.FactData, est, est, obs, obs)
	step(11, 128, 0, P|A, 4294966000, 4294960000, 1448, analyzer.FactData|analyzer.FactRetransmission|analyzer.FactKeepAlive, est, est, obs, obs)
	step(11.4, 129, 0, F|A, 1449, 1205, 0, analyzer.FactFIN, fw1, cw, obs, inf)
	step(11.5, 130, 1, A, 1205, 1450, 0, analyzer.FactACK, fw2, cw, inf, obs)
	step(11.71, 133, 0, F|A, 1449, 1205, 0, analyzer.FactFIN|analyzer.FactRetransmission, fw1, cw, obs, obs)
	step(11.8, 134, 1, A, 1205, 1450, 0, analyzer.FactDuplicateACK, fw2, cw, inf, obs)
}

// run pushes flows through a format and returns nothing but an error: what
// was written is in w.
func run(r Renderer, flows []*analyzer.Flow) error {
	t := NewTally()
	rollup := analyzer.NewRollup([]*analyzer.Detector{quietPair, fullListener})
	for _, f := range flows {
		t.Add(f)
		rollup.Add(f)
		if err := r.Flow(f); err != nil {
			return err
		}
	}
	t.Pass()
	found := rollup.Findings()
	for i := range found {
		t.AddAcross(&found[i])
	}
	s := t.Summary()
	s.AddRollup(rollup)
	for _, f := range fixtureFiles() {
		s.AddFile(f)
	}
	return r.Close(s)
}

// many makes n flows from the fixture, numbered in reverse.
func many(n int) []*analyzer.Flow {
	var flows []*analyzer.Flow
	for i := range n {
		f := *fixture()[i%3]
		f.Number = n - 1 - i
		f.Findings = slices.Clone(f.Findings)
		flows = append(flows, &f)
	}
	return flows
}
