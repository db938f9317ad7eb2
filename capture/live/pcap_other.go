//go:build !linux && libpcap && (cgo || (windows && amd64))

package live

// unavailable is empty: there is live capture in this build.
var unavailable []Missing

// permissionRemedy says where the right to capture comes from.
func permissionRemedy() string {
	return "run as root, or give yourself the right to read /dev/bpf*; with Npcap, run as administrator"
}
