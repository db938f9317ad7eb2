//go:build libpcap && cgo

package live

import (
	"errors"
	"strings"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/capture"
)

// What libpcap cannot do is an error, and so is a removed interface.
func TestLibpcapErrors(t *testing.T) {
	pair(t)
	for _, c := range []struct {
		c    Config
		want string
	}{
		{Config{Interface: "nope"}, "nope: "},
		{Config{Interface: "vb", AwaitReturn: true}, "libpcap cannot wait"},
		{Config{Interface: "vb", HardwareTime: true}, "vb: it cannot stamp every frame in hardware"},
	} {
		s, err := Open(c.c)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.c, err, c.want)
		}
	}
	if _, err := OpenSeveral(Config{Interface: "vb"}, 2); err == nil {
		t.Error("two sources are no error")
	}
	s := open(t, Config{})
	ip(t, "link del vb")
	if err := read(t, s, func(*capture.Packet) bool { return false }); !errors.Is(err, ErrGone) {
		t.Errorf("removed: %v", err)
	}
}
