package capture

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"unicode"
	"unicode/utf8"
)

// What people have instead of a capture, told by more than a magic number.

const (
	tarMagic      = "ustar"
	tarMagicStart = 257 // POSIX.1 ustar header, field magic
	erfLeast      = 18  // an ERF record's header, of Ethernet with its padding
	erfHeader     = 16
	erfTypes      = 30 // no higher type is assigned
	erfMeta       = 27 // provenance records, with no time of their own
)

// isTar reports whether b begins with a tar archive's first header.
func isTar(b []byte) bool {
	return len(b) >= tarMagicStart+len(tarMagic) && string(b[tarMagicStart:tarMagicStart+len(tarMagic)]) == tarMagic
}

// isERF reports whether b looks like a record of Endace's format, which has no
// magic number: a little-endian fixed-point time between 1990 and 2060, a known
// type, a record length with room for the header (network order).
func isERF(b []byte) bool {
	if len(b) < erfLeast {
		return false
	}
	seconds, kind, size := binary.LittleEndian.Uint32(b[4:]), b[8]&0x7f, binary.BigEndian.Uint16(b[10:])
	timed := seconds > 631_152_000 && seconds < 2_840_140_800 || kind == erfMeta
	return timed && kind > 0 && kind <= erfTypes && size >= erfHeader
}

// isText reports whether b looks like text; b's last character may be cut.
func isText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 && len(b) >= utf8.UTFMax {
			return false
		}
		if r != utf8.RuneError && !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return false
		}
		b = b[n:]
	}
	return true
}

var (
	tcpdumpDump = regexp.MustCompile(`(?m)^\t0x0000:  [0-9a-f]{4}`)
	tcpdumpIP   = regexp.MustCompile(`(?m)^\t0x0000:  (4[5-9a-f]|6)`)
	hexDump     = regexp.MustCompile(`(?m)^[ \t]*(0x)?0{3,8}:?[ \t]+[0-9a-fA-F]{2}`)
)

// tcpdumpSed leaves of tcpdump's text the time before each dump, and makes the
// dumps ones that text2pcap knows: no 0x, no colon, pairs of digits, no text.
const tcpdumpSed = `/^[0-9]/s/ .*//;/^ /d;/^\t0x/{s///;s/:  / /;s/  .*//;s/ \(..\)\(..\)/ \1 \2/g}`

// textError words what a text is, and what makes a capture of it.
func (s *stream) textError(b []byte) (problem, remedy string) {
	switch {
	case tcpdumpDump.Match(b):
		link := "1" // -xx and -XX: with the link layer, most often Ethernet's
		if tcpdumpIP.Match(b) {
			link = "101"
		}
		return "not a capture: it is the text of tcpdump -x",
			s.hint("convert first: sed '" + tcpdumpSed + "' %s | text2pcap -t %%H:%%M:%%S.%%f -l " + link + " - - | tcpflow-states analyze -")
	case hexDump.Match(b):
		return "not a capture: it is a hex dump", s.hint("convert first: text2pcap %s - | tcpflow-states analyze -")
	case bytes.HasPrefix(b, []byte("[")) || bytes.HasPrefix(b, []byte("{")) || bytes.HasPrefix(b, []byte("<?xml")):
		return "not a capture: it is text, as tshark -T json or -T pdml prints it", "give the capture that it was made from"
	}
	return "not a capture: it is text", notCapture
}
