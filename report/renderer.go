// Package report turns flows into what a person or a program reads.
//
// A Renderer is pushed each flow as it ends and the Summary at the end, and
// writes to one io.Writer. Formats is the one list of them: a new format is a
// file and a line there. What a program reads (json.go) is described by the
// types of record.go and summary.go, from which docs/schema.json is made; a
// person reads table.go's tables, and ladder.go's picture of a single flow.
//
// Text that comes from a capture or from the command line (interface names,
// file names) never reaches the output raw: text.go escapes it.
package report

import (
	"io"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Schema names the version of the machine-readable output. It changes with
// the meaning of a field, not with a field more.
const Schema = "tcpflow-states/1"

// Renderer writes flows in one format.
type Renderer interface {
	// Flow takes a flow that has ended. It keeps nothing of f.
	Flow(f *analyzer.Flow) error
	// Close takes what is known at the end and writes what is left.
	Close(s *Summary) error
}

// Encoder is a Renderer whose work on a flow can be done beside that on others.
type Encoder interface {
	Renderer
	// Append appends what is written of a flow. It may run on several
	// goroutines at once.
	Append(b []byte, f *analyzer.Flow) []byte
	// Put takes that of the flow of a number, in place of Flow.
	Put(number int, b []byte) error
}

// Skipper is a Renderer that puts flows in order and so wants to know which
// numbers it need not wait for.
type Skipper interface {
	// Skip says that no flow of this number comes.
	Skip(number int) error
}

// Format is one kind of output.
type Format struct {
	Name string
	Doc  string // one line
	New  func(w io.Writer, m *Meta, o Options) Renderer
	// Events writes what happens while a live capture goes on, with or without
	// colours, to where New writes; nil: it has nothing but flows and a summary.
	Events func(w io.Writer, color bool) Events
	// Peers says that it prints what other tools say: analyzer.Config.Peers.
	Peers bool
}

// Formats is the list of all formats; the first is the default.
var Formats = []*Format{
	{"table", "what a person reads in ten seconds: totals, findings, flows", newTable, NewLog, false},
	{"wide", "the same with every column, whatever the width", newWide, NewLog, true},
	{"json", "one object: meta, flows by number, summary (docs/schema.json)", newJSON, nil, true},
	{"ndjson", "one object a line: meta, each flow as it ends, summary", newNDJSON, NewEvents, true},
}

// FormatNamed returns the format of that name.
func FormatNamed(name string) (*Format, bool) {
	for _, f := range Formats {
		if f.Name == name {
			return f, true
		}
	}
	return nil, false
}

// Options say how to write. The zero value works.
type Options struct {
	Width int  // columns to fit into; 0: as many as it takes
	Color bool // ANSI colours
	All   bool // tables list every flow, not only those with findings
	Limit int  // most flows that a table lists; 0: all
	Flush bool // write each flow out at once: somebody waits for it

	// Captures are the names of the captures that are read as one, in the
	// order of their numbers; empty for a single one.
	Captures []string

	// Origin says where a flow was seen; nil: nobody knows. It may be asked on
	// several goroutines at once.
	Origin func(*analyzer.Flow) Origin
}

// Origin is where a flow was seen.
type Origin struct {
	File string // empty where there is only one, or several are read as one
	Link analyzer.Link
}

func (o *Options) origin(f *analyzer.Flow) Origin {
	if o.Origin == nil {
		return Origin{}
	}
	return o.Origin(f)
}
