//go:build !linux

package live

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Interfaces lists the interfaces of this host by their index. It needs no
// privileges, and of what is missing sees that an interface is down and that
// this build has no live capture.
func Interfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("interfaces cannot be listed: %w", err)
	}
	var list []Interface
	for _, i := range all {
		one := Interface{Name: i.Name, Index: i.Index, MTU: i.MTU, State: "up", Missing: slices.Clone(unavailable)}
		if i.Flags&net.FlagRunning == 0 {
			one.State = "no carrier"
		}
		if i.Flags&net.FlagUp == 0 {
			one.State = "down"
			one.Missing = append(one.Missing, Missing{"interface is down", ""})
		}
		addresses, _ := i.Addrs() // none, where the interface was removed meanwhile
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				one.Addresses = append(one.Addresses, p)
			}
		}
		list = append(list, one)
	}
	return list, nil
}
