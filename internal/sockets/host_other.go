//go:build !linux

package sockets

import (
	"errors"
	"net/netip"
	"runtime"
)

// errLinuxOnly is what every question gets here.
var errLinuxOnly = errors.New("who holds a socket is known on Linux only (sock_diag), and this is " + runtime.GOOS)

func newHost(Options) (source, error) { return nil, errLinuxOnly }

// Lookup asks the kernel for one socket of the own network namespace. On this
// system it cannot.
func Lookup(_, _ netip.AddrPort) (s Socket, ok bool, err error) { return s, false, errLinuxOnly }
