package report

import (
	"bufio"
	"bytes"
	"io"
	"strings"

	"github.com/fatih/color"
	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// gridRows is how many rows tablewriter lays out; it takes some 15 µs for
// each, so beyond that our own writer does, which makes the same picture.
const gridRows = 10_000

// gap is what stands between columns.
const gap = "  "

// column is one column of a grid.
type column struct {
	name  string
	right bool // numbers
	// spare says in which order columns are given up where the width is
	// short: the highest first, 0 never.
	spare int
}

// grid is a table without lines. A cell may have several lines.
type grid struct {
	cols []column
	rows [][]string
}

// width is the display width of text, colour left out. Ambiguous characters
// count as one: what a locale says of them must not change the output.
func width(s string) int {
	if isPlain(s) {
		return len(s)
	}
	return twwidth.WidthWithOptions(s, twwidth.Options{})
}

func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// widths measures the columns.
func (g *grid) widths() []int {
	w := make([]int, len(g.cols))
	for i, c := range g.cols {
		w[i] = width(c.name)
	}
	for _, row := range g.rows {
		for i, cell := range row {
			for line := range strings.SplitSeq(cell, "\n") {
				w[i] = max(w[i], width(line))
			}
		}
	}
	return w
}

// total is the width of the whole.
func total(widths []int) int {
	n := len(gap) * (len(widths) - 1)
	for _, w := range widths {
		n += w
	}
	return n
}

// fit gives up spare columns until the grid is no wider than limit, and
// reports whether it is.
func (g *grid) fit(limit int) bool {
	if limit <= 0 {
		return true
	}
	widths := g.widths()
	for total(widths) > limit {
		drop := -1
		for i, c := range g.cols {
			if c.spare > 0 && (drop < 0 || c.spare > g.cols[drop].spare) {
				drop = i
			}
		}
		if drop < 0 {
			return false
		}
		g.remove(drop)
		widths = append(widths[:drop], widths[drop+1:]...)
	}
	return true
}

func (g *grid) remove(col int) {
	g.cols = append(g.cols[:col:col], g.cols[col+1:]...)
	for i, row := range g.rows {
		g.rows[i] = append(row[:col:col], row[col+1:]...)
	}
}

// squeeze shortens the lines of a column so that the grid is no wider than
// limit, but leaves it at least.
func (g *grid) squeeze(col, limit, least int) {
	widths := g.widths()
	over := total(widths) - limit
	if over <= 0 {
		return
	}
	to := max(widths[col]-over, least)
	for _, row := range g.rows {
		lines := strings.Split(row[col], "\n")
		for i, line := range lines {
			lines[i] = shorten(line, to)
		}
		row[col] = strings.Join(lines, "\n")
	}
}

// shorten cuts text to a display width, with an ellipsis for what is gone.
func shorten(s string, to int) string {
	if width(s) <= to {
		return s
	}
	var b strings.Builder
	left := to - 1
	for _, r := range s {
		left -= width(string(r))
		if left < 0 {
			break
		}
		b.WriteRune(r)
	}
	return b.String() + "…"
}

// color colours the lines of the column of that name, once the layout is done.
func (g *grid) color(name string, paint func(row int, line string) string) {
	for col, c := range g.cols {
		if c.name != name {
			continue
		}
		for i, row := range g.rows {
			lines := strings.Split(row[col], "\n")
			for j, line := range lines {
				lines[j] = paint(i, line)
			}
			row[col] = strings.Join(lines, "\n")
		}
	}
}

// render writes the grid.
func (g *grid) render(w io.Writer, p *painter) error {
	if len(g.rows) > gridRows {
		return g.renderLong(w, p)
	}
	var buf bytes.Buffer
	t := tablewriter.NewTable(&buf,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders:  tw.BorderNone,
			Symbols:  tw.NewSymbols(tw.StyleNone),
			Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone},
		})),
		tablewriter.WithEastAsian(tw.Off),
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithPadding(tw.Padding{Right: gap, Overwrite: true}),
		tablewriter.WithAlignment(g.alignment()),
	)
	t.Header(g.header(p))
	if err := t.Bulk(g.rows); err != nil {
		return err
	}
	if err := t.Render(); err != nil {
		return err
	}
	for line := range strings.Lines(buf.String()) {
		if _, err := io.WriteString(w, strings.TrimRight(line, " \n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

func (g *grid) header(p *painter) []string {
	names := make([]string, len(g.cols))
	for i, c := range g.cols {
		names[i] = p.head(c.name)
	}
	return names
}

func (g *grid) alignment() tw.Alignment {
	a := make(tw.Alignment, len(g.cols))
	for i, c := range g.cols {
		a[i] = tw.AlignLeft
		if c.right {
			a[i] = tw.AlignRight
		}
	}
	return a
}

// renderLong writes the grid as render does, in a time that does not grow
// with anything but its size.
func (g *grid) renderLong(w io.Writer, p *painter) error {
	out := bufio.NewWriter(w)
	widths := g.widths()
	cells := make([][]string, len(g.cols))
	write := func(row []string) {
		height := 1
		for i, cell := range row {
			cells[i] = strings.Split(cell, "\n")
			height = max(height, len(cells[i]))
		}
		for n := range height {
			g.writeLine(out, widths, cells, n)
		}
	}
	write(g.header(p))
	for _, row := range g.rows {
		write(row)
	}
	return out.Flush()
}

// writeLine writes the n-th line of a row.
func (g *grid) writeLine(out *bufio.Writer, widths []int, cells [][]string, n int) {
	blank := 0 // spaces held back, so that none ends the line
	for i, c := range g.cols {
		if i > 0 {
			blank += len(gap)
		}
		if n >= len(cells[i]) || cells[i][n] == "" {
			blank += widths[i]
			continue
		}
		text := cells[i][n]
		pad := widths[i] - width(text)
		if c.right {
			blank, pad = blank+pad, 0
		}
		for range blank {
			out.WriteByte(' ')
		}
		out.WriteString(text)
		blank = pad
	}
	out.WriteByte('\n')
}

// painter colours text, or leaves it.
type painter struct {
	severity [3]*color.Color
	bold     *color.Color
	dim      *color.Color
}

func newPainter(on bool) *painter {
	style := func(a ...color.Attribute) *color.Color {
		c := color.New(a...)
		// fatih/color would look at standard output; our caller has.
		if on {
			c.EnableColor()
		} else {
			c.DisableColor()
		}
		return c
	}
	return &painter{
		severity: [3]*color.Color{style(color.FgCyan), style(color.FgYellow), style(color.FgRed, color.Bold)},
		bold:     style(color.Bold),
		dim:      style(color.Faint),
	}
}

func (p *painter) head(s string) string  { return p.bold.Sprint(s) }
func (p *painter) faint(s string) string { return p.dim.Sprint(s) }

// of colours text by a severity.
func (p *painter) of(sev analyzer.Severity, s string) string { return p.severity[sev].Sprint(s) }
