package report

import (
	"bytes"
	"strings"
	"testing"
)

// The name of a file obeys neither terminal nor Markdown, nor calls a user of a
// forge.
func TestDiffShowsNamesHarmlessly(t *testing.T) {
	d := &Diff{Old: DiffCapture{Files: []File{{Name: "a\x1b[31m_b_|`@root.pcap", Dropped: 1234}}}}
	var table, page bytes.Buffer
	if err := d.Table(&table, 80, false, true); err != nil {
		t.Fatal(err)
	}
	if err := d.Markdown(&page, true); err != nil {
		t.Fatal(err)
	}
	if text := table.String(); strings.Contains(text, "\x1b") || !strings.Contains(text, `a\x1b[31m_b_|`+"`@root.pcap: 0 flows") {
		t.Errorf("table: %q", text)
	}
	if text := page.String(); strings.Contains(text, "\x1b") || !strings.Contains(text, `a\\x1b\[31m\_b\_\|\`+"`@<!-- -->root.pcap") {
		t.Errorf("Markdown: %q", text)
	}
	if !strings.Contains(table.String(), "the capture lost 1,234") {
		t.Errorf("what was lost is not said: %q", table.String())
	}
}

// A narrow terminal gets a table that fits, whatever there is to be said.
func TestDiffFits(t *testing.T) {
	l := DiffListener{Port: 65535, PairedBy: "port", Changed: true,
		Old:      DiffPlace{Addrs: []string{"2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:1111:2222:3333:4444:5555:7777"}, Connections: 1_000_000},
		New:      DiffPlace{Addrs: []string{"2001:db8::1"}, Connections: 2_000_000},
		Findings: []DiffCount{{Name: "syn-retransmit-recovered", Side: "client", Severity: "warning", Old: 100_000, New: 200_000, Change: "more", P: 1.23e-101}},
		Latency: &DiffLatency{Old: DiffSample{9999999, 2048, 123456789, 223456789}, New: DiffSample{9999999, 2048, 323456789, 423456789}, Verdict: "slower",
			Test: &DiffTest{U: 4194304, Z: 38.1, P: 1e-300, PAdjusted: 4e-297, Shift: 2e8, ShiftLow: 1.9e8, ShiftHigh: 2.1e8, Relative: 1.62}},
		Histories: []DiffHistory{{History: History{Client: []string{"CLOSED", "SYN_SENT", "ESTABLISHED"}, Server: []string{"LISTEN", "SYN_RECEIVED"}}, New: 1, Change: "new"}},
	}
	var b bytes.Buffer
	if err := (&Diff{Listeners: []DiffListener{l}}).Table(&b, 80, false, false); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := width(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}
