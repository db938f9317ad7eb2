package analyzer

// InboxLen lets tests outside the package hold what a side remembers to its
// bound.
func InboxLen(e *Endpoint) int { return len(e.inbox) }

// Next lets them walk Figure 5.
func Next(from State, on Event) State { return next[from][on] }
