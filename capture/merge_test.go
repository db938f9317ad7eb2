package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// at makes a capture with a frame at each of the seconds.
func at(seconds ...uint32) []byte {
	file := pcapHeader(binary.LittleEndian, 0xa1b2c3d4, 1)
	for _, sec := range seconds {
		file = append(file, pcapRecord(binary.LittleEndian, sec, 0, plainFrame(), len(plainFrame()))...)
	}
	return file
}

// atAs makes a capture of another kind with one frame at a second.
func atAs(sec uint32, order binary.AppendByteOrder, magic, linkType uint32, frame []byte) []byte {
	return join(pcapHeader(order, magic, linkType), pcapRecord(order, sec, 0, frame, len(frame)))
}

// arpAt makes a capture with an ARP frame at a second.
func arpAt(sec uint32) []byte {
	return atAs(sec, binary.LittleEndian, 0xa1b2c3d4, 1, ether(0x0806, make([]byte, 28)))
}

// opened counts the files that are open, and the most that were at a time.
type opened struct{ now, most int }

// input reads a file from memory.
func (o *opened) input(name string, file []byte) Input {
	return Input{Name: name, Open: func(opt Options) (Source, error) {
		s := newStream(bytes.NewReader(file), name, opt)
		s.size = int64(len(file))
		o.now++
		o.most = max(o.most, o.now)
		s.closer = closing(func() { o.now-- })
		return s.identify()
	}}
}

type closing func()

func (c closing) Close() error { c(); return nil }

func TestMerge(t *testing.T) {
	ip := plainFrame()[14:]
	for _, c := range []struct {
		why   string
		files [][]byte
		want  string // capture.frame@second of each packet
		most  int    // files open at a time; 0: unchecked
	}{
		{"rotated files, given in any order, follow each other, one open at a time",
			[][]byte{at(30, 31), at(10, 11), at(20, 21)}, "2.1@10 2.2@11 3.1@20 3.2@21 1.1@30 1.2@31", 2},
		{"captures of two interfaces interleave",
			[][]byte{at(10, 12, 14), at(11, 13)}, "1.1@10 2.1@11 1.2@12 2.2@13 1.3@14", 2},
		{"at equal times the file that began first goes first: it was rotated within that moment",
			[][]byte{at(20, 21), at(10, 20, 20)}, "2.1@10 2.2@20 2.3@20 1.1@20 1.2@21", 2},
		{"a file is opened when its first frame's time has come, whatever that frame is",
			[][]byte{join(arpAt(15), at(30)[24:]), at(10, 20, 40)},
			"2.1@10 2.2@20 1.2@30 2.3@40", 2},
		{"a capture without TCP is counted", [][]byte{arpAt(15), at(5)}, "2.1@5", 1},
		{"time that runs backwards within a file brings its packets at once, as in that file alone",
			[][]byte{at(10, 20, 5, 21), at(11, 22)}, "1.1@10 2.1@11 1.2@20 1.3@5 1.4@21 2.2@22", 0},
		{"the same file twice gives every packet twice, one behind the other",
			[][]byte{at(10, 11), at(10, 11)}, "1.1@10 2.1@10 1.2@11 2.2@11", 2},
		{"captures in nanoseconds and microseconds, little and big endian, of any link type",
			[][]byte{at(10, 12), atAs(11, binary.LittleEndian, 0xa1b23c4d, 101, ip), atAs(13, binary.BigEndian, 0xa1b2c3d4, 0, join([]byte{0, 0, 0, 2}, ip))},
			"1.1@10 2.1@11 1.2@12 3.1@13", 2},
		{"equal times keep the order given", [][]byte{at(10), at(10), at(10)}, "1.1@10 2.1@10 3.1@10", 0},
		{"a capture without packets is no trouble", [][]byte{at(), at(5)}, "2.1@5", 0},
		{"disorder within a file stays within it", [][]byte{at(10, 8, 12), at(11)}, "1.1@10 1.2@8 2.1@11 1.3@12", 0},
	} {
		var o opened
		var inputs []Input
		for i, f := range c.files {
			inputs = append(inputs, o.input(fmt.Sprintf("f%d", i+1), f))
		}
		m := NewMerge(inputs, Options{})
		got, err := merged(m)
		flawed := strings.Contains(c.why, "disorder") || strings.Contains(c.why, "backwards")
		if got != c.want || (err != io.EOF) != flawed || flawed && !errors.Is(err, ErrFlawed) {
			t.Errorf("%s: %s, %v; want %s", c.why, got, err, c.want)
		}
		m.Close()
		if o.now != 0 || c.most > 0 && o.most > c.most {
			t.Errorf("%s: %d files open at the end, %d at a time", c.why, o.now, o.most)
		}
		if st := m.Stats(); st.Segments != uint64(len(strings.Fields(c.want))) || m.Size() != m.Position() {
			t.Errorf("%s: %d segments, %d of %d bytes", c.why, st.Segments, m.Position(), m.Size())
		}
	}
}

func merged(m *Merge) (string, error) {
	var list []string
	var p Packet
	for {
		if err := m.Next(&p); err != nil {
			return strings.Join(list, " "), err
		}
		const bits = 48
		f := p.Segment.Frame
		list = append(list, fmt.Sprintf("%d.%d@%d", f>>bits, f&(1<<bits-1), p.Segment.Time/1e9))
	}
}

// What is wrong with one capture is said of it, and the others are read.
func TestMergeReadsWhatItCan(t *testing.T) {
	var o opened
	cut := at(20, 21)
	m := NewMerge([]Input{
		o.input("whole", at(10, 22)),
		o.input("cut", cut[:len(cut)-3]),
		{Name: "gone", Open: func(Options) (Source, error) { return nil, openError("gone", fs.ErrNotExist) }},
		o.input("text", []byte("hello world")),
	}, Options{})
	got, err := merged(m)
	if want := "1.1@10 2.1@20 1.2@22"; got != want {
		t.Errorf("read %s, want %s", got, want)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	var wrong []string
	for _, p := range m.Parts() {
		if p.Err != nil {
			wrong = append(wrong, p.Name)
		}
	}
	if !slices.Equal(wrong, []string{"cut", "gone", "text"}) {
		t.Errorf("wrong are %v", wrong)
	}
	if again := m.Next(new(Packet)); again != err {
		t.Errorf("error is not final: %v", again)
	}
}

// A pipe is opened once, and a packet is handed on before the next is waited
// for.
func TestMergeOfPipe(t *testing.T) {
	r, w := io.Pipe()
	opens := 0
	go w.Write(at(10))
	m := NewMerge([]Input{{Name: "pipe", Once: true, Open: func(o Options) (Source, error) {
		opens++
		return NewReader(r, "pipe", o)
	}}}, Options{})
	var p Packet
	if err := m.Next(&p); err != nil || p.Segment.Time != 10e9 {
		t.Fatalf("%v at %d", err, p.Segment.Time)
	}
	w.Close()
	if err := m.Next(&p); err != io.EOF || opens != 1 {
		t.Errorf("%v, opened %d times", err, opens)
	}
}

// The same link has one number in all captures.
func TestMergeSharesLinks(t *testing.T) {
	var o opened
	tagged := pcapFile(1, ether(0x8100, join([]byte("\x00\x05\x08\x00"), plainFrame()[14:])))
	m := NewMerge([]Input{o.input("a", at(10)), o.input("b", tagged), o.input("c", at(30)), o.input("d", tagged)}, Options{})
	var numbers []uint32
	var p Packet
	for m.Next(&p) == nil {
		numbers = append(numbers, p.Segment.Link)
	}
	slices.Sort(numbers)
	if !slices.Equal(numbers, []uint32{0, 0, 1, 1}) || len(m.Links()) != 2 {
		t.Errorf("links %v: %v", numbers, m.Links())
	}
}

// To know when the time of a file has come, a long one without TCP need not be
// read.
func TestMergeLooksAtOneFrame(t *testing.T) {
	file := arpAt(10)
	for range 10_000 {
		file = append(file, arpAt(11)[24:]...)
	}
	r := bytes.NewReader(file)
	m := NewMerge([]Input{{Name: "arp", Open: func(o Options) (Source, error) {
		r.Reset(file)
		return NewReader(r, "arp", o)
	}}}, Options{})
	if read := len(file) - r.Len(); read > minWindow {
		t.Errorf("%d bytes were read", read)
	}
	if st := m.Stats(); st.Frames != 0 || st.FirstTime != 10e9 {
		t.Errorf("%d frames are counted before they are read; the first is at %d", st.Frames, st.FirstTime)
	}
	if err := m.Next(new(Packet)); err != io.EOF || m.Stats().Frames != 10_001 || m.Stats().LastTime != 11e9 {
		t.Errorf("%v after %d frames", err, m.Stats().Frames)
	}
}

// Thousands of captures that overlap take little memory each.
func TestMergeOfManyThatOverlap(t *testing.T) {
	const n = 1000
	var o opened
	var inputs []Input
	window := 0
	for i := range n {
		in := o.input(fmt.Sprint(i), at(10, uint32(20+i)))
		open := in.Open
		in.Open = func(opt Options) (Source, error) {
			src, err := open(opt)
			src.(*pcapReader).size = 1 << 30 // so it says
			if !opt.look {
				window += max(opt.Window, minWindow)
			}
			return src, err
		}
		inputs = append(inputs, in)
	}
	m := NewMerge(inputs, Options{})
	if got, err := merged(m); len(strings.Fields(got)) != 2*n || err != io.EOF || o.most != n {
		t.Errorf("%d packets, %v; %d open at a time", len(strings.Fields(got)), err, o.most)
	}
	if window > 100<<20 {
		t.Errorf("%d MiB of windows", window>>20)
	}
}

// A frame's number has no room for more captures than that.
func TestMergeOfTooMany(t *testing.T) {
	var inputs []Input
	for range analyzer.MaxCaptures + 1 {
		inputs = append(inputs, Input{Name: "x", Open: func(Options) (Source, error) { return nil, openError("x", fs.ErrNotExist) }})
	}
	parts := NewMerge(inputs, Options{}).Parts()
	if last := parts[len(parts)-1].Err; !strings.Contains(last.Error(), "at most 65,535 captures") {
		t.Error(last)
	}
}
