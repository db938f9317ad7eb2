package capture

import "encoding/binary"

const (
	dot11Len        = 24
	dot11AddressLen = 6
	dot11QoSLen     = 2
	dot11HTLen      = 4
	// Of the first octet of the frame control field, IEEE 802.11 9.2.4.1.
	dot11TypeBits = 0x0f // version and type
	dot11Data     = 0x08
	dot11NoData   = 0x40
	dot11QoS      = 0x80
	// Of the second.
	dot11Distribution = 0x03 // to and from the distribution system: four addresses
	dot11Protected    = 0x40
	dot11Order        = 0x80 // with QoS: an HT control field
	dot11Sequence     = 22
	dot11FragmentBits = 0x0f
	dot11Aggregate    = 0x80 // of the QoS control field: A-MSDU, 9.3.2.2.2
	subframeLen       = 14   // two addresses and a length
)

func decodeDot11(f *frame) (layer, Reason) { return f.dot11(false) }

// dot11 reads an 802.11 frame.
func (f *frame) dot11(padded bool) (layer, Reason) {
	if len(f.data) < 2 {
		return 0, f.short(2, SkippedMalformedLink)
	}
	return f.dot11Frame(f.data[0], f.data[1], padded)
}

// dot11Frame reads the header of an 802.11 data frame with that frame control
// field; padded, it takes a multiple of 4 octets. An aggregate (A-MSDU) gives
// its first packet only: a frame is one packet to us.
func (f *frame) dot11Frame(kind, flags byte, padded bool) (layer, Reason) {
	if kind&dot11TypeBits != dot11Data || kind&dot11NoData != 0 {
		return 0, SkippedNotIP
	}
	size := dot11Len
	if flags&dot11Distribution == dot11Distribution {
		size += dot11AddressLen
	}
	qos := size
	if kind&dot11QoS != 0 {
		size += dot11QoSLen
		if flags&dot11Order != 0 {
			size += dot11HTLen
		}
	}
	if padded {
		size = (size + 3) &^ 3
	}
	b := f.data
	if len(b) < size {
		return 0, f.short(size, SkippedMalformedLink)
	}
	if b[dot11Sequence]&dot11FragmentBits != 0 {
		return 0, SkippedFragment
	}
	f.advance(size)
	if flags&dot11Protected != 0 {
		// Some drivers decrypt and leave the bit set. The first octets of a frame
		// that is encrypted are a packet number, and a key number where LLC has 0.
		if len(f.data) < 4 {
			return 0, f.short(4, SkippedEncrypted)
		}
		if string(f.data[:4]) != "\xaa\xaa\x03\x00" {
			return 0, SkippedEncrypted
		}
		return etherLLC, delivered
	}
	if kind&dot11QoS != 0 && b[qos]&dot11Aggregate != 0 {
		return f.past(subframeLen, etherLLC, SkippedMalformedLink)
	}
	return etherLLC, delivered
}

const (
	radioTapLen     = 8
	radioTapTSFT    = 1 << 0 // present bits, radiotap.org
	radioTapFlags   = 1 << 1
	radioTapMore    = 1 << 31
	radioTapPadding = 0x20 // of the flags
)

// decodeRadioTap reads the header for the one flag in it that says where the
// payload begins.
func decodeRadioTap(f *frame) (layer, Reason) {
	b := f.data
	if len(b) < radioTapLen {
		return 0, f.short(radioTapLen, SkippedMalformedLink)
	}
	size := int(binary.LittleEndian.Uint16(b[2:]))
	if size < radioTapLen {
		return 0, SkippedMalformedLink
	}
	if len(b) < size {
		return 0, f.short(size, SkippedMalformedLink)
	}
	present := binary.LittleEndian.Uint32(b[4:])
	at := radioTapLen
	for more := present; more&radioTapMore != 0 && at+4 <= size; at += 4 {
		more = binary.LittleEndian.Uint32(b[at:])
	}
	if present&radioTapTSFT != 0 {
		at = (at+7)&^7 + 8
	}
	padded := present&radioTapFlags != 0 && at < size && b[at]&radioTapPadding != 0
	f.advance(size)
	return f.dot11(padded)
}

const (
	avsMagic     = 0x80211000 // and a version in the last octet
	avsMagicBits = 0xffffff00
	prismLen     = 8
)

// decodePrism reads the header of the wlan-ng drivers: a code and the header's
// length in the byte order of the machine. AVS headers are found under its
// number too.
func decodePrism(f *frame) (layer, Reason) {
	if len(f.data) < prismLen {
		return 0, f.short(prismLen, SkippedMalformedLink)
	}
	if binary.BigEndian.Uint32(f.data)&avsMagicBits == avsMagic {
		return decodeAVS(f)
	}
	size := binary.LittleEndian.Uint32(f.data[4:])
	if size > 0xffff {
		size = binary.BigEndian.Uint32(f.data[4:])
	}
	return f.wireless(size)
}

// decodeAVS reads its magic and length.
func decodeAVS(f *frame) (layer, Reason) {
	if len(f.data) < prismLen {
		return 0, f.short(prismLen, SkippedMalformedLink)
	}
	return f.wireless(binary.BigEndian.Uint32(f.data[4:]))
}

// wireless moves past a header of size octets to the 802.11 frame.
func (f *frame) wireless(size uint32) (layer, Reason) {
	if size < prismLen || size > 0xffff {
		return 0, SkippedMalformedLink
	}
	return f.past(int(size), linkLayer+linkDot11, SkippedMalformedLink)
}
