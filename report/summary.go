package report

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Meta is the first object of the machine-readable output: who wrote it, from
// what and how.
type Meta struct {
	Type    string      `json:"type" enum:"meta" doc:"what this object is"`
	Schema  string      `json:"schema" enum:"tcpflow-states/1" doc:"version of this schema"`
	Tool    string      `json:"tool" doc:"name of the program"`
	Version string      `json:"version" doc:"version of the program"`
	Files   []Text      `json:"files" doc:"the captures, in the order given"`
	Options MetaOptions `json:"options" doc:"what was asked for"`
}

// MetaOptions are the settings that decide what the output says.
type MetaOptions struct {
	OS          string             `json:"os" doc:"operating system profile of the timers"`
	StuckAfter  map[string]Seconds `json:"stuck_after" doc:"for each state, how long a side rests in it, silent, before it counts as stuck, s"`
	Separate    bool               `json:"separate,omitzero" doc:"several captures are read each for itself, not as one"`
	MaxFlows    int                `json:"max_flows" doc:"most flows held at once"`
	Filter      Text               `json:"filter,omitzero" doc:"only frames that match this tcpdump expression"`
	BPFProgram  Text               `json:"bpf_program,omitzero" doc:"only frames that this compiled filter accepts: the output of tcpdump -ddd, or the name of a file with it"`
	Flow        []int              `json:"flow,omitempty" doc:"only these flow numbers"`
	Host        []string           `json:"host,omitempty" doc:"only flows of these addresses"`
	Port        []string           `json:"port,omitempty" doc:"only flows of these ports"`
	State       []string           `json:"state,omitempty" doc:"only flows with a side in one of these states"`
	Finding     []string           `json:"finding,omitempty" doc:"only these findings, and flows that have one"`
	MinSeverity string             `json:"min_severity,omitzero" enum:"@severity" doc:"only findings of at least this severity, and flows that have one"`
}

// Summary is the last object of the machine-readable output.
type Summary struct {
	Type       string       `json:"type" enum:"summary" doc:"what this object is"`
	Complete   bool         `json:"complete" doc:"every capture was read to its end, and none is flawed"`
	Frames     uint64       `json:"frames" doc:"frames read, of all captures"`
	Segments   uint64       `json:"segments" doc:"TCP segments among them"`
	ICMPErrors uint64       `json:"icmp_errors" doc:"ICMP errors about TCP among them"`
	Skipped    Counts       `json:"skipped" doc:"all other frames, by reason"`
	Errors     []Text       `json:"errors" doc:"why captures were not read, not to their end, or what is wrong with them all the same"`
	Files      []File       `json:"files" doc:"the captures, in the order given"`
	Flows      FlowCounts   `json:"flows" doc:"how many flows"`
	States     StateCounts  `json:"states" doc:"sides by their state at the end, of the selected flows"`
	Handshakes Counts       `json:"handshakes" doc:"selected flows by handshake result"`
	Closes     Counts       `json:"closes" doc:"selected flows by close result"`
	Severities Severities   `json:"severities" doc:"findings by severity"`
	Findings   []FindingSum `json:"findings" doc:"findings by name, the worst and most frequent first"`

	Across           []AcrossFinding `json:"across" doc:"findings across flows and about captures, the worst and widest first, at most 1000"`
	AcrossLeftOut    uint64          `json:"across_left_out" doc:"further findings across flows, which are not listed"`
	Listeners        []Roll          `json:"listeners" doc:"connections by listener, the most troubled first, at most 1000. Of all flows that the filters on flows leave, whatever the filters on findings say"`
	ListenersLeftOut uint64          `json:"listeners_left_out" doc:"further listeners, which are not listed or for which there was no room"`
	Pairs            []Roll          `json:"pairs" doc:"the same by client address and listener"`
	PairsLeftOut     uint64          `json:"pairs_left_out" doc:"further pairs, which are not listed or for which there was no room"`
}

// File is one capture.
type File struct {
	Name          Text   `json:"name" doc:"as given"`
	Format        string `json:"format,omitzero" doc:"pcap, pcapng or snoop, several where such files were joined in one; left out when it could not be read"`
	Compression   string `json:"compression,omitzero" doc:"gzip, zstd, xz, lz4 or bzip2; gzip in zstd where one is in the other; left out without any"`
	Frames        uint64 `json:"frames" doc:"frames read"`
	Segments      uint64 `json:"segments" doc:"TCP segments among them"`
	ICMPErrors    uint64 `json:"icmp_errors" doc:"ICMP errors about TCP among them"`
	Skipped       Counts `json:"skipped" doc:"all other frames, by reason"`
	First         *Time  `json:"first,omitempty" doc:"time of the earliest frame"`
	Last          *Time  `json:"last,omitempty" doc:"time of the latest frame"`
	Duplicates    uint64 `json:"capture_duplicates" doc:"segments that the capture has twice, or that another one read with it as one has too"`
	Truncated     uint64 `json:"truncated_frames" doc:"frames of which the snap length cut a part"`
	SnapNeeded    uint64 `json:"snap_length_needed,omitzero" doc:"snap length that would have left all of the TCP headers, where it cut any before the flags; left out where it did not"`
	TimeBackwards uint64 `json:"time_backwards" doc:"frames older than the one before them"`
	Dropped       uint64 `json:"dropped_frames" doc:"frames that the capturing program says it lost"`
	Strays        uint64 `json:"stray_segments" doc:"segments that belong to no flow: lone RSTs"`
	Evicted       uint64 `json:"evicted_flows" doc:"flows reported early because too many were open when a segment of this capture came"`
	Error         Text   `json:"error,omitzero" doc:"why it was not read, not to its end, or what is wrong with it all the same: empty records, time running backwards"`
}

// FlowCounts count flows.
type FlowCounts struct {
	Total        int `json:"total" doc:"in the captures"`
	Selected     int `json:"selected" doc:"left by the filters"`
	WithFindings int `json:"with_findings" doc:"of these, with a finding"`
}

// StateCounts count sides by state.
type StateCounts struct {
	Client Counts `json:"client" doc:"clients"`
	Server Counts `json:"server" doc:"servers"`
}

// Counts counts things by name; a name that is not there was not met.
type Counts map[string]uint64

// MarshalJSON implements json.Marshaler: no counts are an empty object.
func (c Counts) MarshalJSON() ([]byte, error) {
	if c == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]uint64(c))
}

// Severities count findings.
type Severities struct {
	Error   uint64 `json:"error" doc:"needs someone's action"`
	Warning uint64 `json:"warning" doc:"may need it"`
	Info    uint64 `json:"info" doc:"explains"`
}

// FindingSum counts the findings of one name.
type FindingSum struct {
	Name     string `json:"name" doc:"what kind"`
	Severity string `json:"severity" enum:"@severity" doc:"the worst among them"`
	Flows    uint64 `json:"flows" doc:"findings of this name: each flow and side, or each subject across flows, has one at most"`
	Count    uint64 `json:"count" doc:"how often it was seen"`
	Pending  uint64 `json:"pending" doc:"of these findings, those for which the capture ended too early"`
}

// Tally counts flows for a Summary.
type Tally struct {
	flows      FlowCounts
	states     [2][analyzer.NumStates]uint64 // client, server
	handshakes [analyzer.HandshakeRejectedICMP + 1]uint64
	closes     [analyzer.CloseUnknown + 1]uint64
	severities [analyzer.Error + 1]uint64
	findings   []tallied
	across     []analyzer.Finding
}

type tallied struct {
	detector *analyzer.Detector
	worst    analyzer.Severity
	sum      FindingSum
}

// NewTally returns a Tally of nothing.
func NewTally() *Tally { return &Tally{} }

// Pass counts a flow that the filters left out.
func (t *Tally) Pass() { t.flows.Total++ }

// Add counts a flow.
func (t *Tally) Add(f *analyzer.Flow) {
	t.flows.Total++
	t.flows.Selected++
	t.states[0][f.Sides[f.Client].State]++
	t.states[1][f.Sides[f.Server()].State]++
	t.handshakes[f.Handshake.Result]++
	t.closes[f.Close.Result]++
	if len(f.Findings) > 0 {
		t.flows.WithFindings++
	}
	for i := range f.Findings {
		t.add(&f.Findings[i])
	}
}

func (t *Tally) add(f *analyzer.Finding) {
	t.severities[f.Severity]++
	i := slices.IndexFunc(t.findings, func(e tallied) bool { return e.detector == f.Detector })
	if i < 0 {
		i = len(t.findings)
		t.findings = append(t.findings, tallied{detector: f.Detector, sum: FindingSum{Name: f.Detector.Name}})
	}
	e := &t.findings[i]
	e.worst = max(e.worst, f.Severity)
	e.sum.Flows++
	e.sum.Count += uint64(max(f.Count, 1))
	if f.Pending {
		e.sum.Pending++
	}
}

// Summary returns the counts of flows. The captures are the caller's to add.
func (t *Tally) Summary() *Summary {
	s := &Summary{
		Type:       "summary",
		Complete:   true,
		Skipped:    Counts{},
		Errors:     []Text{},
		Files:      []File{},
		Flows:      t.flows,
		States:     StateCounts{Counts{}, Counts{}},
		Handshakes: Counts{},
		Closes:     Counts{},
		Severities: Severities{t.severities[analyzer.Error], t.severities[analyzer.Warning], t.severities[analyzer.Info]},
		Findings:   []FindingSum{},
		Listeners:  []Roll{},
		Pairs:      []Roll{},
	}
	s.Across, s.AcrossLeftOut = t.listAcross()
	for result, n := range t.handshakes {
		s.Handshakes.add(analyzer.HandshakeResult(result).String(), int(n))
	}
	for result, n := range t.closes {
		s.Closes.add(analyzer.CloseResult(result).String(), int(n))
	}
	for i, counts := range []Counts{s.States.Client, s.States.Server} {
		for state, n := range t.states[i] {
			counts.add(analyzer.State(state).String(), int(n))
		}
	}
	slices.SortFunc(t.findings, func(a, b tallied) int {
		return cmp.Or(cmp.Compare(b.worst, a.worst), cmp.Compare(b.sum.Flows, a.sum.Flows), cmp.Compare(a.sum.Name, b.sum.Name))
	})
	for _, e := range t.findings {
		e.sum.Severity = e.worst.String()
		s.Findings = append(s.Findings, e.sum)
	}
	return s
}

// AddFile adds a capture.
func (s *Summary) AddFile(f File) {
	s.Files = append(s.Files, f)
	s.Frames += f.Frames
	s.Segments += f.Segments
	s.ICMPErrors += f.ICMPErrors
	for reason, n := range f.Skipped {
		s.Skipped[reason] += n
	}
	if f.Error != "" {
		s.Complete = false
		s.Errors = append(s.Errors, f.Error)
	}
}
