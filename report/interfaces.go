package report

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Interfaces is what `interfaces -o json` writes.
type Interfaces struct {
	Type       string      `json:"type" enum:"interfaces" doc:"what this object is"`
	Schema     string      `json:"schema" enum:"tcpflow-states/1" doc:"version of this schema"`
	Interfaces []Interface `json:"interfaces" doc:"by index, any last"`
}

// Interface is one that could be captured on.
type Interface struct {
	Name      Text      `json:"name" doc:"as -i takes it; any stands for all"`
	Index     int       `json:"index,omitempty" doc:"number; left out for any"`
	Addresses []string  `json:"addresses,omitempty" doc:"with the length of their network's prefix"`
	State     string    `json:"state,omitempty" enum:"up,down,no carrier" doc:"left out for any"`
	Link      string    `json:"link,omitempty" doc:"kind of its link layer"`
	LinkType  *uint16   `json:"link_type,omitempty" doc:"of its frames, as listed at tcpdump.org/linktypes.html"`
	MTU       int       `json:"mtu,omitempty" doc:"octets"`
	Packets   *uint64   `json:"packets,omitempty" doc:"received and sent since it is there"`
	Ready     bool      `json:"ready" doc:"nothing is missing to capture on it"`
	Missing   []Missing `json:"missing,omitempty" doc:"what keeps it from being captured on"`
}

// Missing is something that keeps an interface from being captured on.
type Missing struct {
	What   string `json:"what" doc:"as \"interface is down\""`
	Remedy string `json:"remedy,omitempty" doc:"what would help"`
}

// InterfacesJSON writes the list as one object.
func InterfacesJSON(w io.Writer, list []Interface) error {
	return indentedJSON(w, Interfaces{"interfaces", Schema, list})
}

var interfaceColumns = []column{
	{name: "Name"}, {name: "State"}, {name: "Link", spare: 1}, {name: "MTU", right: true, spare: 3},
	{name: "Packets", right: true, spare: 2}, {name: "Addresses"}, {name: "Missing"},
}

// InterfacesTable writes the list for a person, no wider than width columns
// where that can be; 0 is any width. Below it stands what would help.
func InterfacesTable(w io.Writer, list []Interface, width int, color bool) error {
	p := newPainter(color)
	out := bufio.NewWriter(w)
	g := &grid{cols: slices.Clone(interfaceColumns)}
	var remedies []Missing
	for i := range list {
		g.rows = append(g.rows, list[i].cells())
		for _, m := range list[i].Missing {
			if m.Remedy != "" && !slices.Contains(remedies, m) {
				remedies = append(remedies, m)
			}
		}
	}
	g.fit(width)
	if err := g.render(out, p); err != nil {
		return err
	}
	if width == 0 {
		width = proseWidth
	}
	for i, m := range remedies {
		if i == 0 {
			out.WriteString("\n")
		}
		Wrap(out, Clean(m.What)+": ", Clean(m.Remedy), width)
	}
	return out.Flush()
}

// cells are an interface's columns.
func (i *Interface) cells() []string {
	var missing []string
	for _, m := range i.Missing {
		missing = append(missing, Clean(m.What))
	}
	mtu, packets := "", ""
	if i.MTU > 0 {
		mtu = strconv.Itoa(i.MTU)
	}
	if i.Packets != nil {
		packets = strconv.FormatUint(*i.Packets, 10)
	}
	return []string{Clean(string(i.Name)), i.State, Clean(i.Link), mtu, packets, strings.Join(i.Addresses, "\n"), strings.Join(missing, "\n")}
}
