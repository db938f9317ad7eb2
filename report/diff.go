package report

import "io"

// Diff is what changed between two captures, OLD and NEW.
type Diff struct {
	Type     string      `json:"type" enum:"diff" doc:"what this object is"`
	Schema   string      `json:"schema" enum:"tcpflow-states/1" doc:"version of this schema"`
	Tool     string      `json:"tool" doc:"name of the program"`
	Version  string      `json:"version" doc:"version of the program"`
	Options  MetaOptions `json:"options" doc:"what was asked for"`
	Complete bool        `json:"complete" doc:"both captures were read to their end"`
	Level    float64     `json:"level" doc:"significance level of all tests: the corrected p of what changed by test is below it"`
	Old      DiffCapture `json:"old" doc:"the first capture"`
	New      DiffCapture `json:"new" doc:"the second one"`

	Listeners []DiffListener `json:"listeners" doc:"those that both captures have, the most changed first"`
	Gone      []DiffAlone    `json:"gone" doc:"listeners that NEW does not have, by address"`
	Appeared  []DiffAlone    `json:"appeared" doc:"listeners that OLD does not have, by address"`
	Across    []DiffCount    `json:"across" doc:"findings across flows: of how many subjects"`
	Failed    []string       `json:"failed" doc:"what --fail-on names and was met, a sentence each"`
}

// DiffCapture is one of the two captures.
type DiffCapture struct {
	Files        []File `json:"files" doc:"what it was read from"`
	Flows        int    `json:"flows" doc:"flows that the filters leave"`
	Listeners    int    `json:"listeners" doc:"server addresses and ports"`
	FlowsLeftOut int    `json:"flows_left_out,omitzero" doc:"flows of further listeners, for which there was no room"`
	FlowsHeld    int    `json:"flows_held" doc:"the first so many flows could be paired one by one; all are counted"`
}

// DiffAlone is a listener that only one capture has.
type DiffAlone struct {
	Addr        string `json:"addr" doc:"its address"`
	Port        int    `json:"port" doc:"its port"`
	Connections int    `json:"connections" doc:"flows to it"`
}

// DiffPlace is a listener in one of the captures.
type DiffPlace struct {
	Addrs       []string `json:"addrs" doc:"its address; several where listeners are paired by port, at most 16 of them"`
	Connections int      `json:"connections" doc:"flows to it"`
}

// DiffListener is a listener that both captures have.
type DiffListener struct {
	Port     int       `json:"port" doc:"its port"`
	NewPort  int       `json:"new_port,omitzero" doc:"its port in NEW, where that is another one"`
	PairedBy string    `json:"paired_by" enum:"address,port,ephemeral" doc:"port: its addresses are in one of the captures alone, so all such listeners on the port are one; ephemeral: its port is, from 32768 on, and there is one such on the address in each capture"`
	Changed  bool      `json:"changed" doc:"something below did"`
	Old      DiffPlace `json:"old" doc:"in OLD"`
	New      DiffPlace `json:"new" doc:"in NEW"`

	Findings   []DiffCount   `json:"findings" doc:"flows with each finding, the most severe first"`
	States     []DiffCount   `json:"states" doc:"sides by their state at the end; the end of TIME_WAIT, which depends on how long the capture goes on, is left out"`
	Handshakes []DiffCount   `json:"handshakes" doc:"flows by handshake result"`
	Closes     []DiffCount   `json:"closes" doc:"flows by close result"`
	Histories  []DiffHistory `json:"histories" doc:"histories that only one of the captures has, the most frequent first, at most 100"`
	Latency    *DiffLatency  `json:"latency,omitempty" doc:"handshake round trips; left out where neither capture has one"`
	Flows      *DiffFlows    `json:"flows,omitempty" doc:"flow by flow; left out unless nine of ten flows of the smaller capture have the same endpoints in the other"`
}

// DiffGroup is the counts of one kind of thing.
type DiffGroup struct {
	Kind   string // of one of them: finding, state, handshake or close
	Counts []DiffCount
}

// Groups are all counts of the listener. They share its memory.
func (l *DiffListener) Groups() [4]DiffGroup {
	return [...]DiffGroup{{"finding", l.Findings}, {"state", l.States}, {"handshake", l.Handshakes}, {"close", l.Closes}}
}

// DiffCount counts one thing in both captures.
type DiffCount struct {
	Name     string  `json:"name" doc:"what is counted"`
	Side     string  `json:"side,omitzero" enum:"client,server" doc:"of which side; left out where it is the flow"`
	Severity string  `json:"severity,omitzero" enum:"@severity" doc:"of a finding, the worst of both captures"`
	Old      int     `json:"old" doc:"in OLD"`
	New      int     `json:"new" doc:"in NEW"`
	Change   string  `json:"change" enum:"new,gone,more,fewer,same" doc:"new and gone: the other capture has none; more and fewer: the share of the listener's flows changed, by test; same: it did not, or by no more than chance explains"`
	P        float64 `json:"p,omitzero" doc:"of Fisher's exact test, two-sided, corrected for the number of tests by Holm's method; left out where none was made"`
}

// History is the states that both sides went through.
type History struct {
	Client []string `json:"client" doc:"states of the client, in order"`
	Server []string `json:"server" doc:"states of the server, in order"`
}

// DiffHistory counts the flows with one history.
type DiffHistory struct {
	History
	Old    int    `json:"old" doc:"flows in OLD"`
	New    int    `json:"new" doc:"flows in NEW"`
	Change string `json:"change" enum:"new,gone" doc:"which capture has it alone"`
}

// DiffSample is the handshake round trips of one capture.
type DiffSample struct {
	N       int     `json:"n" doc:"how many there are"`
	Sampled int     `json:"sampled" doc:"how many of them, picked evenly, stand for all"`
	P50     Seconds `json:"p50" doc:"median, s"`
	P95     Seconds `json:"p95" doc:"95th percentile, s"`
}

// DiffLatency compares the handshake round trips of two captures.
type DiffLatency struct {
	Old     DiffSample `json:"old" doc:"in OLD"`
	New     DiffSample `json:"new" doc:"in NEW"`
	Verdict string     `json:"verdict" enum:"slower,faster,same,too-few" doc:"same: no more than chance explains; too-few: no test was made"`
	Test    *DiffTest  `json:"test,omitempty" doc:"what the verdict rests on; left out where there are too few"`
}

// DiffTest is a Mann-Whitney U test with the shift that it is about.
type DiffTest struct {
	U         float64 `json:"u" doc:"pairs of a round trip of OLD and one of NEW of which that of NEW is longer; equal ones count half"`
	Z         float64 `json:"z" doc:"U in standard deviations from what is to be expected, ties and continuity corrected"`
	P         float64 `json:"p" doc:"two-sided"`
	PAdjusted float64 `json:"p_adjusted" doc:"corrected for the number of listeners tested by Holm's method"`
	Shift     Seconds `json:"shift" doc:"by how much NEW is slower: the Hodges-Lehmann estimate, s"`
	ShiftLow  Seconds `json:"shift_low" doc:"lower end of its 95 % confidence interval, s"`
	ShiftHigh Seconds `json:"shift_high" doc:"upper end, s"`
	Relative  float64 `json:"relative,omitzero" doc:"the shift as a share of OLD's median"`
}

// DiffFlows compares the flows of a listener one by one.
type DiffFlows struct {
	Paired  int        `json:"paired" doc:"flows of the same endpoints, the first with the first and so on"`
	Changed int        `json:"changed" doc:"of which the history or the findings differ"`
	List    []DiffFlow `json:"list" doc:"these, by number, at most 100"`
}

// DiffFlow is a flow that both captures have and that went another way.
type DiffFlow struct {
	Old    int      `json:"old" doc:"its number in OLD"`
	New    int      `json:"new" doc:"its number in NEW"`
	Client Peer     `json:"client" doc:"the client"`
	Was    *History `json:"was,omitempty" doc:"the history in OLD, where that in NEW is another one"`
	Is     *History `json:"is,omitempty" doc:"that in NEW"`
	Gained []string `json:"gained,omitempty" doc:"findings that only NEW has of it"`
	Lost   []string `json:"lost,omitempty" doc:"findings that only OLD has of it"`
}

// JSON writes the result as one object (docs/schema.json).
func (d *Diff) JSON(w io.Writer) error { return indentedJSON(w, d) }
