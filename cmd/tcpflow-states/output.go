package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/tcpflow-states/tcpflow-states/report"
)

// outputOptions say where the result goes and how it looks.
type outputOptions struct {
	file    string
	noColor bool
	quiet   bool
	verbose bool
}

func (o *outputOptions) flags(fs *pflag.FlagSet) {
	o.resultFlags(fs)
	fs.BoolVarP(&o.quiet, "quiet", "q", false, "no progress and no remarks on standard error, errors only")
	fs.BoolVarP(&o.verbose, "verbose", "v", false, "say on standard error what was read, and how fast")
}

// resultFlags are those of the result alone.
func (o *outputOptions) resultFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.file, "output", "", "write the result to `FILE`, not to standard output")
	fs.BoolVar(&o.noColor, "no-color", false, "no colours, as with NO_COLOR set")
}

// formatNameFlag adds -o of a command with formats of its own, the first of which is
// the default.
func formatNameFlag(fs *pflag.FlagSet, format *string, names []string) {
	*format = names[0]
	take := func(s string) error {
		if !slices.Contains(names, s) {
			return unknown("format", s, names)
		}
		*format = s
		return nil
	}
	fs.VarP(&value{kind: "FORMAT", text: *format, take: take, all: func() []string { return names }}, "format", "o",
		"format of the result: "+strings.Join(names, ", "))
}

// formatFlag adds -o.
func formatFlag(fs *pflag.FlagSet, format **report.Format) {
	*format = report.Formats[0]
	fs.VarP(&value{kind: "FORMAT", text: (*format).Name, take: func(s string) error {
		f, ok := report.FormatNamed(s)
		if !ok {
			return unknown("format", s, formatNames())
		}
		*format = f
		return nil
	}}, "format", "o", "format of the result: "+strings.Join(formatNames(), ", "))
}

// open opens where the result goes.
func (o *outputOptions) open(inputs []string) (*os.File, error) {
	if o.file == "" || o.file == "-" {
		return os.Stdout, nil
	}
	return create("--output", o.file, inputs)
}

// create makes the file that a flag names. It refuses to write over a capture
// that is to be read.
func create(flag, name string, inputs []string) (*os.File, error) {
	if there, err := os.Stat(name); err == nil {
		for _, input := range inputs {
			if info, err := os.Stat(input); err == nil && os.SameFile(there, info) {
				return nil, fmt.Errorf("%s %s is also to be read: give the result another name", flag, name)
			}
		}
	}
	f, err := os.Create(name)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, fmt.Errorf("%s %s: %w: give a file in a directory that can be written", flag, name, err)
	}
	return f, nil
}

// onTerminal reports whether a person watches the file.
func onTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// color reports whether the result is coloured.
func (o *outputOptions) color(f *os.File) bool {
	return !o.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && onTerminal(f)
}

// columns is how wide the result may be: as wide as the terminal is, or as
// COLUMNS says, or 0: a pipe or file has no width.
func columns(f *os.File) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if !onTerminal(f) {
		return 0
	}
	if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
		return n
	}
	return 80
}

// pager is buffered text for a person, wrapped.
type pager struct {
	*bufio.Writer
	width int
}

func newPager(f *os.File) *pager {
	width := columns(f)
	if width == 0 || width > 100 {
		width = 100 // longer lines are hard to read
	}
	return &pager{bufio.NewWriter(f), width}
}

// wrapped writes text behind a prefix.
func (p *pager) wrapped(prefix, text string) { report.Wrap(p, prefix, text, p.width) }
