package filter

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/bpf"
)

// Whatever is written, there is a program that ends on every packet, or an error
// that points into the expression.
func FuzzExpression(f *testing.F) {
	for _, l := range []*link{&links[0], &links[3]} {
		packets := samples(l)
		for i, e := range expressions(f, l) {
			f.Add(e, l.number, false, packets[i%len(packets)].data)
		}
	}
	for _, c := range wrongExpressions {
		f.Add(c.expression, uint16(113), true, []byte{})
	}
	f.Fuzz(func(t *testing.T, expression string, linkType uint16, live bool, packet []byte) {
		fl, err := Parse(expression, Options{Live: live, NoTcpdump: true})
		if err != nil {
			checkError(t, expression, err)
			return
		}
		for _, n := range []uint16{linkType, 1, 276, 0, 9} {
			p, err := fl.Program(n)
			if err != nil {
				checkError(t, expression, err)
				continue
			}
			checkProgram(t, p, packet)
			if !live {
				checkOptimizer(t, fl, p, n, packet)
			}
		}
	})
}

// checkOptimizer holds a program against the one that is not optimized.
func checkOptimizer(t *testing.T, f *Filter, p *Program, linkType uint16, packet []byte) {
	l := linkOf(linkType)
	if l == nil || f.tree == nil {
		return
	}
	g := &generator{text: f.text, link: l, typeAt: l.typeAt, payload: l.payload}
	blocks := make([]block, numEnds)
	first := lay(f.tree.gen(g), &blocks, accept, reject)
	code, err := assemble(blocks, first, g.shifted)
	if err != nil {
		t.Fatal(err)
	}
	plain := &Program{code}
	for n := range packet {
		if got, want := p.Match(packet[:n], 1500), plain.Match(packet[:n], 1500); got != want {
			t.Fatalf("%d bytes: %v, not optimized %v\n%s\nnot optimized:\n%s", n, got, want, listing(p), listing(plain))
		}
	}
}

func checkError(t *testing.T, expression string, err error) {
	var e *Error
	if !errors.As(err, &e) {
		return // of the link type, not of the expression
	}
	if e.Expression != expression || e.Start < 0 || e.Start > e.End || e.End > len(expression) || e.Problem == "" {
		t.Errorf("%q: error points to %d-%d, problem %q", expression, e.Start, e.End, e.Problem)
	}
	lines := strings.Split(e.Error(), "\n")
	if len(lines) != 3 && !strings.Contains(e.Problem+e.Remedy, "\n") {
		t.Errorf("%q: error has %d lines: %q", expression, len(lines), e.Error())
	}
	if caret := lines[len(lines)-1]; !strings.Contains(caret, "^") || utf8.RuneCountInString(caret) > utf8.RuneCountInString(oneLine(expression))+3 {
		t.Errorf("%q: caret %q", expression, caret)
	}
}

// checkProgram runs a program that was compiled: it passes the same checks as one
// that was given, and those of x/net.
func checkProgram(t *testing.T, p *Program, packet []byte) {
	for i, ins := range p.code {
		if problem := check(ins, len(p.code)-i-1); problem != "" && !strings.Contains(problem, "asks the kernel") {
			t.Fatalf("instruction %d %s\n%s", i, problem, listing(p))
		}
	}
	if list, known := bpf.Disassemble(p.code); !known {
		t.Fatalf("instructions that x/net does not know:\n%v", list)
	}
	p.Match(packet, uint32(len(packet)))
}

// Whatever a program says, it is refused or ends.
func FuzzProgram(f *testing.F) {
	for _, s := range []string{"1,6 0 0 262144", "4\n40 0 0 12\n21 0 1 2048\n6 0 0 262144\n6 0 0 0\n", "2\n5 0 0 4294967295\n6 0 0 0\n", "0", "", "x",
		"3,48 0 0 4294963244,21 0 0 1,6 0 0 1", "3,177 0 0 14,72 0 0 14,22 0 0 0", "4,0 0 0 1,2 0 0 15,97 0 0 15,6 0 0 1", "2,52 0 0 0,6 0 0 0"} {
		f.Add(s, []byte("\x45packet that is not very long"))
	}
	f.Fuzz(func(t *testing.T, text string, packet []byte) {
		fl, err := ParseProgram(text)
		if err != nil {
			return
		}
		p, err := fl.Program(1)
		if err != nil {
			t.Fatalf("%q: read, and then: %v", text, err)
		}
		p.Match(packet, 1500)
		if _, err := fl.Program(113); err == nil {
			t.Errorf("%q: one program for two link types", text)
		}
	})
}
