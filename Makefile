# Ratios to other tools at full size: some 8 GB of captures in the user's cache
# folder, and half an hour. A quick look: make bench BENCH='-scale 0.05 -slow=false'
BENCH ?= -write docs/benchmarks.md

.PHONY: test bench gobench profile

test:
	go test ./...

bench:
	go run ./internal/tools/bench $(BENCH)

# What parts cost, with allocations.
gobench:
	go test -run '^$$' -bench . -benchmem ./analyzer ./capture/... ./report

# Where the time of analyze goes.
profile:
	go test -run '^$$' -bench Analyze/summary -benchtime 8x -cpuprofile cpu.prof -o cmd.test ./cmd/tcpflow-states
	go tool pprof -top -cum -focus '[.]analyze$$' cmd.test cpu.prof
