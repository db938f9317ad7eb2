//go:build unix

package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// runner is one command line, and what its runs took.
type runner struct {
	what  string
	build int // of ours: the number of the program; others have 0
	own   bool
	args  []string
	env   []string
	out   string // the file for its standard output; empty: none
	once  bool   // it takes too long to be run in every round

	walls, cpus []time.Duration
	rss         int64 // the highest, octets
	failed      bool
}

// run runs the command once. Status 1 says that analyze found something.
//
// Linux hands the peak memory of the parent on to the child, so what needs much
// must not be done in this process.
func (r *runner) run() error {
	c := exec.Command(r.args[0], r.args[1:]...)
	c.Env = append(os.Environ(), r.env...)
	if r.out != "" {
		f, err := os.Create(r.out)
		if err != nil {
			return fmt.Errorf("create output: %w", err)
		}
		defer f.Close()
		c.Stdout = f
	}
	var said strings.Builder
	c.Stderr = &said
	begin := time.Now()
	err := c.Run()
	wall := time.Since(begin)
	if err != nil && (c.ProcessState == nil || c.ProcessState.ExitCode() != 1) {
		return fmt.Errorf("run %s: %w: %s", strings.Join(r.args, " "), err, said.String())
	}
	r.walls = append(r.walls, wall)
	r.cpus = append(r.cpus, c.ProcessState.UserTime()+c.ProcessState.SystemTime())
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.rss = max(r.rss, maxRSS(u))
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

func (r *runner) wall() time.Duration { return median(r.walls) }

func median[T cmp.Ordered](list []T) (m T) {
	if len(list) == 0 {
		return m
	}
	return slices.Sorted(slices.Values(list))[len(list)/2]
}

// times is how often as long as b a takes: the median of the rounds, in each of
// which both ran one after the other; where one ran once, of their medians.
func times(a, b *runner) float64 {
	if len(a.walls) != len(b.walls) {
		return a.wall().Seconds() / b.wall().Seconds()
	}
	var ratios []float64
	for i := range a.walls {
		ratios = append(ratios, a.walls[i].Seconds()/b.walls[i].Seconds())
	}
	return median(ratios)
}

// contest is the commands that take turns on one capture.
type contest struct {
	file    *captureFile
	runners []*runner
}

// play runs them, in turn so that the machine's moods fall on all. Another
// tool that fails is left out.
func (c *contest) play(rounds int) error {
	if err := c.file.warm(); err != nil {
		return err
	}
	for i := range rounds {
		for _, r := range c.runners {
			if r.failed || r.once && i > 0 {
				continue
			}
			err := r.run()
			switch {
			case err != nil && r.own:
				return err
			case err != nil:
				r.failed = true
				fmt.Fprintln(os.Stderr, "bench:", err)
			default:
				fmt.Fprintf(os.Stderr, "%s: %s %.3f s\n", c.file.name, r.what, r.walls[len(r.walls)-1].Seconds())
			}
		}
	}
	c.runners = slices.DeleteFunc(c.runners, func(r *runner) bool { return r.failed })
	return nil
}

// find returns a runner, nil when there is none.
func (c *contest) find(what string, build int) *runner {
	for _, r := range c.runners {
		if r.what == what && r.build == build {
			return r
		}
	}
	return nil
}
