//go:build !linux && libpcap && (cgo || (windows && amd64))

package live

// unavailable is empty: there is live capture in this build.
const unavailable = ""
