package capture

import (
	"bytes"
	"errors"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Link types that are rare and more than a few octets to step over go through
// gopacket's layers, but no further than to the IP header: from there on ip.go
// decodes them like all others. gopacket trusts lengths that it has not checked
// and panics on some crafted frames, and some of its decoders write into what
// they read: so everything here runs behind a recover, on a copy of the frame.

// maxRareLayers bounds the headers before IP that gopacket may work through.
const maxRareLayers = 32

// viaGopacket returns a decoder that lets gopacket find the IP packet.
func viaGopacket(first gopacket.Decoder) func(*frame) (layer, Reason) {
	return func(f *frame) (layer, Reason) {
		b := bytes.Clone(f.data)
		w := walker{}
		if err := w.run(first, b); err != nil || w.ip == nil {
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
		layers.ProtocolFamilyIPv4, layers.ProtocolFamilyIPv6BSD, layers.ProtocolFamilyIPv6FreeBSD,
		layers.ProtocolFamilyIPv6Darwin, layers.ProtocolFamilyIPv6Linux,
		layers.LayerTypeIPv4, layers.LayerTypeIPv6:
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
