package analyzer

import "time"

// Profile says how long a kind of operating system lets a side rest in a
// state before it gives up without a packet. Zero: it never does, or nobody
// has said when.
type Profile struct {
	Name        string
	Doc         string
	TimeWait    time.Duration // 2 MSL
	SynSent     time.Duration // first SYN to the error that connect returns
	SynReceived time.Duration // first SYN+ACK to the end of the attempt
	FinWait2    time.Duration // of a socket that its application has closed
	Ephemeral   int           // ports that connect may choose
}

// Profiles are the operating systems that --os knows; the first is the
// default. Sources: Linux include/net/tcp.h and ip-sysctl.rst (SYN at 0, 1, 3,
// 7, 15, 31, 63 s; tcp_synack_retries 5); Windows KeepAlive and TcpTimedWaitDelay
// documentation; FreeBSD and xnu tcp_timer.h; RFC 9293 3.4.2 and 3.8.3. Ports:
// ip_local_port_range 32768-60999; net.inet.ip.portrange 10000-65535 on FreeBSD;
// 49152-65535 elsewhere (RFC 6335 6).
var Profiles = []Profile{
	{"linux", "Linux defaults: TIME_WAIT 60 s, 6 SYN retries, 5 SYN+ACK retries",
		60 * time.Second, 127 * time.Second, 63 * time.Second, 60 * time.Second, 28232},
	{"windows", "Windows: TIME_WAIT 120 s, 2 SYN retries",
		120 * time.Second, 21 * time.Second, 21 * time.Second, 120 * time.Second, 16384},
	{"bsd", "FreeBSD: MSL 30 s, connect gives up after 75 s",
		60 * time.Second, 75 * time.Second, 75 * time.Second, 60 * time.Second, 55536},
	{"macos", "macOS: MSL 15 s, connect gives up after 75 s",
		30 * time.Second, 75 * time.Second, 75 * time.Second, 60 * time.Second, 16384},
	{"rfc", "RFC 9293: MSL 2 min, R2 for a SYN 3 min",
		240 * time.Second, 180 * time.Second, 180 * time.Second, 0, 16384},
}

// ProfileNamed returns the profile of that name.
func ProfileNamed(name string) (*Profile, bool) {
	for i := range Profiles {
		if Profiles[i].Name == name {
			return &Profiles[i], true
		}
	}
	return nil, false
}

// rest returns how long a side may stay silent in a state before it is
// assumed CLOSED; 0 for a state that no timer of its own ends. An orphaned
// FIN_WAIT_2 is not among them: no packet tells an orphan from a half-close.
func (p *Profile) rest(s State) time.Duration {
	switch s {
	case SynSent:
		return p.SynSent
	case SynReceived:
		return p.SynReceived
	case TimeWait:
		return p.TimeWait
	}
	return 0
}
