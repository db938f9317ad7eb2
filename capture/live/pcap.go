//go:build libpcap && (cgo || (windows && amd64))

package live

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/gopacket/pcap"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/capture/filter"
)

// FilterOptions are those that Config.Filter is to be parsed with. libpcap hands
// the program on to Linux as it is.
var FilterOptions = filter.Options{Live: runtime.GOOS == "linux"}

const (
	// readTimeout is how long libpcap collects frames before it hands them over.
	readTimeout = 50 * time.Millisecond
	// lag is how long a frame may have been captured before it can be read.
	lag = 3 * readTimeout
	// drain is how long the last frames are waited for at the end: one quiet
	// readTimeout is no sign, since the kernel holds a frame for up to two.
	drain = 2 * lag
)

// handle is the Source of a libpcap handle.
type handle struct {
	c       Config
	h       *pcap.Handle
	feed    *capture.Feed
	port    int
	time    int64 // of the frame before
	ticked  time.Time
	stopped atomic.Int64 // when, in ns since 1970-01-01 UTC; 0 before
	err     error        // final

	mu       sync.Mutex // of h's statistics and end
	closed   bool
	counters Counters
}

// Open begins to capture, with libpcap. Its errors are of type *capture.Error,
// but for a Config that is wrong in itself and a Filter that cannot be compiled.
// Config.AwaitReturn is an error. libpcap names no interface of a frame on Any,
// and has nothing for Config.Notice. Of an interface that is removed, what it had
// not yet handed over is lost.
func Open(c Config) (Source, error) {
	c, err := c.withDefaults()
	switch {
	case err != nil:
		return nil, err
	case c.AwaitReturn:
		return nil, errors.New("libpcap cannot wait for an interface's return: on Linux, build without the tag libpcap")
	}
	c.show(0)
	h, err := activate(&c)
	if err != nil {
		return nil, err
	}
	linkType := linkTypeOf(h)
	if capture.LinkTypeName(linkType) == "" {
		h.Close()
		return nil, lacks(c.Interface, Missing{fmt.Sprintf("link type %d has no decoder here", linkType), "capture on an interface that carries IP"}, nil)
	}
	if err := setFilter(h, &c, linkType); err != nil {
		h.Close()
		return nil, err
	}
	s := &handle{c: c, h: h, feed: capture.NewFeed(c.Interface, "live", c.Decode), ticked: time.Now()}
	name := c.Interface
	if name == Any {
		name = ""
	}
	s.port = s.feed.Port(linkType, name)
	return s, nil
}

// OpenSeveral is Open for one source; libpcap has no more.
func OpenSeveral(c Config, n int) ([]Source, error) {
	if n != 1 {
		return nil, fmt.Errorf("%d sources asked for: libpcap has one; on Linux, build without the tag libpcap", n)
	}
	s, err := Open(c)
	if err != nil {
		return nil, err
	}
	return []Source{s}, nil
}

// activate opens the handle.
func activate(c *Config) (*pcap.Handle, error) {
	inactive, err := pcap.NewInactiveHandle(c.Interface)
	if err != nil {
		return nil, openFailure(c.Interface, err)
	}
	defer inactive.CleanUp()
	steps := []func() error{
		func() error { return inactive.SetSnapLen(int(c.Snap)) },
		func() error { return inactive.SetPromisc(c.Promiscuous) },
		func() error { return inactive.SetTimeout(readTimeout) },
		func() error { return inactive.SetBufferSize(c.Buffer) },
	}
	if c.HardwareTime {
		steps = append(steps, func() error { return stampInHardware(inactive) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, openFailure(c.Interface, err)
		}
	}
	h, err := inactive.Activate()
	if err != nil {
		return nil, openFailure(c.Interface, err)
	}
	return h, nil
}

// stampInHardware asks for the adapter's time, which libpcap would take for a
// wish only.
func stampInHardware(inactive *pcap.InactiveHandle) error {
	const adapter = "adapter" // pcap-tstamp(7)
	for _, source := range inactive.SupportedTimestamps() {
		if source.String() == adapter {
			return inactive.SetTimestampSource(source)
		}
	}
	return errors.New("it cannot stamp every frame in hardware: leave hardware time out")
}

// openFailure words libpcap's error.
func openFailure(name string, err error) error {
	remedy := "tcpflow-states interfaces lists what there is"
	text := strings.TrimSpace(err.Error())
	if strings.Contains(strings.ToLower(text), "permi") {
		remedy = permissionRemedy()
	}
	return failure(name, text, remedy, err)
}

// linkTypeOf is the handle's. DLT_RAW is 12, and 14 on OpenBSD; both are known.
func linkTypeOf(h *pcap.Handle) uint16 { return uint16(h.LinkType()) }

// setFilter hands the program of the link type over.
func setFilter(h *pcap.Handle, c *Config, linkType uint16) error {
	if c.Filter == nil {
		return nil
	}
	p, err := c.Filter.Program(linkType)
	if err != nil {
		return err
	}
	var list []pcap.BPFInstruction
	for _, ins := range p.Instructions() {
		list = append(list, pcap.BPFInstruction{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K})
	}
	if err := h.SetBPFInstructionFilter(list); err != nil {
		return failure(c.Interface, "the filter is refused: "+err.Error(), "", err)
	}
	return nil
}

func (s *handle) Stats() *capture.Stats  { return s.feed.Stats() }
func (s *handle) Links() []analyzer.Link { return s.feed.Links() }

// Position and Size are for files.
func (s *handle) Position() int64 { return 0 }
func (s *handle) Size() int64     { return 0 }

// Stop implements Source.
func (s *handle) Stop() { s.stopped.CompareAndSwap(0, time.Now().UnixNano()) }

// Next implements Source.
func (s *handle) Next(p *capture.Packet) error {
	for {
		if s.feed.Waited(p) {
			return nil
		}
		if s.err != nil {
			return s.err
		}
		data, info, err := s.h.ZeroCopyReadPacketData()
		idle := errors.Is(err, pcap.NextErrorTimeoutExpired)
		stopped := s.stopped.Load()
		switch {
		case err == nil && (stopped == 0 || info.Timestamp.UnixNano() <= stopped):
			s.time = info.Timestamp.UnixNano()
			if s.feed.Frame(s.port, data, uint32(info.Length), s.time, p) {
				s.ticked = info.Timestamp
				return nil
			}
			if info.Timestamp.Sub(s.ticked) >= s.c.Tick { // frames, but no packets
				s.tick(p, info.Timestamp)
				return nil
			}
		case err == nil: // all that was captured before Stop is read
			s.finish(io.EOF)
		case !idle:
			s.finish(s.broken(err))
		case stopped != 0:
			if time.Since(time.Unix(0, stopped)) >= drain {
				s.finish(io.EOF)
			}
		case time.Since(s.ticked) >= s.c.Tick:
			s.tick(p, time.Now().Add(-lag))
			return nil
		}
	}
}

// broken words an error of reading. libpcap tells a removed interface from other
// trouble by its text only.
func (s *handle) broken(err error) error {
	if _, there := net.InterfaceByName(s.c.Interface); there != nil && s.c.Interface != Any {
		return failure(s.c.Interface, "interface was removed", "results cover what came before", ErrGone)
	}
	return failure(s.c.Interface, "capturing failed: "+s.h.Error().Error(), "results cover what came before", err)
}

func (s *handle) finish(err error) {
	s.err = err
	s.feed.Stats().Dropped = s.Counters().Dropped
	s.feed.End()
}

// tick fills p: what is older than now was read.
func (s *handle) tick(p *capture.Packet, now time.Time) {
	s.ticked = time.Now()
	s.feed.Stats().Dropped = s.Counters().Dropped
	p.Kind, p.Tick = capture.KindTick, max(s.time, now.UnixNano())
	s.feed.Tick(p.Tick)
}

// Counters implements Source.
func (s *handle) Counters() Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.counters
	}
	if st, err := s.h.Stats(); err == nil {
		s.counters = Counters{Frames: uint64(st.PacketsReceived), Dropped: uint64(st.PacketsDropped) + uint64(st.PacketsIfDropped), Up: true}
	}
	return s.counters
}

// Close implements Source.
func (s *handle) Close() error {
	s.Counters()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.h.Close()
	}
	if s.err == nil {
		s.err = io.EOF
	}
	return nil
}
