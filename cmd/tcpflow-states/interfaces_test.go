package main

import (
	"slices"
	"strings"
	"testing"
)

// A shell offers the interfaces by name, with what they are or lack.
func TestInterfaceNames(t *testing.T) {
	list := interfaceNames()
	if !slices.ContainsFunc(list, func(s string) bool { return strings.HasPrefix(s, "lo") }) {
		t.Errorf("no loopback: %q", list)
	}
	for _, s := range list {
		if name, about, described := strings.Cut(s, "\t"); name == "" || described && about == "" {
			t.Errorf("%q", s)
		}
	}
}
