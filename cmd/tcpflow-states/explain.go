package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcpflow-states/tcpflow-states/internal/manual"
	"github.com/tcpflow-states/tcpflow-states/report"
)

func newExplain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [NAME]",
		Short: "Say what a state, a transition or a finding means",
		Long: `Explains in plain words a state, a finding, a transition (two states), or
another word of the output: what it means, how it looks on the wire, what causes
it, what it must not be confused with, and what to look at next. Without a name
it lists all there are. docs/findings.md and docs/states.md are the same texts.`,
		Example: `  tcpflow-states explain
  tcpflow-states explain CLOSE_WAIT
  tcpflow-states explain FIN_WAIT_1 FIN_WAIT_2
  tcpflow-states explain inferred`,
		RunE: func(_ *cobra.Command, args []string) error { return explain(strings.Join(args, " ")) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var list []string
			for _, name := range manual.Names() {
				list = append(list, described(name))
			}
			return list, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

func explain(name string) error {
	p := newPager(os.Stdout)
	if name == "" {
		p.index()
		return p.Flush()
	}
	found := manual.Lookup(name)
	if found == nil {
		return fmt.Errorf("nothing is called %q%s: tcpflow-states explain lists what there is", name, didYouMean(name, manual.Names()))
	}
	for i := range found {
		if i > 0 {
			p.WriteString("\n")
		}
		p.entry(&found[i])
	}
	return p.Flush()
}

// index lists everything in a line each.
func (p *pager) index() {
	kind := ""
	for _, e := range manual.All() {
		if e.Kind != kind {
			if kind != "" {
				p.WriteString("\n")
			}
			kind = e.Kind
			fmt.Fprintf(p, "%s\n", strings.ToUpper(kind[:1])+kind[1:])
		}
		p.wrapped(fmt.Sprintf("  %-26s ", e.Name), e.Brief()) // a few are longer
	}
	p.WriteString("\ntcpflow-states explain NAME says more; two states explain the transition.\n")
}

// entry writes all that there is to say of a word.
func (p *pager) entry(e *manual.Entry) {
	fmt.Fprintf(p, "%s (%s)\n", e.Name, e.Title)
	for i, s := range e.Sections(p.width - 2) {
		if i > 0 {
			p.WriteString("\n")
		}
		p.section(&s)
	}
}

func (p *pager) section(s *manual.Section) {
	if s.Title != "" {
		fmt.Fprintf(p, "  %s\n", s.Title)
	}
	switch {
	case s.Picture != "":
		for line := range strings.Lines(s.Picture) {
			p.WriteString("  " + line)
		}
		p.WriteString("\n")
	case s.Text != "":
		p.wrapped("  ", s.Text)
	}
	for i, item := range s.Items {
		mark := "-"
		if s.Ordered {
			mark = fmt.Sprintf("%d.", i+1)
		}
		p.wrapped("    "+mark+" ", item)
	}
	for _, point := range s.Points {
		label := fmt.Sprintf("  %-10s ", point.Label)
		switch {
		case point.Label == manual.LookAt:
			report.WrapAdvice(p, label, point.Text, p.width)
			continue
		case point.List == nil:
			p.wrapped(label, point.Text)
			continue
		}
		fmt.Fprintf(p, "  %s\n", point.Label)
		for _, text := range point.List {
			p.wrapped("    - ", text)
		}
	}
}
