package analyzer

// Severity says whether a finding needs someone.
type Severity uint8

// The severities. Info explains, Warning may need action, Error does.
const (
	Info Severity = iota
	Warning
	Error
)

var severityNames = [...]string{"info", "warning", "error"}

// String returns the name that every output and flag uses.
func (s Severity) String() string { return severityNames[s] }

// ParseSeverity returns the severity of that name.
func ParseSeverity(name string) (Severity, bool) {
	for i, n := range severityNames {
		if n == name {
			return Severity(i), true
		}
	}
	return Info, false
}

// Finding is one thing that is wrong, or worth knowing, about a flow.
// Repeats on one flow fold into one finding with a count.
type Finding struct {
	Detector *Detector // what kind of finding: its name, cause and reference
	Severity Severity  // of this one; at most that of its kind
	Side     Side      // whom it is about; NoSide when it is the flow
	At       int64     // when it began, ns since 1970-01-01 UTC
	Last     int64     // when it was last seen
	Frame    uint64    // the first frame of the evidence
	Frames   []uint64  // further frames of the evidence, few
	For      int64     // how long the condition lasted, ns; 0 where it is an instant
	Count    int       // how often, 1 or more
	Pending  bool      // the capture ended before the threshold passed
	Doubt    string    // what lowers the certainty; empty when nothing does
	Evidence string    // one sentence with the numbers in it
}

// Detector recognises one kind of finding. The one list of them is Detectors.
type Detector struct {
	Name      string   // the identifier in every output and flag
	Doc       string   // one sentence: what it is
	Cause     string   // the likely cause, in an on-call engineer's words
	Next      string   // what to run or look at next
	Reference string   // the clause that it rests on
	Severity  Severity // the highest it is reported with

	// Wants says which segments Segment is called for: those with any of
	// these facts. Zero with a nil Segment: only End is of interest.
	Wants Facts
	// Segment looks at one step of a flow; the Step is valid during the call.
	Segment func(*Step)
	// End looks at a flow that is done, or that the capture's end cut off.
	End func(*Flow)
}

// raise adds a finding to the flow, or counts it into one of the same detector
// about the same side.
func (f *Flow) raise(n Finding) {
	for i := range f.Findings {
		if old := &f.Findings[i]; old.Detector == n.Detector && old.Side == n.Side {
			old.Count++
			old.Last = max(old.Last, n.Last, n.At)
			old.Severity = max(old.Severity, n.Severity)
			return
		}
	}
	n.Count = max(n.Count, 1)
	n.Last = max(n.Last, n.At)
	f.Findings = append(f.Findings, n)
}
