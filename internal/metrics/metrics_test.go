package metrics

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/goleak"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

var update = flag.Bool("update", false, "write testdata anew")

var (
	leak  = &analyzer.Detector{Name: "stuck-close-wait", Severity: analyzer.Error}
	churn = &analyzer.Detector{Name: "connection-churn", Severity: analyzer.Warning}
)

func listener(last byte, port uint16) Listener {
	return Listener{Addr: analyzer.AddrFrom4([4]byte{10, 0, 0, last}), Port: port}
}

// many returns the i-th of as many listeners as one likes.
func many(i int) Listener {
	return Listener{Addr: analyzer.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Port: 80}
}

const second = int64(time.Second)

// fed is what the golden exposition shows: two loops, three listeners, one of
// them without a place.
func fed() *Metrics {
	m := New(Config{Version: "v1.2.3", Listeners: 2, Detectors: []*analyzer.Detector{leak, churn}})
	a, b := m.Feed(), m.Feed()
	db, web, rare := listener(9, 5432), listener(8, 443), listener(7, 22)
	for range 3 {
		a.Handshake(db, analyzer.HandshakeEstablished, 250_000, 1_000)
		b.Handshake(web, analyzer.HandshakeEstablished, 3_000_000, 9e9)
	}
	b.Handshake(rare, analyzer.HandshakeRefused, -1, -1)
	now := 1_800_000_000 * second
	a.Flush(now, analyzer.Totals{})
	b.Flush(now, analyzer.Totals{})

	b.Handshake(db, analyzer.HandshakeUnanswered, -1, -1)
	b.Handshake(rare, analyzer.HandshakeEstablished, 2_000, 1_000)
	a.Finding(db, leak, analyzer.Error)
	a.Finding(rare, leak, analyzer.Info)
	a.Finding(Listener{}, churn, analyzer.Warning)
	a.Finding(db, &analyzer.Detector{Name: "of nobody"}, analyzer.Error)
	a.Socket(db, Server, analyzer.CloseWait, true)
	a.Socket(db, Client, analyzer.FinWait2, true)
	a.Socket(rare, Server, analyzer.Established, false)
	a.Socket(Listener{}, Client, analyzer.Unknown, false)
	b.Socket(db, Server, analyzer.CloseWait, false)
	b.Socket(web, Server, analyzer.Established, false)
	a.Publish()
	b.Publish()
	a.Flush(now+second, analyzer.Totals{Segments: 1000, Flows: 10, Open: 3, Evicted: 1})
	b.Flush(now+second, analyzer.Totals{Segments: 100, Flows: 5, Open: 2})
	m.Capture("eth0", Capture{Packets: 5, Up: true})
	m.Capture("eth0", Capture{Packets: 1200, Dropped: 7, Freezes: 2, Full: 0.25, Up: true})
	m.Ready()
	return m
}

// The whole exposition, as Prometheus gets it, but for what differs by build.
func TestExposition(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(fed())
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if f.GetName() == "tcpflow_states_build_info" {
			continue
		}
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	const golden = "testdata/exposition.txt"
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); d != "" {
		t.Errorf("the exposition differs (-want +got); -update writes it anew:\n%s", d)
	}
}

// Names and help texts are as Prometheus wants them.
func TestLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(fed().registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// What was described is all there once it was fed, and nothing else.
func TestEveryMetricIsThere(t *testing.T) {
	m := fed()
	for _, d := range known {
		name, _, _ := strings.Cut(strings.TrimPrefix(d.String(), `Desc{fqName: "`), `"`)
		if n, err := testutil.GatherAndCount(m.registry, name); err != nil || n == 0 {
			t.Errorf("%s: %d series, error %v", name, n, err)
		}
	}
}

// The runtime's and the process's own metrics are in the registry.
func TestOwnMemoryIsThere(t *testing.T) {
	m := New(Config{})
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "process_open_fds"} {
		if n, err := testutil.GatherAndCount(m.registry, name); err != nil || n != 1 {
			t.Errorf("%s: %d series, error %v", name, n, err)
		}
	}
}

// families returns what a scrape gets, by name.
func families(t *testing.T, m *Metrics) map[string]*dto.MetricFamily {
	t.Helper()
	list, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	by := make(map[string]*dto.MetricFamily)
	for _, f := range list {
		by[f.GetName()] = f
	}
	return by
}

// values returns the series of a metric, by the label of that name, added up.
func values(f *dto.MetricFamily, label string) map[string]float64 {
	by := make(map[string]float64)
	for _, x := range f.GetMetric() {
		for _, l := range x.GetLabel() {
			if l.GetName() == label {
				by[l.GetValue()] += x.GetCounter().GetValue() + x.GetGauge().GetValue()
			}
		}
	}
	return by
}

// With 100,000 listeners there are as many labels as were asked for, the busy
// ones have them, and nothing is lost from the sums.
func TestListenersAreBounded(t *testing.T) {
	const listeners, limit = 100_000, 20
	m := New(Config{Listeners: limit})
	f := m.Feed()
	now := int64(0)
	for round := range 12 {
		for i := range listeners {
			if round < 3 {
				f.Handshake(many(i+1000), analyzer.HandshakeEstablished, 1000, 1000)
				f.Socket(many(i+1000), Server, analyzer.Established, false)
			}
			if i%500 == 0 { // ten that are busy
				f.Handshake(many(i/500%10), analyzer.HandshakeEstablished, 1000, 1000)
			}
		}
		f.Publish()
		now += 70 * second
		f.Flush(now, analyzer.Totals{})
		if len(m.ranks.candidates) > 2*maxCandidates+limit || len(f.seen) > maxSeen {
			t.Fatalf("%d candidates and %d seen are remembered", len(m.ranks.candidates), len(f.seen))
		}
	}
	got := values(families(t, m)["tcpflow_states_listener_handshakes_total"], "listener")
	if len(got) != limit+1 {
		t.Errorf("%d labels, want %d and other", len(got), limit)
	}
	for i := range 10 {
		if _, ok := got[many(i).label()]; !ok {
			t.Errorf("busy listener %s is not listed", many(i).label())
		}
	}
	if got, want := values(families(t, m)["tcpflow_states_handshakes_total"], "result")["established"], float64(3*listeners+12*listeners/500); got != want {
		t.Errorf("%v handshakes in all, want %v", got, want)
	}
}

// The sockets of the listeners and of the others are those of the total,
// whenever the listing changes.
func TestOtherIsTheRest(t *testing.T) {
	m := New(Config{Listeners: 3})
	feeds := []*Feed{m.Feed(), m.Feed()}
	for round := range 30 {
		for i, f := range feeds {
			for n := range 50 {
				f.Socket(many(n*(round/10+1)), Server, analyzer.Established, n%7 == 0)
			}
			f.Publish()
			// One of them is late: it counts by an older listing.
			if i == 0 || round%3 == 0 {
				f.Flush(int64(round)*100*second, analyzer.Totals{})
			}
		}
		by := families(t, m)
		for _, name := range []string{"sockets", "stuck_sockets"} {
			all, parts := by["tcpflow_states_"+name], by["tcpflow_states_listener_"+name]
			a, p := values(all, "side")["server"], values(parts, "side")["server"]
			if a != p || a == 0 {
				t.Fatalf("round %d: %v %s in all, %v by listener", round, a, name, p)
			}
		}
	}
}

// A listener that is listed stays so while another is about as busy.
func TestNoFlapping(t *testing.T) {
	m := New(Config{Listeners: 1})
	f := m.Feed()
	a, b := listener(1, 80), listener(2, 80)
	labels := func() string {
		for l := range values(families(t, m)["tcpflow_states_listener_handshakes_total"], "listener") {
			if l != "other" {
				return l
			}
		}
		return ""
	}
	now := int64(0)
	work := func(at Listener, n int) {
		for range n {
			f.Handshake(at, analyzer.HandshakeEstablished, 1, 1)
		}
	}
	for minute := range 120 {
		work(a, 100+100*(minute%2))
		work(b, 250-200*(minute%2))
		now += 60 * second
		f.Flush(now, analyzer.Totals{})
		if minute == 0 {
			if got := labels(); got != b.label() {
				t.Fatalf("listed: %s, want the busier %s", got, b.label())
			}
		} else if got := labels(); got != b.label() {
			t.Fatalf("minute %d: %s is listed, for no good reason", minute, got)
		}
	}
	for range 60 {
		work(a, 500)
		now += 60 * second
		f.Flush(now, analyzer.Totals{})
	}
	if got := labels(); got != a.label() {
		t.Errorf("%s is listed though it does nothing any more", got)
	}
}

// What a listener had when it loses its label does not appear in other: a rate
// over it would show a burst that never was.
func TestOtherNeverJumps(t *testing.T) {
	m := New(Config{Listeners: 1})
	f := m.Feed()
	a, b := listener(1, 80), listener(2, 80)
	for range 1000 {
		f.Handshake(a, analyzer.HandshakeEstablished, 1, 1)
	}
	f.Flush(60*second, analyzer.Totals{})
	for range 5000 {
		f.Handshake(b, analyzer.HandshakeEstablished, 1, 1)
	}
	f.Flush(180*second, analyzer.Totals{})
	f.Handshake(b, analyzer.HandshakeEstablished, 1, 1)
	f.Flush(181*second, analyzer.Totals{})
	got := values(families(t, m)["tcpflow_states_listener_handshakes_total"], "listener")
	// The first flush of a came before it was listed; so did that of b.
	want := map[string]float64{b.label(): 1, "other": 6000}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Feeding allocates nothing; neither does a flush that changes no listing.
func TestFeedingAllocatesNothing(t *testing.T) {
	m := New(Config{})
	f := m.Feed()
	feed := func(n int) {
		for i := range n {
			f.Handshake(many(i), analyzer.HandshakeEstablished, 1000, 1000)
			f.Finding(many(i), analyzer.Detectors[i%len(analyzer.Detectors)], analyzer.Info)
			f.Socket(many(i), Server, analyzer.Established, false)
		}
		f.Publish()
		f.Flush(second, analyzer.Totals{Segments: uint64(n)})
	}
	feed(1000)
	feed(1000)
	if n := testing.AllocsPerRun(20, func() { feed(1000) }); n != 0 {
		t.Errorf("%v allocations per 3000 events", n)
	}
}

// Scrapes come while loops count; the race detector watches. What they see only
// grows.
func TestScrapeWhileFed(t *testing.T) {
	m := New(Config{Listeners: 5})
	var feeding sync.WaitGroup
	stop := make(chan struct{})
	for n := range 4 {
		feeding.Add(1)
		go func() {
			defer feeding.Done()
			f := m.Feed()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				f.Handshake(many(i%50*n), analyzer.HandshakeEstablished, int64(i), 1)
				f.Socket(many(i%50), Server, analyzer.CloseWait, true)
				if i%100 == 0 {
					f.Publish()
					f.Flush(int64(i)*second, analyzer.Totals{Segments: uint64(i)})
					m.Capture("eth0", Capture{Packets: uint64(i)})
					m.Ready()
				}
			}
		}()
	}
	last := 0.0
	for range 50 {
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		if w.Code != http.StatusOK {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		now := values(families(t, m)["tcpflow_states_handshakes_total"], "result")["established"]
		if now < last {
			t.Fatalf("%v handshakes after %v", now, last)
		}
		last = now
	}
	close(stop)
	feeding.Wait()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// The exporter answers from Listen on, is ready only while packets are taken,
// and leaves nothing running.
func TestExporter(t *testing.T) {
	defer goleak.VerifyNone(t)
	m := New(Config{})
	e, err := m.Listen("0")
	if err != nil {
		t.Fatal(err)
	}
	if w := e.Warning(); w != "" {
		t.Errorf("on loopback it warns: %s", w)
	}
	url := "http://" + e.Addr().String()
	steps := []struct {
		why  string
		do   func()
		code int
		text string
	}{
		{"no ring is bound yet", func() {}, 503, "starting"},
		{"the first ring is bound", m.Ready, 200, "sniffing"},
		{"the interface has gone", func() { m.Failed(errors.New("eth0: network is down")) }, 503, "capture failed: eth0: network is down"},
		{"it has come back", m.Ready, 200, "sniffing"},
	}
	for _, s := range steps {
		s.do()
		if code, text := get(t, url+"/readyz"); code != s.code || !strings.Contains(text, s.text) {
			t.Errorf("%s: /readyz says %d %q, want %d %q", s.why, code, text, s.code, s.text)
		}
		if code, _ := get(t, url+"/healthz"); code != 200 {
			t.Errorf("%s: /healthz says %d", s.why, code)
		}
	}
	if code, text := get(t, url+"/metrics"); code != 200 || !strings.Contains(text, "tcpflow_states_ready 1") {
		t.Errorf("/metrics says %d, %d bytes", code, len(text))
	}
	if code, _ := get(t, url+"/debug/pprof/"); code != 404 {
		t.Errorf("/debug/pprof/ says %d", code)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if _, err := http.Get(url); err == nil {
		t.Error("it answers after Shutdown")
	}
}

// Whoever else reaches the address is told about, and a port in use is an error.
func TestAddress(t *testing.T) {
	m := New(Config{})
	e, err := m.Listen("0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Shutdown(context.Background())
	if w := e.Warning(); !strings.Contains(w, e.Addr().String()) {
		t.Errorf("warning about all interfaces: %q", w)
	}
	_, port, _ := strings.Cut(strings.ReplaceAll(e.Addr().String(), "[::]", "any"), ":")
	if _, err := m.Listen("0.0.0.0:" + port); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the port is taken, and the error is %v", err)
	}
	for text, want := range map[string]string{
		"9465": "127.0.0.1:9465", ":9465": "127.0.0.1:9465", "0.0.0.0:9465": "0.0.0.0:9465",
		"[::1]:9465": "[::1]:9465", "localhost:9465": "localhost:9465",
		"": "error", "eth0": "error", "127.0.0.1": "error", "::1": "error", "1.2.3.4:70000": "error", "x:http": "error",
	} {
		got, err := ParseAddress(text)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s (%v), want %s", text, got, err, want)
		}
	}
}

func BenchmarkHandshake(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n, " listeners"), func(b *testing.B) {
			f := New(Config{}).Feed()
			for i := range n {
				f.Handshake(many(i), analyzer.HandshakeEstablished, 1000, 1000)
			}
			f.Flush(second, analyzer.Totals{})
			b.ReportAllocs()
			for i := range b.N {
				f.Handshake(many(i%n), analyzer.HandshakeEstablished, 1000, 1000)
			}
		})
	}
}

func BenchmarkSocket(b *testing.B) {
	f := New(Config{}).Feed()
	f.Handshake(many(1), analyzer.HandshakeEstablished, 1000, 1000)
	f.Flush(second, analyzer.Totals{})
	b.ReportAllocs()
	for range b.N {
		f.Socket(many(1), Server, analyzer.Established, false)
	}
}

func BenchmarkFlush(b *testing.B) {
	f := New(Config{}).Feed()
	for i := range 1000 {
		f.Handshake(many(i), analyzer.HandshakeEstablished, 1000, 1000)
	}
	b.ReportAllocs()
	for range b.N {
		f.Flush(second, analyzer.Totals{})
	}
}

func BenchmarkScrape(b *testing.B) {
	m := New(Config{})
	f := m.Feed()
	for range 2 {
		for i := range 1000 {
			f.Handshake(many(i), analyzer.HandshakeEstablished, 1000, 1000)
			f.Finding(many(i), analyzer.Detectors[i%len(analyzer.Detectors)], analyzer.Info)
			f.Socket(many(i), Server, analyzer.State(i%analyzer.NumStates), true)
		}
		f.Publish()
		f.Flush(second, analyzer.Totals{})
	}
	h := m.Handler()
	for range b.N {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
	}
}

// A census that takes so long that another listener is listed meanwhile counts
// every socket where it belongs.
func TestFlushWithinCensus(t *testing.T) {
	m := New(Config{Listeners: 1})
	f := m.Feed()
	a, b := listener(1, 80), listener(2, 80)
	f.Handshake(a, analyzer.HandshakeEstablished, 1, 1)
	f.Flush(60*second, analyzer.Totals{})
	count := func() map[string]float64 {
		f.Publish()
		return values(families(t, m)["tcpflow_states_listener_sockets"], "listener")
	}
	f.Socket(a, Server, analyzer.Established, false)
	for range 5000 {
		f.Handshake(b, analyzer.HandshakeEstablished, 1, 1)
	}
	f.Flush(180*second, analyzer.Totals{})
	f.Socket(b, Server, analyzer.Established, false)
	f.Socket(b, Server, analyzer.Established, false)
	if d := cmp.Diff(map[string]float64{"other": 3}, count()); d != "" {
		t.Errorf("the census in which the listing changed: %s", d)
	}
	f.Socket(a, Server, analyzer.Established, false)
	f.Socket(b, Server, analyzer.Established, false)
	f.Socket(b, Server, analyzer.Established, false)
	if d := cmp.Diff(map[string]float64{b.label(): 2, "other": 1}, count()); d != "" {
		t.Errorf("the next: %s", d)
	}
}
