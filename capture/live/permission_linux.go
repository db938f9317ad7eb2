package live

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// permissionProblem says why there is no packet socket, and what would help.
func permissionProblem(err error) Missing {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return Missing{ErrPermission.Error(), permissionRemedy()}
	case errors.Is(err, unix.EAFNOSUPPORT):
		return Missing{"the kernel has no packet sockets", "load the module: modprobe af_packet"}
	}
	return Missing{"no packet socket: " + err.Error(), ""}
}

// downProblem says that an interface is down.
func downProblem(name string) Missing {
	return Missing{"interface is down", "ip link set dev " + name + " up"}
}

// permissionRemedy says how to get the one capability that is needed.
func permissionRemedy() string {
	program, err := os.Executable()
	if err != nil {
		program = "tcpflow-states"
	}
	return "run as root, or: sudo setcap cap_net_raw+ep " + program +
		"; docker run --cap-add=NET_RAW --network=host; Kubernetes: securityContext.capabilities.add: [NET_RAW]"
}
