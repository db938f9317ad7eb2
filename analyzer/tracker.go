package analyzer

import "time"

// Config says how a Tracker works. The zero value works.
type Config struct {
	// Profile gives the timers that no packet shows; nil is Profiles[0].
	Profile *Profile
	// Stuck says how long a side may rest silent in a state before a finding
	// calls it stuck; nil is DefaultLimits of the profile.
	Stuck *Limits
	// MaxFlows bounds the flows held at once; 0 is DefaultMaxFlows. Beyond
	// it the flow that has been quiet the longest is handed on early.
	MaxFlows int
	// OnFlow is given each flow as it ends. Flows come in the order in which
	// they end; the capture's end comes last.
	OnFlow func(*Flow)
	// OnStep, if set, is given each step of every flow.
	OnStep func(*Step)
	// Detectors are what looks for findings; nil is Detectors.
	Detectors []*Detector
}

// DefaultMaxFlows bounds the memory of a Tracker whose Config does not.
const DefaultMaxFlows = 4 << 20

// Limits say how long a side may rest in each state before it counts as
// stuck.
type Limits [NumStates]time.Duration

// DefaultLimits are 30 s for the closing states, and the profile's last retry
// for those of the handshake.
func DefaultLimits(p *Profile) *Limits {
	var l Limits
	for s := range l {
		l[s] = 30 * time.Second
	}
	l[SynSent], l[SynReceived] = p.SynSent, p.SynReceived
	return &l
}

// Tracker rebuilds the states of both sides of every flow from the segments
// that it is given, in capture order. It is not safe for concurrent use.
type Tracker struct {
	cfg Config
}

// Totals count what a Tracker has seen.
type Totals struct {
	Segments          uint64
	CaptureDuplicates uint64
	Flows             int
	Open              int    // held now
	Evicted           uint64 // handed on early because MaxFlows was reached
	TimeBackwards     uint64 // segments older than the one before them
}

// New returns a Tracker.
func New(cfg Config) *Tracker { return &Tracker{cfg: cfg} }

// Totals returns the counts so far.
func (t *Tracker) Totals() Totals { return Totals{} }

// Observe takes one segment, later in the capture than the one before. It
// does not keep s.
func (t *Tracker) Observe(s *Segment) {}

// ObserveUnreachable takes one ICMP error.
func (t *Tracker) ObserveUnreachable(u *Unreachable) {}

// Advance says that the capture's clock has reached now (ns since 1970-01-01
// UTC) although no segment came.
func (t *Tracker) Advance(now int64) {}

// Close hands on every flow that is still held, by number. The Tracker must
// not be used afterwards.
func (t *Tracker) Close() {}
