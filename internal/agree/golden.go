package agree

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Answers are what tshark said of some captures: the golden file has them for
// where it is not installed.
type Answers struct {
	Version string
	Files   []Answer
}

// Answer is what it said of one.
type Answer struct {
	File    string // from the root of the repository
	Streams []Stream
}

// Encode writes answers down: a line for each stream, with only the counters
// that are not 0.
func (a *Answers) Encode() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# tshark %s. Written by `go run ./internal/tools/agree -update`.\n"+
		"# stream first-last segments side side completeness; by side: r retransmitted, o out of order, d duplicate ACK,\n"+
		"# k keep-alive, z zero window\n", a.Version)
	for _, f := range a.Files {
		fmt.Fprintf(&b, "= %s\n", f.File)
		for i := range f.Streams {
			f.Streams[i].encode(&b)
		}
	}
	return b.String()
}

func (s *Stream) encode(b *strings.Builder) {
	fmt.Fprintf(b, "%d %d-%d %d %s %s %d", s.Number, s.First, s.Last, s.Segments, s.Side[0], s.Side[1], s.Completeness)
	for c := range counters {
		if n := [2]int{s.Counts[0][c], s.Counts[1][c]}; n != [2]int{} {
			fmt.Fprintf(b, " %c%d/%d", counters[c].letter, n[0], n[1])
		}
	}
	b.WriteByte('\n')
}

// Decode reads what Encode wrote.
func Decode(text string) (*Answers, error) {
	a := &Answers{}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		var err error
		switch {
		case strings.HasPrefix(line, "# tshark "):
			version, _, _ := strings.Cut(line[len("# tshark "):], " ")
			a.Version = strings.TrimSuffix(version, ".")
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "= "):
			a.Files = append(a.Files, Answer{File: line[2:]})
		case len(a.Files) == 0:
			err = fmt.Errorf("a stream before the first file")
		default:
			var s Stream
			f := &a.Files[len(a.Files)-1]
			err = s.decode(line)
			f.Streams = append(f.Streams, s)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", i+1, line, err)
		}
	}
	return a, nil
}

func (s *Stream) decode(line string) error {
	var sides [2]string
	w := strings.Fields(line)
	if len(w) < 6 {
		return fmt.Errorf("too short")
	}
	_, err := fmt.Sscanf(line, "%d %d-%d %d %s %s %d",
		&s.Number, &s.First, &s.Last, &s.Segments, &sides[0], &sides[1], &s.Completeness)
	if err != nil {
		return err
	}
	for i, text := range sides {
		if s.Side[i], err = netip.ParseAddrPort(text); err != nil {
			return err
		}
	}
	for _, text := range w[6:] {
		c := slices.IndexFunc(counters[:], func(c counter) bool { return c.letter == text[0] })
		if c < 0 {
			return fmt.Errorf("no counter %q", text)
		}
		if _, err := fmt.Sscanf(text[1:], "%d/%d", &s.Counts[0][c], &s.Counts[1][c]); err != nil {
			return err
		}
	}
	return nil
}

// Find returns the captures under some folders, sorted.
func Find(dirs []string) (files []string, err error) {
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && slices.Contains([]string{".pcap", ".pcapng", ".cap", ".snoop"}, filepath.Ext(p)) {
				files = append(files, filepath.ToSlash(p))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// argsFile is a file beside captures that says what tshark must be told to read
// them: a line has a capture's name without .pcap and the arguments, separated
// by tabs; or `-` and why there is nothing to compare.
const argsFile = "tshark.args"

// Args returns what tshark must be told for a capture; skip says why it is not
// compared, or nothing.
func Args(file string) (args []string, skip string, err error) {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(file), argsFile))
	if os.IsNotExist(err) {
		return nil, "", nil
	}
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	for line := range strings.Lines(string(text)) {
		w := strings.Split(strings.TrimSpace(line), "\t")
		if w[0] != name {
			continue
		}
		if len(w) == 3 && w[1] == "-" {
			return nil, w[2], nil
		}
		return w[1:], "", nil
	}
	return nil, "", err
}
