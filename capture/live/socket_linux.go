//go:build !libpcap

package live

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	// blockSize holds any frame: 64 KiB of generic segmentation offload, 512 KiB
	// of BIG TCP.
	blockSize = 1 << 20
	// frameSize only says how many frames the kernel believes a block to have.
	frameSize = 2048
	// retire is after how long the kernel hands over a block that is not full.
	// It looks that often, and takes a block that was there at the look before:
	// a frame waits for twice that at the most.
	retire = 50 * time.Millisecond
	// reserve is room before a frame for the VLAN tag that the kernel has taken
	// out of it.
	reserve = 4
)

// socket is a packet socket with its ring.
type socket struct {
	fd   int
	ring []byte

	mu       sync.Mutex
	counters Counters
	closed   bool
	next     atomic.Uint32 // block that is to be read next
}

// newSocket makes one that is bound to nothing and lets nothing through.
func newSocket(c *Config) (*socket, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		problem := permissionProblem(err)
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w: %w", ErrPermission, err)
		}
		return nil, lacks(c.Interface, problem, err)
	}
	s := &socket{fd: fd}
	if err := s.setUp(c); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *socket) setUp(c *Config) error {
	if err := s.attach(socketFilter(refuseAll)); err != nil {
		return failure(c.Interface, "the kernel takes no filter: "+err.Error(), "", err)
	}
	for _, o := range []struct{ option, value int }{
		{unix.PACKET_VERSION, unix.TPACKET_V3},
		{unix.PACKET_RESERVE, reserve},
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, o.option, o.value); err != nil {
			return failure(c.Interface, "the kernel has no TPACKET_V3: "+err.Error(), "it came with Linux 3.2; or pipe: tcpdump -w - | tcpflow-states analyze -", err)
		}
	}
	if c.HardwareTime {
		if err := s.stampInHardware(c.Interface); err != nil {
			return err
		}
	}
	blocks := (c.Buffer + blockSize - 1) / blockSize
	err := unix.SetsockoptTpacketReq3(s.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
		Block_size: blockSize, Block_nr: uint32(blocks),
		Frame_size: frameSize, Frame_nr: uint32(blocks * (blockSize / frameSize)),
		Retire_blk_tov: uint32(retire / time.Millisecond),
	})
	if err == nil {
		s.ring, err = unix.Mmap(s.fd, 0, blocks*blockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		return failure(c.Interface, fmt.Sprintf("no memory for a ring of %d MiB: %v", blocks*blockSize>>20, err), "make the buffer smaller", err)
	}
	return nil
}

// stampInHardware has the interface stamp every frame that it receives
// (Documentation/networking/timestamping.rst, 3).
func (s *socket) stampInHardware(name string) error {
	const needed = unix.SOF_TIMESTAMPING_RX_HARDWARE | unix.SOF_TIMESTAMPING_RAW_HARDWARE
	info, err := unix.IoctlGetEthtoolTsInfo(s.fd, name)
	if err != nil || info.So_timestamping&needed != needed || info.Rx_filters&(1<<unix.HWTSTAMP_FILTER_ALL) == 0 {
		return failure(name, "it cannot stamp every frame in hardware", "leave hardware time out; ethtool -T "+name+" says what it can", err)
	}
	err = unix.IoctlSetHwTstamp(s.fd, name, &unix.HwTstampConfig{Tx_type: unix.HWTSTAMP_TX_OFF, Rx_filter: unix.HWTSTAMP_FILTER_ALL})
	if err != nil {
		return failure(name, "hardware time cannot be turned on: "+err.Error(), "it takes CAP_NET_ADMIN; leave hardware time out, or turn it on before: hwstamp_ctl -i "+name+" -r 1", err)
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_TIMESTAMP, unix.SOF_TIMESTAMPING_RAW_HARDWARE); err != nil {
		return failure(name, "the kernel gives no hardware time: "+err.Error(), "leave hardware time out", err)
	}
	return nil
}

// socketFilter is a program, which has instructions, as SO_ATTACH_FILTER takes it.
func socketFilter(code []bpf.RawInstruction) *unix.SockFprog {
	list := make([]unix.SockFilter, len(code))
	for i, ins := range code {
		list[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	return &unix.SockFprog{Len: uint16(len(list)), Filter: &list[0]}
}

// attach sets the filter, in place of the one before: no frame passes between
// the two (net/core/filter.c, __sk_attach_prog).
func (s *socket) attach(program *unix.SockFprog) error {
	return unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, program)
}

// bind attaches the socket to an interface, 0 for all.
func (s *socket) bind(index int, promiscuous bool) error {
	if err := unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: protocolAll(), Ifindex: index}); err != nil {
		return err
	}
	if !promiscuous || index == 0 {
		return nil
	}
	return unix.SetsockoptPacketMreq(s.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
		&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC})
}

// protocolAll is ETH_P_ALL in network order, which sockaddr_ll has it in.
func protocolAll() uint16 {
	b := [2]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff}
	return *(*uint16)(unsafe.Pointer(&b))
}

// bound is the index of the interface that the socket is bound to; -1 when that
// one has been removed (af_packet.c, NETDEV_UNREGISTER).
func (s *socket) bound() int {
	address, err := unix.Getsockname(s.fd)
	if at, ok := address.(*unix.SockaddrLinklayer); err == nil && ok {
		return at.Ifindex
	}
	return -1
}

// pending takes the error that the socket has.
func (s *socket) pending() error {
	n, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if n == 0 {
		return nil
	}
	return unix.Errno(n)
}

// index, flags and arphrd ask netdevice(7) about an interface.
func (s *socket) index(name string) (int, error) {
	ifr, err := s.ask(unix.SIOCGIFINDEX, name)
	if err != nil {
		return 0, err
	}
	return int(ifr.Uint32()), nil
}

func (s *socket) up(name string) bool {
	ifr, err := s.ask(unix.SIOCGIFFLAGS, name)
	return err == nil && ifr.Uint16()&unix.IFF_UP != 0
}

func (s *socket) arphrd(name string) (uint16, error) {
	ifr, err := s.ask(unix.SIOCGIFHWADDR, name)
	if err != nil {
		return 0, err
	}
	return ifr.Uint16(), nil
}

func (s *socket) ask(request uint, name string) (*unix.Ifreq, error) {
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(s.fd, request, ifr)
	}
	return ifr, err
}

// nameOf is the name of an interface, which may have been removed since.
func (s *socket) nameOf(index int32) string {
	ifr, err := unix.NewIfreq("")
	if err == nil {
		ifr.SetUint32(uint32(index))
		err = unix.IoctlIfreq(s.fd, unix.SIOCGIFNAME, ifr)
	}
	if err != nil {
		return fmt.Sprintf("if%d", index)
	}
	return ifr.Name()
}

func (s *socket) blocks() uint32 { return uint32(len(s.ring) / blockSize) }

// header is the beginning of a block.
func (s *socket) header(block uint32) *unix.TpacketHdrV1 {
	d := (*unix.TpacketBlockDesc)(unsafe.Pointer(&s.ring[block*blockSize]))
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&d.Hdr))
}

// ours reports whether the kernel has handed a block over.
func (s *socket) ours(block uint32) bool {
	return atomic.LoadUint32(&s.header(block).Block_status)&unix.TP_STATUS_USER != 0
}

// giveBack lets the kernel fill a block again.
func (s *socket) giveBack(block uint32) {
	s.next.Store((block + 1) % s.blocks())
	atomic.StoreUint32(&s.header(block).Block_status, unix.TP_STATUS_KERNEL)
}

// filling reports whether the kernel has frames in the block that it fills,
// which is the one to be read next.
func (s *socket) filling() bool {
	return atomic.LoadUint32(&s.header(s.next.Load()).Num_pkts) > 0
}

// count takes the kernel's counters, which asking sets to 0.
func (s *socket) count() Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.counters
	}
	c := &s.counters
	if st, err := unix.GetsockoptTpacketStatsV3(s.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		c.Frames += uint64(st.Packets)
		c.Dropped += uint64(st.Drops)
		c.Freezes += uint64(st.Freeze_q_cnt)
	}
	first, n, full := s.next.Load(), s.blocks(), uint32(0)
	for full < n && s.ours((first+full)%n) {
		full++
	}
	c.Full = float64(full) / float64(n)
	return *c
}

func (s *socket) close() error {
	if s.ring != nil {
		s.count()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.counters.Full = 0
	var err error
	if s.ring != nil {
		err = unix.Munmap(s.ring)
	}
	return errors.Join(err, unix.Close(s.fd))
}
