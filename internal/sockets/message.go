package sockets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// The sizes and numbers of linux/netlink.h, linux/sock_diag.h and
// linux/inet_diag.h. They stand here so that messages can be read, and tested,
// on any system. Fields are in the machine's order, but for ports and
// addresses.
const (
	headerLen  = 16 // struct nlmsghdr
	requestLen = 56 // struct inet_diag_req_v2
	messageLen = 72 // struct inet_diag_msg
	idOffset   = 8  // of struct inet_diag_sockid in a request; 4 in a message
	attrLen    = 4  // struct nlattr

	typeError        = 2  // NLMSG_ERROR
	typeDone         = 3  // NLMSG_DONE
	typeSockDiag     = 20 // SOCK_DIAG_BY_FAMILY
	flagRequest      = 1  // NLM_F_REQUEST
	flagDump         = 0x300
	familyIPv4       = 2
	familyIPv6       = 10
	protocolTCP      = 6
	attrInfo         = 2  // INET_DIAG_INFO
	attrShutdown     = 8  // INET_DIAG_SHUTDOWN
	attrV6Only       = 11 // INET_DIAG_SKV6ONLY
	attrCgroup       = 21 // INET_DIAG_CGROUP_ID
	attrTypeMask     = 0x3fff
	kernelSynRecv    = 3
	kernelNewSynRecv = 12
	kernelBound      = 13
	infoLen          = 104 // of struct tcp_info, what is read; it has grown since
)

// allStates asks for every state but TCP_CLOSE and TCP_BOUND_INACTIVE, which
// are of no connection. A request for SYN_RECV includes TCP_NEW_SYN_RECV
// (inet_diag_dump_icsk).
const allStates = 1<<kernelBound - 1 - 1<<7 - 1

var order = binary.NativeEndian

var (
	errDamaged = errors.New("sock_diag: the kernel's message is damaged")
	errNone    = errors.New("sock_diag: no such socket")
)

// request writes one request: of a dump where id is nil, else of the one socket
// that id names.
func request(family uint8, info bool, seq uint32, id *[48]byte) [headerLen + requestLen]byte {
	var b [headerLen + requestLen]byte
	order.PutUint32(b[0:], uint32(len(b)))
	order.PutUint16(b[4:], typeSockDiag)
	order.PutUint16(b[6:], flagRequest|flagDump)
	order.PutUint32(b[8:], seq)
	r := b[headerLen:]
	r[0], r[1] = family, protocolTCP
	if info {
		r[2] = 1 << (attrInfo - 1)
	}
	order.PutUint32(r[4:], allStates)
	if id != nil {
		order.PutUint16(b[6:], flagRequest)
		copy(r[idOffset:], id[:])
	}
	return b
}

// sockID writes the struct inet_diag_sockid of a pair, with the cookie that
// asks for none (INET_DIAG_NOCOOKIE).
func sockID(local, remote netip.AddrPort, ifindex uint32) (family uint8, id [48]byte) {
	binary.BigEndian.PutUint16(id[0:], local.Port())
	binary.BigEndian.PutUint16(id[2:], remote.Port())
	l, r := local.Addr().Unmap(), remote.Addr().Unmap()
	if family = familyIPv4; l.Is4() && r.Is4() {
		a, b := l.As4(), r.As4()
		copy(id[4:], a[:])
		copy(id[20:], b[:])
	} else {
		family = familyIPv6
		a, b := l.As16(), r.As16()
		copy(id[4:], a[:])
		copy(id[20:], b[:])
	}
	order.PutUint32(id[36:], ifindex)
	order.PutUint64(id[40:], ^uint64(0))
	return family, id
}

// appendSockets appends the sockets of one datagram, and says whether the
// answer ends with it. Messages of other requests are passed over.
func appendSockets(to []Socket, b []byte, seq uint32) (_ []Socket, done bool, err error) {
	for len(b) >= headerLen {
		size, kind := int(order.Uint32(b)), order.Uint16(b[4:])
		if size < headerLen || size > len(b) {
			return to, true, errDamaged
		}
		body := b[headerLen:size]
		ours := order.Uint32(b[8:]) == seq
		b = b[min(len(b), (size+3)&^3):]
		switch {
		case !ours:
		case kind == typeDone, kind == typeError:
			return to, true, kernelError(body, kind)
		case kind == typeSockDiag:
			var s Socket
			if err := s.parse(body); err != nil {
				return to, true, err
			}
			to = append(to, s)
		}
	}
	return to, false, nil
}

// kernelError returns what an NLMSG_ERROR or NLMSG_DONE says; nil is success.
func kernelError(body []byte, kind uint16) error {
	if len(body) < 4 {
		if kind == typeDone {
			return nil // kernels before 4.15 say nothing more
		}
		return errDamaged
	}
	switch errno := syscall.Errno(-int32(order.Uint32(body))); errno {
	case 0:
		return nil
	case syscall.ENOENT:
		return errNone
	default:
		return fmt.Errorf("sock_diag: %w", errno)
	}
}

// parse reads one struct inet_diag_msg and its attributes.
func (s *Socket) parse(b []byte) error {
	if len(b) < messageLen {
		return errDamaged
	}
	var ok bool
	if s.Local, s.Remote, ok = ends(b); !ok {
		return errDamaged
	}
	s.State, s.Timer, s.Retransmits = stateOf(b[1]), Timer(b[2]), b[3]
	s.Interface = order.Uint32(b[40:])
	s.Cookie = uint64(order.Uint32(b[44:])) | uint64(order.Uint32(b[48:]))<<32
	s.RecvQueue, s.SendQueue = order.Uint32(b[56:]), order.Uint32(b[60:])
	s.UID, s.Inode = order.Uint32(b[64:]), order.Uint32(b[68:])
	if s.Timer != TimerNone {
		s.Expires = time.Duration(order.Uint32(b[52:])) * time.Millisecond
	}
	whole, err := s.attributes(b[messageLen:])
	switch {
	case s.Timer == TimerTimeWait:
		s.Kind = KindTimeWait
	case b[1] == kernelNewSynRecv, b[1] == kernelSynRecv && !whole:
		s.Kind = KindRequest
	}
	return err
}

// ends reads both ends of a struct inet_diag_msg.
func ends(b []byte) (local, remote netip.AddrPort, ok bool) {
	var l, r netip.Addr
	switch b[0] {
	case familyIPv4:
		l, r = netip.AddrFrom4([4]byte(b[8:12])), netip.AddrFrom4([4]byte(b[24:28]))
	case familyIPv6:
		l, r = netip.AddrFrom16([16]byte(b[8:24])).Unmap(), netip.AddrFrom16([16]byte(b[24:40])).Unmap()
	default:
		return local, remote, false
	}
	return netip.AddrPortFrom(l, binary.BigEndian.Uint16(b[4:])), netip.AddrPortFrom(r, binary.BigEndian.Uint16(b[6:])), true
}

// attributes reads what follows a struct inet_diag_msg. Only whole sockets have
// INET_DIAG_SHUTDOWN (inet_diag_msg_attrs_fill): that tells a socket in
// SYN_RECV from a request.
func (s *Socket) attributes(b []byte) (whole bool, err error) {
	for len(b) >= attrLen {
		size := int(order.Uint16(b))
		if size < attrLen || size > len(b) {
			return whole, errDamaged
		}
		v := b[attrLen:size]
		switch order.Uint16(b[2:]) & attrTypeMask {
		case attrShutdown:
			whole = true
		case attrV6Only:
			s.V6Only = len(v) > 0 && v[0] != 0
		case attrCgroup:
			if len(v) >= 8 {
				s.Cgroup = order.Uint64(v)
			}
		case attrInfo:
			if len(v) >= infoLen {
				s.Info.parse(v)
			}
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return whole, nil
}

// parse reads the beginning of a struct tcp_info (linux/tcp.h).
func (i *Info) parse(b []byte) {
	u32 := func(at int) uint32 { return order.Uint32(b[at:]) }
	us := func(at int) time.Duration { return time.Duration(u32(at)) * time.Microsecond }
	ms := func(at int) time.Duration { return time.Duration(u32(at)) * time.Millisecond }
	*i = Info{
		RetransmitTimeout: us(8),
		Unacknowledged:    u32(24),
		SinceData:         min(ms(44), ms(52)),
		SinceACK:          ms(56),
		RTT:               us(68),
		RTTVar:            us(72),
		CongestionWindow:  u32(80),
		TotalRetransmits:  u32(100),
	}
}

// listens reports whether a listener takes connections to an end.
func (s *Socket) listens(at netip.AddrPort) bool {
	if s.State != analyzer.Listen || s.Local.Port() != at.Port() {
		return false
	}
	l, a := s.Local.Addr(), at.Addr()
	if !l.IsUnspecified() {
		return l == a
	}
	return l.Is4() == a.Is4() || l.Is6() && !s.V6Only
}
