package agree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// Ours analyses a file and returns its flows by number, as the NDJSON output
// has them.
func Ours(file string) ([]Flow, error) {
	src, err := capture.Open(file, capture.Options{})
	if err != nil {
		return nil, err
	}
	defer src.Close()
	return OursOf(src)
}

// OursOf is Ours of a capture that is open. A capture that breaks off is one
// all the same.
func OursOf(src capture.Source) ([]Flow, error) {
	var out bytes.Buffer
	format, _ := report.FormatNamed("ndjson")
	r := format.New(&out, &report.Meta{Type: "meta", Schema: report.Schema}, report.Options{All: true})
	var wrong error
	tr := analyzer.New(analyzer.Config{Peers: true, OnFlow: func(f *analyzer.Flow) { wrong = errors.Join(wrong, r.Flow(f)) }})
	var p capture.Packet
	for {
		err := src.Next(&p)
		if err == io.EOF || errors.As(err, new(*capture.Error)) {
			break
		} else if err != nil {
			return nil, err
		}
		if p.Kind == capture.KindUnreachable {
			tr.ObserveUnreachable(&p.Unreachable)
		} else {
			tr.Observe(&p.Segment)
		}
	}
	tr.Close()
	if err := errors.Join(wrong, r.Close(report.NewTally().Summary())); err != nil {
		return nil, err
	}
	return parseFlows(out.Bytes())
}

// record is what we read of a flow object.
type record struct {
	Type           string
	Flow           int
	Client, Server struct {
		Addr netip.Addr
		Port uint16
	}
	FirstFrame int `json:"first_frame"`
	LastFrame  int `json:"last_frame"`
	Frames     int
	Counters   struct{ Client, Server map[string]int }
	Wireshark  *struct{ Stream, Completeness int }
}

func parseFlows(text []byte) (all []Flow, err error) {
	for line := range bytes.Lines(text) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("our own NDJSON: %w", err)
		}
		if r.Type != "flow" {
			continue
		}
		f := Flow{Number: r.Flow, First: r.FirstFrame, Last: r.LastFrame, Frames: r.Frames, Stream: -1, Side: [2]netip.AddrPort{
			netip.AddrPortFrom(r.Client.Addr, r.Client.Port), netip.AddrPortFrom(r.Server.Addr, r.Server.Port)}}
		if w := r.Wireshark; w != nil {
			f.Stream, f.Completeness = w.Stream, w.Completeness
		}
		for c := range counters {
			f.Counts[0][c] = r.Counters.Client[counters[c].name]
			f.Counts[1][c] = r.Counters.Server[counters[c].name]
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Flow) int { return a.Number - b.Number })
	return all, nil
}
