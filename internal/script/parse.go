package script

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Parse reads the scripts of one file. Errors begin with the line.
func Parse(base, text string) ([]*Script, error) {
	var all []*Script
	var s *Script
	section := ""
	begin := func(name string) {
		s = &Script{Name: name, Blocks: []Block{{}}, History: map[string]Want{}}
		section = ""
	}
	end := func(line int) error {
		if s == nil || len(s.Blocks[0].Lines) == 0 && s.Why == "" {
			return nil
		}
		if err := s.check(); err != nil {
			return fmt.Errorf("%d: %s: %v", line, s.Name, err)
		}
		all = append(all, s)
		return nil
	}
	begin(base)
	for i, raw := range strings.Split(text, "\n") {
		line := strings.TrimSpace(raw)
		var err error
		switch {
		case strings.HasPrefix(line, "== "):
			err = end(i)
			begin(base + "/" + strings.ReplaceAll(strings.TrimSpace(line[3:]), " ", "_"))
		case line == "":
		case strings.HasPrefix(line, "----"):
			section = strings.TrimSpace(strings.TrimLeft(line, "-"))
			if section == "" {
				section = "states"
			}
			s.Asked = s.Asked || section == "findings"
		case strings.HasPrefix(line, "# ") && section == "":
			s.Why = squeeze(s.Why + " " + line[2:])
		case section == "":
			err = s.parseLine(line, i+1)
		default:
			err = s.parseWant(section, Want{line, i + 1})
		}
		if err != nil {
			return nil, fmt.Errorf("%d: %v", i+1, err)
		}
	}
	if err := end(strings.Count(text, "\n")); err != nil {
		return nil, err
	}
	return all, nil
}

func (s *Script) check() error {
	segments := 0
	for _, b := range s.Blocks {
		for _, l := range b.Lines {
			if l.Packet() {
				segments++
			}
		}
	}
	switch {
	case s.Why == "":
		return fmt.Errorf("no reason: begin with a # line that says why the script exists")
	case segments == 0:
		return fmt.Errorf("no segments")
	case len(s.States) != 0 && len(s.States) != segments:
		return fmt.Errorf("%d segments and %d lines of states", segments, len(s.States))
	case len(s.States)+len(s.Final)+len(s.History)+len(s.Zeek)+len(s.Over) == 0 && !s.Asked:
		return fmt.Errorf("expects nothing")
	}
	return nil
}

func (s *Script) parseWant(section string, w Want) error {
	switch name, arg, _ := strings.Cut(section, " "); name {
	case "states":
		s.States = append(s.States, w)
	case "final":
		s.Final = append(s.Final, w)
	case "findings":
		s.Findings = append(s.Findings, w)
	case "zeek":
		s.Zeek = append(s.Zeek, w)
	case "history":
		old := s.History[arg]
		s.History[arg] = Want{squeeze(old.Text + " " + w.Text), w.Line}
	default:
		return fmt.Errorf("unknown section %q", section)
	}
	return nil
}

// parseLine reads a line above the dashes.
func (s *Script) parseLine(text string, line int) error {
	words := strings.Fields(text)
	var at int64
	b := &s.Blocks[len(s.Blocks)-1]
	if n := len(b.Lines); n > 0 {
		at = b.Lines[n-1].at
	}
	switch words[0] {
	case "given":
		b.given = true
		if squeeze(text) != "given a ESTABLISHED b ESTABLISHED" {
			return fmt.Errorf("only `given a ESTABLISHED b ESTABLISHED` is known")
		}
		return nil
	case "flows":
		return s.parseBlock(words[1:])
	case "one":
		s.one = words[1]
		if s.one != "socket" && s.one != "host" {
			return fmt.Errorf("a and b may be `one socket` or `one host`")
		}
		return nil
	case "over":
		s.Over = append(s.Over, words[1:])
		return nil
	case "snaplen":
		n, err := strconv.Atoi(words[1])
		s.SnapLen = n
		return err
	case "os":
		p, ok := analyzer.ProfileNamed(words[1])
		s.profile = p
		if !ok {
			return fmt.Errorf("unknown profile %q", words[1])
		}
		return nil
	case "stuck-after":
		return s.parseStuck(words[1])
	case "wait":
		d, err := time.ParseDuration(words[1])
		b.Lines = append(b.Lines, Line{Text: text, Line: line, Wait: true, at: at + int64(d)})
		return err
	case "dropped":
		l := Line{Text: text, Line: line, at: at, Lost: new(analyzer.Loss)}
		b.Lines = append(b.Lines, l)
		return l.parseLoss(words[1:])
	case "icmp":
		l := Line{Text: text, Line: line, at: at + 1e6}
		err := l.parseICMP(words[1:])
		b.Lines = append(b.Lines, l)
		return err
	}
	l := Line{Text: text, Line: line, at: at + 1e6, auto: true}
	if len(b.Lines) == 0 {
		l.at = 0
	}
	if err := l.parseSegment(words, at); err != nil {
		return err
	}
	b.Lines = append(b.Lines, l)
	return nil
}

// parseBlock reads `120 apart 10ms by port client at 5s`: what follows happens
// that often.
func (s *Script) parseBlock(w []string) (err error) {
	if first := &s.Blocks[0]; len(s.Blocks) > 1 || first.flows > 0 {
		s.Blocks = append(s.Blocks, Block{})
	} else if len(first.Lines) > 0 {
		return fmt.Errorf("`flows` comes before all segments")
	}
	b := &s.Blocks[len(s.Blocks)-1]
	for i := 1; i < len(w) && err == nil; i++ {
		var d time.Duration
		word, _, _ := strings.Cut(w[i], "%")
		switch word {
		case "to":
			if i++; i == len(w) {
				return fmt.Errorf("`to` lacks its port")
			}
			n, bad := strconv.ParseUint(w[i], 10, 16)
			b.to, err = uint16(n), bad
		case "apart", "at":
			if i++; i == len(w) {
				return fmt.Errorf("%q lacks its duration", w[i-1])
			}
			d, err = time.ParseDuration(w[i])
			if w[i-1] == "at" {
				b.at = int64(d)
			} else {
				b.apart = int64(d)
			}
		case "by":
		case "port", "client", "server", "service":
			b.by = append(b.by, w[i])
		default:
			return fmt.Errorf("unknown word %q: want `flows N [apart D] [by port|client|server|service…] [to PORT] [at D]`", w[i])
		}
	}
	if err != nil {
		return err
	}
	b.flows, err = strconv.Atoi(w[0])
	return err
}

func (s *Script) parseStuck(word string) error {
	name, value, in := strings.Cut(word, "=")
	if !in {
		value = name
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		return err
	}
	if !in {
		s.stuck = &d
		return nil
	}
	st, ok := analyzer.ParseState(name)
	if !ok {
		return fmt.Errorf("unknown state %q", name)
	}
	if s.stuckIn == nil {
		s.stuckIn = map[analyzer.State]time.Duration{}
	}
	s.stuckIn[st] = d
	return nil
}

// parseLoss reads `50 of 1000 @0s..10s`: so many frames were dropped between two
// times after the start, which may be negative.
func (l *Line) parseLoss(w []string) error {
	usage := errors.New("want `dropped N of N @FROM..TO`")
	if len(w) != 4 || w[1] != "of" || !strings.HasPrefix(w[3], "@") {
		return usage
	}
	from, to, found := strings.Cut(w[3][1:], "..")
	if !found {
		return usage
	}
	dropped, err1 := strconv.ParseUint(w[0], 10, 64)
	frames, err2 := strconv.ParseUint(w[2], 10, 64)
	begin, err3 := time.ParseDuration(from)
	end, err4 := time.ParseDuration(to)
	*l.Lost = analyzer.Loss{From: Start + int64(begin), To: Start + int64(end), Frames: frames, Dropped: dropped}
	return errors.Join(err1, err2, err3, err4)
}

// parseICMP reads `unreachable a seq 100 [type 3] [code 13] [mtu 1400]`: the
// error quotes a segment of a.
func (l *Line) parseICMP(w []string) error {
	u := &analyzer.Unreachable{Type: 3, Code: 1, From: analyzer.AddrFrom4([4]byte{10, 0, 9, 9})}
	l.ICMP = u
	if len(w) < 4 || w[0] != "unreachable" || w[1] != "a" && w[1] != "b" {
		return fmt.Errorf("want `icmp unreachable a seq N [type N] [code N] [mtu N]`")
	}
	l.from = int(w[1][0] - 'a')
	for i := 2; i+1 < len(w); i += 2 {
		if l.onWire(w[i:]) {
			continue
		}
		n, err := strconv.ParseUint(w[i+1], 10, 32)
		if err != nil {
			return err
		}
		switch w[i] {
		case "seq":
			u.Seq = analyzer.Seq(n)
		case "type":
			u.Type = uint8(n)
		case "code":
			u.Code = uint8(n)
		case "mtu":
			u.MTU = uint32(n)
		}
	}
	return nil
}

// flagLetters has tcpdump's letters in header order.
const flagLetters = "FSRP.UEW"

// parseSegment reads `a > b  F.  100:200(100)  ack 300  win 1024 …`.
func (l *Line) parseSegment(w []string, before int64) error {
	if len(w) < 5 || w[1] != ">" || w[0] == w[2] || !strings.Contains("ab", w[0]) || !strings.Contains("ab", w[2]) {
		return fmt.Errorf("want `a > b FLAGS seq:end …`, got %q", l.Text)
	}
	l.from = int(w[0][0] - 'a')
	x := &l.seg
	x.Window = 65535
	for _, c := range strings.TrimPrefix(w[3], "none") {
		i := strings.IndexRune(flagLetters, c)
		if i < 0 {
			return fmt.Errorf("unknown flag %q", c)
		}
		x.Flags |= 1 << i
	}
	if err := parseRange(x, w[4]); err != nil {
		return err
	}
	for i := 5; i < len(w); i++ {
		if strings.HasPrefix(w[i], "@") {
			if err := l.parseTime(w[i][1:], before); err != nil {
				return err
			}
			continue
		}
		n, err := l.parseWord(w[i:])
		if err != nil {
			return err
		}
		i += n
	}
	if x.Flags&analyzer.ACK != 0 && !slices.Contains(w, "ack") {
		return fmt.Errorf("flags say ACK, but there is no ack: %q", l.Text)
	}
	return nil
}

// parseWord reads one word of a segment and what belongs to it, and returns
// how many words that was.
func (l *Line) parseWord(w []string) (int, error) {
	x := &l.seg
	o := &x.Options
	switch w[0] {
	case "frag":
		x.Fragment = true
		return 0, nil
	case "df":
		x.DontFragment = true
		return 0, nil
	case "sackOK":
		o.Set |= analyzer.OptSACKPermitted
		return 0, nil
	case "tfo":
		o.Set |= analyzer.OptFastOpen
		return 0, nil
	}
	if len(w) < 2 {
		return 0, fmt.Errorf("%q lacks its number", w[0])
	}
	if l.onWire(w) {
		return 1, nil
	}
	if w[0] == "sack" {
		from, to, _ := strings.Cut(w[1], ":")
		o.Set |= analyzer.OptSACK
		return 1, errors.Join(parseSeq(&x.SACK[0], from), parseSeq(&x.SACK[1], to))
	}
	n, err := strconv.ParseUint(w[1], 10, 32)
	if err != nil {
		return 0, err
	}
	switch w[0] {
	case "ack":
		x.Ack = analyzer.Seq(n)
	case "win":
		x.Window = uint16(n)
	case "id":
		x.IPID, l.auto = uint16(n), false
	case "ttl":
		x.TTL = uint8(n)
	case "sum":
		x.Checksum = uint16(n)
	case "payload":
		x.HeaderSum = n
		if x.Checksum == 0 {
			x.Checksum = uint16(n)
		}
	case "ts":
		o.Set |= analyzer.OptTimestamps
		o.TSVal = uint32(n)
	case "ecr":
		o.TSEcr = uint32(n)
	case "mss":
		o.Set |= analyzer.OptMSS
		o.MSS = uint16(n)
	case "ws":
		o.Set |= analyzer.OptWindowScale
		o.WindowScale = uint8(n)
	default:
		return 0, fmt.Errorf("unknown word %q", w[0])
	}
	return 1, nil
}

// WireWords say what a segment or an ICMP error is as a packet, where nothing
// that the tracker is given says so: each is followed by one word.
var WireWords = []string{"opt", "urg", "quote", "over"}

// onWire takes one of WireWords.
func (l *Line) onWire(w []string) bool {
	if !slices.Contains(WireWords, w[0]) {
		return false
	}
	if l.Wire == nil {
		l.Wire = map[string]string{}
	}
	l.Wire[w[0]] = w[1]
	return true
}

func parseSeq(q *analyzer.Seq, w string) error {
	n, err := strconv.ParseUint(w, 10, 32)
	*q = analyzer.Seq(n)
	return err
}

// parseRange reads `100`, `100:200` or `100:200(100)`. A script may let the
// numbers wrap: 4294967290:4.
func parseRange(x *analyzer.Segment, w string) error {
	w, _, _ = strings.Cut(w, "(")
	from, to, ranged := strings.Cut(w, ":")
	n, err := strconv.ParseUint(from, 10, 32)
	x.Seq = analyzer.Seq(n)
	if err != nil || !ranged {
		return err
	}
	n, err = strconv.ParseUint(to, 10, 32)
	x.Len = uint32(analyzer.Seq(n) - x.Seq)
	return err
}

// parseTime reads `+200ms` (after the line before) or `1.5s` (after the start).
func (l *Line) parseTime(w string, before int64) error {
	d, err := time.ParseDuration(strings.TrimPrefix(w, "+"))
	l.at = int64(d)
	if strings.HasPrefix(w, "+") || strings.HasPrefix(w, "-") {
		l.at += before
	}
	return err
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
