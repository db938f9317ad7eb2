package livetest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// length is how long a test runs: the variable's, or by default.
func length(t testing.TB, variable string, byDefault time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return byDefault
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > time.Hour {
		t.Fatalf("%s=%q: give a duration up to 1h", variable, text)
	}
	return d
}

// Where tcpdump drops nothing we drop nothing, under everything at once; what
// both cost is logged.
func TestLoad(t *testing.T) {
	d := length(t, "TCPFLOW_STATES_LOAD", 5*time.Second)
	a, b := hosts(t)
	live := b.live("--metrics", metricsPort)
	var dump *program
	if has(t, "tcpdump") {
		// With as much room in the kernel as we have: 16 MiB.
		dump = b.program("timeout", "-s", "INT", safety, "tcpdump", "-i", b.name, "-B", "16384", "-w", "/dev/null")
		eventually(t, "tcpdump begins", func() bool { return dump.err.has("listening on") })
	}
	load := newLoad(a, b, d)
	halfWay(t, b, d)
	load.wait()
	time.Sleep(200 * time.Millisecond) // the last block of both rings
	if code := live.stop(); code != 0 {
		t.Errorf("live ended with %d\n%s", code, &live.err)
	}
	frames, _ := number(live.out.String(), `live, ([0-9,]+) frames`)
	dropped, _ := number(live.out.String(), `([0-9,]+) frames? dropped`)
	t.Logf("%v of load: %s", d, load)
	t.Logf("live:    %d frames, %d dropped, %.2f s of CPU per million", frames, dropped, perMillion(live, frames))
	if frames < 1000 {
		t.Errorf("there was no load: %d frames\n%s", frames, &live.out)
	}
	if dump == nil {
		return
	}
	dump.stop()
	theirs, _ := number(dump.err.String(), `(\d+) packets? received by filter`)
	lost, ok := number(dump.err.String(), `(\d+) packets? dropped by kernel`)
	t.Logf("tcpdump: %d frames, %d dropped, %.2f s of CPU per million", theirs, lost, perMillion(dump, theirs))
	switch {
	case !ok:
		t.Errorf("tcpdump does not say what it dropped: %s", &dump.err)
	case lost > 0:
		t.Logf("SKIPPED IN PART: tcpdump dropped %d frames, so the machine was too slow for the load", lost)
	case dropped > 0:
		t.Errorf("tcpdump dropped nothing, we %d of %d", dropped, frames)
	case frames != theirs:
		t.Errorf("tcpdump saw %d frames, we %d", theirs, frames)
	}
}

func perMillion(p *program, frames uint64) float64 {
	return p.cpu().Seconds() * 1e6 / float64(max(frames, 1))
}

// halfWay scrapes in the middle of the load, twice: counters grow and are of
// what is known to go on.
func halfWay(t *testing.T, h *host, d time.Duration) {
	t.Helper()
	time.Sleep(d / 2)
	first := h.scrape()
	time.Sleep(min(d/4, 5*time.Second))
	second := h.scrape()
	packets := fmt.Sprintf(`tcpflow_states_capture_packets_total{interface=%q}`, h.name)
	for _, name := range []string{packets, "tcpflow_states_segments_total", "tcpflow_states_flows_begun_total", "process_cpu_seconds_total"} {
		if second[name] <= first[name] || first[name] <= 0 {
			t.Errorf("%s: %v, then %v", name, first[name], second[name])
		}
	}
	if second["tcpflow_states_segments_total"] > second[packets] {
		t.Errorf("more segments than packets: %v of %v", second["tcpflow_states_segments_total"], second[packets])
	}
	if open, begun, ended := second["tcpflow_states_flows_open"], second["tcpflow_states_flows_begun_total"], second["tcpflow_states_flows_ended_total"]; open+ended != begun {
		t.Errorf("%v flows begun, %v ended and %v open", begun, ended, open)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, body, _ := h.get(path); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// load is what all generators send from a to b, and take back.
type load struct {
	t    testing.TB
	a, b *host

	end      chan bool
	busy     sync.WaitGroup
	tools    []*program
	churned  atomic.Int64
	requests atomic.Int64
}

// newLoad starts what is installed. The rates are such that two cores which do
// other things, too, have time for all of it.
func newLoad(a, b *host, d time.Duration) *load {
	a.t.Helper()
	l := &load{t: a.t, a: a, b: b, end: make(chan bool)}
	time.AfterFunc(d, func() { close(l.end) })
	seconds := fmt.Sprint(max(1, int(d.Seconds())))
	l.serve()
	l.churn(500)
	if has(a.t, "wrk") {
		l.tools = append(l.tools, a.program("wrk", "-t1", "-c16", "-d"+seconds, "http://"+b.addr.String()+":8080/"))
	}
	if has(a.t, "iperf3") {
		server := b.program("iperf3", "-s", "-1", "--forceflush")
		eventually(a.t, "iperf3 listens", func() bool { return server.out.has("listening") })
		l.tools = append(l.tools, a.program("iperf3", "-c", b.addr.String(), "-t", seconds, "-b", "400M", "-l", "8K"))
	}
	if has(a.t, "tcpreplay") {
		l.tools = append(l.tools, a.program("timeout", "-s", "INT", fmt.Sprint(d.Seconds()), "tcpreplay", "--intf1="+a.name, "--pps=20000", "--loop=0", "--preload-pcap", l.recording()))
	}
	return l
}

// wait waits until all have ended.
func (l *load) wait() {
	<-l.end
	l.busy.Wait()
	for _, p := range l.tools {
		p.wait()
	}
}

func (l *load) String() string {
	list := []string{fmt.Sprintf("%d connections opened and closed, %d requests served", l.churned.Load(), l.requests.Load())}
	for _, p := range l.tools {
		name := filepath.Base(p.cmd.Path)
		if name == "timeout" {
			name = p.cmd.Args[4]
		}
		all := p.out.String() + "\n" + p.err.String()
		for _, pattern := range []string{`Actual: .*`, `\d+ requests in .*`, `.*sec +receiver`} {
			if m := regexp.MustCompile(pattern).FindString(all); m != "" {
				list = append(list, name+": "+strings.Join(strings.Fields(m), " "))
			}
		}
	}
	return strings.Join(list, "; ")
}

// serve is what wrk asks. The pause bounds how much it can ask.
func (l *load) serve() {
	l.t.Helper()
	var listener net.Listener
	l.b.in(func() {
		var err error
		if listener, err = net.Listen("tcp4", l.b.addr.String()+":8080"); err != nil {
			l.t.Fatal(err)
		}
	})
	text := strings.Repeat("state machine\n", 100)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(4 * time.Millisecond)
		l.requests.Add(1)
		io.WriteString(w, text)
	})}
	go server.Serve(listener)
	l.t.Cleanup(func() { server.Close() })
}

// churn opens and closes connections, so many a second.
func (l *load) churn(rate int) {
	l.t.Helper()
	churn(l.t, l.a, l.b, rate, l.end, &l.busy, &l.churned)
}

// churn opens and closes connections from a to b until the end, so many a second,
// and counts them.
func churn(t testing.TB, a, b *host, rate int, end <-chan bool, busy *sync.WaitGroup, count *atomic.Int64) {
	t.Helper()
	var listener net.Listener
	b.in(func() {
		var err error
		if listener, err = net.Listen("tcp4", b.addr.String()+":8081"); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	busy.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			if err := a.greet(b.addr.String() + ":8081"); err != nil {
				t.Error(err)
				return
			}
			count.Add(1)
		}
	})
}

// greet opens a connection, has a word said back and closes it.
func (h *host) greet(to string) (err error) {
	h.in(func() {
		var c net.Conn
		if c, err = net.DialTimeout("tcp4", to, limit); err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(limit))
		if _, err = io.WriteString(c, "hello"); err == nil {
			_, err = io.ReadFull(c, make([]byte, 5))
		}
	})
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return nil // all ports are in TIME_WAIT
	}
	return err
}

// recording is a capture of connections that tcpreplay plays again and again.
func (l *load) recording() string {
	l.t.Helper()
	path := filepath.Join(l.t.TempDir(), "load.pcap")
	f, err := os.Create(path)
	if err != nil {
		l.t.Fatal(err)
	}
	w := pcapgo.NewWriter(f)
	err = w.WriteFileHeader(65536, layers.LinkTypeEthernet)
	server := netip.MustParseAddrPort("10.78.0.2:80")
	write := func(data []byte) {
		info := gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: len(data), Length: len(data)}
		err = errors.Join(err, w.WritePacket(info, data))
	}
	for i := range 1000 {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 78, 1, byte(i)}), uint16(10000+i))
		write(frame(client, server, 1, 0, 0x02))
		write(frame(server, client, 1, 2, 0x12))
		write(frame(client, server, 2, 2, 0x10))
		write(frame(client, server, 2, 2, 0x11))
		write(frame(server, client, 2, 3, 0x11))
		write(frame(client, server, 3, 3, 0x10))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		l.t.Fatal(err)
	}
	return path
}
