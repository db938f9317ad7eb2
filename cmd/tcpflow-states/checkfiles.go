package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/capture"
)

// pair is a capture and what is expected of it.
type pair struct {
	capture     string
	expectation string // empty: there is none
	err         error  // why they cannot be checked
}

// expectSuffix ends the name of an expectation file: NAME.expect.yaml is that of
// NAME.pcap.
const expectSuffix = ".expect.yaml"

// The endings by which captures are known in a directory, and what compression
// adds to them.
var (
	captureSuffixes     = []string{".pcap", ".pcapng", ".cap", ".dmp", ".snoop"}
	compressionSuffixes = []string{".gz", ".zst", ".xz", ".lz4", ".bz2"}
)

// stem is NAME of NAME.pcap.gz; capture reports whether that is the name of one.
func stem(path string) (name string, capture bool) {
	for _, s := range compressionSuffixes {
		path = strings.TrimSuffix(path, s)
	}
	for _, s := range captureSuffixes {
		if name, ok := strings.CutSuffix(path, s); ok && filepath.Base(path) != s {
			return name, true
		}
	}
	return path, false
}

// findPairs returns the pairs that the arguments name: of directories all below
// them, in the order of their names.
func findPairs(args []string) ([]pair, error) {
	var list []pair
	seen := map[string]bool{}
	for _, arg := range args {
		found, err := findBelow(arg)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			if id := filepath.Clean(p.capture); !seen[id] {
				seen[id] = true
				list = append(list, p)
			}
		}
	}
	return list, nil
}

func findBelow(arg string) ([]pair, error) {
	info, err := os.Stat(arg)
	switch {
	case err != nil:
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, fmt.Errorf("%s: %w: give captures, expectation files or directories", arg, err)
	case !info.IsDir():
		return []pair{pairOf(arg)}, nil
	}
	var captures, expectations []string
	err = filepath.WalkDir(arg, func(path string, e fs.DirEntry, err error) error {
		_, isCapture := stem(path)
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != arg && strings.HasPrefix(e.Name(), "."):
			return fs.SkipDir // .git and the like
		case e.IsDir():
		case strings.HasSuffix(path, expectSuffix), strings.HasSuffix(path, ".expect.yml"):
			expectations = append(expectations, path)
		case isCapture:
			captures = append(captures, path)
		}
		return nil
	})
	return match(captures, expectations), err
}

// pairOf makes a pair of either of its files.
func pairOf(path string) pair {
	if strings.HasSuffix(path, expectSuffix) || strings.HasSuffix(path, ".expect.yml") {
		return match(beside(strings.TrimSuffix(path, expectSuffix)), []string{path})[0]
	}
	name, known := stem(path)
	switch _, err := os.Stat(name + expectSuffix); {
	case err != nil:
		return pair{capture: path}
	case known && len(beside(name)) > 1:
		p := match(beside(name), []string{name + expectSuffix})[0]
		p.capture = path
		return p
	}
	return pair{capture: path, expectation: name + expectSuffix}
}

// beside are the captures of a NAME.
func beside(name string) []string {
	files, _ := filepath.Glob(quoteGlob(name) + ".*")
	return slices.DeleteFunc(files, func(p string) bool { n, is := stem(p); return !is || n != name })
}

// quoteGlob is a path in which nothing is a pattern.
func quoteGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// match puts captures and expectations together.
func match(captures, expectations []string) (list []pair) {
	of := map[string][]string{}
	for _, c := range captures {
		name, _ := stem(c)
		of[name] = append(of[name], c)
	}
	for _, e := range expectations {
		name, ok := strings.CutSuffix(e, expectSuffix)
		found := of[name]
		delete(of, name)
		p := pair{expectation: e, capture: e}
		switch {
		case !ok:
			p.err = fmt.Errorf("%s: expectation files end in %s: rename it", e, expectSuffix)
		case len(found) == 0:
			p.err = fmt.Errorf("%s: there is no capture beside it: it is for %s.pcap, .pcapng, .cap, .dmp or .snoop, also compressed", e, name)
		case len(found) > 1:
			p.err = fmt.Errorf("%s: of which capture is it? there are %s: give them different names", e, strings.Join(found, " and "))
		default:
			p.capture = found[0]
		}
		list = append(list, p)
	}
	for _, found := range of {
		for _, c := range found {
			list = append(list, pair{capture: c})
		}
	}
	slices.SortFunc(list, func(a, b pair) int { return strings.Compare(a.capture, b.capture) })
	return list
}

// refuseShared refuses captures without an expectation file whose files would have
// one name, be they asked for or only beside.
func refuseShared(pairs []pair) {
	for i := range pairs {
		p := &pairs[i]
		name, known := stem(filepath.Clean(p.capture))
		if p.expectation != "" || p.err != nil || !known {
			continue
		}
		if all := beside(name); len(all) > 1 {
			other := slices.DeleteFunc(all, func(c string) bool { return c == filepath.Clean(p.capture) })[0]
			p.err = fmt.Errorf("%s: %s would have the same expectation file: give the captures different names", p.capture, other)
		}
	}
}

// openCheck opens the capture of a pair.
func openCheck(p pair, o capture.Options) (capture.Source, error) {
	if growing(p.capture) {
		return nil, fmt.Errorf("%s: check reads its captures more than once: save it to a file first", title(p.capture))
	}
	return capture.Open(p.capture, o)
}
