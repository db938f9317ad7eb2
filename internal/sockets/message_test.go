package sockets

import (
	"encoding/hex"
	"net/netip"
	"os"
	"strings"
	"testing"


)

// recorded reads a file of testdata: datagrams as the kernel sent them, in
// hexadecimal, a line each; # begins a comment.
func recorded(t testing.TB, name string) (datagrams [][]byte) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		b, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		datagrams = append(datagrams, b)
	}
	return datagrams
}

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
