package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/expect"
	"github.com/tcpflow-states/tcpflow-states/internal/schematest"
)

// checkRun has a capture of each outcome; one has a name and a reason with all
// that some format could trip over.
func checkRun() *CheckRun {
	story := &expect.Story{Side: "server", Says: "The server goes as expected as far as CLOSE_WAIT (frame 6); LAST_ACK does not follow.",
		Lines: []expect.StoryLine{
			{Mark: ' ', Text: "LISTEN", Move: &expect.Move{State: analyzer.Listen, Basis: analyzer.Assumed}, At: -1},
			{Mark: '+', Text: "CLOSE_WAIT", Move: &expect.Move{State: analyzer.CloseWait, Trigger: analyzer.RcvFIN, Time: 5e9, Frame: 6}, At: 23e6},
			{Mark: '-', Text: "LAST_ACK", At: -1},
		}}
	client, server := netip.MustParseAddrPort("10.0.0.1:1000"), netip.MustParseAddrPort("10.0.0.9:80")
	failure := func(key string, line, flow int, expected, got string) expect.Failure {
		return expect.Failure{Key: key, Line: line, Flow: flow, Client: client, Server: server, Expected: expected, Got: got}
	}
	history := failure("flows[0].history.server", 6, 0, "LISTEN … LAST_ACK", "LISTEN CLOSE_WAIT")
	history.Story = story
	whole := failure("capture.flows", 3, -1, "at least 3", "2")
	whole.Note = "see %0A::error::and ]]> and \x1b[31m"
	return &CheckRun{Version: "1.2.3", Cases: []CheckCase{
		{Capture: "a/good.pcap", Expectation: "a/good.expect.yaml", Flows: 1234},
		{Capture: "a/x|`#y`,:%\x1b[2J & <b>.pcap", Expectation: "a/x.expect.yaml", Reason: "why *not* <script>\nand \x1b[1m", Outcome: CheckFailed, Flows: 3,
			Failures: []expect.Failure{whole, history, failure("flows[0].close.result", 7, 0, "closed", "half-closed"),
				failure("flows[0].close.result", 7, 1, "closed", "half-closed"), failure("flows[0].close.result", 7, 2, "closed", "reset")},
			LeftOut: 4, Ladders: []CheckLadder{{0, "flow 0: the drawing ```\n"}}, Show: "tcpflow-states show x --flow 1"},
		{Capture: "b/cut.pcap", Expectation: "b/cut.expect.yaml", Outcome: CheckError, Error: "b/cut.pcap: frame 9: it ends\nand \x1b[5m more"},
		{Capture: "b/new.pcap", Outcome: CheckSkipped},
		{Capture: "b/strict.pcap", Outcome: CheckFailed, Failures: []expect.Failure{{Flow: -1, Expected: "an expectation file", Got: "none"}}},
		{Capture: "b/updated.pcap", Expectation: "b/updated.expect.yaml", Update: "updated capture.flows"},
	}}
}

func checkText(t *testing.T, format string, o Options) string {
	t.Helper()
	f, ok := CheckFormatNamed(format)
	if !ok {
		t.Fatal(format)
	}
	var b bytes.Buffer
	if err := f.Write(&b, checkRun(), o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Every format writes what it ever wrote; a change is seen in review.
func TestCheckGolden(t *testing.T) {
	for _, f := range CheckFormats {
		golden(t, "check."+f.Name, []byte(checkText(t, f.Name, Options{})))
	}
	golden(t, "check.color", []byte(checkText(t, "table", Options{Color: true, Width: 80})))
}

// A leak that shows at both ends is told once, if it is of the same flows; each
// column of a history is in line, and no prose is wider than proseWidth.
func TestCheckStory(t *testing.T) {
	end := func(key, got, partner string, flow int) expect.Failure {
		return expect.Failure{Key: key, Flow: flow, Expected: "no finding", Got: got, Partner: partner}
	}
	const key, owes, waits = "flows[0].findings.forbidden.", "stuck-close-wait", "stuck-fin-wait-2"
	both := []expect.Failure{end(key+owes, "OWES", "", 1), end(key+owes, "OWES", "", 4), end(key+waits, "WAITS", owes, 1), end(key+waits, "WAITS", owes, 4)}
	for n, want := range map[int]int{2: 1, 3: 2, 4: 1} {
		c := CheckCase{Failures: both[:n]}
		g := c.groups()
		if len(g) != want || n == 4 && !strings.Contains(g[0].also(), "and with it the other end: WAITS; so does 1 more flow: 4") {
			t.Errorf("%d failures: %d groups, %q", n, len(g), g[0].also())
		}
	}
	text := checkText(t, "table", Options{Width: 300})
	for line := range strings.Lines(text) {
		if width(line)-1 > proseWidth && !strings.HasPrefix(line, "6 captures: ") {
			t.Errorf("%d columns: %s", width(line), line)
		}
	}
}

// The last line names a few of many.
func TestCheckSummary(t *testing.T) {
	r := &CheckRun{Cases: []CheckCase{{Capture: "a", Outcome: CheckError}}}
	for _, name := range []string{"b", "c", "d\x1b", "e", "f", "g"} {
		r.Cases = append(r.Cases, CheckCase{Capture: name, Outcome: CheckFailed})
	}
	if got, want := r.Summary(), `7 captures: 0 passed, 6 failed (b, c, d\x1b, e, 2 more), 1 error (a)`; got != want {
		t.Errorf("%s\n%s", got, want)
	}
}

// No name, reason or error reaches a terminal raw.
func TestCheckIsClean(t *testing.T) {
	for _, f := range CheckFormats {
		for _, r := range checkText(t, f.Name, Options{}) {
			if !unicode.IsPrint(r) && r != '\n' {
				t.Errorf("%s writes %q", f.Name, r)
			}
		}
	}
}

// The JUnit file is well-formed, and its counts are those of its elements.
func TestCheckJUnit(t *testing.T) {
	text := checkText(t, "junit", Options{})
	dec := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := dec.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
	var all junitSuites
	if err := xml.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	var tests, failures, errs, skipped int
	for _, s := range all.Suites {
		for _, c := range s.Cases {
			tests++
			trouble := 0
			for i, e := range []*junitTrouble{c.Failure, c.Error, c.Skipped} {
				if e != nil {
					trouble++
					*[]*int{&failures, &errs, &skipped}[i]++
				}
			}
			if trouble > 1 {
				t.Errorf("%s ends in %d ways", c.Name, trouble)
			}
		}
	}
	if tests != 6 || all.Tests != 6 || failures != all.Failures || errs != all.Errors || failures != 2 || errs != 1 || skipped != 1 {
		t.Errorf("%d tests, %d failures, %d errors, %d skipped; the file says %+v", tests, failures, errs, skipped, all)
	}
	if got := all.Suites[0].Cases[1].Failure.Text; !strings.Contains(got, "and ]]> and") || !strings.Contains(got, "- LAST_ACK") {
		t.Errorf("the failure's text is %q", got)
	}
}

// sarifSchema is what SARIF 2.1.0 (OASIS) asks of the objects that we write, with
// the clause of each. The whole schema of OASIS was tried on the same output by hand.
const sarifSchema = `{"$schema":"https://json-schema.org/draft/2020-12/schema",
"$defs":{
 "message":{"description":"3.11","type":"object","required":["text"],"properties":{"text":{"type":"string","minLength":1}},"additionalProperties":false},
 "level":{"description":"3.27.10, 3.58.6","enum":["none","note","warning","error"]},
 "location":{"description":"3.28","type":"object","properties":{"physicalLocation":{"type":"object","required":["artifactLocation"],"properties":{
   "artifactLocation":{"description":"3.4.3","type":"object","properties":{"uri":{"type":"string","format":"uri-reference"}},"additionalProperties":false},
   "region":{"description":"3.30.5","type":"object","properties":{"startLine":{"type":"integer","minimum":1}},"additionalProperties":false}},"additionalProperties":false}},"additionalProperties":false}},
"type":"object","required":["version","runs"],"additionalProperties":false,"properties":{
 "$schema":{"type":"string","format":"uri"},"version":{"const":"2.1.0"},
 "runs":{"type":"array","items":{"description":"3.14","type":"object","required":["tool"],"additionalProperties":false,"properties":{
  "tool":{"description":"3.18","type":"object","required":["driver"],"additionalProperties":false,"properties":{"driver":{"description":"3.19","type":"object","required":["name"],"additionalProperties":false,"properties":{
    "name":{"type":"string"},"version":{"type":"string"},"informationUri":{"type":"string","format":"uri"},
    "rules":{"type":"array","uniqueItems":true,"items":{"description":"3.49","type":"object","required":["id"],"additionalProperties":false,"properties":{"id":{"type":"string"},"shortDescription":{"$ref":"#/$defs/message"}}}}}}}},
  "invocations":{"type":"array","items":{"description":"3.20","type":"object","required":["executionSuccessful"],"additionalProperties":false,"properties":{"executionSuccessful":{"type":"boolean"},
    "toolExecutionNotifications":{"type":"array","items":{"description":"3.58","type":"object","required":["message"],"additionalProperties":false,"properties":{"message":{"$ref":"#/$defs/message"},"level":{"$ref":"#/$defs/level"},"locations":{"type":"array","items":{"$ref":"#/$defs/location"}}}}}}}},
  "results":{"type":"array","items":{"description":"3.27","type":"object","required":["message"],"additionalProperties":false,"properties":{"ruleId":{"type":"string"},"ruleIndex":{"type":"integer","minimum":-1},"level":{"$ref":"#/$defs/level"},"message":{"$ref":"#/$defs/message"},
    "locations":{"type":"array","items":{"$ref":"#/$defs/location"}},"partialFingerprints":{"type":"object","additionalProperties":{"type":"string"}}}}}}}}}}`

func TestCheckSARIF(t *testing.T) {
	text := checkText(t, "sarif", Options{})
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schematest.Compile(t, []byte(sarifSchema)).Validate(v); err != nil {
		t.Errorf("%v\nin %s", err, text)
	}
	var log sarifLog
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		t.Fatal(err)
	}
	run := &log.Runs[0]
	prints := map[string]bool{}
	for _, r := range run.Results {
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("rule %d is not %s", r.RuleIndex, r.RuleID)
		}
		print := fmt.Sprint(r.Fingerprints)
		if prints[print] {
			t.Errorf("two results have the fingerprint %s: a reader takes them for one", print)
		}
		prints[print] = true
	}
	if run.Invocations[0].Successful || len(run.Invocations[0].Notifications) != 1 {
		t.Errorf("the capture that could not be read is not told of: %+v", run.Invocations)
	}
}

// checkSchemaFile is made from the types of check_files.go by `go test ./report -update`.
const checkSchemaFile = "../docs/check.schema.json"

func makeCheckSchema(closed bool) obj {
	m := &schemaMaker{closed: closed, done: map[reflect.Type]bool{}}
	whole := m.typ(reflect.TypeFor[CheckJSON]())
	return append(obj{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", "urn:tcpflow-states:check:1"},
		{"title", CheckSchema},
		{"description", "Output of tcpflow-states check -o json. Later versions may add members; what there is keeps its meaning."},
		{"$defs", m.defs},
	}, whole...)
}

// The schema is what the types say, and what is written fits it, with no member
// that it does not have.
func TestCheckJSON(t *testing.T) {
	schematest.IsFile(t, makeCheckSchema(false), checkSchemaFile, *update)
	explained(t, reflect.TypeFor[CheckJSON]())
	text := checkText(t, "json", Options{})
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, closed := range []bool{false, true} {
		if err := schematest.Compile(t, schematest.Text(t, makeCheckSchema(closed))).Validate(v); err != nil {
			t.Errorf("%v\nin %s", err, text)
		}
	}
}

// A workflow command is one line; nothing within it begins another, or ends it.
func TestCheckGitHub(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(checkText(t, "github", Options{})), "\n")
	for i, line := range lines {
		parameters, _, _ := strings.Cut(strings.TrimPrefix(line, "::error "), "::")
		if i < len(lines)-1 && (!strings.HasPrefix(line, "::error file=") || strings.Count(parameters, ",")+1 != strings.Count(parameters, "=")) {
			t.Errorf("%s", line)
		}
	}
	if last := lines[len(lines)-1]; last != checkRun().Summary() {
		t.Errorf("the last line is %q", last)
	}
}

// There are as many test points as the plan says, and each diagnosis is YAML.
func TestCheckTAP(t *testing.T) {
	text := checkText(t, "tap", Options{})
	if !strings.HasPrefix(text, "TAP version 14\n1..6\n") || strings.Count(text, "\nok ")+strings.Count(text, "\nnot ok ") != 6 {
		t.Errorf("%s", text)
	}
	for _, block := range strings.Split(text, "\n  ---\n")[1:] {
		block, _, ended := strings.Cut(block, "\n  ...\n")
		var v struct{ Severity, Message string }
		if err := yaml.Unmarshal([]byte(block), &v); err != nil || !ended || v.Message == "" || v.Severity == "" {
			t.Errorf("%v in\n%s", err, block)
		}
	}
}

// Each row of the table has its cells, whatever is in them, and a fence is longer
// than what it holds.
func TestCheckMarkdown(t *testing.T) {
	text := checkText(t, "markdown", Options{})
	rows := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		rows++
		if n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); n != 5 {
			t.Errorf("%d bars in %s", n, line)
		}
	}
	if rows != 8 || !strings.Contains(text, "\n````\nflow 0: the drawing ```\n````\n") || strings.Contains(text, "<script>") {
		t.Errorf("%d rows in\n%s", rows, text)
	}
}
