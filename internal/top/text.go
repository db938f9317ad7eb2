package top

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"charm.land/lipgloss/v2"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// clean is report.Clean without marks that combine with the character before:
// how wide such a pair is, terminals do not agree.
func clean(s string) string {
	s = report.Clean(s)
	if isASCII(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsMark(r) || runeWidth(r) < 1 {
			return '?'
		}
		return r
	}, s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func runeWidth(r rune) int {
	if r < 0x80 {
		return 1
	}
	return lipgloss.Width(string(r))
}

// textWidth is how many columns clean text takes: rune by rune, as a terminal
// does that joins none, since that is never too little.
func textWidth(s string) int {
	if isASCII(s) {
		return len(s)
	}
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// head cuts clean text to a width, tail does so at its front. An ellipsis says
// that something is missing.
func head(s string, width int) string {
	if textWidth(s) <= width {
		return s
	}
	left := width - 1
	for i, r := range s {
		if left -= runeWidth(r); left < 0 {
			return s[:i] + strings.Repeat("…", min(max(width, 0), 1))
		}
	}
	return s
}

func tail(s string, width int) string {
	n := textWidth(s)
	if n <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	for i, r := range s {
		if n < width {
			return "…" + s[i:]
		}
		n -= runeWidth(r)
	}
	return "…"
}

// padded cuts or fills text to exactly width.
func padded(s string, width int) string {
	s = head(s, width)
	return s + strings.Repeat(" ", max(width-textWidth(s), 0))
}

// spread puts one text at each end of a line; the left one is cut first.
func spread(left, right string, width int) string {
	right = head(right, width)
	return padded(left, max(width-textWidth(right)-1, 0)) + strings.Repeat(" ", min(1, width-textWidth(right))) + right
}

// count writes a number in at most 7 columns, with commas as long as they fit.
func count(n uint64) string {
	const units = "kMGTPE"
	if n < 1_000_000 {
		return report.Thousands(n)
	}
	unit := 0
	f := float64(n) / 1e3
	for f >= 999.95 {
		f /= 1e3
		unit++
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + units[unit:unit+1]
}

// age writes how long something has lasted, in two units at most.
func age(d time.Duration) string {
	d = max(d, 0)
	two := func(a, b int64, units string) string {
		s := strconv.FormatInt(a, 10) + units[:1]
		if b < 10 {
			s += "0"
		}
		return s + strconv.FormatInt(b, 10) + units[1:]
	}
	s := int64(d / time.Second)
	switch {
	case s < 60:
		return strconv.FormatInt(s, 10) + "s"
	case s < 3600:
		return two(s/60, s%60, "ms")
	case s < 86400:
		return two(s/3600, s/60%60, "hm")
	}
	return two(s/86400, s/3600%24, "dh")
}

// stateText is a state with the mark of its basis, as in the ladder: ? what is
// inferred, ~ what is assumed.
func stateText(s analyzer.State, b analyzer.Basis) string {
	switch b {
	case analyzer.Inferred:
		return s.String() + "?"
	case analyzer.Assumed:
		return s.String() + "~"
	}
	return s.String()
}

// sparkline draws the last numbers, a column each, up to the highest of them.
// What is not 0 is seen.
func sparkline(numbers []uint32, width int) string {
	const bars = "▁▂▃▄▅▆▇█"
	if len(numbers) > width {
		numbers = numbers[len(numbers)-width:]
	}
	var most uint64
	for _, n := range numbers {
		most = max(most, uint64(n))
	}
	b := []rune(strings.Repeat(" ", width-len(numbers)))
	for _, n := range numbers {
		if n == 0 {
			b = append(b, ' ')
			continue
		}
		b = append(b, []rune(bars)[(uint64(n)*8-1)/most])
	}
	return string(b)
}
