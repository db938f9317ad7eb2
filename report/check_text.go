package report

import (
	"bufio"
	"fmt"
	"io"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// writeCheckText is what a person reads on a terminal or in a CI log.
func writeCheckText(w io.Writer, r *CheckRun, o Options) error {
	out := bufio.NewWriter(w)
	d := &checkWriter{out, newPainter(o.Color), proseWidth}
	if o.Width > 0 {
		d.width = min(o.Width, proseWidth)
	}
	for i := range r.Cases {
		d.testCase(&r.Cases[i])
	}
	fmt.Fprintln(out, d.p.head(r.Summary()))
	return out.Flush()
}

// outcomeWords stand before a capture's name.
var outcomeWords = [...]string{"ok   ", "FAIL ", "ERROR", "-    "}

func (d *checkWriter) testCase(c *CheckCase) {
	word := outcomeWords[c.Outcome]
	switch c.Outcome {
	case CheckFailed, CheckError:
		word = d.p.of(analyzer.Error, word)
	}
	line := word + " " + Clean(c.Capture)
	switch {
	case c.Update != "":
		line += "  " + Clean(c.Update)
	case c.Outcome == CheckPassed:
		line += "  " + plural(int(c.Flows), "flow")
	case c.Outcome == CheckSkipped:
		line += "  " + d.p.faint("no expectation")
	}
	fmt.Fprintln(d.w, line)
	if c.Outcome != CheckFailed && c.Outcome != CheckError {
		return
	}
	if c.Reason != "" {
		Wrap(d.w, "      ", Clean(c.Reason), d.width)
		fmt.Fprintln(d.w)
	}
	d.body(c, "      ")
	d.ladders(c)
	fmt.Fprintln(d.w)
}

// ladders draws the flows that fail, and says how to see the others. The drawings
// take the whole width.
func (d *checkWriter) ladders(c *CheckCase) {
	for _, l := range c.Ladders {
		fmt.Fprint(d.w, "\n", l.Text)
	}
	if c.Show != "" {
		fmt.Fprintln(d.w, "\ndraw another: "+Clean(c.Show))
	}
}
