package conformance

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

// pcapRecords are the parts of a pcap file, and the times of its records.
type pcapRecords struct {
	header  []byte
	records [][]byte
	times   []uint64
}

// readRecords takes a little-endian pcap file apart.
func readRecords(file []byte) (p pcapRecords) {
	const headerLen, recordLen = 24, 16
	le := binary.LittleEndian
	p.header = file[:headerLen]
	for b := file[headerLen:]; len(b) > 0; {
		n := recordLen + int(le.Uint32(b[8:]))
		p.records = append(p.records, b[:n])
		p.times = append(p.times, uint64(le.Uint32(b))<<32|uint64(le.Uint32(b[4:])))
		b = b[n:]
	}
	return p
}

// part is a capture that has some of the frames of another.
type part struct {
	file   []byte
	frames []uint64 // their numbers there
}

// split deals the frames to k captures: to gives the one of each.
func (p *pcapRecords) split(k int, to func(i int) int) []part {
	parts := make([]part, k)
	for i := range parts {
		parts[i].file = slices.Clone(p.header)
	}
	for i, r := range p.records {
		of := &parts[to(i)]
		of.file = append(of.file, r...)
		of.frames = append(of.frames, uint64(i+1))
	}
	return parts
}

// whole gives a frame of several captures the number that it had in the one
// that they were made of.
func whole(parts []part, n uint64) uint64 {
	of, frame := analyzer.SplitFrame(n)
	if of == 0 {
		return frame
	}
	return parts[of-1].frames[frame-1]
}

var frameNumber = regexp.MustCompile(`\b(\d{15,})\b|\b(\d+) of capture (\d+)\b`)

// wholeText does the same within a sentence.
func wholeText(parts []part, text string) string {
	return frameNumber.ReplaceAllStringFunc(text, func(s string) string {
		m := frameNumber.FindStringSubmatch(s)
		number := func(s string) uint64 {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				panic(err) // the expression takes digits only
			}
			return n
		}
		if m[1] != "" {
			return strconv.FormatUint(whole(parts, number(m[1])), 10)
		}
		return strconv.FormatUint(whole(parts, analyzer.FrameIn(int(number(m[3])), number(m[2]))), 10)
	})
}

// told is what is said of a flow, in a form that can be compared.
type told struct {
	Number, ReplacedBy    int
	Client                analyzer.Side
	Guessed               bool
	Start, End            int64
	FirstFrame, LastFrame uint64
	Frames                uint64
	State                 [2]analyzer.State
	Basis                 [2]analyzer.Basis
	Since                 [2]int64
	Counters              [2]analyzer.Counters
	Handshake             analyzer.Handshake
	Close                 analyzer.Close
	Transitions           []analyzer.Transition
	Findings              []string
}

// tell reads a source to its end; frame and text give frames their numbers.
func tell(src capture.Source, frame func(uint64) uint64, text func(string) string) (flows []told, err error) {
	limits := analyzer.Limits{} // whatever is unfinished is a finding
	t := analyzer.New(analyzer.Config{Stuck: &limits, OnFlow: func(f *analyzer.Flow) {
		x := told{
			Number: f.Number, ReplacedBy: f.ReplacedBy, Client: f.Client, Guessed: f.Guessed, Start: f.Start, End: f.End,
			FirstFrame: frame(f.FirstFrame), LastFrame: frame(f.LastFrame), Frames: f.Frames,
			Handshake: f.Handshake, Close: f.Close, Transitions: slices.Clone(f.Transitions),
		}
		for s := range f.Sides {
			e := &f.Sides[s]
			x.State[s], x.Basis[s], x.Since[s], x.Counters[s] = e.State, e.Basis, e.Since, e.Counters
		}
		for i := range x.Transitions {
			tr := &x.Transitions[i]
			tr.Frame, tr.ConfirmedFrame = frame(tr.Frame), frame(tr.ConfirmedFrame)
			if w := tr.Withdrawn; w != nil {
				tr.Withdrawn = &analyzer.Withdrawal{Why: text(w.Why), Frame: frame(w.Frame)}
			}
		}
		for i := range f.Findings {
			n := f.Findings[i]
			n.Frame, n.Evidence = frame(n.Frame), text(n.Evidence)
			name := n.Detector.Name
			n.Detector = nil
			n.Frames = slices.Clone(n.Frames)
			for i := range n.Frames {
				n.Frames[i] = frame(n.Frames[i])
			}
			x.Findings = append(x.Findings, fmt.Sprintf("%s %+v", name, n))
		}
		flows = append(flows, x)
	}})
	var p capture.Packet
	for err = src.Next(&p); err == nil; err = src.Next(&p) {
		if p.Kind == capture.KindUnreachable {
			t.ObserveUnreachable(&p.Unreachable)
		} else {
			t.Observe(&p.Segment)
		}
	}
	t.Close()
	slices.SortFunc(flows, func(a, b told) int { return a.Number - b.Number })
	return flows, err
}

func merge(parts []part) *capture.Merge {
	var inputs []capture.Input
	for i := range parts {
		name := fmt.Sprintf("part %d", i+1)
		inputs = append(inputs, capture.Input{Name: name, Open: func(o capture.Options) (capture.Source, error) {
			return capture.NewReader(bytes.NewReader(parts[i].file), name, o)
		}})
	}
	return capture.NewMerge(inputs, capture.Options{Window: 16 << 10})
}

// A capture that is cut into several, given in any order, says the same as in
// one piece.
func TestMergedIsWhole(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/kernel/*/*.pcap")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	compared, dealt := 0, 0
	for n, path := range paths {
		if filepath.Base(filepath.Dir(path)) == "ip_fragments" {
			continue // a datagram that is torn between two captures is not put together
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		src, err := capture.NewReader(bytes.NewReader(file), path, capture.Options{})
		if err != nil {
			t.Fatal(err)
		}
		same := func(n uint64) uint64 { return n }
		want, err := tell(src, same, func(s string) string { return s })
		if err != io.EOF && !errors.Is(err, capture.ErrFlawed) {
			t.Fatal(err)
		}
		records := readRecords(file)
		if !slices.IsSorted(records.times) {
			continue // pieces are put in the order of time, which the whole is not in
		}
		r := rand.New(rand.NewPCG(uint64(n), 4))
		check := func(how string, parts []part) {
			r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			got, err := tell(merge(parts), func(n uint64) uint64 { return whole(parts, n) },
				func(s string) string { return wholeText(parts, s) })
			if err != io.EOF && !errors.Is(err, capture.ErrFlawed) {
				t.Fatalf("%s, %s: %v", path, how, err)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(analyzer.Transition{})); diff != "" {
				t.Errorf("%s, %s (-whole +merged):\n%s", path, how, diff)
			}
		}
		for range 3 {
			k := 2 + r.IntN(6)
			cuts := make([]int, k-1)
			for i := range cuts {
				cuts[i] = r.IntN(len(records.records) + 1)
			}
			slices.Sort(cuts)
			check("cut into files that follow each other", records.split(k, func(i int) int {
				at, _ := slices.BinarySearch(cuts, i+1)
				return at
			}))
			compared++
			if len(slices.Compact(slices.Clone(records.times))) < len(records.times) {
				continue // which of two frames of one moment came first is not known
			}
			check("dealt to files that overlap", records.split(k, func(int) int { return r.IntN(k) }))
			dealt++
		}
	}
	t.Logf("%d captures: %d times cut, %d times dealt", len(paths), compared, dealt)
	if compared < 300 || dealt < 300 {
		t.Errorf("%d and %d comparisons are too few", compared, dealt)
	}
}
