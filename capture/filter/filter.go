// Package filter compiles the filter language of tcpdump, pcap-filter(7), to
// classic BPF programs and runs them on the frames of captures. It needs neither
// cgo nor libpcap, and on every frame a program decides as tcpdump's would; the
// few exceptions are in docs/filter.md.
//
// An expression is cut into words (lex.go), parsed (parse.go) into a tree
// (ast.go), turned into conditions on the bytes of a link type's frames (gen.go,
// link.go, primitive.go, arith.go, simple.go), and those into a program (emit.go).
// machine.go runs it. What the built-in language leaves out, an installed tcpdump
// compiles (tcpdump.go); and it takes programs that were compiled elsewhere
// (program.go).
//
// golang.org/x/net/bpf is where the instructions come from: it writes and reads
// their encoding, and its RawInstruction is what a socket takes. Its machine is
// not used, since it does not know a cut packet's length on the wire.
package filter

import (
	"fmt"
	"strings"
	"sync"

	"golang.org/x/net/bpf"
)

// Options change how an expression is compiled. The zero value is for files.
type Options struct {
	// Live compiles for a packet socket of Linux: of Ethernet frames the kernel
	// tells the outer VLAN tag beside the data, and inbound, outbound and ifindex
	// can be asked of it. Match does not know what the kernel does.
	Live bool

	// NoTcpdump keeps expressions that the built-in language has not from being
	// compiled by an installed tcpdump.
	NoTcpdump bool
}

// Filter is an expression, or a program, ready for captures of any link type. It
// is safe for concurrent use.
type Filter struct {
	text    string
	options Options
	tree    expr // nil when every packet matches, or another compiles
	outside string
	given   []bpf.RawInstruction // of ParseProgram

	mu       sync.Mutex
	programs map[uint16]*Program
}

// Parse reads an expression. Its error is an *Error, in whose last line a caret
// stands under what is wrong.
func Parse(expression string, o Options) (*Filter, error) {
	f := &Filter{text: expression, options: o, programs: map[uint16]*Program{}}
	tree, err := parse(expression)
	if err == nil {
		f.tree = tree
		// What is wrong for every link type is to be told at once.
		if _, err = f.generate(&links[0]); err == nil || err.onLink {
			return f, nil
		}
	}
	if err := f.turnOutside(err); err != nil {
		return nil, err
	}
	return f, nil
}

// turnOutside has tcpdump compile from now on what the built-in language has
// not, if it can; else it returns the error with what would help.
func (f *Filter) turnOutside(err *Error) error {
	if !err.beyond {
		return err
	}
	path, refusal := f.askTcpdump()
	switch {
	case path != "" && refusal == "":
		f.outside = path
		return nil
	case path != "":
		return err.with("", "tcpdump refuses it, too ("+refusal+")")
	}
	return err.with("; if it is right: ", "install tcpdump, which then compiles it, or pass --bpf-program with the output of: tcpdump -y EN10MB -ddd "+shellWord(f.text))
}

// with returns the error with another remedy, behind its own where it has one.
func (e *Error) with(joint, remedy string) *Error {
	c := *e
	switch {
	case c.Remedy == "":
		c.Remedy = remedy
	case joint != "":
		c.Remedy += joint + remedy
	}
	return &c
}

// Outside is the program that compiles the expression because the built-in
// language does not; empty when it does.
func (f *Filter) Outside() string { return f.outside }

// String is the expression.
func (f *Filter) String() string { return f.text }

// Program returns the program for frames of a link type, as numbered at
// tcpdump.org/linktypes.html. It is compiled when it is first asked for.
func (f *Filter) Program(linkType uint16) (*Program, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.programs[linkType]; p != nil {
		return p, nil
	}
	p, err := f.compile(linkType)
	if err != nil {
		return nil, err
	}
	f.programs[linkType] = p
	return p, nil
}

func (f *Filter) compile(linkType uint16) (*Program, error) {
	if f.given != nil {
		for other := range f.programs {
			return nil, fmt.Errorf("the filter program is for frames of one link type, but there are those of %d and %d: "+
				"read such captures one by one, or give an expression", other, linkType)
		}
		return newProgram(f.given)
	}
	l := linkOf(linkType)
	if f.outside != "" || l == nil {
		return f.compileOutside(linkType)
	}
	code, err := f.generate(l)
	switch {
	case err == nil:
	case err.beyond && !f.options.Live:
		return f.compileBeyond(linkType, err)
	default:
		return nil, err
	}
	if f.options.Live {
		return &Program{code}, nil // what it asks of the kernel, only that knows
	}
	return newProgram(code)
}

// compileBeyond has tcpdump try what the built-in language cannot say of a link
// type's frames; err is why.
func (f *Filter) compileBeyond(linkType uint16, err *Error) (*Program, error) {
	if path, _ := f.tcpdump(); path != "" {
		if p, err := f.compileOutside(linkType); err == nil {
			return p, nil
		}
	}
	return nil, err
}

// generate compiles the tree for a link type.
func (f *Filter) generate(l *link) ([]bpf.RawInstruction, *Error) {
	g := &generator{text: f.text, live: f.options.Live, link: l, typeAt: l.typeAt, payload: l.payload}
	c := always
	if f.tree != nil {
		c = f.tree.gen(g)
	}
	if g.err != nil {
		return nil, g.err
	}
	code, err := program(c, g.shifted)
	if err != nil { // of a bug: the generator makes only instructions that there are
		return nil, &Error{Expression: f.text, Problem: err.Error()}
	}
	if f.options.Live && len(code) > maxKernel {
		return nil, &Error{Expression: f.text, End: len(f.text), Problem: fmt.Sprintf("the filter takes %d instructions, and the kernel at most %d", len(code), maxKernel),
			Remedy: "join addresses to networks, and ports to ranges"}
	}
	return code, nil
}

// maxKernel is BPF_MAXINSNS of Linux.
const maxKernel = 4096

// shellWord quotes an expression for a command line.
func shellWord(s string) string {
	return "'" + strings.ReplaceAll(oneLine(s), "'", `'\''`) + "'"
}
