package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tcpflow-states": main,
		// The same with two detectors whose findings are easily had, so that
		// these tests do not depend on what the real ones find.
		"finding-states": func() {
			analyzer.Detectors = []*analyzer.Detector{testError, testInfo}
			main()
		},
		// And with one that looks across flows.
		"across-states": func() {
			analyzer.Detectors = []*analyzer.Detector{testError, testInfo, testAcross}
			main()
		},
	})
}

var (
	testError = &analyzer.Detector{Name: "test-error", Severity: analyzer.Error, Doc: "a server is in CLOSE_WAIT",
		Cause: "it does not close", Next: "look at it", Reference: "RFC 9293 3.6"}
	testInfo = &analyzer.Detector{Name: "test-info", Doc: "there is a flow", Cause: "somebody opened one"}

	testAcross = &analyzer.Detector{Name: "test-across", Severity: analyzer.Warning, Doc: "a client has two flows",
		Cause: "it opened two", Next: "ask CLIENT",
		Across: &analyzer.Across{
			By:    analyzer.ByHost,
			Wants: func(f *analyzer.Flow, s analyzer.Side) bool { return s == f.Client },
			New:   func() analyzer.Tally { return &twoFlows{} },
		}}
)

// twoFlows finds clients that have two flows.
type twoFlows struct {
	first   int64
	numbers []int
}

func (t *twoFlows) Add(f *analyzer.Flow, _ analyzer.Side) {
	if t.numbers == nil {
		t.first = f.Start
	}
	t.numbers = append(t.numbers, f.Number)
}

func (t *twoFlows) Find(n *analyzer.Finding) bool {
	n.At, n.Flows, n.FlowCount = t.first, t.numbers, len(t.numbers)
	n.Evidence = fmt.Sprintf("%d flows of one client", len(t.numbers))
	return len(t.numbers) > 1
}

func init() {
	testError.End = func(_ *analyzer.Detector, f *analyzer.Flow) {
		if f.Sides[f.Server()].State == analyzer.CloseWait {
			f.Raise(analyzer.Finding{Detector: testError, Severity: analyzer.Error, Side: f.Server(),
				At: f.End, For: f.Now - f.End, Frame: f.LastFrame, Evidence: "no FIN from the server after frame " + analyzer.FrameText(f.LastFrame)})
		}
	}
	testInfo.End = func(_ *analyzer.Detector, f *analyzer.Flow) {
		f.Raise(analyzer.Finding{Detector: testInfo, Side: analyzer.NoSide, At: f.Start,
			Frame: f.FirstFrame, Evidence: "its first frame is here"})
	}
}

// Each script of testdata is a case of the command line; what it is for
// stands at its head.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"pcap": makePcap,
			"drop": makeDrops,
			"exit": exitCode,
		},
		Setup: func(env *testscript.Env) error {
			for _, v := range os.Environ() {
				if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "TCPFLOW_STATES_") || name == "COLUMNS" {
					env.Setenv(name, "")
				}
			}
			env.Setenv("ESC", "\x1b") // scripts are text
			own, _, _ := strings.Cut(env.Getenv("PATH"), string(os.PathListSeparator))
			env.Setenv("OWN", own) // a PATH with nothing else
			pcaps, err := filepath.Abs(filepath.Join("..", "..", "testdata", "pcaps"))
			env.Setenv("PCAPS", pcaps)
			return err
		},
	})
}

// exitCode is `exit N command…`: runs a command and wants that exit code,
// which exec can only tell from 0.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit N command…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		text, ok := strings.CutPrefix(err.Error(), "exit status ")
		code, convErr := strconv.Atoi(text)
		if !ok || convErr != nil {
			ts.Fatalf("%v", err)
		}
		got = code
	}
	if want := args[0]; strconv.Itoa(got) != want {
		ts.Fatalf("exit code %d, want %s", got, want)
	}
}

// makePcap is `pcap OUT IN [CUT]`: makes a capture of segments as tcpdump
// prints them, a line each:
//
//	0.012 10.0.0.1:1000 > 10.0.0.2:80 S. 100 ack 1 len=0
//
// CUT leaves out so many bytes at its end. Lines behind `times N APART` are played N
// times, so many seconds apart, from the next client port each time; a capture with
// such lines is in the order of time.
func makePcap(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: pcap OUT IN [CUT]")
	}
	packets, err := parseSegments(ts.ReadFile(args[1]))
	ts.Check(err)
	le := binary.LittleEndian
	out := []byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x65\x00\x00\x00") // LINKTYPE_RAW
	for _, p := range packets {
		us := uint64(p.at*1e6 + 0.5)
		out = le.AppendUint32(out, uint32(1_800_000_000+us/1e6))
		out = le.AppendUint32(out, uint32(us%1e6))
		out = le.AppendUint32(out, uint32(len(p.data)))
		out = le.AppendUint32(out, uint32(len(p.data)))
		out = append(out, p.data...)
	}
	if len(args) > 2 {
		cut, err := strconv.Atoi(args[2])
		ts.Check(err)
		out = out[:len(out)-cut]
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out, 0o666))
}

// makeDrops is `drop OUT IN N`: makes a pcapng of a capture of pcap, with the
// statistics of its interface, of which N frames were dropped.
func makeDrops(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: drop OUT IN N")
	}
	dropped, err := strconv.ParseUint(args[2], 10, 64)
	ts.Check(err)
	le := binary.LittleEndian
	var out []byte
	block := func(kind uint32, body []byte) {
		body = append(body, make([]byte, -len(body)&3)...)
		size := uint32(12 + len(body))
		out = append(le.AppendUint32(le.AppendUint32(out, kind), size), body...)
		out = le.AppendUint32(out, size)
	}
	block(0x0a0d0d0a, []byte("\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"))
	block(1, []byte("\x65\x00\x00\x00\x00\x00\x04\x00")) // LINKTYPE_RAW
	for in := []byte(ts.ReadFile(args[1]))[24:]; len(in) > 0; {
		at, size := uint64(le.Uint32(in))*1e6+uint64(le.Uint32(in[4:])), le.Uint32(in[8:])
		body := le.AppendUint32(le.AppendUint32(make([]byte, 4), uint32(at>>32)), uint32(at))
		block(6, append(append(body, in[8:16]...), in[16:16+size]...))
		in = in[16+size:]
	}
	body := append(make([]byte, 12), 7, 0, 8, 0) // isb_osdrop, 4.6
	block(5, le.AppendUint32(le.AppendUint64(body, dropped), 0))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out, 0o666))
}

// timed is a packet and when it was captured, s.
type timed struct {
	at   float64
	data []byte
}

// parseSegments makes packets of lines.
func parseSegments(text string) (packets []timed, err error) {
	times, apart, sorted := 1, 0.0, true
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if n, _ := fmt.Sscanf(line, "times %d %f", &times, &apart); n == 2 {
			sorted = false
			continue
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for k := range times {
			at, packet, err := parseSegment(line)
			if err != nil {
				return nil, err
			}
			shiftPort(packet, k)
			packets = append(packets, timed{at + float64(k)*apart, packet})
		}
	}
	if !sorted {
		slices.SortStableFunc(packets, func(a, b timed) int { return cmp.Compare(a.at, b.at) })
	}
	return packets, nil
}

// shiftPort adds to the client's port, the higher one, of a packet of parseSegment.
func shiftPort(packet []byte, by int) {
	be := binary.BigEndian
	from, to := packet[20:], packet[22:]
	if be.Uint16(from) < be.Uint16(to) {
		from = to
	}
	be.PutUint16(from, be.Uint16(from)+uint16(by))
}

// parseSegment makes an IPv4 packet of a line.
func parseSegment(line string) (at float64, packet []byte, err error) {
	f := strings.Fields(line)
	if len(f) != 9 {
		return 0, nil, fmt.Errorf("%q: want TIME SRC > DST FLAGS SEQ ack ACK len=N", line)
	}
	at, err = strconv.ParseFloat(f[0], 64)
	if err != nil {
		return 0, nil, err
	}
	src, dst := netip.MustParseAddrPort(f[1]), netip.MustParseAddrPort(f[3])
	var n [3]uint32
	for i, word := range []string{f[5], f[7], strings.TrimPrefix(f[8], "len=")} {
		v, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return 0, nil, err
		}
		n[i] = uint32(v)
	}
	be := binary.BigEndian
	packet = be.AppendUint16([]byte{0x45, 0}, uint16(40+n[2]))
	packet = append(packet, 0, 0, 0, 0, 64, 6, 0, 0)
	packet = append(packet, src.Addr().AsSlice()...)
	packet = append(packet, dst.Addr().AsSlice()...)
	packet = be.AppendUint16(packet, src.Port())
	packet = be.AppendUint16(packet, dst.Port())
	packet = be.AppendUint32(packet, n[0])
	packet = be.AppendUint32(packet, n[1])
	packet = append(packet, 5<<4, byte(parseFlags(f[4])), 0xff, 0xff, 0, 0, 0, 0)
	return at, append(packet, make([]byte, n[2])...), nil
}

// parseFlags reads tcpdump's letters.
func parseFlags(s string) (flags analyzer.Flags) {
	for bit := range 8 {
		if strings.ContainsAny(s, analyzer.Flags(1<<bit).String()) {
			flags |= 1 << bit
		}
	}
	return flags
}
