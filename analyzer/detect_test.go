package analyzer

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestDetectorsAreComplete(t *testing.T) {
	name := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[string]bool{}
	capture := true
	for _, d := range Detectors {
		if !name.MatchString(d.Name) || seen[d.Name] {
			t.Errorf("%q is no name, or one used twice", d.Name)
		}
		seen[d.Name] = true
		for what, text := range map[string]string{"Doc": d.Doc, "Cause": d.Cause, "Next": d.Next, "Reference": d.Reference} {
			if text == "" || strings.HasSuffix(text, ".") || strings.Contains(text, "\n") {
				t.Errorf("%s: %s is %q; want one sentence without its full stop", d.Name, what, text)
			}
		}
		for _, clause := range slices.Concat(d.Causes, d.LooksLike) {
			if clause == "" || strings.HasSuffix(clause, ".") || strings.Contains(clause, "\n") || clause == d.Cause {
				t.Errorf("%s: %q is no clause of its own", d.Name, clause)
			}
		}
		if d.Capture && !capture {
			t.Errorf("%s is about the capture and stands after others", d.Name)
		}
		capture = d.Capture
		if (d.Wants == 0) != (d.Segment == nil) || d.Segment == nil && d.End == nil && d.Across == nil && d.Lost == nil {
			t.Errorf("%s: Wants and Segment do not go together, or it never looks", d.Name)
		}
	}
}

// An ordinary segment wakes no detector.
func TestDetectorsSleep(t *testing.T) {
	const ordinary = FactData | FactACK | FactDuplicateACK | FactRetransmission | FactOutOfOrder | FactHole |
		FactKeepAlive | FactFIN | FactSYN | FactSYNACK
	for _, d := range Detectors {
		if woken := d.Wants & ordinary; woken != 0 {
			t.Errorf("%s wants %v", d.Name, woken.Names())
		}
	}
}

// A finding of the same kind about the same side is counted, and those about
// the capture come first.
func TestRaise(t *testing.T) {
	f := &Flow{}
	f.Raise(Finding{Detector: challengeACK, Side: 0, At: 5, Severity: Info})
	f.Raise(Finding{Detector: challengeACK, Side: 0, At: 9, Severity: Warning})
	f.Raise(Finding{Detector: challengeACK, Side: 1, At: 7})
	f.Raise(Finding{Detector: captureGap, Side: NoSide, At: 8})
	f.Raise(Finding{Detector: duplicateCapture, Side: NoSide, At: 8})
	var names []string
	for _, n := range f.Findings {
		names = append(names, n.Detector.Name)
	}
	if got := strings.Join(names, " "); got != "capture-gap duplicate-capture challenge-ack challenge-ack" {
		t.Errorf("order: %s", got)
	}
	if n := f.finding(challengeACK, 0); n.Count != 2 || n.At != 5 || n.Last != 9 || n.Severity != Warning {
		t.Errorf("folded to %+v", *n)
	}
	f.retract(challengeACK, 0)
	if f.finding(challengeACK, 0) != nil || f.finding(challengeACK, 1) == nil {
		t.Error("retract takes back another's finding, or not its own")
	}
}

func TestSeverityNames(t *testing.T) {
	for _, s := range []Severity{Info, Warning, Error} {
		if got, ok := ParseSeverity(s.String()); !ok || got != s {
			t.Errorf("ParseSeverity(%q) = %v, %v", s, got, ok)
		}
	}
	if _, ok := ParseSeverity("fatal"); ok {
		t.Error("fatal is no severity")
	}
}
