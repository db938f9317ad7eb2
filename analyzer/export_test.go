package analyzer

// InboxLen lets tests outside the package hold what a side remembers to its
// bound.
func InboxLen(e *Endpoint) int { return len(e.inbox) }

// Next lets them walk Figure 5.
func Next(from State, on Event) State { return next[from][on] }

// WindowsReach is for how long a row of windows is kept whole.
const WindowsReach = (maxWindows - 1) * windowWidth

// Unpredicted makes the next segment of every flow take the way of segments
// about which nothing is known.
func Unpredicted(t *Tracker) {
	for _, f := range t.awake {
		if f != nil {
			f.plain = false
		}
	}
}

// Predictable says of how many flows the next segment may be predicted.
func Predictable(t *Tracker) (n int) {
	for _, f := range t.awake {
		if f != nil && f.plain {
			n++
		}
	}
	return n
}
