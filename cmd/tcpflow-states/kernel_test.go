package main

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// What the command writes of every real capture in the repository fits the
// published schema: json as a whole, ndjson line by line, with everything
// unfinished counted as stuck, so that findings of many kinds are in it.
func TestRealCapturesFitSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("..", "..", "docs", "schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	captures, err := filepath.Glob(filepath.Join("..", "..", "testdata", "kernel", "*", "*.pcap"))
	more, _ := filepath.Glob(filepath.Join("..", "..", "testdata", "pcaps", "*.pcap"))
	captures = append(captures, more...)
	if err != nil || len(captures) < 200 {
		t.Fatalf("%d captures found: %v", len(captures), err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for _, name := range captures {
		for _, format := range []string{"json", "ndjson"} {
			cmd := newRoot()
			cmd.SetArgs([]string{"analyze", name, "-o", format, "--output", out, "--stuck-after", "0", "-q"})
			if err := cmd.Execute(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			data, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			for _, doc := range documents(format, data) {
				v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
				if err == nil {
					err = schema.Validate(v)
				}
				if err != nil {
					t.Fatalf("%s: %s: %v\n%s", name, format, err, doc)
				}
			}
		}
	}
}

// documents splits an output into its JSON documents.
func documents(format string, data []byte) (docs [][]byte) {
	if format == "json" {
		return [][]byte{data}
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		docs = append(docs, bytes.Clone(lines.Bytes()))
	}
	return docs
}
