package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// advised is a part of what to do next: a sentence, or a command to copy.
type advised struct {
	text    string
	command bool
}

// programs are what a command begins with in Detector.Next.
var programs = []string{"arping", "cat", "conntrack", "dmesg", "editcap", "ethtool", "ip", "iptables", "journalctl", "lsof",
	"mtr", "nft", "nstat", "ping", "ps", "ss", "sysctl", "systemctl", "tcpdump", "top", "tracepath", "traceroute", "tshark"}

// advice takes Detector.Next apart: its items end with "; ", and one that has a
// command may say before it where, with a colon, and behind it what to look for, in
// parentheses or with a colon. What is in parentheses becomes the command's comment.
func advice(next string) (list []advised) {
	say := func(text string) {
		n := len(list)
		switch {
		case text == "":
		case n == 0 || list[n-1].command:
			list = append(list, advised{text: text})
		default:
			list[n-1].text += "; " + text
		}
	}
	for _, item := range cuts(next, "; ") {
		lead, rest, found := commandIn(item)
		if !found {
			say(item)
			continue
		}
		say(lead)
		command, remark := remarkBehind(rest)
		list = append(list, advised{command, true})
		say(remark)
	}
	return list
}

// commandIn finds a command at the beginning of an item, or behind a colon or a
// question.
func commandIn(item string) (lead, command string, found bool) {
	rest := item
	for {
		if word, _, _ := strings.Cut(rest, " "); slices.Contains(programs, word) {
			return strings.TrimSuffix(item[:len(item)-len(rest)], " "), rest, true
		}
		colon, question := len(cuts(rest, ": ")[0]), len(cuts(rest, "? ")[0])
		end := min(colon, question) + len(": ")
		if end > len(rest) {
			return "", "", false
		}
		rest = rest[end:]
	}
}

// remarkBehind tells a command from what follows it and is not of it.
func remarkBehind(text string) (command, remark string) {
	if parts := cuts(text, ": "); len(parts) > 1 {
		return parts[0], strings.TrimPrefix(text[len(parts[0]):], ": ")
	}
	if parts := cuts(text, " ("); len(parts) == 2 && strings.HasSuffix(text, ")") {
		return parts[0] + "  # " + strings.TrimSuffix(parts[1], ")"), ""
	}
	return text, ""
}

// cuts splits text at a separator, but not within single quotes or parentheses. An
// apostrophe within or behind a word is no quote.
func cuts(text, separator string) (list []string) {
	from, depth, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		if !quoted && depth == 0 && i >= from && strings.HasPrefix(text[i:], separator) {
			list = append(list, text[from:i])
			from = i + len(separator)
		}
		switch c := text[i]; {
		case c == '\'' && (quoted || i == 0 || text[i-1] == ' '):
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
	}
	return append(list, text[from:])
}

// WrapAdvice is Wrap for Detector.Next: each command stands on a line of its own,
// however long, so that it can be copied.
func WrapAdvice(out io.Writer, prefix, next string, limit int) {
	under := strings.Repeat(" ", width(prefix))
	for i, a := range advice(next) {
		switch {
		case i > 0 && a.command:
			prefix = under + "  "
		case i > 0:
			prefix = under
		}
		if a.command {
			fmt.Fprintln(out, prefix+a.text)
			continue
		}
		Wrap(out, prefix, a.text, limit)
	}
}
