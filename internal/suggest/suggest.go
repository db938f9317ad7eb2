// Package suggest finds the name that was meant by one that is mistyped.
package suggest

import (
	"fmt"
	"strings"
)

// DidYouMean is `: did you mean "x"?` for the name nearest to what was typed,
// or nothing where none is near.
func DidYouMean(typed string, names []string) string {
	best, least := "", max(len(typed)/3, 2)+1
	for _, name := range names {
		d := distance(Fold(typed), Fold(name))
		if strings.HasPrefix(Fold(name), Fold(typed)) && len(typed) >= 3 {
			d = min(d, 1)
		}
		if d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// Fold takes away the differences that people do not mean.
func Fold(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "-")) }

// distance counts the letters to change, add, leave out or swap with their
// neighbour to make a into b.
func distance(a, b string) int {
	var before, prev []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, prev, row = prev, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
