// Command tcpflow-states says in which TCP state both sides of every
// connection in a capture are, on what evidence, and what is stuck.
//
// One file holds one command. Flags fill plain option structs; what a command
// does with them is in package analyzer (states), capture (input) and report
// (output).
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcpflow-states/tcpflow-states/report"
)

// The exit codes, as docs/output.md promises them.
const (
	exitDone     = 0
	exitFindings = 1 // done, with findings that --fail-on names, or differences of check and diff
	exitTrouble  = 2 // not done, or not wholly
)

// errReported ends a command whose errors were already written.
var errReported = errors.New("not wholly done")

// errDiffers ends a command whose result says what is not as it should be.
var errDiffers = errors.New("not as expected")

// findingsError ends a command that found what --fail-on names.
type findingsError struct{ what string }

func (e *findingsError) Error() string { return "--fail-on: " + e.what }

func main() {
	floor := tuneCollector()
	code := run()
	runtime.KeepAlive(floor)
	os.Exit(code)
}

// run executes the command line and returns the exit code.
func run() int {
	cmd, err := newRoot().ExecuteC()
	var findings *findingsError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, syscall.EPIPE):
		return exitTrouble // whoever read us has gone: nobody is left to tell
	case errors.As(err, &findings):
		if quiet, _ := cmd.Flags().GetBool("quiet"); !quiet {
			complain(err)
		}
		return exitFindings
	case errors.Is(err, errDiffers):
		return exitFindings
	case !errors.Is(err, errReported):
		complain(err)
	}
	return exitTrouble
}

// complain writes an error. Its text may have file names in it.
func complain(err error) { complainTo(os.Stderr, err) }

func complainTo(w io.Writer, err error) {
	lines := strings.Split(strings.TrimRight(err.Error(), "\n"), "\n")
	for i, line := range lines {
		lines[i] = report.Clean(line)
	}
	fmt.Fprintln(w, "tcpflow-states: "+strings.Join(lines, "\n"))
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "tcpflow-states",
		Short: "The TCP state of both sides of every connection in a capture",
		Long: `tcpflow-states reads packet captures and says in which of TCP's eleven states
(RFC 9293) both sides of every connection are, since when and on what evidence,
and names what is stuck: who owes the next packet, and why it may not come.`,
		Example: `  tcpflow-states analyze edge.pcap             what is wrong in this capture
  tcpflow-states show edge.pcap --flow 17      one connection, segment by segment
  tcpflow-states explain CLOSE_WAIT            what a state or finding means
  tcpdump -i eth0 -w - tcp | tcpflow-states analyze -`,
		Args:              cobra.ArbitraryArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return applyEnvironment(cmd) },
		RunE:              runRoot,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w: %s --help lists what there is", err, cmd.CommandPath())
	})
	root.Version = version()
	root.Flags().Bool("version", false, "print the version") // without cobra's -v, which is --verbose here
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.AddCommand(newAnalyze(), newCheck(), newDiff(), newShow(), newNetstat(), newExtract(), newExplain(), newLive(), newInterfaces(), newVersion())
	cobra.AddTemplateFunc("wrapped", func(fs *pflag.FlagSet) string { return fs.FlagUsagesWrapped(newPager(os.Stdout).width) })
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".LocalFlags.FlagUsages", "wrapped .LocalFlags"))
	root.SetHelpTemplate(root.HelpTemplate() + environmentHelp)
	return root
}

// environmentHelp stands below every command's help.
const environmentHelp = `{{if .HasAvailableLocalFlags}}
Every flag can be set by the environment: --stuck-after is TCPFLOW_STATES_STUCK_AFTER.
{{end}}`

// runRoot is what happens without a command that we have.
func runRoot(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	if info, err := os.Stat(args[0]); err == nil && info.Mode().IsRegular() {
		return fmt.Errorf("%q is no command: to analyze the file: tcpflow-states analyze %s", args[0], args[0])
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return fmt.Errorf("unknown command %q%s: tcpflow-states help lists what there is", args[0], didYouMean(args[0], names))
}

// environmentName is the variable that stands for a flag.
func environmentName(flag string) string {
	return "TCPFLOW_STATES_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// applyEnvironment sets the flags that the command line leaves out from their
// environment twins.
func applyEnvironment(cmd *cobra.Command) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := environmentName(f.Name)
		value := os.Getenv(name)
		if f.Changed || value == "" || f.Name == "help" || f.Name == "version" || err != nil {
			return
		}
		if e := cmd.Flags().Set(f.Name, value); e != nil {
			// pflag names the flag; who set a variable looks for that.
			var inner *pflag.InvalidValueError
			if errors.As(e, &inner) {
				e = inner.Unwrap()
			}
			err = fmt.Errorf("environment variable %s=%q: %w", name, value, e)
		}
	})
	return err
}
