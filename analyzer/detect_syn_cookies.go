package analyzer

import (
	"fmt"
	"slices"
	"strings"
)

var synCookies = &Detector{
	Name:      "syn-cookies-suspected",
	Doc:       "while many connections are half-open, a listener's SYN+ACKs lack options that it grants at other times",
	Cause:     "the listener's SYN backlog is full, and it answers with SYN cookies, which hold no window scale and no SACK: those connections will be slow",
	Causes:    []string{"a firewall or load balancer in front of it answers with cookies of its own (SYN proxy)"},
	LooksLike: []string{"a client whose SYN offers no options", "a middlebox that strips options: it does so whatever the load", "Linux cookies for clients with timestamps: they keep the options, and nothing is lost"},
	Next:      "on the server: nstat -az TcpExtSyncookiesSent TcpExtSyncookiesRecv TcpExtTCPReqQFullDoCookies; ss -tn state syn-recv '( sport = :PORT )' | wc -l; dmesg | grep -i 'SYN flooding'; raise net.ipv4.tcp_max_syn_backlog and the listen() backlog",
	Reference: "RFC 4987 3.6, RFC 7323 2.2, tcp_syncookies",
	Severity:  Warning,
	Across:    &Across{By: ByListener, Wants: wantsAnswer, New: func() Tally { return &cookieTally{} }},
	Example: `flows 4 apart 100ms by port
a > b  S   100  mss 1460  ws 7  sackOK
b > a  S.  300  ack 101  mss 1460  ws 7  sackOK
a > b  .   101  ack 301
flows 60 apart 3ms by client at 20s
a > b  S   100  mss 1460
b > a  S.  300  ack 101  mss 1460
b > a  S.  300  ack 101  mss 1460  @+1s
flows 5 apart 100ms by port at 21s
a > b  S   100  mss 1460  ws 7  sackOK
b > a  S.  300  ack 101  mss 1460
a > b  .   101  ack 301`,
}

// granted are the options that a listener grants or not. cookieMSS are the MSS
// of those cookies that have two bits for it (Linux's msstab, IPv4 and IPv6):
// a SYN proxy can offer no other.
var (
	granted = [...]struct {
		bit  OptionSet
		name string
	}{{OptWindowScale, "window scale"}, {OptSACKPermitted, "SACK"}, {OptTimestamps, "timestamps"}}
	cookieMSS = [2][4]uint16{{536, 1300, 1440, 1460}, {1220, 1420, 1440, 8940}}
)

// wantsAnswer wants the flows whose SYN+ACK can be compared with the SYN,
// and those that load the backlog.
func wantsAnswer(f *Flow, _ Side) bool {
	return f.offersKnown() || f.opening() > openingCompleted
}

func (f *Flow) offersKnown() bool {
	return f.Sides[0].Offered.Known && f.Sides[1].Offered.Known && !f.Guessed
}

type cookieTally struct {
	flowList // of those that were not given what they offered
	windows  windows[answers]
	calm     answers // of windows without load that had to make room
	family   int     // of the listener's address: 0 IPv4, 1 IPv6
}

// answers counts the SYN+ACKs of one window.
type answers struct {
	load    uint32 // connections that stayed half-open, or SYNs unanswered
	granted [len(granted)]uint32
	lost    [len(granted)]uint32      // offered by the client alone
	mss     [len(cookieMSS[0])]uint32 // less than the client's, and a cookie's
	mssTop  uint16                    // the largest
	first   int64
	frame   uint64 // of the first flow that lost anything
}

func (a *answers) trouble() int { return int(a.load) }

func (t *cookieTally) Add(f *Flow, s Side) {
	a := t.windows.at(f.Start, (*answers).trouble, t.leave)
	if f.opening() > openingCompleted {
		a.load++
	}
	if !f.offersKnown() {
		return
	}
	c, v, lost := &f.Sides[s.Peer()].Offered, &f.Sides[s].Offered, false
	for k, o := range granted {
		switch {
		case c.Set&o.bit == 0:
		case v.Set&o.bit != 0:
			a.granted[k]++
		default:
			a.lost[k]++
			lost = true
		}
	}
	if c.Set&v.Set&OptMSS != 0 {
		a.mssTop = max(a.mssTop, v.MSS)
		if !f.Key.Addr[s].Netip().Is4() {
			t.family = 1
		}
		if k := slices.Index(cookieMSS[t.family][:], v.MSS); k >= 0 && v.MSS < c.MSS {
			a.mss[k]++
			lost = true
		}
	}
	if !lost {
		return
	}
	t.add(f.Number)
	if a.frame == 0 || f.Start < a.first {
		a.first, a.frame = f.Start, f.FirstFrame
	}
}

// leave keeps what the listener grants without load, however long the load
// lasts.
func (t *cookieTally) leave(a *answers) {
	if a.load == 0 {
		t.calm.plus(a)
	}
}

// plus adds another window's counts.
func (a *answers) plus(b *answers) {
	for k := range granted {
		a.granted[k] += b.granted[k]
		a.lost[k] += b.lost[k]
	}
	for k := range b.mss {
		a.mss[k] += b.mss[k]
	}
	a.mssTop = max(a.mssTop, b.mssTop)
	if b.frame != 0 && (a.frame == 0 || b.first < a.first) {
		a.first, a.frame = b.first, b.frame
	}
}

// split adds up the windows in which the backlog is loaded, and the others.
// peak is how many are half-open at once.
func (t *cookieTally) split() (under, other answers, peak int) {
	const loaded = 20
	other = t.calm
	for i := range t.windows {
		load := 0
		for _, w := range t.windows.upTo(i, backlogTime) {
			load += int(w.v.load)
		}
		if load < loaded {
			other.plus(&t.windows[i].v)
			continue
		}
		under.plus(&t.windows[i].v)
		peak = max(peak, load)
	}
	return under, other, peak
}

// Find compares the listener under load with itself at other times: what is
// lost under load, hardly ever without, and granted then, is the cookies'
// doing. The forged SYNs of a flood rarely offer anything, so that a few
// connections must do.
func (t *cookieTally) Find(n *Finding) bool {
	const few, rarely = 3, 10
	under, other, peak := t.split()
	var what []string
	most := uint32(0)
	compare := func(lost, lostElse uint32, name string) {
		if lost >= few && lostElse*rarely <= lost {
			what = append(what, name)
			most = max(most, lost)
		}
	}
	for k, o := range granted {
		if other.granted[k] >= few {
			compare(under.lost[k], other.lost[k], fmt.Sprintf("%s (granted %s without that load)", o.name, times(int(other.granted[k]))))
		}
	}
	for k, mss := range cookieMSS[t.family] {
		if mss < other.mssTop {
			compare(under.mss[k], other.mss[k], fmt.Sprintf("an MSS above %d (%d without that load)", mss, other.mssTop))
		}
	}
	if len(what) == 0 {
		return false
	}
	n.At, n.Frame = under.first, under.frame
	n.Evidence = fmt.Sprintf("while %d connections are half-open, the SYN+ACKs to %d clients that offer it lack %s",
		peak, most, strings.Join(what, ", "))
	t.onto(n)
	return true
}
