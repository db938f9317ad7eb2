package report

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/netip"
	"net/url"
	"path"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/expect"
)

// The JUnit XML that Jenkins and GitLab read: what junit-10.xsd of Jenkins's xUnit
// plugin allows, which refuses a file with anything else. It has no times and no
// dates: two runs over the same files write the same bytes.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		ClassName string        `xml:"classname,attr"`
		Name      string        `xml:"name,attr"`
		Failure   *junitTrouble `xml:"failure"`
		Error     *junitTrouble `xml:"error"`
		Skipped   *junitTrouble `xml:"skipped"`
		SystemOut *junitText    `xml:"system-out"`
	}
	junitText struct {
		Text string `xml:",cdata"`
	}
	junitTrouble struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",cdata"`
	}
)

// writeJUnit has a suite for each directory and a case for each capture.
func writeJUnit(w io.Writer, r *CheckRun, _ Options) error {
	all := junitSuites{Name: "tcpflow-states check", Tests: len(r.Cases),
		Failures: r.Count(CheckFailed), Errors: r.Count(CheckError)}
	at := map[string]int{}
	for i := range r.Cases {
		c := &r.Cases[i]
		dir := Clean(path.Dir(c.Capture))
		n, there := at[dir]
		if !there {
			n = len(all.Suites)
			at[dir] = n
			all.Suites = append(all.Suites, junitSuite{Name: dir})
		}
		all.Suites[n].add(c, dir)
	}
	io.WriteString(w, xml.Header)
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *junitSuite) add(c *CheckCase, dir string) {
	e := junitCase{ClassName: dir, Name: Clean(path.Base(c.Capture))}
	s.Tests++
	switch c.Outcome {
	case CheckFailed:
		s.Failures++
		e.Failure = &junitTrouble{headline(&c.Failures[0]), "difference", c.plainBody()}
		var ladders []string
		for _, l := range c.Ladders {
			ladders = append(ladders, l.Text)
		}
		if ladders != nil {
			e.SystemOut = &junitText{strings.Join(ladders, "\n")}
		}
	case CheckError:
		s.Errors++
		first, _, _ := strings.Cut(c.Error, "\n")
		e.Error = &junitTrouble{Clean(first), "error", c.plainBody()}
	case CheckSkipped:
		s.Skipped++
		e.Skipped = &junitTrouble{Message: "no expectation"}
	}
	s.Cases = append(s.Cases, e)
}

// The parts of SARIF 2.1.0 (OASIS) that there is something to say in.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID    string       `json:"id"`
		Short sarifMessage `json:"shortDescription"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifMessage    `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifMessage      `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
)

// writeSARIF has a result for each key that fails, and a notification for each
// capture that could not be checked.
func writeSARIF(w io.Writer, r *CheckRun, _ Options) error {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "tcpflow-states", Version: r.Version,
		InformationURI: "https://github.com/tcpflow-states/tcpflow-states", Rules: []sarifRule{}}},
		Invocations: []sarifInvocation{{Successful: r.Count(CheckError) == 0}}, Results: []sarifResult{}}
	rules := map[string]int{}
	for i := range r.Cases {
		c := &r.Cases[i]
		if c.Outcome == CheckError {
			run.Invocations[0].Notifications = append(run.Invocations[0].Notifications,
				sarifNotification{"error", sarifMessage{cleanLines(c.Error)}, []sarifLocation{c.location(0)}})
		}
		for _, g := range c.groups() {
			id, doc := ruleOf(&g.Failure)
			if _, there := rules[id]; !there {
				rules[id] = len(run.Tool.Driver.Rules)
				run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{id, sarifMessage{doc}})
			}
			run.Results = append(run.Results, sarifResult{id, rules[id], "error",
				sarifMessage{Clean(c.Capture) + ": " + g.annotation()}, []sarifLocation{c.location(g.Line)},
				map[string]string{"capture/key/v1": Clean(c.Capture) + "#" + g.Key}})
		}
	}
	return indentedJSON(w, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// location is a line of the file.
func (c *CheckCase) location(line int) sarifLocation {
	at := sarifPhysical{Artifact: sarifArtifact{uri(c.file())}}
	if line > 0 {
		at.Region = &sarifRegion{line}
	}
	return sarifLocation{at}
}

// uri is a path as RFC 3986 has it.
func uri(file string) string {
	u := url.URL{Path: file}
	if path.IsAbs(file) {
		u.Scheme = "file"
	}
	return u.String()
}

func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

func indentedJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// The types below are the object of check -o json, for who decodes it in Go and for
// docs/check.schema.json, which is made from them and their doc tags.
type (
	// CheckJSON is the whole.
	CheckJSON struct {
		Type    string           `json:"type" enum:"check" doc:"what this object is"`
		Schema  string           `json:"schema" enum:"tcpflow-states/check/1" doc:"version of this schema"`
		Tool    string           `json:"tool" doc:"name of the program"`
		Version string           `json:"version" doc:"version of the program"`
		Cases   []CheckCaseJSON  `json:"cases" doc:"the captures, in the order of their names"`
		Summary CheckSummaryJSON `json:"summary" doc:"captures by outcome"`
	}
	// CheckSummaryJSON counts captures.
	CheckSummaryJSON struct {
		Passed  int `json:"passed" doc:"as expected"`
		Failed  int `json:"failed" doc:"not as expected"`
		Errors  int `json:"errors" doc:"that could not be checked: they or their expectation files could not be read"`
		Skipped int `json:"skipped" doc:"without an expectation file"`
	}
	// CheckCaseJSON is one capture.
	CheckCaseJSON struct {
		Capture     Text               `json:"capture" doc:"its path"`
		Expectation Text               `json:"expectation,omitzero" doc:"path of its expectation file; left out when there is none"`
		Reason      Text               `json:"reason,omitzero" doc:"of the expectation file"`
		Outcome     string             `json:"outcome" enum:"passed,failed,error,skipped" doc:"what came of it"`
		Flows       uint64             `json:"flows" doc:"how many there are"`
		Error       Text               `json:"error,omitzero" doc:"why it could not be checked, in lines"`
		Update      Text               `json:"update,omitzero" doc:"what --update did"`
		Failures    []CheckFailureJSON `json:"failures" doc:"what is not as expected, in the order of the file's lines, then by flow"`
		LeftOut     uint64             `json:"flows_left_out,omitzero" doc:"further flows that fail, and are not listed"`
	}
	// CheckFailureJSON is one expectation that does not hold.
	CheckFailureJSON struct {
		Key      string           `json:"key,omitzero" doc:"in the expectation file; left out when there is no file (--strict)"`
		Line     int              `json:"line,omitzero" doc:"its line there"`
		Flow     *int             `json:"flow,omitempty" doc:"number of the flow; left out when it is about the capture"`
		Client   *Peer            `json:"client,omitempty" doc:"the flow's client"`
		Server   *Peer            `json:"server,omitempty" doc:"the flow's server"`
		Expected Text             `json:"expected" doc:"in words"`
		Got      Text             `json:"got" doc:"in words"`
		Note     Text             `json:"note,omitzero" doc:"what explains it, as the evidence of a finding"`
		Says     Text             `json:"says,omitzero" doc:"of a history: where the expected and the real one part"`
		Story    []CheckStateJSON `json:"story,omitempty" doc:"of a history: the expected and the real one, side by side"`
	}
	// CheckStateJSON is a state of the expected history, of the real one, or of both.
	CheckStateJSON struct {
		In      string   `json:"in" enum:"both,expected,got" doc:"in which history it is"`
		State   string   `json:"state" doc:"its name; several with | between them where any was expected"`
		Frame   uint64   `json:"frame,omitzero" doc:"the frame that brought it about; left out for a timer"`
		After   *Seconds `json:"after,omitempty" doc:"when, from the flow's first frame on, s"`
		Trigger string   `json:"trigger,omitzero" enum:"@event" doc:"what happened to the side"`
		Basis   string   `json:"basis,omitzero" enum:"@basis" doc:"on what evidence"`
	}
)

func writeCheckJSON(w io.Writer, r *CheckRun, _ Options) error {
	out := CheckJSON{"check", CheckSchema, "tcpflow-states", r.Version, []CheckCaseJSON{},
		CheckSummaryJSON{r.Count(CheckPassed), r.Count(CheckFailed), r.Count(CheckError), r.Count(CheckSkipped)}}
	for i := range r.Cases {
		c := &r.Cases[i]
		e := CheckCaseJSON{Text(c.Capture), Text(c.Expectation), Text(c.Reason), c.Outcome.String(), c.Flows,
			Text(c.Error), Text(c.Update), []CheckFailureJSON{}, c.LeftOut}
		for i := range c.Failures {
			e.Failures = append(e.Failures, newFailureJSON(&c.Failures[i]))
		}
		out.Cases = append(out.Cases, e)
	}
	return indentedJSON(w, out)
}

func newFailureJSON(f *expect.Failure) CheckFailureJSON {
	e := CheckFailureJSON{Key: f.Key, Line: f.Line, Expected: Text(f.Expected), Got: Text(f.Got), Note: Text(f.Note)}
	if f.Flow >= 0 {
		e.Flow, e.Client, e.Server = &f.Flow, newPeer(f.Client), newPeer(f.Server)
	}
	if f.Story == nil {
		return e
	}
	e.Says = Text(f.Story.Says)
	for _, l := range f.Story.Lines {
		s := CheckStateJSON{In: map[byte]string{' ': "both", '-': "expected", '+': "got"}[l.Mark], State: l.Text}
		if m := l.Move; m != nil {
			s.Basis, s.Trigger = m.Basis.String(), m.Trigger.String()
			_, s.Frame = analyzer.SplitFrame(m.Frame)
			if l.At >= 0 {
				after := Seconds(l.At)
				s.After = &after
			}
		}
		e.Story = append(e.Story, s)
	}
	return e
}

func newPeer(a netip.AddrPort) *Peer { return &Peer{a.Addr().String(), a.Port()} }
