package capture

import (
	"encoding/binary"
	"errors"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// The rare link types go through gopacket's layers, but no further than to the
// IP header: from there on ip.go decodes them like all others. gopacket trusts
// lengths that it has not checked and panics on some crafted frames, and some of
// its decoders write into what they read: so everything here runs behind a
// recover, on a copy of the frame.

// rare is how gopacket begins on a link type.
type rare struct {
	first gopacket.Decoder
	// trailer is appended to the frame: gopacket takes the last 4 octets of an
	// 802.11 frame for a checksum, which a plain 802.11 capture may not have. A
	// checksum that is there besides does no harm, as lengths come from the IP
	// header.
	trailer int
}

var (
	rarePPP      = rare{first: layers.LayerTypePPP}
	rareMPLS     = rare{first: layers.LayerTypeMPLS}
	rareFDDI     = rare{first: layers.LayerTypeFDDI}
	rarePFLog    = rare{first: layers.LayerTypePFLog}
	rareDot11    = rare{first: layers.LayerTypeDot11, trailer: 4}
	rarePrism    = rare{first: layers.LayerTypePrismHeader, trailer: 4}
	rareRadioTap = rare{first: layers.LayerTypeRadioTap}
)

// maxRareLayers bounds the headers before IP that gopacket may work through.
const maxRareLayers = 32

const (
	pppoeLen     = 6
	pppoeSession = 0 // the code of a frame that carries PPP, RFC 2516 4
	hdlcLen      = 4
)

// viaGopacket returns a decoder that lets gopacket find the IP packet.
func viaGopacket(how rare) func(*frame) (uint16, Reason) {
	return func(f *frame) (uint16, Reason) {
		b := make([]byte, len(f.data)+how.trailer)
		copy(b, f.data)
		w := walker{}
		if err := w.run(how.first, b); err != nil || w.ip == nil {
			return 0, w.reason(f)
		}
		f.wire = max(f.wire-(len(b)-len(w.ip)), len(w.ip))
		f.data = w.ip
		return decodeRawIP(f)
	}
}

// walker is the gopacket.PacketBuilder that stops at IP.
type walker struct {
	payload []byte // of the layer decoded last
	ip      []byte // where IP begins; nil until found
	arp     bool
	depth   int // layers added and decoders asked for
}

var errRare = errors.New("gopacket could not decode the link header")

func (w *walker) run(first gopacket.Decoder, b []byte) (err error) {
	defer func() {
		if recover() != nil {
			err = errRare
		}
	}()
	return first.Decode(b, w)
}

// reason words a walk that has not found IP.
func (w *walker) reason(f *frame) Reason {
	switch {
	case w.arp:
		return SkippedARP
	case w.depth > 0:
		return SkippedNotIP
	case f.wire > len(f.data):
		return SkippedCut
	}
	return SkippedMalformedLink
}

// NextDecoder is called by each layer with what it carries.
func (w *walker) NextDecoder(next gopacket.Decoder) error {
	switch next {
	case layers.EthernetTypeIPv4, layers.EthernetTypeIPv6,
		layers.PPPTypeIPv4, layers.PPPTypeIPv6,
		layers.ProtocolFamilyIPv4, layers.ProtocolFamilyIPv6BSD, layers.ProtocolFamilyIPv6FreeBSD,
		layers.ProtocolFamilyIPv6Darwin, layers.ProtocolFamilyIPv6Linux,
		layers.LayerTypeIPv4, layers.LayerTypeIPv6, layers.MPLSPayloadDecoder:
		w.ip = w.payload
		return nil
	case layers.EthernetTypeARP:
		w.arp = true
		return nil
	case gopacket.LayerTypePayload, gopacket.LayerTypeZero, gopacket.LayerTypeFragment:
		return nil
	}
	if w.depth++; w.depth > maxRareLayers || len(w.payload) == 0 {
		return errRare
	}
	return next.Decode(w.payload, w)
}

// AddLayer is called by each layer with itself.
func (w *walker) AddLayer(l gopacket.Layer) {
	w.depth++
	w.payload = l.LayerPayload()
}

// The rest of gopacket.PacketBuilder has nothing to tell us.

func (w *walker) SetTruncated()                                 {}
func (w *walker) SetLinkLayer(gopacket.LinkLayer)               {}
func (w *walker) SetNetworkLayer(gopacket.NetworkLayer)         {}
func (w *walker) SetTransportLayer(gopacket.TransportLayer)     {}
func (w *walker) SetApplicationLayer(gopacket.ApplicationLayer) {}
func (w *walker) SetErrorLayer(gopacket.ErrorLayer)             {}
func (w *walker) DumpPacketData()                               {}
func (w *walker) DecodeOptions() *gopacket.DecodeOptions        { return &gopacket.DecodeOptions{} }

var (
	pppDecoder  = viaGopacket(rarePPP)
	mplsDecoder = viaGopacket(rareMPLS)
)

func decodeMPLS(f *frame) (uint16, Reason) { return mplsDecoder(f) }

// decodePPPoE reads the PPPoE header itself: gopacket's decoder panics on every
// frame that a snap length has cut.
func decodePPPoE(f *frame) (uint16, Reason) {
	if len(f.data) < pppoeLen {
		return 0, f.short(pppoeLen, SkippedMalformedLink)
	}
	if f.data[1] != pppoeSession {
		return 0, SkippedNotIP
	}
	f.advance(pppoeLen)
	return pppDecoder(f)
}

// decodeCiscoHDLC reads address, control and ethertype; gopacket has no decoder
// for it.
func decodeCiscoHDLC(f *frame) (uint16, Reason) {
	if len(f.data) < hdlcLen {
		return 0, f.short(hdlcLen, SkippedMalformedLink)
	}
	ether := binary.BigEndian.Uint16(f.data[2:])
	f.advance(hdlcLen)
	return ether, delivered
}
