package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/capture/filter"
	"github.com/tcpflow-states/tcpflow-states/internal/suggest"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// value is a flag whose text a function takes: once for the whole, or once
// for each part between commas. A flag may be given again.
type value struct {
	kind string // what help calls it
	text string // as given, or the default
	list bool
	take func(string) error
	all  func() []string // what it can be, for completion, where other flags of its name differ
	set  bool
}

// String implements pflag.Value.
func (v *value) String() string { return v.text }

// Type implements pflag.Value.
func (v *value) Type() string { return v.kind }

// Set implements pflag.Value.
func (v *value) Set(s string) error {
	parts := []string{s}
	if v.list {
		parts = strings.Split(s, ",")
	}
	for _, part := range parts {
		if err := v.take(strings.TrimSpace(part)); err != nil {
			return err
		}
	}
	if v.set && v.list {
		s = v.text + "," + s
	}
	v.text, v.set = s, true
	return nil
}

// didYouMean is `: did you mean "x"?` for the name nearest to what was typed,
// or nothing where none is near.
func didYouMean(typed string, names []string) string { return suggest.DidYouMean(typed, names) }

// unknown is the error for a name that is not in a list.
func unknown(what, name string, names []string) error {
	if hint := didYouMean(name, names); hint != "" {
		return fmt.Errorf("unknown %s%s", what, hint)
	}
	return fmt.Errorf("unknown %s: there are %s", what, strings.Join(names, ", "))
}

// trackOptions say how flows are tracked.
type trackOptions struct {
	profile  *analyzer.Profile
	every    *time.Duration // --stuck-after DUR
	perState map[analyzer.State]time.Duration
	maxFlows int
}

func (o *trackOptions) flags(fs *pflag.FlagSet) {
	o.perState = map[analyzer.State]time.Duration{}
	fs.Var(&value{kind: "DUR|STATE=DUR", list: true, take: o.takeStuck}, "stuck-after",
		"a side is stuck when it has been in a state, silent, for so long: 10s, or CLOSE_WAIT=2m for one state; "+
			"0: whatever is unfinished at the end (default 30s; handshake states: the last retry of --os)")
	o.timerFlags(fs)
}

// timerFlags are those that decide which states there are, not which of them
// are stuck.
func (o *trackOptions) timerFlags(fs *pflag.FlagSet) {
	o.profile = &analyzer.Profiles[0]
	fs.Var(&value{kind: "PROFILE", text: o.profile.Name, take: o.takeProfile}, "os",
		"operating system whose timers are assumed: "+strings.Join(profileNames(), ", "))
	fs.IntVar(&o.maxFlows, "max-flows", analyzer.DefaultMaxFlows, "hold `N` flows at once at most; beyond it the longest quiet is reported early")
}

func (o *trackOptions) takeProfile(s string) error {
	p, ok := analyzer.ProfileNamed(s)
	if !ok {
		return unknown("profile", s, profileNames())
	}
	o.profile = p
	return nil
}

func (o *trackOptions) takeStuck(s string) error {
	name, text, one := strings.Cut(s, "=")
	if !one {
		name, text = "", s
	}
	d, err := duration(text)
	if err != nil {
		return err
	}
	if !one {
		o.every = &d
		return nil
	}
	state, ok := analyzer.ParseState(name)
	if !ok {
		return unknown("state", name, stateNames())
	}
	o.perState[state] = d
	return nil
}

// duration reads 30s, 2m or 0; a bare number is ambiguous.
func duration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is no duration: give a number with its unit, as in 30s, 2m or 500ms", s)
	case d < 0:
		return 0, fmt.Errorf("%q is negative: give 0 or more", s)
	}
	return d, nil
}

// limits are the times after which each state counts as stuck.
func (o *trackOptions) limits() *analyzer.Limits {
	l := analyzer.DefaultLimits(o.profile)
	if o.every != nil {
		for s := range l {
			l[s] = *o.every
		}
	}
	for s, d := range o.perState {
		l[s] = d
	}
	return l
}

func (o *trackOptions) config() analyzer.Config {
	return analyzer.Config{Profile: o.profile, Stuck: o.limits(), MaxFlows: o.maxFlows}
}

func (o *trackOptions) check() error {
	if o.maxFlows < 1 {
		return fmt.Errorf("--max-flows %d: give 1 or more", o.maxFlows)
	}
	return nil
}

// readOptions say how captures are read.
type readOptions struct {
	capture capture.Options
	filter  string // tcpdump's expression
	program string // in place of it: a file with a compiled one, or its text
}

func (o *readOptions) flags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.filter, "filter", "f", "",
		"read only the frames that match a tcpdump `EXPRESSION`, as in 'net 10.0.0.0/8 and tcp port 443'")
	fs.StringVar(&o.program, "bpf-program", "",
		"read only the frames that a compiled filter accepts: the output of tcpdump -ddd, or a `FILE` with it")
	o.decodingFlags(fs)
}

// decodingFlags say what becomes of the frames that are read.
func (o *readOptions) decodingFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&o.capture.IgnoreVLAN, "ignore-vlan", false,
		"flows of one pair of addresses and ports are one, whatever VLANs their frames are in: for networks with a VLAN for each direction")
	fs.BoolVar(&o.capture.IgnoreTunnel, "ignore-tunnel", false, "the same for tunnels")
	fs.BoolVar(&o.capture.VerifyChecksums, "verify-checksums", false,
		"pass over packets with a wrong IP header or TCP checksum, which their receiver drops; what offload left without one counts as right")
}

// maxProgramFile is how much of a file is read that should be a filter program.
const maxProgramFile = 16 << 20

// compile makes the filter of the flags.
func (o *readOptions) compile() (err error) {
	switch {
	case o.filter != "" && o.program != "":
		return errors.New("--filter and --bpf-program both say which frames to read: give one of them")
	case o.filter != "":
		if o.capture.Filter, err = filter.Parse(o.filter, filter.Options{}); err != nil {
			return fmt.Errorf("--filter: %w", err)
		}
	case o.program != "":
		text, err := programText(o.program)
		if err == nil {
			o.capture.Filter, err = filter.ParseProgram(text)
		}
		if err != nil {
			return fmt.Errorf("--bpf-program: %w", err)
		}
	}
	return nil
}

// programText is the text of a filter program: s itself where it begins with the
// number of instructions and goes on, else what the file of that name holds.
func programText(s string) (string, error) {
	count, _, more := strings.Cut(strings.ReplaceAll(strings.TrimSpace(s), ",", "\n"), "\n")
	if _, err := strconv.Atoi(strings.TrimSpace(count)); err == nil && more {
		return s, nil
	}
	file, err := os.Open(s)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return "", fmt.Errorf("%s: %w: give a file with the output of tcpdump -ddd, or that output itself", s, err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxProgramFile))
	return string(text), err
}

// remark says what is unusual about the filter.
func (o *readOptions) remark() {
	if f := o.capture.Filter; f != nil && f.Outside() != "" {
		fmt.Fprintf(os.Stderr, "tcpflow-states: --filter: not in the built-in language: compiled by %s\n", report.Clean(f.Outside()))
	}
}

// filterOptions choose flows and findings.
type filterOptions struct {
	flows       []int
	hosts       []netip.Prefix
	ports       [][2]uint16 // ranges
	states      []stateFilter
	findings    []string
	minSeverity analyzer.Severity

	text map[string][]string // as given, for the meta object
}

// stateFilter wants a side in a state; NoSide wants either.
type stateFilter struct {
	state  analyzer.State
	client bool
	server bool
}

func (o *filterOptions) flags(fs *pflag.FlagSet) {
	o.text = map[string][]string{}
	list := func(name, kind, usage string, take func(string) error) {
		fs.Var(&value{kind: kind, list: true, take: func(s string) error {
			err := take(s)
			if err == nil {
				o.text[name] = append(o.text[name], s)
			}
			return err
		}}, name, usage)
	}
	list("flow", "N", "only the flows of these numbers", o.takeFlow)
	list("host", "ADDR", "only flows of these addresses: 10.0.0.5 or 10.0.0.0/24", o.takeHost)
	list("port", "PORT", "only flows of these ports: 443 or 8000-8080", o.takePort)
	list("state", "S[@client|@server]", "only flows with a side in one of these states at the end", o.takeState)
	list("finding", "NAME", "only these findings, and flows that have one", o.takeFinding)
	list("min-severity", "SEVERITY", "only findings of info, warning or error and above, and flows that have one", o.takeSeverity)
}

func (o *filterOptions) takeFlow(s string) error {
	n, err := flowNumber(s)
	o.flows = append(o.flows, n)
	return err
}

func flowNumber(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return -1, fmt.Errorf("%q is no flow number: they count from 0, as the first column of analyze --all shows", s)
	}
	return n, nil
}

func (o *filterOptions) takeHost(s string) error {
	if p, err := netip.ParsePrefix(s); err == nil {
		o.hosts = append(o.hosts, p.Masked())
		return nil
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return fmt.Errorf("%q is no address: give 10.0.0.5, 10.0.0.0/24 or 2001:db8::1 (names are not looked up)", s)
	}
	o.hosts = append(o.hosts, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
	return nil
}

func (o *filterOptions) takePort(s string) error {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	from, err1 := strconv.ParseUint(low, 10, 16)
	to, err2 := strconv.ParseUint(high, 10, 16)
	if errors.Join(err1, err2) != nil || from > to {
		return fmt.Errorf("%q is no port: give a number up to 65535, or a range as in 8000-8080", s)
	}
	o.ports = append(o.ports, [2]uint16{uint16(from), uint16(to)})
	return nil
}

func (o *filterOptions) takeState(s string) error {
	name, side, one := strings.Cut(s, "@")
	state, ok := analyzer.ParseState(name)
	if !ok {
		return unknown("state", name, stateNames())
	}
	if one && side != "client" && side != "server" {
		return unknown("side", side, []string{"client", "server"})
	}
	o.states = append(o.states, stateFilter{state, !one || side == "client", !one || side == "server"})
	return nil
}

func (o *filterOptions) takeFinding(s string) error {
	if !slices.Contains(findingNames(), s) {
		return unknown("finding", s, findingNames())
	}
	o.findings = append(o.findings, s)
	return nil
}

func (o *filterOptions) takeSeverity(s string) error {
	severity, ok := analyzer.ParseSeverity(s)
	if !ok {
		return unknown("severity", s, severityNames())
	}
	o.minSeverity = severity
	return nil
}

// onFlows reports whether the filters choose flows by themselves, not by
// their findings: then flows without findings are asked for, too.
func (o *filterOptions) onFlows() bool {
	return o.flows != nil || o.hosts != nil || o.ports != nil || o.states != nil
}

// onFindings reports whether the filters choose findings.
func (o *filterOptions) onFindings() bool { return o.findings != nil || o.minSeverity > analyzer.Info }

// wants reports whether a flow is chosen, its findings aside.
func (o *filterOptions) wants(f *analyzer.Flow) bool {
	if o.flows != nil && !slices.Contains(o.flows, f.Number) {
		return false
	}
	client, server := f.Addr(f.Client), f.Addr(f.Server())
	host := func(p netip.Prefix) bool { return p.Contains(client.Addr()) || p.Contains(server.Addr()) }
	if o.hosts != nil && !slices.ContainsFunc(o.hosts, host) {
		return false
	}
	port := func(r [2]uint16) bool {
		return r[0] <= client.Port() && client.Port() <= r[1] || r[0] <= server.Port() && server.Port() <= r[1]
	}
	if o.ports != nil && !slices.ContainsFunc(o.ports, port) {
		return false
	}
	state := func(w stateFilter) bool {
		return w.client && f.Sides[f.Client].State == w.state || w.server && f.Sides[f.Server()].State == w.state
	}
	return o.states == nil || slices.ContainsFunc(o.states, state)
}

// wantsFinding reports whether a finding is chosen.
func (o *filterOptions) wantsFinding(f *analyzer.Finding) bool {
	return f.Severity >= o.minSeverity && (o.findings == nil || slices.Contains(o.findings, f.Detector.Name))
}

// withFindings returns a flow with those of its findings that are chosen, nil
// when the filters choose among them and there is none. Where it is another one
// than f, it is made of room, whose list is used again.
func (o *filterOptions) withFindings(f, room *analyzer.Flow) *analyzer.Flow {
	if !o.onFindings() {
		return f
	}
	kept := room.Findings[:0]
	for i := range f.Findings {
		if o.wantsFinding(&f.Findings[i]) {
			kept = append(kept, f.Findings[i])
		}
	}
	*room = *f
	if room.Findings = kept; len(kept) == 0 {
		return nil
	}
	return room
}

// failOptions say which findings make the exit code 1.
type failOptions struct {
	names    []string
	severity analyzer.Severity
	any      bool // severity counts
}

func (o *failOptions) flags(fs *pflag.FlagSet) {
	fs.Var(&value{kind: "SEVERITY|NAME", list: true, take: o.take}, "fail-on",
		"exit with 1 when there is a finding of this severity or above, or of this name")
}

func (o *failOptions) take(s string) error {
	if severity, ok := analyzer.ParseSeverity(s); ok {
		if !o.any || severity < o.severity {
			o.severity = severity
		}
		o.any = true
		return nil
	}
	if !slices.Contains(findingNames(), s) {
		return unknown("severity or finding", s, slices.Concat(severityNames(), findingNames()))
	}
	o.names = append(o.names, s)
	return nil
}

func (o *failOptions) matches(f *analyzer.Finding) bool {
	return o.any && f.Severity >= o.severity || slices.Contains(o.names, f.Detector.Name)
}

// The names that flags take, for errors, help and completion.

func profileNames() (names []string) {
	for i := range analyzer.Profiles {
		names = append(names, analyzer.Profiles[i].Name)
	}
	return names
}

func stateNames() (names []string) {
	for s := range analyzer.State(analyzer.NumStates) {
		names = append(names, s.String())
	}
	return names
}

func findingNames() (names []string) {
	for _, d := range analyzer.Detectors {
		names = append(names, d.Name)
	}
	return names
}

func severityNames() (names []string) {
	for s := analyzer.Info; s <= analyzer.Error; s++ {
		names = append(names, s.String())
	}
	return names
}

func formatNames() (names []string) {
	for _, f := range report.Formats {
		names = append(names, f.Name)
	}
	return names
}
