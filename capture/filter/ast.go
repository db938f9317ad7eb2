package filter

import "net/netip"

// expr is a condition on a packet. It writes its own code (gen.go and after).
type expr interface {
	gen(g *generator) *cond
}

// The conditions.
type (
	// both is `a and b` or `a or b`, which bind alike, from the left.
	both struct {
		or   bool
		a, b expr
	}
	not struct{ x expr }
	// primitive is an address, port or protocol with the qualifiers before it.
	primitive struct {
		q  qualifiers
		id token
		// Of `net 10.0.0.0/8` and `net 10.0.0.0 mask 255.0.0.0`: what stands
		// behind the address.
		prefix, mask *token
	}
	// abbreviation is a protocol that stands for itself.
	abbreviation struct {
		span
		proto string
	}
	relation struct {
		span
		op   string
		a, b arith
	}
	// simple is one of the words with at most a number behind it.
	simple struct {
		span
		word   string
		proto  string // before broadcast and multicast
		number *token
	}
	// byteTest is `byte N op V`.
	byteTest struct {
		span
		op         string
		at, number token
	}
)

// arith is a number computed from a packet.
type arith interface {
	value(g *generator, depth int) value
}

// The numbers.
type (
	number   struct{ n uint32 }
	length   struct{}
	negation struct{ x arith }
	load     struct {
		span
		proto string
		index arith
		size  uint32
	}
	operation struct {
		span
		op   string
		a, b arith
	}
)

// qualifiers are what stands before an address, and holds for those that follow
// behind `and` and `or` too.
type qualifiers struct {
	span
	proto string    // a key of protocols, or empty
	dir   direction // 0 where none was given
	kind  idKind
}

type direction uint8

const (
	anyDirection direction = iota
	src
	dst
	srcOrDst
	srcAndDst
)

// idKind is what an address, port or number is to be taken for.
type idKind uint8

const (
	noKind   idKind = iota // nothing was said: there can be no address
	hostKind               // also where there is only a direction, or a protocol with one
	netKind
	portKind
	portRangeKind
	protoKind
)

var idKinds = map[string]idKind{"host": hostKind, "net": netKind, "port": portKind, "portrange": portRangeKind, "proto": protoKind}

func (k idKind) String() string {
	for name, kind := range idKinds {
		if kind == k {
			return name
		}
	}
	return "nothing"
}

// prefixOf returns the IPv6 network that a primitive names.
func (p *primitive) prefixOf() (netip.Prefix, bool) {
	a, err := netip.ParseAddr(p.id.text)
	bits := 128
	if p.prefix != nil {
		bits = int(min(p.prefix.value, 1000))
	}
	if err != nil || bits > 128 {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(netip.AddrFrom16(a.As16()), bits), true
}
