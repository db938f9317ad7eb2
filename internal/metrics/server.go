package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// condition is whether packets are being taken, and if not, why.
type condition struct{ word atomic.Pointer[string] }

// The words of a condition that is no failure.
var starting, sniffing = "starting: no interface is open yet", "sniffing"

func (c *condition) get() string {
	if w := c.word.Load(); w != nil {
		return *w
	}
	return starting
}

func (c *condition) ready() bool { return c.word.Load() == &sniffing }

// Ready says that packets are being taken: when the first ring is bound, and
// again when a capture that had failed goes on.
func (m *Metrics) Ready() { m.condition.word.Store(&sniffing) }

// Failed says that no packets are being taken any more, and why.
func (m *Metrics) Failed(why error) {
	word := "capture failed: " + why.Error()
	m.condition.word.Store(&word)
}

// Handler serves /metrics, /healthz (200 while the process can answer at all)
// and /readyz (200 while packets are being taken, else 503 and the reason).
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, Timeout: writeTimeout / 2,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		status := http.StatusServiceUnavailable
		if m.condition.ready() {
			status = http.StatusOK
		}
		answer(w, status, m.condition.get())
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "tcpflow-states: /metrics /healthz /readyz")
	})
	return mux
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text+"\n") // a client that has gone is its own loss
}

// Nobody may hold a connection for longer than a scrape takes.
const (
	readTimeout  = 5 * time.Second
	writeTimeout = 20 * time.Second
	idleTimeout  = 2 * time.Minute // longer than between two scrapes
)

// ParseAddress returns the address to listen on. A port alone, "9465" or ":9465",
// is on the loopback interface: all interfaces are "0.0.0.0:9465" or "[::]:9465".
func ParseAddress(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil && !strings.ContainsAny(text, ":.[") {
		host, port, err = "", text, nil
	}
	if err != nil {
		return "", fmt.Errorf("metrics address %q: want ADDRESS:PORT, for example 127.0.0.1:9465", text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return "", fmt.Errorf("metrics address %q: the port is a number from 0 (any free one) to 65535", text)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// Exporter answers scrapes.
type Exporter struct {
	http     http.Server
	listener net.Listener
	done     chan error
}

// Listen binds to an address as ParseAddress takes it, and answers from then on.
// Bind before privileges are dropped: Landlock may forbid it afterwards.
func (m *Metrics) Listen(address string) (*Exporter, error) {
	address, err := ParseAddress(address)
	if err != nil {
		return nil, err
	}
	// Plain TCP: Go's default, Multipath TCP, has nothing to offer a scrape.
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w: --metrics takes another ADDRESS:PORT", err)
	}
	s := &Exporter{listener: l, done: make(chan error, 1), http: http.Server{
		Handler: m.Handler(), ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 16 << 10,
	}}
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

// Addr is the address that it listens on, with the port that port 0 became.
func (s *Exporter) Addr() net.Addr { return s.listener.Addr() }

// Warning says what to mind about the address, in one sentence; empty when only
// this host reaches it.
func (s *Exporter) Warning() string {
	if a, ok := s.listener.Addr().(*net.TCPAddr); ok && a.IP.IsLoopback() {
		return ""
	}
	return fmt.Sprintf("metrics on %s are for whoever reaches that address, without a password, and name your listeners: "+
		"bind 127.0.0.1, or let a firewall admit Prometheus alone", s.listener.Addr())
}

// Shutdown stops listening, lets the scrapes under way finish until ctx is done,
// and cuts those that have not. It returns the error that ended the serving
// early, if one did.
func (s *Exporter) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		s.http.Close()
	}
	if err := <-s.done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}
