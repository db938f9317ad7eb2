package expect

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Draft writes a new expectation file of what a capture has.
type Draft struct {
	judge *Judge
	flows []Flow // the first few
}

const (
	draftFlows = 512 // beyond, flows are only counted
	draftItems = 24  // of flows in one file
)

// NewDraft returns a Draft of nothing.
func NewDraft() *Draft { return &Draft{judge: NewJudge(new(File), 0)} }

// Flow takes a flow that has ended: it is made for analyzer.Config.OnFlow.
func (d *Draft) Flow(f *analyzer.Flow) {
	d.judge.Flow(f)
	if len(d.flows) < draftFlows {
		kept := Flow{}
		kept.Snapshot(f)
		d.flows = append(d.flows, kept)
	}
}

// Across takes a finding across flows.
func (d *Draft) Across(n *analyzer.Finding) { d.judge.Across(n) }

// Text returns the file for a capture of that name.
func (d *Draft) Text(capture string) []byte {
	j := d.judge
	b := new(bytes.Buffer)
	fmt.Fprintf(b, "# What is expected of %s. The keys: docs/expect.md.\nschema: %s\n", strconv.Quote(capture), Schema)
	seen := []string{count(j.flows, "flow")}
	counts := func(name string, n uint64) {
		if n > 0 {
			seen = append(seen, fmt.Sprintf("%d %s", n, name))
		}
	}
	for i, n := range j.handshakes {
		counts(analyzer.HandshakeResult(i).String(), n)
	}
	for i, n := range j.closes {
		counts(analyzer.CloseResult(i).String(), n)
	}
	fmt.Fprintf(b, "reason: %s\n", quoted("as first seen: "+strings.Join(seen, ", ")+" (edit this: say why the capture is kept)"))
	d.capture(b)
	d.items(b)
	return b.Bytes()
}

// capture writes what the whole has.
func (d *Draft) capture(b *bytes.Buffer) {
	j := d.judge
	fmt.Fprintf(b, "\ncapture:\n  flows: %d\n", j.flows)
	table := func(key string, counts []uint64, name func(int) string) {
		fmt.Fprintf(b, "  %s:\n", key)
		for i, n := range counts {
			if n > 0 {
				fmt.Fprintf(b, "    %s: %d\n", name(i), n)
			}
		}
	}
	if j.flows > 0 {
		table("handshakes", j.handshakes[:], name[analyzer.HandshakeResult])
		table("closes", j.closes[:], name[analyzer.CloseResult])
	}
	slices.SortFunc(j.found, func(x, y findingTally) int { return strings.Compare(x.name, y.name) })
	findings(b, "  ", j.found)
}

// findings writes that what was found is required, and nothing else allowed.
func findings(b *bytes.Buffer, indent string, found []findingTally) {
	fmt.Fprintf(b, "%sfindings:\n", indent)
	if len(found) > 0 {
		fmt.Fprintf(b, "%s  required:\n", indent)
	}
	for _, t := range found {
		fmt.Fprintf(b, "%s    %s: %d\n", indent, t.name, t.n)
	}
	fmt.Fprintf(b, "%s  allowed: []\n", indent)
}

// draftItem is an item of flows: one flow, or all of a listener that behave alike.
type draftItem struct {
	flow  *Flow
	text  string // what is expected
	alike int    // how many flows; 0: they differ
}

// items writes what the flows do.
func (d *Draft) items(b *bytes.Buffer) {
	if d.judge.flows > draftFlows {
		fmt.Fprintf(b, "\n# %d flows are too many to write down what each does: add flows: with a match.\n", d.judge.flows)
		return
	}
	slices.SortFunc(d.flows, func(x, y Flow) int { return x.Number - y.Number })
	groups := map[string]*draftItem{}
	pairs := map[string]int{}
	for i := range d.flows {
		f := &d.flows[i]
		pairs[pairOf(f)]++
		text := behaviour(f)
		g := groups[f.Server.String()]
		switch {
		case g == nil:
			groups[f.Server.String()] = &draftItem{f, text, 1}
		case g.alike > 0 && g.text == text:
			g.alike++
		default:
			g.alike = 0
		}
	}
	left := 0
	var items []string
	for i := range d.flows {
		f := &d.flows[i]
		g := groups[f.Server.String()]
		switch {
		case g.alike > 0 && g.flow != f: // written with the first
		case len(items) == draftItems:
			left++
		case g.alike > 0:
			items = append(items, fmt.Sprintf("      server: %s\n      count: %d\n%s", quoted(f.Server.String()), g.alike, g.text))
		case pairs[pairOf(f)] > 1:
			items = append(items, fmt.Sprintf("      flow: %d\n%s", f.Number, behaviour(f)))
		default:
			items = append(items, fmt.Sprintf("      client: %s\n      server: %s\n%s", quoted(f.Client.String()), quoted(f.Server.String()), behaviour(f)))
		}
	}
	if items != nil {
		fmt.Fprintf(b, "\nflows:\n  - match:\n%s", strings.Join(items, "\n  - match:\n"))
	}
	if left > 0 {
		fmt.Fprintf(b, "\n# Of %s more only the capture's counts are expected.\n", count(uint64(left), "flow"))
	}
}

func pairOf(f *Flow) string { return f.Client.String() + ">" + f.Server.String() }

// behaviour is what a flow does, as an item of flows expects it.
func behaviour(f *Flow) string {
	b := new(bytes.Buffer)
	fmt.Fprintf(b, "    history:\n      client: %s\n      server: %s\n", spell(f.History[0]), spell(f.History[1]))
	fmt.Fprintf(b, "    handshake:\n      result: %s\n    close:\n      result: %s\n", f.Handshake.Result, f.Close.Result)
	if f.Closer != "" {
		fmt.Fprintf(b, "      active_closer: %s\n", f.Closer)
	}
	if by := f.Close.By.String(); by != "" {
		fmt.Fprintf(b, "      by: %s\n", by)
	}
	findings(b, "    ", tallyOf(f))
	return b.String()
}

// quoted is a scalar that YAML reads as the text that it is.
func quoted(s string) string {
	if strings.ContainsAny(s, "[]:{}\"'#&*!|>%@`") {
		return strconv.Quote(s)
	}
	return s
}

func count(n uint64, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
