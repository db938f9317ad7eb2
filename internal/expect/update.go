package expect

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Update returns the text of the file with the values that failed brought up to
// what was seen, and their keys. The rest stays, comments and the reason too. A
// value that cannot be had from the capture is taken out. The failures must be all
// that there are: of a Judge without a limit.
func (j *Judge) Update(failures []Failure) (text []byte, keys []string, err error) {
	text, keys, err = j.update(j.file.markBlanks(), failures)
	if clear := clearBlanks(text); err == nil && !bytes.Contains(clear, []byte(blank)) {
		if f, e := Parse(j.file.source.name, clear); e == nil && f.Reason == j.file.Reason {
			return clear, keys, nil
		}
	}
	// One was within a value after all: then none is kept.
	return j.update(j.file.source.text, failures)
}

// The YAML package keeps comments, but no blank lines: these go through it as
// comments.
const blank = "#~blank~"

var markedLine = regexp.MustCompile(`(?m)^[ \t]*` + blank + `[ \t]*$`)

// markBlanks puts marks on the blank lines that are not within a value.
func (f *File) markBlanks() []byte {
	values := map[int]bool{} // by the lines on which they begin, from 0
	for _, n := range f.source.nodes {
		if n.Kind == yaml.ScalarNode {
			values[n.Line-1] = true
		}
	}
	lines := strings.Split(strings.TrimRight(string(f.source.text), "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		switch {
		case strings.TrimSpace(lines[i]) == "":
			lines[i] = blank
		case values[i]:
			i = lastOf(lines, i)
		}
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

// lastOf returns the last line of the value that begins on line i: those that are
// indented more.
func lastOf(lines []string, i int) int {
	indent := func(s string) int { return len(s) - len(strings.TrimLeft(s, " ")) }
	last := i
	for at := i + 1; at < len(lines); at++ {
		switch {
		case strings.TrimSpace(lines[at]) == "":
		case indent(lines[at]) <= indent(lines[i]):
			return last
		default:
			last = at
		}
	}
	return last
}

func clearBlanks(text []byte) []byte { return markedLine.ReplaceAll(text, nil) }

func (j *Judge) update(text []byte, failures []Failure) ([]byte, []string, error) {
	f, err := Parse(j.file.source.name, text)
	if err != nil {
		return nil, nil, err
	}
	var keys []string
	of := map[string][]Failure{}
	for _, n := range failures {
		if of[n.Key] == nil {
			keys = append(keys, n.Key)
		}
		of[n.Key] = append(of[n.Key], n)
	}
	for _, key := range keys {
		e := edit{f: f, key: key, node: f.source.nodes[key], failures: of[key], all: j.allFail(key, len(of[key]))}
		e.apply()
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(f.source.root); err != nil {
		return nil, nil, err
	}
	return out.Bytes(), keys, enc.Close()
}

// allFail reports whether a key fails for all flows that it is about.
func (j *Judge) allFail(key string, failing int) bool {
	var i int
	if _, err := fmt.Sscanf(key, "flows[%d]", &i); err != nil || j.file.Flows[i].Match.Index.Given || strings.HasSuffix(key, ".match.count") {
		return true
	}
	return uint64(failing) >= j.watches[i].matched
}

// edit brings one key up to what was seen.
type edit struct {
	f        *File
	key      string
	node     *yaml.Node // nil: the key is not in the file
	failures []Failure
	all      bool // no flow has what is expected so far: it is dropped
}

func (e *edit) apply() {
	first := e.failures[0].seen
	if first.kind == kindAllow || first.kind == kindPermit { // the key has the finding's name
		e.key = e.key[:strings.LastIndexByte(e.key, '.')]
		e.node = e.f.source.nodes[e.key]
	}
	switch first.kind {
	case kindNumber:
		e.number()
	case kindBound:
		e.bound()
	case kindChoice, kindHistory:
		e.names()
	case kindBasis:
		e.basis()
	case kindAllow:
		e.allow(first.name)
	case kindPermit:
		e.permit(first.name)
	case kindUnknown:
		e.remove()
	}
}

// extent is the least and the most that was seen.
func (e *edit) extent() (low, high int64) {
	low, high = none, 0
	for _, n := range e.failures {
		low, high = min(low, n.seen.n), max(high, n.seen.n)
	}
	return low, high
}

func (e *edit) number() {
	low, high := e.extent()
	if e.node == nil { // match.count is the only one that can fail and not be there
		e.set("match", "count", strconv.FormatInt(low, 10))
		return
	}
	if p := e.parent(); p != nil && p.Kind == yaml.SequenceNode { // a bare name: at least once
		e.remove()
		return
	}
	var old Range
	if old.take(e.node, nil) == nil && !e.all {
		low, high = min(low, int64(old.Min)), max(high, int64(old.Max))
	}
	switch {
	case low == high:
		write(e.node, strconv.FormatInt(low, 10), "!!int")
	case high == none:
		write(e.node, fmt.Sprintf("%d..", low), "!!str")
	default:
		write(e.node, fmt.Sprintf("%d..%d", low, high), "!!str")
	}
}

// bound moves the end that was not kept.
func (e *edit) bound() {
	low, high := e.extent()
	var old Bound
	if old.take(e.node, nil) != nil {
		return
	}
	if high > int64(old.Max) {
		old.Max = roundUp(high)
	}
	if low < int64(old.Min) {
		old.Min = time.Duration(low)
	}
	switch {
	case old.Max == none:
		write(e.node, ">= "+old.Min.String(), "!!str")
	case old.Min == 0:
		write(e.node, "<= "+old.Max.String(), "!!str")
	default:
		write(e.node, old.Min.String()+".."+old.Max.String(), "!!str")
	}
}

// roundUp leaves two digits of a duration, and a tenth of room at least.
func roundUp(ns int64) time.Duration {
	ns += ns / 10
	unit := int64(1)
	for ns/unit >= 100 {
		unit *= 10
	}
	return time.Duration((ns + unit - 1) / unit * unit)
}

// names sets what may be: what was seen, and what was expected before where some
// flow still has that.
func (e *edit) names() {
	var list []string
	if !e.all {
		each(e.node, func(s string) error {
			list = append(list, s)
			return nil
		})
	}
	for _, n := range e.failures {
		if !slices.Contains(list, n.seen.name) {
			list = append(list, n.seen.name)
		}
	}
	if len(list) == 1 {
		write(e.node, list[0], "!!str")
		return
	}
	var items []*yaml.Node
	for _, s := range list {
		items = append(items, text(s))
	}
	e.node.Kind, e.node.Tag, e.node.Value, e.node.Style, e.node.Content = yaml.SequenceNode, "!!seq", "", 0, items
}

// basis sets the weakest that was seen.
func (e *edit) basis() {
	worst := e.failures[0].seen.name
	names := enumNames("@basis")
	for _, n := range e.failures {
		if slices.Index(names, n.seen.name) > slices.Index(names, worst) {
			worst = n.seen.name
		}
	}
	write(e.node, worst, "!!str")
}

// allow adds a finding to those allowed.
func (e *edit) allow(name string) {
	switch n := e.node; n.Kind {
	case yaml.MappingNode:
		e.set("", name, "0..")
	case yaml.SequenceNode:
		if !slices.ContainsFunc(n.Content, func(i *yaml.Node) bool { return i.Value == name }) {
			n.Content = append(n.Content, text(name))
		}
	case yaml.ScalarNode: // one name alone
		if n.Value != name {
			old := text(n.Value)
			n.Kind, n.Tag, n.Value, n.Style, n.Content = yaml.SequenceNode, "!!seq", "", yaml.FlowStyle, []*yaml.Node{old, text(name)}
		}
	}
}

// permit takes a name from those forbidden, and allows it where only what is
// named is allowed.
func (e *edit) permit(name string) {
	n := e.node
	n.Content = slices.DeleteFunc(n.Content, func(i *yaml.Node) bool { return strings.EqualFold(i.Value, name) })
	if n.Kind == yaml.ScalarNode || len(n.Content) == 0 {
		e.remove()
	}
	parent := strings.TrimSuffix(e.key, ".forbidden")
	_, severity := analyzer.ParseSeverity(name)
	if allowed := e.f.source.nodes[parent+".allowed"]; allowed != nil && !severity {
		also := edit{f: e.f, key: parent + ".allowed", node: allowed}
		also.allow(name)
	}
}

// parent is the node that the key is in.
func (e *edit) parent() *yaml.Node {
	return e.f.source.nodes[e.key[:max(strings.LastIndexByte(e.key, '.'), 0)]]
}

// remove takes the key out of its map or list.
func (e *edit) remove() {
	p := e.parent()
	if p == nil || e.node == nil {
		return
	}
	if i := slices.Index(p.Content, e.node); i >= 0 {
		from := i
		if p.Kind == yaml.MappingNode {
			from--
		}
		p.Content = slices.Delete(p.Content, from, i+1)
	}
}

// set puts a member into a map: that of the key, or of its parent where in names
// the key's own map.
func (e *edit) set(in, member, value string) {
	n := e.node
	if in != "" {
		item := e.key[:strings.IndexByte(e.key, '.')]
		if n = e.f.source.nodes[item+"."+in]; n == nil {
			n = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			of := e.f.source.nodes[item]
			of.Content = append([]*yaml.Node{text(in), n}, of.Content...)
			e.f.source.nodes[item+"."+in] = n
		}
	}
	v := text(value)
	if _, err := strconv.Atoi(value); err == nil {
		v.Tag = "!!int"
	}
	n.Content = append(n.Content, text(member), v)
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// write gives a node one value. Its comments stay.
func write(n *yaml.Node, value, tag string) {
	n.Kind, n.Tag, n.Value, n.Style, n.Content = yaml.ScalarNode, tag, value, 0, nil
}
