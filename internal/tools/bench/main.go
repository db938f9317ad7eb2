//go:build unix

// Bench measures analyze on synthetic captures beside other tools, each in turn
// so that the machine's moods fall on all, and prints what came of the goals as
// Markdown: docs/benchmarks.md is its output. The captures stay in a cache
// folder, some 8 GB of them at full size. Tools that are not installed are left
// out.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// options are the flags.
type options struct {
	cache   string
	before  string
	write   string
	scale   float64
	runs    int
	maxOpen int
	slow    bool
}

func main() {
	var o options
	flag.StringVar(&o.cache, "cache", "", "folder that keeps the captures (default: one in the user's cache folder)")
	flag.StringVar(&o.before, "before", "", "another build of tcpflow-states, to be measured beside this one")
	flag.StringVar(&o.write, "write", "", "file for the result, beside standard output")
	flag.Float64Var(&o.scale, "scale", 1, "size of the captures: 0.05 is for a quick look")
	flag.IntVar(&o.runs, "runs", 5, "rounds; medians of them count")
	flag.IntVar(&o.maxOpen, "open", 5_000_000, "the most flows held at once, before scale")
	flag.BoolVar(&o.slow, "slow", true, "also run tshark and tcptrace, once each")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	w, err := newWorkshop(o.cache)
	if err != nil {
		return err
	}
	own, err := w.build("cmd/tcpflow-states")
	if err != nil {
		return err
	}
	m := &measured{options: o, files: map[string]*contest{}, builds: []string{own}}
	if o.before != "" {
		m.builds = append(m.builds, o.before)
	}
	if err := m.measure(w); err != nil {
		return err
	}
	text := m.markdown()
	fmt.Print(text)
	if o.write == "" {
		return nil
	}
	return os.WriteFile(o.write, []byte(text), 0o644)
}

// measured is all that is measured.
type measured struct {
	options
	builds  []string            // this one, and perhaps the one before
	files   map[string]*contest // by profile
	resting []*contest          // by flows held at once
	small   *contest            // a capture of ten packets
}

// profiles are those of the goals.
var profiles = [...]string{"mix", "headers", "bulk", "scan"}

// held are the numbers of flows held at once, before scale.
var held = [...]int{1000, 10_000, 100_000, 1_000_000, 5_000_000}

func (m *measured) measure(w *workshop) error {
	for _, name := range profiles {
		f, err := w.full(name, m.scale)
		if err != nil {
			return err
		}
		c := &contest{f, m.runners(f, w.dir)}
		m.files[name] = c
		if err := c.play(m.runs); err != nil {
			return err
		}
	}
	for _, open := range held {
		if open > m.maxOpen {
			break
		}
		f, err := w.resting(scaled(open, m.scale), scaled(200_000, m.scale))
		if err != nil {
			return err
		}
		c := &contest{f, m.ours(f, "--max-flows", strconv.Itoa(2*held[len(held)-1]))}
		m.resting = append(m.resting, c)
		if err := c.play(min(m.runs, 3)); err != nil {
			return err
		}
	}
	f, err := w.capture("scan", "-connections", "10")
	if err != nil {
		return err
	}
	m.small = &contest{f, m.ours(f)}
	return m.small.play(4*m.runs + 1)
}

func scaled(n int, by float64) int { return max(int(float64(n)*by), 10) }

// ours is the runs of analyze, with the summary only.
func (m *measured) ours(f *captureFile, flags ...string) (list []*runner) {
	for i, b := range m.builds {
		list = append(list, &runner{what: analyze, build: i, own: true, env: twoCores, args: append([]string{b, "analyze", f.path}, flags...)})
	}
	return list
}

// What is run, as the tables name it.
const (
	analyze   = "tcpflow-states analyze"
	oneCore   = "GOMAXPROCS=1 tcpflow-states analyze"
	everyFlow = "tcpflow-states analyze -o ndjson --all"
	tcpdump   = "tcpdump -nr F -w /dev/null"
	argus     = "argus -r F -w /dev/null"
	tcptrace  = "tcptrace -n F"
	tshark    = "tshark -q -z conv,tcp"
)

// twoCores is what the goals are about, whatever the machine has.
var twoCores = []string{"GOMAXPROCS=2"}

// runners is all that takes turns on a capture. On most, others than tcpdump
// say nothing about our goals.
func (m *measured) runners(f *captureFile, dir string) []*runner {
	list := []*runner{{what: tcpdump, args: []string{"tcpdump", "-nr", f.path, "-w", os.DevNull}}}
	list = append(list, m.ours(f)...)
	if f.name != "mix" {
		return installed(list)
	}
	for i, b := range m.builds {
		list = append(list,
			&runner{what: oneCore, build: i, own: true, env: []string{"GOMAXPROCS=1"}, args: []string{b, "analyze", f.path}},
			&runner{what: everyFlow, build: i, own: true, env: twoCores, args: []string{b, "analyze", "-o", "ndjson", "--all", f.path},
				out: filepath.Join(dir, "flows.ndjson")})
	}
	list = append(list, &runner{what: argus, args: []string{"argus", "-r", f.path, "-w", os.DevNull}})
	if m.slow {
		list = append(list,
			&runner{what: tcptrace, args: []string{"tcptrace", "-n", f.path}, once: true},
			&runner{what: tshark, args: []string{"tshark", "-q", "-z", "conv,tcp", "-r", f.path}, once: true})
	}
	return installed(list)
}

// installed leaves out the tools that the machine has not.
func installed(all []*runner) (list []*runner) {
	for _, r := range all {
		if _, err := exec.LookPath(r.args[0]); err == nil {
			list = append(list, r)
		}
	}
	return list
}
