package sockets

import "strings"

// Container says what a cgroup's path tells of those in it. All of it is zero
// where the path tells nothing.
type Container struct {
	ID      string // 64 hexadecimal digits; an LXC or nspawn container's name
	Runtime string // docker, containerd, cri-o, podman, lxc, systemd-nspawn, or empty
	PodUID  string // of its Kubernetes pod, with hyphens
	Unit    string // systemd service or scope, or empty; of no container
}

// runtimes are the prefixes of the scopes that container runtimes make with
// systemd's cgroup driver, and of the directories that they make without.
var runtimes = []struct{ prefix, name string }{
	{"docker-", "docker"},
	{"cri-containerd-", "containerd"},
	{"nerdctl-", "containerd"},
	{"crio-", "cri-o"},
	{"libpod-", "podman"},
	{"lxc.payload.", "lxc"},
	{"machine-", "systemd-nspawn"},
}

// parents name the directories of which a bare ID is a child, with the cgroupfs
// driver.
var parents = map[string]string{
	"docker": "docker", "default": "containerd", "k8s.io": "containerd", "libpod_parent": "podman", "lxc": "lxc",
}

// containerOf reads a cgroup's path. It looks from the inside out: the
// innermost container is the one that a process is in.
func containerOf(path string) (c Container) {
	parts := strings.Split(path, "/")
	for i := len(parts) - 1; i >= 0; i-- {
		part := parts[i]
		if uid := podUID(part); uid != "" && c.PodUID == "" {
			c.PodUID = uid
		}
		if c.ID == "" {
			c.ID, c.Runtime = idOf(part)
			if c.ID != "" && c.Runtime == "" && i > 0 {
				c.Runtime = parents[parts[i-1]]
			}
			if c.ID == "" && i > 0 && parts[i-1] == "lxc" && part != "" {
				c.ID, c.Runtime = part, "lxc"
			}
		}
		if c.Unit == "" && (strings.HasSuffix(part, ".service") || strings.HasSuffix(part, ".scope")) {
			c.Unit = unescape(part)
		}
	}
	if c.ID != "" {
		c.Unit = ""
	}
	return c
}

// idOf reads one directory of a path: 64 hexadecimal digits, a runtime's scope
// ("docker-ID.scope"), or the form of a runtime that takes the systemd driver's
// argument for a path ("kubepods-podUID.slice:cri-containerd:ID").
func idOf(part string) (id, runtime string) {
	part = strings.TrimSuffix(part, ".scope")
	if f := strings.Split(part, ":"); len(f) == 3 && isID(f[2]) {
		_, runtime := idOf(f[1] + "-" + f[2])
		return f[2], runtime
	}
	if isID(part) {
		return part, ""
	}
	for _, r := range runtimes {
		rest, ok := strings.CutPrefix(part, r.prefix)
		switch {
		case !ok || rest == "":
		case isID(rest):
			return rest, r.name
		case strings.HasPrefix(rest, "payload-") && isID(rest[len("payload-"):]): // libpod with split cgroups
			return rest[len("payload-"):], r.name
		case r.name == "lxc", r.name == "systemd-nspawn" && !strings.HasPrefix(rest, "qemu"):
			return unescape(rest), r.name
		}
	}
	return "", ""
}

// isID reports whether s is a container's ID as the Open Container Initiative's
// runtimes make them. The monitors that run beside (crio-conmon-ID,
// libpod-conmon-ID) are outside the container.
func isID(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }

// podUID reads a pod's directory: "podUID", or "kubepods-burstable-podUID.slice"
// with underscores for hyphens, since a hyphen separates slices (systemd.slice(5)).
// A static pod's UID is a digest without hyphens.
func podUID(part string) string {
	part, _, _ = strings.Cut(part, ":")
	part = strings.TrimSuffix(part, ".slice")
	if i := strings.LastIndex(part, "-pod"); i >= 0 && strings.HasPrefix(part, "kubepods") {
		part = part[i+1:]
	}
	uid, ok := strings.CutPrefix(part, "pod")
	uid = strings.ReplaceAll(uid, "_", "-")
	if !ok || len(uid) != 36 && len(uid) != 32 || strings.Trim(uid, "0123456789abcdef-") != "" {
		return ""
	}
	return uid
}

// unescape undoes what systemd writes for odd characters in a unit's name
// (systemd.unit(5)): \x2d for a hyphen.
func unescape(s string) string {
	for {
		i := strings.Index(s, `\x`)
		if i < 0 || i+4 > len(s) {
			return clean(s)
		}
		hi, lo := strings.IndexByte(hexDigits, s[i+2]), strings.IndexByte(hexDigits, s[i+3])
		if hi < 0 || lo < 0 {
			return clean(s)
		}
		s = s[:i] + string(rune(hi<<4|lo)) + s[i+4:]
	}
}

const hexDigits = "0123456789abcdef"

// pathIn returns a process's cgroup from its /proc/PID/cgroup (cgroups(7)): of
// version 2 (hierarchy 0), unless that is the root, as where version 1 is in
// use beside it; else the longest, since not every controller of version 1 has
// every container.
func pathIn(file string) string {
	best := "/"
	for line := range strings.Lines(file) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		if f[0] == "0" && f[1] == "" && f[2] != "/" {
			return f[2]
		}
		if len(f[2]) > len(best) {
			best = f[2]
		}
	}
	return best
}
