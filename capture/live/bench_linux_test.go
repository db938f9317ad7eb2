//go:build !libpcap || cgo

package live

import (
	"bufio"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpflow-states/tcpflow-states/capture"
)

// What a frame costs the reader, and tcpdump -w /dev/null on the same frames:
// CPU time of user and system, of the reader's thread and of tcpdump's process.
// The kernel's copy into the ring is the sender's. Run it with -benchtime 500000x.
func BenchmarkCPU(b *testing.B) {
	for _, c := range []struct {
		name string
		snap uint32
	}{{"whole", 0}, {"snap192", 192}} {
		b.Run(c.name, func(b *testing.B) {
			pair(b)
			s := open(b, Config{Snap: c.snap})
			go flood(sendOn(b, "va"), b.N)
			var before, after unix.Rusage
			unix.Getrusage(unix.RUSAGE_THREAD, &before)
			var p capture.Packet
			for st := s.Stats(); st.Frames+st.Dropped < uint64(b.N); {
				if err := s.Next(&p); err != nil {
					b.Fatal(err)
				}
			}
			unix.Getrusage(unix.RUSAGE_THREAD, &after)
			cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
			b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/frame")
			b.ReportMetric(float64(s.Counters().Dropped), "dropped")
		})
	}
	b.Run("tcpdump", func(b *testing.B) {
		pair(b)
		path, err := exec.LookPath("tcpdump")
		if err != nil {
			b.Skip("SKIPPED: no tcpdump")
		}
		cmd := exec.Command(path, "-i", "vb", "-w", "/dev/null", "-B", "16384", "-Z", "root")
		said, err := cmd.StderrPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			b.Fatal(err)
		}
		lines := bufio.NewScanner(said)
		for lines.Scan() && !strings.Contains(lines.Text(), "listening on") {
		}
		flood(sendOn(b, "va"), b.N)
		time.Sleep(2 * lag)
		cmd.Process.Signal(syscall.SIGINT)
		for lines.Scan() {
			if b.N > 1 {
				b.Log(lines.Text())
			}
		}
		cmd.Wait()
		cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/frame")
	})
}

// flood sends n frames of 154 octets.
func flood(to *sender, n int) {
	frame := numbered(0)
	for range n {
		to.send(frame)
	}
}
