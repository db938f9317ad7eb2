package agree

import (
	"flag"
	"net/netip"
	"os"
	"path"
	"strings"
	"testing"
)

// golden has tshark's answers for every capture of the repository that it can
// read.
const (
	golden = "testdata/tshark.txt"
	root   = "../.."
	enough = 0.99 // of the streams in each column
)

func answers(t *testing.T) *Answers {
	t.Helper()
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Decode(string(text))
	if err != nil {
		t.Fatalf("%s: %v", golden, err)
	}
	if a.Encode() != string(text) {
		t.Errorf("%s is not what Encode makes of it", golden)
	}
	return a
}

// TestAgainstTshark holds our numbers against tshark's answers: at least 99 of
// 100 streams agree in every column, and of the rest each is named in Excuses.
func TestAgainstTshark(t *testing.T) {
	score := NewScore()
	for _, a := range answers(t).Files {
		flows, err := Ours(path.Join(root, a.File))
		if err != nil {
			t.Errorf("%s: %v", a.File, err)
			continue
		}
		score.Add(a.File, a.Streams, flows)
		for _, f := range flows {
			if f.Frames > f.Last-f.First+1 {
				t.Errorf("%s flow %d has %d frames between its first, %d, and last, %d", a.File, f.Number, f.Frames, f.First, f.Last)
			}
		}
	}
	var table strings.Builder
	score.Table(&table)
	t.Logf("%d captures\n%s", score.Files, &table)
	if score.Files < 200 || score.Share() < enough {
		t.Errorf("%d captures, and in one column only %.2f %% of the streams agree", score.Files, 100*score.Share())
	}
	page(t, score)
	used := map[*Excuse]bool{}
	for _, d := range score.Differences {
		if used[d.Excuse] = true; d.Excuse == nil {
			t.Error(d)
		}
	}
	for i := range Excuses {
		if !used[&Excuses[i]] {
			t.Errorf("excuse %+v excuses nothing: remove it", Excuses[i])
		}
	}
}

var update = flag.Bool("update", false, "write the agreement into docs/compatibility.md")

// page holds docs/compatibility.md to the agreement as it is.
func page(t *testing.T, score *Score) {
	const file, begin, end = root + "/docs/compatibility.md", "<!-- agreement -->\n", "<!-- end -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), begin)
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s lacks %s or %s", file, begin, end)
	}
	want := before + begin + score.Markdown(answers(t).Version) + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s is stale: go test ./internal/agree -update", file)
	}
}

// TestAnswersAreComplete: nobody may add a capture without asking tshark.
func TestAnswersAreComplete(t *testing.T) {
	known := map[string]bool{}
	for _, a := range answers(t).Files {
		known[a.File] = true
	}
	files, err := Find([]string{root + "/testdata", root + "/capture/testdata"})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		_, skip, err := Args(file)
		name := strings.TrimPrefix(file, root+"/")
		if err != nil || skip == "" && !known[name] {
			t.Errorf("%s has no answer: go run ./internal/tools/agree -update (%v)", name, err)
		}
	}
}

// A frame with two TCP headers, as PDML has them: each has its own addresses
// and flags, and the one in an ICMP error is quoted.
func TestSeveralLayers(t *testing.T) {
	const pdml = `<?xml version="1.0"?><pdml>
<packet><proto name="frame"><field name="frame.number" show="7"/></proto>
<proto name="ip"><field name="ip.src" show="10.0.0.1"/><field name="ip.dst" show="10.0.0.2"/></proto>
<proto name="tcp"><field name="tcp.srcport" show="1"/><field name="tcp.dstport" show="2"/><field name="tcp.stream" show="0"/>
<field name="tcp.completeness" show="15"/><field name="tcp.analysis.keep_alive" show=""/></proto>
<proto name="ipv6"><field name="ipv6.src" show="fd00::1"/><field name="ipv6.dst" show="fd00::2"/></proto>
<proto name="tcp"><field name="tcp.srcport" show="3"/><field name="tcp.dstport" show="4"/><field name="tcp.stream" show="1"/>
<field name="tcp.completeness" show="31"/><field name="tcp.analysis.retransmission" show=""/></proto></packet>
<packet><proto name="frame"><field name="frame.number" show="8"/></proto>
<proto name="ip"><field name="ip.src" show="10.9.9.9"/><field name="ip.dst" show="10.0.0.1"/></proto><proto name="icmp"/>
<proto name="ip"><field name="ip.src" show="10.0.0.1"/><field name="ip.dst" show="10.0.0.2"/></proto>
<proto name="tcp"><field name="tcp.srcport" show="1"/><field name="tcp.dstport" show="2"/><field name="tcp.stream" show="0"/>
<field name="tcp.completeness" show="15"/></proto></packet></pdml>`
	layers, err := parsePDML(strings.NewReader(pdml))
	if err != nil {
		t.Fatal(err)
	}
	got := (&Answers{Files: []Answer{{"x", streams(layers)}}}).Encode()
	const want = "= x\n0 7-8 1 10.0.0.1:1 10.0.0.2:2 15 k1/0\n1 7-7 1 [fd00::1]:3 [fd00::2]:4 31 r1/0\n"
	if !strings.HasSuffix(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// How flows of ours and streams of theirs go together.
func TestCompare(t *testing.T) {
	const streams = "= x\n0 1-9 8 10.0.0.1:1 10.0.0.2:2 15 r2/1\n"
	a, b := "10.0.0.1:1", "10.0.0.2:2"
	for _, c := range []struct {
		why, streams string
		flows        []Flow
		want         string // differences
	}{
		{"the same", streams, []Flow{flow(0, 1, a, b, 0, 15, 2, 1)}, ""},
		{"our client is their second side", streams, []Flow{flow(0, 1, b, a, 0, 15, 1, 2)}, ""},
		{"two flows of ours (in two VLANs) are one of theirs", streams,
			[]Flow{flow(0, 1, a, b, 0, 15, 1, 1), flow(1, 2, a, b, 0, 15, 1, 0)}, ""},
		{"another number and completeness", streams, []Flow{flow(0, 1, a, b, 1, 31, 2, 1)},
			"stream 0 stream: ours 1, tshark's 0; stream 0 completeness: ours 31, tshark's 15"},
		{"no numbers are printed", streams, []Flow{flow(0, 1, a, b, -1, 15, 2, 1)}, "stream 0 stream: ours -1, tshark's 0"},
		{"a counter", streams, []Flow{flow(0, 1, a, b, 0, 15, 2, 0)}, "stream 0 retransmitted: ours 2/0, tshark's 2/1"},
		{"they see what we do not", streams, nil, "stream 0 seen: ours none, tshark's 8 segments from frame 1"},
		{"they see two, of which the second is in the middle of our flow", streams + "1 10-12 3 10.0.0.2:2 10.0.0.1:1 7 r1/4\n",
			[]Flow{flow(0, 1, a, b, 0, 15, 6, 2)}, "stream 1 seen: ours part of flow 0, tshark's 3 segments from frame 10"},
		{"two flows of ours at once, in two VLANs, and two streams one after the other", "= x\n0 1-1 1 10.0.0.1:1 10.0.0.2:2 1\n1 2-9 8 10.0.0.1:1 10.0.0.2:2 15 r3/0\n",
			[]Flow{flow(0, 1, a, b, 0, 1, 1, 0), flow(1, 2, a, b, 1, 15, 2, 0)}, ""},
		{"a reset of a connection that is not in the capture", "= x\n0 1-1 1 10.0.0.1:1 10.0.0.2:2 32\n", nil,
			"stream 0 seen: ours none, tshark's resets alone"},
		{"we see what they do not", streams, []Flow{flow(0, 1, a, b, 0, 15, 2, 1), flow(1, 20, a, b, 5, 1, 0, 0)},
			"stream 5 seen: ours flow 1, tshark's none"},
		{"streams of one pair follow one another", streams + "1 10-12 3 10.0.0.2:2 10.0.0.1:1 7\n",
			[]Flow{flow(0, 1, a, b, 0, 15, 2, 1), flow(1, 10, b, a, 1, 7, 0, 0)}, ""},
		{"only quoted", "= x\n0 1-1 0 10.0.0.1:1 10.0.0.2:2 1\n", nil, ""},
		{"a socket connected to itself has one side", "= x\n0 1-9 8 10.0.0.1:1 10.0.0.1:1 15 r2/0\n", []Flow{flow(0, 1, a, a, 0, 15, 2, 2)}, ""},
	} {
		answers, err := Decode(c.streams)
		if err != nil {
			t.Fatal(err)
		}
		s := NewScore()
		s.Add("x", answers.Files[0].Streams, c.flows)
		var got []string
		for _, d := range s.Differences {
			got = append(got, strings.TrimPrefix(d.String(), "x "))
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.why, got, c.want)
		}
	}
}

func flow(number, first int, client, server string, stream, completeness, retransmitted, byServer int) Flow {
	f := Flow{Number: number, First: first, Last: first + 11, Stream: stream, Completeness: completeness}
	f.Side[0], f.Side[1] = mustAddrPort(client), mustAddrPort(server)
	f.Counts[0][Retransmitted], f.Counts[1][Retransmitted] = retransmitted, byServer
	return f
}

var mustAddrPort = netip.MustParseAddrPort
