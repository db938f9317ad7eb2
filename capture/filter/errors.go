package filter

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error says what in an expression cannot be compiled, and where.
type Error struct {
	Expression string
	Start, End int    // bytes of the expression that the trouble is with; both its length where it ends too soon
	Problem    string // what was found
	Remedy     string // what would help

	// beyond: the built-in language has it not, but that of tcpdump may.
	beyond bool
	// onLink: it is an error for some link types only.
	onLink bool
}

// Part is what of the expression the trouble is with.
func (e *Error) Part() string { return e.Expression[e.Start:e.End] }

// Error is the problem and the remedy, and below them the expression with a
// caret under the token:
//
//	"prot" is no word of the filter language: …
//	  tcp prot 80
//	      ^~~~
func (e *Error) Error() string {
	text := e.Problem
	if e.Remedy != "" {
		text += ": " + e.Remedy
	}
	return text + "\n  " + oneLine(e.Expression) + "\n  " + e.caret()
}

// caret marks the token in the line above.
func (e *Error) caret() string {
	before := utf8.RuneCountInString(e.Expression[:e.Start])
	width := max(1, utf8.RuneCountInString(e.Expression[e.Start:e.End]))
	return strings.Repeat(" ", before) + "^" + strings.Repeat("~", width-1)
}

// oneLine makes every rune take one column, as far as that can be done.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}

// span is a part of the expression.
type span struct{ start, end int }

// to returns the span from s to the end of t.
func (s span) to(t span) span { return span{s.start, t.end} }
