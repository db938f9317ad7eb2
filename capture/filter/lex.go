package filter

import (
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// tokenKind is what a token is, as in libpcap's scanner.
type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenSymbol           // an operator or a bracket
	tokenKeyword
	tokenNumber
	tokenIPv4 // two to four numbers between dots
	tokenIPv6
	tokenMAC
	tokenName // any other word, or one behind a backslash
)

// token is one word of an expression.
type token struct {
	span
	kind  tokenKind
	text  string // as written
	name  string // of keywords and symbols, one for all spellings
	value uint32 // of numbers
}

// The patterns of libpcap's scanner. As there, the longest match counts, and of
// two as long the one that stands first here.
var (
	macPattern = longest(`[[:xdigit:]]{1,2}(:[[:xdigit:]]{1,2}){5}` +
		`|[[:xdigit:]]{1,2}(-[[:xdigit:]]{1,2}){5}` +
		`|[[:xdigit:]]{1,2}(\.[[:xdigit:]]{1,2}){5}` +
		`|[[:xdigit:]]{4}\.[[:xdigit:]]{4}\.[[:xdigit:]]{4}` +
		`|[[:xdigit:]]{12}`)
	numberPattern  = longest(`0[xX][[:xdigit:]]+|[0-9]+`)
	ipv4Pattern    = longest(`[0-9]+(\.[0-9]+){1,3}`)
	ipv6Pattern    = longest(`[[:xdigit:]:]*:[[:xdigit:]:]*(:[0-9]+(\.[0-9]+){3})?`)
	namePattern    = longest(`[A-Za-z0-9]([-_.A-Za-z0-9]*[.A-Za-z0-9])?`)
	escapedPattern = longest(`\\[^ !()\n\t]+`)
)

func longest(pattern string) *regexp.Regexp {
	re := regexp.MustCompile("^(?:" + pattern + ")")
	re.Longest()
	return re
}

// symbols are the operators by their spelling, the longer ones first.
var symbols = []struct{ text, name string }{
	{"&&", "and"}, {"||", "or"}, {">=", ">="}, {"<=", "<="}, {"!=", "!="}, {"==", "="}, {"<<", "<<"}, {">>", ">>"},
	{"+", "+"}, {"-", "-"}, {"*", "*"}, {"/", "/"}, {"%", "%"}, {":", ":"}, {"[", "["}, {"]", "]"}, {"!", "not"},
	{"<", "<"}, {">", ">"}, {"(", "("}, {")", ")"}, {"&", "&"}, {"|", "|"}, {"^", "^"}, {"=", "="},
}

// lex cuts an expression into tokens; the last is tokenEnd.
func lex(expression string) ([]token, *Error) {
	var list []token
	for at := 0; ; {
		rest := strings.TrimLeft(expression[at:], " \t\r\n")
		at = len(expression) - len(rest)
		if rest == "" {
			return append(list, token{span: span{at, at}, text: "the end"}), nil
		}
		t, problem := scan(rest)
		t.span = span{at, at + len(t.text)}
		if problem != "" {
			return nil, &Error{Expression: expression, Start: t.start, End: t.end, Problem: problem}
		}
		list = append(list, t)
		at = t.end
	}
}

// scan reads the token that s begins with. The patterns cannot match nothing
// where s begins with no blank, but for what no token begins with.
func scan(s string) (token, string) {
	best := token{}
	try := func(kind tokenKind, text string) {
		if len(text) > len(best.text) {
			best = token{kind: kind, text: text, name: text}
		}
	}
	word := namePattern.FindString(s)
	if name, ok := keywords[word]; ok {
		try(tokenKeyword, word)
		best.name = name
	}
	try(tokenMAC, macPattern.FindString(s))
	try(tokenNumber, numberPattern.FindString(s))
	try(tokenIPv4, ipv4Pattern.FindString(s))
	try(tokenIPv6, ipv6Prefix(s))
	try(tokenName, word)
	if best.text != "" {
		return classify(best)
	}
	if escaped := escapedPattern.FindString(s); escaped != "" {
		return token{kind: tokenName, text: escaped, name: escaped[1:]}, ""
	}
	for _, y := range symbols {
		if strings.HasPrefix(s, y.text) {
			return token{kind: tokenSymbol, text: y.text, name: y.name}, ""
		}
	}
	first := string([]rune(s)[0])
	return token{text: s[:min(len(first), len(s))]}, "no word of the filter language begins with " + strconv.Quote(first)
}

// ipv6Prefix is the longest beginning of s that is an IPv6 address.
func ipv6Prefix(s string) string {
	for text := ipv6Pattern.FindString(s); len(text) > 1; text = text[:len(text)-1] {
		if a, err := netip.ParseAddr(text); err == nil && a.Is6() {
			return text
		}
	}
	return ""
}

// classify gives numbers their value, and names that stand for a number.
func classify(t token) (token, string) {
	switch t.kind {
	case tokenName:
		if v, ok := constants[t.text]; ok {
			t.kind, t.value = tokenNumber, v
		}
	case tokenNumber:
		v, err := strconv.ParseUint(t.text, 0, 64)
		switch {
		case err != nil && strings.HasPrefix(t.text, "0") && strings.ContainsAny(t.text, "89"):
			return t, t.text + " begins with 0, so it is octal, but has a digit that is not"
		case err != nil || v > math.MaxUint32:
			return t, t.text + " is larger than 32 bits hold"
		}
		t.value = uint32(v)
	}
	return t, ""
}
