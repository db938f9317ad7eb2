// Package livetest runs the command live against real traffic: TCP of the
// kernel's own, the generators that are used to test networks, and what an
// interface, a terminal and a disk do to a capture that runs for months. It has
// tests only; they build the command and use nothing of it but what its users
// have.
//
// Traffic stays between two network namespaces that each test makes. They have no
// name: the kernel removes them, and the interfaces in them, with the last file
// or process that holds them, however the test ends. All of it takes root on
// Linux, and is skipped aloud elsewhere, as is each part whose tool is not
// installed: nft, ss, tcpdump, iperf3, wrk, tcpreplay, hping3.
//
// The default run takes a minute and a half. Two variables make it longer:
//
//	TCPFLOW_STATES_LOAD=60s   how long TestLoad loads; 5s
//	TCPFLOW_STATES_SOAK=10m   how long TestSoak runs; 20s
//
// with go test -timeout raised to fit. What is measured is logged: go test -v.
package livetest
