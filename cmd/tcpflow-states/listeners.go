package main

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/metrics"
	"github.com/tcpflow-states/tcpflow-states/internal/top"
)

// listeners count by listener. There are never many more than maxListeners: under
// a scan of all ports, the quietest go.
type listeners map[metrics.Listener]listenerCount

// maxListeners is how many the view is given.
const maxListeners = 4096

// listenerCount is what is known of one.
type listenerCount struct {
	open, halfOpen, stuck int // flows that are held
	failed, findings      uint64
	worst                 *analyzer.Detector // nil: nothing was found
	severity              analyzer.Severity
}

// servedBy is the listener of a flow: where no SYN was captured, the likelier one.
func servedBy(f *analyzer.Flow) metrics.Listener {
	v := f.Server()
	return metrics.Listener{Addr: f.Key.Addr[v], Port: f.Key.Port[v]}
}

// add counts what is more.
func (l listeners) add(at metrics.Listener, more listenerCount) {
	n := l[at]
	n.open, n.halfOpen, n.stuck = n.open+more.open, n.halfOpen+more.halfOpen, n.stuck+more.stuck
	n.failed, n.findings = n.failed+more.failed, n.findings+more.findings
	if more.worst != nil && (n.worst == nil || more.severity > n.severity) {
		n.worst, n.severity = more.worst, more.severity
	}
	l[at] = n
	if len(l) >= 2*maxListeners {
		l.prune()
	}
}

// prune leaves those with the most trouble.
func (l listeners) prune() {
	if len(l) <= maxListeners {
		return
	}
	order := slices.SortedFunc(maps.Keys(l), func(a, b metrics.Listener) int {
		x, y := l[a].row(), l[b].row()
		return cmp.Or(y.Trouble(&x), a.Addr.Netip().Compare(b.Addr.Netip()), cmp.Compare(a.Port, b.Port))
	})
	for _, at := range order[maxListeners:] {
		delete(l, at)
	}
}

// row is what the view shows of it, but for whose it is.
func (n listenerCount) row() top.Listener {
	l := top.Listener{Open: n.open, HalfOpen: n.halfOpen, Stuck: n.stuck,
		Failed: n.failed, Findings: n.findings, Severity: n.severity}
	if n.worst != nil {
		l.Worst = n.worst.Name
	}
	return l
}
