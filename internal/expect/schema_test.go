package expect

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/tcpflow-states/tcpflow-states/internal/schematest"
)

var update = flag.Bool("update", false, "write docs/expect.schema.json anew")

// schemaFile is the schema for editors. It is made from the types of file.go by
// `go test ./internal/expect -update`.
const schemaFile = "../../docs/expect.schema.json"

type (
	obj    = schematest.Object
	member = schematest.Member
)

func makeSchema() obj {
	return append(obj{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", "urn:" + strings.ReplaceAll(Schema, "/", ":")},
		{"title", Schema},
	}, append(object(reflect.TypeFor[File]()), member{"required", []string{"reason"}})...)
}

// object is the schema of a struct: its keys and no others.
func object(t reflect.Type) obj {
	props := obj{}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		s := obj{{"description", f.Tag.Get("doc")}}
		props = append(props, member{f.Tag.Get("yaml"), append(s, valueSchema(f.Type, f.Tag)...)})
	}
	return obj{{"type", "object"}, {"properties", props}, {"additionalProperties", false}}
}

const (
	countText = `[0-9]+|[0-9]+ *\.\. *[0-9]+|[0-9]+ *\.\.|\.\. *[0-9]+|(>=|>|<=|<) *[0-9]+`
	spanText  = `([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)`
)

func pattern(p string) obj { return obj{{"type", "string"}, {"pattern", "^(" + p + ")$"}} }

func oneOrMore(s obj) obj {
	return obj{{"anyOf", []any{s, obj{{"type", "array"}, {"items", s}}}}}
}

var (
	aCount    = obj{{"anyOf", []any{obj{{"type", "integer"}, {"minimum", 0}}, pattern(countText)}}}
	aDuration = obj{{"anyOf", []any{pattern("(" + spanText + ")+"), obj{{"const", 0}}}}}
)

// valueSchema is the schema of a value.
func valueSchema(t reflect.Type, tag reflect.StructTag) obj {
	names := obj{{"enum", enumNames(tag.Get("enum"))}}
	switch t {
	case reflect.TypeFor[Text](), reflect.TypeFor[Endpoint]():
		return obj{{"type", "string"}}
	case reflect.TypeFor[Flag]():
		return obj{{"type", "boolean"}}
	case reflect.TypeFor[Name]():
		return names
	case reflect.TypeFor[Choice]():
		return oneOrMore(names)
	case reflect.TypeFor[Range]():
		return aCount
	case reflect.TypeFor[Bound]():
		return pattern(strings.ReplaceAll(`(>=|>|<=|<) *D|D *\.\. *D|D *\.\.|\.\. *D|0s?`, "D", "("+spanText+")+"))
	case reflect.TypeFor[Index]():
		return obj{{"type", "integer"}, {"minimum", 0}, {"maximum", maxIndex}}
	case reflect.TypeFor[Numbers]():
		return oneOrMore(obj{{"type", "integer"}, {"minimum", 0}})
	case reflect.TypeFor[Endpoints](), reflect.TypeFor[History]():
		return oneOrMore(obj{{"type", "string"}})
	case reflect.TypeFor[Stuck]():
		keys := obj{{"enum", append([]string{defaultKey}, enumNames(tag.Get("enum"))...)}}
		return obj{{"anyOf", []any{aDuration, obj{{"type", "object"}, {"propertyNames", keys}, {"additionalProperties", aDuration}}}}}
	case reflect.TypeFor[Counts]():
		m := obj{{"type", "object"}, {"propertyNames", names}, {"additionalProperties", aCount}}
		if tag.Get("list") == "" {
			return m
		}
		return obj{{"anyOf", []any{m, names, obj{{"type", "array"}, {"items", names}}}}}
	}
	if t.Kind() == reflect.Slice {
		return obj{{"type", "array"}, {"items", object(t.Elem())}}
	}
	return object(t)
}

// docs/expect.schema.json is what the types say.
func TestSchemaIsTheTypes(t *testing.T) {
	schematest.IsFile(t, makeSchema(), schemaFile, *update)
}

// Every key is explained, by the schema, by errors and by SARIF's rules.
func TestKeysAreExplained(t *testing.T) {
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			if !f.IsExported() {
				continue
			}
			if f.Tag.Get("doc") == "" || f.Tag.Get("yaml") == "" {
				t.Errorf("%s.%s has no doc or no yaml tag", typ, f.Name)
			}
			sub := f.Type
			if sub == reflect.TypeFor[[]FlowExpect]() {
				sub = sub.Elem()
			}
			if _, isLeaf := reflect.New(sub).Interface().(leaf); !isLeaf && sub.Kind() == reflect.Struct {
				walk(sub)
			}
		}
	}
	walk(reflect.TypeFor[File]())
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	return schematest.Compile(t, schematest.Read(t, schemaFile))
}

// valid holds a file against the schema.
func valid(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

// An editor that has the schema says of a file what the parser says.
func TestSchemaAgreesWithParser(t *testing.T) {
	s := compileSchema(t)
	for _, c := range []struct {
		why, text string
		good      bool
	}{
		{"a reason is enough", "reason: r", true},
		{"without a reason nothing is", "capture: {flows: 1}", false},
		{"an unknown key", "reason: r\ncapture: {flow: 1}", false},
		{"an unknown key of an item", "reason: r\nflows: [{states: {client: CLOSED}}]", false},
		{"a range", "reason: r\ncapture: {flows: 1..5}", true},
		{"a comparison", "reason: r\ncapture: {flows: '>= 3'}", true},
		{"a range of words", "reason: r\ncapture: {flows: many}", false},
		{"a negative count", "reason: r\ncapture: {flows: -1}", false},
		{"a state that there is not", "reason: r\ncapture: {states: {server: {CLOSEWAIT: 0}}}", false},
		{"states with counts", "reason: r\ncapture: {states: {server: {CLOSE_WAIT: 0}}}", true},
		{"a bare list of states says no number", "reason: r\ncapture: {states: {server: [CLOSE_WAIT]}}", false},
		{"a bare list of findings", "reason: r\ncapture: {findings: {required: [stuck-close-wait]}}", true},
		{"one finding", "reason: r\ncapture: {findings: {allowed: stuck-close-wait}}", true},
		{"a severity is no name of a required finding", "reason: r\ncapture: {findings: {required: [error]}}", false},
		{"a severity may be forbidden", "reason: r\ncapture: {findings: {forbidden: [error, stuck-close-wait]}}", true},
		{"a bound", "reason: r\nflows: [{handshake: {rtt: '<= 1m30s'}}]", true},
		{"an exact time", "reason: r\nflows: [{handshake: {rtt: 200ms}}]", false},
		{"a range of times", "reason: r\nflows: [{handshake: {rtt: 100ms..1.5s}}]", true},
		{"a time without unit", "reason: r\nflows: [{handshake: {rtt: '<= 3'}}]", false},
		{"one threshold", "reason: r\noptions: {stuck_after: 5s}", true},
		{"none", "reason: r\noptions: {stuck_after: 0}", true},
		{"a threshold for each state", "reason: r\noptions: {stuck_after: {default: 5s, CLOSE_WAIT: 1m}}", true},
		{"a threshold for no state", "reason: r\noptions: {stuck_after: {WAIT: 1m}}", false},
		{"an operating system", "reason: r\noptions: {os: linux}", true},
		{"another one", "reason: r\noptions: {os: templeos}", false},
		{"several flows", "reason: r\nflows: [{match: {flow: [1, 2], client: [':1', ':2']}}]", true},
		{"a flow by a name", "reason: r\nflows: [{match: {flow: first}}]", false},
		{"alternatives", "reason: r\nflows: [{close: {result: [closed, reset]}}]", true},
		{"a flag that is none", "reason: r\noptions: {ignore_vlan: 1}", false},
	} {
		_, err := Parse("x", []byte(c.text))
		if (err == nil) != c.good {
			t.Errorf("%s: the parser says %v", c.why, err)
		}
		if err := valid(t, s, c.text); (err == nil) != c.good {
			t.Errorf("%s: the schema says %v", c.why, err)
		}
	}
}

// Our own files fit it, and so do drafts (see TestDraft).
func TestOwnFilesFitSchema(t *testing.T) {
	s := compileSchema(t)
	files, _ := filepath.Glob("../../testdata/pcaps/*" + ".expect.yaml")
	if len(files) == 0 {
		t.Fatal("no expectation files in testdata/pcaps")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(t, s, string(text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
