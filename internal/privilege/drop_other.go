//go:build !linux

package privilege

import (
	"fmt"
	"os"
	"runtime"
)

// Drop gives up nothing here, and says so. To become another user is an error:
// whoever asked for it would be wrong about who runs.
func Drop(o Options) (*Report, error) {
	if o.User != "" {
		return nil, fmt.Errorf("changing to user %q is only built for Linux, not %s: start it as that user", o.User, runtime.GOOS)
	}
	r := new(Report)
	r.lacks("privileges are given up on Linux only: this process keeps all that user %d has", os.Getuid())
	return r, nil
}

func here() *place { return &place{system: runtime.GOOS} }

// Give has nothing to do: Drop changes no user here.
func Give(_, _ string) error { return nil }
