package expect

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Endpoint is an address or a network, a port or a range of them, or both.
type Endpoint struct {
	Prefix    netip.Prefix // not valid: any address
	Low, High uint16       // ports
	text      string
}

// Endpoints are several, any of which will do; none of them stands for any.
type Endpoints []Endpoint

// Has reports whether a is one of them.
func (l Endpoints) Has(a netip.AddrPort) bool {
	return len(l) == 0 || slices.ContainsFunc(l, func(e Endpoint) bool {
		return (!e.Prefix.IsValid() || e.Prefix.Contains(a.Addr())) && e.Low <= a.Port() && a.Port() <= e.High
	})
}

// String spells them as they were given.
func (l Endpoints) String() string {
	var list []string
	for _, e := range l {
		list = append(list, e.text)
	}
	return strings.Join(list, " or ")
}

func (l *Endpoints) take(n *yaml.Node, _ []string) error {
	return each(n, func(text string) error {
		e, err := ParseEndpoint(text)
		*l = append(*l, e)
		return err
	})
}

// ParseEndpoint reads 10.0.0.5, 10.0.0.0/8, 10.0.0.5:443, :443, :8000-8080,
// fd00::1, fd00::/8 or [fd00::/8]:443.
func ParseEndpoint(s string) (Endpoint, error) {
	e := Endpoint{High: 1<<16 - 1, text: s}
	host, port := s, ""
	switch at := strings.LastIndexByte(s, ':'); {
	case strings.HasPrefix(s, "["):
		end := strings.IndexByte(s, ']')
		if end < 0 || end+1 < len(s) && s[end+1] != ':' {
			return e, notEndpoint(s)
		}
		host, port = s[1:end], s[end+1:]
	case strings.Count(s, ":") == 1:
		host, port = s[:at], s[at:]
	}
	var err error
	if port != "" {
		if e.Low, e.High, err = ports(port[1:]); err != nil {
			return e, fmt.Errorf("%q: %w", s, err)
		}
	}
	if host == "" && port != "" {
		return e, nil
	}
	if e.Prefix, err = netip.ParsePrefix(host); err == nil {
		e.Prefix = e.Prefix.Masked()
		return e, nil
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return e, notEndpoint(s)
	}
	a = a.Unmap().WithZone("")
	e.Prefix = netip.PrefixFrom(a, a.BitLen())
	return e, nil
}

func ports(s string) (low, high uint16, err error) {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	a, err1 := strconv.ParseUint(from, 10, 16)
	b, err2 := strconv.ParseUint(to, 10, 16)
	if err1 != nil || err2 != nil || a > b {
		return 0, 0, fmt.Errorf("%q is no port: give a number up to 65535, or a range as in 8000-8080", s)
	}
	return uint16(a), uint16(b), nil
}

func notEndpoint(s string) error {
	if _, err := strconv.ParseUint(s, 10, 16); err == nil {
		return fmt.Errorf("%q is no address: a port has a colon before it: \":%s\"", s, s)
	}
	return fmt.Errorf("%q is no address or port: give 10.0.0.5, 10.0.0.0/8, :443, 10.0.0.5:443 or \"[fd00::1]:443\" (names are not looked up)", s)
}
