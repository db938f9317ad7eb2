package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcpflow-states/tcpflow-states/internal/manual"
)

// completions are the names that a shell offers for a flag.
var completions = map[string]func() []string{
	"interface":    interfaceNames,
	"format":       formatNames,
	"os":           profileNames,
	"finding":      findingNames,
	"min-severity": severityNames,
	"fail-on":      func() []string { return append(severityNames(), findingNames()...) },
	"state":        statePatterns,
	"stuck-after": func() (list []string) {
		for _, s := range stateNames() {
			list = append(list, s+"=")
		}
		return list
	},
}

func statePatterns() (list []string) {
	for _, s := range stateNames() {
		list = append(list, s, s+"@client", s+"@server")
	}
	return list
}

// described is a name with what the manual says of it, as a shell shows it
// beside the name.
func described(name string) string {
	if found := manual.Lookup(name); found != nil {
		return cobra.CompletionWithDesc(name, found[0].Brief())
	}
	return name
}

// completeFlags offers the names for each flag of cmd that takes some.
func completeFlags(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		names, ok := completions[f.Name]
		if v, own := f.Value.(*value); own && v.all != nil {
			names, ok = v.all, true
		}
		if !ok {
			return
		}
		complete := func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			// Of a list, the last part is completed.
			before := typed[:strings.LastIndex(typed, ",")+1]
			var list []string
			for _, n := range names() {
				list = append(list, before+described(n))
			}
			return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
		if err := cmd.RegisterFlagCompletionFunc(f.Name, complete); err != nil {
			panic(err) // the flag is there: VisitAll gave it
		}
	})
}
