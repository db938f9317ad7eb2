package filter

import (
	"fmt"
	"testing"
)

// BenchmarkMatch is what a filter costs on a frame that it accepts last.
func BenchmarkMatch(b *testing.B) {
	hosts := "host 172.16.0.1"
	for i := 2; i <= 100; i++ {
		hosts += fmt.Sprintf(" or 172.16.0.%d", i)
	}
	frame := samples(&links[0])[2].data
	for _, e := range []struct{ name, text string }{
		{"tcp", "tcp"}, {"port", "tcp port 80"}, {"net-port", "net 10.0.0.0/8 and port 80"},
		{"syn", "tcp[tcpflags] & tcp-syn != 0"}, {"100-hosts", hosts},
	} {
		f, err := Parse(e.text, Options{})
		if err != nil {
			b.Fatal(err)
		}
		p, err := f.Program(1)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(e.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Match(frame, uint32(len(frame)))
			}
		})
	}
}

// BenchmarkCompile is what it takes to be ready.
func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		f, err := Parse("net 10.0.0.0/8 and (tcp port 80 or tcp port 443)", Options{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.Program(1); err != nil {
			b.Fatal(err)
		}
	}
}
