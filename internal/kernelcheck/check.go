package kernelcheck

import (
	"cmp"
	"iter"
	"net/netip"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/sockets"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// Flow is what packets say of one connection.
type Flow struct {
	Key    analyzer.Key
	Number int
	State  [2]analyzer.State
	Basis  [2]analyzer.Basis
	Since  [2]int64 // when the states began, ns since 1970-01-01 UTC; 0: not known
	RTT    int64    // round trip, ns; 0 or less: not known
}

// FlowOf returns what a tracker's flow says now.
func FlowOf(f *analyzer.Flow) Flow {
	a, b := &f.Sides[0], &f.Sides[1]
	return Flow{f.Key, f.Number, [2]analyzer.State{a.State, b.State}, [2]analyzer.Basis{a.Basis, b.Basis},
		[2]int64{a.Since, b.Since}, f.Handshake.RTT}
}

// ends returns a side's own end and its peer's.
func (f *Flow) ends(s analyzer.Side) (local, remote netip.AddrPort) {
	p := s.Peer()
	return netip.AddrPortFrom(f.Key.Addr[s].Netip(), f.Key.Port[s]), netip.AddrPortFrom(f.Key.Addr[p].Netip(), f.Key.Port[p])
}

// Checker compares again and again, and remembers what it saw the time before.
// The zero value works. It is not safe for concurrent use.
type Checker struct {
	// Lag is by how much the capture may run behind the kernel; 0 is 200 ms: a
	// ring's block comes after 100 ms at the most, and has to be read.
	Lag time.Duration
	// FinTimeout is the kernel's tcp_fin_timeout; 0 is 60 s.
	FinTimeout time.Duration
	// Captured says whether the capture can have seen a socket's packets; nil:
	// all are. Those of a loopback connection pass no other interface.
	Captured func(*sockets.Socket) bool

	sockets map[socketID]sighting
	absent  map[absence]int64
}

// socketID names a socket for its life.
type socketID struct{ namespace, cookie uint64 }

// sighting is since when a socket has been as it is, ns since 1970-01-01 UTC.
type sighting struct {
	kernel, ours           analyzer.State
	kernelSince, oursSince int64
}

// absence names a side of a flow that has no socket.
type absence struct {
	key  analyzer.Key
	side analyzer.Side
}

// maxAbsent bounds the sides whose absence is remembered, and maxListed what a
// Result lists of each kind.
const (
	maxAbsent = 1 << 16
	maxListed = 100
)

// round is one comparison.
type round struct {
	*Checker
	dump    *sockets.Dump
	result  *Result
	matched []match // by socket
	sockets map[socketID]sighting
	absent  map[absence]int64
}

// match is the side of a flow that is a socket.
type match struct {
	Flow
	side analyzer.Side
	ok   bool
}

// Check compares. The flows must be as they were when the dump ended, or later.
// Where several have one pair of addresses (incarnations, VLANs), one that
// agrees is taken, or else the last.
func (c *Checker) Check(flows iter.Seq[Flow], d *sockets.Dump) *Result {
	r := &round{Checker: c, dump: d, matched: make([]match, len(d.Sockets)),
		sockets: make(map[socketID]sighting, len(d.Sockets)), absent: map[absence]int64{},
		result: &Result{Type: "kernel_check", Time: report.Time(d.End), Took: report.Seconds(d.End - d.Start),
			Agree: map[string]int{}, Excused: map[string]int{}, Unseen: map[string]int{}}}
	for f := range flows {
		for s := range analyzer.Side(2) {
			if local, remote := f.ends(s); s == 0 || local != remote {
				r.side(&f, s, local, remote)
			}
		}
	}
	for i := range d.Sockets {
		if s := &d.Sockets[i]; s.State != analyzer.Listen {
			r.socket(s, &r.matched[i])
		}
	}
	c.sockets, c.absent = r.sockets, r.absent
	return r.result
}

// side takes one side of a flow.
func (r *round) side(f *Flow, s analyzer.Side, local, remote netip.AddrPort) {
	i := r.dump.Index(local, remote)
	if i < 0 {
		if r.dump.Local(local.Addr()) {
			r.without(f, s, local, remote)
		}
		return
	}
	m, kernel := &r.matched[i], r.dump.Sockets[i].State
	if !m.ok || m.State[m.side] != kernel && (f.State[s] == kernel || f.Number > m.Number) {
		*m = match{*f, s, true}
	}
}

// without takes a side of this host that has no socket.
func (r *round) without(f *Flow, s analyzer.Side, local, remote netip.AddrPort) {
	state, since := f.State[s], f.Since[s]
	age := r.dump.Start - since
	switch state {
	case analyzer.Unknown:
		return
	case analyzer.Closed, analyzer.Listen:
		r.result.Agree[state.String()]++
		return
	case analyzer.TimeWait, analyzer.SynReceived, analyzer.SynSent:
		r.result.Excused[state.String()+" without a socket"]++
		return
	case analyzer.FinWait2:
		if age > int64(cmp.Or(max(r.FinTimeout, 0), 60*time.Second)) {
			r.result.Excused[state.String()+" without a socket"]++
			return
		}
	}
	k := absence{f.Key, s}
	first, ok := r.Checker.absent[k]
	if !ok {
		first = r.dump.End
	}
	if len(r.absent) < maxAbsent {
		r.absent[k] = first
	}
	gone := r.dump.Start - first
	if slack := r.slack(f, nil); age < slack || gone < slack {
		r.result.Unsettled++
		return
	}
	r.result.Missing.add(Difference{Flow: f.Number, Local: local, Remote: remote, Ours: state.String(),
		Basis: f.Basis[s].String(), OursFor: known(since, age), KernelFor: report.Seconds(gone)})
}

// socket takes one socket of the kernel's, with the side that it is.
func (r *round) socket(s *sockets.Socket, m *match) {
	now := sighting{kernel: s.State, kernelSince: r.dump.End}
	if m.ok {
		now.ours, now.oursSince = m.State[m.side], r.dump.End
	}
	id := socketID{s.Namespace, s.Cookie}
	before, known := r.Checker.sockets[id]
	if known && before.kernel == now.kernel {
		now.kernelSince = before.kernelSince
	}
	if known && before.ours == now.ours {
		now.oursSince = before.oursSince
	}
	if m.ok && m.Since[m.side] != 0 {
		now.oursSince = m.Since[m.side]
	}
	r.sockets[id] = now
	first, alike := r.dump.Find(s.Local, s.Remote)
	switch {
	case first != s:
		r.result.Excused["addresses that several namespaces have"]++
	case !m.ok:
		r.unseen(s, known)
	default:
		r.compare(s, m, now, alike)
	}
}

// unseen takes a socket of which no packet was captured. One that was not there
// the time before may have some that are on their way to us.
func (r *round) unseen(s *sockets.Socket, known bool) {
	switch {
	case r.Captured != nil && !r.Captured(s):
	case !known:
		r.result.Unsettled++
	default:
		r.result.Unseen[s.State.String()]++
	}
}

// compare says what both say of one socket.
func (r *round) compare(s *sockets.Socket, m *match, now sighting, alike int) {
	basis := m.Basis[m.side]
	if now.ours == now.kernel {
		r.result.Agree[now.kernel.String()]++
		return
	}
	if now.ours == analyzer.Unknown {
		r.result.Unknown++
		return
	}
	if why := excuse(s, now.ours, basis); why != "" {
		r.result.Excused[why]++
		return
	}
	if alike > 0 {
		r.result.Excused["addresses that several namespaces have"]++
		return
	}
	ours, kernel := r.dump.Start-now.oursSince, r.dump.Start-now.kernelSince
	if slack := r.slack(&m.Flow, s); ours < slack || kernel < slack {
		r.result.Unsettled++
		return
	}
	r.result.Disagree.add(Difference{Flow: m.Number, Local: s.Local, Remote: s.Remote, Ours: now.ours.String(),
		Basis: basis.String(), OursFor: report.Seconds(ours), Kernel: now.kernel.String(), Kind: s.Kind.String(),
		KernelFor: report.Seconds(kernel)})
}

// excuse says why states that differ may both be right; empty: they may not.
func excuse(s *sockets.Socket, ours analyzer.State, basis analyzer.Basis) string {
	switch {
	case s.Kind == sockets.KindRequest && ours == analyzer.Listen:
		return "request sock, its SYN+ACK not captured"
	case s.Kind == sockets.KindRequest && basis != analyzer.Observed && ours >= analyzer.Established:
		return "request sock, the ACK not taken"
	case s.Kind == sockets.KindTimeWait && s.State == analyzer.TimeWait && ours == analyzer.Closed:
		return "TIME_WAIT that our timer ended"
	}
	return ""
}

// slack is how long both must have been as they are, ns.
func (r *round) slack(f *Flow, s *sockets.Socket) int64 {
	rtt := max(f.RTT, 0)
	if s != nil {
		rtt = max(rtt, int64(s.Info.RTT))
	}
	return int64(cmp.Or(max(r.Lag, 0), 200*time.Millisecond)) + rtt + r.dump.End - r.dump.Start
}

// known returns for how long something has been, or 0 where it is not known
// since when.
func known(since, age int64) report.Seconds {
	if since == 0 {
		return 0
	}
	return report.Seconds(age)
}
