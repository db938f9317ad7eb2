package evidence

import (
	"strconv"
	"strings"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// nameOf names a finding's file: when, what, and between whom, the client first.
func nameOf(f *analyzer.Flow, n *analyzer.Finding) string {
	client := f.Client & 1
	return stamp(n.At) + "_" + plain(n.Detector.Name) + "_" + endpoint(f, client) + "_" + endpoint(f, client.Peer())
}

// stamp is a time, ns since 1970-01-01 UTC, so that names sort by it, and
// without the colons that Windows refuses.
func stamp(at int64) string { return time.Unix(0, at).UTC().Format("20060102T150405.000000000Z") }

func endpoint(f *analyzer.Flow, s analyzer.Side) string {
	return plain(f.Key.Addr[s].Netip().String()) + "-" + strconv.Itoa(int(f.Key.Port[s]))
}

// plain leaves nothing in a part of a name that a file system or a shell takes
// for more than a letter: an IPv6 address has dots for its colons.
func plain(s string) string {
	const most = 64
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.':
			return r
		case r == ':':
			return '.'
		}
		return '-'
	}, s)
	return s[:min(len(s), most)]
}
