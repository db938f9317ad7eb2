package analyzer

// InboxLen lets tests outside the package hold what a side remembers to its
// bound.
func InboxLen(e *Endpoint) int { return len(e.inbox) }

// Next lets them walk Figure 5.
func Next(from State, on Event) State { return next[from][on] }

// WindowsReach is for how long a row of windows is kept whole.
const WindowsReach = (maxWindows - 1) * windowWidth
