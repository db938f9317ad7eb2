package sockets

import (
	"strings"
	"testing"
)

const (
	someID = "3f1a9c0d2b4e5f60718293a4b5c6d7e8f90123456789abcdef0123456789abcd"
	podID  = "2ebd5ab1-0f5f-4c3a-9d4c-1d2f3a4b5c6d"
)

// What the paths of the container runtimes and of systemd say.
func TestContainerOf(t *testing.T) {
	under := strings.ReplaceAll(podID, "-", "_")
	for _, c := range []struct {
		path string
		want Container
		why  string
	}{
		{"/", Container{}, "the root"},
		{"/docker/" + someID, Container{ID: someID, Runtime: "docker"}, "docker, cgroupfs driver"},
		{"/system.slice/docker-" + someID + ".scope", Container{ID: someID, Runtime: "docker"}, "docker, systemd driver"},
		{"/system.slice/docker-" + someID + ".scope/init", Container{ID: someID, Runtime: "docker"}, "a cgroup within"},
		{"/kubepods/burstable/pod" + podID + "/" + someID, Container{ID: someID, PodUID: podID}, "kubelet, cgroupfs driver"},
		{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + under + ".slice/cri-containerd-" + someID + ".scope",
			Container{ID: someID, Runtime: "containerd", PodUID: podID}, "containerd, systemd driver"},
		{"/kubepods.slice/kubepods-pod" + under + ".slice/crio-" + someID + ".scope",
			Container{ID: someID, Runtime: "cri-o", PodUID: podID}, "cri-o, guaranteed pod"},
		{"/kubepods.slice/kubepods-pod" + under + ".slice/crio-conmon-" + someID + ".scope",
			Container{PodUID: podID, Unit: "crio-conmon-" + someID + ".scope"}, "the monitor is not in the container"},
		{"/system.slice/containerd.service/kubepods-besteffort-pod" + under + ".slice:cri-containerd:" + someID,
			Container{ID: someID, Runtime: "containerd", PodUID: podID}, "kubelet and containerd disagree on the driver"},
		{"/kubepods/besteffort/poda0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3/" + someID,
			Container{ID: someID, PodUID: "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3"}, "a static pod's UID is a digest"},
		{"/machine.slice/libpod-" + someID + ".scope/container", Container{ID: someID, Runtime: "podman"}, "podman"},
		{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + someID + ".scope",
			Container{ID: someID, Runtime: "podman"}, "podman without root"},
		{"/system.slice/web.service/libpod-payload-" + someID, Container{ID: someID, Runtime: "podman"}, "podman, split cgroups"},
		{"/k8s.io/" + someID, Container{ID: someID, Runtime: "containerd"}, "ctr"},
		{"/lxc.payload.web/system.slice/nginx.service", Container{ID: "web", Runtime: "lxc"}, "lxc, with systemd inside"},
		{"/lxc/web/ns", Container{ID: "web", Runtime: "lxc"}, "lxc of old"},
		{"/machine.slice/machine-web\\x2d1.scope/payload", Container{ID: "web-1", Runtime: "systemd-nspawn"}, "nspawn escapes hyphens"},
		{"/machine.slice/machine-qemu\\x2d1\\x2ddb.scope", Container{Unit: "machine-qemu-1-db.scope"}, "a virtual machine is no container"},
		{"/system.slice/postgresql@16-main.service", Container{Unit: "postgresql@16-main.service"}, "a service"},
		{"/user.slice/user-0.slice/session-3.scope", Container{Unit: "session-3.scope"}, "a login"},
		{"/../../kubepods/pod" + podID + "/" + someID, Container{ID: someID, PodUID: podID}, "as seen from within another cgroup namespace"},
		{"/system.slice/evil\\x1b.service", Container{Unit: "evil?.service"}, "what a terminal might obey"},
		{"/system.slice/odd\\x", Container{}, "an escape cut short"},
		{"/podiums/podcast", Container{}, "no pods"},
	} {
		if got := containerOf(c.path); got != c.want {
			t.Errorf("%s: %s: %+v, want %+v", c.why, c.path, got, c.want)
		}
	}
}

// Which line of /proc/PID/cgroup counts.
func TestPathIn(t *testing.T) {
	for _, c := range []struct{ file, want, why string }{
		{"0::/system.slice/nginx.service\n", "/system.slice/nginx.service", "version 2 alone"},
		{"12:memory:/docker/x\n4:cpu,cpuacct:/\n1:name=systemd:/docker/x\n0::/\n", "/docker/x", "version 2 beside, unused"},
		{"4:memory:/a\n0::/b\n", "/b", "both in use"},
		{"4:memory:/kubepods/a:b:c\n", "/kubepods/a:b:c", "colons in the path"},
		{"", "/", "not readable"},
		{"nonsense\n0::", "", "cut short"},
	} {
		if got := pathIn(c.file); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}

// The name of a pod comes from its containers' environment, but for pods that
// have the node's name.
func TestPodName(t *testing.T) {
	for _, c := range []struct{ environ, want, why string }{
		{"PATH=/bin\x00HOSTNAME=db-0\x00KUBERNETES_SERVICE_HOST=10.96.0.1\x00", "db-0", "as kubelet sets it"},
		{"HOSTNAME=node7\x00KUBERNETES_SERVICE_HOST=10.96.0.1\x00", "", "hostNetwork"},
		{"HOSTNAME=node7\x00POD_NAME=agent-x\x00KUBERNETES_SERVICE_HOST=10.96.0.1\x00", "agent-x", "the downward API"},
		{"HOSTNAME=3f1a9c0d2b4e\x00", "", "docker without Kubernetes"},
		{"HOSTNAME=db\x1b[2J\x00KUBERNETES_SERVICE_HOST=x", "db?[2J", "what a terminal might obey"},
		{"", "", "not readable"},
	} {
		if got := podName(c.environ, "node7"); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}

// The words for an owner.
func TestOwnerString(t *testing.T) {
	db := &Process{PID: 812, Command: "postgres", Pod: "db-0", Container: Container{ID: someID, PodUID: podID}}
	for _, c := range []struct {
		o    Owner
		want string
	}{
		{holder{process: db}.owner(Holds), "postgres (pid 812, pod db-0)"},
		{holder{db, 3}.owner(Holds), "postgres (pid 812 and 3 more, pod db-0)"},
		{holder{process: db}.owner(Listens), "postgres (pid 812, pod db-0, the listener)"},
		{holder{process: db}.owner(Held), "postgres (pid 812, pod db-0, until it closed)"},
		{Owner{Process: &Process{PID: 1, Command: "a"}, Container: Container{PodUID: podID, ID: someID}}, "a (pid 1, pod " + podID + ")"},
		{Owner{Process: &Process{PID: 1, Command: "a"}, Container: Container{ID: someID}}, "a (pid 1, container 3f1a9c0d2b4e)"},
		{Owner{Process: &Process{PID: 1, Command: "a"}, Container: Container{ID: "web"}}, "a (pid 1, container web)"},
		{Owner{Process: &Process{PID: 1, Command: "a"}, Container: Container{Unit: "a.service"}}, "a (pid 1, a.service)"},
		{Owner{Process: &Process{PID: 1, Command: "a"}, Alike: 1}, "a (pid 1, or that of 1 other network namespace)"},
		{Owner{UID: 70}, "a process that may not be seen (uid 70)"},
	} {
		if got := c.o.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
