package agree

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// Version returns what `tshark --version` says first: "4.0.17".
func Version() (string, error) {
	out, err := exec.Command("tshark", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("tshark: %w", err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	for _, w := range strings.Fields(line) {
		if w[0] >= '0' && w[0] <= '9' {
			return strings.TrimSuffix(w, "."), nil
		}
	}
	return "", fmt.Errorf("tshark --version says %q", line)
}

// fixed are the fields that every layer needs; those of the counters follow.
var fixed = []string{"frame.number", "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst",
	"tcp.srcport", "tcp.dstport", "tcp.stream", "tcp.completeness"}

const (
	fieldFrame = iota
	fieldProtocols
	fieldSrc4
	fieldDst4
	fieldSrc6
	fieldDst6
	fieldSrcPort
	fieldDstPort
	fieldStream
	fieldCompleteness
)

// layer is one TCP header in a frame, as tshark sees it.
type layer struct {
	frame        int
	quoted       bool // in an ICMP error
	src, dst     netip.AddrPort
	stream       int
	completeness int
	flags        [numCounters]bool
}

// Tshark asks tshark for the streams of a file, in their order. args are what
// it must be told to read the file.
func Tshark(file string, args []string) ([]Stream, error) {
	layers, err := tsharkFields(file, args)
	if err != nil {
		return nil, err
	}
	return streams(layers), nil
}

// tsharkFields runs tshark with -2, so that completeness is final. A frame with
// several TCP headers does not tell whose a flag is: those are asked for again.
func tsharkFields(file string, args []string) (layers []layer, err error) {
	names := slices.Clone(fixed)
	for _, c := range counters {
		names = append(names, c.fields...)
	}
	command := append([]string{"-2", "-n", "-r", file, "-Y", "tcp", "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=,"}, args...)
	for _, name := range names {
		command = append(command, "-e", name)
	}
	out, err := run(command)
	if err != nil {
		return nil, err
	}
	var several []string
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		f := strings.Split(lines.Text(), "\t")
		if len(f) != len(names) {
			return nil, fmt.Errorf("%s: tshark printed %q", file, lines.Text())
		}
		if f[fieldStream] == "" {
			continue // an ICMP error that quotes ports and sequence number only
		}
		if strings.Contains(f[fieldStream], ",") {
			several = append(several, f[fieldFrame])
			continue
		}
		l, err := parseFields(f)
		if err != nil {
			return nil, fmt.Errorf("%s: frame %s: %w", file, f[fieldFrame], err)
		}
		layers = append(layers, l)
	}
	if len(several) > 0 {
		more, err := tsharkLayers(file, args, several)
		if err != nil {
			return nil, err
		}
		layers = append(layers, more...)
		slices.SortStableFunc(layers, func(a, b layer) int { return a.frame - b.frame })
	}
	return layers, lines.Err()
}

func run(args []string) ([]byte, error) {
	cmd := exec.Command("tshark", args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	var status *exec.ExitError
	if errors.As(err, &status) && len(out) > 0 {
		return out, nil // a capture that ends inside a frame: what comes before it counts
	}
	if err != nil {
		return nil, fmt.Errorf("tshark: %w: %s", err, strings.TrimSpace(complaint.String()))
	}
	return out, nil
}

// parseFields reads a line with one TCP header. The addresses are those of the
// IP header right before it.
func parseFields(f []string) (l layer, err error) {
	protocols := strings.Split(f[fieldProtocols], ":")
	at := len(protocols) - 1
	for at >= 0 && protocols[at] != "tcp" && protocols[at] != "mptcp" {
		at--
	}
	for at >= 0 && protocols[at] != "ip" && protocols[at] != "ipv6" {
		at--
	}
	if at < 0 {
		return l, fmt.Errorf("no IP header in %s", f[fieldProtocols])
	}
	l.quoted = slices.Contains(protocols[:at], "icmp") || slices.Contains(protocols[:at], "icmpv6")
	src, dst := f[fieldSrc4], f[fieldDst4]
	if protocols[at] == "ipv6" {
		src, dst = f[fieldSrc6], f[fieldDst6]
	}
	numbers := [...]string{f[fieldFrame], f[fieldStream], f[fieldCompleteness]}
	var n [len(numbers)]int
	for i, text := range numbers {
		if n[i], err = strconv.Atoi(text); err != nil {
			return l, err
		}
	}
	l.frame, l.stream, l.completeness = n[0], n[1], n[2]
	if l.src, err = endpoint(src, f[fieldSrcPort]); err != nil {
		return l, err
	}
	if l.dst, err = endpoint(dst, f[fieldDstPort]); err != nil {
		return l, err
	}
	rest := f[len(fixed):]
	for c := range counters {
		for range counters[c].fields {
			l.flags[c] = l.flags[c] || rest[0] != ""
			rest = rest[1:]
		}
	}
	return l, nil
}

// endpoint is the last of the addresses with the port.
func endpoint(addrs, port string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(addrs[strings.LastIndexByte(addrs, ',')+1:])
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port[strings.LastIndexByte(port, ',')+1:], 10, 16)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), err
}

// tsharkLayers reads every TCP header of some frames, as PDML has them: one
// after the other, the IP headers before them.
func tsharkLayers(file string, args, frames []string) ([]layer, error) {
	out, err := run(append([]string{"-2", "-n", "-r", file, "-T", "pdml", "-Y", "frame.number in {" + strings.Join(frames, ",") + "}"}, args...))
	if err != nil {
		return nil, err
	}
	return parsePDML(bytes.NewReader(out))
}

// parsePDML reads the layers of all frames.
func parsePDML(r io.Reader) (layers []layer, err error) {
	var row []string
	quoted := false
	protocols := ""
	value := map[string]string{}
	end := func() error {
		if row == nil {
			return nil
		}
		for i, name := range fixed[fieldSrcPort:] {
			row[fieldSrcPort+i] = value[name]
		}
		for _, c := range counters {
			for _, name := range c.fields {
				row = append(row, value[name])
			}
		}
		l, err := parseFields(row)
		l.quoted = quoted
		layers = append(layers, l)
		row = nil
		return err
	}
	x := xml.NewDecoder(r)
	for {
		token, err := x.Token()
		if err == io.EOF {
			return layers, end()
		} else if err != nil {
			return nil, fmt.Errorf("tshark -T pdml: %w", err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		name, show := attribute(start, "name"), attribute(start, "show")
		switch {
		case start.Name.Local == "packet":
			err = end()
			quoted, protocols, value = false, "", map[string]string{}
		case start.Name.Local == "proto" && (name == "icmp" || name == "icmpv6"):
			quoted = true
		case start.Name.Local == "proto" && name == "tcp":
			err = end()
			row = []string{value["frame.number"], protocols + ":tcp", value["ip.src"], value["ip.dst"], value["ipv6.src"], value["ipv6.dst"], "", "", "", ""}
			for _, c := range counters {
				for _, f := range c.fields {
					delete(value, f)
				}
			}
		case start.Name.Local == "proto" && (name == "ip" || name == "ipv6"):
			err = end()
			protocols = name
		case start.Name.Local == "field":
			if name == "tcp.stream" || name == "tcp.completeness" || name == "tcp.srcport" || name == "tcp.dstport" ||
				strings.HasPrefix(name, "tcp.analysis.") || strings.HasPrefix(name, "ip") || name == "frame.number" {
				value[name] = show + orOne(show)
			}
		}
		if err != nil {
			return nil, err
		}
	}
}

// orOne stands for a field that has no value: that it is there says all.
func orOne(show string) string {
	if show == "" {
		return "1"
	}
	return ""
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// streams sums the layers up.
func streams(layers []layer) (all []Stream) {
	at := map[int]int{}
	for _, l := range layers {
		i, ok := at[l.stream]
		if !ok {
			i = len(all)
			at[l.stream] = i
			all = append(all, Stream{Number: l.stream, First: l.frame, Side: [2]netip.AddrPort{l.src, l.dst}})
		}
		s := &all[i]
		s.Last = l.frame
		s.Completeness = l.completeness
		if l.quoted {
			continue
		}
		s.Segments++
		side := 0
		if l.src != s.Side[0] {
			side = 1
		}
		for c, set := range l.flags {
			if set {
				s.Counts[side][c]++
			}
		}
	}
	slices.SortFunc(all, func(a, b Stream) int { return a.Number - b.Number })
	return all
}
