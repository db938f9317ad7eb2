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
)

// at makes a capture with a frame at each of the seconds.
func at(seconds ...uint32) []byte {
	file := pcapHeader(binary.LittleEndian, 0xa1b2c3d4, 1)
	for _, sec := range seconds {
		file = append(file, pcapRecord(binary.LittleEndian, sec, 0, plainFrame(), len(plainFrame()))...)
	}
	return file
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
		flawed := strings.Contains(c.why, "disorder")
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
