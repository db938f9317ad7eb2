//go:build unix

package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// captureFile is a generated capture.
type captureFile struct {
	name                 string
	path                 string
	packets, connections int
	open                 int // 0: the profile's own number
	bytes                int64
}

// warm brings it into the page cache.
func (f *captureFile) warm() error {
	in, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("open capture: %w", err)
	}
	defer in.Close()
	if _, err := io.Copy(io.Discard, in); err != nil {
		return fmt.Errorf("read capture: %w", err)
	}
	return nil
}

// workshop is the folder in which captures are kept between runs, with the
// program that makes them.
type workshop struct {
	dir       string
	generator string
	version   string // of the generator: another one makes other captures
}

func newWorkshop(dir string) (*workshop, error) {
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no cache folder, give one with -cache: %w", err)
		}
		dir = filepath.Join(cache, "tcpflow-states-bench")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make cache folder: %w", err)
	}
	w := &workshop{dir: dir}
	var err error
	if w.generator, err = w.build("internal/tools/gencapture"); err != nil {
		return nil, err
	}
	program, err := os.ReadFile(w.generator)
	if err != nil {
		return nil, fmt.Errorf("read generator: %w", err)
	}
	w.version = fmt.Sprintf("%x", sha256.Sum256(program))[:8]
	return w, nil
}

// build builds one of the project's programs.
func (w *workshop) build(folder string) (string, error) {
	path := filepath.Join(w.dir, filepath.Base(folder))
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", path, "github.com/tcpflow-states/tcpflow-states/"+folder)
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", folder, err, out)
	}
	return path, nil
}

// capture makes a capture, unless the folder has it. The generator's last line
// is kept beside it.
func (w *workshop) capture(name string, args ...string) (*captureFile, error) {
	stem := strings.ReplaceAll(strings.Join(append([]string{name}, args...), ""), "-", "_") + "-"
	f := &captureFile{name: name, path: filepath.Join(w.dir, stem+w.version+".pcap")}
	if _, err := os.Stat(f.path + ".txt"); err != nil {
		w.discard(stem)
		fmt.Fprintf(os.Stderr, "making %s\n", f.path)
		c := exec.Command(w.generator, append([]string{"-profile", name, "-o", f.path}, args...)...)
		out, err := c.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("make %s: %w: %s", name, err, out)
		}
		if err := os.WriteFile(f.path+".txt", out, 0o644); err != nil {
			return nil, fmt.Errorf("note size of capture: %w", err)
		}
	}
	said, err := os.ReadFile(f.path + ".txt")
	if err != nil {
		return nil, fmt.Errorf("read size of capture: %w", err)
	}
	_, numbers, _ := strings.Cut(string(said), ".pcap: ")
	_, err = fmt.Sscanf(numbers, "%d packets, %d connections, %d bytes", &f.packets, &f.connections, &f.bytes)
	if err != nil {
		return nil, fmt.Errorf("%s.txt: %w", f.path, err)
	}
	return f, nil
}

// discard removes captures that an older generator made.
func (w *workshop) discard(stem string) {
	old, _ := filepath.Glob(filepath.Join(w.dir, stem+"*"))
	for _, path := range old {
		os.Remove(path)
	}
}

// full is the capture of a profile at a scale.
func (w *workshop) full(profile string, scale float64) (*captureFile, error) {
	return w.capture(profile, "-full", strconv.FormatFloat(scale, 'g', -1, 64))
}

// resting is a capture with so many flows held at once, and as many packets as
// with fewestFlows of them at least.
func (w *workshop) resting(open, fewestFlows int) (*captureFile, error) {
	f, err := w.capture("resting", "-open", strconv.Itoa(open),
		"-connections", strconv.Itoa(max(open, fewestFlows)))
	if err == nil {
		f.open = open
	}
	return f, err
}
