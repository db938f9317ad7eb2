package filter

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"
)

var randomCount = flag.Int("random", 15, "how many expressions made at random are compared with the installed tcpdump, for each link type")

// Expressions made at random mean the same to the installed tcpdump, or nothing.
func TestSameAsInstalledTcpdumpAtRandom(t *testing.T) {
	if testing.Short() {
		t.Skip("tcpdump is not run: -short")
	}
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed: expressions made at random were not compared")
	}
	for i, l := range testLinks() {
		t.Run(l.dlt, func(t *testing.T) {
			t.Parallel()
			packets := samples(l)
			r := writer{rand.New(rand.NewPCG(uint64(i), 4))}
			for range *randomCount {
				e := r.expression(3)
				they := understand(ask(t, l.dlt, e), func() string { return ask(t, l.dlt, e, "-O") })
				compareWith(t, l, e, they, packets, false)
				if t.Failed() {
					return
				}
			}
		})
	}
}

// writer makes up expressions, right ones mostly.
type writer struct{ *rand.Rand }

func (w writer) pick(list ...string) string { return list[w.IntN(len(list))] }

func (w writer) expression(depth int) string {
	e := w.operand(depth)
	for range w.IntN(3) {
		e += w.pick(" and ", " or ", " && ", " || ")
		if w.IntN(4) == 0 {
			e += w.id()
		} else {
			e += w.operand(depth)
		}
	}
	return e
}

func (w writer) operand(depth int) string {
	switch n := w.IntN(10); {
	case n == 0:
		return w.pick("not ", "! ", "!") + w.operand(depth)
	case n < 3 && depth > 0:
		return "(" + w.expression(depth-1) + ")"
	case n < 5:
		return w.number(2) + w.pick(" = ", " != ", " < ", " > ", " <= ", " >= ", "==") + w.number(2)
	case n < 8:
		return w.pick("", "", "ip ", "tcp ", "udp ", "ip6 ", "arp ", "ether ") + w.pick("", "src ", "dst ", "src or dst ", "src and dst ") +
			w.pick("host ", "net ", "port ", "portrange ", "") + w.id()
	}
	return w.pick("ip", "ip6", "tcp", "udp", "icmp", "icmp6", "arp", "sctp", "igmp", "vlan", "vlan 100", "mpls", "mpls 100", "pppoes", "pppoes 17",
		"ip proto 6", "ip6 proto 17", "proto 1", "proto 47", "ether proto 0x0800", "ether proto 66", "multicast", "ip multicast", "ip6 multicast",
		"broadcast", "ip broadcast", "less 60", "greater 70", "stp", "ipx", "aarp", "byte 13 = 0")
}

// id is an address or a port, whichever is wanted.
func (w writer) id() string {
	switch w.IntN(12) {
	case 0:
		return "(" + w.atom() + w.pick(" or ", " and ") + w.id() + ")"
	case 1:
		return "not " + w.id()
	}
	return w.atom()
}

func (w writer) atom() string {
	return w.pick("10.0.0.1", "10.0.0.2", "10.0.0.0/24", "10", "10.0", "80", "443", "53", "123", "http", "domain", "8000-8080", "1-1024",
		"2001:db8::1", "2001:db8::/33", "00:11:22:33:44:55", "192.168.7.9", "22")
}

func (w writer) number(depth int) string {
	if depth == 0 || w.IntN(3) == 0 {
		return fmt.Sprint(w.pick("0", "1", "2", "6", "16", "20", "64", "80", "0x0f", "0xffff", "4294967295", "len", "tcp-syn", "icmp-echo"))
	}
	switch w.IntN(4) {
	case 0:
		return "(" + w.number(depth-1) + ")"
	case 1:
		return w.number(depth-1) + w.pick("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>") + w.number(depth-1)
	case 2:
		return "-" + w.number(depth-1)
	}
	return w.pick("ip", "ip", "tcp", "tcp", "udp", "ip6", "icmp", "icmp6", "arp", "ether", "sctp") + "[" +
		// Not behind the 32 bits of an offset, where -O makes a difference.
		w.pick("0", "1", "2", "9", "16", "40", "len", "len-20", "ip[0]&0xf", "(tcp[12]>>2)", "1+1") + w.pick("", ":1", ":2", ":4") + "]"
}
