package expect

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const docsFile = "../../docs/expect.md"

// keyList is the list of keys in docs/expect.md.
func keyList() string {
	var b strings.Builder
	listed := map[reflect.Type]bool{}
	var walk func(t reflect.Type, above string)
	walk = func(t reflect.Type, above string) {
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() {
				continue
			}
			key, sub := dotted(above, f.Tag.Get("yaml")), f.Type
			if sub == reflect.TypeFor[[]FlowExpect]() {
				key, sub = key+"[]", sub.Elem()
			}
			enum := ""
			if tag := f.Tag.Get("enum"); tag != "" && !strings.Contains(tag, "@finding") && !strings.Contains(tag, "@state") {
				enum = " (" + strings.Join(enumNames(tag), ", ") + ")"
			}
			fmt.Fprintf(&b, "| `%s` | %s%s |\n", key, strings.ReplaceAll(f.Tag.Get("doc"), "|", `\|`), enum)
			if _, isLeaf := reflect.New(sub).Interface().(leaf); !isLeaf && sub.Kind() == reflect.Struct && !listed[sub] {
				listed[sub] = true
				walk(sub, key)
			}
		}
	}
	b.WriteString("\n| key | |\n|---|---|\n")
	walk(reflect.TypeFor[File](), "")
	return b.String()
}

// The documentation lists the keys that there are, and its examples are files that
// can be read.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := bytes.Cut(text, []byte("<!-- keys -->\n"))
	got, after, ok := bytes.Cut(rest, []byte("<!-- end of keys -->\n"))
	if !ok {
		t.Fatal("no place for the list of keys")
	}
	if *update {
		text = []byte(string(before) + "<!-- keys -->\n" + keyList() + "\n<!-- end of keys -->\n" + string(after))
		if err := os.WriteFile(docsFile, text, 0o666); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(keyList()+"\n", string(got)); diff != "" {
		t.Errorf("%s: run go test ./internal/expect -update (-want +got):\n%s", docsFile, diff)
	}
	schema := compileSchema(t)
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	if len(blocks) == 0 {
		t.Error("no example")
	}
	for _, block := range blocks {
		block, _, _ := strings.Cut(block, "```")
		if _, err := Parse("example", []byte(block)); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
		if err := valid(t, schema, block); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
}
