// Package live captures on the interfaces of this host. Its sources are
// capture.Sources: the frames go through the decoder that those of files go
// through, and what that delivers is the same.
//
// On Linux a source is a packet socket with a TPACKET_V3 ring (ring_linux.go,
// socket_linux.go), without cgo: packet(7) and the kernel's
// Documentation/networking/packet_mmap.rst. Built with the tag libpcap it is a
// handle of libpcap (pcap.go), on the systems that have it.
//
// What a live capture shows is not what the wire carries: segments are those
// that the host hands to its interface or that the interface has put together,
// so they may be larger than any packet, and what leaves may have no checksum
// yet.
package live

import (
	"errors"
	"fmt"
	"time"

	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/capture/filter"
)

// Any is the name that stands for all interfaces.
const Any = "any"

// DefaultSnap is how many octets of a frame are captured when Config.Snap is 0:
// more than any has, as tcpdump's default.
const DefaultSnap = 262144

// DefaultTick is Config.Tick when that is 0.
const DefaultTick = 250 * time.Millisecond

// ErrGone is wrapped by the error with which a source ends whose interface has
// been removed.
var ErrGone = errors.New("interface was removed")

// ErrPermission is wrapped by the error of Open where Linux does not let this
// process capture on any interface: it lacks CAP_NET_RAW, or more.
var ErrPermission = errors.New("no permission to capture")

// Config says what to capture. All but Interface may be zero.
type Config struct {
	// Interface is a name, or Any. Any takes what every interface shows, those
	// to come included; a packet that goes through several is seen on each.
	Interface string

	// Filter decides in the kernel which frames are captured, from the first on.
	// It is to be parsed with FilterOptions.
	Filter *filter.Filter

	// Snap is how many octets of a frame are captured at the most; DefaultSnap
	// when 0. The kernel copies no more than that.
	Snap uint32

	// Promiscuous asks the interface for frames that are addressed to others. It
	// has no effect on Any.
	Promiscuous bool

	// HardwareTime asks the interface to stamp the frames that it receives, by
	// its own clock: let phc2sys(8) keep that one by the system's. Those that it
	// sends have the kernel's time, as all have without. It is an error where
	// the interface cannot do it for every frame.
	HardwareTime bool

	// Buffer is the size of the kernel's ring in octets, for each source: 16 MiB
	// when 0, 2 MiB at the least and 1 GiB at the most, in steps of 1 MiB. It is
	// memory that cannot be swapped out.
	Buffer int

	// Tick is after how long without a packet Next delivers a KindTick;
	// DefaultTick when 0.
	Tick time.Duration

	// AwaitReturn makes a source whose interface is removed wait for another one
	// of its name, and Open take an interface that is down. An interface that
	// goes down later is waited for in any case.
	AwaitReturn bool

	// Notice, if set, is told in a sentence what happens to the interface. It is
	// called by Next.
	Notice func(text string)

	// Decode is what becomes of the frames. OnFrame is shown each as it was on
	// the wire, VLAN tag included. Filter and Window are not used.
	Decode capture.Options

	// Frames, if set, returns what is shown the frames of a source, in place of
	// Decode.OnFrame: the sources of OpenSeveral count from 0.
	Frames func(source int) func(*capture.Frame)
}

// Source is a live capture. Next delivers a KindTick at least every Config.Tick
// when there is nothing else, and ends with io.EOF once Stop was called and all
// that was captured until then is delivered; with an *Error that wraps ErrGone
// when its interface was removed. Stats' Dropped is at most a Tick old, and exact
// at the end.
type Source interface {
	capture.Source
	// Stop ends the capture; callable from any goroutine, and more than once.
	Stop()
	// Counters asks the kernel how the capture goes; callable from any
	// goroutine. After Close they are those of its end.
	Counters() Counters
}

// Counters say how a capture goes, since its beginning.
type Counters struct {
	Frames  uint64 // that the filter has accepted, those dropped included
	Dropped uint64 // of which the ring had no room for
	Freezes uint64 // times that the ring was full; 0 with libpcap
	// Full is how much of the ring, from 0 to 1, waits to be read; 0 with
	// libpcap, which does not tell.
	Full float64
	// Up is whether the interface was there and up when it was last needed to
	// know; always with libpcap, which does not tell.
	Up bool
}

// withDefaults checks a Config and fills in what is 0.
func (c Config) withDefaults() (Config, error) {
	if c.Interface == "" {
		return c, errors.New("no interface given: tcpflow-states interfaces lists what there is")
	}
	if c.Snap == 0 || c.Snap > DefaultSnap {
		c.Snap = DefaultSnap
	}
	if c.Tick <= 0 {
		c.Tick = DefaultTick
	}
	const usual, least, most = 16 << 20, 2 << 20, 1 << 30
	switch {
	case c.Buffer == 0:
		c.Buffer = usual
	case c.Buffer > most:
		return c, fmt.Errorf("a buffer of %d octets: 1 GiB is the most", c.Buffer)
	}
	c.Buffer = max(c.Buffer, least)
	return c, nil
}

// show lets the frames of a source be shown to who wants those of that one.
func (c *Config) show(source int) {
	if c.Frames != nil {
		c.Decode.OnFrame = c.Frames(source)
	}
}

// lacks is the error for what is missing to capture on an interface.
func lacks(name string, m Missing, cause error) *capture.Error {
	return failure(name, m.What, m.Remedy, cause)
}

// failure is the error of a capture on an interface.
func failure(name, problem, remedy string, cause error) *capture.Error {
	return &capture.Error{File: name, Problem: problem, Remedy: remedy, Err: cause}
}
