package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tcpflow-states/tcpflow-states/report"
)

const ownPcaps = "../../testdata/pcaps"

// checked runs check in this process and returns its result.
func checked(t *testing.T, args ...string) (string, error) {
	t.Helper()
	stderr := os.Stderr
	defer func() { os.Stderr = stderr }()
	os.Stderr, _ = os.Open(os.DevNull) // what cannot be read is in the result, too
	out := filepath.Join(t.TempDir(), "out")
	cmd := newRoot()
	cmd.SetArgs(append([]string{"check", "--quiet", "--output", out}, args...))
	err := cmd.Execute()
	text, readErr := os.ReadFile(out)
	if readErr != nil {
		t.Fatal(err, readErr)
	}
	return string(text), err
}

// Our own captures are what their expectation files say, and each has one.
func TestOwnCaptures(t *testing.T) {
	if out, err := checked(t, "--strict", ownPcaps); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	files, _ := filepath.Glob(ownPcaps + "/*" + expectSuffix)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("edit this")) {
			t.Errorf("%s does not say why the capture is kept", file)
		}
	}
}

// Captures that pass, fail and cannot be read come out the same in every format,
// however many are checked at once.
func TestCheckWorkers(t *testing.T) {
	dir := t.TempDir()
	files, _ := filepath.Glob(ownPcaps + "/*")
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, expectSuffix) && i%3 == 0 {
			text = append(text, "  - match: {server: 9.9.9.9}\n  - {frames: 1, history: {client: CLOSED … LISTEN}}\n"...)
		}
		if filepath.Base(file) == "vlan.pcap" {
			text = text[:len(text)-4]
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	for _, f := range report.CheckFormats {
		one, _ := checked(t, "--workers", "1", "-o", f.Name)
		if !strings.Contains(one, "LISTEN") || !strings.Contains(one, "vlan.pcap") {
			t.Errorf("%s says nothing of what fails:\n%s", f.Name, one)
		}
		for _, n := range []int{2, 7, 0} {
			if got, _ := checked(t, "--workers", strconv.Itoa(n), "-o", f.Name); got != one {
				t.Errorf("%s: %d workers write something else:\n%s\n----\n%s", f.Name, n, one, got)
			}
		}
	}
}

// The documentation's example is what the command writes.
func TestCheckDocs(t *testing.T) {
	docs, err := os.ReadFile("../../docs/expect.md")
	if err != nil {
		t.Fatal(err)
	}
	capture, err := os.ReadFile(ownPcaps + "/stuck_close_wait_many.pcap")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(docs), "\n## When it differs\n")
	parts := strings.Split(example, "```")
	if len(parts) < 5 {
		t.Fatal("no example under \"When it differs\"")
	}
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"leak.pcap": string(capture), "leak.expect.yaml": strings.TrimPrefix(parts[1], "yaml\n")} {
		os.Mkdir("captures", 0o777)
		if err := os.WriteFile(filepath.Join("captures", name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := checked(t, "captures")
	if want := strings.TrimPrefix(parts[3], "\n"); !errors.Is(err, errDiffers) || got != want {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
}

// Of a long flow the drawing's middle is left out.
func TestShortened(t *testing.T) {
	long := strings.Repeat("line\n", 100)
	got := shortened(long)
	if n := strings.Count(got, "\n"); n != drawnLines || !strings.Contains(got, "… 41 lines are left out") {
		t.Errorf("%d lines:\n%s", n, got)
	}
	if short := "a\nb\n"; shortened(short) != short {
		t.Errorf("%q", shortened(short))
	}
}

// What a shell makes of shellLine is what went in.
func TestShellLine(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("SKIPPED: there is no sh here to ask")
	}
	args := []string{"a b", "it's", "$HOME", "", "plain.pcap", "tcp port 80 && (host 1.2.3.4)", "`x`", "*"}
	out, err := exec.Command(sh, "-c", "printf '%s\\n' "+shellLine(args)).Output()
	if err != nil || string(out) != strings.Join(args, "\n")+"\n" {
		t.Errorf("%v: %q", err, out)
	}
}

// A capture's name, whatever its format and compression, says which file is its
// expectation file.
func TestStem(t *testing.T) {
	for _, c := range []struct {
		path, name string
		capture    bool
	}{
		{"a/edge.pcap", "a/edge", true},
		{"a/edge.pcapng.zst", "a/edge", true},
		{"edge.cap.gz", "edge", true},
		{"edge.v2.snoop", "edge.v2", true},
		{"edge.gz", "edge", false},
		{"edge.txt", "edge.txt", false},
		{"ring.pcap0", "ring.pcap0", false},
		{"a/.pcap", "a/.pcap", false},
	} {
		if name, capture := stem(c.path); name != c.name || capture != c.capture {
			t.Errorf("%s: %s, %v", c.path, name, capture)
		}
	}
}

// Ctrl-C leaves out what is not finished; the first of it is an error that says how
// much there was, and no file is written.
func TestCheckInterrupted(t *testing.T) {
	dir := t.TempDir()
	copyTo(t, dir, map[string]string{"a.pcap": ownPcaps + "/vlan.pcap", "b.pcap": ownPcaps + "/vlan.pcap", "c.pcap": ownPcaps + "/vlan.pcap"})
	pairs, err := findPairs([]string{dir})
	if err != nil || len(pairs) != 3 {
		t.Fatal(pairs, err)
	}
	o := &checkOptions{update: true, workers: 2}
	o.stopped.Store(true)
	list := o.each(pairs)
	if len(list) != 1 || list[0].Outcome != report.CheckError || !strings.HasSuffix(list[0].Error, "a.pcap: interrupted before it was checked, as were 2 more") {
		t.Errorf("%+v", list)
	}
	if files, _ := filepath.Glob(dir + "/*" + expectSuffix); files != nil {
		t.Errorf("there are %v", files)
	}
	some := []*report.CheckCase{{Capture: "a"}, nil, {Capture: "c"}}
	if list := finished(some, pairs); len(list) != 3 || list[0].Capture != "a" || list[2].Capture != "c" || !strings.HasSuffix(list[1].Error, "b.pcap: interrupted before it was checked") {
		t.Errorf("%+v", list)
	}
	// Within a capture, too.
	u := &trial{o: o, pair: pairs[0]}
	if err := u.draft(); !errors.Is(err, errInterrupted) {
		t.Errorf("%v", err)
	}
}
