// Package expect holds what people expect of a capture against what the
// analyzer makes of it.
//
// An expectation file, NAME.expect.yaml beside a capture, says why the capture
// is kept, how it is to be analyzed, and what must come out: of the capture as a
// whole, and of the flows that a match chooses. Its keys are those of `-o json`
// (docs/schema.json) wherever the value is in there.
//
//	file.go     the keys: Go types whose tags are the names, the docs and the
//	            JSON Schema (docs/expect.schema.json), so each is written once
//	decode.go   YAML to these types; every error has its line, column and key
//	number.go, choice.go, history.go, endpoint.go   what a value can be
//	flow.go     what is kept of a flow: an analyzer.Flow is gone after its callback
//	judge.go    a Judge is given the flows and lists the failures
//	story.go    an expected and a real history, side by side
//	update.go   a file brought up to what was seen; draft.go: a new one
//
// A test library uses Snapshot for its flows, and FlowExpect.Check or Matches
// for one at a time: all that a file can say can be said in Go.
package expect
