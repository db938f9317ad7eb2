//go:build !libpcap

package live

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tcpflow-states/tcpflow-states/capture"
)

// segment6 is segment in IPv6.
func segment6(f flow, payload int) []byte {
	tcp := segment(f, 0, payload)[20:]
	b := make([]byte, 40, 40+len(tcp))
	b[0] = 0x60
	binary.BigEndian.PutUint16(b[4:], uint16(len(tcp)))
	b[6], b[7] = unix.IPPROTO_TCP, 64
	b[8], b[24] = 0xfd, 0xfd
	b[23], b[39] = 1, 2
	if f.src < f.dst {
		b[23], b[39] = 2, 1
	}
	return append(b, tcp...)
}

// carried is an IPv4 packet with another protocol.
func carried(proto byte, f flow, payload []byte) []byte {
	b := append(segment(f, 0, 0)[:20:20], payload...)
	b[9] = proto
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// vxlan is a frame in UDP whose source port says, as usual, which flow is in it,
// and so differs between the directions.
func vxlan(f flow, frame []byte) []byte {
	head := binary.BigEndian.AppendUint16(nil, 0xc000+f.src^f.dst<<3)
	head = binary.BigEndian.AppendUint16(head, 4789)
	head = binary.BigEndian.AppendUint16(head, uint16(16+len(frame)))
	head = append(head, 0, 0, 8, 0, 0, 0, 0, 0, 42, 0)
	return carried(unix.IPPROTO_UDP, f, append(head, frame...))
}

// Whatever a flow comes in, both its directions and the errors about it are one
// ring's; with many flows every ring has some.
func TestSeveralKeepFlows(t *testing.T) {
	const flows, rings = 64, 3
	icmp6 := func(f flow) []byte {
		b := append(segment6(flow{1, 2}, 0)[:40:40], 1, 4, 0, 0, 0, 0, 0, 0)
		b = append(b, segment6(f, 0)...)
		b[6] = unix.IPPROTO_ICMPV6
		b[39] = 77 // from elsewhere
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
		return b
	}
	kinds := []struct {
		why    string
		make   func(flow) []byte
		spread bool // dealt out by ports, too
	}{
		{"IPv4", func(f flow) []byte { return ether(ipv4, segment(f, 0, 10)) }, true},
		{"IPv6", func(f flow) []byte { return ether("\x86\xdd", segment6(f, 10)) }, true},
		{"a VLAN", func(f flow) []byte { return ether("\x81\x00\x00\x05"+ipv4, segment(f, 0, 10)) }, true},
		{"VXLAN", func(f flow) []byte { return ether(ipv4, vxlan(f, ether(ipv4, segment(f, 0, 10)))) }, false},
		{"IP in IP", func(f flow) []byte { return ether(ipv4, carried(unix.IPPROTO_IPIP, f, segment(f, 0, 10))) }, false},
		{"two tags", func(f flow) []byte { return ether("\x88\xa8\x00\x09\x81\x00\x00\x05"+ipv4, segment(f, 0, 10)) }, false},
	}
	errors := map[string]func(flow) []byte{
		"IPv4": func(f flow) []byte {
			b := carried(unix.IPPROTO_ICMP, flow{1, 2}, append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, segment(f, 0, 0)...))
			b[15] = 77
			return ether(ipv4, b)
		},
		"IPv6": func(f flow) []byte { return ether("\x86\xdd", icmp6(f)) },
	}
	pair(t)
	to := sendOn(t, "va")
	for _, name := range []string{"vb", "va"} { // as they come in, and as they leave
		for _, kind := range kinds {
			sources, err := OpenSeveral(Config{Interface: name}, rings)
			if err != nil {
				t.Fatal(err)
			}
			sent := 0
			for i := range uint16(flows) {
				for _, f := range []flow{{40000 + i, 80}, {80, 40000 + i}} {
					to.send(kind.make(f))
					sent++
					if quote := errors[kind.why]; quote != nil {
						to.send(quote(f))
						sent++
					}
				}
			}
			counted(t, sent, sources...)
			where := map[uint16]int{}
			used := map[int]bool{}
			for i, s := range sources {
				stopped(t, s, func(p *capture.Packet) {
					sent--
					port := max(p.Segment.SrcPort, p.Segment.DstPort)
					if p.Kind == capture.KindUnreachable {
						port = max(p.Unreachable.SrcPort, p.Unreachable.DstPort)
					}
					if at, known := where[port]; known && at != i {
						t.Errorf("%s on %s: the flow of port %d is on rings %d and %d", kind.why, name, port, at, i)
					}
					where[port], used[i] = i, true
				})
				s.Close()
			}
			if sent != 0 || len(where) != flows || kind.spread && len(used) != rings {
				t.Errorf("%s on %s: %d frames missing, %d of %d flows, on %d rings", kind.why, name, sent, len(where), flows, len(used))
			}
		}
	}
}

// Rings beside each other survive that their interface goes down and up.
func TestSeveralDownUp(t *testing.T) {
	pair(t)
	sources, err := OpenSeveral(Config{Interface: "vb", Tick: shortTick}, 2)
	if err != nil {
		t.Fatal(err)
	}
	ip(t, "link set vb down")
	for _, s := range sources {
		defer s.Close()
		if err := s.Next(new(capture.Packet)); err != nil {
			t.Fatal(err)
		}
	}
	ip(t, "link set vb up")
	running(t, "va")
	to := sendOn(t, "va")
	for i := range uint16(64) {
		to.send(ether(ipv4, segment(flow{40000 + i, 80}, 0, 0)))
	}
	counted(t, 64, sources...)
	total := 0
	for i, s := range sources {
		n := 0
		stopped(t, s, func(*capture.Packet) { n++ })
		if total += n; n == 0 {
			t.Errorf("nothing on ring %d", i)
		}
	}
	if total != 64 {
		t.Errorf("%d of 64 frames", total)
	}
}
