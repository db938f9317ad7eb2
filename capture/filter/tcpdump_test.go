package filter

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
)

var update = flag.Bool("update", false, "ask the installed tcpdump for testdata/programs.txt.gz, and write docs/filter.md")

const (
	expressionsFile = "testdata/expressions.txt"
	programsFile    = "testdata/programs.txt.gz"
)

// expressions are those of testdata, and for Ethernet some that are too long to
// write out.
func expressions(t testing.TB, l *link) (list []string) {
	text, err := os.ReadFile(expressionsFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			expression, why, ok := strings.Cut(line, "\t")
			if !ok || why == "" {
				t.Errorf("%s: %q does not say why it is there", expressionsFile, line)
			}
			list = append(list, expression)
		}
	}
	if l != &links[0] {
		return list
	}
	hosts, ports := "host 172.16.0.1", "port 10001"
	for i := 2; i <= 100; i++ { // jumps that are longer than 255 instructions
		hosts += fmt.Sprintf(" or 172.16.0.%d", i)
		if i <= 30 {
			ports += fmt.Sprintf(" or port %d", 10000+i)
		}
	}
	return append(list, hosts, hosts+" or 10.0.0.1", "not ("+hosts+") and tcp", ports+" or port 80", "tcp and not ("+ports+") and not ("+hosts+")")
}

// theirs is what tcpdump makes of an expression: a program, or its refusal. Its
// optimizer changes the order of tests, so that of a packet that was cut the bytes
// that are missing may not be asked for: plain is the program without it (-O).
type theirs struct {
	program *Program
	plain   func() *Program
	refusal string
}

// ask returns the program as one line.
func ask(t testing.TB, dlt, expression string, options ...string) string {
	out, err := runTcpdump("tcpdump", dlt, expression, options...)
	if err != nil {
		if strings.Contains(err.Error(), "exec") || strings.Contains(err.Error(), "signal") {
			t.Fatal(err)
		}
		return "error: " + err.Error()
	}
	return strings.ReplaceAll(strings.TrimSpace(out), "\n", ",")
}

func understand(text string, plain func() string) (they theirs) {
	if refusal, ok := strings.CutPrefix(text, "error: "); ok {
		return theirs{refusal: refusal}
	}
	f, err := ParseProgram(text)
	if err != nil {
		return theirs{refusal: err.Error()}
	}
	return theirs{program: &Program{f.given}, plain: func() *Program { return understand(plain(), nil).program }}
}

// understandKept reads both programs of a line of the file.
func understandKept(text string) theirs {
	text, plain, _ := strings.Cut(text, ";")
	return understand(text, func() string { return plain })
}

// testLinks are the link types that are compared: one of each rule.
func testLinks() (list []*link) {
	seen := map[string]bool{}
	for i := range links {
		if !seen[links[i].dlt] {
			seen[links[i].dlt] = true
			list = append(list, &links[i])
		}
	}
	return list
}

// The programs that tcpdump made are kept, so that the comparison needs none.
func TestSameAsTcpdump(t *testing.T) {
	if *update {
		writePrograms(t)
	}
	kept := readPrograms(t)
	for _, l := range testLinks() {
		t.Run(l.dlt, func(t *testing.T) {
			packets := samples(l)
			for _, e := range expressions(t, l) {
				text, ok := kept[l.dlt+"\t"+e]
				if !ok {
					t.Errorf("%s: no program of tcpdump's is kept: go test ./capture/filter -run TestSameAsTcpdump -update", e)
					continue
				}
				compareWith(t, l, e, understandKept(text), packets, true)
			}
		})
	}
}

// The tcpdump that is installed may be another one. Of link types but Ethernet some
// expressions will do: it takes its time.
func TestSameAsInstalledTcpdump(t *testing.T) {
	if testing.Short() {
		t.Skip("tcpdump is not run: -short")
	}
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed: only its programs that are kept were compared with")
	}
	for _, l := range testLinks() {
		t.Run(l.dlt, func(t *testing.T) {
			t.Parallel()
			packets := samples(l)
			for i, e := range expressions(t, l) {
				if l != &links[0] && i%8 != int(l.number)%8 {
					continue
				}
				they := understand(ask(t, l.dlt, e), func() string { return ask(t, l.dlt, e, "-O") })
				compareWith(t, l, e, they, packets, true)
			}
		})
	}
}

// compareWith holds our program against tcpdump's: both run on every packet,
// whole and cut after every byte. Of whole packets tcpdump's optimizer makes no
// difference unless, as strict leaves out, bytes behind their end are asked for.
func compareWith(t *testing.T, l *link, expression string, they theirs, packets []sample, strict bool) {
	f, err := Parse(expression, Options{NoTcpdump: true})
	var ours *Program
	if err == nil {
		ours, err = f.Program(l.number)
	}
	switch {
	case err != nil && they.program != nil:
		t.Errorf("%s: %v: tcpdump compiles it", expression, err)
		return
	case err == nil && !strict && quirk.MatchString(they.refusal):
		return
	case err == nil && they.program == nil:
		t.Errorf("%s: compiled; tcpdump says: %s", expression, they.refusal)
		return
	case err != nil:
		return
	}
	for _, p := range packets {
		for n := len(p.data); n >= 0; n-- {
			wire := uint32(len(p.data))
			got, want := ours.Match(p.data[:n], wire), they.program.Match(p.data[:n], wire)
			if got != want && (strict && n == len(p.data) || got != they.plain().Match(p.data[:n], wire)) {
				t.Errorf("%s: packet %q, %d of %d bytes: %v, tcpdump %v\nours:\n%stcpdump's:\n%s", expression, p.name, n, len(p.data), got, want, listing(ours), listing(they.program))
				return
			}
		}
	}
}

// quirk is what tcpdump refuses at random: it looks at the first number of a
// calculation as if there was no other.
var quirk = regexp.MustCompile("shift by more than 31 bits|division by zero|modulus by zero")

// Captures of BSD loopback come from systems with other numbers for IPv6 than
// Linux, which the tcpdump that is compared with asks for, and of either byte order.
func TestAddressFamilies(t *testing.T) {
	for _, c := range []struct {
		expression string
		linkType   uint16
		family     []byte
		want       bool
	}{
		{"ip6", 0, []byte{30, 0, 0, 0}, true}, {"ip6", 0, []byte{0, 0, 0, 30}, true}, {"ip6", 0, []byte{28, 0, 0, 0}, true},
		{"ip6", 0, []byte{24, 0, 0, 0}, true}, {"ip6", 0, []byte{2, 0, 0, 0}, false}, {"ip6", 108, []byte{0, 0, 0, 24}, true},
		{"ip6", 108, []byte{24, 0, 0, 0}, false}, {"ip", 0, []byte{0, 0, 0, 2}, true}, {"ip", 0, []byte{2, 0, 0, 0}, true},
	} {
		f, err := Parse(c.expression, Options{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := f.Program(c.linkType)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Match(join(c.family, payloads6()[0].data), 64); got != c.want {
			t.Errorf("%s, link type %d, family % x: %v", c.expression, c.linkType, c.family, got)
		}
	}
}

// listing is a program for reading.
func listing(p *Program) string {
	var b strings.Builder
	list, _ := bpf.Disassemble(p.code)
	for i, ins := range list {
		if i > 60 {
			return b.String() + "  …\n"
		}
		fmt.Fprintf(&b, "  %3d %v\n", i, ins)
	}
	return b.String()
}

// Our machine does what the one of x/net does, which has no NEG and takes the
// length captured for that on the wire.
func TestMachine(t *testing.T) {
	kept := readPrograms(t)
	for _, l := range testLinks() {
		packets := samples(l)
		for _, e := range expressions(t, l) {
			programs := []*Program{understandKept(kept[l.dlt+"\t"+e]).program}
			if f, err := Parse(e, Options{NoTcpdump: true}); err == nil {
				if p, err := f.Program(l.number); err == nil {
					programs = append(programs, p)
				}
			}
			for _, p := range programs {
				if p != nil {
					runBoth(t, l.dlt+" "+e, p, packets)
				}
			}
		}
	}
}

func runBoth(t *testing.T, name string, p *Program, packets []sample) {
	list, known := bpf.Disassemble(p.code)
	if !known {
		t.Errorf("%s: not known to x/net", name)
		return
	}
	for _, ins := range list {
		switch ins := ins.(type) {
		case bpf.NegateA:
			return
		case bpf.LoadExtension:
			if ins.Num != bpf.ExtLen {
				return // behind every packet, for us as for libpcap
			}
		}
	}
	vm, err := bpf.NewVM(list)
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, listing(p))
		return
	}
	for _, packet := range packets {
		for _, n := range []int{len(packet.data), 50, 30, 15} {
			n = min(n, len(packet.data))
			want, err := vm.Run(packet.data[:n])
			if got := p.run(packet.data[:n], uint32(n)); err != nil || uint32(want) != got {
				t.Errorf("%s: %q, %d bytes: %d, x/net %d, %v", name, packet.name, n, got, want, err)
				return
			}
		}
	}
}

func readPrograms(t testing.TB) map[string]string {
	file, err := os.Open(programsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]string{}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if i := strings.LastIndex(lines.Text(), "\t"); i > 0 {
			kept[lines.Text()[:i]] = lines.Text()[i+1:]
		}
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return kept
}

// writePrograms keeps the version of tcpdump in the first line.
func writePrograms(t *testing.T) {
	version, err := exec.Command("tcpdump", "--version").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	fmt.Fprintf(z, "# %s\n", strings.Join(strings.Split(strings.TrimSpace(string(version)), "\n"), ", "))
	for _, l := range testLinks() {
		for _, e := range expressions(t, l) {
			both := ask(t, l.dlt, e)
			if !strings.HasPrefix(both, "error: ") {
				both += ";" + ask(t, l.dlt, e, "-O")
			}
			fmt.Fprintf(z, "%s\t%s\t%s\n", l.dlt, e, both)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(programsFile, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}
