package report

import (
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"
)

// junitShape is what junit-10.xsd of Jenkins's xUnit plugin (jenkinsci/xunit-plugin,
// src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd) allows in the elements
// that we write: attributes, required ones with !, and children in any order and number.
var junitShape = map[string]struct{ attributes, children []string }{
	"":           {nil, []string{"testsuites"}},
	"testsuites": {[]string{"name", "time", "tests", "failures", "errors"}, []string{"testsuite"}},
	"testsuite": {[]string{"name!", "tests!", "failures!", "errors!", "group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
		[]string{"testsuite", "properties", "testcase", "system-out", "system-err"}},
	"testcase":   {[]string{"name!", "time", "classname", "group"}, []string{"skipped", "error", "failure", "system-out", "system-err"}},
	"failure":    {[]string{"type", "message"}, nil},
	"error":      {[]string{"type", "message"}, nil},
	"skipped":    {[]string{"type", "message"}, nil},
	"system-out": {nil, nil},
}

// The JUnit file has nothing that Jenkins's xUnit plugin would refuse it for, and text
// only where text may be.
func TestCheckJUnitShape(t *testing.T) {
	dec := xml.NewDecoder(strings.NewReader(checkText(t, "junit", Options{})))
	path := []string{""}
	for {
		token, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		in := path[len(path)-1]
		switch e := token.(type) {
		case xml.StartElement:
			name := e.Name.Local
			if !slices.Contains(junitShape[in].children, name) {
				t.Errorf("<%s> in <%s>", name, in)
			}
			checkJUnitAttributes(t, e)
			path = append(path, name)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if junitShape[in].children != nil && strings.TrimSpace(string(e)) != "" {
				t.Errorf("text in <%s>: %q", in, e)
			}
		}
	}
}

func checkJUnitAttributes(t *testing.T, e xml.StartElement) {
	t.Helper()
	given := map[string]bool{}
	for _, a := range e.Attr {
		given[a.Name.Local] = true
	}
	for _, a := range junitShape[e.Name.Local].attributes {
		name, required := strings.CutSuffix(a, "!")
		if required && !given[name] {
			t.Errorf("<%s> without %s", e.Name.Local, name)
		}
		delete(given, name)
	}
	for name := range given {
		t.Errorf("<%s> with %s", e.Name.Local, name)
	}
}
