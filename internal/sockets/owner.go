package sockets

import (
	"strconv"
	"strings"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Relation says how a process is tied to a socket.
type Relation uint8

// The relations.
const (
	// Holds: it has a descriptor of the socket.
	Holds Relation = iota
	// Listens: it has the listener; the connection is half open, waits to be
	// accepted, or was gone before anybody was seen to hold it.
	Listens
	// Held: it had a descriptor when the socket was last seen with one, and has
	// closed it, or ended.
	Held
)

var relationNames = [...]string{"holds", "listens", "held"}

// String returns the name that outputs use.
func (r Relation) String() string { return relationNames[r] }

// Owner is who holds, or held, a socket of this host.
type Owner struct {
	Process  *Process // nil: none that may be seen
	Others   int      // how many processes hold the socket besides
	Relation Relation
	UID      uint32         // of the socket; 0 where the kernel keeps none
	State    analyzer.State // the kernel's, when the socket was last seen; Unknown: it never was
	Seen     int64          // when that was, ns since 1970-01-01 UTC; 0: never
	// Container and Pod are the process's; those of the socket's cgroup where
	// no process is known.
	Container Container
	Pod       string
	// Alike counts further network namespaces that have a socket of the same
	// addresses. A packet does not say which of them is meant.
	Alike int
}

// String names the owner in a sentence: "postgres (pid 812, pod db-0)". It
// holds no control characters.
func (o Owner) String() string {
	var b strings.Builder
	if o.Process == nil {
		b.WriteString("a process that may not be seen (uid ")
		b.WriteString(strconv.FormatUint(uint64(o.UID), 10))
	} else {
		b.WriteString(o.Process.Command)
		b.WriteString(" (pid ")
		b.WriteString(strconv.Itoa(o.Process.PID))
		if o.Others > 0 {
			b.WriteString(" and " + strconv.Itoa(o.Others) + " more")
		}
	}
	if where := o.where(); where != "" {
		b.WriteString(", " + where)
	}
	switch o.Relation {
	case Listens:
		b.WriteString(", the listener")
	case Held:
		b.WriteString(", until it closed")
	}
	if o.Alike > 0 {
		b.WriteString(", or that of " + many(o.Alike, "other network namespace", "other network namespaces"))
	}
	b.WriteByte(')')
	return b.String()
}

// where says the pod, the container or the unit that the owner runs in.
func (o *Owner) where() string {
	c := &o.Container
	switch {
	case o.Pod != "":
		return "pod " + o.Pod
	case c.PodUID != "":
		return "pod " + c.PodUID
	case len(c.ID) == 64:
		return "container " + c.ID[:12] // as docker ps and crictl ps show it
	case c.ID != "":
		return "container " + c.ID
	}
	return c.Unit
}

// of returns the owner that a process is.
func (h holder) owner(r Relation) Owner {
	o := Owner{Process: h.process, Others: int(h.others), Relation: r}
	if h.process != nil {
		o.Container, o.Pod = h.process.Container, h.process.Pod
	}
	return o
}

// many says how many of what there are.
func many(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + several
}
