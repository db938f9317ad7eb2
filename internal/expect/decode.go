package expect

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tcpflow-states/tcpflow-states/internal/suggest"
)

// source is the text that a File was read from.
type source struct {
	name  string
	text  []byte
	root  *yaml.Node            // of the document
	nodes map[string]*yaml.Node // by key
}

// leaf is a value that reads its own YAML. names are those of its enum tag. An
// error without a place has that of the node.
type leaf interface {
	take(n *yaml.Node, names []string) error
}

// maxErrors is how many errors of one file are listed.
const maxErrors = 10

// Parse reads an expectation file. Its error lists what is wrong, a line each,
// with name, line, column and key. What is not asserted is zero in the File.
func Parse(name string, text []byte) (*File, error) {
	f := &File{source: source{name: name, text: text, root: new(yaml.Node), nodes: map[string]*yaml.Node{}}}
	d := decoder{file: f}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	switch err := dec.Decode(f.source.root); {
	case err == io.EOF:
		return nil, fmt.Errorf("%s:1: the file is empty: give at least a reason, and what is expected", name)
	case err != nil:
		return nil, syntaxError(name, text, err)
	}
	if err := dec.Decode(new(yaml.Node)); err != io.EOF {
		return nil, fmt.Errorf("%s: more than one YAML document: give one file for each capture", name)
	}
	root := f.source.root.Content[0]
	if d.version(root); d.errs == nil {
		d.value(root, reflect.ValueOf(f).Elem(), "", "")
	}
	if strings.TrimSpace(string(f.Reason)) == "" && d.errs == nil {
		d.fail(root, "reason", errors.New("no reason: say why this capture is kept, as in reason: the server leaked sockets in release 4.1"))
	}
	if d.errs != nil {
		return nil, errors.Join(d.errs...)
	}
	return f, nil
}

// version refuses a file whose keys may mean something else, before they are
// looked at.
func (d *decoder) version(root *yaml.Node) {
	if root.Kind != yaml.MappingNode {
		return // said by value
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if key.Value != "schema" || value.Value == Schema {
			continue
		}
		number, ours := strings.CutPrefix(value.Value, schemaPrefix)
		n, err := strconv.Atoi(number)
		switch current, _ := strconv.Atoi(strings.TrimPrefix(Schema, schemaPrefix)); {
		case !ours || err != nil || n < 0:
			d.fail(value, "schema", fmt.Errorf("%q is no version of this file: give %s, or leave it out", value.Value, Schema))
		case n > current:
			d.fail(value, "schema", fmt.Errorf("%s is newer than this program, which reads %s: update tcpflow-states, or use the version that wrote the file", value.Value, Schema))
		default:
			d.fail(value, "schema", fmt.Errorf("%s is older than %s, which this program reads: to migrate, move the file away, let check --update write it anew, and take over the reason and what else you had written (docs/expect.md lists the keys)", value.Value, Schema))
		}
	}
}

// needsQuotes is a value that YAML takes for a folded text.
var needsQuotes = regexp.MustCompile(`:\s*>=?\s*[0-9]`)

// syntaxError gives the YAML package's errors the form of ours.
func syntaxError(name string, text []byte, err error) error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := ""
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		line, message, _ = strings.Cut(rest, ": ")
	}
	hint := ": values that begin with one of : > [ { * & ! % @ need quotes"
	for i, l := range strings.Split(string(text), "\n") {
		if needsQuotes.MatchString(l) {
			line = strconv.Itoa(i + 1)
			hint = `: a comparison that begins with > needs quotes in YAML: ">= 3", or write 3..`
			break
		}
	}
	switch {
	case strings.Contains(message, "mapping values are not allowed"):
		hint = `: text with a colon and a blank in it needs quotes, and keys of one kind stand under each other`
		if line == "" {
			line = "1" // the package counts from 0 and leaves that out
		}
	case strings.Contains(message, "cannot start any token") && strings.Contains("\n"+string(text), "\n\t"):
		hint = ": indent with blanks, not with tabs"
	}
	if line != "" {
		line = ":" + line
	}
	return fmt.Errorf("%s%s: this is no YAML: %s%s", name, line, message, hint)
}

// decoder fills a File.
type decoder struct {
	file *File
	errs []error
}

// placed is an error of which the node is known.
type placed struct {
	node *yaml.Node
	error
}

// at gives an error its node, if it has none yet.
func at(n *yaml.Node, err error) error {
	var p *placed
	if err == nil || errors.As(err, &p) {
		return err
	}
	return &placed{n, err}
}

func (d *decoder) fail(n *yaml.Node, key string, err error) {
	var p *placed
	if errors.As(err, &p) {
		n, err = p.node, p.error
	}
	if key != "" {
		key += ": "
	}
	switch {
	case len(d.errs) < maxErrors:
		d.errs = append(d.errs, fmt.Errorf("%s:%d:%d: %s%w", d.file.source.name, n.Line, n.Column, key, err))
	case len(d.errs) == maxErrors:
		d.errs = append(d.errs, fmt.Errorf("%s: further errors are left out: mend these first", d.file.source.name))
	}
}

// value reads a node into v.
func (d *decoder) value(n *yaml.Node, v reflect.Value, key string, tag reflect.StructTag) {
	d.file.source.nodes[key] = n
	names := enumNames(tag.Get("enum"))
	switch into := v.Addr().Interface().(type) {
	case *Counts:
		list, _ := ParseRange(tag.Get("list")) // no tag, no list
		list.Given = tag.Get("list") != ""
		if err := into.takeCounts(n, names, list); err != nil {
			d.fail(n, key, err)
		}
		d.members(n, key, names)
	case leaf:
		if err := into.take(n, names); err != nil {
			d.fail(n, key, err)
		}
	default:
		if v.Kind() == reflect.Slice {
			d.list(n, v, key)
			return
		}
		d.object(n, v, key)
	}
}

// members notes where the names of a Counts are.
func (d *decoder) members(n *yaml.Node, key string, names []string) {
	for i, step := 0, 1; i < len(n.Content); i += step {
		value := n.Content[i]
		if n.Kind == yaml.MappingNode {
			value, step = n.Content[i+1], 2
		}
		name, _ := named(n.Content[i].Value, names)
		d.file.source.nodes[key+"."+name] = value
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, key string) {
	err := eachNode(n, func(item *yaml.Node) error {
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		d.value(item, v.Index(v.Len()-1), fmt.Sprintf("%s[%d]", key, v.Len()-1), "")
		return nil
	})
	if n.Kind != yaml.SequenceNode && err == nil {
		err = fmt.Errorf("give a list: each item begins with -")
	}
	if err != nil {
		d.fail(n, key, err)
	}
}

func (d *decoder) object(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind == yaml.AliasNode {
		d.fail(n, key, errAlias)
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, key, fmt.Errorf("give keys with their values: %s", strings.Join(keysOf(v.Type()), ", ")))
		return
	}
	err := members(n, func(name, value *yaml.Node) error {
		field, ok := fieldOf(v.Type(), name.Value)
		if !ok {
			d.fail(name, dotted(key, name.Value), unknownKey(v.Type(), key, name.Value))
			return nil
		}
		d.value(value, v.FieldByIndex(field.Index), dotted(key, name.Value), field.Tag)
		return nil
	})
	if err != nil {
		d.fail(n, key, err)
	}
}

func dotted(key, member string) string {
	if key == "" {
		return member
	}
	return key + "." + member
}

// unknownKey says which key may be meant, or where it belongs.
func unknownKey(t reflect.Type, above, name string) error {
	names := keysOf(t)
	if hint := suggest.DidYouMean(name, names); hint != "" {
		return fmt.Errorf("unknown key%s", hint)
	}
	hint := ""
	if list := pathsOf(reflect.TypeFor[File](), "", name); len(list) > 0 {
		above = indexed.ReplaceAllString(above, "[]")
		nearest := slices.MinFunc(list, func(a, b string) int { return cmp.Compare(steps(a, above), steps(b, above)) })
		hint = fmt.Sprintf(" (%s is one of %s)", name, strings.TrimSuffix(nearest, "."+name))
		if nearest == name {
			hint = fmt.Sprintf(" (%s stands at the beginning of a line)", name)
		}
	}
	return fmt.Errorf("unknown key: there are %s%s", strings.Join(names, ", "), hint)
}

// pathsOf are the keys below a type that have a last name.
func pathsOf(t reflect.Type, above, name string) (list []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		if key == "" || !f.IsExported() {
			continue
		}
		path, of := dotted(above, key), f.Type
		if key == name {
			list = append(list, path)
		}
		if _, isLeaf := reflect.New(of).Interface().(leaf); isLeaf || of == reflect.TypeFor[Counts]() {
			continue
		}
		if of.Kind() == reflect.Slice {
			path, of = path+"[]", of.Elem()
		}
		if of.Kind() == reflect.Struct {
			list = append(list, pathsOf(of, path, name)...)
		}
	}
	return list
}

// steps is how many it takes from one key to another, up and down.
func steps(a, b string) int {
	from, to := strings.Split(a, "."), strings.Split(b, ".")
	n := 0
	for n < min(len(from), len(to)) && from[n] == to[n] {
		n++
	}
	return len(from) + len(to) - 2*n
}

// fieldOf returns the field of a key.
func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("yaml") == key && f.IsExported() {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// keysOf lists the keys of a struct.
func keysOf(t reflect.Type) (list []string) {
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() {
			list = append(list, f.Tag.Get("yaml"))
		}
	}
	return list
}

// scalar returns the text of a single value.
func scalar(n *yaml.Node) (string, error) {
	switch {
	case n.Kind == yaml.AliasNode:
		return "", at(n, errAlias)
	case n.Kind != yaml.ScalarNode:
		return "", at(n, errors.New("give one value"))
	case n.Tag == "!!null":
		return "", at(n, errors.New("nothing is given: give a value, or leave the key out"))
	}
	return n.Value, nil
}

// errAlias is because aliases can make a short file endless.
var errAlias = errors.New("aliases (*name) are not read here: write the value out")

// each calls take for a single value, or for each of a list.
func each(n *yaml.Node, take func(string) error) error {
	return eachNode(n, func(item *yaml.Node) error {
		text, err := scalar(item)
		if err != nil {
			return err
		}
		return at(item, take(text))
	})
}

// eachNode calls take for the items of a list, or for what is none.
func eachNode(n *yaml.Node, take func(*yaml.Node) error) error {
	switch {
	case n.Kind == yaml.AliasNode:
		return errAlias
	case n.Kind != yaml.SequenceNode:
		return take(n)
	}
	for _, item := range n.Content {
		if err := take(item); err != nil {
			return err
		}
	}
	return nil
}

// members calls take for each member of a map.
func members(n *yaml.Node, take func(key, value *yaml.Node) error) error {
	switch {
	case n.Kind == yaml.AliasNode:
		return errAlias
	case n.Kind != yaml.MappingNode:
		return errors.New("give names with their values, as in CLOSE_WAIT: 0")
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if first, twice := lines[key.Value]; twice {
			return at(key, fmt.Errorf("%q is given twice: line %d has it, too", key.Value, first))
		}
		lines[key.Value] = key.Line
		if err := take(key, value); err != nil {
			return err
		}
	}
	return nil
}

// Line returns the line of a key in the file, or of what it is in; 0 where there
// is no file.
func (f *File) Line(key string) int {
	for key != "" {
		if n := f.source.nodes[key]; n != nil {
			return n.Line
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return 0
}

// indexed is a place in a list within a key.
var indexed = regexp.MustCompile(`\[\d+\]`)

// Describe returns the kind of a failing key, which has no places and names in it
// (flows.history.server, capture.findings.required), and the key's sentence, behind
// that of what it is in.
func Describe(key string) (kind, doc string) {
	above := ""
	t := reflect.TypeFor[File]()
	for _, name := range strings.Split(indexed.ReplaceAllString(key, ""), ".") {
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && t != reflect.TypeFor[Counts]() {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			break // a name of a Counts
		}
		f, ok := fieldOf(t, name)
		if !ok {
			break
		}
		if parent, _, _ := strings.Cut(doc, ";"); t != reflect.TypeFor[File]() && t != reflect.TypeFor[Capture]() && t != reflect.TypeFor[FlowExpect]() {
			above = parent + ": "
		}
		kind, doc, t = dotted(kind, name), f.Tag.Get("doc"), f.Type
	}
	return kind, above + doc
}
