package manual

import (
	"fmt"
	"strings"
)

// pageWidth is how wide the pictures of a page are.
const pageWidth = 80

// generated is the first line of every page.
const generated = "<!-- Made by `go test ./internal/manual -update` from the texts that `tcpflow-states explain` prints. -->\n\n"

// FindingsPage is docs/findings.md.
func FindingsPage() string {
	var b strings.Builder
	b.WriteString(generated + "# Findings\n\n" +
		"Everything that `tcpflow-states` flags. The name is the same in every output, in `--finding`, `--fail-on` and\n" +
		"`tcpflow-states explain NAME`, which prints what stands here. A finding is reported with the severity given or a\n" +
		"lower one: where the capture lacks something that it rests on (`doubt`), or ended before the threshold (`pending`).\n" +
		"Findings across flows rest on many connections of a listener, a pair or a host.\n\n" +
		"| finding | up to | what it is |\n|---|---|---|\n")
	list := findings()
	for i := range list {
		e := &list[i]
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", e.Name, e.Name, e.detector.Severity, e.detector.Doc)
	}
	for i := range list {
		list[i].markdown(&b, "## ")
	}
	return b.String()
}

// StatesPage is docs/states.md.
func StatesPage() string {
	var b strings.Builder
	b.WriteString(generated + "# States, transitions and evidence\n\n" +
		"What each side of a connection can be in, by RFC 9293; which ways lead from one state to the next; and on what\n" +
		"evidence a state is claimed. `tcpflow-states explain NAME` prints what stands here.\n")
	for _, part := range []struct {
		title string
		list  []Entry
	}{
		{"States", states()}, {"Transitions", Transitions()}, {"Evidence", bases()}, {"Severities", severities()},
		{"Results of the opening", openings()}, {"Results of the closing", closings()},
	} {
		fmt.Fprintf(&b, "\n## %s\n", part.title)
		for i := range part.list {
			part.list[i].markdown(&b, "### ")
		}
	}
	return b.String()
}

// markdown writes one entry.
func (e *Entry) markdown(b *strings.Builder, heading string) {
	fmt.Fprintf(b, "\n%s%s\n\n", heading, e.Name)
	if e.detector != nil {
		fmt.Fprintf(b, "*%s*\n\n", e.Title)
	}
	for i, s := range e.Sections(pageWidth) {
		if i > 0 {
			b.WriteString("\n")
		}
		s.markdown(b)
	}
}

func (s *Section) markdown(b *strings.Builder) {
	if s.Title != "" {
		fmt.Fprintf(b, "%s%s:\n\n", strings.ToUpper(s.Title[:1]), s.Title[1:])
	}
	switch {
	case s.Picture != "":
		fmt.Fprintf(b, "```\n%s\n```\n", s.Picture)
	case s.Text != "":
		b.WriteString(escape(s.Text) + "\n")
	}
	for i, item := range s.Items {
		mark := "-"
		if s.Ordered {
			mark = fmt.Sprintf("%d.", i+1)
		}
		fmt.Fprintf(b, "%s %s\n", mark, escape(item))
	}
	for _, p := range s.Points {
		switch {
		case p.List == nil && p.Label == LookAt:
			fmt.Fprintf(b, "- **%s**: %s\n", p.Label, escape(p.Text))
		case p.List == nil:
			fmt.Fprintf(b, "- **%s** %s\n", p.Label, escape(p.Text))
		default:
			fmt.Fprintf(b, "- **%s**\n", p.Label)
		}
		for _, t := range p.List {
			fmt.Fprintf(b, "  - %s\n", escape(t))
		}
	}
}

// escape keeps a text from being taken for Markdown.
func escape(text string) string {
	return strings.NewReplacer("*", `\*`, "<", "&lt;", "|", `\|`).Replace(text)
}

// Brief is the first sentence that is no mark, for a list.
func (e *Entry) Brief() string {
	text := strings.TrimPrefix(strings.TrimPrefix(e.Means, "Marked ?. "), "Marked ~. ")
	text, _, _ = strings.Cut(text, ". ")
	return strings.TrimSuffix(text, ".")
}
