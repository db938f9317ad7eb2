// Package tcpflowtest lets a Go test say what TCP connections of a service are to
// do, and looks at the wire whether they do it.
//
// A test captures its own traffic, on loopback or in a network namespace, or
// reads a capture:
//
//	c := tcpflowtest.Capture(t, tcpflowtest.Options{Port: 8080})
//	… // the test talks to the service on port 8080
//	flows := c.Stop()
//	flows.Established().EventuallyClosed().Without("stuck-close-wait")
//
//	tcpflowtest.Read(t, "testdata/shop.pcap").Port(5432).Count(3).Closed(analyzer.CloseReset)
//
// Methods that choose (Port, Server, Client, Where) return fewer flows; methods
// that assert return the same, so that they can be chained. An assertion that does
// not hold calls Errorf of the test, with the history of both sides and the
// findings of each flow that breaks it, and the chain goes on. An assertion about
// no flows at all fails, too, but for Count, Without and Clean: nothing was
// tested.
//
// Side names one side of a connection; the states and results are those of
// package analyzer. `tcpflow-states explain` lists the findings.
//
// Capturing takes Linux and CAP_NET_RAW (or a build with the tag libpcap): where
// that is missing the test is skipped, and says what would help.
package tcpflowtest
