package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcpflow-states/tcpflow-states/capture/live"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// interfacesOptions are the flags of interfaces.
type interfacesOptions struct {
	outputOptions
	format string
}

// interfacesFormats are what -o takes.
var interfacesFormats = []string{"table", "json"}

func newInterfaces() *cobra.Command {
	o := &interfacesOptions{}
	cmd := &cobra.Command{
		Use:   "interfaces",
		Short: "List what can be captured on, and what is missing where it cannot",
		Long: `Lists the network interfaces of this host, or of this container: name, state,
kind of link, MTU, packets received and sent since it is there, and addresses;
and what is missing to capture on it, with what would help: permission, the
interface being up, a decoder for what it carries. any stands for all of them.
It needs no privileges.`,
		Example: `  tcpflow-states interfaces
  tcpflow-states interfaces -o json | jq -r '.interfaces[] | select(.ready).name'`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return interfaces(o) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	formatNameFlag(fs, &o.format, interfacesFormats)
	o.resultFlags(fs)
	completeFlags(cmd)
	return cmd
}

func interfaces(o *interfacesOptions) (err error) {
	found, err := live.Interfaces()
	if err != nil {
		return err
	}
	list := make([]report.Interface, len(found))
	for i := range found {
		list[i] = reported(&found[i])
	}
	out, err := o.open(nil)
	if err != nil {
		return err
	}
	if out != os.Stdout {
		defer func() {
			if e := out.Close(); err == nil {
				err = e
			}
		}()
	}
	if o.format == "json" {
		return report.InterfacesJSON(out, list)
	}
	return report.InterfacesTable(out, list, columns(out), o.color(out))
}

// reported is an interface as it is written.
func reported(i *live.Interface) report.Interface {
	r := report.Interface{Name: report.Text(i.Name), Index: i.Index, State: i.State, Link: i.Link, MTU: i.MTU, Ready: i.Ready()}
	if i.HasLinkType {
		r.LinkType = &i.LinkType
	}
	if i.HasPackets {
		r.Packets = &i.Packets
	}
	for _, a := range i.Addresses {
		r.Addresses = append(r.Addresses, a.String())
	}
	for _, m := range i.Missing {
		r.Missing = append(r.Missing, report.Missing(m))
	}
	return r
}

// interfaceNames are what a shell offers for a flag that takes an interface:
// what can be captured on first, the others with what they lack.
func interfaceNames() (ready []string) {
	list, err := live.Interfaces()
	if err != nil {
		return nil // a shell that completes has nobody to tell
	}
	var lacking []string
	for i := range list {
		switch n := &list[i]; {
		case n.Ready() && n.Name == live.Any:
			ready = append(ready, cobra.CompletionWithDesc(n.Name, "all interfaces"))
		case n.Ready():
			ready = append(ready, cobra.CompletionWithDesc(n.Name, strings.TrimSpace(n.Link+" "+n.State)))
		default:
			lacking = append(lacking, cobra.CompletionWithDesc(n.Name, n.Missing[0].What))
		}
	}
	return append(ready, lacking...)
}
