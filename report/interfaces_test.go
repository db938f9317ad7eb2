package report

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func someInterfaces() []Interface {
	linkType, packets, none := uint16(1), uint64(17), uint64(0)
	down := Missing{"interface is down", "ip link set dev eth1 up"}
	denied := Missing{"no permission to capture", "run as root"}
	return []Interface{
		{Name: "eth0", Index: 2, State: "up", Link: "Ethernet", LinkType: &linkType, MTU: 1500, Packets: &packets,
			Addresses: []string{"192.0.2.7/24", "2001:db8::7/64"}, Missing: []Missing{denied}},
		{Name: "eth1\x1b", Index: 3, State: "down", Link: "Ethernet", MTU: 1500, Packets: &none, Missing: []Missing{denied, down}},
		{Name: "any", Ready: true},
	}
}

// What would help stands once below the table, however many lack it; names from
// outside reach no terminal.
func TestInterfacesTable(t *testing.T) {
	var b strings.Builder
	if err := InterfacesTable(&b, someInterfaces(), 0, false); err != nil {
		t.Fatal(err)
	}
	want := `Name      State  Link       MTU  Packets  Addresses       Missing
eth0      up     Ethernet  1500       17  192.0.2.7/24    no permission to capture
                                          2001:db8::7/64
eth1\x1b  down   Ethernet  1500        0                  no permission to capture
                                                          interface is down
any

no permission to capture: run as root
interface is down: ip link set dev eth1 up
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// What is not known is left out, and 0 where it is known is not.
func TestInterfacesJSON(t *testing.T) {
	var b strings.Builder
	if err := InterfacesJSON(&b, someInterfaces()); err != nil {
		t.Fatal(err)
	}
	var got struct{ Interfaces []map[string]any }
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"name": "any", "ready": true}, got.Interfaces[2]); diff != "" {
		t.Error(diff)
	}
	if n, there := got.Interfaces[1]["packets"]; !there || n != 0.0 {
		t.Errorf("packets %v, %v", n, there)
	}
	if _, there := got.Interfaces[1]["link_type"]; there || got.Interfaces[0]["link_type"] != 1.0 {
		t.Errorf("%v", got.Interfaces)
	}
}
