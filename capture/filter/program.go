package filter

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/bpf"
)

// ParseProgram reads a program as tcpdump -ddd prints it: the number of
// instructions, and on a line for each its code, two jumps and an operand. The
// lines may be joined by commas, as iptables takes them. The program holds for
// frames of one link type, the first that Program is asked for.
func ParseProgram(text string) (*Filter, error) {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == ',' })
	lines = trimmed(lines)
	if len(lines) == 0 {
		return nil, fmt.Errorf("no filter program in it: %s", wantProgram)
	}
	count, err := strconv.Atoi(lines[0])
	switch {
	case err != nil || count < 1 || count > maxProgram:
		return nil, fmt.Errorf("%q is no number of instructions: %s", clip(lines[0]), wantProgram)
	case len(lines)-1 != count:
		return nil, fmt.Errorf("the filter program has %d instructions and says that it has %d: %s", len(lines)-1, count, wantProgram)
	}
	f := &Filter{text: "filter program", programs: map[uint16]*Program{}}
	for i, line := range lines[1:] {
		ins, ok := instruction(line)
		if !ok {
			return nil, fmt.Errorf("%q is no instruction (%d of %d): %s", clip(line), i+1, count, wantProgram)
		}
		f.given = append(f.given, ins)
	}
	if _, err := newProgram(f.given); err != nil {
		return nil, err
	}
	return f, nil
}

const wantProgram = "give the output of tcpdump -ddd, as in: tcpdump -y EN10MB -ddd 'port 443'"

func trimmed(lines []string) (list []string) {
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// clip keeps what an error quotes short.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func instruction(line string) (ins bpf.RawInstruction, ok bool) {
	fields := strings.Fields(line)
	if len(fields) != 4 {
		return ins, false
	}
	var n [4]uint64
	for i, bits := range []int{16, 8, 8, 32} {
		var err error
		if n[i], err = strconv.ParseUint(fields[i], 10, bits); err != nil {
			return ins, false
		}
	}
	return bpf.RawInstruction{Op: uint16(n[0]), Jt: uint8(n[1]), Jf: uint8(n[2]), K: uint32(n[3])}, true
}
