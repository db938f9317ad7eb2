package capture

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// gopacket is the oracle: another decoder, by other people. Where it finds a TCP
// segment we must find the same one. It is known to lose segments that we
// deliver (gopacketLoses), and nothing else may be ours alone.

// gopacketLoses reports whether v1.1.19 is known to lose a segment.
func gopacketLoses(s *analyzer.Segment, captured, wire int) bool {
	switch {
	case s.Fragment:
		return true // it takes every fragment's payload for opaque, the first one's too
	case int(s.Len) >= wire:
		return true // put together of fragments
	case s.Options.Set&analyzer.OptTruncated != 0:
		return true // "TCP data offset greater than packet length", with or without a header
	case captured < wire-int(s.Len):
		return true // "Invalid TCP header. Length %d less than 20"
	}
	return false
}

// oracle decodes a frame with gopacket. nil means that it finds no TCP; plain
// that there is one IP header and no tunnel.
func oracle(linkType uint16, data []byte, frame uint64, t time.Time) (s *analyzer.Segment, plain bool) {
	var first gopacket.Decoder = layers.LinkType(linkType)
	switch linkType {
	case 276:
		// gopacket's link types have 8 bits and no decoder for this one.
		if len(data) < cooked2Len {
			return nil, false
		}
		first, data = layers.EthernetType(be.Uint16(data)), data[cooked2Len:]
	case 14, 228, 229:
		first = layers.LinkTypeRaw
	}
	packet := gopacket.NewPacket(data, first, gopacket.NoCopy)
	tcp, ok := packet.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !ok || len(tcp.Contents) == 0 { // it adds the layer even when it could not decode it
		return nil, false
	}
	s = &analyzer.Segment{
		Frame: frame, Time: t.UnixNano(),
		SrcPort: uint16(tcp.SrcPort), DstPort: uint16(tcp.DstPort),
		Seq: analyzer.Seq(tcp.Seq), Ack: analyzer.Seq(tcp.Ack),
		Window: tcp.Window, Checksum: tcp.Checksum,
		Flags: analyzer.Flags(tcp.Contents[13]),
	}
	length, headers := 0, 0
	for _, l := range packet.Layers() {
		switch ip := l.(type) {
		case *layers.IPv4:
			headers++
			s.Src, s.Dst = addrOf(ip.SrcIP), addrOf(ip.DstIP)
			s.TTL, s.IPID, s.DontFragment = ip.TTL, ip.Id, ip.Flags&layers.IPv4DontFragment != 0
			length = int(ip.Length) - int(ip.IHL)*4
		case *layers.IPv6:
			headers++
			s.Src, s.Dst = addrOf(ip.SrcIP), addrOf(ip.DstIP)
			s.TTL, s.IPID, s.DontFragment = ip.HopLimit, 0, true
			length = int(ip.Length)
		case *layers.IPv6HopByHop, *layers.IPv6Routing, *layers.IPv6Destination:
			length -= len(l.LayerContents())
		}
	}
	s.Len = uint32(length - int(tcp.DataOffset)*4)
	if s.Len > 0 {
		s.HeaderSum = sumOf(tcp.Contents, 0) + uint64(length&0xff<<8|length>>8)
	}
	for _, o := range tcp.Options {
		if o.OptionType > 1 {
			parseOption(s, byte(o.OptionType), o.OptionData)
		}
	}
	return s, headers == 1 && wellFormedLLC(packet)
}

// wellFormedLLC reports whether an LLC header, if there is one, says what we
// take for IP: gopacket looks neither at the control field nor at the
// organisation.
func wellFormedLLC(packet gopacket.Packet) bool {
	if llc, ok := packet.Layer(layers.LayerTypeLLC).(*layers.LLC); ok && llc.Control != llcUnnumbered {
		return false
	}
	snap, ok := packet.Layer(layers.LayerTypeSNAP).(*layers.SNAP)
	return !ok || bytes.Equal(snap.OrganizationalCode, []byte{0, 0, 0})
}

// alikeSums makes equal what stands for the same ones' complement sum.
func alikeSums(want, got *analyzer.Segment) {
	if want.HeaderSum%0xffff == got.HeaderSum%0xffff && (want.HeaderSum == 0) == (got.HeaderSum == 0) {
		want.HeaderSum = got.HeaderSum
	}
}

// sumOf adds octets to a ones' complement sum, two by two (RFC 1071 1).
func sumOf(b []byte, acc uint64) uint64 {
	for i, c := range b {
		acc += uint64(c) << (i % 2 * 8)
	}
	return acc
}

func addrOf(ip net.IP) analyzer.Addr { return analyzer.Addr(ip.To16()) }

// record is a frame as another reader saw it.
type record struct {
	link uint16
	data []byte
	wire int
	time time.Time
}

// compare holds what our reader and decoder make of a file against another
// reader's records, decoded by gopacket.
func compare(t *testing.T, name string, src Source, records []record) (agreed int) {
	t.Helper()
	packets, err := drain(src)
	if err != nil && !errors.Is(err, ErrFlawed) { // the times are anything here
		t.Errorf("%s: %v", name, err)
	}
	if n := src.Stats().Frames; n != uint64(len(records)) {
		t.Errorf("%s: %d frames, the other reader has %d", name, n, len(records))
		return 0
	}
	ours := map[uint64]*analyzer.Segment{}
	for i := range packets {
		if packets[i].Kind == KindSegment {
			ours[packets[i].Segment.Frame] = &packets[i].Segment
		}
	}
	for i, r := range records {
		frame := uint64(i + 1)
		got := ours[frame]
		want, _ := oracle(r.link, r.data, frame, r.time)
		switch {
		case want == nil && got == nil:
		case got == nil:
			t.Errorf("%s: frame %d: gopacket has a segment that we lack: %+v", name, frame, *want)
		case want == nil:
			if !gopacketLoses(got, len(r.data), r.wire) {
				t.Errorf("%s: frame %d: gopacket lacks a segment: %+v", name, frame, *got)
			}
		default:
			want.Link, want.Path = got.Link, got.Path
			alikeSums(want, got)
			if got.Options.Set&analyzer.OptTruncated != 0 {
				want.Options = got.Options // it reports an error and no options
				want.HeaderSum = 0
			}
			if *got != *want {
				t.Errorf("%s: frame %d:\n ours     %+v\n gopacket %+v", name, frame, *got, *want)
			}
			agreed++
		}
	}
	return agreed
}

// packetReader is what pcapgo's two readers have in common.
type packetReader interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
}

func readRecords(t *testing.T, r packetReader, link func(gopacket.CaptureInfo) uint16) (records []record) {
	t.Helper()
	for {
		data, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return records
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record{link(info), data, info.Length, info.Timestamp})
	}
}

func TestAgainstGopacketOnTestdata(t *testing.T) {
	paths, _ := filepath.Glob("../testdata/pcaps/*.pcap")
	agreed := 0
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		link := le.Uint16(file[20:])
		if file[0] == 0xa1 {
			link = be.Uint16(file[22:])
		}
		r, err := pcapgo.NewReader(bytes.NewReader(file))
		if err != nil {
			t.Logf("%s: pcapgo cannot read it: %v", path, err)
			continue
		}
		src, err := NewReader(bytes.NewReader(file), path, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		agreed += compare(t, path, src, readRecords(t, r, func(gopacket.CaptureInfo) uint16 { return link }))
	}
	if agreed < 100 {
		t.Errorf("only %d segments compared", agreed)
	}
}

// Header, addresses and payload together make up the checksum (RFC 9293 3.1):
// what HeaderSum leaves of it is the payload's sum, in captures of real hosts.
func TestHeaderSumLeavesThePayload(t *testing.T) {
	agreed := 0
	for _, path := range []string{"offload_on/client.pcap", "close_client/server.pcap", "close_client_v6/client.pcap", "no_options/middle.pcap", "loss_5_percent/middle.pcap"} {
		file, err := os.ReadFile(filepath.Join("../testdata/kernel", path))
		if err != nil {
			t.Fatal(err)
		}
		r, err := pcapgo.NewReader(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		src, err := NewReader(bytes.NewReader(file), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		packets, err := drain(src)
		if err != nil {
			t.Fatal(err)
		}
		records := readRecords(t, r, func(gopacket.CaptureInfo) uint16 { return 1 })
		for i := range packets {
			s := &packets[i].Segment
			rec := records[s.Frame-1]
			if packets[i].Kind != KindSegment || s.HeaderSum == 0 || len(rec.data) < rec.wire {
				continue
			}
			all := sumOf(s.Src[:], sumOf(s.Dst[:], s.HeaderSum+protoTCP<<8))
			all = sumOf(rec.data[rec.wire-int(s.Len):], all%0xffff)
			if all%0xffff == 0 {
				agreed++
			} else if !partial(s) {
				t.Errorf("%s: frame %d: header, addresses and payload add up to %x", path, s.Frame, all%0xffff)
			}
		}
	}
	if agreed < 20 {
		t.Errorf("only %d segments with a full checksum", agreed)
	}
}

// partial reports whether a checksum holds the pseudo-header alone: for the
// card to finish.
func partial(s *analyzer.Segment) bool {
	for header := uint64(tcpHeaderLen); header <= 60; header += 4 {
		pseudo := sumOf(s.Src[:], sumOf(s.Dst[:], protoTCP<<8))
		n := header + uint64(s.Len)
		if (pseudo+n&0xff<<8+n>>8)%0xffff == uint64(s.Checksum>>8|s.Checksum<<8)%0xffff {
			return true
		}
	}
	return false
}

// generate builds a frame of random layers, addresses, options and payload.
func generate(rng *rand.Rand) []byte {
	var stack []gopacket.SerializableLayer
	ip4 := &layers.IPv4{
		Version: 4, Id: uint16(rng.Uint32()), TTL: byte(rng.Uint32()), Protocol: layers.IPProtocolTCP,
		SrcIP: net.IP{10, 0, 0, byte(rng.Uint32())}, DstIP: net.IP{10, 0, 1, byte(rng.Uint32())},
	}
	ip6 := &layers.IPv6{
		Version: 6, HopLimit: byte(rng.Uint32()), NextHeader: layers.IPProtocolTCP,
		SrcIP: net.IP{0: 0xfd, 15: byte(rng.Uint32())}, DstIP: net.IP{0: 0xfd, 1: 1, 15: byte(rng.Uint32())},
	}
	kind, network := layers.EthernetTypeIPv4, gopacket.SerializableLayer(ip4)
	if rng.IntN(2) == 0 {
		kind, network = layers.EthernetTypeIPv6, ip6
	}
	if rng.IntN(4) == 0 {
		ip4.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}}
	}
	tags := rng.IntN(3)
	outer := &layers.Ethernet{SrcMAC: make(net.HardwareAddr, 6), DstMAC: make(net.HardwareAddr, 6), EthernetType: kind}
	if tags > 0 {
		outer.EthernetType = layers.EthernetTypeDot1Q
	}
	stack = append(stack, outer)
	for i := range tags {
		tag := &layers.Dot1Q{VLANIdentifier: uint16(rng.IntN(4095)), Type: layers.EthernetTypeDot1Q}
		if i == tags-1 {
			tag.Type = kind
		}
		stack = append(stack, tag)
	}
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(rng.Uint32()), DstPort: layers.TCPPort(rng.Uint32()), Seq: rng.Uint32(), Ack: rng.Uint32(),
		FIN: rng.IntN(4) == 0, SYN: rng.IntN(4) == 0, RST: rng.IntN(4) == 0, PSH: rng.IntN(2) == 0, ACK: rng.IntN(4) > 0,
		URG: rng.IntN(9) == 0, ECE: rng.IntN(4) == 0, CWR: rng.IntN(4) == 0, Window: uint16(rng.Uint32()),
		Checksum: uint16(rng.Uint32()), Options: randomOptions(rng),
	}
	stack = append(stack, network, tcp, gopacket.Payload(make([]byte, rng.IntN(200))))
	buffer := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true}, stack...); err != nil {
		panic(err)
	}
	return buffer.Bytes()
}

func randomOptions(rng *rand.Rand) (options []layers.TCPOption) {
	all := []layers.TCPOption{
		{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 180}},
		{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{byte(rng.IntN(20))}},
		{OptionType: layers.TCPOptionKindSACKPermitted, OptionLength: 2},
		{OptionType: layers.TCPOptionKindSACK, OptionLength: 10, OptionData: make([]byte, 8)},
		{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: be.AppendUint64(nil, rng.Uint64())},
		{OptionType: optFastOpen, OptionLength: 10, OptionData: make([]byte, 8)},
		{OptionType: layers.TCPOptionKindNop, OptionLength: 1},
	}
	room := 40
	for range rng.IntN(5) {
		if o := all[rng.IntN(len(all))]; int(o.OptionLength) <= room {
			options = append(options, o)
			room -= int(o.OptionLength)
		}
	}
	return options
}

// The same frames by way of pcapgo's writers: pcap and pcapng.
func TestAgainstGopacketOnGenerated(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var pcap, ng bytes.Buffer
	w := pcapgo.NewWriterNanos(&pcap)
	if err := w.WriteFileHeader(262144, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	nw, err := pcapgo.NewNgWriter(&ng, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	const frames = 5000
	for range frames {
		data := generate(rng)
		wire := len(data)
		if rng.IntN(4) == 0 {
			data = data[:min(len(data), 40+rng.IntN(60))]
		}
		info := gopacket.CaptureInfo{Timestamp: time.Unix(rng.Int64N(1<<31), rng.Int64N(1e9)), CaptureLength: len(data), Length: wire}
		if err := errors.Join(w.WritePacket(info, data), nw.WritePacket(info, data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := nw.Flush(); err != nil {
		t.Fatal(err)
	}
	readers := map[string]packetReader{}
	files := map[string][]byte{"pcap": pcap.Bytes(), "pcapng": ng.Bytes()}
	if readers["pcap"], err = pcapgo.NewReader(bytes.NewReader(files["pcap"])); err != nil {
		t.Fatal(err)
	}
	if readers["pcapng"], err = pcapgo.NewNgReader(bytes.NewReader(files["pcapng"]), pcapgo.DefaultNgReaderOptions); err != nil {
		t.Fatal(err)
	}
	for name, r := range readers {
		src, err := NewReader(bytes.NewReader(files[name]), name, Options{Window: minWindow})
		if err != nil {
			t.Fatal(err)
		}
		if n := compare(t, name, src, readRecords(t, r, func(gopacket.CaptureInfo) uint16 { return 1 })); n < frames*3/4 {
			t.Errorf("%s: only %d of %d segments compared", name, n, frames)
		}
	}
}
