package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// metric is one name with its labels.
type metric struct {
	*prometheus.Desc
	kind prometheus.ValueType
}

// known has every metric of Metrics.
var known []metric

func gauge(name, help string, labels ...string) metric {
	return add(metric{prometheus.NewDesc("tcpflow_states_"+name, help, labels, nil), prometheus.GaugeValue})
}

func counter(name, help string, labels ...string) metric {
	return add(metric{prometheus.NewDesc("tcpflow_states_"+name, help, labels, nil), prometheus.CounterValue})
}

func add(m metric) metric {
	known = append(known, m)
	return m
}

var (
	buildInfo = gauge("build_info", "Always 1; the labels say what was built.", "version", "revision", "goversion", "platform")
	ready     = gauge("ready", "1 while packets are being taken, as /readyz says it.")

	socketsNow = gauge("sockets", "Sockets seen on the wire, by side of their connection and RFC 9293 state.", "side", "state")
	stuckNow   = gauge("stuck_sockets", "Sockets that have been in their state, and silent, for longer than --stuck-after.", "side", "state")
	handshakes = counter("handshakes_total", "Openings of connections whose result is known, by result.", "result")
	findings   = counter("findings_total", "Findings, by name and severity.", "finding", "severity")
	serverHalf = gauge("handshake_server_seconds", "Time from SYN to SYN+ACK, as the capture saw it: the network towards the server, and the server's kernel.")
	clientHalf = gauge("handshake_client_seconds", "Time from SYN+ACK to ACK, as the capture saw it: the network towards the client, and the client's kernel.")

	listenerSockets    = gauge("listener_sockets", "Sockets of the most active listeners' connections; all others are under the listener \"other\".", "listener", "side", "state")
	listenerStuck      = gauge("listener_stuck_sockets", "Stuck sockets of the most active listeners' connections; all others are under the listener \"other\".", "listener", "side", "state")
	listenerHandshakes = counter("listener_handshakes_total", "Openings by the most active listeners, since each became one; all others are under the listener \"other\".", "listener", "result")
	listenerFindings   = counter("listener_findings_total", "Findings by the most active listeners, since each became one; all others are under the listener \"other\".", "listener", "finding", "severity")
	listenerServerHalf = gauge("listener_handshake_server_seconds", "Time from SYN to SYN+ACK by the most active listeners, since each became one; all others are under the listener \"other\".", "listener")

	flowsOpen    = gauge("flows_open", "Flows that are held now.")
	flowsBegun   = counter("flows_begun_total", "Flows begun.")
	flowsEnded   = counter("flows_ended_total", "Flows that have ended, or were evicted.")
	flowsEvicted = counter("flows_evicted_total", "Flows ended early because there were more than --max-flows.")
	segments     = counter("segments_total", "TCP segments analyzed.")

	capturePackets = counter("capture_packets_total", "Packets that the kernel handed over.", "interface")
	captureDropped = counter("capture_dropped_packets_total", "Packets that the kernel had no room for: what rests on them is less certain.", "interface")
	captureFreezes = counter("capture_ring_freezes_total", "Times that the ring to the kernel was full.", "interface")
	captureFull    = gauge("capture_ring_used_ratio", "Share of the ring to the kernel that waits to be read.", "interface")
	captureUp      = gauge("capture_interface_up", "1 while the interface is there and running.", "interface")
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range known {
		ch <- d.Desc
	}
}

// Collect implements prometheus.Collector. It copies what there is under the
// lock, and sends it without: a slow scrape holds up nobody.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	s := samples{m: m}
	s.put(buildInfo, 1, m.build...)
	s.put(ready, oneIf(m.condition.ready()))
	m.mu.Lock()
	s.total()
	s.listeners()
	s.capture()
	m.mu.Unlock()
	for _, x := range s.list {
		ch <- x
	}
}

// samples are what a scrape gets.
type samples struct {
	m    *Metrics
	list []prometheus.Metric
}

func (s *samples) put(d metric, v float64, labels ...string) {
	s.list = append(s.list, prometheus.MustNewConstMetric(d.Desc, d.kind, v, labels...))
}

func (s *samples) histogram(d metric, l *latency, labels ...string) {
	buckets, n := make(map[float64]uint64, len(bounds)), uint64(0)
	for i, b := range bounds {
		n += l.buckets[i]
		buckets[time.Duration(b).Seconds()] = n
	}
	n += l.buckets[len(bounds)]
	s.list = append(s.list, prometheus.MustNewConstHistogram(d.Desc, n, time.Duration(l.sum).Seconds(), buckets, labels...))
}

// total puts what is said of all listeners together. All series are there from
// the start, at 0: increase() does not see a counter come into being.
func (s *samples) total() {
	var t analyzer.Totals
	var now sockets
	for _, f := range s.m.feeds {
		now.add(&f.sockets.all)
		t.Segments += f.totals.Segments
		t.Flows += f.totals.Flows
		t.Open += f.totals.Open
		t.Evicted += f.totals.Evicted
	}
	s.put(flowsOpen, float64(t.Open))
	s.put(flowsBegun, float64(t.Flows))
	s.put(flowsEnded, float64(t.Flows-t.Open))
	s.put(flowsEvicted, float64(t.Evicted))
	s.put(segments, float64(t.Segments))
	for side := range now {
		for st, n := range now[side] {
			s.put(socketsNow, float64(n.there), Role(side).String(), analyzer.State(st).String())
			s.put(stuckNow, float64(n.stuck), Role(side).String(), analyzer.State(st).String())
		}
	}
	a := &s.m.all
	s.histogram(serverHalf, &a.halves[Server])
	s.histogram(clientHalf, &a.halves[Client])
	for r, n := range a.handshakes {
		s.put(handshakes, float64(n), analyzer.HandshakeResult(r).String())
	}
	for i, d := range s.m.detectors {
		for sev := analyzer.Info; sev <= d.Severity; sev++ {
			s.put(findings, float64(a.findings[i][sev]), d.Name, sev.String())
		}
	}
}

// listeners puts what is said of each listener that has a label, and of the
// others together.
func (s *samples) listeners() {
	r := &s.m.ranks
	now := make([]sockets, len(r.listing.entries)+1)
	other := len(r.listing.entries)
	for _, f := range s.m.feeds {
		now[other].add(&f.sockets.other)
		for i, e := range f.listing.entries {
			at, ok := r.listing.place[e.at]
			if !ok {
				at = other
			}
			now[at].add(&f.sockets.listed[i])
		}
	}
	for i, e := range append(slices.Clone(r.listing.entries), &r.other) {
		s.listener(e, &now[i])
	}
}

// listener puts the series of one listener. Of all that there could be, those
// that have ever been anything but 0.
func (s *samples) listener(e *entry, now *sockets) {
	for side := range now {
		for st, n := range now[side] {
			labels := []string{e.name, Role(side).String(), analyzer.State(st).String()}
			if n.there > 0 || e.shown[side]&(1<<st) != 0 {
				e.shown[side] |= 1 << st
				s.put(listenerSockets, float64(n.there), labels...)
			}
			if n.stuck > 0 || e.stuck[side]&(1<<st) != 0 {
				e.stuck[side] |= 1 << st
				s.put(listenerStuck, float64(n.stuck), labels...)
			}
		}
	}
	for r, n := range e.counts.handshakes {
		s.put(listenerHandshakes, float64(n), e.name, analyzer.HandshakeResult(r).String())
	}
	s.histogram(listenerServerHalf, &e.counts.halves[Server], e.name)
	for i, d := range s.m.detectors {
		for sev, n := range e.counts.findings[i] {
			if n > 0 {
				s.put(listenerFindings, float64(n), e.name, d.Name, analyzer.Severity(sev).String())
			}
		}
	}
}

// capture puts what the sources of packets say.
func (s *samples) capture() {
	for _, c := range s.m.captures {
		s.put(capturePackets, float64(c.Packets), c.name)
		s.put(captureDropped, float64(c.Dropped), c.name)
		s.put(captureFreezes, float64(c.Freezes), c.name)
		s.put(captureFull, c.Full, c.name)
		s.put(captureUp, oneIf(c.Up), c.name)
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
