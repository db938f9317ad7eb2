package analyzer

// InboxLen lets tests outside the package hold what a side remembers to its
// bound.
func InboxLen(e *Endpoint) int { return len(e.inbox) }

// SpanCount is how many pieces of out-of-order sequence space a side holds.
func SpanCount(e *Endpoint) int { return len(e.spans.rest()) }
