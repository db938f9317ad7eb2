//go:build !(linux && !libpcap) && !(libpcap && (cgo || (windows && amd64)))

package live

import (
	"errors"
	"runtime"

	"github.com/tcpflow-states/tcpflow-states/capture/filter"
)

// FilterOptions are those that Config.Filter is to be parsed with.
var FilterOptions = filter.Options{}

// unavailable says that there is no live capture in this build.
var unavailable = []Missing{{
	"no live capture on " + runtime.GOOS + " in this build",
	"build it with libpcap: CGO_ENABLED=1 go build -tags libpcap ./cmd/tcpflow-states; or pipe: tcpdump -i INTERFACE -w - tcp | tcpflow-states analyze -",
}}

// Open is an error that says how to build a program that can capture.
func Open(c Config) (Source, error) {
	if _, err := c.withDefaults(); err != nil {
		return nil, err
	}
	return nil, lacks(c.Interface, unavailable[0], errors.ErrUnsupported)
}

// OpenSeveral is Open.
func OpenSeveral(c Config, _ int) ([]Source, error) {
	_, err := Open(c)
	return nil, err
}
