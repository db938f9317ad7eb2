package analyzer

import (
	"net/netip"
	"strconv"
	"strings"
)

// advice is what stands for the placeholders of a Detector's Next. What is not
// known leaves its placeholder as it is.
type advice struct {
	client, server netip.Addr // not valid: not known
	port           int        // below 0: not known
}

// fill puts it into a text. Every finding of every flow has such a text: it
// costs one allocation, and none where there is nothing to fill in.
func (a *advice) fill(text string) string {
	at, name := placeholder(text)
	if name == "" {
		return text
	}
	b := make([]byte, 0, 512) // on the stack: no Next is as long
	for ; name != ""; at, name = placeholder(text) {
		b = a.append(append(b, text[:at]...), name)
		text = text[at+len(name):]
	}
	return string(append(b, text...))
}

// append writes what stands for a placeholder.
func (a *advice) append(b []byte, name string) []byte {
	switch {
	case name == "PORT" && a.port >= 0:
		return strconv.AppendInt(b, int64(a.port), 10)
	case name == "CLIENT" && a.client.IsValid():
		return a.client.AppendTo(b)
	case name == "SERVER" && a.server.IsValid():
		return a.server.AppendTo(b)
	}
	return append(b, name...)
}

// placeholder finds the first one of a text; its name is empty where there is
// none.
func placeholder(text string) (at int, name string) {
	at = len(text)
	for _, n := range [...]string{"CLIENT", "SERVER", "PORT"} {
		if i := strings.Index(text[:min(len(text), at+len(n))], n); i >= 0 && i < at {
			at, name = i, n
		}
	}
	return at, name
}
