package livetest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// flooded is how many SYNs a flood has.
const flooded = 1_000_000

// Each flow that is held takes less than this, packing and index included
// (docs/performance.md, Memory), and all else less than that: the program, the
// ring, what is known of listeners and hosts, the flows that are awake.
const (
	octetsPerFlow = 512
	octetsAtAll   = 160 << 20
)

// A million half-open connections take no more memory than --max-flows allows,
// and the established ones that were there are still known.
func TestFlood(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		held int // at most, with the established ones
	}{
		{"max-flows 20000", []string{"--max-flows", "20000"}, 20_000},
		{"default", nil, flooded + 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := hosts(t)
			live := b.live(append(c.args, "--events", "--metrics", metricsPort, "--limit", "5", "--port", fmt.Sprint(servicePort))...)
			conns := establish(a, b, 50)
			calm := live.status("VmRSS")
			rate := flood(t, a.sender(), flooded)
			bound := (octetsAtAll + c.held*octetsPerFlow) >> 10
			t.Logf("%d SYNs at %.0f a second", flooded, rate)
			taken(t, b, flooded)
			evicted := checkFlood(t, live, b, c.held, calm, bound)
			closeAll(t, live, conns)
			if code := live.stop(); code != 0 {
				t.Errorf("live ended with %d\n%s", code, &live.err)
			}
			if told, _ := number(live.out.String(), `([0-9,]+) flows? reported early`); told != evicted {
				t.Errorf("the summary says that %d flows were reported early, the metrics said %d\n%s", told, evicted, tail(live))
			}
			if m := regexp.MustCompile(`.*dropped.*`).FindString(live.out.String()); m != "" {
				t.Logf("the kernel had no room for all: %s", m)
			}
		})
	}
}

// established are connections that were there before a flood.
type established struct {
	what     string
	cfd, sfd int
}

func establish(a, b *host, n int) (list []established) {
	a.t.Helper()
	listener := b.listen(servicePort)
	for i := range n {
		port := uint16(30000 + i)
		cfd := a.dial(port, b, servicePort)
		list = append(list, established{fmt.Sprintf("%s:%d > %s:%d", a.addr, port, b.addr, servicePort), cfd, b.accept(listener)})
	}
	return list
}

// flood sends SYNs, each of another address and port, and returns how many a
// second it sent. Nobody answers.
func flood(t testing.TB, s *sender, n int) float64 {
	t.Helper()
	unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	syn := frame(netip.MustParseAddrPort("10.79.0.0:1024"), netip.MustParseAddrPort("10.77.0.2:80"), 1, 0, 0x02)
	begun := time.Now()
	for i := range n {
		binary.BigEndian.PutUint16(syn[28:], uint16(i))            // the lower half of the address
		binary.BigEndian.PutUint16(syn[34:], uint16(1024+i>>16))   // port
		binary.BigEndian.PutUint32(syn[38:], uint32(i)*2654435761) // sequence number
		if err := s.send(syn); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 999 { // 200,000 a second at most
			time.Sleep(time.Until(begun.Add(time.Duration(i) * 5 * time.Microsecond)))
		}
	}
	return float64(n) / time.Since(begun).Seconds()
}

// taken waits until that many frames have been taken from the ring, or are
// counted as dropped.
func taken(t testing.TB, h *host, n int) {
	t.Helper()
	eventually(t, "the flood is over", func() bool {
		time.Sleep(200 * time.Millisecond)
		all := h.scrape()
		return all["tcpflow_states_segments_total"]+all[fmt.Sprintf("tcpflow_states_capture_dropped_packets_total{interface=%q}", h.name)] >= float64(n)
	})
}

// checkFlood looks at memory, in KiB, and at what the metrics say. It returns how
// many flows were evicted.
func checkFlood(t *testing.T, live *program, h *host, held, calm, bound int) uint64 {
	t.Helper()
	now, peak := live.status("VmRSS"), live.status("VmHWM")
	t.Logf("resident: %d MiB before, %d MiB after, %d MiB at most; the bound is %d MiB", calm>>10, now>>10, peak>>10, bound>>10)
	if peak > bound {
		t.Errorf("resident: %d KiB, over the bound of %d KiB", peak, bound)
	}
	all := h.scrape()
	open, begun, evicted := all["tcpflow_states_flows_open"], all["tcpflow_states_flows_begun_total"], all["tcpflow_states_flows_evicted_total"]
	t.Logf("metrics: %.0f flows begun, %.0f open, %.0f evicted", begun, open, evicted)
	if open > float64(held) || open+evicted != begun {
		t.Errorf("%.0f flows are open, %.0f were evicted of %.0f; at most %d may be held", open, evicted, begun, held)
	}
	if held > flooded && evicted > 0 {
		t.Errorf("%.0f flows were evicted without need", evicted)
	}
	return uint64(evicted)
}

// closeAll closes what was established before: the events say so, of both
// sides, which they can of nothing that was forgotten.
func closeAll(t *testing.T, live *program, conns []established) {
	t.Helper()
	for _, c := range conns {
		unix.Close(c.cfd)
		unix.Close(c.sfd)
	}
	var missing []string
	eventuallyOr(func() bool {
		missing = missing[:0]
		text := live.out.String()
		for _, c := range conns {
			for _, move := range []string{"client ESTABLISHED -> FIN_WAIT_1", "server ESTABLISHED -> CLOSE_WAIT", "server CLOSE_WAIT -> LAST_ACK", "client FIN_WAIT_2 -> TIME_WAIT"} {
				if !strings.Contains(text, c.what+"  "+move) {
					missing = append(missing, c.what+" "+move)
				}
			}
		}
		return len(missing) == 0
	})
	if len(missing) > 0 {
		t.Errorf("%d connections were there before the flood; of their end is not seen: %d, as %s", len(conns), len(missing), missing[0])
	}
}

// eventuallyOr waits as eventually does, and leaves it to its caller to say what
// is wrong.
func eventuallyOr(done func() bool) {
	for end := time.Now().Add(limit / 4); !done() && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
}

// tail is the end of what a program has written.
func tail(p *program) string {
	lines, _ := p.out.lines(0)
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// The tool that people flood with makes no difference.
func TestFloodByHping(t *testing.T) {
	needs(t, "hping3")
	a, b := hosts(t)
	live := b.live("--max-flows", "5000", "--events", "--metrics", metricsPort, "--port", fmt.Sprint(servicePort))
	conns := establish(a, b, 20)
	const sent = 50_000
	hping := a.program("hping3", "-q", "-S", "-p", "80", "-i", "u20", "-c", fmt.Sprint(sent), "--rand-source", b.addr.String())
	hping.wait()
	taken(t, b, sent)
	calm := live.status("VmRSS")
	checkFlood(t, live, b, 5000, calm, (octetsAtAll+5000*octetsPerFlow)>>10)
	closeAll(t, live, conns)
	if code := live.stop(); code != 0 {
		t.Errorf("live ended with %d\n%s", code, &live.err)
	}
}
