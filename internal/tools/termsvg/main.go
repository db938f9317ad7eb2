// Termsvg draws what a program wrote to a terminal, colours included, as an
// SVG picture:
//
//	tcpflow-states analyze --color … | go run ./internal/tools/termsvg -title '$ tcpflow-states …' > picture.svg
package main

import (
	"bufio"
	"flag"
	"fmt"
	"html"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Sizes of one character cell and the frame around them, in pixels.
const (
	cellWidth, cellHeight = 8.43, 19
	margin                = 16
)

// colours are the terminal's: 30-37 as 0-7, 90-97 as 8-15.
var colours = [16]string{
	"#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4",
	"#6e7681", "#ffa198", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#ffffff",
}

const foreground, background = "#c9d1d9", "#0d1117"

var escape = regexp.MustCompile("\x1b\\[([0-9;]*)m")

// style is how a run of characters looks.
type style struct {
	colour    string
	bold, dim bool
}

func main() {
	title := flag.String("title", "", "a first line: the command")
	flag.Parse()
	if err := draw(os.Stdout, os.Stdin, *title); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func draw(w io.Writer, r io.Reader, title string) error {
	var lines []string
	if title != "" {
		lines = append(lines, "\x1b[1m"+title+"\x1b[0m")
	}
	in := bufio.NewScanner(r)
	for in.Scan() {
		lines = append(lines, in.Text())
	}
	width := 0
	for _, l := range lines {
		width = max(width, utf8.RuneCountInString(escape.ReplaceAllString(l, "")))
	}
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" role="img">
<rect width="100%%" height="100%%" rx="8" fill="%s"/>
<g font-family="ui-monospace,SFMono-Regular,Menlo,'DejaVu Sans Mono',monospace" font-size="14" fill="%s" xml:space="preserve">
`, float64(width)*cellWidth+2*margin, len(lines)*cellHeight+2*margin, background, foreground)
	for i, l := range lines {
		line(out, l, margin+(i+1)*cellHeight-5)
	}
	fmt.Fprintln(out, "</g>\n</svg>")
	if err := in.Err(); err != nil {
		return err
	}
	return out.Flush()
}

// line draws one line. Each run has its own place and length, so that columns
// stay where they are whatever font the reader has.
func line(w io.Writer, text string, y int) {
	st, column := style{}, 0
	for text != "" {
		at := escape.FindStringSubmatchIndex(text)
		run := text
		if at != nil {
			run = text[:at[0]]
		}
		if n := utf8.RuneCountInString(run); n > 0 {
			if strings.TrimSpace(run) != "" {
				fmt.Fprintf(w, `<text x="%.2f" y="%d" textLength="%.2f"%s>%s</text>`+"\n",
					margin+float64(column)*cellWidth, y, float64(n)*cellWidth, st.attributes(), html.EscapeString(run))
			}
			column += n
		}
		if at == nil {
			return
		}
		st.apply(text[at[2]:at[3]])
		text = text[at[1]:]
	}
}

func (s *style) apply(codes string) {
	for _, code := range strings.Split(codes, ";") {
		n, _ := strconv.Atoi(code) // none is 0
		switch {
		case n == 0:
			*s = style{}
		case n == 1:
			s.bold = true
		case n == 2:
			s.dim = true
		case n == 22:
			s.bold, s.dim = false, false
		case n == 39:
			s.colour = ""
		case 30 <= n && n <= 37:
			s.colour = colours[n-30]
		case 90 <= n && n <= 97:
			s.colour = colours[n-82]
		}
	}
}

func (s *style) attributes() (a string) {
	if s.colour != "" {
		a += ` fill="` + s.colour + `"`
	}
	if s.bold {
		a += ` font-weight="bold"`
	}
	if s.dim {
		a += ` opacity="0.6"`
	}
	return a
}
