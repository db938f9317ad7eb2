package filter

import (
	"fmt"
	"strings"
)

// maxDepth is how deep parentheses, negations and indexes may be one in another.
const maxDepth = 200

// parser reads the language of pcap-filter(7) by recursive descent. What it
// takes and what it refuses is what libpcap's grammar does, whose rules are in
// the comments; there `and` and `or` bind alike, from the left.
type parser struct {
	text   string
	tokens []token
	at     int
	depth  int
	err    *Error // the first; from then on every token is the end
}

// parse returns nil for an expression without a word, which every packet matches.
func parse(text string) (expr, *Error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{text: text, tokens: tokens}
	if p.peek().kind == tokenEnd {
		return nil, nil
	}
	e := p.expression(qualifiers{}, false)
	if t := p.peek(); p.err == nil && t.kind != tokenEnd {
		p.unexpected(t, `expected "and", "or" or the end`)
	}
	return e, p.err
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) ahead(n int) token { return p.tokens[min(p.at+n, len(p.tokens)-1)] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

// is reports whether the next token is a keyword or symbol of this name.
func (p *parser) is(names ...string) bool {
	t := p.peek()
	if t.kind != tokenKeyword && t.kind != tokenSymbol {
		return false
	}
	for _, n := range names {
		if t.name == n {
			return true
		}
	}
	return false
}

func (p *parser) accept(name string) bool {
	if p.is(name) {
		p.at++
		return true
	}
	return false
}

// fail notes the first error and moves to the end, which ends every loop.
func (p *parser) fail(s span, problem, remedy string) *Error {
	if p.err == nil {
		p.err = &Error{Expression: p.text, Start: s.start, End: s.end, Problem: problem, Remedy: remedy}
	}
	p.at = len(p.tokens) - 1
	return p.err
}

// unexpected is the error for a token that cannot stand where it does.
func (p *parser) unexpected(t token, wanted string) {
	if p.err != nil {
		return
	}
	switch {
	case t.kind == tokenEnd:
		p.fail(t.span, "the expression ends too soon", wanted)
	case foreign[t.name] && t.kind == tokenKeyword:
		p.fail(t.span, fmt.Sprintf("%q is not in the built-in filter language", t.text), "").beyond = true
	case t.name == "protochain":
		p.fail(t.span, "protochain needs a program with loops, which no filter program can have",
			`name the protocols: "proto 6", or "ip6[6] = 44" for what is behind a fragment header`)
	case t.name == "gateway":
		p.fail(t.span, "gateway takes a host name, and host names are not looked up", `give the addresses: "ether host MAC and not host ADDR"`)
	default:
		p.fail(t.span, fmt.Sprintf("%q cannot stand here", t.text), wanted).beyond = true
	}
}

// enter counts a level of nesting; leave must follow.
func (p *parser) enter() bool {
	p.depth++
	if p.depth > maxDepth {
		p.fail(p.peek().span, fmt.Sprintf("more than %d parentheses, negations or indexes one in another", maxDepth), "write it flatter")
	}
	return p.err == nil
}

func (p *parser) leave() { p.depth-- }

// expression is `expr`: operands between `and` and `or`. q are the qualifiers
// that an address without any takes on, where one may stand first.
func (p *parser) expression(q qualifiers, idFirst bool) expr {
	x, q := p.operand(q, idFirst)
	return p.chain(x, q)
}

// chain goes on behind the first operand. An operand hands its qualifiers on to
// the next one.
func (p *parser) chain(x expr, q qualifiers) expr {
	for p.is("and", "or") {
		or := p.next().name == "or"
		var y expr
		y, q = p.operand(q, true)
		x = &both{or, x, y}
	}
	return x
}

// operand is `term`, or with id also an address that takes on q. It returns the
// qualifiers for the next one.
func (p *parser) operand(q qualifiers, id bool) (expr, qualifiers) {
	e, a, q := p.operandOrArith(q, id)
	if a != nil {
		p.unexpected(p.peek(), "expected a comparison: =, !=, <, <=, > or >=")
	}
	return e, q
}

// operandOrArith is operand where a number in parentheses may turn out to be
// there: then the arith is not nil.
func (p *parser) operandOrArith(q qualifiers, id bool) (expr, arith, qualifiers) {
	t := p.peek()
	switch {
	case p.accept("not"):
		if !p.enter() {
			return nil, nil, q
		}
		defer p.leave()
		x, q := p.operand(q, id)
		return &not{x}, nil, q
	case id && p.idAhead():
		return p.id(q), nil, q
	case p.is("("):
		return p.parenthesis(q)
	case p.arithAhead():
		return p.afterArith(t.span, p.binary(p.unary(), 0), q)
	}
	return p.term(q)
}

// idAhead reports whether an address, name or number stands here that takes on
// the qualifiers before: in parentheses, the first decides.
func (p *parser) idAhead() bool {
	n := 0
	for t := p.ahead(n); t.kind == tokenSymbol && (t.name == "(" || n > 0 && t.name == "not"); t = p.ahead(n) {
		n++
	}
	switch p.ahead(n).kind {
	case tokenIPv4, tokenIPv6, tokenMAC, tokenName:
		return true
	case tokenNumber:
		// Behind it and its parentheses, an operator makes it part of a term.
		for n++; p.ahead(n).name == ")" && p.ahead(n).kind == tokenSymbol; n++ {
		}
		t := p.ahead(n)
		return t.kind != tokenSymbol || t.name == "and" || t.name == "or" || t.name == "(" || t.name == "not"
	}
	return false
}

// id is `id`: an address, port or name, or several in parentheses.
func (p *parser) id(q qualifiers) expr {
	t := p.peek()
	switch {
	case p.is("not", "("):
		if !p.enter() {
			return nil
		}
		defer p.leave()
		p.next()
		if t.name == "not" {
			return &not{p.id(q)}
		}
		x := p.id(q)
		for p.is("and", "or") {
			or := p.next().name == "or"
			x = &both{or, x, p.id(q)}
		}
		p.close(t)
		return x
	case t.kind == tokenIPv4, t.kind == tokenIPv6, t.kind == tokenMAC, t.kind == tokenName, t.kind == tokenNumber:
		p.next()
		return p.primitive(q, t)
	}
	p.unexpected(t, "expected an address, a name or a number")
	return nil
}

// close takes the parenthesis that closes the one that was opened.
func (p *parser) close(opened token) {
	if t := p.peek(); p.err == nil && !p.accept(")") {
		if t.kind == tokenEnd {
			p.fail(opened.span, `this "(" is not closed`, `add ")"`)
			return
		}
		p.unexpected(t, `expected ")"`)
	}
}

// primitive is `nid` and `pnum`.
func (p *parser) primitive(q qualifiers, t token) expr {
	if q.kind == noKind { // there was an operand before, but none of an address
		p.misplaced(t)
		return nil
	}
	x := &primitive{q: q, id: t}
	isNumber := t.kind == tokenIPv4 || t.kind == tokenIPv6
	switch {
	case isNumber && p.accept("/"):
		n := p.next()
		if n.kind != tokenNumber {
			p.unexpected(n, "expected the length of the prefix, as in 10.0.0.0/8")
		}
		x.prefix = &n
	case t.kind == tokenIPv4 && p.accept("mask"):
		m := p.next()
		if m.kind != tokenIPv4 {
			p.unexpected(m, "expected a mask, as in 255.255.255.0")
		}
		x.mask = &m
	}
	return x
}

// parenthesis is `paren expr ')'`, or numbers in parentheses.
func (p *parser) parenthesis(q qualifiers) (expr, arith, qualifiers) {
	if !p.enter() {
		return nil, nil, q
	}
	defer p.leave()
	opened := p.next()
	x, a, inner := p.operandOrArith(q, false)
	if a == nil {
		x = p.chain(x, inner)
		p.close(opened)
		return x, nil, q
	}
	p.close(opened)
	return p.afterArith(opened.span, p.binary(a, 0), q)
}

// afterArith makes a relation of a number that a comparison follows. Where none
// does it hands the number on, for the parenthesis around it.
func (p *parser) afterArith(s span, a arith, q qualifiers) (expr, arith, qualifiers) {
	if !p.is("=", "!=", "<", "<=", ">", ">=") {
		return nil, a, q
	}
	op := p.next()
	b := p.binary(p.unary(), 0)
	s.end = p.tokens[max(p.at-1, 0)].end
	return &relation{s, op.name, a, b}, nil, qualifiers{}
}

// arithAhead reports whether a number begins here.
func (p *parser) arithAhead() bool {
	t := p.peek()
	if t.kind == tokenNumber || p.is("-", "len") {
		return true
	}
	_, proto := protocols[t.name]
	following := p.ahead(1)
	return t.kind == tokenKeyword && proto && following.kind == tokenSymbol && following.name == "["
}

// levels are the operators by how tightly they bind.
var levels = map[string]int{"|": 1, "&": 2, "<<": 3, ">>": 3, "+": 4, "-": 4, "*": 5, "/": 5,
	"^": untied, "%": untied}

// untied is the level of the operators that libpcap's grammar has forgotten in its
// list: they take on the right all that follows.
const untied = 6

// binary goes on behind a number with the operators that bind tighter than floor.
func (p *parser) binary(a arith, floor int) arith {
	for p.err == nil {
		t := p.peek()
		level := levels[t.name]
		if t.kind != tokenSymbol || level <= floor {
			break
		}
		p.next()
		if level == untied {
			level = 0
		}
		a = &operation{t.span, t.name, a, p.binary(p.unary(), level)}
	}
	return a
}

// unary is a number, a load, a negation, or numbers in parentheses.
func (p *parser) unary() arith {
	if !p.enter() {
		return number{}
	}
	defer p.leave()
	t := p.next()
	_, proto := protocols[t.name]
	switch {
	case t.kind == tokenNumber:
		return number{t.value}
	case t.kind == tokenKeyword && t.name == "len":
		return length{}
	case t.kind == tokenSymbol && t.name == "-":
		return &negation{p.binary(p.unary(), untied-1)}
	case t.kind == tokenSymbol && t.name == "(":
		a := p.binary(p.unary(), 0)
		p.close(t)
		return a
	case t.kind == tokenKeyword && proto && p.is("["):
		return p.load(t)
	}
	p.unexpected(t, "expected a number, len, or bytes of a header as in tcp[13]")
	return number{}
}

// load is `pname '[' arth ':' NUM ']'`.
func (p *parser) load(proto token) arith {
	open := p.next()
	l := &load{span: proto.span, proto: proto.name, size: 1}
	l.index = p.binary(p.unary(), 0)
	if p.accept(":") {
		size := p.next()
		if size.kind != tokenNumber || size.value != 1 && size.value != 2 && size.value != 4 {
			if size.kind == tokenEnd {
				p.unexpected(size, "expected how many bytes: 1, 2 or 4")
			}
			p.fail(size.span, fmt.Sprintf("%q bytes cannot be loaded at once", size.text), "give 1, 2 or 4")
		}
		l.size = size.value
	}
	t := p.peek()
	if !p.accept("]") {
		if t.kind == tokenEnd && p.err == nil {
			p.fail(open.span, `this "[" is not closed`, `add "]"`)
		}
		p.unexpected(t, `expected "]"`)
	}
	l.span = l.to(t.span)
	return l
}

// term is `rterm` but for parentheses and relations.
func (p *parser) term(q qualifiers) (expr, arith, qualifiers) {
	t := p.peek()
	if t.kind == tokenKeyword {
		if _, ok := protocols[t.name]; ok {
			return p.withProtocol()
		}
		switch t.name {
		case "src", "dst", "host", "net", "port", "portrange", "proto":
			return p.head(qualifiers{span: t.span})
		case "broadcast", "multicast", "inbound", "outbound", "less", "greater", "ifindex", "vlan", "mpls", "pppoed", "pppoes":
			p.next()
			return p.simple(t, ""), nil, qualifiers{}
		case "byte":
			return p.byteTest(), nil, qualifiers{}
		}
	}
	p.misplaced(t)
	return nil, nil, q
}

// misplaced is the error for what no term begins with.
func (p *parser) misplaced(t token) {
	switch t.kind {
	case tokenIPv4, tokenIPv6:
		p.fail(t.span, "an address alone says nothing", fmt.Sprintf(`write "host %s", "src host %s" or "net …"`, t.text, t.text))
	case tokenMAC:
		p.fail(t.span, "an address alone says nothing", fmt.Sprintf(`write "ether host %s"`, t.text))
	case tokenNumber:
		p.fail(t.span, "a number alone says nothing", fmt.Sprintf(`write "port %s" or "proto %s"`, t.text, t.text))
	case tokenName:
		remedy := `a condition begins with one of host, net, port, src, dst, proto, tcp, udp, ip, ip6, icmp, vlan, len, tcp[…]`
		if word := strings.ToLower(t.text); keywords[word] != "" {
			remedy = fmt.Sprintf("write it in lower case: %s", word)
		} else if _, ok := services[t.text]; ok {
			remedy = fmt.Sprintf(`for the service, write "port %s"`, t.text)
		}
		p.fail(t.span, fmt.Sprintf("%q is no word of the filter language", t.text), remedy).beyond = true
	default:
		p.unexpected(t, "expected a condition, as in: tcp port 443")
	}
}

// withProtocol is what begins with the name of a protocol.
func (p *parser) withProtocol() (expr, arith, qualifiers) {
	t := p.next()
	switch {
	case p.is("broadcast", "multicast"):
		return p.simple(p.next(), t.name), nil, qualifiers{}
	case p.is("src", "dst", "host", "net", "port", "portrange", "proto"):
		return p.head(qualifiers{span: t.span, proto: t.name})
	}
	if n := p.peek(); n.kind == tokenKeyword && foreign[n.name] || p.is("gateway", "protochain") {
		p.unexpected(n, "")
	} else if n.kind == tokenName && n.text[0] != '\\' {
		p.fail(n.span, fmt.Sprintf("%q is no word of the filter language", n.text),
			fmt.Sprintf("behind %q stands host, net, port, portrange, proto, src or dst, or \"and\" and \"or\"", t.text)).beyond = true
	}
	return &abbreviation{t.span, t.name}, nil, qualifiers{}
}

// head is `head id`: qualifiers, and what they are of.
func (p *parser) head(q qualifiers) (expr, arith, qualifiers) {
	q.dir = p.direction()
	q.kind = hostKind
	if kind, ok := idKinds[p.peek().name]; ok && p.peek().kind == tokenKeyword && (kind != protoKind || q.dir == anyDirection) {
		q.kind = kind
		q.span = q.to(p.next().span)
	}
	if p.err == nil && !p.is("not") && !p.idStart() {
		p.wantedID(q)
		return nil, nil, q
	}
	return p.id(q), nil, q
}

func (p *parser) idStart() bool {
	switch p.peek().kind {
	case tokenIPv4, tokenIPv6, tokenMAC, tokenName, tokenNumber:
		return true
	}
	return p.is("(")
}

// wantedID is the error for what no address is behind its qualifiers.
func (p *parser) wantedID(q qualifiers) {
	t := p.peek()
	wanted := map[idKind]string{
		hostKind: "expected an address, as in: host 10.0.0.1", netKind: "expected a network, as in: net 10.0.0.0/8",
		portKind: "expected a port, as in: port 443", portRangeKind: "expected two ports, as in: portrange 8000-8080",
		protoKind: "expected the number or name of a protocol, as in: proto 6",
	}[q.kind]
	if t.kind == tokenKeyword && q.kind == protoKind && !foreign[t.name] {
		p.fail(t.span, fmt.Sprintf("%q is a keyword", t.text), fmt.Sprintf(`behind "proto" write \%s, or the number`, t.text))
		return
	}
	p.unexpected(t, wanted)
}

// direction is `dqual`.
func (p *parser) direction() direction {
	if !p.is("src", "dst") {
		return anyDirection
	}
	first := p.next()
	other := map[string]string{"src": "dst", "dst": "src"}[first.name]
	second := p.ahead(1)
	if p.is("or", "and") && second.kind == tokenKeyword && second.name == other {
		// Not so in `src 10.0.0.1 and dst port 80`: there an address is between.
		joint := p.next()
		p.next()
		if joint.name == "or" {
			return srcOrDst
		}
		return srcAndDst
	}
	if first.name == "src" {
		return src
	}
	return dst
}

// simple is a word with a number behind it where it takes one.
func (p *parser) simple(t token, proto string) expr {
	x := &simple{span: t.span, word: t.name, proto: proto}
	switch t.name {
	case "less", "greater", "ifindex":
		n := p.next()
		if n.kind != tokenNumber {
			p.unexpected(n, fmt.Sprintf("expected a number behind %q", t.text))
		}
		x.number = &n
	case "vlan", "mpls", "pppoes":
		x.number = p.bracketed()
	}
	if x.number != nil {
		x.span = x.to(x.number.span)
	}
	return x
}

// bracketed is `pnum` where one may stand: a number, in parentheses or not.
func (p *parser) bracketed() *token {
	n := 0
	for t := p.ahead(n); t.kind == tokenSymbol && t.name == "("; t = p.ahead(n) {
		n++
	}
	t := p.ahead(n)
	if t.kind != tokenNumber {
		return nil
	}
	opened := p.peek()
	p.at += n + 1
	for ; n > 0; n-- {
		p.close(opened)
	}
	return &t
}

// byteTest is `CBYTE NUM byteop NUM`.
func (p *parser) byteTest() expr {
	word := p.next()
	at, op, v := p.next(), p.next(), p.next()
	switch {
	case at.kind != tokenNumber:
		p.unexpected(at, `expected the number of a byte, as in: byte 0 = 69`)
	case op.kind == tokenSymbol && (op.name == "&" || op.name == "|"):
		// What libpcap compiles of it does not look at the packet.
		p.fail(op.span, fmt.Sprintf("byte with %q is not supported", op.text), fmt.Sprintf("write ether[%s] %s %s != 0", at.text, op.text, v.text))
	case op.kind != tokenSymbol || op.name != "=" && op.name != "<" && op.name != ">":
		p.unexpected(op, "expected =, < or >")
	case v.kind != tokenNumber:
		p.unexpected(v, "expected a number")
	}
	return &byteTest{word.to(v.span), op.name, at, v}
}
