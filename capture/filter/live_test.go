package filter

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
)

// told runs a program as the kernel would on a frame whose outer VLAN tag it has
// taken out: present and tci are what it tells beside the data.
func told(t *testing.T, p *Program, data []byte, wire, present, tci uint32) bool {
	code := slices.Clone(p.code)
	for i := range code {
		switch code[i] {
		case about(bpf.ExtVLANTagPresent):
			code[i] = bpf.RawInstruction{Op: ldImm, K: present}
		case about(bpf.ExtVLANTag):
			code[i] = bpf.RawInstruction{Op: ldImm, K: tci}
		}
	}
	q, err := newProgram(code)
	if err != nil {
		t.Fatalf("%v\n%s", err, listing(p))
	}
	return q.Match(data, wire)
}

func about(n bpf.Extension) bpf.RawInstruction {
	ins, err := bpf.LoadExtension{Num: n}.Assemble()
	if err != nil {
		panic(err)
	}
	return ins
}

// A program for a live Ethernet socket decides on a frame whose tag the kernel
// has taken out, and on one whose tag it has left in, as one for files does on
// the frame as it was.
func TestLiveVLAN(t *testing.T) {
	l := &links[0]
	for _, e := range expressions(t, l) {
		files, err := Parse(e, Options{NoTcpdump: true})
		if err != nil {
			continue
		}
		live, err := Parse(e, Options{Live: true, NoTcpdump: true})
		if err != nil {
			t.Fatalf("%s: %v", e, err)
		}
		p, err := files.Program(1)
		q, err2 := live.Program(1)
		if err != nil || err2 != nil {
			continue // inbound and the like
		}
		for _, packet := range samples(l) {
			compareLive(t, e, p, q, packet.data)
		}
	}
}

func compareLive(t *testing.T, e string, p, q *Program, frame []byte) {
	wire := uint32(len(frame))
	if want, got := p.Match(frame, wire), told(t, q, frame, wire, 0, 0); got != want {
		t.Errorf("%s: frame as it was: live %v, files %v: % x\n%s", e, got, want, frame, listing(q))
	}
	tagged := binary.BigEndian.Uint16(frame[12:])
	if !usesVLAN(q) || tagged != etherVLAN && tagged != etherQinQ && tagged != etherOldQinQ {
		return
	}
	taken := slices.Concat(frame[:12], frame[16:])
	tci := uint32(binary.BigEndian.Uint16(frame[14:]))
	// Lengths and offsets from the link header on are those without the tag.
	if e == "byte 13 < 6" || loadsLength(q) {
		return
	}
	if want, got := p.Match(frame, wire), told(t, q, taken, wire-4, 1, tci); got != want {
		t.Errorf("%s: tag taken out: live %v, files %v: % x\n%s", e, got, want, frame, listing(q))
	}
}

func usesVLAN(p *Program) bool { return slices.Contains(p.code, about(bpf.ExtVLANTagPresent)) }

func loadsLength(p *Program) bool {
	return slices.ContainsFunc(p.code, func(ins bpf.RawInstruction) bool { return ins.Op == ldLen })
}

// `port 80 or (vlan and port 80)` finds tagged and untagged frames of a live
// interface, where what tests the data alone finds no tag.
func TestLiveTagIsBesideTheData(t *testing.T) {
	f, err := Parse("vlan 100 and port 80", Options{Live: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Program(1)
	if err != nil {
		t.Fatal(err)
	}
	frame := slices.Concat(macB, macA, u16(etherIPv4), payloads4()[0].data)
	n := uint32(len(frame))
	for _, c := range []struct {
		why          string
		present, tci uint32
		want         bool
	}{
		{"in the VLAN", 1, 100, true},
		{"in the VLAN with priority", 1, 0xe064, true},
		{"in another one", 1, 101, false},
		{"without a tag", 0, 100, false},
	} {
		if got := told(t, p, frame, n, c.present, c.tci); got != c.want {
			t.Errorf("%s: %v", c.why, got)
		}
	}
}

// What only the kernel knows can be asked of it.
func TestLiveExtensions(t *testing.T) {
	for expression, n := range map[string]bpf.Extension{"outbound": bpf.ExtType, "inbound and tcp": bpf.ExtType, "ifindex 3": bpf.ExtInterfaceIndex} {
		f, err := Parse(expression, Options{Live: true})
		if err != nil {
			t.Fatal(err)
		}
		p, err := f.Program(1)
		if err != nil || !slices.Contains(p.Instructions(), about(n)) {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

// A program that the kernel would refuse is an error that says so.
func TestLiveTooLong(t *testing.T) {
	e := "tcp port 1"
	for port := range 2000 {
		e += fmt.Sprint(" or tcp port ", port)
	}
	f, err := Parse(e, Options{Live: true})
	if err == nil {
		_, err = f.Program(1)
	}
	if err == nil {
		t.Error("a program of more than 4096 instructions is no error")
	}
	if _, err := Parse(e, Options{}); err != nil {
		t.Errorf("for files: %v", err)
	}
}
