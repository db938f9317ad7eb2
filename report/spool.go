package report

import (
	"fmt"
	"maps"
	"os"
	"slices"
)

// spoolMemory is how much a spool holds before it goes to a file.
const spoolMemory = 32 << 20

// spool keeps encoded flows until their number's turn comes: in memory first,
// beyond a bound in a temporary file, so that one long flow at the start of a
// big capture does not hold all others in memory.
type spool struct {
	held map[int]spooled
	size int // bytes in memory
	file *os.File
	end  int64
}

// spooled is where a flow is: in memory, or at off in the file.
type spooled struct {
	b   []byte
	off int64
	n   int
}

// put keeps a copy of b under number. Nothing is kept of an empty b but that
// its number has come.
func (s *spool) put(number int, b []byte) error {
	if s.held == nil {
		s.held = map[int]spooled{}
	}
	if len(b) == 0 || s.size+len(b) <= spoolMemory {
		s.size += len(b)
		s.held[number] = spooled{b: slices.Clone(b)}
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "tcpflow-states-*.ndjson")
		if err != nil {
			return fmt.Errorf("flows that wait for their turn fill the memory: %w: set TMPDIR to a directory with room, or use -o ndjson", err)
		}
		// The name goes at once where the system allows it: nothing is left
		// behind however the program ends.
		s.file = f
		os.Remove(f.Name())
	}
	if _, err := s.file.WriteAt(b, s.end); err != nil {
		return fmt.Errorf("flows that wait for their turn: %w: set TMPDIR to a directory with room, or use -o ndjson", err)
	}
	s.held[number] = spooled{off: s.end, n: len(b)}
	s.end += int64(len(b))
	return nil
}

// take gives back what was put under number.
func (s *spool) take(number int) ([]byte, bool, error) {
	e, ok := s.held[number]
	if !ok {
		return nil, false, nil
	}
	delete(s.held, number)
	s.size -= len(e.b)
	if e.n == 0 {
		return e.b, true, nil
	}
	b := make([]byte, e.n)
	_, err := s.file.ReadAt(b, e.off)
	return b, true, err
}

// numbers lists what is left, in order.
func (s *spool) numbers() []int { return slices.Sorted(maps.Keys(s.held)) }

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}
