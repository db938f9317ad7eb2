// Package conformance holds the analyzer against the kernel: real captures of
// Linux stacks, taken at three taps each, with the kernels' own record of every
// socket's state (testdata/kernel and its README).
//
// What is asked of a tap is what its packets imply. A state that a kernel
// entered without a packet that this tap has is not asked for, and each such
// allowance is a rule of evidence.go or normal.go with its reason; nothing is
// allowed for a scenario by name but what the table in conformance_test.go
// lists.
package conformance

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sort"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

//go:generate go run ../tools/truthreduce -from $KERNEL_TRUTH -to ../../testdata/kernel

// Truth is what one scenario's truth.json says, as far as the comparison needs
// it.
type Truth struct {
	Scenario    string              `json:"scenario"`
	Description string              `json:"description"`
	Taps        map[string]TruthTap `json:"taps"`
	Connections []Connection        `json:"connections"`

	dir string
}

// TruthTap is one capture of a scenario.
type TruthTap struct {
	File  string `json:"file"`
	Where string `json:"where"`
	End   int64  `json:"end_ns"` // when the capture ended
}

// Endpoint is an address and port as truth.json spells it.
type Endpoint struct {
	Addr netip.Addr `json:"addr"`
	Port uint16     `json:"port"`
}

// Connection is the kernels' record of one connection.
type Connection struct {
	Client      Endpoint  `json:"client"`
	Server      Endpoint  `json:"server"`
	Incarnation int       `json:"incarnation,omitempty"`
	Self        bool      `json:"self_connection,omitempty"` // one socket is both ends
	First       int64     `json:"first_ns,omitempty"`        // the first that any kernel says of it
	Anomalies   []string  `json:"expected_anomalies,omitempty"`
	Sides       SideTruth `json:"sides"`
}

// SideTruth has one record for each role.
type SideTruth struct {
	Client Socket `json:"client"`
	Server Socket `json:"server"`
}

// Socket is one side's record.
type Socket struct {
	HasKernelSocket bool          `json:"has_kernel_socket"`
	FinalSS         string        `json:"final_ss_state,omitempty"`
	Carried         string        `json:"carried_state,omitempty"`
	States          []KernelState `json:"states,omitempty"`
}

// KernelState is one state that a socket had.
type KernelState struct {
	Time          int64    `json:"t_ns,omitempty"`     // since when; 0 for the initial one
	After         int64    `json:"after_ns,omitempty"` // not before this: it was seen by a poll
	State         string   `json:"state"`
	Source        string   `json:"src,omitempty"`
	MayHavePassed []string `json:"may_have_passed,omitempty"` // on the way to it, unseen
}

// Role tells the two sides of a truth connection apart.
type Role int

// The roles.
const (
	Client Role = iota
	Server
)

// String names the role as truth.json does.
func (r Role) String() string { return [...]string{"client", "server"}[r] }

// Socket returns the record of one role.
func (c *Connection) Socket(r Role) *Socket {
	if r == Client {
		return &c.Sides.Client
	}
	return &c.Sides.Server
}

// Key returns the flow key of the connection and which side of it is the
// client.
func (c *Connection) Key() (analyzer.Key, analyzer.Side) {
	return analyzer.KeyOf(&analyzer.Segment{
		Src: c.Client.Addr.As16(), SrcPort: c.Client.Port,
		Dst: c.Server.Addr.As16(), DstPort: c.Server.Port,
	})
}

// String says the two endpoints, and which incarnation.
func (c *Connection) String() string {
	s := fmt.Sprintf("%s:%d>%s:%d", c.Client.Addr, c.Client.Port, c.Server.Addr, c.Server.Port)
	if c.Incarnation > 0 {
		s += fmt.Sprintf("#%d", c.Incarnation)
	}
	return s
}

// Load reads the truth of one scenario's folder: a reduced one or an original.
func Load(dir string) (*Truth, error) {
	b, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		return nil, fmt.Errorf("read truth: %w", err)
	}
	t := &Truth{dir: dir}
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fmt.Errorf("parse %s: %w", filepath.Join(dir, "truth.json"), err)
	}
	sort.SliceStable(t.Connections, func(i, j int) bool {
		return t.Connections[i].Incarnation < t.Connections[j].Incarnation
	})
	return t, nil
}

// Scenarios lists the scenario folders under root.
func Scenarios(root string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, "*", "truth.json"))
	if err != nil {
		return nil, fmt.Errorf("list scenarios: %w", err)
	}
	for i, f := range files {
		files[i] = filepath.Dir(f)
	}
	return files, nil
}

// TapNames returns the names of the taps, sorted.
func (t *Truth) TapNames() []string {
	var names []string
	for n := range t.Taps {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Path returns the capture file of a tap.
func (t *Truth) Path(tap string) string { return filepath.Join(t.dir, t.Taps[tap].File) }
