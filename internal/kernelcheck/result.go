package kernelcheck

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tcpflow-states/tcpflow-states/report"
)

// Result is one comparison. Its JSON is written as interface.md says: times as
// RFC 3339, durations as seconds, what is not known left out.
type Result struct {
	Type string         `json:"type"` // "kernel_check"
	Time report.Time    `json:"t"`    // when the dump ended
	Took report.Seconds `json:"took"` // the dump

	Agree     map[string]int `json:"agree"`     // sockets by state of which both say the same; CLOSED: neither has one
	Disagree  Differences    `json:"disagree"`  // both settled, and not the same
	Missing   Differences    `json:"missing"`   // sides of this host's addresses of which the kernel has no socket
	Unsettled int            `json:"unsettled"` // too young to judge: a race, or the first check
	Excused   map[string]int `json:"excused"`   // differences that are none, by reason
	Unknown   int            `json:"unknown"`   // sockets whose packets have not said anything yet
	Unseen    map[string]int `json:"unseen"`    // sockets by state that no packet was seen of
}

// Differences are counted, and the first hundred listed.
type Differences struct {
	Count int          `json:"count"`
	List  []Difference `json:"list,omitempty"`
}

func (d *Differences) add(x Difference) {
	if d.Count++; len(d.List) < maxListed {
		d.List = append(d.List, x)
	}
}

// Difference is one socket of which we and the kernel do not say the same.
type Difference struct {
	Flow      int            `json:"flow"`
	Local     netip.AddrPort `json:"local"`
	Remote    netip.AddrPort `json:"remote"`
	Ours      string         `json:"ours"` // state
	Basis     string         `json:"basis"`
	OursFor   report.Seconds `json:"ours_for,omitempty"`
	Kernel    string         `json:"kernel,omitempty"` // state; empty: it has no socket
	Kind      string         `json:"kind,omitempty"`   // socket, request or timewait
	KernelFor report.Seconds `json:"kernel_for"`       // at least: since it was first seen so
}

// String says the difference in a sentence.
func (d *Difference) String() string {
	ours := fmt.Sprintf("%s > %s (flow %d): we say %s, %s", d.Local, d.Remote, d.Flow, d.Ours, d.Basis)
	if d.OursFor > 0 {
		ours += ", for " + span(d.OursFor)
	}
	if d.Kernel == "" {
		return ours + "; the kernel has had no such socket for " + span(d.KernelFor) + " or longer"
	}
	return ours + "; the kernel says " + d.Kernel + " for " + span(d.KernelFor) + " or longer"
}

func span(s report.Seconds) string { return time.Duration(s).Round(time.Millisecond).String() }

// Text writes the result for a person: a line of counts, then what differs.
func (r *Result) Text(w io.Writer) error {
	out := bufio.NewWriter(w)
	agree := total(r.Agree)
	fmt.Fprintf(out, "kernel check: %d of %d agree", agree, agree+r.Disagree.Count+r.Missing.Count)
	fmt.Fprintf(out, ", %d disagree, %d without a socket; %d unsettled, %d excused, %d not seen in packets\n",
		r.Disagree.Count, r.Missing.Count, r.Unsettled, total(r.Excused), total(r.Unseen)+r.Unknown)
	for _, of := range []*Differences{&r.Disagree, &r.Missing} {
		for i := range of.List {
			fmt.Fprintf(out, "  %s\n", of.List[i].String())
		}
		if rest := of.Count - len(of.List); rest > 0 {
			fmt.Fprintf(out, "  and %d more\n", rest)
		}
	}
	if r.Missing.Count > 0 {
		fmt.Fprintln(out, "  (a connection that this host forwards or translates has its address and no socket)")
	}
	if len(r.Excused) > 0 {
		fmt.Fprintf(out, "  excused: %s\n", list(r.Excused))
	}
	if len(r.Unseen) > 0 {
		fmt.Fprintf(out, "  not seen in packets: %s\n", list(r.Unseen))
	}
	return out.Flush()
}

func total(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// list writes counts by name.
func list(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(parts, ", ")
}
