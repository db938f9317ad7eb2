package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// What is deployed is started with flags that there are, with values that they take:
// nobody sees a unit fail before it is installed.
func TestDeployedFlags(t *testing.T) {
	lines := map[string]string{
		"systemd/tcpflow-states@.service": `(?m)^ExecStart=\S+ (live .*?) ?\$OPTIONS$`,
		"container/Containerfile":         `(?m)^CMD (\[.*\])$`,
		"kubernetes/daemonset.yaml":       `(?s)\n          args:\n(.*?)\n          env:`,
	}
	for name, pattern := range lines {
		text, err := os.ReadFile("../../deploy/" + name)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindSubmatch(text)
		if found == nil {
			t.Errorf("%s: no command line", name)
			continue
		}
		var args []string
		if yaml.Unmarshal(found[1], &args) != nil { // a list of YAML, which that of a Containerfile is, too
			args = strings.Fields(string(found[1]))
		}
		if len(args) < 3 || args[0] != "live" {
			t.Errorf("%s: %q", name, args)
			continue
		}
		if err := newLive().ParseFlags(args[1:]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
