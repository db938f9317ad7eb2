package report

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/schematest"
)

// schemaFile is the schema that users get. It is made from the types of
// record.go and summary.go by `go test ./report -update`.
const schemaFile = "../docs/schema.json"

type (
	obj    = schematest.Object
	member = schematest.Member
)

// schemaMaker makes definitions of Go types. A closed schema allows no member
// that the types do not have: tests use it, programs should not.
type schemaMaker struct {
	closed bool
	defs   obj
	done   map[reflect.Type]bool
}

// otherTypes are the objects that live, interfaces and diff write besides.
var otherTypes = []reflect.Type{reflect.TypeFor[FindingEvent](), reflect.TypeFor[TransitionEvent](), reflect.TypeFor[CensusEvent](),
	reflect.TypeFor[Interfaces](), reflect.TypeFor[Diff]()}

func makeSchema(closed bool) obj {
	m := &schemaMaker{closed: closed, done: map[reflect.Type]bool{}}
	meta, flow, summary := m.typ(reflect.TypeFor[Meta]()), m.typ(reflect.TypeFor[Flow]()), m.typ(reflect.TypeFor[Summary]())
	one := []any{meta, flow, summary}
	for _, other := range otherTypes {
		one = append(one, m.typ(other))
	}
	whole := obj{{"description", "the whole of -o json"}, {"type", "object"}, {"properties", obj{
		{"meta", meta}, {"flows", obj{{"description", "by number"}, {"type", "array"}, {"items", flow}}}, {"summary", summary},
	}}, {"required", []string{"meta", "flows", "summary"}}}
	if closed {
		whole = append(whole, member{"additionalProperties", false})
	}
	m.defs = append(m.defs, member{"Whole", whole})
	return obj{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", "urn:tcpflow-states:schema:1"},
		{"title", Schema},
		{"description", "Output of tcpflow-states: a line of -o ndjson (meta, flow or summary; of live also finding, transition and census), the object of interfaces or of diff, or the whole of -o json. " +
			"Times are RFC 3339 UTC, durations seconds. An unknown value is left out. " +
			"Later versions may add members; what there is keeps its meaning."},
		{"oneOf", append(one, ref("Whole"))},
		{"$defs", m.defs},
	}
}

func ref(name string) obj { return obj{{"$ref", "#/$defs/" + name}} }

// typ is the schema of a type: a reference for structs.
func (m *schemaMaker) typ(t reflect.Type) obj {
	switch t {
	case reflect.TypeFor[Time]():
		return obj{{"type", "string"}, {"format", "date-time"}, {"pattern", `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$`}}
	case reflect.TypeFor[Seconds]():
		return obj{{"type", "number"}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return m.typ(t.Elem())
	case reflect.String:
		return obj{{"type", "string"}}
	case reflect.Bool:
		return obj{{"type", "boolean"}}
	case reflect.Float64:
		return obj{{"type", "number"}}
	case reflect.Int, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return obj{{"type", "integer"}, {"minimum", 0}}
	case reflect.Slice:
		return obj{{"type", "array"}, {"items", m.typ(t.Elem())}}
	case reflect.Map:
		return obj{{"type", "object"}, {"additionalProperties", m.typ(t.Elem())}}
	case reflect.Struct:
		if !m.done[t] {
			m.done[t] = true
			i := len(m.defs)
			m.defs = append(m.defs, member{t.Name()})
			m.defs[i][1] = m.object(t)
		}
		return ref(t.Name())
	}
	panic("no schema for " + t.String())
}

func (m *schemaMaker) object(t reflect.Type) obj {
	var props obj
	required := []string{}
	for f := range fields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		s := append(obj{{"description", f.Tag.Get("doc")}}, m.typ(f.Type)...)
		if enum := f.Tag.Get("enum"); enum != "" {
			s = append(s, member{"enum", enumValues(enum)})
		}
		props = append(props, member{name, s})
		if !strings.HasPrefix(options, "omit") {
			required = append(required, name)
		}
	}
	o := obj{{"type", "object"}, {"properties", props}, {"required", required}}
	if m.closed {
		o = append(o, member{"additionalProperties", false})
	}
	return o
}

// fields are the members of a struct; those of an embedded one are its own.
func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			if !f.Anonymous && f.Tag.Get("json") != "-" && !yield(f) {
				return
			}
		}
	}
}

// enumValues lists what an enum tag allows; @name stands for a list that the
// analyzer has.
func enumValues(tag string) []string {
	switch tag {
	case "@state":
		return names(analyzer.NumStates, func(i int) string { return analyzer.State(i).String() })
	case "@basis":
		return names(int(analyzer.Assumed)+1, func(i int) string { return analyzer.Basis(i).String() })
	case "@severity":
		return names(int(analyzer.Error)+1, func(i int) string { return analyzer.Severity(i).String() })
	case "@event":
		return names(analyzer.NumEvents, func(i int) string { return analyzer.Event(i).String() })[1:]
	case "@handshake":
		return names(int(analyzer.HandshakeRejectedICMP)+1, func(i int) string { return analyzer.HandshakeResult(i).String() })
	case "@close":
		return names(int(analyzer.CloseUnknown)+1, func(i int) string { return analyzer.CloseResult(i).String() })
	}
	return strings.Split(tag, ",")
}

func names(n int, name func(int) string) []string {
	var list []string
	for i := range n {
		list = append(list, name(i))
	}
	return list
}

// docs/schema.json says exactly what the Go types say: every member that a
// type has is there, and the other way round.
func TestSchemaIsTheTypes(t *testing.T) {
	schematest.IsFile(t, makeSchema(false), schemaFile, *update)
}

// Every member is explained to who reads the schema.
func TestSchemaExplainsEverything(t *testing.T) {
	for _, typ := range append([]reflect.Type{reflect.TypeFor[Flow](), reflect.TypeFor[Meta](), reflect.TypeFor[Summary]()}, otherTypes...) {
		explained(t, typ)
	}
}

func explained(t *testing.T, typ reflect.Type) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct {
		return
	}
	for f := range fields(typ) {
		if f.Tag.Get("doc") == "" || f.Tag.Get("json") == "" {
			t.Errorf("%s.%s has no doc or no json tag", typ, f.Name)
		}
		explained(t, f.Type)
	}
}

// Every output is valid, by the published schema and by one that allows no
// undocumented member.
func TestOutputsMatchSchema(t *testing.T) {
	published, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	closed, err := json.Marshal(makeSchema(true))
	if err != nil {
		t.Fatal(err)
	}
	several := acrossCaptures()
	several.Number = 18
	flows := append(fixture(), newFlow(5, "10.0.0.1:1", "10.0.0.2:2", false), several)
	var whole, lines bytes.Buffer
	if err := run(newJSON(&whole, fixtureMeta(), fixtureOptions()), flows); err != nil {
		t.Fatal(err)
	}
	if err := run(newNDJSON(&lines, fixtureMeta(), fixtureOptions()), flows); err != nil {
		t.Fatal(err)
	}
	happen(t, NewEvents(&lines, false))
	outputs := append(strings.Split(strings.TrimSpace(lines.String()), "\n"), whole.String())
	var interfaces bytes.Buffer
	if err := InterfacesJSON(&interfaces, someInterfaces()); err != nil {
		t.Fatal(err)
	}
	outputs = append(outputs, interfaces.String())
	for _, schema := range [][]byte{published, closed} {
		s := schematest.Compile(t, schema)
		for _, out := range outputs {
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
			if err != nil {
				t.Fatalf("%v in %s", err, out)
			}
			if err := s.Validate(v); err != nil {
				t.Errorf("%v\nin %s", err, out)
			}
		}
	}
}

// The schema is no rubber stamp: it refuses what the contract forbids.
func TestSchemaRefuses(t *testing.T) {
	published, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	s := schematest.Compile(t, published)
	good := string(appendFlow(nil, halfClosed(), Origin{}))
	for _, c := range []struct{ why, old, new string }{
		{"a state that RFC 9293 does not have", `"server":"CLOSE_WAIT"`, `"server":"CLOSE-WAIT"`},
		{"null for an unknown value", `"rtt":0.0121`, `"rtt":null`},
		{"a count as text", `"frames":44`, `"frames":"44"`},
		{"a time that is not UTC", `"end":"2026-11-21T02:05:00.000000001Z"`, `"end":"2026-11-21T02:05:00+01:00"`},
		{"a missing member", `"roles":"observed",`, ``},
	} {
		bad := strings.Replace(good, c.old, c.new, 1)
		if bad == good {
			t.Fatalf("%s: %s is not in %s", c.why, c.old, good)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(v) == nil {
			t.Errorf("valid in spite of %s", c.why)
		}
	}
}
