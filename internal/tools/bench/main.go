//go:build unix

// Bench measures analyze beside other tools on one synthetic capture, each in
// turn so that the machine's moods fall on all, and prints a Markdown table.
// Tools that are not installed are left out.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tcpflow-states/tcpflow-states/internal/gen"
)

func main() {
	var cfg gen.Config
	runs := flag.Int("runs", 5, "how often each tool runs; the median counts")
	flag.StringVar(&cfg.Profile, "profile", "mix", "kind of traffic, as gencapture knows them")
	flag.Uint64Var(&cfg.Seed, "seed", 1, "which capture of the kind")
	flag.IntVar(&cfg.Packets, "packets", 1_000_000, "how many packets, about")
	flag.Parse()
	if err := run(cfg, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// tool is one program with its arguments for a capture.
type tool struct {
	args  []string
	what  string
	walls []time.Duration
	rss   int64 // highest, bytes
}

func run(cfg gen.Config, runs int) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(dir)
	pcap := filepath.Join(dir, cfg.Profile+".pcap")
	made, err := generate(pcap, cfg)
	if err != nil {
		return err
	}
	own := filepath.Join(dir, "tcpflow-states")
	build := exec.Command("go", "build", "-o", own, "github.com/tcpflow-states/tcpflow-states/cmd/tcpflow-states")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	tools := installed([]*tool{
		{what: "tcpflow-states analyze", args: []string{own, "analyze", pcap}},
		{what: "tshark -q -z conv,tcp", args: []string{"tshark", "-q", "-z", "conv,tcp", "-r", pcap}},
		{what: "tcptrace -n", args: []string{"tcptrace", "-n", pcap}},
		{what: "tcpdump -n -w /dev/null (reads only)", args: []string{"tcpdump", "-n", "-r", pcap, "-w", os.DevNull}},
	})
	for range runs {
		for _, t := range tools {
			if err := t.measure(dir); err != nil {
				return err
			}
		}
	}
	table(cfg, made, tools, runs)
	return nil
}

func generate(path string, cfg gen.Config) (gen.Written, error) {
	f, err := os.Create(path)
	if err != nil {
		return gen.Written{}, fmt.Errorf("create capture: %w", err)
	}
	defer f.Close()
	return gen.Write(f, cfg)
}

func installed(all []*tool) (tools []*tool) {
	for _, t := range all {
		if _, err := exec.LookPath(t.args[0]); err == nil {
			tools = append(tools, t)
		}
	}
	return tools
}

// measure runs a tool once. Findings make analyze end with status 1, which is
// no failure here.
func (t *tool) measure(dir string) error {
	c := exec.Command(t.args[0], t.args[1:]...)
	c.Dir = dir
	var said strings.Builder
	c.Stderr = &said
	begin := time.Now()
	err := c.Run()
	t.walls = append(t.walls, time.Since(begin))
	if err != nil && (c.ProcessState == nil || c.ProcessState.ExitCode() != 1) {
		return fmt.Errorf("run %s: %w: %s", t.what, err, said.String())
	}
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		t.rss = max(t.rss, maxRSS(u))
	}
	return nil
}

// maxRSS is in kilobytes, but on macOS in bytes.
func maxRSS(u *syscall.Rusage) int64 {
	if runtime.GOOS == "darwin" {
		return int64(u.Maxrss)
	}
	return int64(u.Maxrss) << 10
}

func (t *tool) median() time.Duration {
	walls := slices.SortedFunc(slices.Values(t.walls), cmp.Compare[time.Duration])
	return walls[len(walls)/2]
}

func table(cfg gen.Config, made gen.Written, tools []*tool, runs int) {
	fmt.Printf("%s, seed %d: %d packets, %d connections, %.0f MB; median of %d runs, %d CPUs\n\n",
		cfg.Profile, cfg.Seed, made.Packets, made.Connections, float64(made.Bytes)/1e6, runs, runtime.NumCPU())
	fmt.Println("| tool | wall | packets/s | peak RSS | time beside ours |")
	fmt.Println("|---|---:|---:|---:|---:|")
	ours := tools[0].median()
	for _, t := range tools {
		m := t.median()
		fmt.Printf("| %s | %.2f s | %.0f | %.0f MB | %.1f x |\n", t.what, m.Seconds(),
			float64(made.Packets)/m.Seconds(), float64(t.rss)/1e6, m.Seconds()/ours.Seconds())
	}
}
