package filter

import (
	"os"
	"strings"
	"testing"
)

// wrongExpressions are refused, with the caret under what is wrong.
var wrongExpressions = []struct {
	why        string
	expression string
	caret      string // under it
	want       string // in the first line
}{
	{"a slip of the fingers", "tcp prot 80", "    ^~~~", `"prot" is no word of the filter language: behind "tcp" stands host`},
	{"the same at the beginning", "tpc port 80", "^~~", `"tpc" is no word of the filter language: a condition begins with one of`},
	{"the same behind and", "tcp and prt 80", "        ^~~", `"prt" is no word of the filter language`},
	{"capitals", "TCP port 80", "^~~", "write it in lower case: tcp"},
	{"a service for itself", "http", "^~~~", `write "port http"`},
	{"nothing behind the qualifier", "tcp port", "        ^", "the expression ends too soon: expected a port, as in: port 443"},
	{"nothing behind and", "tcp and", "       ^", "the expression ends too soon"},
	{"and twice", "tcp and and udp", "        ^~~", `"and" cannot stand here`},
	{"no and", "tcp port 80 port 90", "            ^~~~", `"port" cannot stand here: expected "and", "or" or the end`},
	{"a parenthesis not closed", "(tcp or udp and port 53", "^", `this "(" is not closed`},
	{"one not opened", "tcp)", "   ^", `")" cannot stand here`},
	{"a bracket not closed", "tcp[13 = 2", "       ^", `"=" cannot stand here: expected "]"`},
	{"a bracket not closed at the end", "tcp[13", "   ^", `this "[" is not closed`},
	{"empty parentheses", "()", " ^", `")" cannot stand here`},
	{"an address alone", "10.0.0.1", "^~~~~~~~", `write "host 10.0.0.1"`},
	{"an IPv6 address alone", "2001:db8::1", "^~~~~~~~~~~", `write "host 2001:db8::1"`},
	{"a MAC address alone", "00:11:22:33:44:55", "^~~~~~~~~~~~~~~~~", `write "ether host`},
	{"a number alone", "80", "  ^", "the expression ends too soon: expected a comparison"},
	{"a number behind a protocol", "tcp and 80", "        ^~", `a number alone says nothing: write "port 80"`},
	{"a port that is none", "port 70000", "     ^~~~~", "70000 is no port: ports go up to 65535"},
	{"a range as a port", "port 8000-8080", "     ^~~~~~~~~", "for a range write: portrange 8000-8080"},
	{"a range too far", "portrange 1-70000", "          ^~~~~~~", "70000 is no port"},
	{"a service as a range", "portrange http", "          ^~~~", `"http" is no range of ports: give two ports, as in portrange 8000-8080, or write: port http`},
	{"a service that is not known", "port nosuch", "     ^~~~~~", `"nosuch" is no service that is known here: give its number`},
	{"a service of another protocol", "udp port http", "^~~~~~~~~~~~~", `"http" is a service of tcp, not of udp: write: udp port 80`},
	{"ports of what has none", "icmp port 80", "^~~~~~~~~~~~", `"icmp" does not go with a port: join them by "and": icmp and port 80`},
	{"addresses of what has none", "tcp host 10.0.0.1", "^~~~~~~~~~~~~~~~~", `join them by "and": tcp and host 10.0.0.1`},
	{"an address for a port", "port 10.0.0.1", "     ^~~~~~~~", `"10.0.0.1" is no port`},
	{"a host name", "host example.com", "     ^~~~~~~~~~~", "host names are not looked up: give the address"},
	{"a host name behind a direction", "tcp and src www", "            ^~~", "host names are not looked up"},
	{"a network name", "net loopback", "    ^~~~~~~~", "network names are not looked up"},
	{"a number of an address too large", "host 10.0.0.256", "     ^~~~~~~~~~", "give four numbers up to 255"},
	{"one number too many", "host 10.0.0.1.2", "     ^~~~~~~~~~", `"10.0.0.1.2" is no address: give four numbers`},
	{"a network as a host", "host 10.0.0.0/8", "     ^~~~~~~~~~", `write "net" instead of "host"`},
	{"bits behind the mask", "net 10.0.0.1/8", "    ^~~~~~~~~~", "give the network's first address: 10.0.0.0"},
	{"the same of IPv6", "net 2001:db8::1/32", "    ^~~~~~~~~~~~~~", "give the network's first address: 2001:db8::"},
	{"a prefix too long", "net 10.0.0.0/33", "             ^~", "give up to 32 bits"},
	{"the same of IPv6", "net 2001:db8::/129", "               ^~~", "give up to 128 bits"},
	{"no prefix", "net 10.0.0.0/", "             ^", "the expression ends too soon"},
	{"an IPv4 address of IPv6", "ip6 host 10.0.0.1", "^~~~~~~~~~~~~~~~~", "give an IPv6 address"},
	{"an IPv6 address of IPv4", "ip host ::1", "^~~~~~~~~~~", "give an IPv4 address"},
	{"a MAC address without ether", "host 00:11:22:33:44:55", "^~~~~~~~~~~~~~~~~~~~~~", "write: ether host 00:11:22:33:44:55"},
	{"a keyword as a protocol's name", "ip proto tcp", "         ^~~", `write \tcp, or the number`},
	{"a protocol that is not known", `ip proto \nosuch`, `         ^~~~~~~`, `"nosuch" is no protocol that is known here`},
	{"ether alone", "ether", "^~~~~", "every frame is of the link layer"},
	{"a number too large", "len > 4294967296", "      ^~~~~~~~~~", "larger than 32 bits"},
	{"octal with a nine", "port 089", "     ^~~", "octal"},
	{"a size that cannot be loaded", "ip[0:3] = 1", "     ^", "give 1, 2 or 4"},
	{"a comparison without its right side", "len >", "     ^", "expected a number, len, or bytes of a header"},
	{"a number that is not compared", "tcp[13] & 2", "           ^", "expected a comparison"},
	{"a truth compared", "(tcp) = 1", "      ^", `"=" cannot stand here`},
	{"division by zero", "ip[0] / 0 = 1", "      ^", "division by zero"},
	{"a shift that leaves nothing", "ip[0] << 32 = 1", "      ^~", "shift by 32 bits"},
	{"bytes of what has no place", "ah[0] = 1", "^~~~~", "bytes of ah cannot be read"},
	{"a VLAN that is none", "vlan 5000", "     ^~~~", "VLANs go up to 4095"},
	{"a label that is none", "mpls 1048576", "     ^~~~~~~", "labels go up to 1048575"},
	{"a session that is none", "pppoes 65536", "       ^~~~~", "sessions go up to 65535"},
	{"ARP in MPLS", "mpls and arp", "         ^~~", "behind mpls only IPv4 and IPv6 can be told"},
	{"a tag in MPLS", "mpls and vlan", "         ^~~~", "put vlan before mpls"},
	{"a chain of headers", "ip6 protochain 6", "    ^~~~~~~~~~", "protochain needs a program with loops"},
	{"a gateway", "gateway router", "^~~~~~~", "host names are not looked up"},
	{"what libpcap compiles wrong", "byte 0 & 1", "       ^", "write ether[0] & 1 != 0"},
	{"what the built-in language leaves out", "wlan type mgt", "     ^~~~", `"type" is not in the built-in filter language: install tcpdump`},
	{"the same alone", "geneve 5", "^~~~~~", "or pass --bpf-program with the output of: tcpdump -y EN10MB -ddd 'geneve 5'"},
	{"a character that nothing begins with", "port = ?", "       ^", `no word of the filter language begins with "?"`},
	{"runes before the caret", "host zürich", "      ^", `no word of the filter language begins with "ü"`},
	{"a tab before the caret", "tcp\tprot 80", "    ^~~~", `"prot" is no word`},
	{"broadcast of what has none", "tcp broadcast", "    ^~~~~~~~~", `"tcp" has no broadcast`},
	{"multicast of what has none", "arp multicast", "    ^~~~~~~~~", `"arp" has no multicast`},
	{"parentheses without end", strings.Repeat("(", 300), strings.Repeat(" ", 200) + "^", "more than 200 parentheses"},
}

func TestErrors(t *testing.T) {
	for _, c := range wrongExpressions {
		_, err := Parse(c.expression, Options{NoTcpdump: true})
		if err == nil {
			t.Errorf("%s: %q is compiled", c.why, c.expression)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if !strings.Contains(lines[0], c.want) || lines[len(lines)-1] != "  "+c.caret {
			t.Errorf("%s:\n%v\nwant %s\n  %s", c.why, err, c.want, c.caret)
		}
	}
}

// What is wrong on some link types only is an error there, and no earlier.
func TestErrorsOfLinkTypes(t *testing.T) {
	for _, c := range []struct {
		expression string
		linkType   uint16
		want       string
	}{
		{"vlan 5", 113, "Linux cooked v1 frames have no VLAN tags"},
		{"ether host 00:11:22:33:44:55", 101, "raw IP frames have no MAC addresses"},
		{"broadcast", 0, "BSD loopback frames have no broadcast address"},
		{"multicast", 9, "PPP frames have no multicast addresses"},
		{"mpls", 276, "Linux cooked v2 frames have no MPLS labels"},
		{"inbound", 1, "captures of Ethernet do not say in which direction packets went"},
		{"ifindex 3", 113, "captures of Linux cooked v1 do not name interfaces"},
		{"tcp", 105, "the built-in filter language cannot look into frames of link type 105: install tcpdump"},
		{"tcp", 239, "no filter can be compiled for frames of link type 239: pass --bpf-program"},
		{"pppoes and vlan", 1, "PPP frames have no VLAN tags"},
	} {
		f, err := Parse(c.expression, Options{NoTcpdump: true})
		if err != nil {
			t.Errorf("%s: %v", c.expression, err)
			continue
		}
		if _, err = f.Program(c.linkType); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, link type %d: %v, want %q", c.expression, c.linkType, err, c.want)
		}
	}
}

// Nothing, and blanks alone, match every packet.
func TestEmpty(t *testing.T) {
	for _, e := range []string{"", " ", "\t\n"} {
		f, err := Parse(e, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if p, err := f.Program(1); err != nil || !p.Match(nil, 0) || len(p.code) != 1 {
			t.Errorf("%q: %v", e, err)
		}
	}
}

// What is wrong with a program that is given says so.
func TestParseProgram(t *testing.T) {
	for _, c := range []struct{ why, text, want string }{
		{"as tcpdump prints it", "4\n40 0 0 12\n21 0 1 2048\n6 0 0 262144\n6 0 0 0\n", ""},
		{"as iptables takes it", "4,40 0 0 12,21 0 1 2048,6 0 0 262144,6 0 0 0", ""},
		{"nothing", " \n", "no filter program in it"},
		{"another text", "(000) ldh [12]", `is no number of instructions: give the output of tcpdump -ddd`},
		{"a line lost", "4\n40 0 0 12\n21 0 1 2048\n6 0 0 0\n", "has 3 instructions and says that it has 4"},
		{"C", "1\n{ 0x6 0 0 0 }\n", "is no instruction"},
		{"five fields", "1,6 0 0 0 0", "is no instruction (1 of 1)"},
		{"no return", "1,40 0 0 12", "does not end with a return"},
		{"a loop", "3,5 0 0 4294967294,6 0 0 1,6 0 0 0", "instruction 0 jumps backward"},
		{"a jump past the end", "2,21 5 0 1,6 0 0 0", "instruction 0 jumps outside"},
		{"what is no instruction", "2,9999 0 0 0,6 0 0 0", "instruction 0 has code 9999"},
		{"memory that is not there", "2,2 0 0 16,6 0 0 0", "uses memory 16: there are 0 to 15"},
		{"division", "2,52 0 0 0,6 0 0 0", "divides by zero"},
		{"a program for live packets", "2,48 0 0 4294963248,6 0 0 0", "asks the kernel what it knows of a live packet"},
	} {
		_, err := ParseProgram(c.text)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.why, err, c.want)
		}
	}
}

// A tcpdump on PATH compiles what the built-in language has not, and is believed
// when it refuses that.
func TestOutside(t *testing.T) {
	dir := t.TempDir()
	script := `#!/bin/sh
for last; do :; done
case "$last" in
*geneve*) [ "$2" = EN10MB ] && echo "$@" >` + dir + `/args; printf '1\n6 0 0 96\n' ;;
*) echo "tcpdump: can't parse filter expression: syntax error" >&2; exit 1 ;;
esac
`
	if err := os.WriteFile(dir+"/tcpdump", []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	f, err := Parse("geneve 5", Options{})
	if err != nil || f.Outside() != dir+"/tcpdump" {
		t.Fatalf("%v, by %q", err, f.Outside())
	}
	p, err := f.Program(1)
	if err != nil || !p.Match(nil, 0) {
		t.Errorf("tcpdump's program is not taken: %v", err)
	}
	args, err := os.ReadFile(dir + "/args")
	if want := "-y EN10MB -s 262144 -ddd -- geneve 5\n"; err != nil || string(args) != want {
		t.Errorf("tcpdump %q, want %q, %v", args, want, err)
	}
	if _, err := Parse("tcp prot 80", Options{}); err == nil || strings.Contains(err.Error(), "install") {
		t.Errorf("a slip that tcpdump refuses, too: %v", err)
	}
}
