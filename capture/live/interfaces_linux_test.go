package live

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Interfaces says of each what it is and what is missing.
func TestInterfaces(t *testing.T) {
	pair(t)
	ip(t, "address add 192.0.2.7/24 dev vb")
	ip(t, "link set vb mtu 1400")
	ip(t, "link add down0 type veth peer name down1")
	ip(t, "link set down0 up") // the other end is not
	to := sendOn(t, "va")
	for n := range 5 {
		to.send(numbered(n))
	}
	want := []string{
		"lo down loopback 1 65536 [] [{interface is down ip link set dev lo up}]",
		"vb up Ethernet 1 1400 [192.0.2.7/24] []",
		"va up Ethernet 1 1500 [] []",
		"down1 down Ethernet 1 1500 [] [{interface is down ip link set dev down1 up}]",
		"down0 no carrier Ethernet 1 1500 [] []",
		"any   0 0 [] []",
	}
	if exec.Command("ip", "link", "add", "nl0", "up", "type", "nlmon").Run() == nil {
		want = slices.Insert(want, 5, "nl0 up netlink 0 3776 [] [{link type netlink has no decoder here capture on an interface that carries IP}]")
		if _, err := Open(Config{Interface: "nl0"}); err == nil || !strings.HasPrefix(err.Error(), "nl0: ") {
			t.Errorf("netlink messages are captured: %v", err)
		}
	} else {
		t.Log("SKIPPED IN PART: the kernel has no interface without decoder (module nlmon)")
	}
	list, err := Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range list {
		got = append(got, fmt.Sprint(i.Name, " ", i.State, " ", i.Link, " ", i.LinkType, i.MTU, i.Addresses, i.Missing))
		if i.Name == "vb" && i.Packets != 5 || i.HasPackets != (i.Name != Any) || i.Ready() != (len(i.Missing) == 0) {
			t.Errorf("%+v", i)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
