//go:build !libpcap

package live

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/capture/filter"
)

// FilterOptions are those that Config.Filter is to be parsed with.
var FilterOptions = filter.Options{Live: true}

const (
	addressAt  = (unix.SizeofTpacket3Hdr + 15) &^ 15 // of the sockaddr_ll behind a frame's header: TPACKET_ALIGN
	macsLen    = 12                                  // of an Ethernet header before the place of a VLAN tag
	vlanTagLen = 4

	// linkUnknown is of no link type: LINKTYPE numbers are far below.
	linkUnknown = 0xffff

	// lag is how long a frame may be in the ring before it can be read.
	lag = 3 * retire
	// drain is how long the last frames are waited for at the end, looking every
	// drainLook.
	drain, drainLook = 2 * lag, 5 * time.Millisecond
)

// ring is the Source of one socket.
type ring struct {
	c      Config
	s      *socket
	feed   *capture.Feed
	ports  map[portKey]int
	last   portKey // the port of the frame before, nearly always the next one's
	port   int
	arphrd uint16 // of Interface; 0 for Any

	block uint32 // at hand, with
	left  uint32 // frames that are to be read, the first of them
	at    uint32 // there
	time  int64  // of the frame before

	ticked    time.Time   // when Next returned last, or nearly
	delivered bool        // it has since
	sampled   time.Time   // when the counters were read
	down      atomic.Bool // Interface is, or is gone
	gone      bool        // it is gone and its return awaited
	closing   time.Time   // until when the ring is drained; zero before the end
	end       error       // with which it ends then
	err       error       // final

	mu      sync.Mutex // of wake
	wake    int        // eventfd(2) that Stop writes; -1 when closed
	program *unix.SockFprog
}

// portKey is what frames have of their interface: its kind may change.
type portKey struct {
	index  int32
	arphrd uint16
}

// Open begins to capture. Its errors are of type *capture.Error, but for a
// Config that is wrong in itself and a Filter that cannot be compiled: those of
// the filter are of type *filter.Error.
func Open(c Config) (Source, error) {
	sources, err := OpenSeveral(c, 1)
	if err != nil {
		return nil, err
	}
	return sources[0], nil
}

// OpenSeveral begins to capture with n sources that share the frames, for a
// goroutine each. Both directions of a flow are one source's, and so are the ICMP
// errors about it. The exception are segments in IP fragments, of which only the
// first has ports: they are dealt out by the addresses, as is all that is not TCP
// and all that tunnels carry. Segment.Link and Segment.Path mean the same for all
// sources, and Links is one list. Each has a ring of Config.Buffer; only the first
// has Notice. Decode.OnFrame is called by all, each in its goroutine.
//
// A socket in a fanout group cannot be bound again, so with n above 1
// Config.AwaitReturn is an error.
func OpenSeveral(c Config, n int) ([]Source, error) {
	c, err := c.withDefaults()
	switch {
	case err != nil:
		return nil, err
	case n < 1:
		return nil, fmt.Errorf("%d sources asked for: one is the least", n)
	case n > 1 && c.AwaitReturn:
		return nil, errors.New("several rings cannot wait for an interface's return: use one")
	}
	var rings []*ring
	closeAll := func() {
		for _, r := range rings {
			r.Close()
		}
	}
	var fan fanout
	for i := range n {
		r, err := newRing(c, rings)
		if err == nil {
			rings = append(rings, r)
			err = r.begin(&fan, i, n)
		}
		if err != nil {
			closeAll()
			return nil, err
		}
	}
	sources := make([]Source, n)
	for i, r := range rings {
		if err := r.admit(); err != nil {
			closeAll()
			return nil, err
		}
		sources[i] = r
	}
	return sources, nil
}

// newRing makes a ring beside others.
func newRing(c Config, others []*ring) (*ring, error) {
	s, err := newSocket(&c)
	if err != nil {
		return nil, err
	}
	c.show(len(others))
	r := &ring{c: c, s: s, ports: map[portKey]int{}, port: -1, ticked: time.Now()}
	if r.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		s.close()
		return nil, failure(c.Interface, "no eventfd: "+err.Error(), "allow more open files: ulimit -n", err)
	}
	if len(others) == 0 {
		r.feed = capture.NewFeed(c.Interface, "live", c.Decode)
	} else {
		r.feed = others[0].feed.Beside(c.Interface, c.Decode)
		r.c.Notice = nil
	}
	return r, nil
}

// begin binds the socket, and lets it join the others.
func (r *ring) begin(fan *fanout, i, n int) error {
	kinds := hardwares
	index := 0
	name := r.c.Interface
	if name != Any {
		var err error
		if index, err = r.s.index(name); err != nil {
			return failure(name, "no such interface", "tcpflow-states interfaces lists what there is", err)
		}
		if r.arphrd, err = r.s.arphrd(name); err != nil {
			return failure(name, "no link type: "+err.Error(), "", err)
		}
		kind := hardwareOf(r.arphrd)
		if !kind.known {
			return lacks(name, linkProblem(kind), nil)
		}
		if !r.c.AwaitReturn && !r.s.up(name) {
			return lacks(name, downProblem(name), unix.ENETDOWN)
		}
		kinds = []hardware{kind}
	}
	code, err := program(r.c.Filter, kinds, r.c.Snap)
	if err != nil {
		return err
	}
	if len(code) > maxInstructions {
		return failure(name, fmt.Sprintf("the filter takes %d instructions, and the kernel at most %d", len(code), maxInstructions),
			"join addresses to networks, and ports to ranges", nil)
	}
	r.program = socketFilter(code)
	if err := r.s.bind(index, r.c.Promiscuous); err != nil {
		return failure(name, "cannot capture: "+err.Error(), "", err)
	}
	if n == 1 {
		return nil
	}
	if err := fan.join(r.s, i == 0); err != nil {
		return failure(name, "the kernel joins no rings: "+err.Error(), "use one", err)
	}
	return nil
}

// admit lets frames in: only now, so that none comes in that the filter would
// refuse, or to two rings.
func (r *ring) admit() error {
	if err := r.s.attach(r.program); err != nil {
		return failure(r.c.Interface, "the kernel refuses the filter: "+err.Error(), "", err)
	}
	return nil
}

func (r *ring) Stats() *capture.Stats  { return r.feed.Stats() }
func (r *ring) Links() []analyzer.Link { return r.feed.Links() }

// Counters implements Source.
func (r *ring) Counters() Counters {
	c := r.s.count()
	c.Up = !r.down.Load()
	return c
}

// Position and Size are for files.
func (r *ring) Position() int64 { return 0 }
func (r *ring) Size() int64     { return 0 }

// Stop implements Source.
func (r *ring) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wake >= 0 {
		unix.Write(r.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // it fails only where it was written often
	}
}

// Close implements Source.
func (r *ring) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wake < 0 {
		return nil
	}
	err := unix.Close(r.wake)
	r.wake = -1
	if r.err == nil {
		r.err = io.EOF
	}
	r.left = 0
	return errors.Join(err, r.s.close())
}

// Next implements Source.
func (r *ring) Next(p *capture.Packet) error {
	for {
		switch {
		case r.feed.Waited(p):
		case r.err != nil:
			return r.err
		case r.left > 0:
			if !r.frame(p) {
				continue
			}
		case !r.more(p):
			continue
		default:
			return nil // a tick
		}
		r.delivered = true
		return nil
	}
}

// more looks for a block, and reports whether p was filled with a tick instead.
func (r *ring) more(p *capture.Packet) bool {
	now := time.Now()
	if r.delivered {
		r.ticked, r.delivered = now, false
	}
	if now.Sub(r.sampled) >= r.c.Tick {
		r.sample(now)
	}
	r.block = r.s.next.Load()
	ready := r.s.ours(r.block)
	due := r.ticked.Add(r.c.Tick).Sub(now)
	switch {
	case due <= 0:
		return r.tick(p, now, ready)
	case ready:
		h := r.s.header(r.block)
		r.left, r.at = h.Num_pkts, r.block*blockSize+h.Offset_to_first_pkt
		if r.left == 0 {
			r.s.giveBack(r.block)
		}
		r.look(0)
	case !r.closing.IsZero():
		r.drained(now)
	default:
		r.look(due)
	}
	return false
}

// tick fills p. While there is more to read only what was read is known; else
// all that is older than lag was.
func (r *ring) tick(p *capture.Packet, now time.Time, ready bool) bool {
	r.ticked = now
	if r.down.Load() {
		r.state()
	}
	p.Kind, p.Tick = capture.KindTick, max(r.time, now.Add(-lag).UnixNano())
	if ready {
		p.Tick = r.time
	}
	r.feed.Tick(p.Tick)
	return true
}

// sample takes the kernel's count of what was lost into the statistics.
func (r *ring) sample(now time.Time) {
	r.sampled = now
	r.feed.Stats().Dropped = r.s.count().Dropped
}

// look waits until there is a block, a Stop, trouble, or the time is over.
func (r *ring) look(longest time.Duration) {
	events := []unix.PollFd{{Fd: int32(r.s.fd), Events: unix.POLLIN | unix.POLLERR}, {Fd: int32(r.wake), Events: unix.POLLIN}}
	timeout := int((longest + time.Millisecond - 1) / time.Millisecond)
	if _, err := unix.Poll(events, timeout); err != nil && err != unix.EINTR {
		r.finish(failure(r.c.Interface, "waiting failed: "+err.Error(), "", err))
		return
	}
	if events[1].Revents != 0 {
		r.finish(io.EOF)
		return
	}
	if events[0].Revents&unix.POLLERR == 0 {
		return
	}
	switch err := r.s.pending(); err {
	case nil:
	case unix.ENETDOWN:
		r.state()
	default:
		r.finish(failure(r.c.Interface, "capturing failed: "+err.Error(), "", err))
	}
}

// finish lets no more frames in. Those that are in the ring are still to be
// read, and then it ends with err.
func (r *ring) finish(err error) {
	if !r.closing.IsZero() {
		return
	}
	r.s.attach(socketFilter(refuseAll)) // where it fails the drain's time is the end
	r.closing, r.end = time.Now().Add(drain), err
}

// drained ends the source when the kernel has no frame left that it has not
// handed over. A frame that had just passed the filter is there by the first
// look.
func (r *ring) drained(now time.Time) {
	unix.Poll([]unix.PollFd{{Fd: int32(r.s.fd), Events: unix.POLLIN}}, int(drainLook/time.Millisecond))
	if r.s.ours(r.block) || r.s.filling() && now.Before(r.closing) {
		return
	}
	r.err = r.end
	r.sample(now)
	r.feed.End()
}

// frame decodes the frame at hand, moves on, and reports whether p was filled.
// The block goes back with its last one: a Packet has nothing of it.
func (r *ring) frame(p *capture.Packet) bool {
	h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&r.s.ring[r.at]))
	from := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&r.s.ring[r.at+addressAt]))
	key := portKey{from.Ifindex, from.Hatype}
	if r.port < 0 || key != r.last {
		r.port, r.last = r.portOf(key), key
	}
	start := r.at + uint32(h.Mac)
	end := start + h.Snaplen
	wire := h.Len
	if h.Status&unix.TP_STATUS_VLAN_VALID != 0 && key.arphrd == unix.ARPHRD_ETHER && h.Snaplen >= macsLen {
		start -= vlanTagLen
		wire += vlanTagLen
		putTag(r.s.ring[start:end], h)
	}
	r.time = int64(h.Sec)*int64(time.Second) + int64(h.Nsec)
	filled := r.feed.Frame(r.port, r.s.ring[start:end:end], wire, r.time, p)
	r.at += h.Next_offset
	if r.left--; r.left == 0 {
		r.s.giveBack(r.block)
	}
	return filled
}

// putTag puts the VLAN tag back that the kernel has taken out of a frame, into
// the room before it, as libpcap does. The identifier may be 0: the tag is there
// for its priority then.
func putTag(frame []byte, h *unix.Tpacket3Hdr) {
	copy(frame, frame[vlanTagLen:vlanTagLen+macsLen])
	kind := uint16(unix.ETH_P_8021Q)
	if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		kind = h.Hv1.Vlan_tpid
	}
	binary.BigEndian.PutUint16(frame[macsLen:], kind)
	binary.BigEndian.PutUint16(frame[macsLen+2:], uint16(h.Hv1.Vlan_tci))
}

// portOf describes an interface to the decoder when its first frame comes.
func (r *ring) portOf(key portKey) int {
	port, known := r.ports[key]
	if !known {
		name := r.c.Interface
		if name == Any {
			name = r.s.nameOf(key.index)
		}
		kind := hardwareOf(key.arphrd)
		if !kind.known {
			kind.linkType = linkUnknown
		}
		port = r.feed.Port(kind.linkType, name)
		r.ports[key] = port
	}
	return port
}
