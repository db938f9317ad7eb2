package capture

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/captures.md")

// docs/captures.md says what is read: its lists are those of the code.
func TestCapturesPage(t *testing.T) {
	const file = "../docs/captures.md"
	want := capturesPage()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s is stale: go test ./capture -run TestCapturesPage -update (%v)", file, err)
	}
}

func capturesPage() string {
	var readable, foreign, packed, links, headers, inner, opaque []string
	for _, f := range formats {
		if f.open != nil {
			readable = append(readable, f.name)
		} else {
			foreign = append(foreign, f.name)
		}
	}
	for _, c := range compressions {
		packed = append(packed, c.name)
	}
	for _, l := range linkTypes {
		links = append(links, fmt.Sprintf("%s (%d)", l.name, l.number))
	}
	for _, e := range etherTypes {
		headers = append(headers, fmt.Sprintf("%s (0x%04x)", e.name, e.number))
	}
	for _, x := range tunnels {
		at := fmt.Sprintf("IP protocol %d", x.proto)
		if x.port != 0 {
			at = fmt.Sprintf("UDP port %d", x.port)
		}
		text := fmt.Sprintf("%s (%s)", x.name, at)
		if slices.Contains([]string{"IPsec ESP", "IPComp", "WireGuard", "IPsec ESP in UDP"}, x.name) {
			opaque = append(opaque, text)
		} else {
			inner = append(inner, text)
		}
	}
	list := func(items []string) string { return "- " + strings.Join(items, "\n- ") + "\n" }
	return `<!-- The lists are made by ` + "`go test ./capture -run TestCapturesPage -update`" + ` from those of the code. -->

# What is read

Captures are known by their first bytes, whatever their names. Standard input (` + "`-`" + `) and named pipes are read as
they are written: ` + "`tcpdump -U -w - | tcpflow-states analyze -o ndjson -`" + ` reports each flow when it ends.

Several captures are one: merged by time, with as many files open as overlap. A ring that ` + "`tcpdump -C`" + ` or ` + "`-G`" + `
has written may be given in any order. ` + "`--separate`" + ` reads each for itself. Captures joined by ` + "`cat`" + ` are read, too.

What cannot be read ends with an error that says where and what would help; the frames before it count.

## Formats

` + list(readable) + `
pcap in both byte orders, with microseconds or nanoseconds, and as modified by Kuznetzov, IXIA, Nokia, AIX, and
old Linux distributions. Of pcapng every block that holds packets, and Interface Statistics.

Compressed, also one in the other:

` + list(packed) + `
Named with a hint of how to convert them: ` + strings.Join(foreign, ", ") + `.

## Link layers

By their numbers at tcpdump.org/linktypes.html:

` + list(links) + `
Between link and IP, by ethertype:

` + list(headers) + `
802.2 LLC with SNAP, MPLS label stacks and pseudowires besides.

## Tunnels

` + list(inner) + `
Followed to ` + fmt.Sprint(maxTunnels) + ` deep. The VLANs and tunnels of a flow are part of its ` + "`link`" + ` in JSON, and of what tells it from
another flow with the same addresses and ports, since customers' networks overlap; ` + "`--ignore-vlan`" + ` and
` + "`--ignore-tunnel`" + ` leave them out of that, for networks with a VLAN or tunnel for each direction. A packet that is
recorded inside a tunnel and outside of it, or in two VLANs, is counted once.

Counted as encrypted or compressed, and not looked into:

` + list(opaque) + `
MACsec with encryption, 802.11 frames that are protected, and compressed PPP besides.
`
}
