package gen

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"slices"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

func write(t testing.TB, cfg Config) ([]byte, Written) {
	t.Helper()
	var b bytes.Buffer
	n, err := Write(&b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), n
}

// TestSameSeedSameBytes: a benchmark or a bug report names a capture by its
// flags alone.
func TestSameSeedSameBytes(t *testing.T) {
	for _, p := range Profiles {
		cfg := Config{Profile: p.Name, Seed: 7, Packets: 5000}
		one, n := write(t, cfg)
		two, _ := write(t, cfg)
		if !bytes.Equal(one, two) {
			t.Errorf("%s: the same seed gives other bytes", p.Name)
		}
		if n.Bytes != int64(len(one)) {
			t.Errorf("%s: says %d bytes, wrote %d", p.Name, n.Bytes, len(one))
		}
		cfg.Seed = 8
		if other, _ := write(t, cfg); bytes.Equal(one, other) {
			t.Errorf("%s: another seed gives the same bytes", p.Name)
		}
	}
}

// TestReadable: every packet is a TCP segment to our own reader, in time
// order, also where the snap length cuts it.
func TestReadable(t *testing.T) {
	for _, p := range Profiles {
		b, n := write(t, Config{Profile: p.Name, Seed: 1, Packets: 3000})
		segments := 0
		var last int64
		each(t, b, func(x *analyzer.Segment) {
			segments++
			if x.Time < last {
				t.Fatalf("%s: frame %d goes back in time", p.Name, x.Frame)
			}
			last = x.Time
		})
		if segments != n.Packets || n.Packets < 3000 {
			t.Errorf("%s: wrote %d packets, read %d segments", p.Name, n.Packets, segments)
		}
	}
}

// TestBounds: the two limits hold, for whoever wants one connection or many.
func TestBounds(t *testing.T) {
	if _, n := write(t, Config{Profile: "mix", Connections: 10}); n.Connections != 10 {
		t.Errorf("wanted 10 connections, got %d", n.Connections)
	}
	if _, err := Write(io.Discard, Config{Profile: "none"}); err == nil {
		t.Error("an unknown profile is no error")
	}
}

// TestIntendedHistories: a tracker finds what every story meant its sides to
// go through; the generator and the tracker were written apart.
func TestIntendedHistories(t *testing.T) {
	for _, profile := range []string{"mix", "headers", "healthy", "bulk", "scan", "resting"} {
		t.Run(profile, func(t *testing.T) {
			meant := map[netip.AddrPort]*Connection{}
			b, n := write(t, Config{Profile: profile, Seed: 3, Packets: 30_000,
				OnConnection: func(c *Connection) { meant[c.Client] = c }})
			wrong, flows := map[string]int{}, 0
			tracker := analyzer.New(analyzer.Config{OnFlow: func(f *analyzer.Flow) {
				flows++
				c := meant[f.Addr(f.Client)]
				if c == nil {
					t.Errorf("flow %d has a client that was not made", f.Number)
					return
				}
				for i, want := range []States{c.Story.Client, c.Story.Server} {
					side := []analyzer.Side{f.Client, f.Server()}[i]
					if got := history(f, side); want != nil && !slices.Equal(got, want) {
						if wrong[c.Story.Name]++; wrong[c.Story.Name] == 1 {
							t.Errorf("%q, side %d of flow %d: %v, meant %v", c.Story.Name, i, f.Number, got, want)
						}
					}
				}
			}})
			each(t, b, tracker.Observe)
			tracker.Close()
			if flows != n.Connections {
				t.Errorf("made %d connections, found %d flows", n.Connections, flows)
			}
			if len(wrong) > 0 {
				t.Errorf("sides that went another way, by story: %v", wrong)
			}
		})
	}
}

// TestMix: benchmarks of the mix are about short conversations that take their
// time, of which most are sound.
func TestMix(t *testing.T) {
	b, n := write(t, ProfileNamed("mix").Full(1, 0.02))
	var first, last int64
	troubled, held := 0, 0
	tracker := analyzer.New(analyzer.Config{OnFlow: func(f *analyzer.Flow) {
		if len(f.Findings) > 0 {
			troubled++
		}
	}})
	each(t, b, func(x *analyzer.Segment) {
		if first == 0 {
			first = x.Time
		}
		last = x.Time
		tracker.Observe(x)
		held = max(held, tracker.Totals().Open)
	})
	tracker.Close()
	for _, c := range []struct {
		what        string
		is          float64
		least, most float64
	}{
		{"packets of a connection", float64(n.Packets) / float64(n.Connections), 18, 19},
		{"octets of a connection", float64(n.Bytes) / float64(n.Connections), 4200, 4800},
		{"minutes", float64(last-first) / 60e9, 10, 30},
		{"flows held at once, with those in TIME_WAIT", float64(held), 400, 1000},
		{"% of flows with findings", 100 * float64(troubled) / float64(n.Connections), 5, 15},
	} {
		if c.is < c.least || c.is > c.most {
			t.Errorf("%s: %.1f, want %.0f to %.0f", c.what, c.is, c.least, c.most)
		}
	}
}

// history is the believed one, without what timers alone say and without the
// CLOSED of a port that refuses.
func history(f *analyzer.Flow, s analyzer.Side) States {
	h := States{}
	for tr := range f.Believed(s) {
		if tr.Trigger != analyzer.Timeout && !(tr.From == analyzer.Listen && tr.To == analyzer.Closed) {
			h = append(h, tr.To)
		}
	}
	return h
}

func each(t testing.TB, pcap []byte, do func(*analyzer.Segment)) {
	t.Helper()
	src, err := capture.NewReader(bytes.NewReader(pcap), "generated", capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var p capture.Packet
	for {
		err := src.Next(&p)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		do(&p.Segment)
	}
}

func BenchmarkWrite(b *testing.B) {
	for b.Loop() {
		n, _ := Write(io.Discard, Config{Profile: "mix", Packets: 100_000})
		b.SetBytes(n.Bytes)
	}
}
