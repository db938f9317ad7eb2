package main

import (
	"os"
	"strings"
	"testing"
)

// docs/diff.md shows what testdata/diff.txtar holds the command to.
func TestDiffPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/diff.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("testdata/diff.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"table.want", "fail.want"} {
		_, text, _ := strings.Cut(string(script), "\n-- "+name+" --\n")
		text, _, _ = strings.Cut(text, "\n-- ")
		if text == "" || !strings.Contains(string(page), text+"\n```") {
			t.Errorf("docs/diff.md does not show %s:\n%s", name, text)
		}
	}
}
