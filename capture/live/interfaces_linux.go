package live

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Interfaces lists the interfaces of this network namespace by their index, Any
// last. It needs no privileges. It asks rtnetlink(7) and not /sys/class/net,
// which shows the namespace that it was mounted in.
func Interfaces() ([]Interface, error) {
	dump, err := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("interfaces cannot be listed: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(dump)
	if err != nil {
		return nil, fmt.Errorf("interfaces cannot be listed: %w", err)
	}
	missing := missingPermission()
	var list []Interface
	for i := range messages {
		if messages[i].Header.Type != unix.RTM_NEWLINK {
			continue
		}
		one, ok := describe(&messages[i])
		if !ok {
			continue
		}
		one.Addresses = addresses(one.Index)
		one.Missing = append(slices.Clone(missing), one.Missing...)
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b Interface) int { return cmp.Compare(a.Index, b.Index) })
	return append(list, Interface{Name: Any, Missing: missing}), nil
}

// missingPermission tries to get a packet socket, which is bound to nothing.
func missingPermission() []Missing {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
		return nil
	}
	return []Missing{permissionProblem(err)}
}

// describe reads an RTM_NEWLINK message: struct ifinfomsg and attributes.
func describe(m *syscall.NetlinkMessage) (Interface, bool) {
	attributes, err := syscall.ParseNetlinkRouteAttr(m)
	if err != nil || len(m.Data) < unix.SizeofIfInfomsg {
		return Interface{}, false
	}
	info := (*unix.IfInfomsg)(unsafe.Pointer(&m.Data[0]))
	kind := hardwareOf(info.Type)
	one := Interface{Index: int(info.Index), State: stateOf(info.Flags), Link: kind.name, LinkType: kind.linkType, HasLinkType: kind.known}
	for _, a := range attributes {
		switch a.Attr.Type {
		case unix.IFLA_IFNAME:
			one.Name = string(bytes.TrimRight(a.Value, "\x00"))
		case unix.IFLA_MTU:
			if len(a.Value) >= 4 {
				one.MTU = int(binary.NativeEndian.Uint32(a.Value))
			}
		case unix.IFLA_STATS64:
			// struct rtnl_link_stats64 begins with rx_packets and tx_packets.
			if len(a.Value) >= 16 {
				one.HasPackets = true
				one.Packets = binary.NativeEndian.Uint64(a.Value) + binary.NativeEndian.Uint64(a.Value[8:])
			}
		}
	}
	if one.State == "down" {
		one.Missing = append(one.Missing, downProblem(one.Name))
	}
	if !kind.known {
		one.Missing = append(one.Missing, linkProblem(kind))
	}
	return one, true
}

// stateOf reads the flags as netdevice(7) has them: an interface that is up
// without IFF_RUNNING has no carrier.
func stateOf(flags uint32) string {
	switch {
	case flags&unix.IFF_UP == 0:
		return "down"
	case flags&unix.IFF_RUNNING == 0:
		return "no carrier"
	}
	return "up"
}

// addresses are those of an interface, which may have been removed meanwhile.
func addresses(index int) (list []netip.Prefix) {
	all, err := (&net.Interface{Index: index}).Addrs()
	if err != nil {
		return nil
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			list = append(list, p)
		}
	}
	return list
}
