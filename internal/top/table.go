package top

import "strings"

// tone is what a piece of text means to the eye. In a view without colours all
// are alike.
type tone uint8

const (
	plain tone = iota
	faint
	strong
	calm // as it should be
	warn
	bad
	chosen
	numTones = iota
)

// cell is text with a tone. The text is as it came; it is cleaned when drawn.
type cell struct {
	text string
	tone tone
}

// column is one column of a table.
type column struct {
	name  string
	right bool // numbers: shown whole or not at all, and least wide at least
	tail  bool // of text that is too long the end is kept: an address has its port there
	least int  // with less than this it is left out
	rank  int  // what gets its room first: 0, 1, ...
}

// marker is what stands before each row: > before the one that is chosen.
const marker = 2

// shares says how wide each column is in a table of that width; 0: left out.
// want is what each would need.
func shares(columns []column, want []int, width int) []int {
	gap := gapOf(width)
	left := width - marker + gap
	got := make([]int, len(columns))
	byRank := make([]int, len(columns))
	for i, c := range columns {
		byRank[c.rank] = i
	}
	for _, i := range byRank {
		need := min(columns[i].least, want[i])
		if columns[i].right {
			need = want[i]
		}
		if need+gap > left {
			break // nor do those that matter less come in
		}
		got[i] = need
		left -= need + gap
	}
	for _, i := range byRank {
		if got[i] > 0 {
			more := min(want[i]-got[i], left)
			got[i] += more
			left -= more
		}
	}
	return got
}

func gapOf(width int) int {
	if width < 100 {
		return 1
	}
	return 2
}

// table draws column names and rows, each line exactly that wide. at is the row
// that is chosen; below 0: none.
func (s *styles) table(columns []column, rows [][]cell, at, width int) []string {
	want := make([]int, len(columns))
	for i, c := range columns {
		if want[i] = len(c.name); c.right {
			want[i] = max(want[i], c.least)
		}
	}
	for _, r := range rows {
		for i := range r {
			r[i].text = clean(r[i].text)
			want[i] = max(want[i], textWidth(r[i].text))
		}
	}
	widths := shares(columns, want, width)
	names := make([]cell, len(columns))
	for i, c := range columns {
		names[i] = cell{c.name, faint}
	}
	lines := []string{s.row(columns, names, widths, width, false)}
	for i, r := range rows {
		lines = append(lines, s.row(columns, r, widths, width, i == at))
	}
	return lines
}

func (s *styles) row(columns []column, cells []cell, widths []int, width int, isChosen bool) string {
	gap := strings.Repeat(" ", gapOf(width))
	var b strings.Builder
	used := min(marker, width)
	mark := "  "
	if isChosen {
		mark = "> "
	}
	b.WriteString(mark[:used])
	for i, c := range columns {
		if widths[i] == 0 {
			continue
		}
		if used > marker {
			b.WriteString(gap)
			used += len(gap)
		}
		text := aligned(c, cells[i].text, widths[i])
		if !isChosen {
			text = s.paint(cells[i].tone, text)
		}
		b.WriteString(text)
		used += widths[i]
	}
	b.WriteString(strings.Repeat(" ", max(width-used, 0)))
	if isChosen {
		return s.paint(chosen, b.String())
	}
	return b.String()
}

func aligned(c column, text string, width int) string {
	if c.tail {
		text = tail(text, width)
	}
	if c.right {
		text = head(text, width)
		return strings.Repeat(" ", width-textWidth(text)) + text
	}
	return padded(text, width)
}
