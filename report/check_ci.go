package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/internal/expect"
)

// writeGitHub writes workflow commands of GitHub Actions: the log shows them, and
// the files have them at their lines.
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions
func writeGitHub(w io.Writer, r *CheckRun, _ Options) error {
	out := bufio.NewWriter(w)
	for i := range r.Cases {
		c := &r.Cases[i]
		file := c.file()
		if c.Outcome == CheckError {
			fmt.Fprintf(out, "::error file=%s,title=%s::%s\n", property(file), property(Clean(c.Capture)+" could not be checked"), message(c.Error))
		}
		for _, g := range c.groups() {
			line := ""
			if g.Line > 0 {
				line = fmt.Sprintf(",line=%d", g.Line)
			}
			fmt.Fprintf(out, "::error file=%s%s,title=%s::%s\n", property(file), line, property(Clean(c.Capture)), message(g.annotation()))
		}
	}
	fmt.Fprintln(out, r.Summary())
	return out.Flush()
}

// annotation is a failure in a few lines.
func (g *failureGroup) annotation() string {
	lines := []string{headline(&g.Failure)}
	if s := subject(&g.Failure); s != "" {
		lines = append(lines, s)
	}
	if g.Story != nil {
		lines = append(lines, g.Story.Says)
	}
	for _, text := range []string{g.Note, g.also()} {
		if text != "" {
			lines = append(lines, Clean(text))
		}
	}
	return strings.Join(lines, "\n")
}

// message escapes the text of a workflow command, property one of its
// parameters: actions/toolkit, packages/core/src/command.ts.
func message(s string) string {
	s = cleanLines(strings.TrimSuffix(s, "\n"))
	return strings.ReplaceAll(strings.ReplaceAll(s, "%", "%25"), "\n", "%0A")
}

func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(message(s))
}

// writeTAP writes the Test Anything Protocol: https://testanything.org/tap-version-14-specification.html
func writeTAP(w io.Writer, r *CheckRun, _ Options) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "TAP version 14\n1..%d\n", len(r.Cases))
	for i := range r.Cases {
		c := &r.Cases[i]
		word, directive := "ok", ""
		switch c.Outcome {
		case CheckFailed, CheckError:
			word = "not ok"
		case CheckSkipped:
			directive = " # SKIP no expectation"
		}
		fmt.Fprintf(out, "%s %d - %s%s\n", word, i+1, strings.NewReplacer(`\`, `\\`, "#", `\#`).Replace(Clean(c.Capture)), directive)
		if word == "not ok" {
			tapDiagnosis(out, c)
		}
	}
	return out.Flush()
}

// tapDiagnosis is a block of YAML.
func tapDiagnosis(out *bufio.Writer, c *CheckCase) {
	fmt.Fprintf(out, "  ---\n  severity: %s\n  message: |\n", map[bool]string{false: "fail", true: "error"}[c.Outcome == CheckError])
	for line := range strings.Lines(c.plainBody()) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			line = "    " + line
		}
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out, "  ...")
}

// writeCheckMarkdown is for a job's summary or a comment on a pull request.
func writeCheckMarkdown(w io.Writer, r *CheckRun, _ Options) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "### tcpflow-states check\n\n| | capture | flows | what differs |\n| --- | --- | ---: | --- |\n")
	for i := range r.Cases {
		c := &r.Cases[i]
		flows := Thousands(c.Flows)
		if c.Outcome == CheckError || c.Outcome == CheckSkipped {
			flows = ""
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", c.Outcome, cell(code(c.Capture)), flows, cell(c.differs()))
	}
	fmt.Fprintf(out, "\n%s\n", escaped(r.Summary()))
	for i := range r.Cases {
		if c := &r.Cases[i]; c.Outcome == CheckFailed || c.Outcome == CheckError {
			markdownCase(out, c)
		}
	}
	return out.Flush()
}

// differs is a case in a cell.
func (c *CheckCase) differs() string {
	if c.Outcome == CheckError {
		return "could not be checked"
	}
	var list []string
	for _, g := range c.groups() {
		list = append(list, code(g.name()))
	}
	return strings.Join(list, ", ")
}

// name is the key, or what there is without one.
func (g *failureGroup) name() string {
	if g.Key == "" {
		return "no expectation"
	}
	return g.Key
}

func markdownCase(out *bufio.Writer, c *CheckCase) {
	fmt.Fprintf(out, "\n#### %s\n", code(c.Capture))
	if c.Reason != "" {
		fmt.Fprintf(out, "\n%s\n", escaped(c.Reason))
	}
	fenced(out, "diff", marksFirst(c.plainBody()))
	for _, l := range c.Ladders {
		fmt.Fprintf(out, "\n<details><summary>flow %d, segment by segment</summary>\n", l.Flow)
		fenced(out, "", l.Text)
		fmt.Fprintln(out, "\n</details>")
	}
}

// marksFirst puts the marks of lines that differ where a diff has them.
func marksFirst(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		rest := strings.TrimLeft(line, " ")
		if strings.HasPrefix(rest, "- ") || strings.HasPrefix(rest, "+ ") {
			line = rest[:1] + line[:len(line)-len(rest)] + rest[2:]
		}
		b.WriteString(line)
	}
	return b.String()
}

// fenced is a block of text; the fence is longer than any within.
func fenced(out *bufio.Writer, kind, text string) {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	fmt.Fprintf(out, "\n%s%s\n%s\n%s\n", fence, kind, strings.TrimRight(text, "\n"), fence)
}

// code is a name in text.
func code(s string) string {
	s = Clean(s)
	ticks := "`"
	for strings.Contains(s, ticks) {
		ticks += "`"
	}
	if len(ticks) > 1 {
		return ticks + " " + s + " " + ticks
	}
	return ticks + s + ticks
}

// cell is what may stand in a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// escaped is text in which nothing is markup.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range Clean(strings.ReplaceAll(s, "\n", " ")) {
		if strings.ContainsRune("\\`*_{}[]<>#|!~", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// ruleOf is the kind of a failure, with its sentence.
func ruleOf(f *expect.Failure) (id, doc string) {
	if f.Key == "" {
		return "strict", "every capture has an expectation file: --strict"
	}
	return expect.Describe(f.Key)
}
