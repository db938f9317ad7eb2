package analyzer

import "testing"

// connection makes the segments of a connection with data both ways and an
// orderly close, each 1 ms after the one before.
func connection(port uint16, start int64) []Segment {
	a, b := AddrFrom4([4]byte{10, 0, 0, 1}), AddrFrom4([4]byte{10, 0, 0, 2})
	var list []Segment
	send := func(client bool, flags Flags, seq, ack Seq, n uint32) {
		x := Segment{Src: a, Dst: b, SrcPort: port, DstPort: 80, Flags: flags, Seq: seq, Ack: ack, Len: n, Window: 500,
			Frame: uint64(len(list) + 1), Time: start + int64(len(list))*1e6, IPID: uint16(len(list) + 1)}
		if !client {
			x.Src, x.Dst, x.SrcPort, x.DstPort = b, a, 80, port
		}
		x.Options.Set = OptTimestamps
		x.Options.TSVal = uint32(x.Time / 1e6)
		x.Options.TSEcr = x.Options.TSVal - 1
		list = append(list, x)
	}
	send(true, SYN, 100, 0, 0)
	send(false, SYN|ACK, 300, 101, 0)
	send(true, ACK, 101, 301, 0)
	send(true, ACK|PSH, 101, 301, 50)
	send(false, ACK, 301, 151, 0)
	send(false, ACK|PSH, 301, 151, 1000)
	send(true, ACK, 151, 1301, 0)
	send(true, ACK|FIN, 151, 1301, 0)
	send(false, ACK|FIN, 1301, 152, 0)
	send(true, ACK, 152, 1302, 0)
	return list
}

// Memory belongs to open flows: connections that come and go use that of those
// before them.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	t.Run("alone", func(t *testing.T) { steadyState(t, Config{}) })
	t.Run("with what other tools say", func(t *testing.T) { steadyState(t, Config{Peers: true}) })
	t.Run("added up", func(t *testing.T) { steadyState(t, Config{OnFlow: NewRollup(nil).Add}) })
}

func steadyState(t *testing.T, cfg Config) {
	tr := New(cfg)
	now := int64(1e18)
	var x Segment // one, as a source fills it
	round := func() {
		for _, port := range [...]uint16{4001, 4002, 4003} {
			for _, x = range segmentsOf(port) {
				x.Time += now
				tr.Observe(&x)
			}
		}
		now += 100e9 // longer than TIME_WAIT: all are handed on
		tr.Advance(now)
	}
	for range 3 {
		round()
	}
	if n := testing.AllocsPerRun(50, round); n != 0 {
		t.Errorf("%v allocations for three connections in steady state; want none", n)
	}
	if n := tr.Totals().Open; n != 0 {
		t.Errorf("%d flows held after their time", n)
	}
}

// Ordinary segments of an open connection allocate nothing, with every
// detector at work.
func TestOrdinarySegmentsAllocateNothing(t *testing.T) {
	t.Run("alone", func(t *testing.T) { ordinary(t, Config{}) })
	t.Run("with what other tools say", func(t *testing.T) { ordinary(t, Config{Peers: true}) })
}

func ordinary(t *testing.T, cfg Config) {
	tr := New(cfg)
	list := connection(4000, 1e18)
	for i := range 7 {
		tr.Observe(&list[i])
	}
	data, ack := list[5], list[6]
	if n := testing.AllocsPerRun(1000, func() {
		data.Seq += 1000
		data.IPID++
		data.Time += 1e6
		tr.Observe(&data)
		ack.Ack += 1000
		ack.IPID++
		ack.Time = data.Time + 1e5
		tr.Observe(&ack)
	}); n != 0 {
		t.Errorf("%v allocations for two segments", n)
	}
}

var made = map[uint16][]Segment{}

func segmentsOf(port uint16) []Segment {
	if made[port] == nil {
		made[port] = connection(port, 0)
	}
	return made[port]
}

// The cost of one segment of an open connection.
func BenchmarkObserveData(b *testing.B)  { observeData(b, Config{}) }
func BenchmarkObservePeers(b *testing.B) { observeData(b, Config{Peers: true}) }

func observeData(b *testing.B, cfg Config) {
	tr := New(cfg)
	list := connection(4000, 1e18)
	for i := range 7 {
		tr.Observe(&list[i])
	}
	data, ack := list[5], list[6]
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		data.Seq += 1000
		data.IPID++
		data.Time += 1e5
		tr.Observe(&data)
		ack.Ack += 1000
		ack.IPID++
		ack.Time = data.Time + 1e4
		tr.Observe(&ack)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/segment")
}

// The cost of a whole connection, from SYN to the end of TIME_WAIT.
func BenchmarkConnection(b *testing.B) {
	tr := New(Config{})
	list := connection(4000, 0)
	now := int64(1e18)
	b.ReportAllocs()
	var x Segment
	for b.Loop() {
		for _, x = range list {
			x.Time += now
			tr.Observe(&x)
		}
		now += 100e9
		tr.Advance(now)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(len(list)*b.N), "ns/segment")
}
