package privilege

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// Each place gets the one remedy that helps there.
func TestRemedy(t *testing.T) {
	bin := "/usr/local/bin/tcpflow-states"
	for _, c := range []struct {
		why  string
		at   place
		want string
		not  string
	}{
		{"a plain host", place{executable: bin}, "\n  sudo setcap cap_net_raw+ep " + bin, ""},
		{"a path that a shell would split", place{executable: "/home/al x/it's"}, `cap_net_raw+ep '/home/al x/it'\''s'`, ""},
		{"go run", place{executable: "/tmp/go-build12/b001/exe/tcpflow-states"}, "go build", "/tmp/go-build"},
		{"a nosuid file system", place{executable: bin, nosuid: true}, "nosuid", ""},
		{"a nosuid file system, and a capability there", place{executable: bin, nosuid: true, fileHas: true}, "nosuid", ""},
		{"systemd with NoNewPrivileges", place{executable: bin, fileHas: true, noNewPrivs: true}, "AmbientCapabilities=CAP_NET_RAW", "setcap"},
		{"systemd with a bounding set", place{executable: bin, bounded: true, root: true}, "CapabilityBoundingSet", "setcap"},
		{"root whose capabilities were dropped", place{executable: bin, root: true}, "who started", "setcap"},
		{"docker --cap-drop", place{executable: bin, container: "docker", bounded: true, root: true}, "docker run --cap-add NET_RAW", "setcap"},
		{"docker --cap-drop, not root", place{executable: bin, container: "docker", bounded: true}, "RUN setcap cap_net_raw+ep " + bin, "sudo"},
		{"docker, not root, and nothing dropped", place{executable: bin, container: "docker"}, "setcap cap_net_raw+ep " + bin, "--cap-add"},
		{"docker with no-new-privileges", place{executable: bin, container: "docker", fileHas: true, noNewPrivs: true}, "leave --security-opt", "setcap"},
		{"podman", place{executable: bin, container: "podman", bounded: true}, "podman run --cap-add NET_RAW", ""},
		{"kubernetes", place{executable: bin, container: "kubernetes", bounded: true, root: true}, "capabilities: {add: [NET_RAW]}", "allowPrivilegeEscalation"},
		{"kubernetes, and no_new_privs", place{executable: bin, container: "kubernetes", fileHas: true, noNewPrivs: true}, "leave allowPrivilegeEscalation: false out", "setcap"},
		{"a rootless container", place{executable: bin, container: "podman", capable: true}, "rootful", "setcap"},
		{"a seccomp filter", place{executable: bin, capable: true, root: true}, "seccomp", "setcap"},
		{"macOS", place{system: "darwin", executable: bin}, "sudo", "setcap"},
	} {
		if c.at.system == "" {
			c.at.system = "linux"
		}
		got := c.at.remedy()
		if !strings.Contains(got, c.want) || c.not != "" && strings.Contains(got, c.not) {
			t.Errorf("%s: %q, want it with %q and without %q", c.why, got, c.want, c.not)
		}
	}
}

// Only what is about permission is explained, and it stays the error that it was.
func TestExplain(t *testing.T) {
	if err := Explain(nil); err != nil {
		t.Errorf("nil became %v", err)
	}
	other := errors.New("eth7: no such network interface")
	if err := Explain(other); err != other {
		t.Errorf("%v became %v", other, err)
	}
	refused := fmt.Errorf("eth0: %w", &os.SyscallError{Syscall: "socket", Err: fs.ErrPermission})
	err := Explain(refused)
	if !errors.Is(err, fs.ErrPermission) || !strings.HasPrefix(err.Error(), refused.Error()+": ") {
		t.Errorf("%v became %v", refused, err)
	}
}

// The names are in the kernel's order.
func TestCapabilityNames(t *testing.T) {
	for c, want := range map[Capability]string{
		0: "CAP_CHOWN", CAPDACReadSearch: "CAP_DAC_READ_SEARCH", CAPNetRaw: "CAP_NET_RAW", CAPSysPtrace: "CAP_SYS_PTRACE",
		8: "CAP_SETPCAP", 21: "CAP_SYS_ADMIN", 37: "CAP_AUDIT_READ", 40: "CAP_CHECKPOINT_RESTORE", 41: "capability 41",
	} {
		if got := c.String(); got != want {
			t.Errorf("%d: %s, want %s", uint8(c), got, want)
		}
	}
}
