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
	if len(d.flows) >= draftFlows {
		d.judge.Flow(f)
		return
	}
	kept := Flow{}
	kept.Snapshot(f)
	d.judge.Take(&kept)
	d.flows = append(d.flows, kept)
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

// draftItem is an item of flows: those of a listener that behave alike.
type draftItem struct {
	flows []*Flow
	text  string // what is expected of each
	alone bool   // the listener has no others
}

// items writes what the flows do.
func (d *Draft) items(b *bytes.Buffer) {
	if d.judge.flows > draftFlows {
		fmt.Fprintf(b, "\n# %d flows are too many to write down what each does: add flows: with a match.\n", d.judge.flows)
		return
	}
	slices.SortFunc(d.flows, func(x, y Flow) int { return x.Number - y.Number })
	pairs := map[string]int{}
	var items []*draftItem
	for i := range d.flows {
		f := &d.flows[i]
		pairs[pairOf(f)]++
		items = addItem(items, f, behaviour(f))
	}
	for i, item := range items[:min(len(items), draftItems)] {
		fmt.Fprint(b, map[bool]string{true: "\nflows:", false: ""}[i == 0], "\n  - match:\n", item.match(pairs), item.text)
	}
	if left := items[min(len(items), draftItems):]; len(left) > 0 {
		fmt.Fprint(b, "\n# The other flows are only counted, under capture.\n")
	}
}

// addItem puts a flow to those that behave like it.
func addItem(items []*draftItem, f *Flow, text string) []*draftItem {
	alone := true
	for _, item := range items {
		switch {
		case item.flows[0].Server != f.Server:
		case item.text == text:
			item.flows = append(item.flows, f)
			return items
		default:
			item.alone, alone = false, false
		}
	}
	return append(items, &draftItem{[]*Flow{f}, text, alone})
}

// match chooses the flows of an item: by the listener, where it has no others, by
// the clients, or by number where the addresses and ports do not tell them apart.
func (i *draftItem) match(pairs map[string]int) string {
	var numbers, clients []string
	shared := false
	for _, f := range i.flows {
		numbers = append(numbers, strconv.Itoa(f.Number))
		clients = append(clients, quoted(f.Client.String()))
		shared = shared || pairs[pairOf(f)] > 1
	}
	text := ""
	switch {
	case i.alone:
	case shared:
		text = "      flow: " + listed(numbers)
	default:
		text = "      client: " + listed(clients)
	}
	return text + fmt.Sprintf("      server: %s\n      count: %d\n", quoted(i.flows[0].Server.String()), len(i.flows))
}

// listed is a value or several, with the end of the line.
func listed(list []string) string {
	if len(list) == 1 {
		return list[0] + "\n"
	}
	return "[" + strings.Join(list, ", ") + "]\n"
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
