package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the outputs that docs/ci.md shows")

const (
	ciPage = "../../docs/ci.md"
	shop   = "../../docs/ci/shop/"
)

// block is a piece of code of a page, between fences.
type block struct{ kind, text string }

var fences = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?\n)```$")

// blocks returns those of a page that are of a kind.
func blocks(page, kind string) (list []block) {
	for _, m := range fences.FindAllStringSubmatch(page, -1) {
		if kind == "" || m[1] == kind {
			list = append(list, block{m[1], m[2]})
		}
	}
	return list
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// copyTo copies files into a directory: the source of each name there.
func copyTo(t *testing.T, dir string, from map[string]string) {
	t.Helper()
	for name, source := range from {
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(read(t, source)), 0o777); err != nil {
			t.Fatal(err)
		}
	}
}

// need skips the test, aloud, where a program is missing.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("SKIPPED: there is no %s here", p)
		}
	}
}

// docs/ci.md, from the top: its commands are run, first on the capture of the shop that
// leaks, and behind the fix on that of the other. What it shows is what they write.
func TestCIPage(t *testing.T) {
	need(t, "sh")
	page := read(t, ciPage)
	dir := t.TempDir()
	captured, expectation := filepath.Join(dir, "captures/shop.pcap"), filepath.Join(dir, "captures/shop.expect.yaml")
	copyTo(t, dir, map[string]string{"captures/shop.pcap": shop + "leaky/shop.pcap",
		"release.pcap": shop + "fixed/shop.pcap", "build.pcap": shop + "leaky/shop.pcap"})
	code := 0
	got := fences.ReplaceAllStringFunc(page, func(fenced string) string {
		b := blocks(fenced, "")[0]
		switch {
		case b.kind == "console":
			return "```console\n" + session(t, dir, &code, b.text) + "```"
		case b.kind == "yaml" && strings.HasPrefix(b.text, "reason:"):
			if want := read(t, shop+"shop.expect.yaml"); b.text != want {
				t.Errorf("the page does not show %sshop.expect.yaml:\n%s", shop, want)
			}
			if err := os.WriteFile(expectation, []byte(b.text), 0o666); err != nil {
				t.Fatal(err)
			}
		case b.kind == "diff":
			if patched(read(t, shop+"leaky/main.go"), b.text) != read(t, shop+"fixed/main.go") {
				t.Errorf("the fix that the page shows does not make %sfixed/main.go of leaky/main.go", shop)
			}
			copyTo(t, filepath.Dir(captured), map[string]string{"shop.pcap": shop + "fixed/shop.pcap"})
		case b.kind == "go":
			if !strings.Contains(read(t, shop+"fixed/main_test.go"), b.text) {
				t.Errorf("the test that the page shows is not in %sfixed/main_test.go", shop)
			}
		}
		return fenced
	})
	if *update {
		if err := os.WriteFile(ciPage, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if got != page {
		t.Errorf("docs/ci.md is stale: go test ./cmd/tcpflow-states -run TestCIPage -update\n%s", got)
	}
}

// session runs the commands of a block, the lines that begin with $, and returns them
// with what they write. code is the exit code of the last command.
func session(t *testing.T, dir string, code *int, text string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(text) {
		command, is := strings.CutPrefix(line, "$ ")
		if !is {
			continue
		}
		cmd := exec.Command("sh", "-c", fmt.Sprintf("(exit %d); %s", *code, command))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "COLUMNS=80")
		out, err := cmd.CombinedOutput()
		if *code = cmd.ProcessState.ExitCode(); *code < 0 {
			t.Fatalf("%s: %v", command, err)
		}
		b.WriteString(line)
		b.Write(out)
	}
	return b.String()
}

// patched is a text with a hunk of a unified diff done to it.
func patched(text, hunk string) string {
	var from, to strings.Builder
	for line := range strings.Lines(hunk) {
		if line[0] != '+' {
			from.WriteString(line[1:])
		}
		if line[0] != '-' {
			to.WriteString(line[1:])
		}
	}
	return strings.Replace(text, from.String(), to.String(), 1)
}

// The page's own lines take captures of both shops anew, in a network of its own; check
// says of them what it says of those that are kept.
func TestCICapturesAnew(t *testing.T) {
	need(t, "go")
	needNamespace(t)
	job := blocks(read(t, ciPage), "sh")[0].text
	for _, version := range []string{"leaky", "fixed"} {
		kept, anew := t.TempDir(), t.TempDir()
		copyTo(t, kept, map[string]string{"captures/shop.pcap": shop + version + "/shop.pcap", "captures/shop.expect.yaml": shop + "shop.expect.yaml"})
		copyTo(t, anew, map[string]string{"capture.sh": "../../docs/ci/capture.sh", "smoke.sh": shop + "smoke.sh", "captures/shop.expect.yaml": shop + "shop.expect.yaml"})
		if out, err := exec.Command("go", "build", "-o", filepath.Join(anew, "shop"), shop+version).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		cmd := exec.Command("timeout", "60", "unshare", "--net", "bash", "-euc", "ip link set lo up\n"+job)
		cmd.Dir = anew
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("all answered\n")) {
			t.Fatalf("%s: %v: %s", version, err, out)
		}
		want, got := failingKeys(t, kept), failingKeys(t, anew)
		if !reflect.DeepEqual(got, want) || (want == nil) != (version == "fixed") {
			t.Errorf("%s: %q fail in a new capture, %q in the one that is kept", version, got, want)
		}
	}
}

// needNamespace skips the test, aloud, where nothing can be captured in a network of its own.
func needNamespace(t *testing.T) {
	t.Helper()
	need(t, "bash", "timeout", "unshare", "ip", "tcpdump")
	if out, err := exec.Command("unshare", "--net", "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no network namespace can be made: %v: %s: run as root", err, bytes.TrimSpace(out))
	}
}

// capture.sh ends as its command does, and says why nothing can be captured.
func TestCaptureScript(t *testing.T) {
	needNamespace(t)
	dir := t.TempDir()
	copyTo(t, dir, map[string]string{"capture.sh": "../../docs/ci/capture.sh"})
	for _, c := range []struct {
		why, line string
		code      int
		says      string
	}{
		{"the command's exit code", `./capture.sh "a b/c.pcap" tcp sh -c 'exit 7'`, 7, "0 packets captured"},
		{"an interface that there is not", `INTERFACE=none0 ./capture.sh x.pcap tcp touch ran`, 2, "none0"},
		{"a filter that is none", `./capture.sh x.pcap 'tcp prt 1' touch ran`, 2, "capture.sh: tcpdump does not capture"},
		{"nothing to run", `./capture.sh x.pcap tcp`, 2, "usage:"},
	} {
		cmd := exec.Command("timeout", "30", "unshare", "--net", "bash", "-c", "ip link set lo up; "+c.line)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != c.code || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: %v: %s", c.why, err, out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "a b/c.pcap")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("the command is run without a capture")
	}
}

// failingKeys are what check finds wrong below a directory.
func failingKeys(t *testing.T, dir string) (keys []string) {
	t.Helper()
	text, _ := checked(t, "-o", "json", dir)
	var result struct {
		Cases []struct {
			Outcome  string
			Failures []struct{ Key string }
		}
	}
	if err := json.Unmarshal([]byte(text), &result); err != nil || len(result.Cases) != 1 || result.Cases[0].Outcome == "error" {
		t.Fatalf("%v: %s", err, text)
	}
	for _, f := range result.Cases[0].Failures {
		keys = append(keys, f.Key)
	}
	return keys
}

// The README's expectation passes for the shop that closes, and fails for the other.
func TestReadmeExpectation(t *testing.T) {
	text := blocks(read(t, "../../README.md"), "yaml")[0].text
	for _, version := range []string{"leaky", "fixed"} {
		dir := t.TempDir()
		copyTo(t, dir, map[string]string{"captures/shop.pcap": shop + version + "/shop.pcap"})
		if err := os.WriteFile(filepath.Join(dir, "captures/shop.expect.yaml"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if keys := failingKeys(t, dir); (keys == nil) != (version == "fixed") {
			t.Errorf("%s: %q", version, keys)
		}
	}
}

// What the page, the hook and the action give to copy is YAML, and runs the program with
// flags that there are.
func TestCISnippets(t *testing.T) {
	page := read(t, ciPage)
	for _, b := range blocks(page, "yaml") {
		var v any
		if err := yaml.Unmarshal([]byte(b.text), &v); err != nil {
			t.Errorf("%v in\n%s", err, b.text)
		}
	}
	lines := regexp.MustCompile("tcpflow-states (check|diff) [^#|'`\n]*").FindAllString(page, -1)
	if len(lines) < 8 {
		t.Errorf("the page runs %q", lines)
	}
	for _, line := range lines {
		cmd, args, err := newRoot().Find(strings.Fields(line)[1:])
		if err == nil {
			err = cmd.ParseFlags(args)
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if !strings.Contains(page, "uses: tcpflow-states/tcpflow-states@") || !strings.Contains(page, "- id: "+hook(t).ID) {
		t.Error("the page does not say how the action and the hook are used")
	}
}

type preCommitHook struct{ ID, Name, Entry, Language, Files string }

func hook(t *testing.T) preCommitHook {
	t.Helper()
	var hooks []preCommitHook
	if err := yaml.Unmarshal([]byte(read(t, "../../.pre-commit-hooks.yaml")), &hooks); err != nil || len(hooks) != 1 {
		t.Fatal(err, hooks)
	}
	return hooks[0]
}

// The hook is run for the files that check knows, by a command that there is.
func TestPreCommitHook(t *testing.T) {
	h := hook(t)
	if cmd, _, err := newRoot().Find(strings.Fields(h.Entry)[1:]); err != nil || cmd.Name() != "check" || h.Language != "golang" {
		t.Errorf("%+v: %v", h, err)
	}
	files := regexp.MustCompile(h.Files)
	for _, suffix := range captureSuffixes {
		for _, packed := range append(compressionSuffixes, "") {
			if name := "a/b" + suffix + packed; !files.MatchString(name) {
				t.Errorf("not for %s", name)
			}
		}
	}
	for name, want := range map[string]bool{"a/b.expect.yaml": true, "b.yaml": false, "b.pcap.txt": false, "pcap": false, "b.go": false} {
		if files.MatchString(name) != want {
			t.Errorf("for %s: %v", name, !want)
		}
	}
}

// action is action.yml.
type action struct {
	Inputs  map[string]struct{ Description, Default string }
	Outputs map[string]struct{ Description, Value string }
	Runs    struct {
		Using string
		Steps []actionStep
	}
}

type actionStep struct {
	ID, Uses, Shell, Run string
	With                 map[string]string
	Env                  map[string]string
}

func readAction(t *testing.T) (a action) {
	t.Helper()
	dec := yaml.NewDecoder(strings.NewReader(read(t, "../../action.yml")))
	if err := dec.Decode(&a); err != nil || a.Runs.Using != "composite" {
		t.Fatal(err, a.Runs.Using)
	}
	return a
}

// Inputs are never part of a script's text, where they would be run; outputs are those of
// the step that writes them; Go is the one that go.mod asks for.
func TestActionFile(t *testing.T) {
	a := readAction(t)
	given := map[string]bool{}
	for _, s := range a.Runs.Steps {
		if strings.Contains(s.Run, "${{") || s.Run != "" && s.Shell != "bash" {
			t.Errorf("step %s: %s", s.ID, s.Run)
		}
		for name, value := range s.Env {
			if input, is := strings.CutPrefix(value, "${{ inputs."); is {
				given[strings.TrimSuffix(input, " }}")] = true
				if !strings.Contains(s.Run, name) {
					t.Errorf("step %s does not use %s", s.ID, name)
				}
			}
		}
		if s.Uses != "" && !strings.Contains(read(t, "../../go.mod"), "\ngo "+s.With["go-version"]+".") {
			t.Errorf("%s installs Go %s, which is not that of go.mod", s.Uses, s.With["go-version"])
		}
	}
	page := read(t, ciPage)
	for name, input := range a.Inputs {
		if !given[name] || input.Description == "" || !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("input %s has no effect, no description or no row in docs/ci.md", name)
		}
	}
	for name, output := range a.Outputs {
		if output.Value != "${{ steps.check.outputs."+name+" }}" {
			t.Errorf("output %s is %s", name, output.Value)
		}
	}
}

// The action's own scripts, run as the runner runs them.
func TestActionRun(t *testing.T) {
	need(t, "bash", "go")
	a := readAction(t)
	temp := t.TempDir()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if r := a.run(t, "build", temp, temp, map[string]string{"GITHUB_ACTION_PATH": root}, nil); r.code != 0 {
		t.Fatalf("the build: %s", r.log)
	}
	work := t.TempDir()
	copyTo(t, work, map[string]string{
		"red/shop.pcap": shop + "leaky/shop.pcap", "red/shop.expect.yaml": shop + "shop.expect.yaml",
		"green one/shop.pcap": shop + "fixed/shop.pcap", "green one/shop.expect.yaml": shop + "shop.expect.yaml",
		"new/shop.pcap": shop + "fixed/shop.pcap"})
	for _, c := range []struct {
		why     string
		inputs  map[string]string
		code    int
		log     string
		summary string
		outputs []string
	}{
		{"what is as expected passes, with both reports", map[string]string{"path": "green one"}, 0, "1 capture: 1 passed, 0 failed", "| passed |", []string{"junit=check.xml", "sarif=check.sarif"}},
		{"what is not fails, and all that tells of it is written", map[string]string{"path": "red\ngreen one\n", "format": "sarif, tap,json"}, 1,
			"::error file=red/shop.expect.yaml,line=14,title=red/shop.pcap::flows[0].history.server", "-  LAST_ACK", []string{"sarif=check.sarif", "tap=check.tap", "json=check.json"}},
		{"strict", map[string]string{"path": "new", "strict": "true", "format": ""}, 1, "::error file=new/shop.pcap", "| failed |", nil},
		{"further arguments, each a line, as Windows ends them", map[string]string{"path": "green one\r\n", "args": "--workers\r\n1\r\n", "format": "tap"}, 0, "1 passed", "passed", []string{"tap=check.tap"}},
		{"an input is no script", map[string]string{"path": "$(touch pwned)\n; touch pwned", "args": "`touch pwned`", "format": "tap"}, 2, "touch pwned", "", nil},
		{"nothing to check is no success", map[string]string{"path": "new"}, 2, "nothing to check", "", nil},
		{"a format that there is not", map[string]string{"path": "green one", "format": "xml"}, 2, "::error title=tcpflow-states check::the input format takes", "passed", nil},
	} {
		r := a.run(t, "check", work, temp, nil, c.inputs)
		if r.code != c.code || !strings.Contains(r.log, c.log) || !strings.Contains(r.summary, c.summary) || !reflect.DeepEqual(r.outputs, c.outputs) {
			t.Errorf("%s: exit code %d, outputs %q\nlog: %s\nsummary: %s", c.why, r.code, r.outputs, r.log, r.summary)
		}
	}
	if _, err := os.Stat(filepath.Join(work, "pwned")); err == nil {
		t.Error("an input was run")
	}
}

// actionResult is what came of a step.
type actionResult struct {
	code         int
	log, summary string
	outputs      []string // NAME=FILE, without the directory
}

// run runs a step in a directory, as `shell: bash` does, with inputs in place of their
// defaults.
func (a *action) run(t *testing.T, id, dir, temp string, env, inputs map[string]string) (r actionResult) {
	t.Helper()
	var step actionStep
	for _, s := range a.Runs.Steps {
		if s.ID == id {
			step = s
		}
	}
	files := t.TempDir()
	script, output, summary := filepath.Join(files, "script.sh"), filepath.Join(files, "output"), filepath.Join(files, "summary")
	for file, text := range map[string]string{script: step.Run, output: "", summary: ""} {
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	// https://docs.github.com/actions/reference/workflow-syntax-for-github-actions#jobsjob_idstepsshell
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "RUNNER_TEMP="+temp, "GITHUB_OUTPUT="+output, "GITHUB_STEP_SUMMARY="+summary)
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	for name, value := range step.Env {
		if input, is := strings.CutPrefix(value, "${{ inputs."); is {
			input = strings.TrimSuffix(input, " }}")
			value = a.Inputs[input].Default
			if given, is := inputs[input]; is {
				value = given
			}
		}
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	if r.code = cmd.ProcessState.ExitCode(); r.code < 0 {
		t.Fatal(err)
	}
	r.log, r.summary = string(out), read(t, summary)
	for line := range strings.Lines(read(t, output)) {
		name, file, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			t.Errorf("output %s: %v", line, err)
		}
		r.outputs = append(r.outputs, name+"="+filepath.Base(file))
	}
	return r
}
