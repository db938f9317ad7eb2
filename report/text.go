package report

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Text is text from outside (a file or interface name). In JSON everything
// that a terminal might obey is escaped, so that even `-o json` of a hostile
// capture can be looked at with cat.
type Text string

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) { return appendString(nil, string(t)), nil }

// Time is a point of the capture's time, ns since 1970-01-01 UTC. In JSON it
// is RFC 3339 with nanoseconds.
type Time int64

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) { return appendTime(nil, int64(t)), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(b []byte) error {
	at, err := time.Parse(`"`+time.RFC3339Nano+`"`, string(b))
	*t = Time(at.UnixNano())
	return err
}

// Seconds is a duration, ns. In JSON it is a number of seconds.
type Seconds int64

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) { return appendSeconds(nil, int64(s)), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	d, err := time.ParseDuration(string(b) + "s")
	*s = Seconds(d)
	return err
}

// appendTime writes what AppendFormat writes with time.RFC3339Nano: a flow has
// a dozen times, and they are a third of what it takes to write it.
func appendTime(b []byte, ns int64) []byte {
	if ns < 0 { // before 1970
		b = time.Unix(0, ns).UTC().AppendFormat(append(b, '"'), time.RFC3339Nano)
		return append(b, '"')
	}
	u := uint64(ns)
	year, month, day := time.Unix(int64(u/1e9), 0).UTC().Date()
	second := uint32(u / 1e9 % 86400)
	b = appendPair(appendPair(append(b, '"'), uint32(year)/100), uint32(year)%100)
	b = appendPair(append(b, '-'), uint32(month))
	b = appendPair(append(b, '-'), uint32(day))
	b = appendPair(append(b, 'T'), second/3600)
	b = appendPair(append(b, ':'), second/60%60)
	b = appendPair(append(b, ':'), second%60)
	return append(appendFraction(b, uint32(u%1e9)), 'Z', '"')
}

// appendPair writes two digits.
func appendPair(b []byte, n uint32) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// appendFraction writes billionths as a decimal fraction, as short as can be.
func appendFraction(b []byte, n uint32) []byte {
	if n == 0 {
		return b
	}
	digits := [...]byte{'.', 9: 0}
	for i := len(digits) - 1; i > 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
	end := len(digits)
	for digits[end-1] == '0' {
		end--
	}
	return append(b, digits[:end]...)
}

// appendSeconds writes ns as seconds, exactly and as short as can be.
func appendSeconds(b []byte, ns int64) []byte {
	u := uint64(ns)
	if ns < 0 {
		b = append(b, '-')
		u = -u
	}
	return appendFraction(strconv.AppendUint(b, u/1e9, 10), uint32(u%1e9))
}

const hex = "0123456789abcdef"

// appendString writes s as a JSON string. It escapes what JSON asks for and
// all that does not print, with the spelling of encoding/json.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for {
		n := plain(s)
		b = append(b, s[:n]...)
		if n == len(s) {
			return append(b, '"')
		}
		r, size := utf8.DecodeRuneInString(s[n:])
		s = s[n+size:]
		b = appendRune(b, r)
	}
}

// plain returns how many octets from the start of s JSON takes as they are.
func plain(s string) int {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return i
		}
	}
	return len(s)
}

func appendRune(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\b':
		return append(b, '\\', 'b')
	case '\f':
		return append(b, '\\', 'f')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	if r != utf8.RuneError && unicode.IsPrint(r) {
		return utf8.AppendRune(b, r)
	}
	if r > 0xffff { // beyond one \u: a surrogate pair
		r -= 0x10000
		b = appendEscape(b, 0xd800+r>>10)
		r = 0xdc00 + r&0x3ff
	}
	return appendEscape(b, r)
}

func appendEscape(b []byte, r rune) []byte {
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// Clean returns text from outside in a form that a terminal only shows: what
// does not print is escaped as in Go.
func Clean(s string) string {
	printable := func(r rune) bool { return unicode.IsPrint(r) && r != utf8.RuneError }
	if strings.IndexFunc(s, func(r rune) bool { return !printable(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if printable(r) {
			b.WriteString(s[:n])
		} else {
			q := strconv.QuoteToASCII(s[:n])
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[n:]
	}
	return b.String()
}

// Thousands writes a count with commas, as in 88,310.
func Thousands[N int | uint64](n N) string {
	s := strconv.FormatUint(uint64(n), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural is "1 flow", "2 flows".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return Thousands(n) + " " + what + "s"
}

// span writes a duration with the two or three digits that a person wants.
func span(ns int64) string {
	if ns < 0 {
		return "-" + span(-ns)
	}
	d := rounded(ns)
	switch {
	case d < time.Microsecond:
		return strconv.FormatInt(int64(d), 10) + "ns"
	case d < time.Millisecond:
		return digits(d.Seconds()*1e6) + "µs"
	case d < time.Second:
		return digits(d.Seconds()*1e3) + "ms"
	case d < time.Minute:
		return digits(d.Seconds()) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m" + pad2(int(d.Seconds())%60) + "s"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h" + pad2(int(d.Minutes())%60) + "m"
	}
	return strconv.Itoa(int(d.Hours())/24) + "d" + pad2(int(d.Hours())%24) + "h"
}

// rounded is a duration to what span shows of it: three digits up to a minute,
// then two units. It is rounded before its unit is chosen, so that 999.9 ms
// become a second and not a thousand of the smaller unit.
func rounded(ns int64) time.Duration {
	d := time.Duration(ns)
	to := time.Duration(1)
	for to < 100*time.Millisecond && d >= 1000*to {
		to *= 10
	}
	switch d = d.Round(to); {
	case d >= 48*time.Hour:
		return d.Round(time.Hour)
	case d >= time.Hour:
		return d.Round(time.Minute)
	case d >= time.Minute:
		return d.Round(time.Second)
	}
	return d
}

// digits are the three significant digits of 0 < v < 1000.
func digits(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }

func pad2(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

// clock is the time of day, UTC, to the millisecond.
func clock(ns int64) string { return time.Unix(0, ns).UTC().Format("15:04:05.000") }

// date is the day and time of day, UTC.
func date(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05 UTC") }
