//go:build unix

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// markdown is docs/benchmarks.md.
func (m *measured) markdown() string {
	var b strings.Builder
	b.WriteString("<!-- Made by `make bench`. -->\n\n# Benchmarks\n\n" +
		"Each ratio is of runs that took turns on the same file, in the page cache, ours on two cores; times are medians,\n" +
		"memory is the highest resident set. How the time is spent, and how to measure parts: [performance.md](performance.md).\n\n")
	b.WriteString(machine())
	fmt.Fprintf(&b, "\nRounds: %d; tshark and tcptrace once.", m.runs)
	if m.scale != 1 {
		fmt.Fprintf(&b, " **Captures of %g of the full size: no figure here speaks of a goal.**", m.scale)
	}
	b.WriteString("\n\n## Goals\n\n")
	m.goals(&b)
	b.WriteString("\n## Captures\n\n" +
		"`go run ./internal/tools/gencapture -profile NAME -full 1 -o FILE` makes them; the same bytes each time.\n")
	for _, name := range profiles {
		m.files[name].table(&b, len(m.builds))
	}
	if len(m.resting) > 0 {
		b.WriteString("\n## Flows held at once\n\nConversations of eight packets with seconds of silence between them: by the time " +
			"one is asked for again,\nnearly all others have been. With `--max-flows 10000000`; the time of a start is taken off.\n\n")
		m.restingTable(&b)
	}
	return b.String()
}

// machine says what it was measured on.
func machine() string {
	return fmt.Sprintf("| machine | |\n|---|---|\n| CPU | %s, %d cores |\n| kernel | %s |\n| Go | %s |\n",
		cpu(), runtime.NumCPU(), output("uname", "-sr"), runtime.Version())
}

func cpu() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return output("sysctl", "-n", "machdep.cpu.brand_string")
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, value, _ := strings.Cut(s.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// goals is the table of them; with another build, its figures stand before.
func (m *measured) goals(b *strings.Builder) {
	now := m.reached(0)
	if len(m.builds) == 1 {
		b.WriteString("| goal | reach | measured |\n|---|---|---|\n")
		for _, g := range now {
			fmt.Fprintf(b, "| %s | %s | %s |\n", g.goal, g.reach, g.measured)
		}
		return
	}
	before := m.reached(1)
	b.WriteString("| goal | reach | before | measured |\n|---|---|---|---|\n")
	for i, g := range now {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", g.goal, g.reach, before[i].measured, g.measured)
	}
}

// goal is one, and what a build reaches.
type goal struct{ goal, reach, measured string }

// reached is what a build reaches of all goals.
func (m *measured) reached(build int) []goal {
	mix := m.files["mix"]
	ours := mix.find(analyze, build)
	list := []goal{
		{"`analyze F`, mix", "≤ 1.2 × tcpdump", m.besideTcpdump("mix", build)},
		{"", "≥ 70 × faster than tshark", mix.faster(tshark, build)},
		{"", "≥ 20 × faster than tcptrace", mix.faster(tcptrace, build)},
		{"", "≥ 7 × faster than argus", mix.faster(argus, build)},
		{"the same, headers", "≤ 2.5 × tcpdump", m.besideTcpdump("headers", build)},
		{"the same, bulk", "≤ 1.2 × tcpdump", m.besideTcpdump("bulk", build)},
		{"`-o ndjson --all` to a file, mix", "≤ 2 × the summary",
			fmt.Sprintf("%.2f ×", times(mix.find(everyFlow, build), ours))},
		{"one worker against two, mix", "≥ 1.7 ×", fmt.Sprintf("%.2f ×", times(mix.find(oneCore, build), ours))},
		{"peak memory, mix", "≤ 120 MB", fmt.Sprintf("%.0f MB", mega(ours.rss))},
	}
	if n := len(m.resting); n > 1 {
		few, many := m.resting[0], m.resting[n-1]
		low, high := few.find(analyze, build), many.find(analyze, build)
		list = append(list,
			goal{"peak memory for each flow held", "≤ 400 B above 60 MB", fmt.Sprintf("%.0f B above %.0f MB",
				float64(high.rss-low.rss)/float64(many.file.open-few.file.open), mega(low.rss))},
			goal{fmt.Sprintf("cost of a packet, %s to %s flows held", thousands(few.file.open), thousands(many.file.open)), "grows ≤ 3 ×",
				fmt.Sprintf("%.2f × (%.0f to %.0f ns)", m.perPacket(many, build)/m.perPacket(few, build),
					m.perPacket(few, build), m.perPacket(many, build))})
	}
	return append(list,
		goal{"start-up: `analyze` of ten packets", "≤ 15 ms", fmt.Sprintf("%.1f ms", 1e3*m.start(build))},
		goal{"heap allocations for a packet, steady state", "0", "0: the tests that [performance.md](performance.md) lists fail on one"})
}

const notInstalled = "not run"

func (m *measured) besideTcpdump(profile string, build int) string {
	c := m.files[profile]
	other, ours := c.find(tcpdump, 0), c.find(analyze, build)
	if other == nil {
		return notInstalled
	}
	return fmt.Sprintf("%.2f × (%.2f s to %.2f s)", times(ours, other), ours.wall().Seconds(), other.wall().Seconds())
}

func (c *contest) faster(than string, build int) string {
	other, ours := c.find(than, 0), c.find(analyze, build)
	if other == nil {
		return notInstalled
	}
	return fmt.Sprintf("%.1f × (%.1f s)", times(other, ours), other.wall().Seconds())
}

// start is how long a build takes for ten packets, in seconds.
func (m *measured) start(build int) float64 { return m.small.find(analyze, build).wall().Seconds() }

// perPacket is in ns, without the start.
func (m *measured) perPacket(c *contest, build int) float64 {
	return 1e9 * (c.find(analyze, build).wall().Seconds() - m.start(build)) / float64(c.file.packets)
}

func mega(octets int64) float64 { return float64(octets) / 1e6 }

// table is the runs on one capture.
func (c *contest) table(b *strings.Builder, builds int) {
	f := c.file
	fmt.Fprintf(b, "\n**%s**: %s packets, %s connections, %.0f MB\n\n", f.name, thousands(f.packets), thousands(f.connections), mega(f.bytes))
	b.WriteString("| | wall | CPU | packets/s | peak memory | wall beside tcpdump |\n|---|---:|---:|---:|---:|---:|\n")
	for _, r := range c.runners {
		beside := "–"
		if walks := c.find(tcpdump, 0); walks != nil {
			beside = fmt.Sprintf("%.2f ×", times(r, walks))
		}
		fmt.Fprintf(b, "| `%s`%s | %.2f s | %.2f s | %.1f M | %.0f MB | %s |\n", r.what, r.mark(builds), r.wall().Seconds(),
			median(r.cpus).Seconds(), float64(f.packets)/r.wall().Seconds()/1e6, mega(r.rss), beside)
	}
}

// mark tells our builds apart.
func (r *runner) mark(builds int) string {
	if r.build == 1 && builds > 1 {
		return " before"
	}
	return ""
}

func (m *measured) restingTable(b *strings.Builder) {
	b.WriteString("| flows held | packets | cost of a packet | peak memory |\n|---:|---:|---:|---:|\n")
	for _, c := range m.resting {
		for _, r := range c.runners {
			fmt.Fprintf(b, "| %s%s | %s | %.0f ns | %.0f MB |\n", thousands(c.file.open), r.mark(len(m.builds)),
				thousands(c.file.packets), m.perPacket(c, r.build), mega(r.rss))
		}
	}
}

// thousands writes a number with commas.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
