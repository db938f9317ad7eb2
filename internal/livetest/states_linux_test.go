package livetest

import (
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A firewall holds sides in states that pass by. A set has the clients' ports of
// connections of which the host drops
//
//	deaf  all that comes, behind the capture: it has been seen
//	mute  each segment that is an ACK and nothing else, before the capture
const firewall = `
add table inet t
add set inet t deaf { type inet_service; }
add set inet t mute { type inet_service; }
add chain inet t in { type filter hook input priority 0; }
add chain inet t out { type filter hook output priority 0; }
add rule inet t in tcp sport @deaf drop
add rule inet t in tcp dport @deaf drop
add rule inet t out tcp sport @mute tcp flags == ack drop
add rule inet t out tcp dport @mute tcp flags == ack drop
`

func (h *host) nft(script string) error {
	var out []byte
	var err error
	h.in(func() {
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(script)
		out, err = cmd.CombinedOutput()
	})
	if err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}

func (h *host) drops(set, verb string, port uint16) {
	h.t.Helper()
	if err := h.nft(fmt.Sprintf("%s element inet t %s { %d }", verb, set, port)); err != nil {
		h.t.Fatal(err)
	}
}

// The kernel's states, tcp_states.h.
const (
	kernelEstablished = 1 + iota
	kernelSynSent
	_
	kernelFinWait1
	kernelFinWait2
	kernelTimeWait
	kernelClose
	_
	_
	_
	kernelClosing
)

// kernelState asks a socket itself. A socket in TIME_WAIT has left its
// descriptor, which says CLOSE.
func kernelState(t testing.TB, fd int) uint8 {
	t.Helper()
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		t.Fatal(err)
	}
	return info.State
}

// servicePort is that of both hosts' listeners.
const servicePort = 7000

// conn is a connection that a test brings into a state.
type conn struct {
	t              testing.TB
	what           string
	client, server *host
	port           uint16 // of the client
	cfd, sfd       int
	listener       int // of the server
	// want are the states that client and server are held in, as RFC 9293 writes
	// them. Empty: it is not said.
	want [2]string
	// hidden says that packets do not tell what that side has received or sent:
	// the firewall dropped some of it behind the capture, or before. Only then may
	// a state that is not observed be wrong.
	hidden [2]bool
}

func (c *conn) dial() { c.cfd = c.client.dial(c.port, c.server, servicePort) }

func (c *conn) establish() {
	c.t.Helper()
	c.dial()
	c.sfd = c.server.accept(c.listener)
}

func (c *conn) reaches(fd int, what string, state uint8) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("%s: %s", c.what, what), func() bool { return kernelState(c.t, fd) == state })
}

// ends are the sides in the order in which they close: with first 1, the server
// before the client.
func (c *conn) ends(first int) (x, y *host, xfd, yfd int) {
	if first == 0 {
		return c.client, c.server, c.cfd, c.sfd
	}
	return c.server, c.client, c.sfd, c.cfd
}

// openings hold a connection in a state of its beginning.
var openings = []struct {
	what   string
	want   [2]string
	hidden [2]bool
	hold   func(c *conn)
}{
	{"SYN without an answer", [2]string{"SYN_SENT", ""}, [2]bool{1: true}, func(c *conn) {
		c.server.drops("deaf", "add", c.port)
		c.dial()
	}},
	{"no ACK of SYN+ACK", [2]string{"ESTABLISHED", "SYN_RECEIVED"}, [2]bool{0: true}, func(c *conn) {
		c.client.drops("mute", "add", c.port)
		c.dial()
		c.reaches(c.cfd, "ESTABLISHED", kernelEstablished)
	}},
	{"SYNs that cross", [2]string{"SYN_RECEIVED", "SYN_SENT"}, [2]bool{1: true}, func(c *conn) {
		c.cross()
	}},
	{"SYNs that crossed", [2]string{"ESTABLISHED", "ESTABLISHED"}, [2]bool{}, func(c *conn) {
		c.cross()
		c.server.drops("deaf", "delete", c.port)
		c.reaches(c.cfd, "ESTABLISHED", kernelEstablished)
		c.reaches(c.sfd, "ESTABLISHED", kernelEstablished)
	}},
	{"refused", [2]string{"CLOSED", "CLOSED"}, [2]bool{}, func(c *conn) {
		c.cfd = c.client.dial(c.port, c.server, servicePort+2)
	}},
	{"established", [2]string{"ESTABLISHED", "ESTABLISHED"}, [2]bool{}, (*conn).establish},
}

// cross opens from both sides (RFC 9293 Figure 8). What comes to the server is
// lost, so that it stays in SYN_SENT; the client has its SYN.
func (c *conn) cross() {
	c.server.drops("deaf", "add", c.port)
	c.cfd = c.client.dial(c.port, c.server, servicePort+1)
	c.sfd = c.server.dial(servicePort+1, c.client, c.port)
	c.reaches(c.sfd, "SYN_SENT", kernelSynSent)
	c.reaches(c.cfd, "SYN_RECEIVED", kernelSynSent+1)
}

// closings hold an established connection in a state of its end. x closes
// first; the states are those of x and y.
var closings = []struct {
	what   string
	want   [2]string
	hidden [2]bool
	hold   func(c *conn, x, y *host, xfd, yfd int)
}{
	{"FIN without an ACK", [2]string{"FIN_WAIT_1", "CLOSE_WAIT"}, [2]bool{1: true}, func(c *conn, x, y *host, xfd, yfd int) {
		y.drops("mute", "add", c.port)
		unix.Shutdown(xfd, unix.SHUT_WR)
	}},
	{"FIN lost behind the capture", [2]string{"FIN_WAIT_1", "ESTABLISHED"}, [2]bool{1: true}, func(c *conn, x, y *host, xfd, yfd int) {
		y.drops("deaf", "add", c.port)
		unix.Shutdown(xfd, unix.SHUT_WR)
	}},
	{"half closed", [2]string{"FIN_WAIT_2", "CLOSE_WAIT"}, [2]bool{}, func(c *conn, x, y *host, xfd, yfd int) {
		unix.Shutdown(xfd, unix.SHUT_WR)
	}},
	{"no ACK of the second FIN", [2]string{"TIME_WAIT", "LAST_ACK"}, [2]bool{0: true}, func(c *conn, x, y *host, xfd, yfd int) {
		unix.Shutdown(xfd, unix.SHUT_WR)
		c.reaches(xfd, "FIN_WAIT_2", kernelFinWait2)
		x.drops("mute", "add", c.port)
		unix.Shutdown(yfd, unix.SHUT_WR)
	}},
	{"FINs that cross", [2]string{"CLOSING", "TIME_WAIT"}, [2]bool{1: true}, func(c *conn, x, y *host, xfd, yfd int) {
		y.drops("deaf", "add", c.port)
		y.drops("mute", "add", c.port)
		unix.Shutdown(xfd, unix.SHUT_WR)
		unix.Shutdown(yfd, unix.SHUT_WR)
		c.reaches(xfd, "CLOSING", kernelClosing)
		y.drops("deaf", "delete", c.port) // x sends its FIN again
		c.reaches(yfd, "TIME_WAIT", kernelClose)
	}},
	{"closed", [2]string{"TIME_WAIT", "CLOSED"}, [2]bool{}, func(c *conn, x, y *host, xfd, yfd int) {
		unix.Shutdown(xfd, unix.SHUT_WR)
		c.reaches(xfd, "FIN_WAIT_2", kernelFinWait2)
		unix.Shutdown(yfd, unix.SHUT_WR)
	}},
	{"reset", [2]string{"CLOSED", "CLOSED"}, [2]bool{}, func(c *conn, x, y *host, xfd, yfd int) {
		unix.SetsockoptLinger(xfd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(xfd)
	}},
}

// world holds connections in every state, with either host as the client and
// either side that closes first.
func world(t testing.TB, a, b *host) (all []*conn) {
	listeners := map[*host]int{a: a.listen(servicePort), b: b.listen(servicePort)}
	add := func(what string, client, server *host) *conn {
		c := &conn{t: t, what: what, client: client, server: server, port: uint16(20001 + len(all)), listener: listeners[server]}
		all = append(all, c)
		return c
	}
	for _, h := range [][2]*host{{a, b}, {b, a}} {
		for _, o := range openings {
			c := add(o.what, h[0], h[1])
			c.want, c.hidden = o.want, o.hidden
			o.hold(c)
		}
		for _, o := range closings {
			for first, who := range []string{"the client closes", "the server closes"} {
				c := add(o.what+", "+who, h[0], h[1])
				c.want[first], c.want[1-first] = o.want[0], o.want[1]
				c.hidden[first], c.hidden[1-first] = o.hidden[0], o.hidden[1]
				c.establish()
				x, y, xfd, yfd := c.ends(first)
				o.hold(c, x, y, xfd, yfd)
			}
		}
	}
	return all
}

// claim is a state that live says, with its basis.
type claim struct{ state, basis string }

func (c claim) String() string {
	if c.basis == "observed" {
		return c.state
	}
	return c.state + " (" + c.basis + ")"
}

var eventLine = regexp.MustCompile(`^\S+ (\S+) > (\S+)  (client|server) (\S+) -> (\S+)(?: taken back: |  .* \((\w+)\)$)`)

// claims are the states that the events end with, by a side's own end and its
// peer's: the last change that was not taken back.
func claims(p *program) map[[2]string]claim {
	type move struct{ from, to, basis string }
	moves := map[[2]string][]move{}
	lines, _ := p.out.lines(0)
	for _, line := range lines {
		m := eventLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		at := [2]string{m[1], m[2]}
		if m[3] == "server" {
			at = [2]string{m[2], m[1]}
		}
		if m[6] != "" {
			moves[at] = append(moves[at], move{m[4], m[5], m[6]})
			continue
		}
		i := slices.IndexFunc(moves[at], func(x move) bool { return x.from == m[4] && x.to == m[5] })
		if i < 0 {
			p.t.Fatalf("taken back, but never said: %s", line)
		}
		if moves[at] = slices.Delete(moves[at], i, i+1); i > 0 && i == len(moves[at]) {
			moves[at][i-1].basis = "fallen back"
		}
	}
	now := map[[2]string]claim{}
	for at, list := range moves {
		if n := len(list); n > 0 {
			now[at] = claim{list[n-1].to, list[n-1].basis}
		}
	}
	return now
}

var ssStates = map[string]string{
	"ESTAB": "ESTABLISHED", "SYN-SENT": "SYN_SENT", "SYN-RECV": "SYN_RECEIVED", "FIN-WAIT-1": "FIN_WAIT_1", "FIN-WAIT-2": "FIN_WAIT_2",
	"TIME-WAIT": "TIME_WAIT", "CLOSE-WAIT": "CLOSE_WAIT", "LAST-ACK": "LAST_ACK", "LISTEN": "LISTEN", "CLOSING": "CLOSING",
}

// ss lists a host's sockets by both ends.
func (h *host) ss() map[[2]string]string {
	h.t.Helper()
	list := map[[2]string]string{}
	for line := range strings.Lines(h.output("ss", "-tanH")) {
		f := strings.Fields(line)
		list[[2]string{f[3], f[4]}] = ssStates[f[0]]
	}
	return list
}

// at is a side of a connection: its own end and its peer's.
func (c *conn) at(side int) [2]string {
	client, service := fmt.Sprintf("%s:%d", c.client.addr, c.port), servicePort
	switch {
	case strings.HasPrefix(c.what, "SYNs that"):
		service = servicePort + 1
	case c.what == "refused":
		service = servicePort + 2
	}
	server := fmt.Sprintf("%s:%d", c.server.addr, service)
	if side == 0 {
		return [2]string{client, server}
	}
	return [2]string{server, client}
}

// comparison is what is said of one side.
type comparison struct {
	c      *conn
	side   int
	kernel string   // by ss
	ours   [2]claim // captured at A and at B
	agree  bool
}

// compare lays what the events say beside what ss does.
func compare(all []*conn, a, b *host, live [2]*program) (list []comparison, agreed bool) {
	kernel := map[*host]map[[2]string]string{a: a.ss(), b: b.ss()}
	said := [2]map[[2]string]claim{claims(live[0]), claims(live[1])}
	agreed = true
	for _, c := range all {
		for side, h := range []*host{c.client, c.server} {
			at := c.at(side)
			x := comparison{c: c, side: side, kernel: kernel[h][at], ours: [2]claim{said[0][at], said[1][at]}}
			if x.kernel == "" {
				x.kernel = "CLOSED" // it has no socket
			}
			x.agree = c.want[side] == "" || x.kernel == c.want[side]
			for _, o := range x.ours {
				x.agree = x.agree && (o.state == x.kernel || c.hidden[side] && o.basis != "observed" ||
					c.what == "refused" && side == 1 && o.state == "")
			}
			agreed = agreed && x.agree
			list = append(list, x)
		}
	}
	return list, agreed
}

func table(list []comparison) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-45s %-10s %-14s %-24s %-24s\n", "CONNECTION", "SIDE", "SS", "LIVE AT A", "LIVE AT B")
	for _, x := range list {
		mark := ""
		switch {
		case !x.agree:
			mark = "DISAGREE, held in " + x.c.want[x.side]
		case x.c.hidden[x.side]:
			mark = "hidden from the capture"
		}
		where := [2]string{"client", "server"}[x.side] + " " + [2]string{"A", "B"}[index(x)]
		fmt.Fprintf(&b, "%-45s %-10s %-14s %-24s %-24s %s\n", x.c.what, where, x.kernel, x.ours[0], x.ours[1], mark)
	}
	return b.String()
}

// tally counts what a table has.
func tally(list []comparison) string {
	var same, told, other int
	for _, x := range list {
		switch {
		case x.ours[0].state == x.kernel && x.ours[1].state == x.kernel:
			same++
		case x.agree:
			told++
		default:
			other++
		}
	}
	return fmt.Sprintf("of %d sides live and ss say the same of %d, of %d the packets do not tell, of %d they disagree", len(list), same, told, other)
}

// index says whose side it is: 0 for A.
func index(x comparison) int {
	if (x.side == 0) == (x.c.client.name == "va") {
		return 0
	}
	return 1
}

// Both sides of real connections, in every state in which they can be held, are
// in the state that the kernel has them in.
func TestStates(t *testing.T) {
	needs(t, "ss")
	a, b := hosts(t)
	for _, h := range []*host{a, b} {
		if err := h.nft(firewall); err != nil {
			t.Skip("SKIPPED: states that pass by are held with nft and nf_tables: ", err)
		}
	}
	live := [2]*program{a.live("--events", "--kernel-check"), b.live("--events", "--kernel-check")}
	all := world(t, a, b)
	var list []comparison
	reached := map[string]bool{}
	defer func() {
		t.Log(table(list))
		t.Log(tally(list))
		t.Logf("states in which sides agreed: %s", strings.Join(slices.Sorted(maps.Keys(reached)), ", "))
	}()
	eventually(t, "live and ss agree", func() (agreed bool) {
		list, agreed = compare(all, a, b, live)
		return agreed
	})
	for _, x := range list {
		if x.ours[0].state == x.kernel && x.ours[1].state == x.kernel {
			reached[[2]string{"client ", "server "}[x.side]+x.kernel] = true
		}
	}
	for _, state := range []string{"SYN_SENT", "SYN_RECEIVED", "ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT", "CLOSED"} {
		for _, side := range []string{"client ", "server "} {
			// A server that is in SYN_SENT has had no SYN yet: then it is one who opens.
			if !reached[side+state] && side+state != "server SYN_SENT" {
				t.Errorf("no %s was brought into it", side+state)
			}
		}
	}
	checkedByKernel(t, live, all)
}

var (
	checkLine  = regexp.MustCompile(`^kernel check: (\d+) of (\d+) agree, (\d+) disagree, (\d+) without a socket`)
	differLine = regexp.MustCompile(`^  \S+ > \S+ \(flow \d+\): we say `)
)

// checkedByKernel waits until --kernel-check has looked twice, as what it has not
// seen before it does not judge, and judges what it says.
func checkedByKernel(t *testing.T, live [2]*program, all []*conn) {
	t.Helper()
	var before [2]int
	for i, p := range live {
		lines, _ := p.err.lines(0)
		before[i] = len(lines)
	}
	for i, p := range live {
		var check []string
		eventuallyWithin(t, 3*limit/2, "two kernel checks", func() (done bool) {
			lines, _ := p.err.lines(before[i])
			check, done = second(lines)
			return done
		})
		t.Logf("at %s:\n%s", [2]string{"A", "B"}[i], strings.Join(check, "\n"))
		if m := checkLine.FindStringSubmatch(check[0]); m[1] == "0" {
			t.Errorf("nothing agrees: %s", check[0])
		}
		for _, line := range check {
			if differLine.MatchString(line) && !excused(line, all) {
				t.Error(line)
			}
		}
	}
}

// second are the lines of the second check.
func second(lines []string) (check []string, done bool) {
	looked := 0
	for _, line := range lines {
		if checkLine.MatchString(line) {
			looked++
		}
		if looked == 2 {
			check = append(check, line)
		}
	}
	return check, looked >= 2
}

// excused reports whether a difference is of a side of which packets do not tell.
func excused(line string, all []*conn) bool {
	return slices.ContainsFunc(all, func(c *conn) bool {
		return slices.ContainsFunc([]int{0, 1}, func(side int) bool {
			at := c.at(side)
			return c.hidden[side] && strings.HasPrefix(line, "  "+at[0]+" > "+at[1]+" ")
		})
	})
}
