package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/tcpflow-states/tcpflow-states/report"
)

// progress draws a bar on standard error, ten times a second from the second
// second on, when a person can see it there. Its functions may be called from
// any goroutine.
type progress struct {
	name           string
	position, size func() int64
	stop           chan struct{}
	done           sync.WaitGroup
}

// startProgress draws for one input until the returned function is called.
func startProgress(name string, position, size func() int64) (stop func()) {
	p := &progress{name: report.Clean(name), position: position, size: size, stop: make(chan struct{})}
	p.done.Go(p.run)
	return func() {
		close(p.stop)
		p.done.Wait()
	}
}

func (p *progress) run() {
	start := time.Now()
	select {
	case <-p.stop:
		return
	case <-time.After(time.Second):
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		width, _, err := term.GetSize(int(os.Stderr.Fd()))
		if err != nil {
			width = 80
		}
		fmt.Fprint(os.Stderr, "\r"+progressLine(p.name, p.position(), p.size(), time.Since(start), width-1)+"\x1b[K")
		select {
		case <-p.stop:
			fmt.Fprint(os.Stderr, "\r\x1b[K")
			return
		case <-tick.C:
		}
	}
}

// progressLine words the state of things in at most width columns. A size of
// 0 is not known.
func progressLine(name string, at, size int64, spent time.Duration, width int) string {
	rate := float64(at) / max(spent.Seconds(), 1e-3)
	text := fmt.Sprintf("%s  %s/s", megabytes(float64(at)), megabytes(rate))
	bar := ""
	if size > 0 {
		share := min(float64(at)/float64(size), 1)
		left := time.Duration(float64(size-at) / max(rate, 1) * float64(time.Second))
		text = fmt.Sprintf("%3.0f %%  %s/s  %s left", share*100, megabytes(rate), max(left, 0).Round(time.Second))
		full := int(share * 20)
		bar = strings.Repeat("━", full) + strings.Repeat("┄", 20-full) + " "
	}
	line := name + "  " + bar + text
	if n := len([]rune(line)); n > width {
		line = bar + text
	}
	return line
}

func megabytes(n float64) string { return fmt.Sprintf("%.1f MB", n/1e6) }
