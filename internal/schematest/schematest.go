// Package schematest holds what the tests of JSON Schemas share: those that make a
// file of docs from Go types, and those that hold output against one.
package schematest

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Object keeps its members in order, so that a schema reads like the types.
type Object []Member

// Member is a name, which is a string, and its value.
type Member [2]any

// MarshalJSON implements json.Marshaler.
func (o Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, part := range m {
			text, err := json.Marshal(part)
			if err != nil {
				return nil, err
			}
			if j > 0 {
				b.WriteByte(':')
			}
			b.Write(text)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Text is a schema as its file has it.
func Text(t *testing.T, schema Object) []byte {
	t.Helper()
	b, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// IsFile asserts that a file has the schema that the types of a package make, and
// with update writes it first.
func IsFile(t *testing.T, schema Object, file string, update bool) {
	t.Helper()
	want := Text(t, schema)
	if update {
		if err := os.WriteFile(file, want, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(want), string(Read(t, file))); diff != "" {
		t.Errorf("%s is not what the types say; run go test with -update in this package (-types +file):\n%s", file, diff)
	}
}

// Read reads a file.
func Read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Compile makes a schema of its text. It asserts formats, too.
func Compile(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}
