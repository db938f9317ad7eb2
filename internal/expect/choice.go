package expect

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/suggest"
)

// Text is any text of one value.
type Text string

func (t *Text) take(n *yaml.Node, _ []string) error {
	text, err := scalar(n)
	*t = Text(text)
	return err
}

// Flag is true or false.
type Flag bool

func (f *Flag) take(n *yaml.Node, _ []string) error {
	text, err := scalar(n)
	switch {
	case err != nil:
		return err
	case text != "true" && text != "false":
		return fmt.Errorf("%q: give true or false", text)
	}
	*f = text == "true"
	return nil
}

// Name is one name of a list.
type Name string

func (c *Name) take(n *yaml.Node, names []string) error {
	text, err := scalar(n)
	if err != nil {
		return err
	}
	name, err := named(text, names)
	*c = Name(name)
	return err
}

// Choice is one name of a list, or several, any of which will do. Nil allows
// all.
type Choice []string

// Has reports whether a name is among them.
func (c Choice) Has(name string) bool { return c == nil || slices.Contains(c, name) }

// String says it in words.
func (c Choice) String() string { return strings.Join(c, " or ") }

func (c *Choice) take(n *yaml.Node, names []string) error {
	*c = Choice{}
	return each(n, func(text string) error {
		name, err := named(text, names)
		*c = append(*c, name)
		return err
	})
}

// Count is how often a name is expected.
type Count struct {
	Name string
	Range
}

// Counts say how often names are expected. Nil says nothing; an empty one that
// there are none.
type Counts []Count

// of returns what is said of a name.
func (c Counts) of(name string) (Range, bool) {
	i := slices.IndexFunc(c, func(e Count) bool { return e.Name == name })
	if i < 0 {
		return Range{}, false
	}
	return c[i].Range, true
}

// takeCounts is take for what may be a bare list, too; of each name in it the
// Range given is expected.
func (c *Counts) takeCounts(n *yaml.Node, names []string, list Range) error {
	*c = Counts{}
	add := func(key *yaml.Node, r Range) error {
		name, err := named(key.Value, names)
		if _, twice := c.of(name); err == nil && twice {
			err = fmt.Errorf("%q is given twice", name)
		}
		*c = append(*c, Count{name, r})
		return at(key, err)
	}
	if n.Kind != yaml.MappingNode && list.Given {
		return eachNode(n, func(item *yaml.Node) error { return add(item, list) })
	}
	return members(n, func(key, value *yaml.Node) error {
		r := Range{}
		if err := r.take(value, nil); err != nil {
			return at(value, err)
		}
		return add(key, r)
	})
}

// named returns the name that is meant. Case does not matter, and a hyphen is as
// good as an underscore.
func named(text string, names []string) (string, error) {
	for _, name := range names {
		if suggest.Fold(name) == suggest.Fold(text) {
			return name, nil
		}
	}
	return text, unknown("name", text, names)
}

// unknown is the error for a name that is not in a list.
func unknown(what, name string, names []string) error {
	if hint := suggest.DidYouMean(name, names); hint != "" {
		return fmt.Errorf("unknown %s %q%s", what, name, hint)
	}
	return fmt.Errorf("unknown %s %q: there are %s", what, name, strings.Join(names, ", "))
}

// enumNames lists what an enum tag allows.
func enumNames(tag string) (list []string) {
	for _, part := range strings.Split(tag, ",") {
		if of, ok := enums[part]; ok {
			list = append(list, of()...)
		} else if part != "" {
			list = append(list, part)
		}
	}
	return list
}

// enums are the lists of names that the analyzer has.
var enums = map[string]func() []string{
	"@os": func() []string {
		return namesOf(len(analyzer.Profiles), func(i int) string { return analyzer.Profiles[i].Name })
	},
	"@state":     func() []string { return namesOf(analyzer.NumStates, name[analyzer.State]) },
	"@basis":     func() []string { return namesOf(int(analyzer.Assumed)+1, name[analyzer.Basis]) },
	"@severity":  func() []string { return namesOf(int(analyzer.Error)+1, name[analyzer.Severity]) },
	"@handshake": func() []string { return namesOf(int(analyzer.HandshakeRejectedICMP)+1, name[analyzer.HandshakeResult]) },
	"@close":     func() []string { return namesOf(int(analyzer.CloseUnknown)+1, name[analyzer.CloseResult]) },
	"@finding": func() []string {
		return namesOf(len(analyzer.Detectors), func(i int) string { return analyzer.Detectors[i].Name })
	},
}

func name[T interface {
	~uint8
	String() string
}](i int) string {
	return T(i).String()
}

func namesOf(n int, name func(int) string) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = name(i)
	}
	return list
}
