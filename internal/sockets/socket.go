package sockets

import (
	"net/netip"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Kind says what the kernel keeps for a socket.
type Kind uint8

// The kinds.
const (
	KindFull     Kind = iota // struct tcp_sock: a descriptor, an accept queue or its FIN's ACK keeps it
	KindRequest              // struct request_sock: a handshake that waits for its ACK
	KindTimeWait             // struct inet_timewait_sock: TIME_WAIT, or FIN_WAIT_2 of an orphan
)

var kindNames = [...]string{"socket", "request", "timewait"}

// String returns the name that outputs use.
func (k Kind) String() string { return kindNames[k] }

// Timer says which timer of a socket runs.
type Timer uint8

// The timers, numbered as in idiag_timer (tcp_diag.c, sock_diag(7)).
const (
	TimerNone       Timer = iota
	TimerRetransmit       // retransmission, tail loss probe, SYN or SYN+ACK
	TimerKeepAlive        // keep-alive, or FIN_WAIT_2 of an orphan
	TimerTimeWait         // TIME_WAIT
	TimerProbe            // zero window probe
)

var timerNames = [...]string{"", "retransmit", "keepalive", "timewait", "probe"}

// String returns the name that outputs use; empty when none runs.
func (t Timer) String() string {
	if int(t) < len(timerNames) {
		return timerNames[t]
	}
	return "unknown"
}

// Socket is one TCP socket as the kernel reports it.
type Socket struct {
	// Local and Remote are its ends, without zones; IPv4-mapped addresses are
	// given as IPv4. The remote end of a listener has port 0.
	Local, Remote netip.AddrPort
	State         analyzer.State
	Kind          Kind
	Timer         Timer
	Retransmits   uint8         // of what the timer repeats; of a request, of its SYN+ACK
	Expires       time.Duration // until the timer fires, in ms; 0 when none runs
	// RecvQueue is what the application has not read, octets, with 1 for an
	// unread FIN; of a listener, how many connections wait to be accepted.
	// SendQueue is what the peer has not acknowledged or been sent, octets, FIN
	// included; of a listener, how many may wait.
	RecvQueue, SendQueue uint32
	UID                  uint32 // who made it; 0 of a minisock
	Inode                uint32 // in /proc/PID/fd; 0: no descriptor is open (see the package comment)
	Interface            uint32 // index of the one that it is bound to; 0: none
	V6Only               bool   // of an IPv6 listener: it takes no IPv4
	Cookie               uint64 // names the socket for its life in this boot; a TIME_WAIT keeps its socket's
	Cgroup               uint64 // id of its cgroup (v2); 0: not told
	Namespace            uint64 // inode of its network namespace

	Info Info // with Options.Info
}

// Info is a part of the kernel's tcp_info. It is zero of minisocks.
type Info struct {
	RTT, RTTVar       time.Duration // smoothed, and its variation (RFC 6298), µs
	SinceData         time.Duration // since it sent or received payload, whichever is later, ms
	SinceACK          time.Duration // since it received an ACK, ms
	TotalRetransmits  uint32        // segments
	Unacknowledged    uint32        // segments; of a listener, its accept queue
	CongestionWindow  uint32        // segments
	RetransmitTimeout time.Duration // µs
}

// Accepted reports whether an application has, or had, the socket in its
// hands: false for a handshake under way at a listener, and for a connection
// that waits in an accept queue.
func (s *Socket) Accepted() bool {
	if s.Kind == KindRequest {
		return false
	}
	waits := s.State == analyzer.Established || s.State == analyzer.CloseWait || s.State == analyzer.SynReceived
	return s.Inode != 0 || !waits
}

// kernelStates maps the states of include/net/tcp_states.h. 12 is
// TCP_NEW_SYN_RECV, which the kernel reports as 3, and 13 TCP_BOUND_INACTIVE,
// a socket that is bound and no more.
var kernelStates = [...]analyzer.State{
	1:  analyzer.Established,
	2:  analyzer.SynSent,
	3:  analyzer.SynReceived,
	4:  analyzer.FinWait1,
	5:  analyzer.FinWait2,
	6:  analyzer.TimeWait,
	7:  analyzer.Closed,
	8:  analyzer.CloseWait,
	9:  analyzer.LastAck,
	10: analyzer.Listen,
	11: analyzer.Closing,
	12: analyzer.SynReceived,
	13: analyzer.Closed,
}

// stateOf returns the RFC's name of a kernel's state; Unknown of a number that
// no kernel has yet.
func stateOf(kernel uint8) analyzer.State {
	if int(kernel) < len(kernelStates) {
		return kernelStates[kernel]
	}
	return analyzer.Unknown
}
