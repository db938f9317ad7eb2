package conformance

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

var show = flag.String("show", "", "print one connection's packets and histories: SCENARIO/TAP/CONN, or SCENARIO/TAP/CONN/MUTATION/SEED")

// TestShow prints what -show names: the packets of one connection, whole or
// mutated, both histories, and what was withdrawn.
func TestShow(t *testing.T) {
	if *show == "" {
		t.Skip("a tool: give -args -show SCENARIO/TAP/CONN")
	}
	part := strings.SplitN(*show, "/", 4)
	for _, truth := range scenarios(t) {
		if truth.Scenario != part[0] || len(part) < 3 {
			continue
		}
		packets, err := ReadTap(truth.Path(part[1]))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := strconv.Atoi(part[2])
		if err != nil {
			t.Fatal(err)
		}
		if len(part) == 4 {
			packets = mutated(t, part[3], packets)
		}
		showConnection(t, &truth.Connections[conn], packets)
	}
}

// mutated takes "MUTATION/SEED"; the mutation's own name may have a slash.
func mutated(t *testing.T, name string, packets []capture.Packet) []capture.Packet {
	cut := strings.LastIndex(name, "/")
	seed, err := strconv.Atoi(name[cut+1:])
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range Mutations() {
		if m.Name == name[:cut] {
			return m.Do(seed, packets)
		}
	}
	t.Fatalf("no mutation %q", name[:cut])
	return nil
}

func showConnection(t *testing.T, c *Connection, packets []capture.Packet) {
	key, client := c.Key()
	var zero int64
	var base [2]analyzer.Seq
	var based [2]bool
	for _, p := range packets {
		x := p.Segment
		k, s := analyzer.KeyOf(&x)
		if p.Kind != capture.KindSegment || k != key {
			continue
		}
		if zero == 0 {
			zero = x.Time
		}
		based0 := func(s analyzer.Side, n analyzer.Seq) uint32 {
			if !based[s] {
				base[s], based[s] = n, true
			}
			return uint32(n - base[s])
		}
		role := Client
		if s != client {
			role = Server
		}
		seq, ack := based0(s, x.Seq), uint32(0)
		if x.Flags.Has(analyzer.ACK) {
			ack = based0(s.Peer(), x.Ack)
		}
		fmt.Printf("%6d %+9.4f %-6s %-4s seq %-6d len %-5d ack %-6d win %-5d id %-5d ts %d/%d\n", x.Frame, float64(x.Time-zero)/1e9,
			role, x.Flags, seq, x.Len, ack, x.Window, x.IPID, x.Options.TSVal, x.Options.TSEcr)
	}
	for _, f := range Track(packets) {
		if f.Key != key {
			continue
		}
		for _, tr := range f.Transitions {
			role := Client
			if tr.Side != client {
				role = Server
			}
			fmt.Printf("  flow %d %-6s %s -> %s%s @%d %+.4f %s, proved @%d %s\n", f.Number, role, tr.From, tr.To, mark(&tr),
				tr.Frame, float64(tr.Time-zero)/1e9, tr.Trigger, tr.ConfirmedFrame, tr.Withdrawn.String())
		}
	}
	for _, role := range []Role{Client, Server} {
		for _, k := range c.Socket(role).States {
			fmt.Printf("  kernel %-6s %-13s %+.4f %s\n", role, k.State, float64(k.Time-zero)/1e9, k.Source)
		}
	}
}
