package livetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What happens is said soon: a line of --events comes after the kernel has handed
// over the block of the ring, which it does within 100 ms at a low rate.
func TestEventLatency(t *testing.T) {
	const count, bound = 200, time.Second
	a, b := hosts(t)
	listener := b.listen(servicePort)
	p := b.live("--events")
	sent := map[string]time.Time{}
	for i := range count {
		port := uint16(30000 + i)
		sent[fmt.Sprintf(" %s:%d > ", a.addr, port)] = time.Now()
		fd := a.dial(port, b, servicePort)
		unix.Close(b.accept(listener))
		unix.Close(fd)
		time.Sleep(7 * time.Millisecond) // no multiple of the kernel's 50 ms
	}
	var took []time.Duration
	eventually(t, "all events", func() bool {
		took = took[:0]
		lines, at := p.out.lines(0)
		for i, line := range lines {
			if !strings.HasSuffix(line, "client CLOSED -> SYN_SENT  sent SYN (observed)") {
				continue
			}
			for name, begun := range sent {
				if strings.Contains(line, name) {
					took = append(took, at[i].Sub(begun))
				}
			}
		}
		return len(took) == count
	})
	slices.Sort(took)
	worst := took[count-1]
	t.Logf("from connect to the line of its SYN, %d connections: p50 %v, p99 %v, longest %v",
		count, took[count/2].Round(100*time.Microsecond), took[count*99/100].Round(100*time.Microsecond), worst.Round(100*time.Microsecond))
	if worst > bound {
		t.Errorf("a line came %v after its packet", worst)
	}
}
