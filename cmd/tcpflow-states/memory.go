package main

import (
	"bufio"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Nearly all that we hold is the table of open flows, which the collector need
// not look into and which is not garbage: with Go's default the heap may grow
// to twice the table before anything is collected. A quarter is room enough,
// and memory is then 1.25 times what is open.
const collectAt = 25 // percent

// heapFloor is the size of a piece of the heap that is held and never touched,
// so that it takes addresses and no memory. Without it the quarter of a heap
// that is still small would be collected again and again, and only that costs
// time.
const heapFloor = 64 << 20

// tuneCollector sets how much garbage may gather, unless the environment does.
// What it returns is to be kept until the end.
func tuneCollector() (floor []byte) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	debug.SetGCPercent(collectAt)
	return make([]byte, heapFloor)
}

// A flow that is held takes up to about 1200 octets with all that belongs to it,
// and a quarter more until the collector has been by. A quarter of the memory is
// what a program may take that runs beside others for months.
const (
	octetsOfFlow  = 1500
	shareOfMemory = 4
	leastFlows    = 10_000
)

// flowsByMemory makes the default of --max-flows what this host has room for.
func flowsByMemory(fs *pflag.FlagSet, maxFlows *int) {
	room := memory()
	if room == 0 {
		return
	}
	*maxFlows = flowsFor(room)
	f := fs.Lookup("max-flows")
	f.DefValue = strconv.Itoa(*maxFlows)
	f.Usage = strings.Replace(f.Usage, "beyond it", "the default is what a quarter of the memory has room for; beyond it", 1)
}

// flowsFor is how many flows there is room for in a host with so much memory.
func flowsFor(memory uint64) int {
	return int(min(max(memory/shareOfMemory/octetsOfFlow, leastFlows), analyzer.DefaultMaxFlows))
}

// memory is how much this process may take, in octets: the host's, or less where
// its control group says so; 0: not known.
func memory() uint64 {
	total := hostMemory()
	for _, name := range cgroupLimits() {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if limit, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && limit < total {
			total = limit // "max", and version 1's 2^63, are none
		}
	}
	return total
}

// hostMemory is MemTotal of proc_meminfo(5).
func hostMemory() uint64 {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[0] == "MemTotal:" {
			kib, _ := strconv.ParseUint(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// cgroupLimits are the files in which a control group's limit stands, those of the
// groups around it included: memory.max of version 2, where /proc/self/cgroup has
// a line "0::PATH", and the one of version 1. In a container the root is its own.
func cgroupLimits() (list []string) {
	const root = "/sys/fs/cgroup"
	text, _ := os.ReadFile("/proc/self/cgroup") // without it there are no groups
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		base, name := root, "memory.max"
		if parts[1] == "memory" {
			base, name = root+"/memory", "memory.limit_in_bytes"
		} else if parts[1] != "" {
			continue
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			list = append(list, path.Join(base, group, name))
			if group == "/" {
				break
			}
		}
	}
	return list
}
