package filter

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// tcpdump finds the installed one; empty without, or where it is not to be used.
func (f *Filter) tcpdump() (string, error) {
	if f.options.NoTcpdump {
		return "", exec.ErrNotFound
	}
	return exec.LookPath("tcpdump")
}

// refused is what tcpdump says of expressions that are wrong on every link.
var refused = regexp.MustCompile("syntax error|unknown|illegal")

// askTcpdump finds out whether an installed tcpdump takes the expression. What it
// refuses for Ethernet only, as not being on such links, is left for later.
func (f *Filter) askTcpdump() (path, refusal string) {
	path, err := f.tcpdump()
	if err != nil {
		return "", ""
	}
	if _, err := runTcpdump(path, "EN10MB", f.text); err != nil && refused.MatchString(err.Error()) {
		return path, err.Error()
	}
	return path, ""
}

// compileOutside has tcpdump compile for a link type.
func (f *Filter) compileOutside(linkType uint16) (*Program, error) {
	dlt, name := foreignLinks[linkType], fmt.Sprintf("link type %d", linkType)
	if l := linkOf(linkType); l != nil {
		dlt, name = l.dlt, l.name
	}
	program := "pass --bpf-program with a program for them, or leave the filter out and choose flows by --host and --port"
	path, err := f.tcpdump()
	switch {
	case dlt == "":
		return nil, fmt.Errorf("no filter can be compiled for frames of %s: %s", name, program)
	case err != nil:
		return nil, fmt.Errorf("the built-in filter language cannot look into frames of %s: install tcpdump, which compiles the filter then, or %s", name, program)
	}
	text, err := runTcpdump(path, dlt, f.text)
	if err != nil {
		return nil, fmt.Errorf("tcpdump cannot compile %s for frames of %s: %w", shellWord(f.text), name, err)
	}
	given, err := ParseProgram(text)
	if err != nil {
		return nil, fmt.Errorf("tcpdump's program for %s: %w", shellWord(f.text), err)
	}
	return newProgram(given.given)
}

const (
	// compileTime is how long tcpdump may take. It may look up names.
	compileTime = 20 * time.Second
	maxRefusal  = 300 // bytes of its message that are passed on
)

// runTcpdump returns the program, or what tcpdump says. An expression that all
// packets fail is a program, too.
func runTcpdump(path, dlt, expression string, options ...string) (string, error) {
	ctx, stop := context.WithTimeout(context.Background(), compileTime)
	defer stop()
	options = append(options, "-y", dlt, "-s", strconv.Itoa(keep), "-ddd", "--", expression)
	cmd := exec.CommandContext(ctx, path, options...)
	var out, trouble bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &trouble
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(strings.TrimPrefix(oneLine(strings.TrimSpace(trouble.String())), "tcpdump: "))
		switch {
		case strings.Contains(said, "expression rejects all packets"):
			return "1\n6 0 0 0\n", nil
		case said == "":
			said = err.Error()
		}
		return "", fmt.Errorf("%s", said[:min(len(said), maxRefusal)])
	}
	return out.String(), nil
}
