//go:build !libpcap

package live

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// state finds out what has become of an interface of which the kernel has said
// that it is down, or that was then. One that goes up again needs nothing done:
// the kernel has kept the socket's binding (af_packet.c, NETDEV_UP). That of one
// that is removed is lost.
func (r *ring) state() {
	name := r.c.Interface
	switch {
	case r.gone:
		r.comeBack()
	case r.s.bound() > 0 && r.s.up(name):
		if r.down.Load() {
			r.c.notice("%s is up again", name)
		}
		r.down.Store(false)
	case r.s.bound() > 0:
		if !r.down.Load() {
			r.c.notice("%s is down: waiting for it", name)
		}
		r.down.Store(true)
	case r.c.AwaitReturn:
		r.down.Store(true)
		r.gone = true
		r.c.notice("%s was removed: waiting for its return", name)
	default:
		r.down.Store(false)
		r.finish(failure(name, "interface was removed", "results cover what came before; capture on any to survive it, or have its return awaited (--await)", ErrGone))
	}
}

// comeBack binds to the interface of the name, if there is one again.
func (r *ring) comeBack() {
	name := r.c.Interface
	index, err := r.s.index(name)
	if err != nil {
		return
	}
	arphrd, err := r.s.arphrd(name)
	switch {
	case err != nil:
		return // it is gone already
	case arphrd != r.arphrd:
		r.finish(failure(name, "interface has come back as one of another kind", "begin again", ErrGone))
		return
	}
	if err := r.s.bind(index, r.c.Promiscuous); err != nil {
		if !errors.Is(err, unix.ENODEV) {
			r.finish(failure(name, "cannot capture on the interface that has come back: "+err.Error(), "begin again", err))
		}
		return
	}
	r.gone = false
	if r.s.up(name) {
		r.down.Store(false)
		r.c.notice("%s is back", name)
	}
}

// notice tells what happens to the interface.
func (c *Config) notice(format string, args ...any) {
	if c.Notice != nil {
		c.Notice(fmt.Sprintf(format, args...))
	}
}
